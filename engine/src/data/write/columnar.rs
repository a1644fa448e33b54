//! Parquet and Arrow IPC.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{ColumnKind, Compression, RowWriter, WriteColumn, WriteOptions};

fn schema(columns: &[WriteColumn]) -> SchemaRef {
    let field = |column: &WriteColumn| {
        let data_type = match column.kind {
            ColumnKind::F64 => DataType::Float64,
            ColumnKind::F32 => DataType::Float32,
            ColumnKind::Bool => DataType::Boolean,
        };
        Field::new(&column.name, data_type, false)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn batch(schema: &SchemaRef, columns: &[&[f64]]) -> io::Result<RecordBatch> {
    let arrays = columns.iter().zip(schema.fields()).map(|(column, field)| -> ArrayRef {
        match field.data_type() {
            DataType::Float32 => Arc::new(Float32Array::from_iter_values(column.iter().map(|&v| v as f32))),
            DataType::Boolean => Arc::new(BooleanArray::from_iter(column.iter().map(|&v| Some(v != 0.0)))),
            _ => Arc::new(Float64Array::from_iter_values(column.iter().copied())),
        }
    });
    RecordBatch::try_new(schema.clone(), arrays.collect()).map_err(io::Error::other)
}

struct ParquetWriter {
    schema: SchemaRef,
    writer: ArrowWriter<BufWriter<File>>,
}

pub(super) fn create_parquet(
    path: &Path,
    columns: &[WriteColumn],
    options: &WriteOptions,
) -> io::Result<Box<dyn RowWriter>> {
    let codec = match options.compression {
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
        _ => Codec::UNCOMPRESSED,
    };
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(options.group_rows))
        .set_dictionary_enabled(false) // measured values seldom repeat
        .build();
    let schema = schema(columns);
    let out = BufWriter::new(File::create(path)?);
    let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(io::Error::other)?;
    Ok(Box::new(ParquetWriter { schema, writer }))
}

impl RowWriter for ParquetWriter {
    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()> {
        self.writer.write(&batch(&self.schema, columns)?).map_err(io::Error::other)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.writer.into_inner().map_err(io::Error::other)?.flush()
    }
}

struct ArrowFileWriter {
    schema: SchemaRef,
    writer: FileWriter<BufWriter<File>>,
    group_rows: usize,
    /// Rows that wait for a record batch to be full.
    waiting: Vec<Vec<f64>>,
}

pub(super) fn create_arrow(
    path: &Path,
    columns: &[WriteColumn],
    options: &WriteOptions,
) -> io::Result<Box<dyn RowWriter>> {
    let codec = match options.compression {
        Compression::Zstd => Some(CompressionType::ZSTD),
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
        _ => None,
    };
    let schema = schema(columns);
    let ipc = IpcWriteOptions::default().try_with_compression(codec).map_err(io::Error::other)?;
    let out = BufWriter::new(File::create(path)?);
    let writer = FileWriter::try_new_with_options(out, &schema, ipc).map_err(io::Error::other)?;
    let waiting = vec![Vec::new(); columns.len()];
    Ok(Box::new(ArrowFileWriter { schema, writer, group_rows: options.group_rows, waiting }))
}

impl ArrowFileWriter {
    fn flush(&mut self) -> io::Result<()> {
        let slices: Vec<&[f64]> = self.waiting.iter().map(Vec::as_slice).collect();
        self.writer.write(&batch(&self.schema, &slices)?).map_err(io::Error::other)?;
        self.waiting.iter_mut().for_each(Vec::clear);
        Ok(())
    }
}

impl RowWriter for ArrowFileWriter {
    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()> {
        let mut at = 0;
        while at < columns[0].len() {
            let take = (self.group_rows - self.waiting[0].len()).min(columns[0].len() - at);
            for (waiting, column) in self.waiting.iter_mut().zip(columns) {
                waiting.extend_from_slice(&column[at..at + take]);
            }
            at += take;
            if self.waiting[0].len() == self.group_rows {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if !self.waiting[0].is_empty() {
            self.flush()?;
        }
        self.writer.finish().map_err(io::Error::other)?;
        self.writer.into_inner().map_err(io::Error::other)?.flush()
    }
}
