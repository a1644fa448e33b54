//! What fitting programs for such data are known to get wrong, and the test that fails if we do.
//!
//! The first half of the table are fourteen faults of the hybrid streaming optimizer of the NLSQ package, version 0.7 (W1 to
//! W14), the second half the kinds of bugs that its change log and those of its users fixed again and again. Tests that the
//! table names stand beside the code they try; what needs the whole chain, from columns to outcome, is tried here.

use std::sync::Arc;

use nlsq_coordinator::fit::{Problem, fit};
use nlsq_coordinator::outcome::{Observer, Outcome, PassRecord};
use nlsq_engine::data::NonFinite;
use nlsq_engine::data::memory::Memory;
use nlsq_engine::data::source::{Layout, Weighting};
use nlsq_engine::loss::{Loss, LossKind};
use nlsq_engine::params::Parameter;
use nlsq_engine::summary::Status;

use crate::support::numbers;

/// (fault, file, test). Not here: W4 (memory) and W6 (reverse-mode derivatives) are costs, measured by the benches.
const TABLE: &[(&str, &str, &str)] = &[
    (
        "W1 a rejected first step ends the fit, at the worse point",
        BEHAVIOUR,
        "a_rejected_step_is_not_convergence_and_its_point_is_never_returned",
    ),
    ("W2 tests for convergence depend on units", BEHAVIOUR, "units_do_not_matter"),
    ("W2 tests for convergence depend on the units of y", BEHAVIOUR, "the_scale_of_the_residual_does_not_matter"),
    ("W3 sigma, loss and mask act in some phases only", HERE, "sigma_loss_and_mask_act_in_every_pass"),
    ("W5 several passes for one step", BEHAVIOUR, "one_pass_per_trial_and_a_record_of_each"),
    ("W5 a pass that nobody counts", HERE, "sigma_loss_and_mask_act_in_every_pass"),
    ("W7 bounds by clipping", BOUNDS, "whatever_the_box_the_answer_is_a_constrained_minimum"),
    ("W7 a bound met on the way holds for good", BOUNDS, "a_bound_hit_on_the_way_is_left_again"),
    ("W8 missing rank is hidden", HERE, "dependent_parameters_are_named_and_the_others_keep_their_errors"),
    (
        "W9 a variance of groups lacks a factor n in its gradient",
        "engine/src/penalty.rs",
        "gradient_and_curvature_are_those_of_the_cost",
    ),
    (
        "W9 its weight depends on the number of points",
        "tests/groups.rs",
        "the_same_points_twice_give_the_same_compromise",
    ),
    (
        "W9 unequal groups are cut at wrong places",
        "engine/src/penalty.rs",
        "it_is_the_variance_of_each_group_times_half_the_points",
    ),
    ("W10 success whatever happened", "tests/commands.rs", "ending_without_converging_is_exit_code_3_with_a_result"),
    ("W10 a flat place is called a minimum", HONESTY, "rounding_is_no_excuse_where_columns_depend_on_each_other"),
    ("W11 callbacks are ignored", "tests/stopping.rs", "a_callback_stops_the_fit_at_its_best_point"),
    ("W11 a checkpoint lacks state", BEHAVIOUR, "a_fit_resumed_after_any_pass_takes_the_same_path"),
    ("W12 the manual shows what does not exist", HERE, "every_flag_in_the_readme_exists"),
    (
        "W13 random starts differ from run to run",
        "engine/src/explore/tournament/tests.rs",
        "the_seed_decides_and_a_saved_state_goes_on_the_same_way",
    ),
    (
        "W13 coordinates of random starts hang together",
        "engine/src/explore/sample.rs",
        "axes_are_independent_and_the_seed_decides",
    ),
    (
        "W14 units or an offset of y decide how warm a start is",
        "engine/src/hybrid/warm_up/tests.rs",
        "a_warm_start_is_one_whatever_the_units_and_the_offset_of_y",
    ),
    ("W14 an offset of y decides how warm a start is", HERE, "an_offset_of_y_changes_the_offset_only"),
    ("weights, degrees of freedom, covariance: points left out are counted", HERE, "rows_left_out_count_nowhere"),
    ("weights, degrees of freedom, covariance: rss under a loss", HERE, "sigma_loss_and_mask_act_in_every_pass"),
    (
        "weights, degrees of freedom, covariance: wrong by a constant",
        "tests/reference.rs",
        "three_hundred_curves_agree_with_the_reference",
    ),
    (
        "derivatives vanish or are NaN at a corner or at 0",
        HERE,
        "derivatives_at_zero_and_at_corners_are_those_of_the_model",
    ),
    (
        "derivatives of huber are NaN",
        "engine/src/kernel/conformance.rs",
        "the_gradient_under_a_loss_is_the_derivative_of_the_cost",
    ),
    ("partition of the data: the last part weighs more", HERE, "the_last_tile_counts_as_much_as_the_others"),
    (
        "scales: a parameter's size decides when to stop",
        "tests/ill_scaled.rs",
        "without_noise_the_truth_comes_back_through_a_condition_of_a_million",
    ),
    ("caches confuse models of the same shape", HERE, "fits_at_the_same_time_do_not_meet"),
    ("results differ from run to run", "tests/parity.rs", "a_fit_stopped_early_has_the_same_bits_everywhere"),
    ("options that are documented and not read", "tests/bad_inputs.rs", "each_is_refused_with_one_clear_message"),
    ("results differ from run to run: random numbers", "tests/parity.rs", "every_method_has_the_same_bits_everywhere"),
    ("a loss acts in some methods only", "tests/parity.rs", "every_loss_has_the_same_bits_everywhere"),
    ("NaN in JSON", "coordinator/src/report/result.rs", "what_is_not_finite_is_null"),
];

