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

    /// The published minimum, a sum of squares, that `found` agrees with to the digits printed.
    fn minimum(&self, found: f64) -> Option<f64> {
        let agrees = |m: &f64| if *m == 0.0 { found < 1e-16 } else { (found - m).abs() <= 1e-6 * m };
        self.numbers("published_minima").into_iter().find(agrees)
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

#[test]
fn mgh_from_three_starts() {
    let mut table = String::new();
    for problem in Problem::all() {
        for factor in [1.0, 10.0, 100.0] {
            let summary = problem.fit(factor);
            let found = 2.0 * summary.normal.cost;
            let minimum = problem.minimum(found).map_or("-".into(), |m| format!("{m}"));
            writeln!(
                table,
                "{:<38} {factor:>3} {:?} {} {found:.6e} {minimum} {:.1e} {}",
                problem.name(),
                summary.status,
                summary.passes,
                summary.gradient_norm,
                summary.reason
            )
            .unwrap();
        }
    }
    println!("{table}");
    let _ = Status::Converged;
}
