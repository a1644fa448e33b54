//! CSV text, plain or compressed by gzip.
//!
//! The first reader counts the rows once and notes where every 65,536th begins ([`RowIndex`]); ranges are then read by
//! seeking there. A compressed file cannot be entered in the middle: everyone who reads a part of it decompresses what
//! stands before, so large data are better kept in many files or in another format.
//!
//! A cell is a number as Rust's `f64::from_str` reads it (correctly rounded), with blanks around it; empty or `nan` is a
//! missing value; `inf` is infinity. Cells of columns that are not asked for may hold anything.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;

use csv::ByteRecord;
use flate2::bufread::MultiGzDecoder;

use super::csv_index::{INDEX_ROWS, RowIndex, RowScanner, index_rows};
use super::scalar::{Inexact, exact};
use super::source::DataError;
use super::spec::CsvOptions;
use super::table::{BLOCK_ROWS, Column, Fault, Field, FileRef, RowSink, Rows, Table, refuse_twice};

const BUFFER_BYTES: usize = 1 << 18;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A CSV file.
#[derive(Debug)]
pub(crate) struct CsvTable {
    file: FileRef,
    compressed: bool,
    separator: u8,
    comment: Option<u8>,
    /// Rows of the index before the first row of data: 1 with a header.
    skip: u64,
    /// Counts the header as a row.
    index: RowIndex,
    fields: Vec<Field>,
    hint: Option<String>,
}

impl CsvTable {
    /// Reads the header, and counts the rows unless `index` already says.
    pub(crate) fn open(
        file: FileRef,
        compressed: bool,
        options: &CsvOptions,
        index: Option<&RowIndex>,
    ) -> Result<Self, DataError> {
        let tab = [".tsv", ".tsv.gz"].iter().any(|end| file.path.to_string_lossy().to_lowercase().ends_with(end));
        let mut table = Self {
            compressed,
            separator: options.separator.unwrap_or(if tab { b'\t' } else { b',' }),
            comment: options.comment,
            skip: u64::from(options.header),
            index: RowIndex::default(),
            fields: Vec::new(),
            hint: None,
            file,
        };
        let (names, first) = table.beginning(options.header)?;
        table.index = match index {
            Some(index) => index.clone(),
            None => table.count()?,
        };
        let no_line = "it holds no line; expected a header line with the names of the columns";
        let rows = table.index.rows.checked_sub(table.skip).ok_or_else(|| table.file.error(no_line))?;
        let types = (0..names.len()).map(|i| if first.get(i).is_some_and(is_number) { "number" } else { "text" });
        table.fields = names.iter().zip(types).map(|(name, kind)| Field::column(name, kind, rows)).collect();
        refuse_twice(&mut table.fields);
        Ok(table)
    }

    /// The names of the columns, and the first row of data (no cells where there is none).
    fn beginning(&mut self, named: bool) -> Result<(Vec<String>, ByteRecord), DataError> {
        let mut reader = self.reader(self.text(0)?);
        let mut record = ByteRecord::new();
        let found = reader.read_byte_record(&mut record).map_err(|e| self.broken(e))?;
        if !found || !named {
            return Ok(((0..record.len()).map(|i| format!("c{i}")).collect(), record));
        }
        if record.iter().all(|cell| number(cell, false).is_ok_and(|v| !v.is_nan())) {
            self.hint = Some("its first line holds only numbers; --csv header=no reads that line as data".to_owned());
        }
        let names = record.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
        reader.read_byte_record(&mut record).map_err(|e| self.broken(e))?;
        Ok((names, record))
    }

    fn count(&self) -> Result<RowIndex, DataError> {
        let mut text = self.text(0)?;
        let start = text.fill_buf().map_err(|e| self.broken(e.into()))?;
        let mark = if start.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        text.consume(mark);
        let scanner = RowScanner::new(self.separator, self.comment, mark as u64, 1);
        index_rows(&mut text, scanner).map_err(|e| self.broken(e.into()))
    }

    /// The text from a byte position on.
    fn text(&self, offset: u64) -> Result<Box<dyn BufRead>, DataError> {
        let mut handle = self.file.open()?;
        let failed = |e: io::Error| self.broken(e.into());
        if !self.compressed {
            handle.seek(SeekFrom::Start(offset)).map_err(failed)?;
            return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, handle)));
        }
        let mut text = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, handle));
        io::copy(&mut text.by_ref().take(offset), &mut io::sink()).map_err(failed)?;
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, text)))
    }

    fn reader<R: Read>(&self, text: R) -> csv::Reader<R> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.separator)
            .comment(self.comment)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(text)
    }

    fn broken(&self, error: csv::Error) -> DataError {
        let what = if self.compressed { "cannot decompress it" } else { "cannot read it" };
        self.file.error(format!("{what}: {error}"))
    }

    /// The line on which a row begins, found by scanning from the nearest entry of the index.
    fn line(&self, row: u64) -> Result<u64, DataError> {
        let (entry, skipped) = self.entry(row);
        let mut text = self.text(self.index.offsets[entry])?;
        let mut scanner =
            RowScanner::new(self.separator, self.comment, self.index.offsets[entry], self.index.lines[entry]);
        let mut found = None;
        loop {
            let piece = text.fill_buf().map_err(|e| self.broken(e.into()))?;
            let length = piece.len();
            if length == 0 || found.is_some() {
                return Ok(found.unwrap_or(self.index.lines[entry]));
            }
            scanner.push(piece, &mut |k, _, line| {
                if k == skipped {
                    found = Some(line);
                }
            });
            text.consume(length);
        }
    }

    /// The entry of the index to begin at, and how many rows to skip from there.
    fn entry(&self, row: u64) -> (usize, u64) {
        let row = row + self.skip;
        ((row / INDEX_ROWS) as usize, row % INDEX_ROWS)
    }

    fn explain(&self, row: u64, what: &str) -> DataError {
        match self.line(row) {
            Ok(line) => DataError::at_row(row, format!("{}, line {line}{what}", self.file.label)),
            Err(error) => error,
        }
    }

    /// Parses the cells of a record; the fault's column is the width where the record itself is at fault.
    fn take(&self, record: &ByteRecord, row: usize, columns: &[Column], out: &mut Rows) {
        if record.len() != self.fields.len() {
            let what = format!(": {} fields where the first line has {}", record.len(), self.fields.len());
            return out.fail(Fault { row, column: columns.len(), what });
        }
        for (index, column) in columns.iter().enumerate() {
            match number(&record[column.field], column.truth) {
                Ok(value) => out.columns[index].push(value),
                Err(what) => {
                    let what = format!(", column \"{}\": {what}", self.fields[column.field].name);
                    return out.fail(Fault { row, column: index, what });
                }
            }
        }
    }
}

