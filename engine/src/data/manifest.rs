//! A dataset as the coordinator found it, small enough to be sent to every worker.

use serde::{Deserialize, Serialize};

use super::csv_index::RowIndex;
use super::source::Layout;
use super::spec::CsvOptions;
use super::table::{FileRef, Format};

/// All that opening a dataset found out: files with their lengths and rows, and what each column of a point is made of.
/// Who has it opens the same dataset without looking for anything, and notices files that changed meanwhile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The columns of a block.
    pub layout: Layout,
    /// Number of rows.
    pub n_points: u64,
    /// How many rows are best read in one go.
    pub run_points: u64,
    /// The data files, in order.
    pub files: Vec<FileEntry>,
    /// Files that hold one column each, over all rows.
    pub aside: Vec<FileEntry>,
    /// How the CSV files among them are written.
    pub csv: CsvOptions,
    /// The columns that are read.
    pub(crate) reads: Vec<ReadColumn>,
    /// What each column of a block is, in the order of the layout.
    pub(crate) outputs: Vec<Output>,
}

/// A file of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    pub(crate) file: FileRef,
    /// Its format.
    pub format: Format,
    /// Its rows.
    pub rows: u64,
    /// Where rows begin, in CSV files.
    pub(crate) index: Option<RowIndex>,
}

impl FileEntry {
    /// Its name as the person wrote it.
    pub fn label(&self) -> &str {
        &self.file.label
    }

    /// Its absolute path.
    pub fn path(&self) -> &std::path::Path {
        &self.file.path
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.file.bytes
    }
}

/// A column that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadColumn {
    /// Index of the file of its own it comes from; none for a column of the data files.
    pub aside: Option<usize>,
    /// Its name there.
    pub name: String,
    /// Whether the texts `true` and `false` are values.
    pub truth: bool,
}

/// A column of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Output {
    /// As it is read: an index into the columns that are read.
    Read(usize),
    /// An expression of columns that are read.
    Expression {
        /// Its text.
        text: String,
        /// The names in it that stand for columns, and which of the columns that are read each is.
        columns: Vec<(String, usize)>,
    },
}

impl Output {
    /// The first column that is read for it, if it needs any.
    pub(crate) fn first_read(&self) -> Option<usize> {
        match self {
            Output::Read(read) => Some(*read),
            Output::Expression { columns, .. } => columns.first().map(|(_, read)| *read),
        }
    }
}
