//! What a person says about the data: files, columns, and how CSV is written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::source::DataError;

/// A dataset as a person describes it; [`super::dataset::Dataset::open`] makes sense of it.
///
/// Column texts are a column's name, `NAME=SOURCE`, or for all but x an expression of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetSpec {
    /// Relative paths resolve against this folder.
    pub base: PathBuf,
    /// Paths or globs, in the order of the dataset; a glob stands for its matches sorted by bytes.
    pub files: Vec<String>,
    /// Variables; an item may hold several, separated by commas.
    pub x: Vec<String>,
    /// The response.
    pub y: String,
    /// Standard deviations.
    pub sigma: Option<String>,
    /// Weights w = 1/sigma^2, instead of sigma.
    pub weights: Option<String>,
    /// Points to keep: true or non-zero.
    pub mask: Option<String>,
    /// How CSV files are written.
    pub csv: CsvOptions,
}

/// How CSV files are written: `sep=;,comment=#,header=no`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvOptions {
    /// Byte between fields; by default a comma, in `.tsv` files a tab.
    pub separator: Option<u8>,
    /// Lines that begin with this byte are left out.
    pub comment: Option<u8>,
    /// Whether the first line names the columns; if not, they are c0, c1, ...
    pub header: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { separator: None, comment: None, header: true }
    }
}

impl CsvOptions {
    /// Reads `sep=;,comment=#,header=no`: any of the three, in any order. A separator or comment is one ASCII character;
    /// a separator may also be called `tab`, `comma`, `semicolon`, `space` or `pipe`.
    pub fn parse(text: &str) -> Result<Self, DataError> {
        let mut options = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (key, value) = rest.split_once('=').ok_or_else(|| refuse(text, &format!("`{rest}` has no `=`")))?;
            // the value may itself be a comma
            let end = value.char_indices().skip(1).find(|(_, c)| *c == ',').map_or(value.len(), |(at, _)| at);
            let (value, tail) = value.split_at(end);
            match key.trim() {
                "sep" => options.separator = Some(separator(text, value)?),
                "comment" => options.comment = Some(one_byte(text, value)?),
                "header" => options.header = yes_or_no(text, value)?,
                other => return Err(refuse(text, &format!("`{other}` is not known"))),
            }
            rest = tail.strip_prefix(',').unwrap_or(tail);
        }
        if options.comment.is_some() && options.comment == options.separator {
            return Err(refuse(text, "separator and comment are the same character"));
        }
        Ok(options)
    }
}

fn refuse(text: &str, what: &str) -> DataError {
    DataError::new(format!("csv options `{text}`: {what}; expected sep=CHAR, comment=CHAR, header=yes|no"))
}

fn separator(text: &str, value: &str) -> Result<u8, DataError> {
    match value.trim_matches(' ') {
        "tab" | "\\t" => Ok(b'\t'),
        "comma" => Ok(b','),
        "semicolon" => Ok(b';'),
        "space" | "" => Ok(b' '),
        "pipe" => Ok(b'|'),
        _ => one_byte(text, value),
    }
}

fn one_byte(text: &str, value: &str) -> Result<u8, DataError> {
    match value.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err(refuse(text, &format!("`{value}` is not one ASCII character other than a quote"))),
    }
}

fn yes_or_no(text: &str, value: &str) -> Result<bool, DataError> {
    match value.trim() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        other => Err(refuse(text, &format!("header is yes or no, not `{other}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_options_are_read() {
        let options = CsvOptions::parse("sep=;,comment=#,header=no").unwrap();
        assert_eq!(options, CsvOptions { separator: Some(b';'), comment: Some(b'#'), header: false });
        assert_eq!(CsvOptions::parse("").unwrap(), CsvOptions::default());
        assert_eq!(CsvOptions::parse("sep=,,comment=%").unwrap().separator, Some(b','));
        assert_eq!(CsvOptions::parse("sep=tab").unwrap().separator, Some(b'\t'));
        assert_eq!(CsvOptions::parse("sep= ,header=yes").unwrap().separator, Some(b' '));
    }

    #[test]
    fn bad_csv_options_are_refused() {
        let message = |text| CsvOptions::parse(text).unwrap_err().message;
        assert_eq!(
            message("seperator=;"),
            "csv options `seperator=;`: `seperator` is not known; expected sep=CHAR, comment=CHAR, header=yes|no"
        );
        assert!(message("header=maybe").contains("header is yes or no, not `maybe`"));
        assert!(message("sep=ab").contains("`ab` is not one ASCII character"));
        assert!(message("sep=\"").contains("is not one ASCII character other than a quote"));
        assert!(message("sep").contains("`sep` has no `=`"));
        assert!(message("sep=#,comment=#").contains("same character"));
    }
}
