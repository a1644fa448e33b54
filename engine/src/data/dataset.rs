//! A dataset: files one after another, read as one table of points.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::derived::{Formula, spread_missing};
use super::fingerprint::{self, FILE_ENDS, Part as Known};
use super::guard::guarded;
use super::manifest::{FileEntry, Manifest, Output, ReadColumn};
use super::open::open_table;
use super::resolve::{OpenFile, absolute, bind, open_file, resolve};
use super::source::{Block, DataError, Layout, Place, TileSource};
use super::spec::DatasetSpec;
use super::table::{BLOCK_ROWS, Column, FileRef, Format, RowSink, Table};
use crate::expr::{Model, Names};

/// Files that are read as one table. Opening looks at every file; reading opens what it needs when it needs it.
pub struct Dataset {
    manifest: Manifest,
    /// Row at which each data file begins, and the total.
    starts: Vec<u64>,
    files: Vec<OnceLock<Part>>,
    aside: Vec<OnceLock<Part>>,
    /// For each column of a block that is an expression.
    formulas: Vec<Option<Formula>>,
}

/// A file that is open, with the columns that are read from it.
struct Part {
    table: Box<dyn Table>,
    columns: Vec<Column>,
}

impl Dataset {
    /// Finds the files, checks that each has the columns, and counts the rows.
    pub fn open(spec: &DatasetSpec) -> Result<Self, DataError> {
        let damaged = |panic| DataError::new(format!("opening the data failed ({panic}): a file may be damaged"));
        guarded(|| Self::find(spec)).unwrap_or_else(|panic| Err(damaged(panic)))
    }

    fn find(spec: &DatasetSpec) -> Result<Self, DataError> {
        let mut files = Vec::new();
        for (label, path) in find_files(spec)? {
            let format = Format::of_path(&path)?;
            files.push(open_file(FileRef::look(&label, &path)?, format, spec)?);
        }
        let mut resolved = resolve(spec, &files)?;
        let inside: Vec<&ReadColumn> = resolved.reads.iter().filter(|read| read.aside.is_none()).collect();
        let mut parts = Vec::new();
        for open in &mut files {
            let (columns, rows) = bind(open, &inside)?;
            open.entry.rows = rows;
            parts.push(columns);
        }
        let mut aside_parts = Vec::new();
        for (k, open) in resolved.aside.iter_mut().enumerate() {
            let own: Vec<&ReadColumn> = resolved.reads.iter().filter(|read| read.aside == Some(k)).collect();
            let (columns, rows) = bind(open, &own)?;
            open.entry.rows = rows;
            aside_parts.push(columns);
        }
        let n_points = count_points(&files, &resolved.aside)?;
        let first = files.first().or(resolved.aside.first());
        let run_points = first.map_or(BLOCK_ROWS as u64, |open| open.table.run_rows());
        let entries = |files: &[OpenFile]| files.iter().map(|open| open.entry.clone()).collect::<Vec<_>>();
        let manifest = Manifest {
            layout: resolved.layout,
            n_points,
            run_points,
            files: entries(&files),
            aside: entries(&resolved.aside),
            csv: spec.csv,
            reads: resolved.reads,
            outputs: resolved.outputs,
        };
        let mut dataset = Self::new(manifest)?;
        let fill = |cells: &mut Vec<OnceLock<Part>>, files: Vec<OpenFile>, columns: Vec<Vec<Column>>| {
            *cells = files
                .into_iter()
                .zip(columns)
                .map(|(open, columns)| OnceLock::from(Part { table: open.table, columns }))
                .collect();
        };
        fill(&mut dataset.files, files, parts);
        fill(&mut dataset.aside, resolved.aside, aside_parts);
        Ok(dataset)
    }

    /// The dataset that a manifest describes. Every file must still have its length; its content is looked at when rows
    /// of it are read.
    pub fn from_manifest(manifest: Manifest) -> Result<Self, DataError> {
        for entry in manifest.files.iter().chain(&manifest.aside) {
            entry.file.open()?;
        }
        Self::new(manifest)
    }

    fn new(manifest: Manifest) -> Result<Self, DataError> {
        let mut starts = vec![0];
        for entry in &manifest.files {
            starts.push(starts[starts.len() - 1] + entry.rows);
        }
        let files = manifest.files.iter().map(|_| OnceLock::new()).collect();
        let aside = manifest.aside.iter().map(|_| OnceLock::new()).collect();
        let formulas = manifest.outputs.iter().map(formula).collect::<Result<_, _>>()?;
        Ok(Self { manifest, starts, files, aside, formulas })
    }

    /// What another process needs to open the same dataset.
    pub fn manifest(&self) -> Manifest {
        self.manifest.clone()
    }

