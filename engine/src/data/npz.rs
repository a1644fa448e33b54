//! `.npz`: NumPy arrays in a zip archive.
//!
//! An array of shape (n,) is the column KEY, one of shape (n, k) the columns KEY.c0, KEY.c1, ..., one of records the columns
//! KEY.FIELD. Arrays that `numpy.savez` stored are read by position like `.npy` files; those that `savez_compressed` deflated
//! are decompressed once, as a whole, into the memory of the process that reads them.
//!
//! The archive's checksums (CRC-32 of a whole array) are compared when an array is first used: for deflated arrays always, for
//! stored ones up to 64 MiB. Larger ones are not checked, since who reads some rows would have to read them all.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use zip::{CompressionMethod, ZipArchive};

use super::npy::{Array, ReadAt};
use super::npy_header::Header;
use super::source::DataError;
use super::table::{Column, Field, FileRef, RowSink, Rows, Table, refuse_twice};

/// Stored arrays are compared with their checksum up to this size.
const CHECKED_BYTES: u64 = 64 << 20;

/// A `.npz` archive.
#[derive(Debug)]
pub(crate) struct NpzTable {
    file: FileRef,
    members: Vec<Member>,
    fields: Vec<Field>,
    /// For each field: its array, and which of the array's columns it begins with.
    places: Vec<(usize, usize)>,
}

#[derive(Debug)]
struct Member {
    /// Position in the archive.
    index: usize,
    array: Array,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Bytes in the file, from `start` on; what the checksum says is known after the first use of a small array.
    Stored { start: u64, small: bool, checked: OnceLock<Result<(), DataError>> },
    /// Decompressed on first use.
    Deflated(OnceLock<Vec<u8>>),
}

/// A part of a file.
struct Window<'a> {
    file: &'a File,
    start: u64,
}

impl ReadAt for Window<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, self.start + offset)
    }
}

impl NpzTable {
    /// Reads the directory of the archive and the headers of its arrays.
    pub(crate) fn open(file: FileRef) -> Result<Self, DataError> {
        let mut archive = archive(&file)?;
        let mut table = Self { file, members: Vec::new(), fields: Vec::new(), places: Vec::new() };
        for index in 0..archive.len() {
            table.add(&mut archive, index)?;
        }
        if table.fields.is_empty() {
            return Err(table.file.error("it holds no array (no member called KEY.npy)"));
        }
        refuse_twice(&mut table.fields);
        Ok(table)
    }

    fn add(&mut self, archive: &mut ZipArchive<BufReader<File>>, index: usize) -> Result<(), DataError> {
        let mut entry = archive.by_index(index).map_err(|e| self.file.error(e))?;
        let name = entry.name().map_err(|e| self.file.error(e))?.into_owned();
        let Some(key) = name.strip_suffix(".npy") else { return Ok(()) };
        let (size, start, method) = (entry.size(), entry.data_start(), entry.compression());
        let header = match Header::read(&mut entry) {
            Ok(header) => header,
            Err(what) => return self.add_unreadable(key, "no array", what),
        };
        let array = match Array::new(&header, size) {
            Ok(array) => array,
            Err(what) => return self.add_unreadable(key, &header.descr.name(), what),
        };
        let content = match (method, start) {
            (CompressionMethod::Stored, Some(start)) => {
                Content::Stored { start, small: size <= CHECKED_BYTES, checked: OnceLock::new() }
            }
            _ => Content::Deflated(OnceLock::new()),
        };
        let member = self.members.len();
        let storage = if matches!(content, Content::Stored { .. }) { "" } else { "deflated" }.to_owned();
        if let [rows, width] = header.shape[..] {
            let first = array.fields.first().cloned();
            let whole = first.unwrap_or_else(|| Field::column(key, header.descr.name(), rows));
            self.fields.push(Field { name: key.to_owned(), width: Some(width), storage, ..whole });
            self.places.push((member, 0));
        } else {
            let record = matches!(header.descr, super::npy_header::Descr::Record(_));
            for (column, field) in array.fields.iter().enumerate() {
                let name = if record { format!("{key}.{}", field.name) } else { key.to_owned() };
                self.fields.push(Field { name, storage: storage.clone(), ..field.clone() });
                self.places.push((member, column));
            }
        }
        self.members.push(Member { index, array, content });
        Ok(())
    }

