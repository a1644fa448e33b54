//! Points that are in memory already.

use std::ops::Range;

use super::fingerprint::{ALL_VALUES, Part, of_columns};
use super::source::{Block, DataError, Layout, Place, TileSource};

/// Columns of one length, in the order of a [`Layout`].
#[derive(Clone, Debug)]
pub struct Memory {
    layout: Layout,
    columns: Vec<Vec<f64>>,
}

impl Memory {
    /// Refuses columns that do not match the layout or each other.
    pub fn new(layout: Layout, columns: Vec<Vec<f64>>) -> Result<Self, DataError> {
        if columns.len() != layout.width() {
            let (found, expected) = (columns.len(), layout.width());
            return Err(DataError::new(format!(
                "found {found} columns, expected {expected}, one for each of the layout"
            )));
        }
        let n = columns[0].len();
        if let Some(k) = columns.iter().position(|column| column.len() != n) {
            let (first, other, length) = (layout.name(0), layout.name(k), columns[k].len());
            return Err(DataError::new(format!(
                "columns of unequal length: {first} has {n} rows, {other} has {length}"
            )));
        }
        if n == 0 {
            return Err(DataError::new("there are no rows"));
        }
        Ok(Self { layout, columns })
    }
}

impl TileSource for Memory {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn n_points(&self) -> u64 {
        self.columns[0].len() as u64
    }

    fn scan(
        &self,
        rows: Range<u64>,
        sink: &mut dyn FnMut(Block<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let range = rows.start as usize..rows.end as usize;
        let columns: Vec<&[f64]> = self.columns.iter().map(|column| &column[range.clone()]).collect();
        sink(Block { first_row: rows.start, columns: &columns })
    }

    fn place(&self, row: u64) -> Place {
        Place { file: "memory".to_string(), row: row + 1 }
    }

    fn parts(&self) -> Result<Vec<Part>, DataError> {
        let rows = self.n_points();
        let (bytes, digest) = (rows * 8 * self.columns.len() as u64, of_columns(&self.columns));
        Ok(vec![Part { name: "memory".to_string(), bytes, rows, digest, kind: ALL_VALUES.to_string() }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::Weighting;

    fn layout() -> Layout {
        Layout { variables: vec!["t".into()], y: "counts".into(), weighting: Weighting::None, mask: None }
    }

    #[test]
    fn rows_come_as_asked_for() {
        let memory = Memory::new(layout(), vec![vec![0.0, 1.0, 2.0], vec![3.0, 4.0, 5.0]]).unwrap();
        let mut seen = Vec::new();
        memory
            .scan(1..3, &mut |block| {
                seen.push((block.first_row, block.columns.concat()));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, [(1, vec![1.0, 2.0, 4.0, 5.0])]);
    }

    #[test]
    fn columns_that_do_not_match_are_refused() {
        let message = |columns| Memory::new(layout(), columns).unwrap_err().message;
        assert_eq!(message(vec![vec![1.0]]), "found 1 columns, expected 2, one for each of the layout");
        assert_eq!(message(vec![vec![1.0], vec![1.0, 2.0]]), "columns of unequal length: t has 1 rows, counts has 2");
        assert_eq!(message(vec![vec![], vec![]]), "there are no rows");
    }
}
