//! Arrow IPC files (`.arrow`, Feather version 2): record batches are read by position, of each only the columns asked for
//! are decoded.

use std::io::BufReader;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileReaderBuilder, read_footer_length};
use arrow::ipc::{Block, Message, RecordBatch, root_as_footer, root_as_message};

use super::arrays::{Leaf, leaf_of, leaves, widen};
use super::scalar::Inexact;
use super::source::DataError;
use super::table::{BLOCK_ROWS, Column, Fault, Field, FileRef, RowSink, Rows, Table};

/// An Arrow IPC file.
#[derive(Debug)]
pub(crate) struct ArrowTable {
    file: FileRef,
    leaves: Vec<Leaf>,
    fields: Vec<Field>,
    /// Row at which each record batch begins, and the total.
    starts: Vec<u64>,
}

impl ArrowTable {
    /// Reads the footer, and of each record batch how many rows it has.
    pub(crate) fn open(file: FileRef) -> Result<Self, DataError> {
        let (schema, starts) =
            layout(&file).map_err(|what| file.error(format!("it is not a complete Arrow file: {what}")))?;
        let rows = starts[starts.len() - 1];
        let (leaves, fields) = leaves(schema.fields().iter().map(AsRef::as_ref), rows);
        Ok(Self { file, leaves, fields, starts })
    }

    fn broken(&self, error: &ArrowError) -> DataError {
        self.file.error(format!("cannot decode it: {error}"))
    }
}

/// The schema of a file and the row at which each of its record batches begins.
fn layout(file: &FileRef) -> Result<(Schema, Vec<u64>), String> {
    let handle = file.open().map_err(|e| e.message)?;
    let read = |offset: u64, length: u64| -> Result<Vec<u8>, String> {
        if offset.checked_add(length).is_none_or(|end| end > file.bytes) {
            return Err("it is cut short".to_owned());
        }
        let mut bytes = vec![0; length as usize];
        handle.read_exact_at(&mut bytes, offset).map_err(|e| e.to_string())?;
        Ok(bytes)
    };
    let end = file.bytes.checked_sub(10).ok_or("it is cut short")?;
    let tail: [u8; 10] = read(end, 10)?.try_into().expect("ten bytes were read");
    let length = read_footer_length(tail).map_err(|_| "it has no footer; it is cut short, or a stream")? as u64;
    let footer_bytes = read(end.checked_sub(length).ok_or("its footer is damaged")?, length)?;
    let footer = root_as_footer(&footer_bytes).map_err(|e| format!("its footer is damaged: {e}"))?;
    let schema = footer.schema().ok_or("it has no schema")?;
    let schema = try_fb_to_schema(schema).map_err(|e| e.to_string())?;
    let mut starts = vec![0];
    for block in footer.recordBatches().iter().flatten() {
        let message = metadata(block, &read)?;
        let batch = message_of(&message)?.header_as_record_batch().ok_or_else(damaged)?;
        check_body(block, batch, file.bytes, &read)?;
        let rows = u64::try_from(batch.length()).map_err(|_| damaged())?;
        starts.push(u64::checked_add(starts[starts.len() - 1], rows).ok_or_else(damaged)?);
    }
    for block in footer.dictionaries().iter().flatten() {
        let message = metadata(block, &read)?;
        let dictionary = message_of(&message)?.header_as_dictionary_batch();
        let batch = dictionary.and_then(|dictionary| dictionary.data()).ok_or_else(damaged)?;
        check_body(block, batch, file.bytes, &read)?;
    }
    Ok((schema, starts))
}

fn damaged() -> String {
    "a record batch is damaged".to_owned()
}

type Read<'a> = &'a dyn Fn(u64, u64) -> Result<Vec<u8>, String>;

/// The bytes that describe a record batch.
fn metadata(block: &Block, read: Read<'_>) -> Result<Vec<u8>, String> {
    let offset = u64::try_from(block.offset()).map_err(|_| damaged())?;
    let length = u64::try_from(block.metaDataLength()).map_err(|_| damaged())?;
    read(offset, length)
}

