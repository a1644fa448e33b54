//! Profiles of curves whose profiles are known, or can be had by brute force.

use super::*;
use crate::covariance::{Variance, covariance};
use crate::explore::curve::{Curve, grid, noise};
use crate::loss::{Loss, LossKind};
use crate::minimize::{Minimizer, Options};
use crate::params::Parameter;
use crate::summary::Summary;

struct Fitted {
    curve: Curve,
    parameters: Parameters,
    summary: Summary,
    stderr: Vec<f64>,
    solution: Solution,
}

fn fit(mut curve: Curve, p0: &[f64], bounds: &[(f64, f64)], costing: Costing) -> Fitted {
    let parameters = curve.parameters(p0, bounds);
    let mut minimizer = Minimizer::new(&parameters, Options::default()).under(costing);
    curve.run(&mut minimizer);
    let summary = minimizer.summary().unwrap();
    let known = covariance(&parameters, &summary.normal, &summary.at_bound, Variance::Estimated).unwrap();
    let solution = Solution {
        theta: summary.theta.clone(),
        normal: summary.normal.clone(),
        costing,
        variance: known.variance,
        criticals: criticals(known.dof, Variance::Estimated),
    };
    let stderr = known.stderr.iter().map(|e| e.unwrap_or(f64::NAN)).collect();
    curve.reads = 0;
    Fitted { curve, parameters, summary, stderr, solution }
}

impl Fitted {
    fn profile(&mut self, wanted: &[usize]) -> Profiler {
        let mut profiler = Profiler::new(&self.parameters, self.solution.clone(), wanted);
        self.curve.run(&mut profiler);
        profiler
    }

    /// tau with parameter j held, the others fitted anew from the solution and from around it, the best taken.
    fn brute_force(&mut self, j: usize, value: f64) -> f64 {
        let others: Vec<f64> =
            (0..self.summary.theta.len()).filter(|&k| k != j).map(|k| self.summary.theta[k]).collect();
        let held = self.parameters.holding(j, value).unwrap();
        let mut lowest = f64::INFINITY;
        for factor in [1.0, 0.9, 1.1] {
            let inside = |(v, p): (&f64, &Parameter)| (v * factor).clamp(p.min, p.max);
            let start: Vec<f64> = others.iter().zip(held.iter_free()).map(inside).collect();
            let mut minimizer = Minimizer::new(&held.starting_at(&start), Options::default());
            while let crate::minimize::Demand::Linearize(theta) = minimizer.start() {
                let mut whole = theta.clone();
                whole.insert(j, value);
                let normal = self.curve.linearize(&whole, &self.solution.costing);
                minimizer.advance(crate::minimize::Answer::Linearized(refit::reduced(&normal, j)));
            }
            lowest = lowest.min(minimizer.summary().unwrap().normal.cost);
        }
        (2.0 * (lowest - self.summary.normal.cost).max(0.0) / self.solution.variance).sqrt()
    }
}

fn line() -> Curve {
    Curve::new("a + b*x", grid(-1.0, 3.0, 30), &[1.0, -2.0], |i| 0.3 * noise(1)(i))
}

fn decay() -> Curve {
    Curve::new("a*exp(-b*x) + c", grid(0.0, 4.0, 25), &[3.0, 0.8, 0.5], |i| 0.25 * noise(2)(i))
}

