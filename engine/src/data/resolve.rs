//! What column texts mean, given what the files hold.

use std::path::PathBuf;

use super::columns::{ColumnText, nearest, split_columns};
use super::derived::Formula;
use super::manifest::{FileEntry, Output, ReadColumn};
use super::open::open_table;
use super::source::{DataError, Layout, Weighting};
use super::spec::DatasetSpec;
use super::table::{Column, FileRef, Format, NAMED_TWICE, Table};
use crate::expr::{Model, Names, is_name};

/// A file that is open, and what is known about it.
pub(crate) struct OpenFile {
    pub entry: FileEntry,
    pub table: Box<dyn Table>,
}

/// What the column texts of a spec stand for.
pub(crate) struct Resolved {
    pub layout: Layout,
    pub aside: Vec<OpenFile>,
    pub reads: Vec<ReadColumn>,
    pub outputs: Vec<Output>,
}

/// Resolves the column texts of `spec` against its data files.
pub(crate) fn resolve(spec: &DatasetSpec, files: &[OpenFile]) -> Result<Resolved, DataError> {
    let mut resolver = Resolver { spec, files, aside: Vec::new(), reads: Vec::new(), bound: Vec::new() };
    let (variables, mut outputs) = resolver.variables()?;
    let (y, output) = resolver.role("y", &spec.y)?;
    if let Output::Read(read) = output {
        resolver.bound.push((y.clone(), read));
    }
    outputs.push(output);
    let weighting = match (&spec.sigma, &spec.weights) {
        (Some(_), Some(_)) => {
            return Err(DataError::new("sigma and weights are both given; expected one of them (w = 1/sigma^2)"));
        }
        (Some(text), None) => {
            let (name, output) = resolver.role("sigma", text)?;
            outputs.push(output);
            Weighting::Sigma(name)
        }
        (None, Some(text)) => {
            let (name, output) = resolver.role("weights", text)?;
            outputs.push(output);
            Weighting::Weights(name)
        }
        (None, None) => Weighting::None,
    };
    let mut mask = None;
    if let Some(text) = &spec.mask {
        let (name, output) = resolver.role("mask", text)?;
        outputs.push(output);
        mask = Some(name);
    }
    let layout = Layout { variables, y, weighting, mask };
    Ok(Resolved { layout, aside: resolver.aside, reads: resolver.reads, outputs })
}

struct Resolver<'a> {
    spec: &'a DatasetSpec,
    files: &'a [OpenFile],
    aside: Vec<OpenFile>,
    reads: Vec<ReadColumn>,
    /// Names that x and y give to columns.
    bound: Vec<(String, usize)>,
}

