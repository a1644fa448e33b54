//! One file as a table: what every format reader offers, and what they share.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::csv_index::RowIndex;
use super::source::DataError;

/// Rows that readers deliver at a time.
pub(crate) const BLOCK_ROWS: usize = 1 << 16;

/// A field of a file: one column, or `width` columns called `NAME.c0`, `NAME.c1`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in the file.
    pub name: String,
    /// Its type as the format calls it.
    pub type_name: String,
    /// Why it cannot be read as numbers, if it cannot.
    pub refusal: Option<String>,
    /// Number of rows.
    pub rows: u64,
    /// Number of columns of a two-dimensional field.
    pub width: Option<u64>,
    /// Chunks, filters and the like, where the format has them.
    pub storage: String,
}

impl Field {
    /// A field of one column.
    pub(crate) fn column(name: impl Into<String>, type_name: impl Into<String>, rows: u64) -> Self {
        Self {
            name: name.into(),
            type_name: type_name.into(),
            refusal: None,
            rows,
            width: None,
            storage: String::new(),
        }
    }
}

/// One column of a table that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Index of its field.
    pub field: usize,
    /// Which column of a two-dimensional field.
    pub component: u64,
    /// Whether the texts `true` and `false` are values.
    pub truth: bool,
}

/// Takes consecutive rows: one slice for each column asked for.
pub(crate) type RowSink<'a> = &'a mut dyn FnMut(&[&[f64]]) -> Result<(), DataError>;

/// A file that rows can be read from, by any number of threads and processes at once.
pub(crate) trait Table: Send + Sync {
    /// What it holds.
    fn fields(&self) -> &[Field];

    /// The column of this name.
    fn find(&self, name: &str) -> Option<Column> {
        find_in(self.fields(), name)
    }

    /// The names that its columns may have in an expression, lawful or not.
    fn names(&self) -> Vec<String> {
        self.fields().iter().map(|field| field.name.clone()).collect()
    }

    /// How many rows are best read in one go.
    fn run_rows(&self) -> u64 {
        1 << 20
    }

    /// Reads `rows` in order. Missing values are NaN. A fault at a row comes after the rows before it were delivered;
    /// its [`DataError::row`] counts within the file.
    fn read(&self, rows: Range<u64>, columns: &[Column], sink: RowSink<'_>) -> Result<(), DataError>;

    /// Where rows begin, for formats that can only know by reading everything.
    fn index(&self) -> Option<&RowIndex> {
        None
    }

    /// What may be behind a column that is not there.
    fn hint(&self) -> Option<&str> {
        None
    }

    /// What else there is to say about the file.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Finds `NAME`, or `NAME.cK` of a two-dimensional field.
pub(crate) fn find_in(fields: &[Field], name: &str) -> Option<Column> {
    if let Some(field) = fields.iter().position(|f| f.name == name && f.width.is_none()) {
        return Some(Column { field, component: 0, truth: false });
    }
    let (base, component) = name.rsplit_once(".c")?;
    let component: u64 = component.parse().ok()?;
    let field = fields.iter().position(|f| f.name == base && f.width.is_some_and(|k| component < k))?;
    Some(Column { field, component, truth: false })
}

/// Why a column cannot be used whose name says more than one.
pub(crate) const NAMED_TWICE: &str = "the file has more than one column of this name; rename them";

/// Refuses fields whose name is not theirs alone.
pub(crate) fn refuse_twice(fields: &mut [Field]) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    fields.iter().for_each(|field| *seen.entry(&field.name).or_default() += 1);
    let twice: Vec<bool> = fields.iter().map(|field| seen[field.name.as_str()] > 1).collect();
    for (field, twice) in fields.iter_mut().zip(twice) {
        if twice {
            field.refusal = Some(NAMED_TWICE.to_owned());
        }
    }
}

/// A file format, told by the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// Text, one line a row.
    Csv,
    /// The same, compressed by gzip: read from the start by everyone.
    CsvGz,
    /// One NumPy array.
    Npy,
    /// Several NumPy arrays in a zip archive.
    Npz,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow IPC file (Feather version 2).
    Arrow,
    /// HDF5, and so NeXus.
    Hdf5,
}

