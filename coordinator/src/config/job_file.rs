//! Reading a job file: every value with its place, every unknown key refused.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{JobError, suggest};
use super::keys::{self, KEYS, Key, PARAMETER_KEYS, SECTIONS};
use super::parameters::{Entries, Entry, Start};
use super::value::{self, Value};

/// Where something stands in the job file, in bytes.
pub type Span = Range<usize>;

/// A job file as text, for messages that point into it.
#[derive(Clone, Debug, PartialEq)]
pub struct JobFile {
    /// As it was named.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// What a job file says.
#[derive(Debug)]
pub struct Contents {
    /// Values of the keys of the table, in its order.
    pub values: Vec<(&'static Key, Value, Span)>,
    /// What `[parameters]` says.
    pub parameters: Entries,
}

impl JobFile {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<Self, JobError> {
        let unreadable = |why: String| JobError::usage(format!("cannot read the job file {}: {why}", path.display()));
        if path.is_dir() {
            return Err(unreadable("it is a directory; expected a TOML file".into()));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let text =
            String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text; expected a TOML file".into()))?;
        Ok(Self { path: path.to_path_buf(), text })
    }

    /// An error at a place of this file.
    pub fn error(&self, span: Span, message: impl Into<String>, help: Option<String>) -> JobError {
        let start = span.start.min(self.text.len());
        let line = 1 + self.text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count();
        JobError::File { path: self.path.clone(), text: self.text.clone(), span, line, message: message.into(), help }
    }

    /// Reads all keys.
    pub fn contents(&self) -> Result<Contents, JobError> {
        let document = DeTable::parse(&self.text).map_err(|error| {
            self.error(error.span().unwrap_or(0..0), error.message().trim().replace('\n', "; "), None)
        })?;
        let mut contents = Contents { values: Vec::new(), parameters: Entries::default() };
        for (name, section) in in_file_order(document.get_ref()) {
            if !SECTIONS.contains(&name.get_ref().as_ref()) {
                return Err(self.unknown_section(name.get_ref(), name.span()));
            }
            let table = self.table(name.get_ref(), section)?;
            if name.get_ref() == "parameters" {
                self.read_parameters(table, &mut contents.parameters)?;
            } else {
                self.read_section(name.get_ref(), table, &mut contents.values)?;
            }
        }
        Ok(contents)
    }

    fn unknown_section(&self, name: &str, span: Span) -> JobError {
        let section_of_key = KEYS.iter().find(|key| key.name == name || key.flag == Some(name));
        let nested = SECTIONS.into_iter().find(|section| section.ends_with(&format!(".{name}")));
        let help = match section_of_key {
            _ if nested.is_some() => format!("write [{}]", nested.unwrap_or_default()),
            Some(key) => format!("\"{}\" belongs into [{}]", key.name, key.section),
            None => suggest(name, SECTIONS),
        };
        self.error(span, format!("unknown key \"{name}\""), Some(help))
    }

    fn table<'a>(&self, name: &str, value: &'a Spanned<DeValue<'a>>) -> Result<&'a DeTable<'a>, JobError> {
        value.get_ref().as_table().ok_or_else(|| {
            let found = value::describe(value.get_ref());
            self.error(value.span(), format!("{name}: expected a table, found {found}"), None)
        })
    }

