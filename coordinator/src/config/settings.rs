//! What was set, from the job file and from flags, merged: the flag wins, and everything remembers where it came from.

use std::path::{Path, PathBuf};

use super::error::JobError;
use super::flags::JobFlags;
use super::job_file::{JobFile, Span};
use super::keys::{KEYS, Key, find};
use super::parameters::Entries;
use super::value::{Kind, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A flag.
    Flag,
    /// A place in the job file.
    File(Span),
}

#[derive(Debug)]
struct Setting {
    key: &'static Key,
    value: Value,
    origin: Origin,
}

/// Everything that was set.
#[derive(Debug, Default)]
pub struct Settings {
    file: Option<JobFile>,
    list: Vec<Setting>,
    /// What was said about parameters.
    pub parameters: Entries,
}

/// Keys of which one replaces the other.
const ALTERNATIVES: [[(&str, &str); 2]; 2] =
    [[("model", "expression"), ("model", "builtin")], [("data", "sigma"), ("data", "weights")]];

impl Settings {
    /// Reads the job file, if there is one, then the flags.
    pub fn read(job_file: Option<&Path>, flags: &JobFlags) -> Result<Self, JobError> {
        let mut settings = Settings::default();
        if let Some((key, name)) = flags.swallowed_job_file() {
            return Err(JobError::usage_with_help(
                format!("{}: \"{name}\" is a job file; expected data files", key.title()),
                format!("put the job file before the flags: nlsq-coordinator fit {name} --data ..."),
            ));
        }
        // flags first: a flag that swallowed another leaves a stray word, which looks like a job file
        let given = read_flags(flags)?;
        if let Some(path) = job_file {
            let file = JobFile::open(path)?;
            let contents = file.contents()?;
            settings.parameters = contents.parameters;
            let from_file = |(key, value, span)| Setting { key, value, origin: Origin::File(span) };
            settings.list = contents.values.into_iter().map(from_file).collect();
            settings.file = Some(file);
            settings.refuse_alternatives()?;
        }
        settings.apply_flags(given, flags)?;
        if settings.text("fit", "p0").as_deref() == Some("auto") {
            settings.parameters.auto = true;
        }
        Ok(settings)
    }

    fn apply_flags(&mut self, given: Vec<Setting>, flags: &JobFlags) -> Result<(), JobError> {
        for pair in ALTERNATIVES {
            let both =
                pair.map(|(section, name)| given.iter().find(|s| s.key.section == section && s.key.name == name));
            if let [Some(a), Some(b)] = both {
                return Err(exclusive(&a.key.title(), &b.key.title()));
            }
            if both.iter().any(Option::is_some) {
                self.list.retain(|s| !pair.contains(&(s.key.section, s.key.name)));
            }
        }
        for setting in given {
            if setting.key.kind == Kind::Starts {
                if let Value::Text(text) = &setting.value {
                    self.parameters.apply_starts(text)?;
                }
                continue;
            }
            self.list.retain(|known| !std::ptr::eq(known.key, setting.key));
            self.list.push(setting);
        }
        if let Some(text) = &flags.bounds {
            self.parameters.apply_bounds(text)?;
        }
        flags.fix.as_deref().map_or(Ok(()), |text| self.parameters.apply_fixed(text))
    }

    fn refuse_alternatives(&self) -> Result<(), JobError> {
        for [a, b] in ALTERNATIVES {
            if let (Some(first), Some(second)) = (self.setting(a.0, a.1), self.setting(b.0, b.1)) {
                let message = exclusive(&first.key.path(), &second.key.path()).to_string();
                return Err(self.error_at(&second.origin, message));
            }
        }
        Ok(())
    }

    /// The job file.
    pub fn file(&self) -> Option<&JobFile> {
        self.file.as_ref()
    }

    /// The directory that relative paths of the job file start from; without one the current directory.
    pub fn directory(&self) -> Result<PathBuf, JobError> {
        match &self.file {
            None => absolute(Path::new(".")),
            Some(file) => {
                let path = absolute(&file.path)?;
                Ok(path.parent().map(Path::to_path_buf).unwrap_or(path))
            }
        }
    }

    /// An error about what was set under this key, pointing to where it was set.
    pub fn error(&self, section: &str, name: &str, message: impl Into<String>) -> JobError {
        match self.setting(section, name) {
            Some(setting) => self.error_at(&setting.origin, message.into()),
            None => JobError::usage(message),
        }
    }

    fn error_at(&self, origin: &Origin, message: String) -> JobError {
        match (origin, &self.file) {
            (Origin::File(span), Some(file)) => file.error(span.clone(), message, None),
            _ => JobError::usage(message),
        }
    }

    fn setting(&self, section: &str, name: &str) -> Option<&Setting> {
        self.list.iter().find(|setting| setting.key.section == section && setting.key.name == name)
    }

    /// Whether it was set.
    pub fn is_set(&self, section: &str, name: &str) -> bool {
        self.setting(section, name).is_some()
    }