const HERE: &str = "tests/known_faults.rs";
const BEHAVIOUR: &str = "engine/src/minimize/exam/behaviour.rs";
const BOUNDS: &str = "engine/src/minimize/exam/bounds.rs";
const HONESTY: &str = "engine/src/minimize/exam/honesty.rs";

#[test]
fn the_table_names_tests_that_exist() {
    for (fault, file, test) in TABLE {
        let path = format!("{}/../{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{fault}: {file}: {error}"));
        let place = text.find(&format!("fn {test}(")).unwrap_or_else(|| panic!("{fault}: no test {test} in {file}"));
        let before = text[..place].trim_end().lines().next_back().unwrap_or_default();
        assert_eq!(before.trim(), "#[test]", "{fault}: {test} in {file} is run");
    }
}

/// Points and what to fit to them: a decay with a few wild values, unless told otherwise.
#[derive(Clone)]
struct Case {
    expression: &'static str,
    starts: &'static [(&'static str, f64)],
    t: Vec<f64>,
    y: Vec<f64>,
    sigma: Option<Vec<f64>>,
    mask: Option<Vec<f64>>,
    loss: Loss,
    nonfinite: NonFinite,
    tile_points: u64,
}

impl Case {
    fn decay(n: usize) -> Self {
        let t: Vec<f64> = numbers(n, 1).map(|u| 2.0 * u).collect();
        let noise = numbers(n, 2).enumerate().map(|(k, u)| if k % 17 == 0 { 3.0 * u } else { 0.2 * (u - 0.5) });
        let y = t.iter().zip(noise).map(|(t, noise)| 5.0 * (-3.0 * t).exp() + 1.0 + noise).collect();
        Self {
            expression: "a*exp(-b*t) + c",
            starts: &[("a", 3.0), ("b", 2.0), ("c", 0.0)],
            t,
            y,
            sigma: None,
            mask: None,
            loss: Loss::default(),
            nonfinite: NonFinite::Error,
            tile_points: 65_536,
        }
    }

    fn with_sigma(mut self) -> Self {
        self.sigma = Some(numbers(self.t.len(), 3).map(|u| 0.05 + 0.2 * u).collect());
        self
    }

