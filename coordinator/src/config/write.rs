//! A job as a job file that reads back to the same job.

use std::fmt::Write as _;

use super::keys::{KEYS, Key, PARAMETER_KEYS, SECTIONS};
use super::value::Value;
use super::{DEVICES, FitSettings, Job, NONFINITE, PLACEMENTS, PROGRESS, Start, word_of};
use nlsq_engine::covariance::Kind as Covariance;
use nlsq_engine::data::spec::CsvOptions;
use nlsq_engine::hybrid::ScaleRule;
use nlsq_engine::kernel::Solver;
use nlsq_engine::loss::LossKind;
use nlsq_engine::minimize::Method;

impl Job {
    /// The job as it was run, flags merged in; paths are absolute or start from `data.base`, which is absolute.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for section in SECTIONS {
            let mut lines = String::new();
            if section == "parameters" {
                self.write_parameters(&mut lines);
            }
            for key in KEYS.iter().filter(|key| key.section == section) {
                if let Some(value) = self.value(section, key.name) {
                    let _ = writeln!(lines, "{} = {}", key.name, toml_of(&value));
                }
            }
            if !lines.is_empty() {
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ = write!(text, "{gap}[{section}]\n{lines}");
            }
        }
        text
    }

    /// What the job holds for a key of the table; none where it holds nothing.
    fn value(&self, section: &str, name: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::Text(text.to_string()));
        let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| Value::Text(p.display().to_string()));
        let (fit, cluster, output, data) = (&self.fit, &self.cluster, &self.output, &self.data);
        match (section, name) {
            ("model", "expression") => {
                if self.model.builtin.is_none() {
                    text(&self.model.expression)
                } else {
                    None
                }
            }
            ("model", "builtin") => self.model.builtin.clone().map(Value::Text),
            ("data", "files") => (!data.files.is_empty()).then(|| Value::List(data.files.clone())),
            ("data", "x") => Some(Value::List(data.x.clone())),
            ("data", "y") => text(&data.y),
            ("data", "sigma") => data.sigma.clone().map(Value::Text),
            ("data", "weights") => data.weights.clone().map(Value::Text),
            ("data", "mask") => data.mask.clone().map(Value::Text),
            ("data", "csv") => csv_text(&data.csv).map(Value::Text),
            ("data", "base") => text(&data.base.display().to_string()),
            ("fit" | "fit.hybrid", name) => fit.value(section, name),
            ("cluster", "workers") => cluster.workers.map(|(min, max)| Value::Workers(min, max)),
            ("cluster", "listen") => cluster.listen.clone().map(Value::Text),
            ("cluster", "token_file") => path(&cluster.token_file),
            ("cluster", "rendezvous") => path(&cluster.rendezvous),
            ("cluster", "wire") => cluster.wire.and_then(|mode| text(mode.name())),
            ("cluster", "placement") => cluster.workers.and_then(|_| text(word_of(&PLACEMENTS, cluster.placement))),
            ("cluster", name) => cluster.workers.and_then(|_| cluster.endurance.value(name)),
            ("checkpoint", "every_passes") => Some(Value::Count(self.checkpoint.every_passes)),
            ("checkpoint", "keep") => Some(Value::Count(self.checkpoint.keep as u64)),
            ("output", "dir") => path(&output.dir),
            ("output", "overwrite") => Some(Value::Switch(output.overwrite)),
            ("output", "progress") => text(word_of(&PROGRESS, output.progress)),
            ("output", "json") => Some(Value::Switch(output.json)),
            _ => panic!("the key {section}.{name} of the table has no place in a job"),
        }
    }

    fn write_parameters(&self, lines: &mut String) {
        let [start_key, min_key, max_key, value_key, fixed_key] = PARAMETER_KEYS.map(|(key, _)| key);
        for parameter in &self.parameters {
            let start = match parameter.start {
                Start::Given(start) => float(start),
                Start::Auto => "\"auto\"".into(),
            };
            let first = if parameter.fixed { value_key } else { start_key };
            // bounds are always written: an absent one of a built-in model would be its default, not open
            let _ = write!(
                lines,
                "{} = {{ {first} = {start}, {min_key} = {}, {max_key} = {}",
                key_text(&parameter.name),
                float(parameter.min),
                float(parameter.max)
            );
            *lines += &if parameter.fixed { format!(", {fixed_key} = true }}\n") } else { " }\n".to_string() };
        }
    }
}