impl Resolver<'_> {
    fn variables(&mut self) -> Result<(Vec<String>, Vec<Output>), DataError> {
        let mut names: Vec<String> = Vec::new();
        let mut outputs = Vec::new();
        for item in &self.spec.x {
            for text in split_columns(item)? {
                let text = ColumnText::parse(&text)?;
                let (name, source) = match &text.bound {
                    Some((name, source)) => (name.clone(), source.text.clone()),
                    None => (text.bare.clone(), text.bare.clone()),
                };
                let Some(read) = self.source(&source, false)? else { return Err(self.missing("x", &source)) };
                if !is_name(&name) {
                    return Err(DataError::new(format!(
                        "\"{name}\" cannot be a name in the model; bind one to it, for instance --x \"t='{name}'\""
                    )));
                }
                if names.contains(&name) {
                    return Err(DataError::new(format!("the variable {name} is given twice")));
                }
                self.bound.push((name.clone(), read));
                names.push(name);
                outputs.push(Output::Read(read));
            }
        }
        Ok((names, outputs))
    }

    /// What stands for y, sigma, weights or mask: its name, and what it is made of.
    fn role(&mut self, role: &str, text: &str) -> Result<(String, Output), DataError> {
        let text = ColumnText::parse(text)?;
        let truth = role == "mask";
        if let Some(read) = self.source(&text.bare, truth)? {
            return Ok((text.bare, Output::Read(read)));
        }
        let (name, source) = match &text.bound {
            Some((name, source)) => (name.clone(), source.text.clone()),
            None => (text.bare.clone(), text.bare.clone()),
        };
        if let Some(read) = self.source(&source, truth)? {
            return Ok((name, Output::Read(read)));
        }
        let quoted = text.bare != text.text || text.bound.as_ref().is_some_and(|(_, source)| source.quoted);
        let meant_as_source = quoted
            || source.split('.').all(is_name)
            || source.starts_with('/')
            || Format::of_path(source.as_ref()).is_ok();
        if meant_as_source {
            return Err(self.missing(role, &source));
        }
        let bound = self.expression(role, &source).map(|output| (name, output));
        match bound {
            // `u = a/b; u^2` is an expression as a whole
            Err(_) if text.bound.is_some() => {
                self.expression(role, &text.bare).map(|output| (text.bare.clone(), output)).or(bound)
            }
            _ => bound,
        }
    }

    /// An expression of columns: those of the data files, and names that are bound to a source by x or y.
    fn expression(&mut self, role: &str, text: &str) -> Result<Output, DataError> {
        let truth = role == "mask";
        let inside = self.files.first().map(|first| first.table.names()).unwrap_or_default();
        let mut names: Vec<String> = inside.into_iter().filter(|name| is_name(name)).collect();
        for (name, _) in &self.bound {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let model = Model::parse(text, &Names { variables: &names, parameters: &[] })
            .map_err(|error| DataError::new(format!("{role}: {error} in `{text}`")))?;
        if let Some(unknown) = model.parameters().first() {
            return Err(match self.files.first() {
                Some(_) => self.missing(role, unknown),
                None => DataError::new(format!(
                    "{role}: \"{unknown}\" in `{text}` is not a column; there is {}",
                    nearest(unknown, &names)
                )),
            });
        }
        let mut columns = Vec::new();
        for variable in Formula::new(model.graph(), model.value()).variables() {
            let name = names[variable].clone();
            let read = match self.source(&name, truth)? {
                Some(read) => read,
                None => self.bound.iter().find(|(bound, _)| *bound == name).expect("a name is a column or bound").1,
            };
            columns.push((name, read));
        }
        if columns.is_empty() {
            return Err(DataError::new(format!("{role}: `{text}` depends on no column")));
        }
        Ok(Output::Expression { text: text.to_owned(), columns })
    }

    /// The column of this name: inside the data files first, then a file by itself.
    fn source(&mut self, text: &str, truth: bool) -> Result<Option<usize>, DataError> {
        if let Some(first) = self.files.first()
            && first.table.find(text).is_some()
        {
            return Ok(Some(self.read(ReadColumn { aside: None, name: text.to_owned(), truth })));
        }
        let path = self.spec.base.join(text);
        let Ok(format) = Format::of_path(&path) else { return Ok(None) };
        if !path.is_file() {
            return Ok(None);
        }
        let path = absolute(&path)?;
        let known = self.aside.iter().position(|open| open.entry.file.path == path);
        let aside = match known {
            Some(aside) => aside,
            None => {
                let file = FileRef::look(text, &path)?;
                self.aside.push(open_file(file, format, self.spec)?);
                self.aside.len() - 1
            }
        };
        let name = only_column(&self.aside[aside])?;
        Ok(Some(self.read(ReadColumn { aside: Some(aside), name, truth })))
    }

    /// Index of a column among those that are read, each of them once.
    fn read(&mut self, column: ReadColumn) -> usize {
        // where a column is read as numbers anyway, `true` is an error for all
        let same =
            |read: &ReadColumn| read.aside == column.aside && read.name == column.name && read.truth <= column.truth;
        self.reads.iter().position(same).unwrap_or_else(|| {
            self.reads.push(column);
            self.reads.len() - 1
        })
    }

    fn missing(&self, role: &str, wanted: &str) -> DataError {
        let Some(first) = self.files.first() else {
            return DataError::new(format!(
                "{role}: there is no file \"{wanted}\", and no data files are given that could hold such a column"
            ));
        };
        let what = not_there(first.table.as_ref(), &first.entry.file.label, wanted);
        DataError::new(format!("{role}: {what}"))
    }
}

