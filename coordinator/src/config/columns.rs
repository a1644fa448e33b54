//! From the keys of `[data]` to the dataset's specification, with flags' file names anchored to the current directory.

use std::path::Path;

use nlsq_engine::data::columns::split_columns;
use nlsq_engine::data::spec::{CsvOptions, DatasetSpec};
use nlsq_engine::expr::is_name;

use super::error::JobError;
use super::settings::{Settings, absolute};

/// Extensions that tell a file from a column in `NAME=SOURCE`.
const EXTENSIONS: [&str; 13] =
    ["parquet", "arrow", "feather", "ipc", "csv", "tsv", "gz", "npy", "npz", "h5", "hdf5", "hdf", "nxs"];

/// The dataset of a job. Whether it exists and has these columns is for the reader to find out.
pub fn dataset(settings: &Settings) -> Result<DatasetSpec, JobError> {
    let base = match settings.path("data", "base")? {
        Some(base) => base,
        None => settings.directory()?,
    };
    let anchor = anchor(settings, &base)?;
    let x: Vec<String> =
        items(settings)?.iter().map(|item| anchor.column(item, settings.is_flag("data", "x"))).collect();
    let column = |name| settings.text("data", name).map(|text| anchor.column(&text, settings.is_flag("data", name)));
    let y = column("y").ok_or_else(|| JobError::usage("there is no response; expected --y COLUMN (data.y)"))?;
    let mut files = settings.list("data", "files");
    if settings.is_flag("data", "files") {
        files = files.iter().map(|file| anchor.file(file)).collect();
    }
    if files.is_empty() && !x.iter().any(|item| item.contains('=')) {
        return Err(JobError::usage(
            "there are no data; expected --data FILE (data.files), or a file for each column: --x t=FILE.npy --y FILE.npy",
        ));
    }
    let csv = match settings.text("data", "csv") {
        Some(text) => CsvOptions::parse(&text).map_err(|error| settings.error("data", "csv", error.to_string()))?,
        None => CsvOptions::default(),
    };
    Ok(DatasetSpec { sigma: column("sigma"), weights: column("weights"), mask: column("mask"), base, files, x, y, csv })
}

/// Names of the independent variables.
pub fn variables(settings: &Settings) -> Result<Vec<String>, JobError> {
    let mut names: Vec<String> = Vec::new();
    for item in items(settings)? {
        let Some(name) = bound_name(&item) else {
            let message = format!(
                "--x (data.x): \"{item}\" gives no name that a model can use; expected NAME or NAME=SOURCE, NAME of letters, digits and _"
            );
            return Err(settings.error("data", "x", message));
        };
        if names.contains(&name) {
            let message = format!("--x (data.x): the variable \"{name}\" is given twice; expected each name once");
            return Err(settings.error("data", "x", message));
        }
        names.push(name);
    }
    Ok(names)
}

fn items(settings: &Settings) -> Result<Vec<String>, JobError> {
    let mut items = Vec::new();
    for text in settings.list("data", "x") {
        let split = split_columns(&text);
        items.extend(split.map_err(|error| settings.error("data", "x", format!("--x (data.x): {error}")))?);
    }
    Ok(items)
}

/// The name that `NAME` or `NAME=SOURCE` binds, if it is one that an expression can hold.
fn bound_name(item: &str) -> Option<String> {
    let name = item.split('=').next().unwrap_or(item).trim();
    is_name(name).then(|| name.to_string())
}

/// Names of files in flags start from the current directory, in a job file from `data.base`.
struct Anchor {
    current: Option<std::path::PathBuf>,
}

fn anchor(settings: &Settings, base: &Path) -> Result<Anchor, JobError> {
    let current = absolute(Path::new("."))?;
    Ok(Anchor { current: (settings.file().is_some() && current != base).then_some(current) })
}

impl Anchor {
    fn file(&self, text: &str) -> String {
        match &self.current {
            Some(current) => current.join(text).to_string_lossy().into_owned(),
            None => text.to_string(),
        }
    }

    /// `NAME=FILE` with the file made absolute; what names no file of the current directory stays as it is.
    fn column(&self, text: &str, is_flag: bool) -> String {
        let (Some(current), true) = (&self.current, is_flag) else { return text.to_string() };
        let Some((name, source)) = text.split_once('=') else { return text.to_string() };
        let bare = source.trim().trim_matches(['\'', '"']);
        let extension = Path::new(bare).extension().and_then(|e| e.to_str()).unwrap_or_default();
        let file = current.join(bare);
        if EXTENSIONS.contains(&extension) && file.is_file() {
            let path = file.to_string_lossy();
            return if path.contains([',', '=']) { format!("{name}='{path}'") } else { format!("{name}={path}") };
        }
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lawful() {
        assert_eq!(bound_name("t='Time (s)'").as_deref(), Some("t"));
        assert_eq!(bound_name("q_1").as_deref(), Some("q_1"));
        for bad in ["Time (s)", "1t", "", "=a"] {
            assert_eq!(bound_name(bad), None, "{bad}");
        }
    }
}