#[test]
fn the_profile_of_a_linear_model_is_the_standard_error() {
    let mut line = fit(line(), &[0.0, 0.0], &[], Costing::default());
    let profiler = line.profile(&[0, 1]);
    for (j, profile) in profiler.profiles().iter().enumerate() {
        assert_eq!((profile.name.as_str(), profile.ends), (["a", "b"][j], [End::Complete; 2]));
        for limits in &profile.limits {
            let half = limits.tau * line.stderr[j];
            let (lower, upper) = (limits.lower.unwrap(), limits.upper.unwrap());
            assert!(((profile.value - lower) / half - 1.0).abs() < 1e-9, "{limits:?}");
            assert!(((upper - profile.value) / half - 1.0).abs() < 1e-9, "{limits:?}");
        }
        assert!((profile.asymmetry.unwrap() - 1.0).abs() < 1e-8 && profile.nonlinearity.unwrap() < 1e-8);
        for point in &profile.points {
            let delta = (point.value - profile.value) / line.stderr[j];
            assert!((point.tau - delta).abs() < 1e-8 && point.theta[j] == point.value, "{point:?}");
        }
        assert!(profile.points.windows(2).all(|pair| pair[0].value < pair[1].value && pair[0].tau < pair[1].tau));
    }
    // t(28) at 95 %
    assert!((profiler.profiles()[0].limits[1].tau - 2.048_407_141_795_244).abs() < 1e-9);
    // four arms, one read a point: two limits and the waypoints between
    assert!(line.curve.reads <= 5, "{} reads", line.curve.reads);
}

#[test]
fn the_limits_of_a_decay_are_those_of_refits_by_brute_force() {
    let mut decay = fit(decay(), &[1.0, 1.0, 0.0], &[], Costing::default());
    let profiler = decay.profile(&[0, 1, 2]);
    let reads = decay.curve.reads;
    assert!(profiler.better().is_none() && reads <= 40, "{reads} reads");
    assert_eq!(profiler.iteration().unwrap().pass, reads);
    for (j, profile) in profiler.profiles().iter().enumerate() {
        assert_eq!(profile.ends, [End::Complete; 2]);
        for limits in &profile.limits {
            for value in [limits.lower.unwrap(), limits.upper.unwrap()] {
                let tau = decay.brute_force(j, value);
                assert!((tau - limits.tau).abs() < 1e-5, "{} at {value}: tau = {tau}, {limits:?}", profile.name);
            }
        }
        for point in &profile.points {
            assert!((decay.brute_force(j, point.value) - point.tau.abs()).abs() < 1e-4, "{} {point:?}", profile.name);
        }
    }
    // the rate is skewed, and not a little
    assert!(profiler.profiles()[1].asymmetry.unwrap() > 1.05, "{:?}", profiler.profiles()[1].asymmetry);
}

#[test]
fn a_profile_of_a_robust_cost_follows_that_cost() {
    let costing = Costing { loss: Loss { kind: LossKind::SoftL1, scale: 0.2 }, ..Costing::default() };
    let mut decay = fit(decay(), &[1.0, 1.0, 0.0], &[], costing);
    let profile = decay.profile(&[1]).profiles().remove(0);
    for limits in &profile.limits {
        for value in [limits.lower.unwrap(), limits.upper.unwrap()] {
            assert!((decay.brute_force(1, value) - limits.tau).abs() < 1e-5, "{limits:?}");
        }
    }
}

#[test]
fn an_arm_ends_at_a_bound_and_is_open_there() {
    // c lies within two standard errors of its bound
    let bounds = [(f64::NEG_INFINITY, 10.0), (0.0, 10.0), (0.3, 10.0)];
    let mut decay = fit(decay(), &[1.0, 1.0, 0.5], &bounds, Costing::default());
    let profile = decay.profile(&[2]).profiles().remove(0);
    assert_eq!(profile.ends, [End::Bound, End::Complete]);
    assert_eq!((profile.limits[1].lower, profile.points[0].value, profile.asymmetry), (None, 0.3, None));
    assert!(profile.limits[1].upper.is_some());

    // a solution that a bound holds: the other arm alone, and it starts steeper than a quadratic
    let bounds = [(f64::NEG_INFINITY, 10.0), (0.0, 10.0), (0.8, 10.0)];
    let mut held = fit(decay.curve, &[1.0, 1.0, 1.0], &bounds, Costing::default());
    assert_eq!(held.summary.theta[2], 0.8);
    let profile = held.profile(&[2, 1]).profiles();
    assert_eq!((profile[0].ends, profile[0].limits[0].lower), ([End::Bound, End::Complete], None));
    for limits in &profile[0].limits {
        let tau = held.brute_force(2, limits.upper.unwrap());
        assert!((tau - limits.tau).abs() < 1e-5, "{tau} {limits:?}");
    }
    // the others keep their bounds on the way
    assert!(profile[1].points.iter().all(|point| point.theta[2] >= 0.8));
    for limits in &profile[1].limits {
        let tau = held.brute_force(1, limits.lower.unwrap());
        assert!((tau - limits.tau).abs() < 1e-5, "{tau} {limits:?}");
    }
}

