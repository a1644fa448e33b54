//! What the state machine must do whatever the problem.

use super::dual::{Dual, variables};
use super::{System, fit, unbounded};
use crate::minimize::{Answer, Demand, Evaluate, Minimizer, Options, minimize};
use crate::normal::NormalEquations;
use crate::summary::{Status, Summary};

fn endless(max_passes: u64) -> Options {
    Options { xtol: 0.0, ftol: 0.0, gtol: 0.0, max_passes, ..Options::default() }
}

fn rosenbrock(x: &[Dual]) -> Vec<Dual> {
    vec![10.0 * (x[1] - x[0].squared()), 1.0 - x[0]]
}

/// A decay through points that no decay fits.
fn decay(x: &[Dual]) -> Vec<Dual> {
    let y = [9.1, 5.8, 3.9, 2.1, 1.7, 0.6, 0.9, 0.1];
    y.iter().enumerate().map(|(i, y)| x[0] * (-(x[1] * i as f64)).exp() + x[2] - *y).collect()
}

fn asked(demand: &Demand) -> Vec<f64> {
    match demand {
        Demand::Linearize(theta) => theta.clone(),
        other => panic!("expected Linearize, found {other:?}"),
    }
}

fn at(residuals: impl Fn(&[Dual]) -> Vec<Dual>, theta: &[f64]) -> NormalEquations {
    System::new(residuals).at(theta)
}

/// A fit that takes a rejected step for the minimum returns here, and with the worse point.
#[test]
fn a_rejected_step_is_not_convergence_and_its_point_is_never_returned() {
    for rise in [0.5, 1e-6, 1e-9, 1e-11] {
        let start = [8.0, 0.3, 0.0];
        let mut minimizer = Minimizer::new(&unbounded(&start), Options::default());
        assert_eq!(asked(&minimizer.start()), start);
        let first = at(decay, &start);
        let mut demand = minimizer.advance(Answer::Linearized(first.clone()));
        // first one, later several rejections in a row: a little worse than the start each time
        for _ in 0..9 {
            let mut worse = at(decay, &asked(&demand));
            worse.cost = first.cost * (1.0 + rise);
            demand = minimizer.advance(Answer::Linearized(worse));
            assert!(!minimizer.iteration().unwrap().accepted);
            assert!(matches!(demand, Demand::Linearize(_)), "rise = {rise}: {demand:?}");
        }
        let stopped = minimizer.interrupt("asked to").unwrap();
        assert_eq!((stopped.status, stopped.theta.as_slice()), (Status::Interrupted, &start[..]));
        assert_eq!(stopped.normal, first);
    }
}

/// The next trial after each rejection lies closer to the accepted point.
#[test]
fn a_model_that_is_not_finite_shrinks_the_step_and_ends_nothing() {
    let start = [8.0, 0.3, 0.0];
    let mut minimizer = Minimizer::new(&unbounded(&start), Options::default());
    let mut demand = minimizer.advance(Answer::Linearized(at(decay, &start)));
    let distance = |demand: &Demand| {
        let theta = asked(demand);
        theta.iter().zip(start).map(|(t, s)| (t - s) * (t - s)).sum::<f64>()
    };
    for spoil in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let before = distance(&demand);
        let mut normal = at(decay, &asked(&demand));
        normal.cost = spoil;
        demand = minimizer.advance(Answer::Linearized(normal));
        assert!(distance(&demand) < 0.1 * before);
        let record = minimizer.iteration().unwrap();
        assert!(record.cost.is_nan() && !record.accepted);
    }
    let mut normal = at(decay, &asked(&demand));
    normal.jtj[2] = f64::NAN;
    minimizer.advance(Answer::Linearized(normal));
    assert!(!minimizer.iteration().unwrap().accepted, "a derivative that is not a number spoils a trial too");
}

