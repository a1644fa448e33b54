//! Fits with bounds.

use proptest::prelude::*;

use super::dual::Dual;
use super::{System, bounded, fit, unbounded};
use crate::minimize::{Minimizer, Options, minimize};
use crate::summary::{Side, Status};

const FREE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

fn rosenbrock(x: &[Dual]) -> Vec<Dual> {
    vec![10.0 * (x[1] - x[0].squared()), 1.0 - x[0]]
}

/// A saturating rise through noisy points; unbounded minimum near (3.1, 0.5, 0.1).
fn rise(x: &[Dual]) -> Vec<Dual> {
    let y = [0.13, 1.26, 2.11, 2.47, 2.86, 2.9, 3.05, 3.1, 3.21, 3.15];
    y.iter().enumerate().map(|(i, y)| x[0] * (1.0 - (-(x[1] * i as f64)).exp()) + x[2] - *y).collect()
}

#[test]
fn a_minimum_at_a_bound_is_found_there_exactly_and_is_named() {
    let free = fit(&unbounded(&[1.0, 1.0, 0.0]), Options::default(), rise);
    assert_eq!(free.at_bound, [None; 3]);
    let below = (f64::NEG_INFINITY, free.theta[0] - 0.25);
    let above = (free.theta[1] + 0.125, f64::INFINITY);
    let held = fit(&bounded(&[1.0, 1.0, 0.0], &[below, FREE, FREE]), Options::default(), rise);
    assert_eq!((held.status, held.theta[0]), (Status::Converged, below.1));
    assert_eq!(held.at_bound, [Some(Side::Max), None, None]);
    assert_eq!(held.warnings.len(), 1, "{:?}", held.warnings);
    let expected = format!("x1 ended at its upper bound {}: ", below.1);
    assert!(held.warnings[0].starts_with(&expected), "{:?}", held.warnings);
    assert!(held.normal.cost > free.normal.cost && held.gradient_norm < 1e-9);
    // the others are where they would be if x1 were fixed there
    let fixed = fit(&unbounded(&held.theta[1..]), Options::default(), |x| rise(&[below.1.into(), x[0], x[1]]));
    let close = |a: f64, b: f64| (a - b).abs() < 1e-8;
    assert!(close(fixed.theta[0], held.theta[1]) && close(fixed.theta[1], held.theta[2]));

    let two = fit(&bounded(&[1.0, 1.0, 0.0], &[below, above, FREE]), Options::default(), rise);
    assert_eq!((two.status, two.theta[1]), (Status::Converged, above.0));
    assert_eq!(two.at_bound[1], Some(Side::Min));
}

#[test]
fn a_start_on_bounds_does_not_stick_there() {
    let free = fit(&unbounded(&[1.0, 1.0, 0.0]), Options::default(), rise);
    let around: Vec<(f64, f64)> = free.theta.iter().map(|t| (t - 1.0, t + 2.0)).collect();
    for corner in 0..8 {
        let start: Vec<f64> =
            around.iter().enumerate().map(|(j, b)| if corner & (1 << j) == 0 { b.0 } else { b.1 }).collect();
        let inside = fit(&bounded(&start, &around), Options::default(), rise);
        assert_eq!((inside.status, &inside.at_bound), (Status::Converged, &vec![None; 3]), "corner {corner}");
        assert!(inside.theta.iter().zip(&free.theta).all(|(a, b)| (a - b).abs() < 1e-8), "corner {corner}");
    }
}

/// Sitting on a bound without being pulled across it is not being held by it.
#[test]
fn a_bound_through_the_minimum_is_not_active() {
    let parameters = bounded(&[3.0, 2.0], &[(1.0, 5.0), FREE]);
    let summary = fit(&parameters, Options::default(), rosenbrock);
    assert_eq!((summary.status, summary.normal.cost, &summary.theta[..]), (Status::Converged, 0.0, &[1.0, 1.0][..]));
    assert_eq!(summary.at_bound, [None, None]);
}

#[test]
fn a_bound_hit_on_the_way_is_left_again() {
    // without the bound the first step goes to x2 = 1.4; the minimum is at x2 = 0.49
    let parameters = bounded(&[1.0, 1.0, 0.0], &[FREE, (f64::NEG_INFINITY, 1.2), FREE]);
    let mut system = System::new(rise);
    let Ok(summary) = minimize(&mut Minimizer::new(&parameters, Options::default()), &mut system);
    assert!(system.visited.iter().any(|(theta, _)| theta[1] == 1.2), "{:?}", system.visited);
    let free = fit(&unbounded(&[1.0, 1.0, 0.0]), Options::default(), rise);
    assert_eq!((summary.status, &summary.at_bound), (Status::Converged, &vec![None; 3]));
    assert!(summary.theta.iter().zip(&free.theta).all(|(a, b)| (a - b).abs() < 1e-8));
}

#[test]
fn bounds_out_of_reach_change_no_bit() {
    let start = [1.0, 1.0, 0.0];
    let free = fit(&unbounded(&start), Options::default(), rise);
    let wide = fit(&bounded(&start, &[(-1e9, 1e9); 3]), Options::default(), rise);
    assert_eq!(free, wide);
}

proptest! {
    #[test]
    fn whatever_the_box_the_answer_is_a_constrained_minimum(
        corners in prop::collection::vec((-2.0..4.0f64, 0.05..3.0f64), 3),
        inside in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64], 3),
    ) {
        // a rate below -0.5 makes the curve explode: keep the second parameter above
        let bounds: Vec<(f64, f64)> =
            corners.iter().enumerate().map(|(j, (low, width))| if j == 1 { (low.abs() * 0.5, low.abs() * 0.5 + width) } else { (*low, low + width) }).collect();
        let start: Vec<f64> = bounds.iter().zip(&inside).map(|((low, high), t)| (low + t * (high - low)).clamp(*low, *high)).collect();
        let mut system = System::new(rise);
        let Ok(summary) = minimize(&mut Minimizer::new(&bounded(&start, &bounds), Options::default()), &mut system);
        prop_assert_eq!(summary.status, Status::Converged, "{}", summary.reason);
        for (theta, _) in &system.visited {
            prop_assert!(theta.iter().zip(&bounds).all(|(t, (low, high))| low <= t && t <= high), "{theta:?} left the box");
        }
        let residual = (2.0 * summary.normal.cost).sqrt();
        for j in 0..3 {
            let (theta, pull) = (summary.theta[j], summary.normal.jtr[j] / (summary.normal.entry(j, j).sqrt() * residual));
            let expected = match () {
                () if theta == bounds[j].0 && pull > 0.0 => Some(Side::Min),
                () if theta == bounds[j].1 && pull < 0.0 => Some(Side::Max),
                () => None,
            };
            prop_assert_eq!(summary.at_bound[j], expected);
            prop_assert!(expected.is_some() || pull.is_nan() || pull.abs() < 1e-6, "x{} can still move: {}", j + 1, pull);
        }
    }
}
