//! Starts, bounds and fixed values: the texts of `--p0`, `--bounds` and `--fix`, and how they meet the model's parameters.

use super::error::JobError;
use super::job_file::{JobFile, Span};
use nlsq_engine::params::{Parameter, Parameters, ParametersError};

/// Where a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Here.
    Given(f64),
    /// Wherever a built-in model's estimate from the data says.
    Auto,
}

/// One parameter of the model with all that was said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSetting {
    /// Its name.
    pub name: String,
    /// Its start, or its value if fixed.
    pub start: Start,
    /// Lower bound, `-inf` if there is none.
    pub min: f64,
    /// Upper bound, `+inf` if there is none.
    pub max: f64,
    /// Whether it is kept at its start.
    pub fixed: bool,
}

impl ParameterSetting {
    /// As the engine takes it, with this start where the person gave none.
    pub fn resolve(&self, estimate: f64) -> Parameter {
        let start = match self.start {
            Start::Given(start) => start,
            Start::Auto => estimate.max(self.min).min(self.max),
        };
        Parameter { name: self.name.clone(), start, min: self.min, max: self.max, fixed: self.fixed }
    }
}

/// What was said about one name, before it is known whether the model has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Where it was first said, if in the job file.
    pub place: Option<Span>,
    /// Its start.
    pub start: Option<Start>,
    /// Lower bound.
    pub min: Option<f64>,
    /// Upper bound.
    pub max: Option<f64>,
    /// Its value if it is fixed.
    pub fixed: Option<f64>,
}

/// All that was said about parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entries {
    list: Vec<Entry>,
    /// Whether starts that were not given are to be estimated.
    pub auto: bool,
}

/// The built-in model's own bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultBounds {
    /// Parameter.
    pub name: String,
    /// Lower bound.
    pub min: f64,
    /// Upper bound.
    pub max: f64,
}

impl Entries {
    /// The entry of this name, made if there is none.
    pub fn entry(&mut self, name: &str) -> &mut Entry {
        let position = self.list.iter().position(|entry| entry.name == name).unwrap_or_else(|| {
            self.list.push(Entry { name: name.to_string(), ..Entry::default() });
            self.list.len() - 1
        });
        &mut self.list[position]
    }

    /// Names with a start or a fixed value.
    pub fn valued_names(&self) -> Vec<String> {
        let valued = self.list.iter().filter(|entry| entry.start.is_some() || entry.fixed.is_some());
        valued.map(|entry| entry.name.clone()).collect()
    }

    /// The first parameter that somebody bounded, not counting fixed ones.
    pub fn bounded(&self) -> Option<&str> {
        let is_bound = |entry: &&Entry| {
            let finite = |bound: Option<f64>| bound.is_some_and(f64::is_finite);
            entry.fixed.is_none() && (finite(entry.min) || finite(entry.max))
        };
        self.list.iter().find(is_bound).map(|entry| entry.name.as_str())
    }

    /// `--p0`: starts of some parameters, or `auto` for all.
    pub fn apply_starts(&mut self, text: &str) -> Result<(), JobError> {
        if text.trim() == "auto" {
            self.auto = true;
            self.list.iter_mut().for_each(|entry| entry.start = None);
            return Ok(());
        }
        for (name, value) in items("--p0", text, "NAME=NUMBER, or auto alone")? {
            self.entry(name).start = Some(Start::Given(finite("--p0", name, value)?));
        }
        Ok(())
    }

    /// `--bounds`: both bounds of some parameters; an empty side is open.
    pub fn apply_bounds(&mut self, text: &str) -> Result<(), JobError> {
        for (name, value) in items("--bounds", text, "NAME=MIN:MAX with one side possibly empty")? {
            let refuse = || {
                JobError::usage(format!(
                    "--bounds: the bounds of \"{name}\" are \"{value}\"; expected MIN:MAX with one side possibly empty, such as 0:10, :5 or 1:"
                ))
            };
            let (min, max) = value.split_once(':').ok_or_else(refuse)?;
            let side = |text: &str, open: f64| match text.trim() {
                "" => Ok(open),
                text => text.parse::<f64>().ok().filter(|v| v.is_finite() || *v == open).ok_or_else(refuse),
            };
            if min.trim().is_empty() && max.trim().is_empty() {
                return Err(refuse());
            }
            let (min, max) = (side(min, f64::NEG_INFINITY)?, side(max, f64::INFINITY)?);
            let entry = self.entry(name);
            (entry.min, entry.max) = (Some(min), Some(max));
        }
        Ok(())
    }

    /// `--fix`: values of fixed parameters.
    pub fn apply_fixed(&mut self, text: &str) -> Result<(), JobError> {
        for (name, value) in items("--fix", text, "NAME=NUMBER")? {
            self.entry(name).fixed = Some(finite("--fix", name, value)?);
        }
        Ok(())
    }

