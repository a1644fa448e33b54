//! Columns of J that are nearly dependent: what J'J loses, and what the triangle of J keeps.
//!
//! Polynomials in powers of x on [0, 1], against least-squares solutions in 80 digits (`scripts/golden.py polynomials`).

use std::fmt::Write;
use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_coordinator::outcome::Outcome;
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::kernel::Solver;
use nlsq_engine::params::Parameter;
use nlsq_engine::summary::Status;
use serde_json::Value;

/// Up to this condition number of J with columns of length 1 J'J alone is expected to do.
const SQUARE: f64 = 1e7;

fn numbers(json: &Value) -> Vec<f64> {
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.parse().ok()).expect("a number");
    json.as_array().expect("a list").iter().map(number).collect()
}

fn solve(problem: &Value, solver: Solver, profile: &[&str]) -> Outcome {
    let degree = problem["degree"].as_u64().expect("a degree");
    let terms: Vec<String> = (0..=degree).map(|j| format!("a{j}*x^{j}")).collect();
    let free = |j| {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        Parameter { name: format!("a{j}"), start: 0.0, min, max, fixed: false }
    };
    let mut fitted =
        Problem::new(&terms.join(" + "), &["x"], (0..=degree).map(free).collect()).expect("a lawful problem");
    fitted.options.costing.solver = solver;
    fitted.profile = profile.iter().map(ToString::to_string).collect();
    let minimizer = &mut fitted.options.minimizer;
    (minimizer.xtol, minimizer.ftol, minimizer.gtol) = (1e-13, 1e-13, 1e-13);
    let layout = Layout { variables: vec!["x".into()], y: "y".into(), weighting: Weighting::None, mask: None };
    let points = Memory::new(layout, vec![numbers(&problem["x"]), numbers(&problem["y"])]);
    fit(fitted, Arc::new(points.expect("columns of one length")), 1, &mut ()).expect("a fit")
}

/// Digits of the worst value.
fn digits(found: &[f64], exact: &[f64]) -> f64 {
    let each = found.iter().zip(exact).map(|(f, e)| -((f - e) / e).abs().max(1e-17).log10());
    each.fold(f64::INFINITY, f64::min)
}

#[test]
fn the_triangle_keeps_the_digits_that_the_square_loses() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/reference/polynomials.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).expect(path)).expect("JSON");
    let mut table = String::from(
        "digits of the worst parameter, and of the worst standard error\ndegree condition  normal        tsqr  passes  numpy's lstsq\n",
    );
    for problem in file["problems"].as_array().expect("a list") {
        let condition = problem["condition"].as_f64().expect("a number");
        let (theta, stderr) = (numbers(&problem["theta"]), numbers(&problem["stderr"]));
        let of = |outcome: &Outcome| {
            let values: Vec<f64> = outcome.parameters.iter().map(|p| p.value).collect();
            let errors: Vec<f64> = outcome.parameters.iter().map(|p| p.stderr.unwrap_or(f64::NAN)).collect();
            (digits(&values, &theta), digits(&errors, &stderr))
        };
        let (square, triangle) = (solve(problem, Solver::Normal, &[]), solve(problem, Solver::Tsqr, &[]));
        let (normal, tsqr) = (of(&square), of(&triangle));
        let lstsq = problem["lstsq_digits"].as_f64().expect("a number");
        let _ = writeln!(
            table,
            "{:6} {condition:9.1e} {:4.1} {:4.1} {:6.1} {:4.1} {:7} {lstsq:14.1}",
            problem["degree"], normal.0, normal.1, tsqr.0, tsqr.1, triangle.passes
        );
        assert_eq!(triangle.status, Status::Converged, "{}", triangle.reason);
        let found = triangle.condition_number.expect("no direction is lost");
        assert!((found / condition - 1.0).abs() < 1e-2, "condition {found}, numpy finds {condition}");
        assert!(tsqr.0 >= lstsq - 1.0, "degree {}: {tsqr:?}, numpy has {lstsq}", problem["degree"]);
        // the error of a standard error is that of R, times the condition number
        assert!(tsqr.1 >= 15.0 - condition.log10() - 1.0, "degree {}: {tsqr:?}", problem["degree"]);
        if condition > SQUARE {
            let said = |word: &str| square.warnings.iter().any(|warning| warning.contains(word));
            assert!(said("tsqr"), "degree {}: {:?}", problem["degree"], square.warnings);
        } else {
            assert!(normal.0 >= 7.0, "degree {}: {normal:?}", problem["degree"]);
        }
    }
    expect_test::expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/ill_conditioned.txt")]
        .assert_eq(&table);
}

/// For a model that is linear in its parameters a profile is the standard error times the quantile, however ill conditioned.
#[test]
fn profiles_keep_their_digits_with_the_triangle() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/reference/polynomials.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).expect(path)).expect("JSON");
    let steep = file["problems"].as_array().expect("a list").iter().find(|problem| problem["degree"] == 12);
    let outcome = solve(steep.expect("a polynomial of degree 12"), Solver::Tsqr, &["a12"]);
    let profile = &outcome.profiles[0];
    let stderr = outcome.parameters[12].stderr.expect("it is determined");
    for limits in &profile.limits {
        let (lower, upper) = (limits.lower.expect("a limit"), limits.upper.expect("a limit"));
        let half = limits.tau * stderr;
        assert!(((upper - profile.value) / half - 1.0).abs() < 1e-3, "{upper} {} {half}", profile.value);
        assert!(((profile.value - lower) / half - 1.0).abs() < 1e-3, "{lower} {} {half}", profile.value);
    }
}
