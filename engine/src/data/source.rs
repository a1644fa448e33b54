//! Where points come from: [`TileSource`], the seam between any store of rows and the tiles of a fit.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::fingerprint::Part;

/// Which columns a source yields, in this order: the variables, y, then sigma or weight, then the mask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Names of the independent variables.
    pub variables: Vec<String>,
    /// Name of the response.
    pub y: String,
    /// What the column after y means, if there is one.
    pub weighting: Weighting,
    /// Name of the mask column, the last one, if there is one.
    pub mask: Option<String>,
}

impl Layout {
    /// Number of columns a block carries.
    pub fn width(&self) -> usize {
        self.variables.len() + 1 + usize::from(self.weighting != Weighting::None) + usize::from(self.mask.is_some())
    }

    /// The name of column `index` as a person knows it.
    pub fn name(&self, index: usize) -> &str {
        let n = self.variables.len();
        match (index.checked_sub(n), &self.weighting, &self.mask) {
            (None, ..) => &self.variables[index],
            (Some(0), ..) => &self.y,
            (Some(1), Weighting::Sigma(name) | Weighting::Weights(name), _) => name,
            (_, _, Some(name)) => name,
            _ => panic!("a block of {} columns has no column {index}", self.width()),
        }
    }
}

/// How points are weighted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weighting {
    /// Every point alike.
    None,
    /// By a column of standard deviations.
    Sigma(String),
    /// By a column w = 1/sigma^2.
    Weights(String),
}

/// Where a row stands, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, or whatever the source calls its parts.
    pub file: String,
    /// Row within it, counted from 1 (the header line of a CSV file is not a row).
    pub row: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row {}", self.file, self.row)
    }
}

/// Some consecutive rows. Missing values (nulls, empty cells) are NaN.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// Global index of the first row.
    pub first_row: u64,
    /// One slice for each column of the [`Layout`], all of one length.
    pub columns: &'a [&'a [f64]],
}

/// Rows by number, from any number of threads and processes at once.
///
/// The order of rows is part of the dataset: it decides which points share a tile, and so the bits of every sum.
pub trait TileSource: Send + Sync {
    /// The columns it yields.
    fn layout(&self) -> &Layout;

    /// Number of rows.
    fn n_points(&self) -> u64;

    /// How many consecutive rows are best read in one go (a row group, a chunk); a hint.
    fn run_points(&self) -> u64 {
        1 << 20
    }

    /// Reads `rows` in order and hands them to `sink` in blocks of the source's choosing.
    fn scan(&self, rows: Range<u64>, sink: &mut dyn FnMut(Block<'_>) -> Result<(), DataError>)
    -> Result<(), DataError>;

    /// Where a row stands.
    fn place(&self, row: u64) -> Place;

    /// By what it is known again when a fit is resumed. Of a source that has no parts to show, only the columns, the number of
    /// rows and the statistics of the response are compared.
    fn parts(&self) -> Result<Vec<Part>, DataError> {
        Ok(Vec::new())
    }
}

/// Why data were refused. `message` says what is wrong, where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DataError {
    /// The sentence for a person.
    pub message: String,
    /// Global row at fault, if it is one row: of several faults the first in the dataset's order is reported.
    pub row: Option<u64>,
}

impl DataError {
    /// An error that concerns no single row.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), row: None }
    }

    /// An error at one row of the dataset.
    pub fn at_row(row: u64, message: impl Into<String>) -> Self {
        Self { message: message.into(), row: Some(row) }
    }
}
