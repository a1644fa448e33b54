//! Flags of a job, made from the table of keys.

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::keys::{KEYS, Key};
use super::value::Kind;

/// The flags as given, not yet read.
#[derive(Clone, Debug, Default)]
pub struct JobFlags {
    /// Texts of the flags that have a key; a switch has none.
    pub given: Vec<(&'static Key, Vec<String>)>,
    /// `--bounds`.
    pub bounds: Option<String>,
    /// `--fix`.
    pub fix: Option<String>,
}

impl JobFlags {
    /// Whether a list was given whose last item is a job file: it was meant to stand before the flags.
    pub fn swallowed_job_file(&self) -> Option<(&'static Key, &str)> {
        self.given.iter().find_map(|(key, texts)| {
            let last = texts.last()?;
            (key.kind == Kind::Files && last.ends_with(".toml")).then_some((*key, last.as_str()))
        })
    }
}

fn arg(key: &'static Key, flag: &'static str) -> Arg {
    let mut help = key.doc.to_string();
    if let Kind::Choice(words) = key.kind {
        help += &format!(": {}", words.join(", "));
    }
    if !key.default.is_empty() && key.kind != Kind::Switch {
        help += &format!(" [{}]", key.default);
    }
    let arg = Arg::new(flag).long(flag).help(help).help_heading(heading(key)).value_name(key.placeholder);
    match key.kind {
        Kind::Switch => arg.action(ArgAction::SetTrue),
        Kind::Files => arg.action(ArgAction::Append).num_args(1..),
        Kind::Columns => arg.action(ArgAction::Append).allow_hyphen_values(true),
        _ => arg.action(ArgAction::Set).allow_hyphen_values(true),
    }
}

const MODEL: &str = "Model and parameters";

fn heading(key: &Key) -> &'static str {
    match key.section {
        _ if key.kind == Kind::Starts => MODEL,
        "model" => MODEL,
        "data" => "Data",
        "cluster" => "Workers",
        "checkpoint" => "Output",
        "output" => "Output",
        _ => "Fit",
    }
}

fn pairs(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(placeholder)
        .help(help)
        .help_heading(MODEL)
        .value_parser(NonEmptyStringValueParser::new())
        .allow_hyphen_values(true)
}

impl Args for JobFlags {
    fn augment_args(command: Command) -> Command {
        let mut command = command;
        for key in KEYS {
            if let Some(flag) = key.flag {
                command = command.arg(arg(key, flag));
            }
            if key.flag == Some("p0") {
                command = command
                    .arg(pairs("bounds", "'a=0:10,b=:5,c=1:'", "Bounds MIN:MAX; an empty side is open"))
                    .arg(pairs("fix", "'c=0.5'", "Parameters kept at a value; they need no start"));
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for JobFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = JobFlags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.given.clear();
        for key in KEYS {
            let Some(flag) = key.flag else { continue };
            if key.kind == Kind::Switch {
                if matches.get_flag(flag) {
                    self.given.push((key, Vec::new()));
                }
            } else if let Some(texts) = matches.get_many::<String>(flag) {
                self.given.push((key, texts.cloned().collect()));
            }
        }
        self.bounds = matches.get_one::<String>("bounds").cloned();
        self.fix = matches.get_one::<String>("fix").cloned();
        Ok(())
    }
}
