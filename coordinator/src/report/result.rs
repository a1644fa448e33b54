//! result.json, schema 1: numbers read back to the same bits; what is not finite or not defined is null.

use nlsq_engine::covariance::Kind;
use nlsq_engine::health::Health;
use nlsq_engine::loss::LossKind;
use nlsq_engine::summary::{Phase, Side, Status};
use serde::{Deserialize, Serialize};

use super::profiles::ProfileResult;
use crate::outcome::{Outcome, ParameterOutcome, Sigma};

/// The schema that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// Up to this many parameters the correlation stands in result.json; beyond, covariance.npy holds the same in less space.
pub const CORRELATION_ORDER: usize = 50;

/// The content of result.json; fields in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields of Outcome, where they are described
pub struct RunResult {
    pub schema: u32,
    pub status: Status,
    pub reason: String,
    pub model: String,
    pub n_points: u64,
    pub n_used: u64,
    pub n_masked: u64,
    pub n_nonfinite: u64,
    pub n_parameters: usize,
    pub dof: u64,
    pub parameters: Vec<ParameterResult>,
    #[serde(default)]
    pub loss: LossKind,
    /// S of the cost: as given, or as estimated last. Null under the linear loss, which has none.
    pub loss_scale: Option<f64>,
    pub cost: Option<f64>,
    /// What the spread within groups of parameters adds to it; null without groups.
    #[serde(default)]
    pub penalty: Option<f64>,
    pub rss: Option<f64>,
    pub reduced_chi2: Option<f64>,
    pub residual_stddev: Option<f64>,
    pub r_squared: Option<f64>,
    pub gradient_norm: Option<f64>,
    pub condition_number: Option<f64>,
    #[serde(default)]
    pub covariance_kind: Kind,
    pub confidence: Option<f64>,
    pub sigma: Option<Sigma>,
    /// Row by row, null where there is no standard error; as a whole where it is left to covariance.npy.
    pub correlation: Option<Vec<Vec<Option<f64>>>>,
    pub health: Option<Health>,
    pub passes: u64,
    pub iterations: u64,
    pub phases: Vec<PhaseResult>,
    pub warnings: Vec<String>,
    #[serde(default)]
    pub profiles: Vec<ProfileResult>,
    pub notes: Vec<String>,
    pub device: String,
    pub precision: String,
    pub workers: usize,
    pub generations: u64,
    pub seconds: SecondsResult,
}

/// One parameter in result.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ParameterResult {
    pub name: String,
    pub value: Option<f64>,
    pub stderr: Option<f64>,
    pub ci: Option<[f64; 2]>,
    pub start: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub fixed: bool,
    pub at_bound: Option<Side>,
}

/// One phase in result.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PhaseResult {
    pub name: Phase,
    pub passes: u64,
}

/// Where the time went, in result.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SecondsResult {
    pub total: Option<f64>,
    pub read: Option<f64>,
    pub compute: Option<f64>,
    pub reduce: Option<f64>,
    pub checkpoint: Option<f64>,
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

impl From<&ParameterOutcome> for ParameterResult {
    fn from(p: &ParameterOutcome) -> Self {
        Self {
            name: p.name.clone(),
            value: finite(p.value),
            stderr: p.stderr.and_then(finite),
            ci: p.ci.filter(|ends| ends.iter().all(|end| end.is_finite())),
            start: finite(p.start),
            min: finite(p.min),
            max: finite(p.max),
            fixed: p.fixed,
            at_bound: p.at_bound,
        }
    }
}

impl From<&Outcome> for RunResult {
    fn from(outcome: &Outcome) -> Self {
        let seconds = &outcome.seconds;
        Self {
            schema: SCHEMA,
            status: outcome.status,
            reason: outcome.reason.clone(),
            model: outcome.model.clone(),
            n_points: outcome.counts.points(),
            n_used: outcome.counts.used,
            n_masked: outcome.counts.masked,
            n_nonfinite: outcome.counts.nonfinite,
            n_parameters: outcome.n_free,
            dof: outcome.dof,
            parameters: outcome.parameters.iter().map(ParameterResult::from).collect(),
            loss: outcome.loss.kind,
            loss_scale: finite(outcome.loss.scale).filter(|_| outcome.loss.kind != LossKind::Linear),
            cost: finite(outcome.cost),
            penalty: outcome.penalty.and_then(finite),
            rss: finite(outcome.rss),
            reduced_chi2: finite(outcome.reduced_chi2),
            residual_stddev: finite(outcome.residual_stddev),
            r_squared: finite(outcome.r_squared),
            gradient_norm: finite(outcome.gradient_norm),
            condition_number: outcome.condition_number.and_then(finite),
            covariance_kind: outcome.covariance_kind,
            confidence: finite(outcome.confidence),
            sigma: Some(outcome.sigma),
            correlation: correlation_rows(outcome),
            health: outcome.health.clone(),
            passes: outcome.passes,
            iterations: outcome.iterations,
            phases: outcome.phases.iter().map(|&(name, passes)| PhaseResult { name, passes }).collect(),
            warnings: outcome.warnings.clone(),
            profiles: outcome.profiles.iter().map(ProfileResult::from).collect(),
            notes: outcome.notes.clone(),
            device: outcome.device.clone(),
            precision: outcome.precision.clone(),
            workers: outcome.workers,
            generations: outcome.generations,
            seconds: SecondsResult {
                total: finite(seconds.total),
                read: finite(seconds.read),
                compute: finite(seconds.compute),
                reduce: finite(seconds.reduce),
                checkpoint: finite(seconds.checkpoint),
            },
        }
    }
}

