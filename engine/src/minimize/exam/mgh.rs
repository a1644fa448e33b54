//! Moré, Garbow & Hillstrom from the standard start and from 10 and 100 times it, beside SciPy from the same starts.

use std::fmt::Write;

use serde_json::Value;

use super::dual::constant;
use super::mgh_systems::system;
use super::{fit, unbounded};
use crate::minimize::Options;
use crate::summary::{Status, Summary};

/// Fits that end in a larger sum of squares than SciPy's best, and why. One that improves must leave the list.
const WORSE: [(&str, f64, &str); 14] = [
    ("Powell badly scaled", 10.0, "stops in the valley x1 x2 = 1e-4; SciPy with x_scale = 'jac' creeps there"),
    ("Beale", 10.0, "goes to infinity along x2 = 1, as SciPy does; 200 passes come less far than 2000 evaluations"),
    ("Beale", 100.0, "goes to infinity along x2 = 1, as SciPy's lm does; its trf finds 0"),
    ("Box 3-D", 10.0, "another minimum, at infinity; SciPy with x_scale = 'jac' ends there too"),
    ("Penalty II n=10", 100.0, "200 passes do not suffice; SciPy takes 121"),
    ("Trigonometric n=10", 10.0, "another minimum"),
    ("Trigonometric n=10", 100.0, "another minimum; SciPy's trf ends there too"),
    ("Brown almost-linear n=10", 100.0, "the published minimum at (0, .., 0, 11)"),
    ("Chebyquad n=8", 10.0, CREEPS),
    ("Chebyquad n=8", 100.0, CREEPS),
    ("Chebyquad n=9", 10.0, CREEPS),
    ("Chebyquad n=9", 100.0, CREEPS),
    ("Chebyquad n=10", 10.0, CREEPS),
    ("Chebyquad n=10", 100.0, CREEPS),
];

const CREEPS: &str =
    "columns shrink by 1e8 and more on the way, D does not: SciPy with x_scale = 'jac' creeps too, with 1 it does not";

/// Sums of squares count as equal up to this, relative.
const SAME: f64 = 1e-6;

/// ... and up to this much of the sum at the standard start: what is left there is rounding.
const NOTHING: f64 = 1e-14;

struct Problem {
    json: Value,
    data: Value,
    /// SciPy's runs from 1, 10 and 100 times the start.
    scipy: Vec<Value>,
}

/// The better end of SciPy's two scalings (x_scale 1 and 'jac').
#[derive(Clone, Copy)]
struct Scipy {
    sum: f64,
    evaluations: u64,
}

impl Problem {
    fn all() -> Vec<Self> {
        let json = read("mgh/mgh.json");
        let scipy = read("reference/mgh_scipy.json");
        let runs = |name: &Value| {
            let runs = scipy["runs"].as_array().unwrap().iter();
            runs.filter(|run| run["problem"] == *name).cloned().collect()
        };
        let problem = |p: &Value| Self { json: p.clone(), data: json["data"].clone(), scipy: runs(&p["name"]) };
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

    /// SciPy's `trf` or `lm` from `factor` times the start; none where nothing is defined.
    fn scipy(&self, factor: f64, method: &str) -> Option<Scipy> {
        let run = self.scipy.iter().find(|run| run["start"].as_f64() == Some(factor)).expect("every start was run");
        let end = |scale: &str| {
            let end = &run[format!("{method} {scale}")];
            Some(Scipy { sum: end["sum"].as_f64()?, evaluations: end["nfev"].as_u64()? })
        };
        let lower = |a: Scipy, b: Scipy| {
            let same = (a.sum - b.sum).abs() <= self.tolerance(a.sum.min(b.sum));
            let first = if same { a.evaluations <= b.evaluations } else { a.sum < b.sum };
            if first { a } else { b }
        };
        [end("jac"), end("one")].into_iter().flatten().reduce(lower)
    }

    /// By how much sums of squares near `sum` may differ and count as equal.
    fn tolerance(&self, sum: f64) -> f64 {
        SAME * sum + NOTHING * self.json["f_start"].as_f64().unwrap()
    }

    /// No end is worse than SciPy's best, but for those listed, which are.
    fn compare(&self, factor: f64, sum: f64) {
        let best = ["trf", "lm"].iter().filter_map(|method| self.scipy(factor, method)).map(|end| end.sum);
        let Some(best) = best.reduce(f64::min) else { return };
        let listed = WORSE.iter().find(|(name, start, _)| (*name, *start) == (self.name(), factor));
        let worse = sum > best + self.tolerance(best);
        assert_eq!(worse, listed.is_some(), "{} from {factor}: {sum:e}, SciPy {best:e}, {listed:?}", self.name());
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

fn read(file: &str) -> Value {
    let path = format!("{}/../tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).unwrap()
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
/// far starts the table says what happens. `sum` is the sum of squares at the end, `cosine` the gradient norm there;
/// `trf` and `lm` are SciPy's evaluations and the sum that they end with where it is another one.
#[test]
fn mgh_from_three_starts() {
    let mut table = format!(
        "{:<38}start {:<10} passes {:>12} {:>8} {:>22} {:>5} {:>13} {:>5} {:>13}\n",
        "problem", "status", "sum", "cosine", "minimum", "trf", "", "lm", ""
    );
    let mut passes = [0; 3];
    for problem in Problem::all() {
        for factor in [1.0, 10.0, 100.0] {
            let summary = problem.fit(factor);
            problem.judge(factor, &summary);
            let (found, cosine) = (2.0 * summary.normal.cost, summary.gradient_norm);
            problem.compare(factor, found);
            let minimum = problem.minimum(found).map_or("-".into(), |m| m.to_string());
            let ends = ["trf", "lm"].map(|method| problem.scipy(factor, method));
            let counts = [Some(summary.passes), ends[0].map(|e| e.evaluations), ends[1].map(|e| e.evaluations)];
            if let [Some(_), Some(_), Some(_)] = counts {
                passes.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count.unwrap());
            }
            let other = |end: &Scipy| (end.sum - found).abs() > problem.tolerance(found.min(end.sum));
            let [trf, lm] = ends.map(|end| match end {
                None => format!("{:>5} {:>13}", "-", ""),
                Some(end) if other(&end) => format!("{:>5} {:>13}", end.evaluations, format!("({:.5e})", end.sum)),
                Some(end) => format!("{:>5} {:>13}", end.evaluations, ""),
            });
            let (status, passes) = (format!("{:?}", summary.status), summary.passes);
            let name = problem.name();
            let row = format!(
                "{name:<38}{factor:>4}x {status:<10} {passes:6} {found:12.6e} {cosine:8.1e} {minimum:>22} {trf} {lm}"
            );
            writeln!(table, "{}", row.trim_end()).unwrap();
        }
    }
    let [ours, trf, lm] = passes;
    writeln!(
        table,
        "in all: {ours} passes, {trf} evaluations of trf, {lm} of lm (from starts where the sum is finite)"
    )
    .unwrap();
    expect_test::expect_file!["../../../../tests/golden/mgh.txt"].assert_eq(&table);
}
