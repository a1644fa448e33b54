//! HDF5: a one-dimensional, chunked dataset a column; a name with slashes makes its groups.

use std::io;
use std::path::Path;

use hdf5::{Dataset, File};

use super::{ColumnKind, Compression, RowWriter, WriteColumn, WriteOptions};

struct Hdf5Writer {
    datasets: Vec<(ColumnKind, Dataset)>,
    file: File,
    rows: usize,
}

pub(super) fn create(path: &Path, columns: &[WriteColumn], options: &WriteOptions) -> io::Result<Box<dyn RowWriter>> {
    let file = File::create(path).map_err(io::Error::other)?;
    let mut datasets = Vec::new();
    for column in columns {
        let builder = match column.kind {
            ColumnKind::F64 => file.new_dataset_builder().empty::<f64>(),
            ColumnKind::F32 => file.new_dataset_builder().empty::<f32>(),
            ColumnKind::Bool => file.new_dataset_builder().empty::<bool>(),
        };
        let mut builder = builder.shape((0..,)).chunk((options.group_rows,)).create_intermediate_group(true);
        if options.compression == Compression::Deflate {
            builder = builder.shuffle().deflate(4);
        }
        datasets.push((column.kind, builder.create(column.name.as_str()).map_err(io::Error::other)?));
    }
    Ok(Box::new(Hdf5Writer { datasets, file, rows: 0 }))
}

impl RowWriter for Hdf5Writer {
    fn push(&mut self, columns: &[&[f64]]) -> io::Result<()> {
        let end = self.rows + columns[0].len();
        for ((kind, dataset), column) in self.datasets.iter().zip(columns) {
            dataset.resize((end,)).map_err(io::Error::other)?;
            let range = self.rows..end;
            let written = match kind {
                ColumnKind::F64 => dataset.write_slice(*column, range),
                ColumnKind::F32 => {
                    let values: Vec<f32> = column.iter().map(|&v| v as f32).collect();
                    dataset.write_slice(&values, range)
                }
                ColumnKind::Bool => {
                    let values: Vec<bool> = column.iter().map(|&v| v != 0.0).collect();
                    dataset.write_slice(&values, range)
                }
            };
            written.map_err(io::Error::other)?;
        }
        self.rows = end;
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.file.flush().map_err(io::Error::other)
    }
}