/// Whether a cell reads as a number or a missing value, be it one that f64 cannot hold.
fn is_number(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    cell.is_empty() || std::str::from_utf8(cell).is_ok_and(|text| text.parse::<f64>().is_ok())
}

/// The number in a cell; NaN where there is none.
fn number(cell: &[u8], truth: bool) -> Result<f64, String> {
    let cell = cell.trim_ascii();
    if cell.is_empty() {
        return Ok(f64::NAN);
    }
    if let Some(value) = std::str::from_utf8(cell).ok().and_then(|text| text.parse::<f64>().ok()) {
        // below 16 digits every integer is exact; beyond u64 no other format has integers
        if cell.len() > 15
            && let Some(integer) = std::str::from_utf8(cell).ok().and_then(|text| text.parse::<i128>().ok())
            && integer.unsigned_abs() <= u128::from(u64::MAX)
            && exact(integer).is_none()
        {
            return Err(Inexact::what(integer));
        }
        return Ok(value);
    }
    if truth && cell.eq_ignore_ascii_case(b"true") {
        return Ok(1.0);
    }
    if truth && cell.eq_ignore_ascii_case(b"false") {
        return Ok(0.0);
    }
    let mut text: String = String::from_utf8_lossy(cell).chars().take(40).collect();
    if cell.len() > text.len() {
        text += "...";
    }
    let hint = if ["na", "n/a", "null", "none", "-", "."].contains(&text.to_lowercase().as_str()) {
        " (a missing value is an empty cell or nan)"
    } else {
        ""
    };
    Err(format!("\"{text}\" is not a number{hint}"))
}

impl Table for CsvTable {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn read(&self, rows: Range<u64>, columns: &[Column], sink: RowSink<'_>) -> Result<(), DataError> {
        if rows.is_empty() {
            return Ok(());
        }
        let (entry, skipped) = self.entry(rows.start);
        let mut reader = self.reader(self.text(self.index.offsets[entry])?);
        let mut record = ByteRecord::new();
        for _ in 0..skipped {
            reader.read_byte_record(&mut record).map_err(|e| self.broken(e))?;
        }
        let mut out = Rows::new(columns.len());
        let mut first = rows.start;
        while first < rows.end {
            out.clear();
            let n = (rows.end - first).min(BLOCK_ROWS as u64) as usize;
            for row in 0..n {
                if !reader.read_byte_record(&mut record).map_err(|e| self.broken(e))? {
                    return Err(self.file.error(format!("it ends before row {}; it changed", first + row as u64 + 1)));
                }
                self.take(&record, row, columns, &mut out);
                if out.failed() {
                    break;
                }
            }
            out.deliver(sink, |fault| self.explain(first + fault.row as u64, &fault.what))?;
            first += n as u64;
        }
        Ok(())
    }

    fn index(&self) -> Option<&RowIndex> {
        Some(&self.index)
    }

    fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_numbers() {
        for (cell, value) in
            [("1", 1.0), (" +1e5 ", 1e5), ("-.5", -0.5), ("inf", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)]
        {
            assert_eq!(number(cell.as_bytes(), false), Ok(value), "{cell}");
        }
        for cell in ["", "  ", "nan", "NaN", "NAN"] {
            assert!(number(cell.as_bytes(), false).unwrap().is_nan(), "{cell}");
        }
        assert_eq!(number(b"0.1", false).unwrap().to_bits(), 0.1f64.to_bits());
        assert_eq!(number(b"True", true), Ok(1.0));
        assert_eq!(number(b"false", true), Ok(0.0));
        assert_eq!(number(b"9007199254740992", false), Ok(9007199254740992.0));
    }

    #[test]
    fn other_cells_are_refused() {
        let message = |cell: &str| number(cell.as_bytes(), false).unwrap_err();
        assert_eq!(message("abc"), "\"abc\" is not a number");
        assert_eq!(message("true"), "\"true\" is not a number");
        assert_eq!(message("NULL"), "\"NULL\" is not a number (a missing value is an empty cell or nan)");
        assert_eq!(message("1,5"), "\"1,5\" is not a number");
        assert!(message("9007199254740993").contains("no exact double-precision value"));
    }
}