    fn model(mut self, expression: &'static str, starts: &'static [(&'static str, f64)]) -> Self {
        (self.expression, self.starts) = (expression, starts);
        self
    }

    fn fit(&self, observer: &mut dyn Observer) -> Outcome {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        let parameter = |&(name, start): &(&str, f64)| Parameter { name: name.into(), start, min, max, fixed: false };
        let problem = Problem::new(self.expression, &["t"], self.starts.iter().map(parameter).collect());
        let mut problem = problem.expect("a lawful problem").with_loss(self.loss);
        (problem.nonfinite, problem.tile_points) = (self.nonfinite, self.tile_points);
        let weighting = self.sigma.as_ref().map_or(Weighting::None, |_| Weighting::Sigma("err".into()));
        let layout = Layout {
            variables: vec!["t".into()],
            y: "y".into(),
            weighting,
            mask: self.mask.as_ref().map(|_| "m".into()),
        };
        let columns = [Some(&self.t), Some(&self.y), self.sigma.as_ref(), self.mask.as_ref()];
        let points =
            Memory::new(layout, columns.into_iter().flatten().cloned().collect()).expect("columns of one length");
        fit(problem, Arc::new(points), 2, observer).expect("the fit runs")
    }

    fn outcome(&self) -> Outcome {
        let outcome = self.fit(&mut ());
        assert_eq!(outcome.status, Status::Converged, "{}", outcome.reason);
        outcome
    }

    /// Cost and rss of the decay by their definitions.
    fn sums(&self, theta: &[f64]) -> (f64, f64) {
        let used = (0..self.t.len()).filter(|&i| self.mask.as_ref().is_none_or(|m| m[i] != 0.0));
        let residual = |i: usize| {
            let sigma = self.sigma.as_ref().map_or(1.0, |s| s[i]);
            (theta[0] * (-theta[1] * self.t[i]).exp() + theta[2] - self.y[i]) / sigma
        };
        let square = self.loss.scale * self.loss.scale;
        used.map(residual).fold((0.0, 0.0), |(cost, rss), r| {
            (cost + 0.5 * square * self.loss.kind.rho(r * r / square)[0], rss + r * r)
        })
    }
}

fn values(outcome: &Outcome) -> Vec<f64> {
    outcome.parameters.iter().map(|p| p.value).collect()
}

fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * a.abs().max(b.abs())
}

/// Remembers the records of all passes.
struct Records(Vec<PassRecord>);

impl Observer for Records {
    fn iteration(&mut self, record: &PassRecord) {
        self.0.push(record.clone());
    }
}

/// The first cost and the last are those of the definition, whatever the phase; every setting moves the answer.
#[test]
fn sigma_loss_and_mask_act_in_every_pass() {
    let plain = Case::decay(1_001);
    let masked = Case { mask: Some(plain.t.iter().map(|t| f64::from(u8::from(*t > 0.1))).collect()), ..plain.clone() };
    let robust = Case { loss: Loss { kind: LossKind::Cauchy, scale: 0.1 }, ..plain.clone() };
    let all = Case { sigma: plain.clone().with_sigma().sigma, mask: masked.mask.clone(), ..robust.clone() };
    let mut seen: Vec<Vec<f64>> = Vec::new();
    for case in [plain.clone(), plain.with_sigma(), masked, robust, all] {
        let mut records = Records(Vec::new());
        let outcome = case.fit(&mut records);
        assert_eq!(outcome.status, Status::Converged, "{}", outcome.reason);
        let theta = values(&outcome);
        let start: Vec<f64> = case.starts.iter().map(|(_, start)| *start).collect();
        let (cost, rss) = case.sums(&theta);
        assert!(close(records.0[0].iteration.cost, case.sums(&start).0, 1e-12));
        assert!(close(outcome.cost, cost, 1e-12) && close(outcome.rss, rss, 1e-12));
        assert!(close(outcome.reduced_chi2, 2.0 * cost / outcome.dof as f64, 1e-12));
        // one record for each pass, no pass without one
        assert_eq!(outcome.passes, records.0.len() as u64);
        // each phase begins with a point that it takes as it is
        let begun = outcome.phases.len() as u64;
        assert_eq!(outcome.iterations + begun, records.0.iter().filter(|r| r.iteration.accepted).count() as u64);
        for other in &seen {
            assert!(theta.iter().zip(other).all(|(a, b)| (a - b).abs() > 1e-6), "{theta:?} {other:?}");
        }
        seen.push(theta);
    }
}

/// Masked rows and rows that are not finite, against the same data without these rows: the same bits.
#[test]
fn rows_left_out_count_nowhere() {
    let full = Case::decay(1_001).with_sigma();
    let left_out = |i: usize| i % 7 == 3 || i.is_multiple_of(11);
    let kept = |column: &[f64]| (0..column.len()).filter(|&i| !left_out(i)).map(|i| column[i]).collect::<Vec<f64>>();
    let (t, y, sigma) = (kept(&full.t), kept(&full.y), full.sigma.as_deref().map(kept));
    let expected = Case { t, y, sigma, ..full.clone() }.outcome();
    let n = full.t.len();
    let masked = Case { mask: Some((0..n).map(|i| f64::from(u8::from(!left_out(i)))).collect()), ..full.clone() };
    let spoil = |column: &[f64], spoilt: f64| (0..n).map(|i| if left_out(i) { spoilt } else { column[i] }).collect();
    let skip = Case { nonfinite: NonFinite::Skip, ..full.clone() };
    let in_y = Case { y: spoil(&full.y, f64::NAN), ..skip.clone() };
    let in_t = Case { t: spoil(&full.t, f64::INFINITY), ..skip.clone() };
    for case in [masked, in_y, in_t] {
        let outcome = case.outcome();
        let exact = |outcome: &Outcome| -> Vec<u64> {
            let sums = [outcome.cost, outcome.rss, outcome.reduced_chi2, outcome.r_squared, outcome.dof as f64];
            values(outcome).into_iter().chain(outcome.covariance.clone()).chain(sums).map(f64::to_bits).collect()
        };
        assert_eq!(exact(&outcome), exact(&expected));
        assert_eq!((outcome.counts.used, outcome.counts.points()), (expected.counts.used, n as u64));
    }
}

/// The same rows several times over, and tiles that do not divide them: no point counts twice, none is padding.
#[test]
fn the_last_tile_counts_as_much_as_the_others() {
    let once = Case::decay(1_001).with_sigma();
    let expected = once.outcome();
    for tile_points in [7, 100, 1_000, 2_048] {
        let outcome = Case { tile_points, ..once.clone() }.outcome();
        let pairs = values(&outcome).into_iter().zip(values(&expected));
        assert!(pairs.into_iter().all(|(a, b)| close(a, b, 1e-10)) && close(outcome.cost, expected.cost, 1e-13));
    }
    let three = |column: &[f64]| [column, column, column].concat();
    let (t, y, sigma) = (three(&once.t), three(&once.y), once.sigma.as_deref().map(three));
    let thrice = Case { t, y, sigma, tile_points: 1_000, ..once }.outcome();
    assert!(values(&thrice).into_iter().zip(values(&expected)).all(|(a, b)| close(a, b, 1e-10)));
    let factor = (1_001.0 - 3.0) / (3.0 * 1_001.0 - 3.0);
    assert!(thrice.covariance.iter().zip(&expected.covariance).all(|(a, b)| close(*a, b * factor, 1e-9)));
}

/// a b and a/b in one: only their product is determined; c is, and keeps the error it has without them.
#[test]
fn dependent_parameters_are_named_and_the_others_keep_their_errors() {
    let simple = Case::decay(1_001).outcome();
    let case = Case::decay(1_001).model("a*d*exp(-b*t) + c", &[("a", 3.0), ("d", 1.0), ("b", 2.0), ("c", 0.0)]);
    let outcome = case.outcome();
    let stderr = |outcome: &Outcome, name: &str| outcome.parameters.iter().find(|p| p.name == name).unwrap().stderr;
    assert_eq!((stderr(&outcome, "a"), stderr(&outcome, "d"), outcome.condition_number), (None, None, None));
    for name in ["b", "c"] {
        // one degree of freedom less
        let factor = (998.0_f64 / 997.0).sqrt();
        let (found, expected) = (stderr(&outcome, name).unwrap(), stderr(&simple, name).unwrap() * factor);
        assert!(close(found, expected, 1e-7), "{name}: {found} {expected}");
    }
    assert!(
        outcome.warnings.iter().any(|w| w.starts_with("a and d are not determined separately")),
        "{:?}",
        outcome.warnings
    );
}

/// A signal on a large background, and the same without: the same path, the same errors.
#[test]
fn an_offset_of_y_changes_the_offset_only() {
    let low = Case::decay(1_001);
    let shift = 1024.0;
    let high = Case { y: low.y.iter().map(|y| y + shift).collect(), ..low.clone() };
    let high = high.model("a*exp(-b*t) + c", &[("a", 3.0), ("b", 2.0), ("c", 1024.0)]);
    let (low, high) = (low.outcome(), high.outcome());
    let [a, b, c] = [0, 1, 2].map(|j| (low.parameters[j].value, high.parameters[j].value));
    assert!(close(a.0, a.1, 1e-9) && close(b.0, b.1, 1e-9) && close(c.0 + shift, c.1, 1e-12), "{a:?} {b:?} {c:?}");
    assert!(low.covariance.iter().zip(&high.covariance).all(|(a, b)| close(*a, *b, 1e-7)));
    assert!(low.passes.abs_diff(high.passes) <= 1, "{} passes and {}", low.passes, high.passes);
}

/// At t = 0 powers, roots and absolute values have derivatives that are easily lost: the row counts, and spoils nothing.
#[test]
fn derivatives_at_zero_and_at_corners_are_those_of_the_model() {
    type Starts = &'static [(&'static str, f64)];
    type Truth = fn(f64) -> f64;
    let models: [(&str, Starts, Truth); 4] = [
        ("a*t^g + c", &[("a", 1.0), ("g", 1.0), ("c", 0.0)], |t| 2.0 * t.powf(0.7) + 0.5),
        ("a*exp(-(t/w)^g)", &[("a", 1.0), ("w", 1.0), ("g", 1.0)], |t| 2.0 * (-(t / 0.6).powf(1.4)).exp()),
        ("a*sqrt(t) + c*abs(t - 1)", &[("a", 1.0), ("c", 0.0)], |t| 2.0 * t.sqrt() + 0.5 * (t - 1.0).abs()),
        ("max(a - b*t, c)", &[("a", 1.0), ("b", 1.0), ("c", 0.1)], |t| (2.0 - 3.0 * t).max(0.25)),
    ];
    for (expression, starts, truth) in models {
        let mut case = Case::decay(401).model(expression, starts);
        case.t[0] = 0.0;
        case.t[1] = 1.0;
        let noise: Vec<f64> = numbers(401, 5).collect();
        case.y = case.t.iter().zip(&noise).map(|(t, u)| truth(*t) + 0.01 * (u - 0.5)).collect();
        let with = case.outcome();
        case.t.remove(0);
        case.y.remove(0);
        let without = case.outcome();
        assert_eq!(with.counts.used, without.counts.used + 1);
        for (p, q) in with.parameters.iter().zip(&without.parameters) {
            let (error, other) = (p.stderr.expect("determined"), q.stderr.expect("determined"));
            assert!((p.value - q.value).abs() < 3.0 * error && close(error, other, 0.2), "{expression}: {p:?} {q:?}");
        }
        assert!(with.residual_stddev < 0.01, "{expression}: {}", with.residual_stddev);
    }
}

