//! What is fitted to what: all that decides the bits of a result, and how two of these differ.

use nlsq_engine::data::fingerprint::Part;
use nlsq_engine::data::source::TileSource;
use nlsq_engine::params::{Parameter, Parameters};
use nlsq_worker::handshake::RunId;

use super::error::CheckpointError;
use crate::fit::Problem;

/// What is fitted to what.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Identity {
    /// The run.
    pub run: RunId,
    /// The version of the program that began it.
    pub program: String,
    /// The model's expression.
    pub model: String,
    /// The parameters, starts resolved.
    pub parameters: Parameters,
    /// Settings that matter to the numbers, by the names of their keys.
    pub settings: Vec<(String, String)>,
    /// Names of the columns: the variables, the response, its weight, the mask.
    pub columns: Vec<String>,
    /// Rows of the data.
    pub n_points: u64,
    /// Of what the data are made.
    pub parts: Vec<Part>,
}

impl Identity {
    /// That of a problem over a source; `data` says, by the names of keys, what the columns are made of.
    pub(crate) fn new(
        problem: &Problem,
        source: &dyn TileSource,
        data: Vec<(String, String)>,
    ) -> Result<Self, CheckpointError> {
        let layout = source.layout();
        let mut settings = problem.decisive_settings();
        settings.extend(data);
        Ok(Self {
            run: RunId::random().map_err(|error| CheckpointError::Randomness(error.to_string()))?,
            program: env!("CARGO_PKG_VERSION").to_string(),
            model: problem.model.expression.clone(),
            parameters: problem.parameters.clone(),
            settings,
            columns: (0..layout.width()).map(|column| layout.name(column).to_string()).collect(),
            n_points: source.n_points(),
            parts: source.parts()?,
        })
    }

    /// What a run with this identity and one with the other disagree on, each with both values.
    pub(crate) fn differences(&self, now: &Self) -> Differences {
        let mut found = Differences::default();
        found.compare("model.expression", &self.model, &now.model);
        found.compare("data columns", &self.columns.join(", "), &now.columns.join(", "));
        let nothing = String::from("nothing");
        for (key, then) in &self.settings {
            found.compare(key, then, value_of(&now.settings, key).unwrap_or(&nothing));
        }
        for (key, value) in &now.settings {
            if value_of(&self.settings, key).is_none() {
                found.compare(key, &nothing, value);
            }
        }
        self.compare_parameters(now, &mut found);
        found.compare("rows of the data", &self.n_points.to_string(), &now.n_points.to_string());
        self.compare_parts(now, &mut found);
        found
    }

    fn compare_parameters(&self, now: &Self, found: &mut Differences) {
        let (then, now) = (self.parameters.all(), now.parameters.all());
        let names = |all: &[Parameter]| all.iter().map(|p| p.name.clone()).collect::<Vec<_>>().join(", ");
        found.compare("parameters", &names(then), &names(now));
        for (then, now) in then.iter().zip(now).filter(|(then, now)| then.name == now.name && then != now) {
            found.compare(&format!("parameters.{}", then.name), &parameter_text(then), &parameter_text(now));
        }
    }

    fn compare_parts(&self, now: &Self, found: &mut Differences) {
        found.compare("number of data files", &self.parts.len().to_string(), &now.parts.len().to_string());
        if self.parts.len() != now.parts.len() {
            return;
        }
        for (then, now) in self.parts.iter().zip(&now.parts) {
            if then.name != now.name {
                found.moved.push(both("data file", &then.name, &now.name));
            }
            found.compare(&format!("length of {}", now.name), &then.bytes.to_string(), &now.bytes.to_string());
            found.compare(&format!("rows of {}", now.name), &then.rows.to_string(), &now.rows.to_string());
            if (then.digest, &then.kind) != (now.digest, &now.kind) && then.bytes == now.bytes {
                found.other.push(format!("the content of {} has changed ({})", now.name, now.kind));
            }
        }
    }
}

/// What two identities disagree on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    /// Names of data files.
    pub(crate) moved: Vec<String>,
    /// All else.
    pub(crate) other: Vec<String>,
}

impl Differences {
    fn compare(&mut self, what: &str, then: &str, now: &str) {
        if then != now {
            self.other.push(both(what, then, now));
        }
    }
}

fn both(what: &str, then: &str, now: &str) -> String {
    format!("{what}: the run has {then}, now it is {now}")
}

fn value_of<'a>(settings: &'a [(String, String)], key: &str) -> Option<&'a String> {
    settings.iter().find(|(known, _)| known == key).map(|(_, value)| value)
}

fn parameter_text(p: &Parameter) -> String {
    let fixed = if p.fixed { "fixed at" } else { "start" };
    format!("{fixed} {:?} in [{:?}, {:?}]", p.start, p.min, p.max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nlsq_engine::data::memory::Memory;
    use nlsq_engine::data::source::{Layout, Weighting};

    fn identity(expression: &str, start: f64, last: f64) -> Identity {
        let free = |name: &str| Parameter {
            name: name.into(),
            start,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            fixed: false,
        };
        let problem = Problem::new(expression, &["t"], vec![free("a"), free("b")]).unwrap();
        let layout = Layout { variables: vec!["t".into()], y: "y".into(), weighting: Weighting::None, mask: None };
        let points = Memory::new(layout, vec![vec![0.0, 1.0], vec![2.0, last]]).unwrap();
        Identity::new(&problem, &points, vec![("data.y".into(), "y".into())]).unwrap()
    }

    #[test]
    fn each_run_has_a_name_of_its_own_and_is_known_again_by_what_it_fits() {
        let (first, second) = (identity("a*t+b", 1.0, 3.0), identity("a*t+b", 1.0, 3.0));
        assert_ne!(first.run, second.run);
        assert_eq!(first.differences(&second), Differences::default());
        assert_eq!(first.run.to_string().len(), 32);
    }

    #[test]
    fn every_difference_is_named_with_both_values() {
        let then = identity("a*t+b", 1.0, 3.0);
        let other = |now: &Identity| then.differences(now).other;
        assert_eq!(other(&identity("a*t-b", 1.0, 3.0)), ["model.expression: the run has a*t+b, now it is a*t-b"]);
        let starts = other(&identity("a*t+b", 2.0, 3.0));
        assert_eq!(starts[0], "parameters.a: the run has start 1.0 in [-inf, inf], now it is start 2.0 in [-inf, inf]");
        assert_eq!(other(&identity("a*t+b", 1.0, 4.0)), ["the content of memory has changed (blake3 of all values)"]);
        let mut now = then.clone();
        for setting in &mut now.settings {
            if setting.0 == "fit.max_passes" {
                setting.1 = "7".into();
            }
        }
        assert_eq!(other(&now), ["fit.max_passes: the run has 200, now it is 7"]);
        now.settings.retain(|(key, _)| key != "data.y" && key != "fit.max_passes");
        assert!(other(&now).contains(&"data.y: the run has y, now it is nothing".to_string()));
        let mut now = then.clone();
        now.parts[0].name = "elsewhere".into();
        let found = then.differences(&now);
        assert_eq!(
            (found.other.len(), found.moved),
            (0, vec!["data file: the run has memory, now it is elsewhere".into()])
        );
    }
}
