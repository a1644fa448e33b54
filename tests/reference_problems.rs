//! The curve fits of tests/data/reference/curves_scipy.json, and how well a fit of ours agrees with their answers.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_coordinator::outcome::Outcome;
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::loss::{Loss, LossKind};
use nlsq_engine::params::Parameter;
use nlsq_engine::summary::Side;
use serde_json::Value;

/// A problem with the answer.
pub(crate) struct Reference {
    pub(crate) id: u64,
    pub(crate) model: String,
    pub(crate) loss: String,
    bounds: String,
    weighting: String,
    expression: String,
    scale: f64,
    parameters: Vec<Parameter>,
    /// x, y and sigma if there is one.
    columns: Vec<Vec<f64>>,
    theta: Vec<f64>,
    /// Where the same curve has other parameters too: for each of these, the index and sign of the one it is there.
    image: Option<Vec<(usize, f64)>>,
    pub(crate) at_bound: Vec<Option<Side>>,
    pub(crate) cost: f64,
    /// Full, row-major.
    covariance: Vec<f64>,
    /// Of J with its columns scaled to length 1, over the parameters that no bound holds.
    pub(crate) condition: f64,
    /// Cost and evaluations of SciPy's trf from the same start, where it did not break off.
    pub(crate) scipy: Option<(f64, u64)>,
}

/// A fit, and its worst deviations from the reference.
pub(crate) struct Agreement {
    pub(crate) outcome: Outcome,
    /// Cost above the reference, relative; negative below it.
    pub(crate) cost: f64,
    /// Parameters, in units of the reference's standard errors.
    pub(crate) errors: f64,
    /// Parameters, relative to value or standard error, whichever is larger.
    pub(crate) relative: f64,
    /// Entries of the covariance, relative to the standard errors of row and column.
    pub(crate) covariance: f64,
    /// Whether the same bounds are active.
    pub(crate) same_bounds: bool,
}

impl Agreement {
    /// Everything that must not depend on the number of threads.
    pub(crate) fn bits(&self) -> Vec<u64> {
        let outcome = &self.outcome;
        let values = outcome.parameters.iter().map(|p| p.value);
        let sums = [outcome.cost, outcome.rss, outcome.gradient_norm, outcome.passes as f64];
        values.chain(outcome.covariance.iter().copied()).chain(sums).map(f64::to_bits).collect()
    }

    /// The bound that holds each parameter.
    pub(crate) fn at_bound(&self) -> Vec<Option<Side>> {
        self.outcome.parameters.iter().map(|p| p.at_bound).collect()
    }
}

/// All problems, in the file's order.
pub(crate) fn all() -> Vec<Reference> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/reference/curves_scipy.json");
    let json: Value = serde_json::from_str(&fs::read_to_string(path).expect("the file is there")).expect("JSON");
    json["problems"].as_array().expect("a list").iter().map(read).collect()
}

