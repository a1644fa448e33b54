//! `.npy` (one column as an array, several as an array of records) and `.npz` (an array a column).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{ColumnKind, RowWriter, WriteColumn};

/// Digits kept free for the number of rows, which is known at the end.
const ROW_DIGITS: usize = 20;

struct NpyWriter {
    out: BufWriter<File>,
    columns: Vec<WriteColumn>,
    rows: u64,
}

fn code(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::F64 => "<f8",
        ColumnKind::F32 => "<f4",
        ColumnKind::Bool => "|b1",
    }
}

/// The header of version 1 (2 where it is long), of the same length for any number of rows.
fn header(columns: &[WriteColumn], rows: u64) -> Vec<u8> {
    let descr = match columns {
        [column] => format!("'{}'", code(column.kind)),
        _ => {
            let escape = |name: &str| name.replace('\\', "\\\\").replace('\'', "\\'");
            let members = columns.iter().map(|c| format!("('{}', '{}')", escape(&c.name), code(c.kind)));
            format!("[{}]", members.collect::<Vec<_>>().join(", "))
        }
    };
    let digits = rows.to_string();
    let pad = " ".repeat(ROW_DIGITS - digits.len());
    let mut text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({digits},), }}{pad}");
    let long = text.len() + 64 > usize::from(u16::MAX);
    let prefix = if long { 12 } else { 10 };
    while !(prefix + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY".to_vec();
    if long {
        bytes.extend([2, 0]);
        bytes.extend((text.len() as u32).to_le_bytes());
    } else {
        bytes.extend([1, 0]);
        bytes.extend((text.len() as u16).to_le_bytes());
    }
    bytes.extend(text.as_bytes());
    bytes
}

impl NpyWriter {
    fn create(path: &Path, columns: &[WriteColumn]) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        out.write_all(&header(columns, 0))?;
        Ok(Self { out, columns: columns.to_vec(), rows: 0 })
    }

    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()> {
        for row in 0..columns[0].len() {
            for (column, WriteColumn { kind, .. }) in columns.iter().zip(&self.columns) {
                match kind {
                    ColumnKind::F64 => self.out.write_all(&column[row].to_le_bytes())?,
                    ColumnKind::F32 => self.out.write_all(&(column[row] as f32).to_le_bytes())?,
                    ColumnKind::Bool => self.out.write_all(&[u8::from(column[row] != 0.0)])?,
                }
            }
        }
        self.rows += columns[0].len() as u64;
        Ok(())
    }

    /// Writes the true number of rows into the header.
    fn complete(self) -> io::Result<File> {
        let header = header(&self.columns, self.rows);
        let mut file = self.out.into_inner()?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&header)?;
        Ok(file)
    }
}

impl RowWriter for NpyWriter {
    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()> {
        NpyWriter::push(self, columns)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.complete().map(drop)
    }
}

pub(super) fn create_npy(path: &Path, columns: &[WriteColumn]) -> io::Result<Box<dyn RowWriter>> {
    Ok(Box::new(NpyWriter::create(path, columns)?))
}

/// Every column goes to a file of its own beside the archive until all rows are there.
struct NpzWriter {
    path: PathBuf,
    deflate: bool,
    parts: Vec<(String, PathBuf, NpyWriter)>,
}

pub(super) fn create_npz(path: &Path, columns: &[WriteColumn], deflate: bool) -> io::Result<Box<dyn RowWriter>> {
    let mut parts = Vec::new();
    for (k, column) in columns.iter().enumerate() {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".part{k}"));
        let part = PathBuf::from(name);
        let writer = NpyWriter::create(&part, std::slice::from_ref(column))?;
        parts.push((column.name.clone(), part, writer));
    }
    Ok(Box::new(NpzWriter { path: path.to_owned(), deflate, parts }))
}

impl RowWriter for NpzWriter {
    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()> {
        for ((_, _, writer), column) in self.parts.iter_mut().zip(columns) {
            writer.push(&[column])?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let method = if self.deflate { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let options = SimpleFileOptions::default().compression_method(method).large_file(true);
        let mut archive = ZipWriter::new(BufWriter::new(File::create(&self.path)?));
        for (name, part, writer) in self.parts {
            let mut file = writer.complete()?;
            file.seek(SeekFrom::Start(0))?;
            archive.start_file(format!("{name}.npy"), options).map_err(io::Error::other)?;
            io::copy(&mut BufReader::with_capacity(1 << 18, file), &mut archive)?;
            std::fs::remove_file(part)?;
        }
        archive.finish().map_err(io::Error::other)?.flush()
    }
}