    fn read_section(
        &self,
        section: &str,
        table: &DeTable<'_>,
        values: &mut Vec<(&'static Key, Value, Span)>,
    ) -> Result<(), JobError> {
        for (name, value) in in_file_order(table) {
            let nested = format!("{section}.{}", name.get_ref());
            if SECTIONS.contains(&nested.as_str()) {
                self.read_section(&nested, self.table(&nested, value)?, values)?;
                continue;
            }
            let Some(key) = keys::find(section, name.get_ref()) else {
                return Err(self.unknown_key(section, name.get_ref(), name.span()));
            };
            let read = key.kind.read_toml(value.get_ref()).map_err(|expected| {
                let found = value::describe(value.get_ref());
                self.error(value.span(), format!("{}: expected {expected}, found {found}", key.path()), None)
            })?;
            values.push((key, read, value.span()));
        }
        Ok(())
    }

    fn unknown_key(&self, section: &str, name: &str, span: Span) -> JobError {
        let elsewhere = KEYS.iter().find(|key| key.name == name && key.section != section);
        let by_flag = KEYS.iter().find(|key| key.section == section && key.flag == Some(&name.replace('_', "-")));
        let help = match (elsewhere, by_flag) {
            (_, Some(key)) => format!("the key of --{} is \"{}\"", key.flag.unwrap_or_default(), key.name),
            (Some(key), _) => format!("\"{name}\" belongs into [{}]", key.section),
            _ => suggest(name, KEYS.iter().filter(|key| key.section == section).map(|key| key.name)),
        };
        self.error(span, format!("unknown key \"{name}\" in [{section}]"), Some(help))
    }

    fn read_parameters(&self, table: &DeTable<'_>, entries: &mut Entries) -> Result<(), JobError> {
        for (name, value) in in_file_order(table) {
            let Some(fields) = value.get_ref().as_table() else {
                let found = value::describe(value.get_ref());
                let message = format!("parameters.{}: expected a table, found {found}", name.get_ref());
                let help = format!("write {} = {{ start = 1.0, min = 0.0, max = 10.0 }}", name.get_ref());
                return Err(self.error(value.span(), message, Some(help)));
            };
            self.read_parameter(name, fields, entries)?;
        }
        Ok(())
    }

    fn read_parameter(
        &self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        fields: &DeTable<'_>,
        entries: &mut Entries,
    ) -> Result<(), JobError> {
        let path = |field: &str| format!("parameters.{}.{field}", name.get_ref());
        let (mut start, mut value, mut fixed) = (None, None, false);
        let entry = entries.entry(name.get_ref());
        entry.place = Some(name.span());
        for (field, given) in in_file_order(fields) {
            let refuse = |expected: &str| {
                let found = value::describe(given.get_ref());
                self.error(given.span(), format!("{}: expected {expected}, found {found}", path(field.get_ref())), None)
            };
            let number = value::number(given.get_ref());
            let finite = || number.filter(|v| v.is_finite());
            match field.get_ref().as_ref() {
                "start" if given.get_ref().as_str() == Some("auto") => start = Some(Start::Auto),
                "start" => start = Some(Start::Given(finite().ok_or_else(|| refuse("a finite number or \"auto\""))?)),
                "value" => value = Some((finite().ok_or_else(|| refuse("a finite number"))?, field.span())),
                "fixed" => fixed = given.get_ref().as_bool().ok_or_else(|| refuse("true or false"))?,
                "min" => {
                    entry.min = Some(number.filter(|v| *v < f64::INFINITY).ok_or_else(|| refuse("a number or -inf"))?)
                }
                "max" => {
                    entry.max =
                        Some(number.filter(|v| *v > f64::NEG_INFINITY).ok_or_else(|| refuse("a number or inf"))?)
                }
                unknown => {
                    let help = suggest(unknown, PARAMETER_KEYS.map(|(known, _)| known));
                    return Err(self.error(field.span(), format!("unknown key \"{}\"", path(unknown)), Some(help)));
                }
            }
        }
        entry.settle(fixed, value.as_ref().map(|(value, _)| *value), start).map_err(|(field, expected)| {
            let place = match &value {
                Some((_, span)) if !fixed => span.clone(),
                _ => name.span(),
            };
            self.error(place, format!("{}: {expected}", path(field)), None)
        })
    }
}

impl Entry {
    /// Start and fixed value from the keys of one entry; refused with the key at fault and what was expected.
    fn settle(
        &mut self,
        fixed: bool,
        value: Option<f64>,
        start: Option<Start>,
    ) -> Result<(), (&'static str, &'static str)> {
        match (fixed, value, start) {
            (true, Some(_), Some(_)) => return Err(("fixed", "a fixed parameter takes value or start, not both")),
            (true, Some(value), None) | (true, None, Some(Start::Given(value))) => self.fixed = Some(value),
            (true, None, _) => return Err(("fixed", "a fixed parameter needs its value: value = 1.0")),
            (false, Some(_), _) => {
                return Err(("value", "it is for fixed parameters; expected start, or fixed = true beside it"));
            }
            (false, None, start) => self.start = start,
        }
        Ok(())
    }
}

/// Entries of a table in the order in which they stand in the file: of several faults the first is reported.
fn in_file_order<'a, 'i>(
    table: &'a DeTable<'i>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}