    fn add_unreadable(&mut self, key: &str, type_name: &str, what: String) -> Result<(), DataError> {
        self.fields.push(Field { refusal: Some(what), ..Field::column(key, type_name, 0) });
        self.places.push((usize::MAX, 0));
        Ok(())
    }

    fn read_member(
        &self,
        handle: &File,
        (member, column): (&Member, usize),
        rows: Range<u64>,
        buffer: &mut Vec<u8>,
        out: &mut Rows,
    ) -> Result<(), DataError> {
        let result = match &member.content {
            Content::Stored { start, small, checked } => {
                if *small {
                    checked.get_or_init(|| self.unpack(member, &mut io::sink())).clone()?;
                }
                let window = Window { file: handle, start: *start };
                member.array.read_block(&window, rows, &[column], buffer, out)
            }
            Content::Deflated(cell) => {
                let bytes = match cell.get() {
                    Some(bytes) => bytes,
                    None => {
                        let bytes = self.decompress(member)?;
                        cell.get_or_init(|| bytes)
                    }
                };
                member.array.read_block(bytes.as_slice(), rows, &[column], buffer, out)
            }
        };
        result.map_err(|e| self.file.error(format!("cannot read it: {e}")))
    }

    fn decompress(&self, member: &Member) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::with_capacity(member.array.total_bytes as usize);
        self.unpack(member, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a whole array, which compares it with its checksum.
    fn unpack(&self, member: &Member, to: &mut dyn Write) -> Result<(), DataError> {
        let mut archive = archive(&self.file)?;
        let mut entry = archive.by_index(member.index).map_err(|e| self.file.error(e))?;
        let name = entry.name().map_err(|e| self.file.error(e))?.into_owned();
        let copied = io::copy(&mut entry, to);
        copied.map(drop).map_err(|e| self.file.error(format!("its array {name} is damaged: {e}")))
    }
}

fn archive(file: &FileRef) -> Result<ZipArchive<BufReader<File>>, DataError> {
    let handle = BufReader::new(file.open()?);
    ZipArchive::new(handle).map_err(|e| file.error(format!("it is not a complete zip archive: {e}")))
}

impl Table for NpzTable {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn read(&self, rows: Range<u64>, columns: &[Column], sink: RowSink<'_>) -> Result<(), DataError> {
        let handle = self.file.open()?;
        let of = |column: &Column| {
            let (member, first) = self.places[column.field];
            (&self.members[member], first + column.component as usize)
        };
        let widest = columns.iter().map(|column| of(column).0).max_by_key(|member| member.array.stride());
        let Some(widest) = widest else { return Ok(()) };
        let mut buffer = Vec::new();
        let mut out = Rows::new(columns.len());
        for block in widest.array.split(rows) {
            out.clear();
            for (index, column) in columns.iter().enumerate() {
                let mut one = Rows::new(0);
                one.columns.push(std::mem::take(&mut out.columns[index]));
                self.read_member(&handle, of(column), block.clone(), &mut buffer, &mut one)?;
                out.adopt(index, one);
            }
            out.deliver(sink, |fault| {
                let column = &columns[fault.column];
                let field = &self.fields[column.field];
                let name = match field.width {
                    Some(_) => format!("{}.c{}", field.name, column.component),
                    None => field.name.clone(),
                };
                self.file.cell_error(block.start + fault.row as u64, &name, &fault.what)
            })?;
        }
        Ok(())
    }
}