/// Extensions and what they stand for. Longer ones first, since `.csv.gz` ends in `.gz` only.
const EXTENSIONS: &[(&str, Format)] = &[
    (".csv.gz", Format::CsvGz),
    (".tsv.gz", Format::CsvGz),
    (".csv", Format::Csv),
    (".tsv", Format::Csv),
    (".npy", Format::Npy),
    (".npz", Format::Npz),
    (".parquet", Format::Parquet),
    (".arrow", Format::Arrow),
    (".feather", Format::Arrow),
    (".ipc", Format::Arrow),
    (".h5", Format::Hdf5),
    (".hdf5", Format::Hdf5),
    (".hdf", Format::Hdf5),
    (".nxs", Format::Hdf5),
];

impl Format {
    /// The format that a path's extension stands for, in any case of letters.
    pub fn of_path(path: &Path) -> Result<Self, DataError> {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        EXTENSIONS.iter().find(|(extension, _)| name.ends_with(extension)).map(|(_, format)| *format).ok_or_else(|| {
            let known: Vec<&str> = EXTENSIONS.iter().map(|(extension, _)| *extension).collect();
            DataError::new(format!(
                "{} has no extension of a known data format; expected one of {}",
                path.display(),
                known.join(" ")
            ))
        })
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Format::Csv => "CSV",
            Format::CsvGz => "gzip-compressed CSV",
            Format::Npy => "NumPy .npy",
            Format::Npz => "NumPy .npz",
            Format::Parquet => "Parquet",
            Format::Arrow => "Arrow IPC",
            Format::Hdf5 => "HDF5",
        }
    }
}

/// A file that was looked at: its name for messages, where it is, and how long it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRef {
    /// As the person wrote it.
    pub label: String,
    /// Absolute.
    pub path: PathBuf,
    /// Length in bytes.
    pub bytes: u64,
}

impl FileRef {
    /// Looks at a file: it must be there, be a file and hold something.
    pub(crate) fn look(label: &str, path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path).map_err(|e| DataError::new(format!("cannot open {label}: {e}")))?;
        if metadata.is_dir() {
            return Err(DataError::new(format!(
                "{label} is a directory; expected a file, or a glob such as {label}/*"
            )));
        }
        if metadata.len() == 0 {
            return Err(DataError::new(format!("{label} is empty (0 bytes)")));
        }
        Ok(Self { label: label.to_owned(), path: path.to_owned(), bytes: metadata.len() })
    }

    /// Opens it, and notices when it is no longer the file that was looked at.
    pub(crate) fn open(&self) -> Result<File, DataError> {
        let file = File::open(&self.path).map_err(|e| self.error(format!("cannot open it: {e}")))?;
        let bytes = file.metadata().map_err(|e| self.error(format!("cannot look at it: {e}")))?.len();
        if bytes != self.bytes {
            return Err(
                self.error(format!("it changed since the fit began: it had {} bytes and now has {bytes}", self.bytes))
            );
        }
        Ok(file)
    }

    /// `LABEL: what`.
    pub(crate) fn error(&self, what: impl std::fmt::Display) -> DataError {
        DataError::new(format!("{}: {what}", self.label))
    }

    /// `LABEL, row R, column "C": what`, for a row counted from 0.
    pub(crate) fn cell_error(&self, row: u64, column: &str, what: impl std::fmt::Display) -> DataError {
        DataError::at_row(row, format!("{}, row {}, column \"{column}\": {what}", self.label, row + 1))
    }
}

/// A cell that cannot be read: row within the block, index among the columns asked for, and why.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub row: usize,
    pub column: usize,
    pub what: String,
}

/// Some rows being read: a vector for each column, and the first fault among them.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub columns: Vec<Vec<f64>>,
    fault: Option<Fault>,
}

