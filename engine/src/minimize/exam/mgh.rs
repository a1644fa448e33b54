//! Moré, Garbow & Hillstrom from the standard start and from 10 and 100 times it.

use std::fmt::Write;

use serde_json::Value;

use super::dual::constant;
use super::mgh_systems::system;
use super::{fit, unbounded};
use crate::minimize::Options;
use crate::summary::{Status, Summary};

struct Problem {
    json: Value,
    data: Value,
}

impl Problem {
    fn all() -> Vec<Self> {
        let path = format!("{}/../tests/data/mgh/mgh.json", env!("CARGO_MANIFEST_DIR"));
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).unwrap();
        let problem = |p: &Value| Self { json: p.clone(), data: json["data"].clone() };
        json["problems"].as_array().unwrap().iter().map(problem).collect()
    }

    fn name(&self) -> &str {
        self.json["name"].as_str().unwrap()
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        numbers(&self.json[key])
    }

    /// The fit from `factor` times the standard start.
    fn fit(&self, factor: f64) -> Summary {
        let start: Vec<f64> = self.numbers("start").iter().map(|v| v * factor).collect();
        let residuals = system(self.name());
        fit(&unbounded(&start), Options::default(), |x| residuals(x, &|key| numbers(&self.data[key])))
    }

    /// What must hold wherever a fit starts, and what must hold from the standard start.
    fn judge(&self, factor: f64, summary: &Summary) {
        let (name, sum) = (self.name(), 2.0 * summary.normal.cost);
        assert!(summary.theta.iter().all(|v| v.is_finite()), "{name} from {factor}: {:?}", summary.theta);
        if summary.status == Status::Converged {
            // a sum of squares that is itself a rounding has no direction left
            let exact = sum < 1e-16;
            assert!(exact || summary.gradient_norm < 1e-6, "{name} from {factor}: called the minimum: {summary:?}");
        }
        if summary.status == Status::Failed {
            assert!(!sum.is_finite(), "{name} from {factor}: {}", summary.reason);
        }
        if factor == 1.0 {
            assert_eq!(summary.status, Status::Converged, "{name}: {}", summary.reason);
            assert!(self.minimum(sum).is_some(), "{name}: found {sum}, not one of {:?}", self.minima());
        }
    }

    /// The minima published, and the one that the independent solver found with more digits. All are sums of squares.
    fn minima(&self) -> Vec<f64> {
        let found = self.json["f_found"].as_f64().unwrap();
        self.numbers("published_minima").into_iter().chain([found]).collect()
    }

    /// The minimum that `found` agrees with to the digits printed: five of them for the least precise one.
    fn minimum(&self, found: f64) -> Option<f64> {
        let agrees = |m: &f64| if *m < 1e-16 { found < 1e-16 } else { (found - m).abs() <= 3e-6 * m };
        self.minima().into_iter().find(agrees)
    }
}

fn numbers(json: &Value) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn every_system_has_the_published_value_at_its_start() {
    for problem in Problem::all() {
        let start: Vec<_> = problem.numbers("start").into_iter().map(constant).collect();
        let residuals = system(problem.name())(&start, &|key| numbers(&problem.data[key]));
        assert_eq!(residuals.len() as u64, problem.json["m"].as_u64().unwrap(), "{}", problem.name());
        let sum: f64 = residuals.iter().map(|r| r.value * r.value).sum();
        let published = problem.json["f_start"].as_f64().unwrap();
        assert!((sum - published).abs() <= 1e-12 * published, "{}: {sum} and {published}", problem.name());
    }
}

/// From the standard start every published minimum is reached (or one that the file's independent solver found); from
/// far starts the table says what happens. `sum` is the sum of squares at the end, `cosine` the gradient norm there.
#[test]
fn mgh_from_three_starts() {
    let mut table = format!("{:<38}start {:<10} passes {:>12} {:>8}  minimum\n", "problem", "status", "sum", "cosine");
    for problem in Problem::all() {
        for factor in [1.0, 10.0, 100.0] {
            let summary = problem.fit(factor);
            problem.judge(factor, &summary);
            let (found, cosine) = (2.0 * summary.normal.cost, summary.gradient_norm);
            let minimum = problem.minimum(found).map_or("-".into(), |m| m.to_string());
            let (status, passes) = (format!("{:?}", summary.status), summary.passes);
            let name = problem.name();
            writeln!(table, "{name:<38}{factor:>4}x {status:<10} {passes:6} {found:12.6e} {cosine:8.1e}  {minimum}")
                .unwrap();
        }
    }
    expect_test::expect_file!["../../../../tests/golden/mgh.txt"].assert_eq(&table);
}