#[test]
fn a_start_that_cannot_be_evaluated_fails_and_says_what_is_wrong() {
    let reason = |spoil: fn(&mut NormalEquations)| {
        let mut minimizer = Minimizer::new(&unbounded(&[8.0, 0.3, 0.0]), Options::default());
        let mut normal = at(decay, &[8.0, 0.3, 0.0]);
        spoil(&mut normal);
        match minimizer.advance(Answer::Linearized(normal)) {
            Demand::Finished(Summary { status: Status::Failed, reason, theta, passes: 1, .. }) => {
                assert_eq!(theta, [8.0, 0.3, 0.0]);
                reason
            }
            other => panic!("expected a failed fit, found {other:?}"),
        }
    };
    assert_eq!(reason(|n| n.cost = f64::INFINITY), "not finite at the start: the cost is inf");
    let derivative = reason(|n| n.jtr[1] = f64::NAN);
    assert!(derivative.ends_with("a derivative with respect to x2 is not finite"), "{derivative}");
}

#[test]
fn without_tolerances_exactly_max_passes_are_run() {
    type Residuals = fn(&[Dual]) -> Vec<Dual>;
    let problems: [(&str, Residuals, &[f64]); 5] = [
        ("minimum with residual", decay, &[8.0, 0.3, 0.0]),
        ("cost exactly 0", rosenbrock, &[-1.2, 1.0]),
        ("no influence at all", |_| vec![1.0.into(), 2.0.into()], &[1.0, 2.0]),
        ("dependent parameters", |x| vec![x[0] + x[1] - 3.0, 2.0 * (x[0] + x[1])], &[0.0, 0.0]),
        ("finite only at the start", |x| vec![x[0] + if x[0].value == 1.0 { 0.0 } else { f64::NAN }], &[1.0]),
    ];
    for (name, residuals, start) in problems {
        for max_passes in [1, 2, 7, 300] {
            let mut system = System::new(residuals);
            let mut minimizer = Minimizer::new(&unbounded(start), endless(max_passes));
            let Ok(summary) = minimize(&mut minimizer, &mut system);
            assert_eq!(summary.status, Status::MaxPasses, "{name}");
            assert_eq!((summary.passes, system.visited.len() as u64), (max_passes, max_passes), "{name}");
            assert!(summary.theta.iter().all(|v| v.is_finite()), "{name}");
        }
    }
}

/// `Finished` comes with the pass whose point passes a test: no pass is spent on what is known.
#[test]
fn one_pass_per_trial_and_a_record_of_each() {
    let mut minimizer = Minimizer::new(&unbounded(&[8.0, 0.3, 0.0]), Options::default());
    let mut system = System::new(decay);
    let (mut demand, mut accepted, mut best) = (minimizer.start(), 0, f64::INFINITY);
    while let Demand::Linearize(theta) = &demand {
        let Ok(normal) = system.linearize(theta);
        demand = minimizer.advance(Answer::Linearized(normal));
        let record = minimizer.iteration().unwrap();
        assert_eq!(record.pass, system.visited.len() as u64);
        assert_eq!(record.cost, system.visited.last().unwrap().1);
        if record.accepted {
            assert!(record.cost <= best * (1.0 + 1e-13));
            (accepted, best) = (accepted + 1, record.cost);
        }
    }
    let Demand::Finished(summary) = demand else { panic!("{demand:?}") };
    assert_eq!(summary.status, Status::Converged);
    assert_eq!((summary.passes, summary.iterations), (system.visited.len() as u64, accepted - 1));
    assert_eq!(summary.normal, system.at(&summary.theta), "the normal equations are those at the point returned");
    assert_eq!(minimizer.start(), Demand::Finished(summary), "a finished fit stays finished");
}

