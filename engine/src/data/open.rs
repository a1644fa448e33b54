//! From a path to a table: by extension, after a look at the first bytes.

use std::io::Read;
use std::os::unix::fs::FileExt;

use super::arrow::ArrowTable;
use super::csv::CsvTable;
use super::csv_index::RowIndex;
use super::npy::NpyTable;
use super::npz::NpzTable;
use super::parquet::ParquetTable;
use super::source::DataError;
use super::spec::CsvOptions;
use super::table::{FileRef, Format, Table};

/// What files of other formats begin with, and what they are then better called.
const BEGINNINGS: &[(&[u8], &str, &str)] = &[
    (b"\x93NUMPY", "a NumPy array", ".npy"),
    (b"PK\x03\x04", "a zip archive", ".npz"),
    (b"PK\x05\x06", "an empty zip archive", ".npz"),
    (b"PAR1", "a Parquet file", ".parquet"),
    (b"ARROW1", "an Arrow file", ".arrow"),
    (b"FEA1", "a Feather version 1 file", ""),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", ".h5"),
    (b"\x1f\x8b", "gzip-compressed", ".csv.gz"),
    (b"\xff\xff\xff\xff", "an Arrow stream", ""),
    (b"\xff\xfe", "UTF-16 text", ""),
    (b"\xfe\xff", "UTF-16 text", ""),
];

/// Opens a file of a known format. `index` spares a CSV file the pass that counts its rows.
pub(crate) fn open_table(
    file: FileRef,
    format: Format,
    csv: &CsvOptions,
    index: Option<&RowIndex>,
) -> Result<Box<dyn Table>, DataError> {
    check_content(&file, format)?;
    Ok(match format {
        Format::Csv => Box::new(CsvTable::open(file, false, csv, index)?),
        Format::CsvGz => Box::new(CsvTable::open(file, true, csv, index)?),
        Format::Npy => Box::new(NpyTable::open(file)?),
        Format::Parquet => Box::new(ParquetTable::open(file)?),
        Format::Npz => Box::new(NpzTable::open(file)?),
        Format::Arrow => Box::new(ArrowTable::open(file)?),
        Format::Hdf5 => open_hdf5(file)?,
    })
}

#[cfg(feature = "hdf5")]
fn open_hdf5(file: FileRef) -> Result<Box<dyn Table>, DataError> {
    Ok(Box::new(super::hdf5::Hdf5Table::open(file)?))
}

#[cfg(not(feature = "hdf5"))]
fn open_hdf5(file: FileRef) -> Result<Box<dyn Table>, DataError> {
    Err(file.error("this program was built without HDF5; build it with the feature `hdf5`, or convert the file"))
}

/// Whether the signature of HDF5 stands where it may: at the start, or behind a user block of 512, 1024, 2048, ... bytes.
fn is_hdf5(file: &FileRef) -> Result<bool, DataError> {
    let handle = file.open()?;
    let starts = std::iter::successors(Some(512u64), |start| start.checked_mul(2));
    for start in std::iter::once(0).chain(starts).take_while(|start| start.saturating_add(8) <= file.bytes) {
        let mut signature = [0; 8];
        handle.read_exact_at(&mut signature, start).map_err(|e| file.error(format!("cannot read it: {e}")))?;
        if signature == *b"\x89HDF\r\n\x1a\n" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Refuses a file whose content is plainly of another format than its extension says.
fn check_content(file: &FileRef, format: Format) -> Result<(), DataError> {
    let mut start = Vec::new();
    file.open()?.take(4096).read_to_end(&mut start).map_err(|e| file.error(format!("cannot read it: {e}")))?;
    let begins = |magic: &[u8]| start.starts_with(magic);
    let fits = match format {
        Format::Npy => begins(b"\x93NUMPY"),
        Format::Npz => begins(b"PK"),
        Format::Parquet => begins(b"PAR1"),
        Format::Arrow => begins(b"ARROW1"),
        Format::CsvGz => begins(b"\x1f\x8b"),
        Format::Hdf5 => is_hdf5(file)?,
        Format::Csv => !start.contains(&0) && BEGINNINGS.iter().all(|(magic, ..)| !begins(magic)),
    };
    if fits {
        return Ok(());
    }
    let what = match BEGINNINGS.iter().find(|(magic, ..)| begins(magic)) {
        Some((_, is, "")) => format!("its content is {is}, which is not read; expected {}", format.name()),
        Some((_, is, extension)) => {
            format!("its content is {is}, not {}; give it the extension {extension}", format.name())
        }
        None if start.contains(&0) => format!("its content is binary data, not {}", format.name()),
        None => format!("its content is not {}", format.name()),
    };
    Err(file.error(what))
}