fn message_of(metadata: &[u8]) -> Result<Message<'_>, String> {
    // since 0.15 four bytes of ones come before the length
    let skip = if metadata.starts_with(&[0xff; 4]) { 8 } else { 4 };
    root_as_message(metadata.get(skip..).ok_or_else(damaged)?).map_err(|_| damaged())
}

/// Zstandard makes at most a block of 128 KiB of four bytes; LZ4 stays far below that.
const MOST_EXPANDED: u64 = 1 << 15;

/// The decoder takes memory for whatever length a file claims, and a process that cannot have it is ended on the spot. So
/// no claim may exceed what the file can hold.
fn check_body(block: &Block, batch: RecordBatch<'_>, file_bytes: u64, read: Read<'_>) -> Result<(), String> {
    let part = |bytes: i64| u64::try_from(bytes).map_err(|_| damaged());
    let start = part(block.offset())? + part(block.metaDataLength().into())?;
    let length = part(block.bodyLength())?;
    if start.checked_add(length).is_none_or(|end| end > file_bytes) {
        return Err("it is cut short".to_owned());
    }
    for buffer in batch.buffers().iter().flatten().filter(|_| batch.compression().is_some()) {
        let (at, bytes) = (part(buffer.offset())?, part(buffer.length())?);
        if at.checked_add(bytes).is_none_or(|end| end > length) {
            return Err(damaged());
        }
        if bytes >= 8 {
            let claimed = read(start + at, 8)?.try_into().map(i64::from_le_bytes).expect("eight bytes were read");
            // -1 says that the buffer is not compressed after all
            if claimed < -1 || claimed.unsigned_abs() > bytes.saturating_mul(MOST_EXPANDED) {
                return Err(damaged());
            }
        }
    }
    Ok(())
}

impl Table for ArrowTable {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn run_rows(&self) -> u64 {
        self.starts.get(1).copied().unwrap_or(0).clamp(BLOCK_ROWS as u64, 1 << 22)
    }

    fn read(&self, rows: Range<u64>, columns: &[Column], sink: RowSink<'_>) -> Result<(), DataError> {
        if rows.is_empty() {
            return Ok(());
        }
        let leaves: Vec<&Leaf> = columns.iter().map(|column| &self.leaves[column.field]).collect();
        let mut tops: Vec<usize> = leaves.iter().map(|leaf| leaf.top).collect();
        tops.sort_unstable();
        tops.dedup();
        let mut reader = FileReaderBuilder::new()
            .with_projection(tops)
            .build(BufReader::new(self.file.open()?))
            .map_err(|e| self.broken(&e))?;
        let first = self.starts.partition_point(|&start| start <= rows.start) - 1;
        reader.set_index(first).map_err(|e| self.broken(&e))?;
        let mut out = Rows::new(columns.len());
        let mut start = rows.start;
        for k in first..self.starts.len() - 1 {
            if start >= rows.end {
                break;
            }
            let batch = reader.next().expect("the footer counts the batches").map_err(|e| self.broken(&e))?;
            let own = start - self.starts[k]..rows.end.min(self.starts[k + 1]) - self.starts[k];
            for part in super::table::blocks(own) {
                let batch = batch.slice(part.start as usize, (part.end - part.start) as usize);
                out.clear();
                for (index, leaf) in leaves.iter().enumerate() {
                    let (array, around) = leaf_of(&batch, leaf);
                    if let Err(Inexact { at, value }) = widen(&array, around.as_ref(), &mut out.columns[index]) {
                        out.fail(Fault { row: at, column: index, what: Inexact::what(value) });
                    }
                }
                out.deliver(sink, |fault| {
                    let name = &self.fields[columns[fault.column].field].name;
                    self.file.cell_error(start + fault.row as u64, name, &fault.what)
                })?;
                start += part.end - part.start;
            }
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        vec![format!(
            "{} record batches, the first with {} rows",
            self.starts.len() - 1,
            self.starts.get(1).unwrap_or(&0)
        )]
    }
}