/// A checkpoint after every pass: what goes on from it asks the same questions, to the last bit.
#[test]
fn a_fit_resumed_after_any_pass_takes_the_same_path() {
    for (residuals, start) in
        [(decay as fn(&[Dual]) -> Vec<Dual>, vec![80.0, 3.0, 0.5]), (rosenbrock, vec![-12.0, 10.0])]
    {
        let mut straight = Minimizer::new(&unbounded(&start), Options::default());
        let mut demand = straight.start();
        while let Demand::Linearize(theta) = &demand {
            let stored = crate::saved::to_bytes(&straight).unwrap();
            let mut resumed: Minimizer = crate::saved::from_bytes(&stored).unwrap();
            assert_eq!(resumed.start(), demand);
            let answer = Answer::Linearized(at(residuals, theta));
            let next = straight.advance(answer.clone());
            assert_eq!(resumed.advance(answer), next);
            assert_eq!(*crate::saved::to_bytes(&resumed).unwrap(), *crate::saved::to_bytes(&straight).unwrap());
            demand = next;
        }
    }
}

/// In other units the fit takes the same path. With powers of two all arithmetic is exact, so bits must agree.
#[test]
fn units_do_not_matter() {
    let start = [80.0, 3.0, 0.5];
    let unit = [2.0_f64.powi(20), 2.0_f64.powi(-31), 1.0];
    let in_units = |x: &[Dual]| decay(&[x[0] * (1.0 / unit[0]), x[1] * (1.0 / unit[1]), x[2]]);
    let scaled_start: Vec<f64> = start.iter().zip(unit).map(|(s, u)| s * u).collect();
    let mut plain = System::new(decay);
    let mut scaled = System::new(in_units);
    let Ok(first) = minimize(&mut Minimizer::new(&unbounded(&start), Options::default()), &mut plain);
    let Ok(second) = minimize(&mut Minimizer::new(&unbounded(&scaled_start), Options::default()), &mut scaled);
    assert!(plain.visited.len() > 5);
    assert_eq!(plain.visited.len(), scaled.visited.len());
    for ((theta, cost), (theta_scaled, cost_scaled)) in plain.visited.iter().zip(&scaled.visited) {
        let back: Vec<f64> = theta_scaled.iter().zip(unit).map(|(t, u)| t / u).collect();
        assert_eq!((theta, cost), (&back, cost_scaled));
    }
    assert_eq!((first.reason, first.gradient_norm), (second.reason, second.gradient_norm));
}

#[test]
fn the_best_of_several_starts_is_taken() {
    let starts = vec![vec![80.0, 3.0, 0.5], vec![8.0, 0.3, 0.0], vec![0.0, 0.0, 0.0]];
    let mut minimizer = Minimizer::from_candidates(&unbounded(&starts[0]), starts.clone(), Options::default());
    assert_eq!(minimizer.start(), Demand::Cost(starts.clone()));
    let mut resumed = minimizer.clone();
    let demand = minimizer.advance(Answer::Costs(vec![f64::NAN, 2.0, 2.0]));
    assert_eq!(demand, Demand::Linearize(starts[1].clone()));
    assert_eq!(minimizer.iteration().map(|record| (record.pass, record.cost)), Some((1, 2.0)));
    let worst = resumed.advance(Answer::Costs(vec![f64::NAN, f64::INFINITY, f64::NAN]));
    assert_eq!(
        worst,
        Demand::Linearize(starts[0].clone()),
        "with no finite cost the first start is evaluated, and fails"
    );

    let mut system = System::new(decay);
    let mut minimizer = Minimizer::from_candidates(&unbounded(&starts[0]), starts.clone(), Options::default());
    let Ok(chosen) = minimize(&mut minimizer, &mut system);
    assert_eq!(system.visited[0].0, starts[1]);
    let alone = fit(&unbounded(&starts[1]), Options::default(), decay);
    assert_eq!((chosen.theta, chosen.passes), (alone.theta, alone.passes + 1));
}

/// y and sigma in other units: the cost changes by a factor, the path does not.
#[test]
fn the_scale_of_the_residual_does_not_matter() {
    let start = [80.0, 3.0, 0.5];
    let large =
        fit(&unbounded(&start), Options::default(), |x| decay(x).into_iter().map(|r| r * 2.0_f64.powi(40)).collect());
    let plain = fit(&unbounded(&start), Options::default(), decay);
    assert_eq!((large.theta, large.reason, large.passes), (plain.theta, plain.reason, plain.passes));
}

