//! Writing columns of numbers, in any of the formats that are read: for made-up data, and for tests of the readers.
//!
//! Rows come in pieces and leave memory soon: a row group, a record batch or a chunk at a time. (`.npz` members are written
//! to files beside it first, since an archive holds one column after another.)

mod columnar;
#[cfg(feature = "hdf5")]
mod hdf5;
mod numpy;
mod text;

use std::io;
use std::path::{Path, PathBuf};

use super::source::DataError;
use super::table::Format;

/// A column to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteColumn {
    /// Its name.
    pub name: String,
    /// Its type in the file.
    pub kind: ColumnKind,
}

/// The type of a column in the file. CSV has one type only: numbers by their shortest digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// 64-bit floats.
    F64,
    /// 32-bit floats; values are rounded to nearest.
    F32,
    /// Booleans; anything but zero is true.
    Bool,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Rows of a row group (Parquet), record batch (Arrow) or chunk (HDF5).
    pub group_rows: usize,
    /// How they are compressed.
    pub compression: Compression,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { group_rows: 1 << 20, compression: Compression::None }
    }
}

/// Compression of what a file holds. A format refuses what it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// Parquet.
    Snappy,
    /// Parquet and Arrow.
    Zstd,
    /// Arrow, as whole frames.
    Lz4,
    /// HDF5 (with shuffle) and `.npz`.
    Deflate,
}

/// Takes rows in pieces.
trait RowWriter {
    /// One slice for each column, all of one length.
    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()>;

    /// Writes what is left, and what stands at the end.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// A file being written.
pub struct TableWriter {
    path: PathBuf,
    width: usize,
    rows: u64,
    writer: Box<dyn RowWriter>,
}

impl TableWriter {
    /// Creates the file, in the format of its extension; what was there is replaced.
    pub fn create(path: &Path, columns: &[WriteColumn], options: &WriteOptions) -> Result<Self, DataError> {
        let format = Format::of_path(path)?;
        assert!(!columns.is_empty() && options.group_rows > 0, "a table has columns, a group rows");
        check(format, options.compression)?;
        let writer: io::Result<Box<dyn RowWriter>> = match format {
            Format::Csv => text::create(path, columns, false),
            Format::CsvGz => text::create(path, columns, true),
            Format::Npy => numpy::create_npy(path, columns),
            Format::Npz => numpy::create_npz(path, columns, options.compression == Compression::Deflate),
            Format::Parquet => columnar::create_parquet(path, columns, options),
            Format::Arrow => columnar::create_arrow(path, columns, options),
            #[cfg(feature = "hdf5")]
            Format::Hdf5 => hdf5::create(path, columns, options),
            #[cfg(not(feature = "hdf5"))]
            Format::Hdf5 => Err(io::Error::other("this program was built without HDF5")),
        };
        let writer = writer.map_err(|e| failed(path, &e))?;
        Ok(Self { path: path.to_owned(), width: columns.len(), rows: 0, writer })
    }

    /// Writes CSV to a stream that is already open; `name` is what messages call it.
    pub fn csv(name: &str, out: Box<dyn io::Write>, columns: &[WriteColumn]) -> Result<Self, DataError> {
        let path = PathBuf::from(name);
        let writer = text::into_stream(out, columns).map_err(|e| failed(&path, &e))?;
        Ok(Self { path, width: columns.len(), rows: 0, writer })
    }

    /// Appends rows: one slice for each column, all of one length.
    pub fn push(&mut self, columns: &[&[f64]]) -> Result<(), DataError> {
        assert_eq!(columns.len(), self.width, "one slice for each column");
        assert!(columns.iter().all(|column| column.len() == columns[0].len()), "columns have one length");
        self.rows += columns[0].len() as u64;
        self.writer.push(columns).map_err(|e| failed(&self.path, &e))
    }

    /// Completes the file; returns its number of rows.
    pub fn finish(self) -> Result<u64, DataError> {
        self.writer.finish().map_err(|e| failed(&self.path, &e))?;
        Ok(self.rows)
    }
}

fn failed(path: &Path, error: &io::Error) -> DataError {
    DataError::new(format!("cannot write {}: {error}", path.display()))
}

fn check(format: Format, compression: Compression) -> Result<(), DataError> {
    if compression == Compression::Zstd && cfg!(not(feature = "zstd")) {
        return Err(DataError::new("this program was built without zstd (feature \"zstd\")"));
    }
    let fits = match compression {
        Compression::None => true,
        Compression::Snappy => format == Format::Parquet,
        Compression::Zstd => matches!(format, Format::Parquet | Format::Arrow),
        Compression::Lz4 => format == Format::Arrow,
        Compression::Deflate => matches!(format, Format::Hdf5 | Format::Npz),
    };
    if fits { Ok(()) } else { Err(DataError::new(format!("{} has no compression {compression:?}", format.name()))) }
}
