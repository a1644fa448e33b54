//! Fits of small random models to random points: large residuals, boxes and starts that nobody chose with care.

use proptest::prelude::*;

use super::dual::Dual;
use super::{System, bounded};
use crate::minimize::{Minimizer, Options, minimize};
use crate::summary::{Side, Status};

const MODELS: usize = 6;

/// Residuals of model number `model` at x = 0, 0.4, 0.8, ...
fn residuals(model: usize, y: &[f64], p: &[Dual]) -> Vec<Dual> {
    let at = |x: f64| match model {
        0 => p[0] * (-(p[1] * x)).exp() + p[2],
        1 => p[0] * (-(p[1].exp() * x)).exp() + p[2] * (-(p[3].exp() * x)).exp(),
        2 => (p[0] + p[1] * x) / (1.0 + p[3].exp() * x) + p[2],
        3 => (p[0] + p[1] * x) / (1.0 + p[2].exp() * x + p[3].exp() * (x * x)),
        4 => p[0] * (p[1] / (x + 0.5 + p[2].exp())).exp() + p[3],
        _ => p[0] / (1.0 + (p[1] - p[2] * x).exp()) + p[3],
    };
    y.iter().enumerate().map(|(i, y)| at(0.4 * i as f64) - *y).collect()
}

proptest! {
    #[test]
    fn random_models_in_random_boxes_reach_a_constrained_minimum(
        model in 0..MODELS,
        y in prop::collection::vec(-3.0..3.0f64, 6..14),
        corners in prop::collection::vec((-2.0..1.0f64, 0.05..3.0f64), 4),
        inside in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64], 4),
    ) {
        let p = if model == 0 { 3 } else { 4 };
        let bounds: Vec<(f64, f64)> = corners[..p].iter().map(|(low, width)| (*low, low + width)).collect();
        let start: Vec<f64> = bounds.iter().zip(&inside).map(|((low, high), t)| (low + t * (high - low)).clamp(*low, *high)).collect();
        // two exponentials that the points hardly tell apart make a valley that takes more than the usual passes, rarely
        let options = Options { max_passes: 2000, ..Options::default() };
        let mut system = System::new(|p: &[Dual]| residuals(model, &y, p));
        let Ok(summary) = minimize(&mut Minimizer::new(&bounded(&start, &bounds), options), &mut system);
        prop_assert_eq!(summary.status, Status::Converged, "{}", summary.reason);
        for (theta, _) in &system.visited {
            prop_assert!(theta.iter().zip(&bounds).all(|(t, (low, high))| low <= t && t <= high), "{theta:?} left the box");
        }
        let residual = (2.0 * summary.normal.cost).sqrt();
        for j in 0..p {
            let (theta, pull) = (summary.theta[j], summary.normal.jtr[j] / (summary.normal.entry(j, j).sqrt() * residual));
            let expected = match () {
                () if theta == bounds[j].0 && pull > 0.0 => Some(Side::Min),
                () if theta == bounds[j].1 && pull < 0.0 => Some(Side::Max),
                () => None,
            };
            prop_assert_eq!(summary.at_bound[j], expected);
            prop_assert!(expected.is_some() || pull.is_nan() || pull.abs() < 1e-5, "x{} can still move: {}", j + 1, pull);
        }
    }
}