impl Rows {
    pub(crate) fn new(width: usize) -> Self {
        Self { columns: (0..width).map(|_| Vec::with_capacity(BLOCK_ROWS)).collect(), fault: None }
    }

    pub(crate) fn clear(&mut self) {
        self.columns.iter_mut().for_each(Vec::clear);
        self.fault = None;
    }

    /// Whether there is a fault.
    pub(crate) fn failed(&self) -> bool {
        self.fault.is_some()
    }

    /// Remembers the first fault in the order of rows, then columns.
    pub(crate) fn fail(&mut self, fault: Fault) {
        if self.fault.as_ref().is_none_or(|f| (fault.row, fault.column) < (f.row, f.column)) {
            self.fault = Some(fault);
        }
    }

    /// Takes column `index` from rows of one column that were read by themselves.
    pub(crate) fn adopt(&mut self, index: usize, mut one: Rows) {
        self.columns[index] = one.columns.pop().expect("rows of one column");
        if let Some(fault) = one.fault {
            self.fail(Fault { column: index, ..fault });
        }
    }

    /// Hands over the rows before the first fault, then that fault as `explain` puts it.
    pub(crate) fn deliver(
        &mut self,
        sink: RowSink<'_>,
        explain: impl FnOnce(&Fault) -> DataError,
    ) -> Result<(), DataError> {
        let n = match &self.fault {
            Some(fault) => fault.row,
            None => self.columns.iter().map(Vec::len).min().unwrap_or(0),
        };
        if n > 0 {
            let slices: Vec<&[f64]> = self.columns.iter().map(|column| &column[..n]).collect();
            sink(&slices)?;
        }
        match &self.fault {
            Some(fault) => Err(explain(fault)),
            None => Ok(()),
        }
    }
}

/// A block of at most [`BLOCK_ROWS`] rows after another, over `rows`.
pub(crate) fn blocks(rows: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let step = BLOCK_ROWS as u64;
    (rows.start..rows.end).step_by(BLOCK_ROWS).map(move |start| start..rows.end.min(start + step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_go_by_extension() {
        let of = |name: &str| Format::of_path(Path::new(name));
        assert_eq!(of("a/B.CSV").unwrap(), Format::Csv);
        assert_eq!(of("run.csv.gz").unwrap(), Format::CsvGz);
        assert_eq!(of("run.nxs").unwrap(), Format::Hdf5);
        assert_eq!(
            of("notes.txt").unwrap_err().message,
            "notes.txt has no extension of a known data format; expected one of .csv.gz .tsv.gz .csv .tsv .npy .npz \
             .parquet .arrow .feather .ipc .h5 .hdf5 .hdf .nxs"
        );
        assert!(of("run.gz").is_err());
    }

    #[test]
    fn columns_of_wide_fields_have_a_component() {
        let wide = Field { width: Some(3), ..Field::column("/map", "float64", 4) };
        let fields = [Field::column("t.c1", "float64", 4), wide];
        assert_eq!(find_in(&fields, "t.c1").unwrap().field, 0);
        assert_eq!(find_in(&fields, "/map.c2").unwrap(), Column { field: 1, component: 2, truth: false });
        assert_eq!(find_in(&fields, "/map.c3"), None);
        assert_eq!(find_in(&fields, "/map"), None);
    }

    #[test]
    fn rows_before_a_fault_are_delivered() {
        let mut rows = Rows::new(1);
        rows.columns[0].extend([1.0, 2.0, 3.0]);
        for row in [2, 1] {
            rows.fail(Fault { row, column: 0, what: format!("fault {row}") });
        }
        let mut seen = Vec::new();
        let error = rows
            .deliver(
                &mut |block| {
                    seen.extend_from_slice(block[0]);
                    Ok(())
                },
                |fault| DataError::at_row(fault.row as u64, fault.what.clone()),
            )
            .unwrap_err();
        assert_eq!((seen, error), (vec![1.0], DataError::at_row(1, "fault 1")));
    }
}
