//! Files of points: each is refused with a message, or read.

use nlsq_engine::data::dataset::Dataset;
use nlsq_engine::data::describe::describe;
use nlsq_engine::data::source::{DataError, TileSource};
use nlsq_engine::data::spec::{CsvOptions, DatasetSpec};

use super::scratch::Scratch;

/// A file may claim any number of rows; these are read.
const MAX_ROWS: u64 = 200_000;

/// CSV.
pub fn csv(bytes: &[u8]) {
    read("csv", bytes);
}

/// CSV, compressed.
pub fn csv_gz(bytes: &[u8]) {
    read("csv.gz", bytes);
}

/// NumPy arrays.
pub fn npy(bytes: &[u8]) {
    read("npy", bytes);
}

/// Archives of NumPy arrays.
pub fn npz(bytes: &[u8]) {
    read("npz", bytes);
}

/// Parquet.
pub fn parquet(bytes: &[u8]) {
    read("parquet", bytes);
}

/// Arrow.
pub fn arrow(bytes: &[u8]) {
    read("arrow", bytes);
}

/// HDF5.
pub fn hdf5(bytes: &[u8]) {
    read("h5", bytes);
}

fn read(extension: &str, bytes: &[u8]) {
    let file = Scratch::new(extension, bytes);
    let description = match describe(&file.path, &CsvOptions::default()) {
        Ok(description) => description,
        Err(error) => return assert_told(&error),
    };
    let numbers = description.fields.iter().filter(|field| field.refusal.is_none());
    let names: Vec<String> = numbers.map(|field| format!("'{}'", field.name)).collect();
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return };
    let spec = DatasetSpec {
        files: vec![file.path.to_string_lossy().into_owned()],
        x: vec![format!("u={first}")],
        y: format!("v={last}"),
        ..DatasetSpec::default()
    };
    if let Err(error) = scan(&spec) {
        assert_told(&error);
    }
}

fn scan(spec: &DatasetSpec) -> Result<(), DataError> {
    let dataset = Dataset::open(spec)?;
    let rows = dataset.n_points().min(MAX_ROWS);
    let mut seen = 0;
    dataset.scan(0..rows, &mut |block| {
        assert!(block.columns.iter().all(|column| column.len() == block.columns[0].len()));
        assert_eq!(block.first_row, seen, "rows come in order");
        seen += block.columns[0].len() as u64;
        Ok(())
    })?;
    assert_eq!(seen, rows, "every row that was promised is there");
    Ok(())
}

fn assert_told(error: &DataError) {
    assert!(!error.message.is_empty());
}