fn list(json: &Value) -> Vec<f64> {
    json.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn word(json: &Value) -> String {
    json.as_str().expect("a word").to_string()
}

fn read(json: &Value) -> Reference {
    let names = json["names"].as_array().expect("a list");
    let starts = list(&json["start"]);
    let bound = |key: &str, j: usize, none: f64| json[key][j].as_f64().unwrap_or(none);
    let parameters = names.iter().enumerate().map(|(j, name)| Parameter {
        name: word(name),
        start: starts[j],
        min: bound("min", j, f64::NEG_INFINITY),
        max: bound("max", j, f64::INFINITY),
        fixed: false,
    });
    let side = |name: &Value| match name.as_str() {
        None => None,
        Some("min") => Some(Side::Min),
        Some("max") => Some(Side::Max),
        Some(other) => panic!("a side is min or max, found {other}"),
    };
    let columns = ["x", "y", "sigma"].iter().filter(|key| !json[**key].is_null()).map(|key| list(&json[*key]));
    let (theta, lower) = (list(&json["theta"]), list(&json["covariance"]));
    let p = theta.len();
    let entry = |j: usize, k: usize| lower[j.max(k) * (j.max(k) + 1) / 2 + j.min(k)];
    let scipy = &json["scipy"];
    let taken = |pair: &Value| (pair[0].as_u64().expect("an index") as usize, pair[1].as_f64().expect("a sign"));
    Reference {
        id: json["id"].as_u64().expect("a number"),
        model: word(&json["model"]),
        loss: word(&json["loss"]),
        bounds: word(&json["bounds"]),
        weighting: word(&json["weighting"]),
        expression: word(&json["expression"]),
        scale: json["loss_scale"].as_f64().expect("a number"),
        parameters: parameters.collect(),
        columns: columns.collect(),
        theta,
        image: json["image"].as_array().map(|pairs| pairs.iter().map(taken).collect()),
        at_bound: json["at_bound"].as_array().expect("a list").iter().map(side).collect(),
        cost: json["cost"].as_f64().expect("a number"),
        covariance: (0..p * p).map(|i| entry(i / p, i % p)).collect(),
        condition: json["condition"].as_f64().expect("a number"),
        scipy: scipy["cost"].as_f64().zip(scipy["nfev"].as_u64()),
    }
}

impl Reference {
    /// The problem in words.
    pub(crate) fn title(&self) -> String {
        format!("{} ({}, {}, bounds {}, sigma {})", self.id, self.model, self.loss, self.bounds, self.weighting)
    }

    /// Fits from the start, over tiles of 16 points.
    pub(crate) fn fit(&self, threads: usize) -> Agreement {
        let known = LossKind::NAMES.iter().find(|(name, _)| *name == self.loss);
        let loss = Loss { kind: known.expect("a known loss").1, scale: self.scale };
        let problem = Problem::new(&self.expression, &["x"], self.parameters.clone()).expect("a lawful problem");
        let mut problem = problem.with_loss(loss);
        problem.absolute_sigma = self.weighting == "absolute";
        problem.tile_points = 16;
        let weighting = if self.columns.len() == 3 { Weighting::Sigma("sigma".into()) } else { Weighting::None };
        let layout = Layout { variables: vec!["x".into()], y: "y".into(), weighting, mask: None };
        let points = Memory::new(layout, self.columns.clone()).expect("columns of one length");
        let outcome = fit(problem, Arc::new(points), threads, &mut ()).expect("the fit runs");
        self.compare(outcome)
    }

    /// The deviations of whichever of the two sets of parameters of the same curve is nearer.
    fn compare(&self, outcome: Outcome) -> Agreement {
        let own: Vec<(usize, f64)> = (0..self.theta.len()).map(|j| (j, 1.0)).collect();
        let [first, second] =
            [Some(&own), self.image.as_ref()].map(|taken| taken.map(|taken| self.off(&outcome, taken)));
        let first = first.expect("the parameters themselves");
        match second.filter(|second| second.errors < first.errors) {
            Some(second) => Agreement { outcome, ..second },
            None => Agreement { outcome, ..first },
        }
    }

    fn off(&self, outcome: &Outcome, taken: &[(usize, f64)]) -> Agreement {
        let p = self.theta.len();
        let stderr = |j: usize| self.covariance[j * p + j].sqrt();
        let free: Vec<usize> = (0..p).filter(|&j| self.at_bound[j].is_none()).collect();
        let (mut errors, mut relative, mut covariance) = (0.0_f64, 0.0_f64, 0.0_f64);
        for &j in &free {
            let (from, sign) = taken[j];
            assert_eq!(outcome.parameters[j].name, self.parameters[j].name, "in order of appearance");
            let off = (sign * outcome.parameters[from].value - self.theta[j]).abs();
            errors = errors.max(off / stderr(j));
            relative = relative.max(off / self.theta[j].abs().max(stderr(j)));
            for &k in &free {
                let entry = sign * taken[k].1 * outcome.covariance[from * p + taken[k].0];
                covariance = covariance.max((entry - self.covariance[j * p + k]).abs() / (stderr(j) * stderr(k)));
            }
        }
        let side = |(from, sign): (usize, f64)| match outcome.parameters[from].at_bound {
            Some(side) if sign < 0.0 => Some(if side == Side::Min { Side::Max } else { Side::Min }),
            side => side,
        };
        let same_bounds = taken.iter().zip(&self.at_bound).all(|(&taken, expected)| side(taken) == *expected);
        let cost = outcome.cost / self.cost - 1.0;
        Agreement { outcome: outcome.clone(), cost, errors, relative, covariance, same_bounds }
    }
}