    /// The part of a file, opened by whoever comes first.
    fn part<'a>(
        &'a self,
        cell: &'a OnceLock<Part>,
        entry: &FileEntry,
        aside: Option<usize>,
    ) -> Result<&'a Part, DataError> {
        if let Some(part) = cell.get() {
            return Ok(part);
        }
        let table = open_table(entry.file.clone(), entry.format, &self.manifest.csv, entry.index.as_ref())?;
        let open = OpenFile { entry: entry.clone(), table };
        let own: Vec<&ReadColumn> = self.manifest.reads.iter().filter(|read| read.aside == aside).collect();
        let (columns, rows) = bind(&open, &own)?;
        if rows != entry.rows {
            return Err(entry
                .file
                .error(format!("it changed since the fit began: it had {} rows and now has {rows}", entry.rows)));
        }
        Ok(cell.get_or_init(|| Part { table: open.table, columns }))
    }

    /// Reads the columns of the data files over `rows` of the dataset.
    fn read_files(&self, rows: Range<u64>, sink: RowSink<'_>) -> Result<(), DataError> {
        let mut k = self.starts.partition_point(|&start| start <= rows.start) - 1;
        while k < self.files.len() && self.starts[k] < rows.end {
            let start = self.starts[k];
            let part = self.part(&self.files[k], &self.manifest.files[k], None)?;
            let own = rows.start.max(start) - start..rows.end.min(self.starts[k + 1]) - start;
            part.table.read(own, &part.columns, sink).map_err(|error| shift(error, start))?;
            k += 1;
        }
        Ok(())
    }

    fn read_aside(&self, k: usize, rows: Range<u64>, sink: RowSink<'_>) -> Result<(), DataError> {
        let part = self.part(&self.aside[k], &self.manifest.aside[k], Some(k))?;
        part.table.read(rows, &part.columns, sink)
    }

    /// Reads all columns, those of files of their own beside those of the data files, a window of rows at a time.
    fn read_joined(&self, rows: Range<u64>, sink: RowSink<'_>) -> Result<(), DataError> {
        let window = self.manifest.run_points.clamp(BLOCK_ROWS as u64, 1 << 20);
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); self.manifest.reads.len()];
        for start in (rows.start..rows.end).step_by(window as usize) {
            let rows = start..rows.end.min(start + window);
            let mut first_error: Option<DataError> = None;
            columns.iter_mut().for_each(Vec::clear);
            let sources = std::iter::once(None).chain((0..self.aside.len()).map(Some));
            for source in sources {
                let own: Vec<usize> =
                    (0..columns.len()).filter(|&read| self.manifest.reads[read].aside == source).collect();
                if own.is_empty() {
                    continue;
                }
                let mut keep = |slices: &[&[f64]]| {
                    own.iter().zip(slices).for_each(|(&read, slice)| columns[read].extend_from_slice(slice));
                    Ok(())
                };
                let result = match source {
                    None => self.read_files(rows.clone(), &mut keep),
                    Some(k) => self.read_aside(k, rows.clone(), &mut keep),
                };
                if let Err(error) = result {
                    let earlier = first_error.as_ref().is_none_or(|first| error.row < first.row);
                    first_error = if earlier { Some(error) } else { first_error };
                }
            }
            let whole = columns.iter().map(Vec::len).min().unwrap_or(0);
            let slices: Vec<&[f64]> = columns.iter().map(|column| &column[..whole]).collect();
            sink(&slices)?;
            first_error.map_or(Ok(()), Err)?;
        }
        Ok(())
    }
}

impl TileSource for Dataset {
    fn layout(&self) -> &Layout {
        &self.manifest.layout
    }

    fn n_points(&self) -> u64 {
        self.manifest.n_points
    }

    fn run_points(&self) -> u64 {
        self.manifest.run_points
    }

