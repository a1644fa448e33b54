//! The 27 nonlinear problems of the NIST Statistical Reference Datasets, as they stand in tests/data/nist.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_coordinator::outcome::Outcome;
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::kernel::Precision;
use nlsq_engine::params::Parameter;
use serde_json::Value;

/// A problem with its certified answers.
pub(crate) struct Certified {
    /// Its name.
    pub(crate) name: String,
    /// NIST's level of difficulty.
    pub(crate) level: String,
    expression: String,
    variables: Vec<String>,
    /// Variables, then the response.
    columns: Vec<Vec<f64>>,
    starts: [Vec<f64>; 2],
    values: Vec<f64>,
    deviations: Vec<f64>,
    /// Sum of squared residuals.
    rss: f64,
}

/// The tolerances that a fit has by default.
pub(crate) const DEFAULT: f64 = 1e-10;
/// Tolerances for more digits: the 54 fits take 58 passes more.
pub(crate) const TIGHT: f64 = 1e-12;

/// Digits of agreement with the certified values, the worst over the parameters.
pub(crate) struct Agreement {
    /// Of the parameters.
    pub(crate) values: f64,
    /// Of their standard errors.
    pub(crate) deviations: f64,
    /// Of the residual sum of squares.
    pub(crate) rss: f64,
    /// The fit.
    pub(crate) outcome: Outcome,
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// All problems, by name.
pub(crate) fn all() -> Vec<Certified> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/nist");
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("tests/data/nist is there").flatten().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files.iter().map(|path| read(&fs::read_to_string(path).expect("a readable file"))).collect()
}

fn read(text: &str) -> Certified {
    let json: Value = serde_json::from_str(text).expect("JSON");
    let word = |key: &str| json[key].as_str().expect("a word").to_string();
    let variables: Vec<String> = json["predictors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|v| v.as_str().expect("a name").to_string())
        .collect();
    let mut columns: Vec<Vec<f64>> = variables.iter().map(|name| list(&json[name])).collect();
    let y = list(&json["y"]);
    columns.push(match word("response").as_str() {
        "y" => y,
        "log(y)" => y.into_iter().map(f64::ln).collect(),
        other => panic!("{other}: no such response is known"),
    });
    // 30 digits computed anew, where the certificate has 11
    let digits = |key: &str| -> Vec<f64> {
        let texts = json["recomputed"][key].as_array().expect("a list");
        texts.iter().map(|text| text.as_str().expect("digits").parse().expect("a number")).collect()
    };
    Certified {
        name: word("name"),
        level: word("level"),
        expression: word("expr"),
        variables,
        columns,
        starts: [list(&json["start1"]), list(&json["start2"])],
        values: digits("params_30"),
        deviations: digits("sd_30"),
        rss: json["recomputed"]["rss_30"].as_str().expect("digits").parse().expect("a number"),
    }
}

/// Digits of agreement of `v` with `c`: -log10 of the relative error, at most 15.
fn digits(v: f64, c: f64) -> f64 {
    if v == c { 15.0 } else { (-((v - c) / c).abs().log10()).clamp(0.0, 15.0) }
}

impl Certified {
    /// Digits of the residual sum of squares that are left when the data are rounded to f64, by at most u |y_i| each with
    /// u = 2^-53: `|d rss| / rss <= 2 sum |r_i| u |y_i| / rss <= 2 u |y| / sqrt(rss)`. Standard errors go with its root.
    /// 2.6 for Lanczos1, whose residuals are 1e-13 of its data; 7 and more for all others.
    pub(crate) fn resolved(&self) -> f64 {
        let y = self.columns.last().expect("a response");
        let length = y.iter().map(|y| y * y).sum::<f64>().sqrt();
        -(f64::EPSILON * length / self.rss.sqrt()).log10()
    }

    /// Fits from one of the two certified starts, on one thread, with all three tolerances alike, beginning in `precision`.
    pub(crate) fn fit(&self, start: usize, tolerance: f64, precision: Precision) -> Agreement {
        let parameters = self.starts[start].iter().enumerate().map(|(k, &start)| Parameter {
            name: format!("b{}", k + 1),
            start,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            fixed: false,
        });
        let variables: Vec<&str> = self.variables.iter().map(String::as_str).collect();
        let mut problem = Problem::new(&self.expression, &variables, parameters.collect()).expect("a lawful problem");
        problem.options.costing.precision = precision;
        let minimizer = &mut problem.options.minimizer;
        (minimizer.xtol, minimizer.ftol, minimizer.gtol) = (tolerance, tolerance, tolerance);
        let layout =
            Layout { variables: self.variables.clone(), y: "y".to_string(), weighting: Weighting::None, mask: None };
        let points = Memory::new(layout, self.columns.clone()).expect("columns of one length");
        let outcome = fit(problem, Arc::new(points), 1, &mut ()).expect("the fit runs");
        // Parameters stand in order of appearance, certified values by number.
        let index = |name: &str| name[1..].parse::<usize>().expect("b1, b2, ...") - 1;
        let worst = |digits: &dyn Fn(&nlsq_coordinator::outcome::ParameterOutcome) -> f64| {
            outcome.parameters.iter().map(digits).fold(15.0, f64::min)
        };
        let values = worst(&|p| digits(p.value, self.values[index(&p.name)]));
        let deviations = worst(&|p| p.stderr.map_or(0.0, |s| digits(s, self.deviations[index(&p.name)])));
        Agreement { values, deviations, rss: digits(outcome.rss, self.rss), outcome }
    }
}