/// Models of the same shape, with other constants and other data, in one process.
#[test]
fn fits_at_the_same_time_do_not_meet() {
    let first = Case::decay(1_001);
    let second = Case { y: first.y.iter().map(|y| 2.0 * y).collect(), ..first.clone() };
    let second = second.model("a*exp(-b*t*2) + c", &[("a", 3.0), ("b", 1.0), ("c", 0.0)]);
    let alone = [values(&first.outcome()), values(&second.outcome())];
    assert!(close(alone[0][0] * 2.0, alone[1][0], 1e-9) && close(alone[0][1], alone[1][1] * 2.0, 1e-9));
    std::thread::scope(|scope| {
        let cases = [&first, &second];
        let fits: Vec<_> = (0..8).map(|k| scope.spawn(move || values(&cases[k % 2].outcome()))).collect();
        for (k, fit) in fits.into_iter().enumerate() {
            assert_eq!(fit.join().expect("the fit runs"), alone[k % 2]);
        }
    });
}

#[test]
fn every_flag_in_the_readme_exists() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let help = |command: &str| {
        let output = crate::support::program().args([command, "--help"]).output().expect("the program starts");
        String::from_utf8(output.stdout).expect("text")
    };
    let known = ["fit", "check", "inspect", "models", "report", "predict"].map(help).concat();
    let mut flags = 0;
    let mut ours = false;
    for line in readme.lines() {
        let begins = line.starts_with("nlsq-coordinator");
        // a command goes on while lines end in a backslash
        ours = begins || ours && line.starts_with("    ");
        let words = line.split('#').next().unwrap_or_default().split_whitespace();
        for flag in words.filter(|word| ours && word.starts_with("--")) {
            let found = known.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == flag);
            assert!(found, "README.md shows {flag}, which no command knows: {line}");
            flags += 1;
        }
    }
    assert!(flags >= 8, "only {flags} flags were found in README.md");
}