impl FitSettings {
    /// What is held for a key of `[fit]` or `[fit.hybrid]`; none where nothing is.
    fn value(&self, section: &str, name: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::Text(text.to_string()));
        match (section, name) {
            ("fit", "p0") => None, // starts stand in [parameters]
            ("fit", "method") => text(word_of(&Method::NAMES, self.options.minimizer.method)),
            ("fit", "absolute_sigma") => Some(Value::Switch(self.absolute_sigma)),
            ("fit", "covariance") => text(word_of(&Covariance::NAMES, self.covariance())),
            ("fit", "confidence") => Some(Value::Number(self.confidence.value())),
            ("fit", "loss") => text(word_of(&LossKind::NAMES, self.options.costing.loss.kind)),
            ("fit", "solver") => text(word_of(&Solver::NAMES, self.options.costing.solver)),
            ("fit", "loss_scale") => Some(match self.options.scale {
                ScaleRule::Mad => Value::Text("mad".into()),
                ScaleRule::Given => Value::Number(self.options.costing.loss.scale),
            }),
            ("fit", "nonfinite") => text(word_of(&NONFINITE, self.nonfinite)),
            ("fit", "xtol") => Some(Value::Number(self.options.minimizer.xtol)),
            ("fit", "ftol") => Some(Value::Number(self.options.minimizer.ftol)),
            ("fit", "gtol") => Some(Value::Number(self.options.minimizer.gtol)),
            ("fit", "max_passes") => Some(Value::Count(self.options.minimizer.max_passes)),
            ("fit", "starts") => Some(Value::Count(self.options.starts.starts as u64)),
            ("fit", "seed") => Some(Value::Count(self.options.starts.seed)),
            ("fit", "starts_eliminated") => Some(Value::Number(self.options.starts.eliminated)),
            ("fit", "starts_heat") => Some(Value::Count(self.options.starts.heat)),
            ("fit", "global_population") => Some(Value::Count(self.options.global.population as u64)),
            ("fit", "global_generations") => Some(Value::Count(self.options.global.generations)),
            ("fit", "global_spread") => Some(Value::Number(self.options.global.spread)),
            ("fit", "profile") => (!self.profile.is_empty()).then(|| Value::List(self.profile.clone())),
            ("fit", "precision") => text(self.options.costing.precision.name()),
            ("fit", "device") => text(word_of(&DEVICES, self.device)),
            ("fit", "threads") => self.threads.map(|threads| Value::Count(threads as u64)),
            ("fit", "memory") => self.memory.map(Value::Count),
            ("fit", "tile_points") => Some(Value::Count(self.tile_points)),
            ("fit.hybrid", name @ ("groups" | "group_variance")) => self.groups.value(name),
            ("fit.hybrid", name) => super::hybrid::value(&self.options, name),
            _ => panic!("the key {section}.{name} of the table has no place in a job"),
        }
    }

    /// Every key on which the numbers depend, with its value as a job file has it: all but who evaluates the points.
    pub(crate) fn decisive(&self) -> Vec<(String, String)> {
        let of_fit = |key: &&Key| matches!(key.section, "fit" | "fit.hybrid") && !WHO_EVALUATES.contains(&key.name);
        let value = |key: &Key| Some((key.path(), toml_of(&self.value(key.section, key.name)?)));
        KEYS.iter().filter(of_fit).filter_map(value).collect()
    }
}

impl Job {
    /// What the columns are made of, key by key; the files themselves are compared by their contents.
    pub(crate) fn decisive_data(&self) -> Vec<(String, String)> {
        let of_data = |key: &&Key| key.section == "data" && !["files", "base"].contains(&key.name);
        let value = |key: &Key| Some((key.path(), toml_of(&self.value(key.section, key.name)?)));
        KEYS.iter().filter(of_data).filter_map(value).collect()
    }
}

/// Keys of `[fit]` that change no bit.
const WHO_EVALUATES: [&str; 3] = ["device", "threads", "memory"];

fn toml_of(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::List(items) => format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ")),
        Value::Number(number) => float(*number),
        Value::Count(count) => count.to_string(),
        Value::Switch(on) => on.to_string(),
        Value::Workers(min, max) if min == max => min.to_string(),
        Value::Workers(min, max) => quoted(&format!("{min}..{max}")),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// The shortest text that reads back to the same bits, as TOML has it.
fn float(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    format!("{number:?}")
}

fn key_text(name: &str) -> String {
    let bare = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { name.to_string() } else { quoted(name) }
}

fn csv_text(csv: &CsvOptions) -> Option<String> {
    let mut parts = Vec::new();
    match csv.separator {
        Some(b'\t') => parts.push("sep=tab".to_string()),
        Some(b',') => parts.push("sep=comma".to_string()),
        Some(b' ') => parts.push("sep=space".to_string()),
        Some(byte) => parts.push(format!("sep={}", char::from(byte))),
        None => {}
    }
    parts.extend(csv.comment.map(|byte| format!("comment={}", char::from(byte))));
    if !csv.header {
        parts.push("header=no".to_string());
    }
    (!parts.is_empty()).then(|| parts.join(","))
}
