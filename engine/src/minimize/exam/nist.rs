//! NIST StRD: 27 curves with certified parameters and standard errors, each from both certified starts.

use std::f64::consts::PI;
use std::fmt::Write;

use serde_json::Value;

use super::dual::Dual;
use super::{Whole, digits, fit_whole, unbounded};
use crate::covariance::{Variance, covariance};
use crate::hybrid::Options;
use crate::summary::Status;

/// A model f(b; x), x in the order of the file's predictors.
type Curve = fn(&[Dual], &[f64]) -> Dual;

const CURVES: [(&str, Curve); 27] = [
    ("Misra1a", |b, x| b[0] * (1.0 - (-b[1] * x[0]).exp())),
    ("Misra1b", |b, x| b[0] * (1.0 - 1.0 / (1.0 + b[1] * x[0] / 2.0).squared())),
    ("Misra1c", |b, x| b[0] * (1.0 - 1.0 / (1.0 + 2.0 * b[1] * x[0]).sqrt())),
    ("Misra1d", |b, x| b[0] * b[1] * x[0] / (1.0 + b[1] * x[0])),
    ("Chwirut1", chwirut),
    ("Chwirut2", chwirut),
    ("Lanczos1", lanczos),
    ("Lanczos2", lanczos),
    ("Lanczos3", lanczos),
    ("Gauss1", gauss),
    ("Gauss2", gauss),
    ("Gauss3", gauss),
    ("DanWood", |b, x| b[0] * Dual::from(x[0]).pow(b[1])),
    ("Kirby2", |b, x| ratio(&b[..3], &b[3..], x[0])),
    ("Hahn1", |b, x| ratio(&b[..4], &b[4..], x[0])),
    ("Thurber", |b, x| ratio(&b[..4], &b[4..], x[0])),
    ("Nelson", |b, x| b[0] - b[1] * x[0] * (-b[2] * x[1]).exp()),
    ("MGH17", |b, x| b[0] + b[1] * (-b[3] * x[0]).exp() + b[2] * (-b[4] * x[0]).exp()),
    ("Roszman1", |b, x| b[0] - b[1] * x[0] - (b[2] / (x[0] - b[3])).atan() / PI),
    ("ENSO", |b, x| {
        b[0] + wave(b[1], b[2], 12.0.into(), x[0]) + wave(b[4], b[5], b[3], x[0]) + wave(b[7], b[8], b[6], x[0])
    }),
    ("MGH09", |b, x| b[0] * (x[0] * x[0] + x[0] * b[1]) / (x[0] * x[0] + x[0] * b[2] + b[3])),
    ("MGH10", |b, x| b[0] * (b[1] / (x[0] + b[2])).exp()),
    ("Rat42", |b, x| b[0] / (1.0 + (b[1] - b[2] * x[0]).exp())),
    ("Rat43", |b, x| b[0] / (1.0 + (b[1] - b[2] * x[0]).exp()).pow(1.0 / b[3])),
    ("Eckerle4", |b, x| b[0] / b[1] * (-0.5 * ((x[0] - b[2]) / b[1]).squared()).exp()),
    ("Bennett5", |b, x| b[0] * (b[1] + x[0]).pow(-1.0 / b[2])),
    ("BoxBOD", |b, x| b[0] * (1.0 - (-b[1] * x[0]).exp())),
];

fn chwirut(b: &[Dual], x: &[f64]) -> Dual {
    (-b[0] * x[0]).exp() / (b[1] + b[2] * x[0])
}

fn lanczos(b: &[Dual], x: &[f64]) -> Dual {
    b[0] * (-b[1] * x[0]).exp() + b[2] * (-b[3] * x[0]).exp() + b[4] * (-b[5] * x[0]).exp()
}

fn gauss(b: &[Dual], x: &[f64]) -> Dual {
    let peak = |a: Dual, m: Dual, w: Dual| a * (-((x[0] - m) / w).squared()).exp();
    b[0] * (-b[1] * x[0]).exp() + peak(b[2], b[3], b[4]) + peak(b[5], b[6], b[7])
}

/// (n0 + n1 x + ...) / (1 + d1 x + ...).
fn ratio(above: &[Dual], below: &[Dual], x: f64) -> Dual {
    let polynomial = |c: &[Dual]| c.iter().rev().fold(Dual::from(0.0), |sum, &c| sum * x + c);
    polynomial(above) / (1.0 + x * polynomial(below))
}

fn wave(cosine: Dual, sine: Dual, period: Dual, x: f64) -> Dual {
    let phase = 2.0 * PI * x / period;
    cosine * phase.cos() + sine * phase.sin()
}