/// Residuals as small differences of large numbers: the cost is rough at up to 1e-8 of itself, and no parameter shows it.
#[test]
fn a_cost_rougher_than_it_looks_ends_at_the_rounding_floor() {
    let exact = fit(&unbounded(&[8.0, 0.3, 0.0]), Options::default(), decay);
    for offset in [1e4, 1e5, 1e6, 1e7] {
        let rough = |x: &[Dual]| decay(x).into_iter().map(|r| (r + offset) - offset).collect();
        let summary = fit(&unbounded(&[8.0, 0.3, 0.0]), Options::default(), rough);
        assert_eq!(summary.status, Status::Converged, "{}", summary.reason);
        assert!(summary.passes <= exact.passes + 8, "offset {offset}: {} passes, {}", summary.passes, summary.reason);
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-14 * offset + 1e-9;
        assert!(summary.theta.iter().zip(&exact.theta).all(near), "{:?} {:?}", summary.theta, exact.theta);
    }
}

#[test]
fn a_parameter_without_influence_stays_still_and_is_named() {
    let summary = fit(&unbounded(&[8.0, 0.3, 0.0, 7.25]), Options::default(), decay);
    assert_eq!((summary.status, summary.theta[3]), (Status::Converged, 7.25));
    assert_eq!(
        summary.warnings,
        ["x4 has no influence on the model at the solution: its derivative is 0 at every point, and it stayed at 7.25"]
    );
    let nothing = fit(&unbounded(&[1.0]), Options::default(), |_| vec![1.0.into()]);
    assert_eq!((nothing.status, nothing.passes), (Status::Stalled, 1), "{}", nothing.reason);
}

/// A point at which a test holds ends the fit at the first pass; each tolerance of 0 switches its test off.
#[test]
fn each_test_ends_a_fit_by_its_own_name() {
    let solved = fit(&unbounded(&[8.0, 0.3, 0.0]), Options::default(), decay);
    let again = fit(&unbounded(&solved.theta), Options::default(), decay);
    assert_eq!((again.passes, again.iterations, again.theta), (1, 0, solved.theta));
    for (options, name) in [
        (Options { xtol: 0.0, ftol: 0.0, ..Options::default() }, "gtol: "),
        (Options { xtol: 0.0, gtol: 0.0, ..Options::default() }, "ftol: "),
        (Options { ftol: 0.0, gtol: 0.0, ..Options::default() }, "xtol: "),
        (Options { xtol: 1e-300, ftol: 0.0, gtol: 0.0, ..Options::default() }, "rounding floor: "),
    ] {
        let summary = fit(&unbounded(&[8.0, 0.3, 0.0]), options, decay);
        assert_eq!(summary.status, Status::Converged);
        assert!(summary.reason.starts_with(name), "expected {name}, found {}", summary.reason);
        assert!(summary.gradient_norm < 1e-9 && summary.passes < 60, "{summary:?}");
    }
}

#[test]
fn the_dual_numbers_of_the_exam_agree_with_differences() {
    let f = |x: &[Dual]| {
        (x[0] * x[1].sin() / (2.0 + x[1].cos())).atan() + x[0].sqrt().ln() + x[0].pow(x[1]) * (-x[0]).abs()
    };
    let theta = [1.3, 0.7];
    let exact = f(&variables(&theta)).slope;
    for j in 0..2 {
        let h = 1e-6;
        let (mut above, mut below) = (theta, theta);
        above[j] += h;
        below[j] -= h;
        let difference = (f(&variables(&above)).value - f(&variables(&below)).value) / (2.0 * h);
        assert!((difference - exact[j]).abs() < 1e-8, "{difference} and {}", exact[j]);
    }
}
