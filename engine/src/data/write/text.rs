//! CSV, plain or through gzip. Every number has the fewest digits that read back to the same f64.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;

use super::{ColumnKind, RowWriter, WriteColumn};

struct TextWriter<W: Finish> {
    out: W,
    kinds: Vec<ColumnKind>,
    line: Vec<u8>,
}

/// A sink that has something to write at its end.
trait Finish: Write {
    fn end(self) -> io::Result<()>;
}

impl Finish for BufWriter<File> {
    fn end(mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Finish for GzEncoder<BufWriter<File>> {
    fn end(self) -> io::Result<()> {
        self.finish()?.flush()
    }
}

impl Finish for Box<dyn Write> {
    fn end(mut self) -> io::Result<()> {
        self.flush()
    }
}

pub(super) fn into_stream(out: Box<dyn Write>, columns: &[WriteColumn]) -> io::Result<Box<dyn RowWriter>> {
    Ok(Box::new(TextWriter::new(out, columns)?))
}

pub(super) fn create(path: &Path, columns: &[WriteColumn], compressed: bool) -> io::Result<Box<dyn RowWriter>> {
    let out = BufWriter::with_capacity(1 << 18, File::create(path)?);
    Ok(if compressed {
        Box::new(TextWriter::new(GzEncoder::new(out, flate2::Compression::fast()), columns)?)
    } else {
        Box::new(TextWriter::new(out, columns)?)
    })
}

impl<W: Finish> TextWriter<W> {
    fn new(mut out: W, columns: &[WriteColumn]) -> io::Result<Self> {
        let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        writeln!(out, "{}", names.join(","))?;
        Ok(Self { out, kinds: columns.iter().map(|column| column.kind).collect(), line: Vec::new() })
    }
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

impl<W: Finish> RowWriter for TextWriter<W> {
    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()> {
        for row in 0..columns[0].len() {
            self.line.clear();
            for (column, kind) in columns.iter().zip(&self.kinds) {
                let value = match kind {
                    ColumnKind::F64 => column[row],
                    ColumnKind::F32 => f64::from(column[row] as f32),
                    ColumnKind::Bool => f64::from(u8::from(column[row] != 0.0)),
                };
                // `{:?}` has an exponent where plain digits would be long
                write!(self.line, "{value:?},")?;
            }
            self.line.pop();
            self.line.push(b'\n');
            self.out.write_all(&self.line)?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.out.end()
    }
}
