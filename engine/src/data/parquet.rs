//! Parquet files: only the columns and the row groups asked for are read, of a row group that is cut only the pages needed
//! where the file has an index of its pages. Pages that carry a checksum are compared with it.

use std::ops::Range;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;

use super::arrays::{Leaf, leaf_of, leaves, widen};
use super::scalar::Inexact;
use super::source::DataError;
use super::table::{BLOCK_ROWS, Column, Fault, Field, FileRef, RowSink, Rows, Table};

/// A Parquet file.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    file: FileRef,
    metadata: ArrowReaderMetadata,
    leaves: Vec<Leaf>,
    fields: Vec<Field>,
    /// Row at which each row group begins, and the total.
    starts: Vec<u64>,
}

impl ParquetTable {
    /// Reads the footer.
    pub(crate) fn open(file: FileRef) -> Result<Self, DataError> {
        let handle = file.open()?;
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&handle, options)
            .map_err(|e| file.error(format!("it is not a complete Parquet file: {}", plain(&e))))?;
        let mut starts = vec![0];
        for group in metadata.metadata().row_groups() {
            let rows = u64::try_from(group.num_rows()).map_err(|_| file.error("its footer is damaged"))?;
            starts.push(starts[starts.len() - 1] + rows);
        }
        let rows = starts[starts.len() - 1];
        let (leaves, fields) = leaves(metadata.schema().fields().iter().map(AsRef::as_ref), rows);
        Ok(Self { file, metadata, leaves, fields, starts })
    }

    fn broken(&self, error: impl std::fmt::Display) -> DataError {
        self.file.error(format!("cannot decode it: {error}"))
    }
}

/// The library's message without its "Parquet error: ".
fn plain(error: &parquet::errors::ParquetError) -> String {
    let text = error.to_string();
    text.strip_prefix("Parquet error: ").unwrap_or(&text).to_owned()
}

impl Table for ParquetTable {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn run_rows(&self) -> u64 {
        let first = self.starts.get(1).copied().unwrap_or(0);
        first.clamp(BLOCK_ROWS as u64, 1 << 22)
    }

    fn read(&self, rows: Range<u64>, columns: &[Column], sink: RowSink<'_>) -> Result<(), DataError> {
        if rows.is_empty() {
            return Ok(());
        }
        let leaves: Vec<&Leaf> = columns.iter().map(|column| &self.leaves[column.field]).collect();
        let first = self.starts.partition_point(|&start| start <= rows.start) - 1;
        let last = self.starts.partition_point(|&start| start < rows.end);
        let mask = ProjectionMask::leaves(self.metadata.parquet_schema(), leaves.iter().map(|leaf| leaf.number));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.open()?, self.metadata.clone())
            .with_projection(mask)
            .with_row_groups((first..last).collect())
            .with_offset((rows.start - self.starts[first]) as usize)
            .with_limit((rows.end - rows.start) as usize)
            .with_batch_size(BLOCK_ROWS)
            .build()
            .map_err(|e| self.broken(plain(&e)))?;
        let mut out = Rows::new(columns.len());
        let mut start = rows.start;
        for batch in reader {
            let batch = batch.map_err(|e| self.broken(e))?;
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
            start += batch.num_rows() as u64;
        }
        if start != rows.end {
            return Err(self.broken(format!("its row groups end at row {start}, its footer promises more")));
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let groups = self.metadata.metadata().row_groups();
        let Some(group) = groups.first() else { return vec!["no row groups".to_owned()] };
        let compression = group.columns().first().map(|column| column.compression().to_string().to_lowercase());
        vec![
            format!("{} row groups, the first with {} rows", groups.len(), group.num_rows()),
            format!("compression {}", compression.as_deref().unwrap_or("none")),
        ]
    }
}
