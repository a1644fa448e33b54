//! NumPy arrays: `.npy` files, and the same inside `.npz`.
//!
//! An array of shape (n,) is the column `c0`, one of shape (n, k) the columns `c0`, `c1`, ..., one of records the fields of
//! the record. Rows are read where they stand, by position, with no shared state; of an array in C order whole rows are
//! read, of one in Fortran order only the columns asked for. Format: NumPy, `numpy/lib/format.py`, versions 1 to 3.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::npy_header::{Descr, Header};
use super::scalar::{Inexact, Scalar};
use super::source::DataError;
use super::table::{Column, Fault, Field, FileRef, RowSink, Rows, Table, blocks};

/// Columns of an array that are listed; a damaged header may promise any number of them for no bytes.
const MOST_COLUMNS: u64 = 1 << 20;

/// Bytes at positions.
pub(crate) trait ReadAt {
    /// Fills `buffer` from `offset` on.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = start.checked_add(buffer.len()).and_then(|end| self.get(start..end));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// An array: where its columns stand behind its header.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    /// Its columns as a file shows them; `rows` is the same for all.
    pub fields: Vec<Field>,
    /// Length of header and data together.
    pub total_bytes: u64,
    rows: u64,
    data_start: u64,
    members: Vec<Member>,
    /// Bytes from a row to the next; none where every column stands by itself (Fortran order).
    stride: Option<usize>,
}

/// A column of an array.
#[derive(Clone, Debug)]
struct Member {
    scalar: Option<Scalar>,
    /// From the start of the row, or of the data in Fortran order.
    offset: u64,
}

impl Array {
    /// Lays out an array of `available` bytes, header included, by its header. The error is what is wrong, without the
    /// file's name.
    pub(crate) fn new(header: &Header, available: u64) -> Result<Self, String> {
        let (rows, width) = match header.shape[..] {
            [rows] => (rows, None),
            [rows, width] => (rows, Some(width)),
            _ => return Err(format!("its shape is {}; expected (rows,) or (rows, columns)", header.shape_text())),
        };
        let item = header.descr.size();
        let data = item.checked_mul(rows).and_then(|bytes| bytes.checked_mul(width.unwrap_or(1)));
        let total_bytes = data.and_then(|bytes| bytes.checked_add(header.bytes)).ok_or("its shape is too large")?;
        if total_bytes > available {
            return Err(format!("it is cut short: its header promises {total_bytes} bytes, it has {available}"));
        }
        if width.is_some_and(|width| width > MOST_COLUMNS) {
            return Err(format!("its shape is {}: more than {MOST_COLUMNS} columns", header.shape_text()));
        }
        let mut array =
            Self { fields: Vec::new(), total_bytes, rows, data_start: header.bytes, members: Vec::new(), stride: None };
        match (&header.descr, width) {
            (Descr::Record(_), Some(_)) => {
                return Err(format!("it holds records in the shape {}; expected (rows,)", header.shape_text()));
            }
            (Descr::Record(members), None) => {
                let mut offset = 0;
                for member in members {
                    // unnamed members are padding
                    if !member.name.is_empty() {
                        array.add(&member.name, &member.descr, offset);
                    }
                    offset += member.descr.size();
                }
                array.stride = Some(item as usize);
            }
            (descr, width) => {
                let width_or_one = width.unwrap_or(1);
                let apart = header.fortran_order && width.is_some();
                let step = if apart { item * rows } else { item };
                for k in 0..width_or_one {
                    array.add(&format!("c{k}"), descr, k * step);
                }
                array.stride = if apart { None } else { Some((item * width_or_one) as usize) };
            }
        }
        Ok(array)
    }

    fn add(&mut self, name: &str, descr: &Descr, offset: u64) {
        let (type_name, scalar) = match descr {
            Descr::Number(scalar) => (scalar.name(), Some(*scalar)),
            other => (other.name(), None),
        };
        let refusal =
            if scalar.is_some() { None } else { Some("only real numbers and booleans can be used".to_owned()) };
        self.fields.push(Field { refusal, ..Field::column(name, type_name, self.rows) });
        self.members.push(Member { scalar, offset });
    }

    /// Appends rows to `out`, one vector for each of `columns`; a number that f64 cannot hold becomes its fault.
    pub(crate) fn read_block(
        &self,
        bytes: &(impl ReadAt + ?Sized),
        rows: Range<u64>,
        columns: &[usize],
        buffer: &mut Vec<u8>,
        out: &mut Rows,
    ) -> io::Result<()> {
        let n = (rows.end - rows.start) as usize;
        if let Some(stride) = self.stride {
            buffer.resize(n * stride, 0);
            bytes.read_at(buffer, self.data_start + rows.start * stride as u64)?;
        }
        for (index, &column) in columns.iter().enumerate() {
            let member = &self.members[column];
            let scalar = member.scalar.expect("columns of other types are refused when they are bound");
            let size = scalar.kind.size();
            let (from, stride) = match self.stride {
                Some(stride) => (member.offset as usize, stride),
                None => {
                    buffer.resize(n * size, 0);
                    bytes.read_at(buffer, self.data_start + member.offset + rows.start * size as u64)?;
                    (0, size)
                }
            };
            let values = if n == 0 { &[][..] } else { &buffer[from..] };
            if let Err(Inexact { at, value }) = scalar.decode(values, stride, &mut out.columns[index]) {
                out.fail(Fault { row: at, column: index, what: Inexact::what(value) });
            }
        }
        Ok(())
    }

    /// Bytes from a row to the next, about.
    pub(crate) fn stride(&self) -> usize {
        self.stride.unwrap_or(8)
    }

    /// How many rows to take at a time, so that a block of wide rows stays small.
    pub(crate) fn split(&self, rows: Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        const BLOCK_BYTES: u64 = 8 << 20;
        let most = (BLOCK_BYTES / self.stride.unwrap_or(8).max(1) as u64).max(1);
        blocks(rows).flat_map(move |block| {
            (block.start..block.end).step_by(most as usize).map(move |start| start..block.end.min(start + most))
        })
    }
}

/// A `.npy` file.
#[derive(Debug)]
pub(crate) struct NpyTable {
    file: FileRef,
    array: Array,
}

impl NpyTable {
    /// Reads the header.
    pub(crate) fn open(file: FileRef) -> Result<Self, DataError> {
        let mut handle = file.open()?;
        let header = Header::read(&mut handle).map_err(|what| file.error(what))?;
        let array = Array::new(&header, file.bytes).map_err(|what| file.error(what))?;
        Ok(Self { file, array })
    }
}

impl Table for NpyTable {
    fn fields(&self) -> &[Field] {
        &self.array.fields
    }

    fn read(&self, rows: Range<u64>, columns: &[Column], sink: RowSink<'_>) -> Result<(), DataError> {
        let handle = self.file.open()?;
        let fields: Vec<usize> = columns.iter().map(|column| column.field).collect();
        let mut buffer = Vec::new();
        let mut out = Rows::new(columns.len());
        for block in self.array.split(rows) {
            out.clear();
            self.array
                .read_block(&handle, block.clone(), &fields, &mut buffer, &mut out)
                .map_err(|e| self.file.error(format!("cannot read rows {}..{}: {e}", block.start + 1, block.end)))?;
            out.deliver(sink, |fault| {
                let name = &self.array.fields[fields[fault.column]].name;
                self.file.cell_error(block.start + fault.row as u64, name, &fault.what)
            })?;
        }
        Ok(())
    }
}