    /// Whether it was set by a flag.
    pub fn is_flag(&self, section: &str, name: &str) -> bool {
        self.setting(section, name).is_some_and(|setting| setting.origin == Origin::Flag)
    }

    /// A text, if it was set.
    pub fn text(&self, section: &str, name: &str) -> Option<String> {
        match &self.setting(section, name)?.value {
            Value::Text(text) => Some(text.clone()),
            other => panic!("{section}.{name} is read as text but holds {other:?}"),
        }
    }

    /// A list; empty if it was not set.
    pub fn list(&self, section: &str, name: &str) -> Vec<String> {
        match self.setting(section, name).map(|setting| &setting.value) {
            None => Vec::new(),
            Some(Value::List(list)) => list.clone(),
            Some(other) => panic!("{section}.{name} is read as a list but holds {other:?}"),
        }
    }

    /// A whole number, if it was set.
    pub fn count(&self, section: &str, name: &str) -> Option<u64> {
        match self.setting(section, name)?.value {
            Value::Count(count) => Some(count),
            ref other => panic!("{section}.{name} is read as a count but holds {other:?}"),
        }
    }

    /// A range of worker counts, if it was set.
    pub fn workers(&self) -> Option<(usize, usize)> {
        match self.setting("cluster", "workers")?.value {
            Value::Workers(min, max) => Some((min, max)),
            ref other => panic!("cluster.workers is read as a range but holds {other:?}"),
        }
    }

    /// A path, if it was set: of the job file relative to it, of a flag relative to the current directory.
    pub fn path(&self, section: &str, name: &str) -> Result<Option<PathBuf>, JobError> {
        let Some(text) = self.text(section, name) else { return Ok(None) };
        if self.is_flag(section, name) {
            return absolute(Path::new(&text)).map(Some);
        }
        Ok(Some(self.directory()?.join(text)))
    }

    /// What was set, else the default of the table.
    pub fn or_default(&self, section: &str, name: &str) -> Value {
        match self.setting(section, name) {
            Some(setting) => setting.value.clone(),
            None => find(section, name).expect("the key stands in the table").default_value(),
        }
    }

    /// A number, or its default.
    pub fn number(&self, section: &str, name: &str) -> f64 {
        match self.or_default(section, name) {
            Value::Number(number) => number,
            other => panic!("{section}.{name} is read as a number but holds {other:?}"),
        }
    }

    /// A switch, or its default.
    pub fn switch(&self, section: &str, name: &str) -> bool {
        match self.or_default(section, name) {
            Value::Switch(on) => on,
            other => panic!("{section}.{name} is read as a switch but holds {other:?}"),
        }
    }

    /// One of the words of a choice, or its default.
    pub fn word(&self, section: &str, name: &str) -> String {
        match self.or_default(section, name) {
            Value::Text(word) => word,
            other => panic!("{section}.{name} is read as a word but holds {other:?}"),
        }
    }
}

/// A path from the root, without touching the disk beyond the current directory's name.
pub fn absolute(path: &Path) -> Result<PathBuf, JobError> {
    let plain = if path == Path::new(".") { Path::new("") } else { path };
    let found = if plain.as_os_str().is_empty() { std::env::current_dir() } else { std::path::absolute(plain) };
    found.map_err(|error| JobError::usage(format!("cannot tell where {} is: {error}", path.display())))
}

fn read_flags(flags: &JobFlags) -> Result<Vec<Setting>, JobError> {
    let read = |(key, texts): &(&'static Key, Vec<String>)| {
        read_flag(key, texts).map(|value| Setting { key, value, origin: Origin::Flag })
    };
    flags.given.iter().map(read).collect()
}

fn read_flag(key: &'static Key, texts: &[String]) -> Result<Value, JobError> {
    if key.kind == Kind::Switch {
        return Ok(Value::Switch(true));
    }
    let flag = key.flag.expect("it was given as a flag");
    for text in texts {
        let is_flag = |name: &str| KEYS.iter().any(|key| key.flag == Some(name)) || name == "bounds" || name == "fix";
        if text.strip_prefix("--").is_some_and(is_flag) {
            return Err(JobError::usage(format!("--{flag}: expected a value, found the flag {text}")));
        }
        key.kind
            .read_text(text)
            .map_err(|expected| JobError::usage(format!("--{flag}: expected {expected}, found \"{text}\"")))?;
    }
    match (key.kind, texts) {
        (Kind::Files | Kind::Columns, _) => Ok(Value::List(texts.to_vec())),
        (kind, [text]) => Ok(kind.read_text(text).expect("it was checked above")),
        _ => Err(JobError::usage(format!("--{flag} is given {} times; expected once", texts.len()))),
    }
}

fn exclusive(first: &str, second: &str) -> JobError {
    JobError::usage(format!("{first} and {second} exclude each other; expected one of them"))
}