    fn scan(
        &self,
        rows: Range<u64>,
        sink: &mut dyn FnMut(Block<'_>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        assert!(rows.end <= self.n_points(), "rows {rows:?} of a dataset of {}", self.n_points());
        if rows.is_empty() {
            return Ok(());
        }
        let mut first_row = rows.start;
        let mut derived: Vec<Vec<f64>> = vec![Vec::new(); self.formulas.len()];
        let mut give = |slices: &[&[f64]]| {
            let n = slices[0].len();
            for ((values, formula), output) in derived.iter_mut().zip(&self.formulas).zip(&self.manifest.outputs) {
                if let (Some(formula), Output::Expression { columns, .. }) = (formula, output) {
                    let variables: Vec<&[f64]> = columns.iter().map(|(_, read)| slices[*read]).collect();
                    values.clear();
                    formula.evaluate(n, &variables, &[], values);
                    spread_missing(&variables, values);
                }
            }
            let mut columns: Vec<&[f64]> = Vec::with_capacity(derived.len());
            for (output, values) in self.manifest.outputs.iter().zip(&derived) {
                columns.push(match output {
                    Output::Read(read) => slices[*read],
                    Output::Expression { .. } => values,
                });
            }
            sink(Block { first_row, columns: &columns })?;
            first_row += n as u64;
            Ok(())
        };
        let start = rows.start;
        let read = guarded(|| match self.aside.is_empty() {
            true => self.read_files(rows, &mut give),
            false => self.read_joined(rows, &mut give),
        });
        read.unwrap_or_else(|panic| {
            let text = format!("reading failed from {} on ({panic}): the file may be damaged", self.place(start));
            Err(DataError::at_row(start, text))
        })
    }

    fn parts(&self) -> Result<Vec<Known>, DataError> {
        let part = |entry: &FileEntry| {
            let digest = fingerprint::of_file(entry.path(), entry.bytes());
            let digest = digest.map_err(|error| entry.file.error(format!("cannot read it: {error}")))?;
            let name = entry.path().display().to_string();
            Ok(Known { name, bytes: entry.bytes(), rows: entry.rows, digest, kind: FILE_ENDS.to_string() })
        };
        self.manifest.files.iter().chain(&self.manifest.aside).map(part).collect()
    }

    fn place(&self, row: u64) -> Place {
        if self.files.is_empty() {
            let y = &self.manifest.outputs[self.manifest.layout.variables.len()];
            let aside = y.first_read().and_then(|read| self.manifest.reads[read].aside).unwrap_or(0);
            return Place { file: self.manifest.aside[aside].file.label.clone(), row: row + 1 };
        }
        let k = (self.starts.partition_point(|&start| start <= row) - 1).min(self.files.len() - 1);
        Place { file: self.manifest.files[k].file.label.clone(), row: row - self.starts[k] + 1 }
    }
}

/// The expression of a column, ready to be evaluated over the columns it names.
fn formula(output: &Output) -> Result<Option<Formula>, DataError> {
    let Output::Expression { text, columns } = output else { return Ok(None) };
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let model = Model::parse(text, &Names { variables: &names, parameters: &[] })
        .map_err(|error| DataError::new(format!("{error} in `{text}`")))?;
    // a name that only a simplification removed is no column here, and needs no value
    Ok(Some(Formula::new(model.graph(), model.value())))
}

fn shift(error: DataError, by: u64) -> DataError {
    DataError { row: error.row.map(|row| row + by), ..error }
}

/// Number of rows; a file of its own must cover them all.
fn count_points(files: &[OpenFile], aside: &[OpenFile]) -> Result<u64, DataError> {
    let labels = |files: &[OpenFile]| {
        let names: Vec<&str> = files.iter().take(3).map(|open| open.entry.file.label.as_str()).collect();
        if files.len() > 3 { format!("{} and {} more", names.join(", "), files.len() - 3) } else { names.join(", ") }
    };
    let (n_points, whole) = if files.is_empty() {
        let first = aside.first().ok_or_else(|| DataError::new("no data files are given"))?;
        (first.entry.rows, labels(&aside[..1]))
    } else {
        (files.iter().map(|open| open.entry.rows).sum(), labels(files))
    };
    for open in aside {
        if open.entry.rows != n_points {
            return Err(DataError::new(format!(
                "columns have different lengths: {} has {} rows, {whole} has {n_points}",
                open.entry.file.label, open.entry.rows
            )));
        }
    }
    if n_points == 0 {
        return Err(DataError::new(format!("{whole}: there are no rows")));
    }
    Ok(n_points)
}

/// The data files as (name for messages, absolute path), in the order of the dataset.
fn find_files(spec: &DatasetSpec) -> Result<Vec<(String, PathBuf)>, DataError> {
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for text in &spec.files {
        let path = spec.base.join(text);
        let labels = if path.exists() { vec![text.clone()] } else { expand(spec, text)? };
        for label in labels {
            let path = absolute(&spec.base.join(&label))?;
            if let Some((other, _)) = found.iter().find(|(_, known)| *known == path) {
                let again = if *other == label { String::new() } else { format!(" (as {other} and as {label})") };
                return Err(DataError::new(format!("{label} is given twice{again}: its points would count twice")));
            }
            found.push((label, path));
        }
    }
    Ok(found)
}

/// The matches of a glob, sorted by the bytes of their paths.
fn expand(spec: &DatasetSpec, text: &str) -> Result<Vec<String>, DataError> {
    if !text.contains(['*', '?', '[']) {
        return Err(DataError::new(format!("there is no file {text} (looked in {})", folder(spec))));
    }
    let base = glob::Pattern::escape(&spec.base.to_string_lossy());
    let pattern = if std::path::Path::new(text).is_absolute() || base.is_empty() {
        text.to_owned()
    } else {
        format!("{}/{text}", base.trim_end_matches('/'))
    };
    let matches = glob::glob(&pattern).map_err(|e| DataError::new(format!("bad pattern {text}: {e}")))?;
    let mut labels = Vec::new();
    for path in matches {
        let path = path.map_err(|e| DataError::new(format!("cannot look for {text}: {e}")))?;
        let shown = if std::path::Path::new(text).is_absolute() {
            &path
        } else {
            path.strip_prefix(&spec.base).unwrap_or(&path)
        };
        let label =
            shown.to_str().ok_or_else(|| DataError::new(format!("the path {} is not UTF-8", shown.display())))?;
        labels.push(label.to_owned());
    }
    if labels.is_empty() {
        return Err(DataError::new(format!("no file matches {text} (looked in {})", folder(spec))));
    }
    labels.sort();
    Ok(labels)
}

fn folder(spec: &DatasetSpec) -> String {
    if spec.base.as_os_str().is_empty() { "the current folder".to_owned() } else { spec.base.display().to_string() }
}