    /// Puts what was said beside the model's parameters, in the model's order.
    pub fn resolve(
        &self,
        model: &[String],
        defaults: &[DefaultBounds],
        file: Option<&JobFile>,
    ) -> Result<Vec<ParameterSetting>, JobError> {
        if let Some(entry) = self.list.iter().find(|entry| !model.contains(&entry.name)) {
            return Err(unknown(entry, model, file));
        }
        let mut missing = Vec::new();
        let mut settings = Vec::new();
        for name in model {
            let empty = Entry::default();
            let entry = self.list.iter().find(|entry| entry.name == *name).unwrap_or(&empty);
            let default = defaults.iter().find(|default| default.name == *name);
            let start = match (entry.fixed, entry.start) {
                (Some(value), _) => Start::Given(value),
                (None, Some(start)) => start,
                (None, None) if self.auto => Start::Auto,
                (None, None) => {
                    missing.push(name.as_str());
                    continue;
                }
            };
            settings.push(ParameterSetting {
                name: name.clone(),
                start,
                min: entry.min.unwrap_or(default.map_or(f64::NEG_INFINITY, |d| d.min)),
                max: entry.max.unwrap_or(default.map_or(f64::INFINITY, |d| d.max)),
                fixed: entry.fixed.is_some(),
            });
        }
        if missing.is_empty() {
            self.check(&settings, file)?;
            return Ok(settings);
        }
        Err(without_start(&missing, model))
    }

    /// Reports reversed bounds and starts outside them where they stand.
    fn check(&self, settings: &[ParameterSetting], file: Option<&JobFile>) -> Result<(), JobError> {
        let inside = |setting: &ParameterSetting| if setting.min.is_finite() { setting.min } else { 0.0 };
        let parameters = settings.iter().map(|setting| setting.resolve(inside(setting))).collect();
        let Err(error) = Parameters::new(parameters) else { return Ok(()) };
        let name = match &error {
            ParametersError::Reversed { name, .. }
            | ParametersError::Pinned { name, .. }
            | ParametersError::NotANumber { name }
            | ParametersError::NonFiniteStart { name, .. }
            | ParametersError::Outside { name, .. } => name,
            ParametersError::NothingFree => return Err(error.into()),
        };
        let place = self.list.iter().find(|entry| entry.name == *name).and_then(|entry| entry.place.clone());
        match (file, place) {
            (Some(file), Some(place)) => Err(file.error(place, error.to_string(), None)),
            _ => Err(error.into()),
        }
    }
}

/// Splits `a=1,b=2` into names and values; names come once.
fn items<'a>(flag: &str, text: &'a str, expected: &str) -> Result<Vec<(&'a str, &'a str)>, JobError> {
    let mut items: Vec<(&str, &str)> = Vec::new();
    for (index, item) in text.split(',').enumerate() {
        let refuse =
            || JobError::usage(format!("{flag}: item {} is \"{}\"; expected {expected}", index + 1, item.trim()));
        let (name, value) = item.split_once('=').ok_or_else(refuse)?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || value.is_empty() {
            return Err(refuse());
        }
        if items.iter().any(|(known, _)| *known == name) {
            return Err(JobError::usage(format!("{flag}: \"{name}\" is given twice; expected each name once")));
        }
        items.push((name, value));
    }
    Ok(items)
}

fn finite(flag: &str, name: &str, value: &str) -> Result<f64, JobError> {
    value.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| {
        JobError::usage(format!("{flag}: the value of \"{name}\" is \"{value}\"; expected a finite number"))
    })
}

fn unknown(entry: &Entry, model: &[String], file: Option<&JobFile>) -> JobError {
    let mut known: Vec<&str> = model.iter().map(String::as_str).collect();
    // nearest first; equal similarities keep the model's order
    known.sort_by(|a, b| strsim::jaro_winkler(&entry.name, b).total_cmp(&strsim::jaro_winkler(&entry.name, a)));
    let message = format!("the model has no parameter \"{}\"", entry.name);
    let help = format!("it has {}", known.join(", "));
    match (file, &entry.place) {
        (Some(file), Some(place)) => file.error(place.clone(), message, Some(help)),
        _ => JobError::usage_with_help(message, help),
    }
}