#[test]
fn a_side_that_the_data_do_not_limit_is_open() {
    // the rise is over before the second point: any faster rate does as well
    let mut rise = Curve::new("a*(1 - exp(-b*x))", grid(0.0, 30.0, 12), &[2.0, 1.3], |i| {
        if i == 1 { 0.0 } else { 0.05 * noise(4)(i) }
    });
    rise.reads = 0;
    let mut rise = fit(rise, &[1.0, 1.0], &[], Costing::default());
    let profile = rise.profile(&[1]).profiles().remove(0);
    assert!(profile.limits[1].lower.is_some(), "{:?}", profile.limits);
    assert_eq!((profile.limits[1].upper, profile.ends[1]), (None, End::Open));
}

#[test]
fn where_the_model_is_not_finite_an_arm_goes_back_and_ends() {
    // finite for a > 1 only, and the cost there stays below the limits
    let mut root = fit(
        Curve::new("sqrt(a - 1)*x + b", grid(0.0, 1.0, 20), &[1.01, 2.0], |i| if i % 2 == 0 { 0.1 } else { -0.1 }),
        &[1.5, 2.0],
        &[],
        Costing::default(),
    );
    if root.summary.theta[0] <= 1.0 {
        panic!("the test needs a solution inside: {:?}", root.summary.theta);
    }
    let profile = root.profile(&[0]).profiles().remove(0);
    assert_eq!(profile.ends[0], End::NotFinite, "{profile:?}");
    assert!(profile.limits[1].upper.is_some() && profile.limits[1].lower.is_none());
}

#[test]
fn a_lower_cost_on_the_way_is_a_failed_fit() {
    let mut decay = fit(decay(), &[1.0, 1.0, 0.0], &[], Costing::default());
    let minimum = decay.summary.normal.cost;
    // a place that is no minimum, as that of a fit that had stalled
    decay.solution.theta[1] += 2.0 * decay.stderr[1];
    decay.solution.normal = decay.curve.linearize(&decay.solution.theta, &Costing::default());
    let profiler = decay.profile(&[1]);
    let better = profiler.better().expect("the refits fall towards the minimum");
    assert!(better.cost < decay.solution.normal.cost && better.cost >= minimum);
    assert_eq!(decay.curve.linearize(&better.theta, &Costing::default()).cost, better.cost);
    let profile = profiler.profiles().remove(0);
    assert!(profile.limits.iter().all(|limits| limits.lower.is_none() && limits.upper.is_none()));
    assert!(profiler.demand().is_none());
}

#[test]
fn a_single_parameter_needs_no_refit_and_a_saved_state_goes_on_the_same_way() {
    let curve = Curve::new("exp(-b*x)", grid(0.0, 4.0, 25), &[0.8], |i| 0.1 * noise(7)(i));
    let mut alone = fit(curve, &[1.0], &[], Costing::default());
    let whole = alone.profile(&[0]);
    let limits = whole.profiles()[0].limits[1];
    let cost = alone.curve.linearize(&[limits.upper.unwrap()], &Costing::default()).cost;
    let tau = (2.0 * (cost - alone.summary.normal.cost) / alone.solution.variance).sqrt();
    assert!((tau - limits.tau).abs() < 1e-6, "{tau} {limits:?}");

    let mut decay = fit(decay(), &[1.0, 1.0, 0.0], &[], Costing::default());
    let straight = decay.profile(&[0, 2]).profiles();
    let mut profiler = Profiler::new(&decay.parameters, decay.solution.clone(), &[0, 2]);
    while let Some(request) = profiler.demand() {
        profiler = crate::saved::tests::again(&profiler);
        assert_eq!(profiler.is_of(&decay.parameters), Ok(()));
        profiler.take(decay.curve.answer(&request));
    }
    assert_eq!(profiler.profiles(), straight);
}
