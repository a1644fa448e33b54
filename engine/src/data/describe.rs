//! What is in a file, for people.

use std::path::{Path, PathBuf};

use super::open::open_table;
use super::source::DataError;
use super::spec::CsvOptions;
use super::table::{Field, FileRef, Format};

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDescription {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its columns, in the order of the file. In formats with several arrays each has its own number of rows.
    pub fields: Vec<Field>,
    /// What else there is to say: row groups, compression.
    pub notes: Vec<String>,
}

/// Looks at a file. A CSV file is read once to count its rows; of other formats only what describes the data is read.
pub fn describe(path: &Path, csv: &CsvOptions) -> Result<FileDescription, DataError> {
    let format = Format::of_path(path)?;
    let file = FileRef::look(&path.to_string_lossy(), path)?;
    let bytes = file.bytes;
    let table = open_table(file, format, csv, None)?;
    let mut notes = table.notes();
    notes.extend(table.hint().map(str::to_owned));
    Ok(FileDescription { path: path.to_owned(), format, bytes, fields: table.fields().to_vec(), notes })
}