fn without_start(missing: &[&str], model: &[String]) -> JobError {
    let plural = if missing.len() == 1 { "" } else { "s" };
    let named: Vec<String> = missing.iter().map(|name| format!("\"{name}\"")).collect();
    let example: Vec<String> = missing.iter().map(|name| format!("{name}=...")).collect();
    JobError::usage_with_help(
        format!("no start for parameter{plural} {}; the model's parameters are {}", named.join(", "), model.join(", ")),
        format!(
            "give --p0 '{}', or --fix to keep a parameter at a value; a name meant as a variable belongs into --x",
            example.join(",")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(names: &str) -> Vec<String> {
        names.split(' ').map(String::from).collect()
    }

    fn message(error: JobError) -> String {
        format!("{error} | {}", error.help().unwrap_or("-"))
    }

    #[test]
    fn texts_meet_the_model() {
        let mut entries = Entries::default();
        entries.apply_starts(" a=1, b = -2.5e-3 ").unwrap();
        entries.apply_bounds("a=0:10,b=:5").unwrap();
        entries.apply_fixed("c=0.5").unwrap();
        let settings = entries.resolve(&model("c a b"), &[], None).unwrap();
        assert_eq!(
            settings[0],
            ParameterSetting {
                name: "c".into(),
                start: Start::Given(0.5),
                min: f64::NEG_INFINITY,
                max: f64::INFINITY,
                fixed: true
            }
        );
        assert_eq!((settings[1].min, settings[1].max), (0.0, 10.0));
        assert_eq!(
            (settings[2].start, settings[2].min, settings[2].max),
            (Start::Given(-2.5e-3), f64::NEG_INFINITY, 5.0)
        );
    }

    #[test]
    fn a_fixed_value_wins_over_a_start() {
        let mut entries = Entries::default();
        entries.apply_starts("a=1,b=2").unwrap();
        entries.apply_fixed("a=7").unwrap();
        let settings = entries.resolve(&model("a b"), &[], None).unwrap();
        assert_eq!((settings[0].start, settings[0].fixed), (Start::Given(7.0), true));
    }

    #[test]
    fn faults_name_the_item() {
        let expect = |apply: fn(&mut Entries, &str) -> Result<(), JobError>, text: &str, fragment: &str| {
            let error = apply(&mut Entries::default(), text).unwrap_err().to_string();
            assert!(error.contains(fragment), "{text}: {error}");
        };
        expect(Entries::apply_starts, "a=1,b", "--p0: item 2 is \"b\"; expected NAME=NUMBER");
        expect(Entries::apply_starts, "a=1,,b=2", "item 2 is \"\"");
        expect(Entries::apply_starts, "a=x", "value of \"a\" is \"x\"; expected a finite number");
        expect(Entries::apply_starts, "a=inf", "expected a finite number");
        expect(Entries::apply_starts, "a=1,a=2", "\"a\" is given twice");
        expect(Entries::apply_bounds, "a=5", "bounds of \"a\" are \"5\"; expected MIN:MAX");
        expect(Entries::apply_bounds, "a=:", "expected MIN:MAX");
        expect(Entries::apply_bounds, "a=inf:3", "expected MIN:MAX");
        expect(Entries::apply_fixed, "c", "--fix: item 1 is \"c\"; expected NAME=NUMBER");
    }

    #[test]
    fn unknown_and_missing_names_are_listed() {
        let mut entries = Entries::default();
        entries.apply_starts("rate=1,amp=2").unwrap();
        let error = entries.resolve(&model("offset rates amp"), &[], None).unwrap_err();
        assert_eq!(message(error), "the model has no parameter \"rate\" | it has rates, amp, offset");
        let error = entries.resolve(&model("rate b amp c"), &[], None).unwrap_err();
        assert!(message(error).starts_with(
            "no start for parameters \"b\", \"c\"; the model's parameters are rate, b, amp, c | give --p0 'b=...,c=...'"
        ));
    }

    #[test]
    fn bounds_and_starts_are_checked() {
        let check = |starts: &str, bounds: &str| {
            let mut entries = Entries::default();
            entries.apply_starts(starts).unwrap();
            entries.apply_bounds(bounds).unwrap();
            entries.resolve(&model("a"), &[], None).map_err(|error| error.to_string())
        };
        assert!(check("a=1", "a=3:2").unwrap_err().contains("reversed"));
        assert!(check("a=1", "a=2:3").unwrap_err().contains("outside"));
        assert!(check("a=2", "a=2:3").is_ok());
        assert!(check("auto", "a=3:2").unwrap_err().contains("reversed"));
    }

    #[test]
    fn defaults_hold_where_nothing_was_said() {
        let mut entries = Entries::default();
        entries.apply_starts("w=1").unwrap();
        let defaults = [DefaultBounds { name: "w".into(), min: 0.0, max: f64::INFINITY }];
        assert_eq!(entries.resolve(&model("w"), &defaults, None).unwrap()[0].min, 0.0);
        entries.apply_bounds("w=:9").unwrap();
        assert_eq!(entries.resolve(&model("w"), &defaults, None).unwrap()[0].min, f64::NEG_INFINITY);
    }
}