/// Why a table has no column `wanted`, and what it has.
pub(crate) fn not_there(table: &dyn Table, label: &str, wanted: &str) -> String {
    let fields = table.fields();
    let known = |name: &str| fields.iter().find(|f| f.name == name || f.name.strip_prefix('/') == Some(name));
    if let Some(width) = known(wanted).and_then(|field| field.width) {
        let last = width.saturating_sub(1);
        return format!(
            "\"{wanted}\" in {label} has two dimensions; expected one of its columns, {wanted}.c0 to {wanted}.c{last}"
        );
    }
    let around = wanted.rsplit_once('.').and_then(|(around, _)| known(around));
    if let Some((around, why)) = around.and_then(|field| field.refusal.as_ref().map(|why| (&field.name, why))) {
        return format!("{label} has no column \"{wanted}\": in \"{around}\", {why}");
    }
    let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
    let hint = table.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{label} has no column \"{wanted}\"; it has {}{hint}", nearest(wanted, &names))
}

/// Opens a file and counts its rows where the format says them for the whole file.
pub(crate) fn open_file(file: FileRef, format: Format, spec: &DatasetSpec) -> Result<OpenFile, DataError> {
    let table = open_table(file.clone(), format, &spec.csv, None)?;
    let index = table.index().cloned();
    let rows = table.fields().first().map_or(0, |field| field.rows);
    Ok(OpenFile { entry: FileEntry { file, format, rows, index }, table })
}

/// The name of the one column of a file.
fn only_column(open: &OpenFile) -> Result<String, DataError> {
    match open.table.fields() {
        [field] if field.width.is_none_or(|width| width == 1) => {
            Ok(if field.width.is_none() { field.name.clone() } else { format!("{}.c0", field.name) })
        }
        fields => Err(open.entry.file.error(format!(
            "it has {} columns; a file that stands for a column has one (otherwise name it by --data)",
            fields.iter().map(|field| field.width.unwrap_or(1)).sum::<u64>()
        ))),
    }
}

/// The columns `names` of a table, and the number of rows they all have.
pub(crate) fn bind(open: &OpenFile, reads: &[&ReadColumn]) -> Result<(Vec<Column>, u64), DataError> {
    let file = &open.entry.file;
    let mut columns = Vec::new();
    let mut rows: Option<(u64, &str)> = None;
    for read in reads {
        let name = read.name.as_str();
        let found = open.table.find(name);
        let column = found.ok_or_else(|| DataError::new(not_there(open.table.as_ref(), &file.label, name)))?;
        let field = &open.table.fields()[column.field];
        if let Some(why) = &field.refusal {
            if why == NAMED_TWICE {
                return Err(file.error(format!("column \"{name}\": {why}")));
            }
            return Err(file.error(format!("column \"{name}\" has the type {}: {why}", field.type_name)));
        }
        match rows {
            Some((n, other)) if n != field.rows => {
                return Err(file.error(format!(
                    "columns have different lengths: \"{other}\" has {n} rows, \"{name}\" has {}",
                    field.rows
                )));
            }
            _ => rows = Some((field.rows, name)),
        }
        columns.push(Column { truth: read.truth, ..column });
    }
    Ok((columns, rows.map_or(open.entry.rows, |(n, _)| n)))
}

/// An absolute path without links, so that a file has one name.
pub(crate) fn absolute(path: &std::path::Path) -> Result<PathBuf, DataError> {
    let found = path.canonicalize().map_err(|e| DataError::new(format!("cannot open {}: {e}", path.display())))?;
    if found.to_str().is_none() {
        return Err(DataError::new(format!("the path {} is not UTF-8", found.display())));
    }
    Ok(found)
}
