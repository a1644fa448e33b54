//! What a scale of its own costs a fit, and how one ends that has used up its passes.

use super::*;
use crate::hybrid::rescue::Left;

fn passes(fit: &Hybrid) -> u64 {
    fit.summary().unwrap().passes
}

#[test]
fn a_scale_settles_in_few_passes_and_the_minimum_is_sought_in_full_at_the_end() {
    let full = crate::minimize::Options::default().gtol;
    for (name, kind) in LossKind::NAMES.into_iter().filter(|(_, kind)| *kind != LossKind::Linear) {
        let mut points = line_with_outliers(1_001, 9);
        let fit = points.fit(&[0.0, 0.0], robust(kind, ScaleRule::Mad), 20.0);
        let summary = fit.summary().unwrap();
        assert!(!fit.rough && summary.gradient_norm <= full, "{name}: {}", summary.reason);
        // the last two: a pass at the minimum, and the scale there
        let last = points.asked.iter().rev().take(2).map(|request| &request.question).collect::<Vec<_>>();
        let at_end = matches!(&last[..], [Question::Magnitudes { theta, .. }, Question::Linearize(_)] if *theta == summary.theta);
        assert!(at_end, "{name}: {last:?}");
        assert!(passes(&fit) <= 40, "{name}: {}", passes(&fit));
    }
}

#[test]
fn half_of_the_points_met_exactly_cost_no_search_for_their_median() {
    let t: Vec<f64> = (0..40).map(f64::from).collect();
    let y = t.iter().map(|t| 1.0 + 2.0 * t + if *t < 4.0 { 50.0 } else { 0.0 }).collect();
    let fit = Points::new("a + b*t", t, y).fit(&[1.0, 2.0], robust(LossKind::Tukey, ScaleRule::Mad), 10.0);
    let summary = fit.summary().unwrap();
    assert!(summary.status == Status::Converged && summary.passes < 20, "{summary:?}");
}

#[test]
fn a_refinement_left_for_a_warm_up_that_brought_nothing_ends_out_of_passes_not_interrupted() {
    let mut points = line_with_outliers(300, 3);
    let parameter = |name: &str| Parameter { name: name.into(), start: 0.0, min: -1e9, max: 1e9, fixed: false };
    let parameters = Parameters::new(vec![parameter("a"), parameter("b")]).unwrap();
    let mut fit = Hybrid::new(&parameters, robust(LossKind::Huber, ScaleRule::Given), 20.0);
    let request = fit.demand().unwrap();
    fit.take(points.answer(&request));
    let Stage::Refine(tandem) = &fit.stage else { panic!("a fit begins by refinement") };
    let best = tandem.interrupt("creeps").unwrap();
    fit.left = Some(Left { tandem: Some(tandem.clone()), best: best.clone() });
    fit.passes = fit.options.minimizer.max_passes;
    let mut worse = Summary { status: Status::Stalled, ..best.clone() };
    worse.normal.cost *= 2.0;
    let end = fit.settle_with_left(worse).expect("no pass is left to go on with");
    assert_eq!((end.status, end.theta), (Status::MaxPasses, best.theta));
    assert!(end.reason.starts_with("max_passes"), "{}", end.reason);
}
