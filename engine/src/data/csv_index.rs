//! Where the rows of a CSV text begin: one pass over its bytes that knows quotes, comments and blank lines.
//!
//! The states follow those of the `csv` crate, which reads the cells later: a quote opens a quoted cell only right after a
//! separator or at the start of a line, `""` inside stands for a quote, `\n`, `\r` and `\r\n` end a row, blank lines and
//! comment lines are no rows.

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

/// Rows from one entry of the index to the next.
pub(crate) const INDEX_ROWS: u64 = 1 << 16;

/// Byte positions of every [`INDEX_ROWS`]th row, so that ranges of rows are found without reading what stands before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowIndex {
    /// Number of rows.
    pub rows: u64,
    /// Position of row `k` [`INDEX_ROWS`], in bytes of the (decompressed) text.
    pub offsets: Vec<u64>,
    /// Line, counted from 1, on which that row begins.
    pub lines: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    LineStart,
    Comment,
    Cells,
    Quoted,
    QuoteInQuoted,
}

/// Counts rows over successive pieces of a text.
#[derive(Clone, Debug)]
pub(crate) struct RowScanner {
    separator: u8,
    comment: Option<u8>,
    state: State,
    previous: u8,
    /// Position of the next byte.
    offset: u64,
    /// Line of the next byte, counted from 1.
    line: u64,
    /// Line of the last quote that opened a cell.
    quote_line: u64,
    /// Rows that have begun.
    begun: u64,
}

impl RowScanner {
    /// Begins at byte `offset` on line `line`, at the start of that line.
    pub(crate) fn new(separator: u8, comment: Option<u8>, offset: u64, line: u64) -> Self {
        Self { separator, comment, state: State::LineStart, previous: 0, offset, line, quote_line: 0, begun: 0 }
    }

    /// Takes the next piece; `row(k, offset, line)` is told where row k begins.
    pub(crate) fn push(&mut self, bytes: &[u8], row: &mut impl FnMut(u64, u64, u64)) {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::LineStart => match bytes[at] {
                    b'\n' => {
                        self.line += 1;
                        at += 1;
                    }
                    b'\r' => at += 1,
                    byte if Some(byte) == self.comment => self.state = State::Comment,
                    _ => {
                        row(self.begun, self.offset + at as u64, self.line);
                        self.begun += 1;
                        self.previous = self.separator;
                        self.state = State::Cells;
                    }
                },
                State::Comment => {
                    at = find(bytes, at, [b'\n'; 3]);
                    if at < bytes.len() {
                        self.state = State::LineStart; // which counts the line
                    }
                }
                State::Cells => at = self.cells(bytes, at),
                State::Quoted => {
                    at = find(bytes, at, [b'"', b'\n', b'\n']);
                    match bytes.get(at) {
                        Some(b'\n') => self.line += 1,
                        Some(_) => self.state = State::QuoteInQuoted,
                        None => {}
                    }
                    at += 1;
                }
                State::QuoteInQuoted => {
                    if bytes[at] == b'"' {
                        self.state = State::Quoted;
                        at += 1;
                    } else {
                        self.previous = b'"';
                        self.state = State::Cells;
                    }
                }
            }
        }
        self.offset += bytes.len() as u64;
    }

    fn cells(&mut self, bytes: &[u8], from: usize) -> usize {
        let at = find(bytes, from, [b'\n', b'\r', b'"']);
        let before = if at > from { bytes[at - 1] } else { self.previous };
        match bytes.get(at) {
            None => {
                self.previous = before;
                return at;
            }
            Some(b'"') => {
                self.previous = b'"';
                if before == self.separator {
                    self.state = State::Quoted;
                    self.quote_line = self.line;
                }
            }
            Some(end) => {
                self.line += u64::from(*end == b'\n');
                self.state = State::LineStart;
            }
        }
        at + 1
    }
}

/// Position of the first of three bytes at or after `from`, or the length. Eight bytes at a time: a zero byte of
/// `word ^ pattern` shows up as a carry (Mycroft's test).
fn find(bytes: &[u8], from: usize, any: [u8; 3]) -> usize {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let patterns = any.map(|byte| LOW * u64::from(byte));
    let mut at = from;
    for word in bytes[from..].chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().expect("a chunk of eight bytes"));
        let mut hits = 0;
        for pattern in patterns {
            let x = word ^ pattern;
            hits |= x.wrapping_sub(LOW) & !x & HIGH;
        }
        if hits != 0 {
            // the lowest hit is never a false one: borrows only travel upward
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    bytes[at..].iter().position(|byte| any.contains(byte)).map_or(bytes.len(), |i| at + i)
}

/// Indexes the rows of a text from where `scanner` begins to its end. A quote that is never closed is an error: it would
/// make one cell of all that follows.
pub(crate) fn index_rows(input: &mut impl BufRead, mut scanner: RowScanner) -> io::Result<RowIndex> {
    let mut index = RowIndex::default();
    loop {
        let piece = input.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        scanner.push(piece, &mut |row, offset, line| {
            if row.is_multiple_of(INDEX_ROWS) {
                index.offsets.push(offset);
                index.lines.push(line);
            }
        });
        input.consume(length);
    }
    index.rows = scanner.begun;
    if scanner.state == State::Quoted {
        let what = format!("the quote that opens a cell on line {} is never closed", scanner.quote_line);
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &[u8], piece: usize) -> Vec<(u64, u64, u64)> {
        let mut scanner = RowScanner::new(b',', Some(b'#'), 0, 1);
        let mut seen = Vec::new();
        for bytes in text.chunks(piece.max(1)) {
            scanner.push(bytes, &mut |row, offset, line| seen.push((row, offset, line)));
        }
        seen
    }

    #[test]
    fn rows_are_found_behind_quotes_comments_and_blank_lines() {
        let text = b"a,b\n\n# no, \"row\n1,\"x\n\"\"y\"\r\n5\" pipe,2\n\"q\",3";
        let expected = [(0, 0, 1), (1, 16, 4), (2, 27, 6), (3, 37, 7)];
        for piece in 1..text.len() + 1 {
            assert_eq!(scan(text, piece), expected, "pieces of {piece}");
        }
    }

    proptest! {
        #[test]
        fn rows_are_those_of_the_csv_crate(text in "[a1,\"\n\r# ]{0,60}", piece in 1usize..20) {
            let text = text + "\n"; // the crate makes a row of a comment that no line end closes
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).comment(Some(b'#')).from_reader(text.as_bytes());
            let rows = reader.byte_records().count();
            let mut record = csv::ByteRecord::new();
            let seen = scan(text.as_bytes(), piece);
            prop_assert_eq!(seen.len(), rows);
            // and reading on from any of them gives the same row
            let mut all = csv::ReaderBuilder::new().has_headers(false).flexible(true).comment(Some(b'#')).from_reader(text.as_bytes());
            for (whole, (_, offset, _)) in all.byte_records().zip(seen) {
                let mut from = csv::ReaderBuilder::new()
                    .has_headers(false).flexible(true).comment(Some(b'#')).from_reader(&text.as_bytes()[offset as usize..]);
                from.read_byte_record(&mut record).unwrap();
                prop_assert_eq!(&whole.unwrap(), &record);
            }
        }

        #[test]
        fn find_is_a_search(bytes in proptest::collection::vec(0u8..6, 0..40), from in 0usize..40) {
            let from = from.min(bytes.len());
            let expected = (from..bytes.len()).find(|&i| [1, 3, 5].contains(&bytes[i])).unwrap_or(bytes.len());
            prop_assert_eq!(find(&bytes, from, [1, 3, 5]), expected);
        }
    }
}
