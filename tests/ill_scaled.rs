//! Thirteen parameters of an XPCS correlation: five angles, each with a contrast and an offset of its own, one diffusion.
//!
//! ```text
//! g2 = o_phi + c_phi exp(-(D0 (sqrt(t1 t2) + 0.01)^(alpha - 1) + D_offset) (t1 + t2) q^2)
//! D0 = 100, alpha = 0.5, D_offset = 1, c = 0.5, o = 1;   100 x 100 times and 5 angles: 50,000 points, noise 2 % of g2
//! ```
//!
//! Known from the regression tests of the NLSQ package (tests/test_svd_regression.py, times 0.1 .. 1, q = 0.01), which asks
//! for D0 within 20 %. In that setting g2 falls by a hundredth only, and noise of 2 % leaves nothing of D0 to be seen: the
//! Cramer-Rao bound is 112 times its value for D0 and 1.7 times for alpha. An answer near D0 = 100 is then the start (115), not
//! the data. What can be asked is asked in two ways: from data without noise the truth comes back to 6 digits, though J
//! has a condition of 1.3e6; with noise over times 0.01 .. 100 and q = 0.03, where the bound is 0.26 % for D0 and 0.31 % for alpha,
//! both are found within 1 % from starts at the corners of the bounds.

use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_coordinator::outcome::Outcome;
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::params::Parameter;
use nlsq_engine::summary::Status;

use crate::support::numbers;

const ANGLES: usize = 5;

/// Values of D0, alpha, D_offset, of every contrast, of every offset.
type Five = [f64; 5];

const TRUTH: Five = [100.0, 0.5, 1.0, 0.5, 1.0];
/// The bounds and the start of the package's test.
const LOWER: Five = [10.0, 0.1, 0.1, 0.1, 0.5];
const UPPER: Five = [1000.0, 1.0, 10.0, 0.9, 1.5];
const START: Five = [115.0, 0.45, 1.2, 0.55, 1.05];

/// When and where g2 is measured.
struct Setting {
    times: Vec<f64>,
    q: f64,
    /// Relative to g2.
    noise: f64,
}

impl Setting {
    /// That of the package's test.
    fn published(noise: f64) -> Self {
        Self { times: (0..100).map(|k| 0.1 + 0.9 * f64::from(k) / 99.0).collect(), q: 0.01, noise }
    }

    /// Four decades of time.
    fn long() -> Self {
        Self { times: (0..100).map(|k| 0.01 * 1e4_f64.powf(f64::from(k) / 99.0)).collect(), q: 0.03, noise: 0.02 }
    }