struct Problem {
    curve: Curve,
    json: Value,
    rows: Vec<(Vec<f64>, f64)>,
}

impl Problem {
    fn read(name: &'static str, curve: Curve) -> Self {
        let path = format!("{}/../tests/data/nist/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).unwrap();
        let columns: Vec<Vec<f64>> =
            json["predictors"].as_array().unwrap().iter().map(|c| numbers(&json[c.as_str().unwrap()])).collect();
        let logarithm = json["response"] == "log(y)";
        let y = numbers(&json["y"]).into_iter().map(|y| if logarithm { crate::math::log(y) } else { y });
        let rows = y.enumerate().map(|(i, y)| (columns.iter().map(|c| c[i]).collect(), y)).collect();
        Self { curve, json, rows }
    }

    fn residuals(&self, b: &[Dual]) -> Vec<Dual> {
        self.rows.iter().map(|(x, y)| (self.curve)(b, x) - *y).collect()
    }

    /// Values recomputed with 50 digits, 30 kept.
    fn exact(&self, key: &str) -> Vec<f64> {
        let texts = self.json["recomputed"][key].as_array().unwrap();
        texts.iter().map(|v| v.as_str().unwrap().parse().unwrap()).collect()
    }
}

fn numbers(json: &Value) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn worst(values: &[f64], exact: &[f64]) -> f64 {
    values.iter().zip(exact).map(|(v, e)| digits(*v, *e)).fold(16.0, f64::min)
}

/// Every problem from both starts under some options: its name and start, and how it ended.
pub(super) fn ends(options: &Options) -> Vec<(String, Whole)> {
    let mut ends = Vec::new();
    for (name, curve) in CURVES {
        let problem = Problem::read(name, curve);
        for start in ["start1", "start2"] {
            let parameters = unbounded(&numbers(&problem.json[start]));
            let whole = fit_whole(&parameters, options.clone(), |b| problem.residuals(b));
            ends.push((format!("{name} {start}"), whole));
        }
    }
    ends
}

/// The last column names the test that ended the fit; `thetas` counts evaluations, as a pass may answer two descents. `theta` and `stderr` are digits of agreement of the worst parameter
/// with values recomputed in 50 digits. Standard errors carry the rounding of J'J times cond(J)^2, at most 3e9 here;
/// Lanczos1 has a residual of 4e-13, itself made of the roundings of its data, and so are its standard errors.
#[test]
fn nist_from_both_starts() {
    let mut table = String::from("problem   start  passes thetas steps theta stderr ended by\n");
    let (mut runs, mut evaluations, mut converged, mut eight) = (0, 0, 0, 0);
    for (name, curve) in CURVES {
        let problem = Problem::read(name, curve);
        for start in ["start1", "start2"] {
            let parameters = unbounded(&numbers(&problem.json[start]));
            let whole = fit_whole(&parameters, Options::default(), |b| problem.residuals(b));
            let (summary, thetas) = (whole.summary, whole.evaluations);
            let errors = covariance(&parameters, &summary.normal, &summary.at_bound, Variance::Estimated).unwrap();
            let stderr: Vec<f64> = errors.stderr.iter().map(|e| e.unwrap_or(f64::NAN)).collect();
            let theta = worst(&summary.theta, &problem.exact("params_30"));
            let sd = worst(&stderr, &problem.exact("sd_30"));
            let (passes, steps) = (summary.passes, summary.iterations);
            let ended = summary.reason.split(':').next().unwrap();
            writeln!(table, "{name:<9} {start} {passes:6} {thetas:6} {steps:5} {theta:5.1} {sd:6.1} {ended}").unwrap();
            let condition: f64 = problem.json["recomputed"]["cond_J_unit_columns"].as_str().unwrap().parse().unwrap();
            assert!(
                (errors.condition_number / condition - 1.0).abs() < 1e-3,
                "{name}: cond = {}",
                errors.condition_number
            );
            let resolved = (15.5 - 2.0 * condition.log10()).min(7.0);
            assert!(
                name == "Lanczos1" || sd >= resolved,
                "{name} from {start}: standard errors good to {sd:.1} digits"
            );
            runs += summary.passes;
            evaluations += thetas;
            converged += usize::from(theta >= 6.0 && summary.status == Status::Converged);
            eight += usize::from(theta >= 8.0);
        }
    }
    writeln!(
        table,
        "{converged} of 54 converged with 6 digits or more, {eight} with 8, in {runs} passes with {evaluations} thetas"
    )
    .unwrap();
    expect_test::expect_file!["../../../../tests/golden/nist.txt"].assert_eq(&table);
    assert!(converged >= 54, "{table}");
}