/// The correlation as rows, up to [`CORRELATION_ORDER`] parameters.
fn correlation_rows(outcome: &Outcome) -> Option<Vec<Vec<Option<f64>>>> {
    let p = outcome.parameters.len();
    (p <= CORRELATION_ORDER).then(|| outcome.correlation.chunks(p).map(<[_]>::to_vec).collect())
}

impl RunResult {
    /// As text, one key a line, with a line break at the end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a result has text keys only and so is lawful JSON");
        text + "\n"
    }

    /// From text; the error says what is wrong and where.
    pub fn from_json(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let version: Version = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if version.schema != SCHEMA {
            return Err(format!("it has schema {}; this program reads schema {SCHEMA}", version.schema));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// The status as result.json writes it.
pub fn status_name(status: Status) -> &'static str {
    match status {
        Status::Converged => "converged",
        Status::MaxPasses => "max_passes",
        Status::Stalled => "stalled",
        Status::Interrupted => "interrupted",
        Status::Failed => "failed",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::outcome::Seconds;
    use nlsq_engine::health::{Component, Identifiability};
    use nlsq_engine::loss::Loss;
    use nlsq_engine::normal::Counts;

    /// An outcome with awkward numbers.
    pub(crate) fn outcome() -> Outcome {
        let parameter = |name: &str, value, stderr| ParameterOutcome {
            name: name.into(),
            value,
            stderr,
            ci: stderr.map(|stderr| [value - 2.0 * stderr, value + 2.0 * stderr]),
            start: 1.0,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            fixed: false,
            at_bound: None,
        };
        Outcome {
            status: Status::Converged,
            reason: "xtol: step 1e-12 <= 1e-10".into(),
            model: "a*exp(-b*t) + c".into(),
            parameters: vec![
                parameter("a", 2.000_123_456_789_012_3, Some(0.001_234_5)),
                ParameterOutcome { min: 0.0, at_bound: Some(Side::Min), ..parameter("b", 0.0, None) },
                ParameterOutcome { fixed: true, ..parameter("c", 0.1 + 0.2, None) },
            ],
            counts: Counts { used: 990, masked: 7, nonfinite: 3 },
            n_free: 2,
            dof: 988,
            cost: 1.234_567_890_123_456_7e-300,
            penalty: None,
            rss: 5e-324,
            reduced_chi2: 0.1,
            residual_stddev: f64::MAX,
            r_squared: f64::NAN,
            gradient_norm: f64::INFINITY,
            condition_number: Some(12.5),
            covariance: vec![1.5e-6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            covariance_kind: Kind::Classic,
            correlation: vec![Some(1.0), None, None, None, None, None, None, None, None],
            confidence: 0.95,
            sigma: Sigma::Relative,
            loss: Loss { kind: LossKind::Cauchy, scale: 0.25 },
            health: Some(Health {
                identifiability: Identifiability {
                    rank: 1,
                    directions: 1,
                    condition: Some(1.0),
                    weakest: vec![Component { parameter: "a".into(), component: 1.0 }],
                },
                gradient_balance: Some(1.0),
                stagnation: 2,
                sloppiness: Some(0.0),
                lag1: Some(0.0123),
            }),
            passes: 9,
            iterations: 7,
            phases: vec![(Phase::Refine, 9)],
            warnings: vec!["b ends at its lower bound 0".into()],
            profiles: Vec::new(),
            notes: vec!["second descent from the start".into()],
            device: "cpu".into(),
            precision: "f64".into(),
            workers: 2,
            generations: 1,
            seconds: Seconds { total: 1.5, read: 1.0, compute: 0.25, reduce: 0.125, checkpoint: 0.0 },
        }
    }

    #[test]
    fn numbers_read_back_to_the_same_bits() {
        let result = RunResult::from(&outcome());
        let back = RunResult::from_json(&result.to_json()).unwrap();
        assert_eq!(back, result);
        assert_eq!(back.rss.unwrap().to_bits(), 5e-324f64.to_bits());
        assert_eq!(back.parameters[0].value.unwrap().to_bits(), 2.000_123_456_789_012_3f64.to_bits());
    }

    #[test]
    fn what_is_not_finite_is_null() {
        let text = RunResult::from(&outcome()).to_json();
        assert!(text.contains("\"r_squared\": null") && text.contains("\"gradient_norm\": null"));
        assert!(text.contains("\"at_bound\": \"min\"") && text.contains("\"status\": \"converged\""));
        assert!(text.contains("\"name\": \"refine\""));
    }

    #[test]
    fn keys_stand_in_the_order_of_the_contract() {
        let text = RunResult::from(&outcome()).to_json();
        let order = [
            "schema",
            "status",
            "reason",
            "model",
            "n_points",
            "n_used",
            "n_masked",
            "n_nonfinite",
            "n_parameters",
            "dof",
            "parameters",
            "loss",
            "loss_scale",
            "cost",
            "penalty",
            "rss",
            "reduced_chi2",
            "residual_stddev",
            "r_squared",
            "gradient_norm",
            "condition_number",
            "covariance_kind",
            "confidence",
            "sigma",
            "correlation",
            "health",
            "passes",
            "iterations",
            "phases",
            "warnings",
            "profiles",
            "notes",
            "device",
            "precision",
            "workers",
            "generations",
            "seconds",
        ];
        let keys: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  \"")?.split('"').next()).collect();
        assert_eq!(keys, order);
    }

    #[test]
    fn another_schema_is_refused() {
        assert!(RunResult::from_json("{\"schema\": 2}").unwrap_err().contains("schema 2"));
        assert!(RunResult::from_json("{").is_err());
    }

    #[test]
    fn status_names_are_those_of_json() {
        for status in [Status::Converged, Status::MaxPasses, Status::Stalled, Status::Interrupted, Status::Failed] {
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{}\"", status_name(status)));
        }
    }
}