    /// t1, t2, phi, g2, sigma.
    fn points(&self, seed: u64) -> Memory {
        let n = ANGLES * self.times.len() * self.times.len();
        let gauss = numbers(n, seed).zip(numbers(n, seed + 1));
        let mut noise = gauss.map(|(u, v)| (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos());
        let mut columns = vec![Vec::new(); 5];
        let [d0, alpha, offset, contrast, base] = TRUTH;
        for angle in 0..ANGLES {
            for &t1 in &self.times {
                for &t2 in &self.times {
                    let rate = d0 * ((t1 * t2).sqrt() + 0.01).powf(alpha - 1.0) + offset;
                    let g2 = base + contrast * (-rate * (t1 + t2) * self.q * self.q).exp();
                    let sigma = 0.02 * g2;
                    let error = self.noise / 0.02 * sigma * noise.next().expect("a number for each point");
                    for (column, value) in columns.iter_mut().zip([t1, t2, angle as f64, g2 + error, sigma]) {
                        column.push(value);
                    }
                }
            }
        }
        let layout = Layout {
            variables: ["t1", "t2", "phi"].map(String::from).to_vec(),
            y: "g2".into(),
            weighting: Weighting::Sigma("sigma".into()),
            mask: None,
        };
        Memory::new(layout, columns).expect("columns of one length")
    }

    /// The fit from a start, its sigmas taken at their word.
    fn fit(&self, seed: u64, start: Five, bounded: bool, max_passes: u64) -> Outcome {
        let of_angle = |name: &str| {
            let last = format!("{name}{}", ANGLES - 1);
            (0..ANGLES - 1).rev().fold(last, |rest, angle| format!("where(phi == {angle}, {name}{angle}, {rest})"))
        };
        let q2 = self.q * self.q;
        let expression = format!(
            "{} + {} * exp(-(D0 * (sqrt(t1*t2) + 0.01)^(alpha - 1) + Doff) * (t1 + t2) * {q2:e})",
            of_angle("o"),
            of_angle("c")
        );
        let parameter = |name: String, k: usize| Parameter {
            name,
            start: start[k],
            min: if bounded { LOWER[k] } else { f64::NEG_INFINITY },
            max: if bounded { UPPER[k] } else { f64::INFINITY },
            fixed: false,
        };
        let global = ["D0", "alpha", "Doff"].into_iter().enumerate().map(|(k, name)| parameter(name.into(), k));
        let own =
            (0..2 * ANGLES).map(|i| parameter(format!("{}{}", ["c", "o"][i / ANGLES], i % ANGLES), 3 + i / ANGLES));
        let problem = Problem::new(&expression, &["t1", "t2", "phi"], global.chain(own).collect());
        let mut problem = problem.expect("a lawful problem");
        problem.absolute_sigma = true;
        problem.options.minimizer.max_passes = max_passes;
        let outcome = fit(problem, Arc::new(self.points(seed)), 2, &mut ()).expect("the fit runs");
        assert_eq!((outcome.n_free, outcome.counts.used), (13, 50_000));
        outcome
    }
}

/// Value and standard error of a parameter.
fn found(outcome: &Outcome, name: &str) -> (f64, Option<f64>) {
    let parameter = outcome.parameters.iter().find(|p| p.name == name).expect("a parameter of the model");
    (parameter.value, parameter.stderr)
}

/// The standard errors of D0 and alpha at the truth: no unbiased estimate has smaller ones.
fn cramer_rao(setting: &Setting) -> [f64; 2] {
    let truth = setting.fit(1, TRUTH, false, 1);
    ["D0", "alpha"].map(|name| found(&truth, name).1.expect("a standard error") / found(&truth, name).0)
}

#[test]
fn with_the_published_noise_d0_is_not_in_the_data_and_the_outcome_says_so() {
    let setting = Setting::published(0.02);
    let [d0, alpha] = cramer_rao(&setting);
    assert!((d0 - 112.0).abs() < 1.0 && (alpha - 1.68).abs() < 0.01, "{d0} {alpha}");
    for seed in [11, 21, 31] {
        let outcome = setting.fit(seed, START, true, 200);
        let truth = setting.fit(seed, TRUTH, true, 1);
        assert_eq!(outcome.status, Status::Converged, "{}", outcome.reason);
        assert!(outcome.cost < truth.cost, "{} and at the truth {}", outcome.cost, truth.cost);
        // whoever reads the outcome is told not to trust D0: its error is as large as itself, or a bound holds it up
        let (value, error) = found(&outcome, "D0");
        let held = outcome.parameters.iter().any(|p| p.at_bound.is_some());
        assert!(held || error.is_none_or(|error| error > 0.5 * value), "D0 = {value} +- {error:?}");
    }
}

#[test]
fn without_noise_the_truth_comes_back_through_a_condition_of_a_million() {
    let setting = Setting::published(0.0);
    for start in [START, [15.0, 0.15, 8.0, 0.8, 0.6]] {
        let outcome = setting.fit(1, start, true, 200);
        let condition = outcome.condition_number.expect("full rank");
        assert_eq!(outcome.status, Status::Converged, "{}", outcome.reason);
        assert!((condition / 1.28e6 - 1.0).abs() < 0.05, "{condition}");
        assert!((found(&outcome, "D0").0 / TRUTH[0] - 1.0).abs() < 1e-6, "{:?}", outcome.parameters);
        assert!((found(&outcome, "alpha").0 / TRUTH[1] - 1.0).abs() < 1e-6, "{:?}", outcome.parameters);
    }
}

#[test]
fn over_four_decades_of_time_d0_and_alpha_are_found_within_a_hundredth_from_any_corner() {
    let setting = Setting::long();
    let [d0, alpha] = cramer_rao(&setting);
    assert!((d0 - 0.00256).abs() < 2e-5 && (alpha - 0.00312).abs() < 2e-5, "{d0} {alpha}");
    let corner = |k: usize| -> Five { std::array::from_fn(|j| if k & (1 << j) == 0 { LOWER[j] } else { UPPER[j] }) };
    let starts = [START].into_iter().chain((0..32).map(corner));
    let mut passes = Vec::new();
    for start in starts {
        let outcome = setting.fit(11, start, true, 200);
        let title = format!("{start:?}: {:?}, {}", outcome.status, outcome.reason);
        assert_eq!(outcome.status, Status::Converged, "{title}");
        assert!((found(&outcome, "D0").0 / TRUTH[0] - 1.0).abs() < 0.01, "{title}: {:?}", outcome.parameters);
        assert!((found(&outcome, "alpha").0 / TRUTH[1] - 1.0).abs() < 0.01, "{title}: {:?}", outcome.parameters);
        passes.push(outcome.passes);
    }
    passes.sort_unstable();
    assert!(passes[0] > 3 && passes[passes.len() / 2] <= 15, "passes: {passes:?}");
}
