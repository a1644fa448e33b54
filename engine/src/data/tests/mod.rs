//! Datasets as people meet them: files on disk, read through [`TileSource`].

use std::ops::Range;
use std::path::Path;

use tempfile::TempDir;

use super::dataset::Dataset;
use super::source::{DataError, TileSource};
use super::spec::{CsvOptions, DatasetSpec};

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn spec(base: &Path, files: &[&str], x: &[&str], y: &str) -> DatasetSpec {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    DatasetSpec { base: base.to_owned(), files: owned(files), x: owned(x), y: y.to_owned(), ..DatasetSpec::default() }
}

/// The bits of all columns over some rows. Every block is checked to follow the one before.
pub(super) fn bits(source: &dyn TileSource, rows: Range<u64>) -> Result<Vec<Vec<u64>>, DataError> {
    let mut columns = vec![Vec::new(); source.layout().width()];
    let mut next = rows.start;
    source.scan(rows, &mut |block| {
        assert_eq!(block.first_row, next);
        next += block.columns[0].len() as u64;
        for (column, values) in columns.iter_mut().zip(block.columns) {
            column.extend(values.iter().map(|v| v.to_bits()));
        }
        Ok(())
    })?;
    Ok(columns)
}

pub(super) fn values(source: &dyn TileSource) -> Result<Vec<Vec<f64>>, DataError> {
    let all = bits(source, 0..source.n_points())?;
    Ok(all.into_iter().map(|column| column.into_iter().map(f64::from_bits).collect()).collect())
}

/// The message with which a dataset is refused, when it is opened or when it is read.
pub(super) fn refusal(spec: &DatasetSpec) -> String {
    match Dataset::open(spec) {
        Err(error) => error.message,
        Ok(dataset) => bits(&dataset, 0..dataset.n_points()).unwrap_err().message,
    }
}

mod columns;
mod csv_files;
#[cfg(feature = "hdf5")]
mod hdf5_files;
mod npy_files;
mod refusals;
mod round_trip;
