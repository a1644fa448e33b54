//! A whole fit from starts that one descent does not master.

use super::dual::Dual;
use super::{System, mgh, unbounded};
use crate::hybrid::{Companion, Hybrid, Options, WarmUpRule};
use crate::kernel::{Precision, Question};
use crate::minimize::Method;
use crate::procedure::Procedure;
use crate::summary::{Phase, Status};

/// A fit, driven pass by pass.
struct Driven {
    fit: Hybrid,
    /// Phase and number of thetas of each pass.
    passes: Vec<(Phase, usize)>,
    visited: Vec<Vec<f64>>,
    notes: Vec<String>,
}

/// Drives a fit; after every pass it is stored and read back.
fn drive(start: &[f64], options: Options, residuals: impl Fn(&[Dual]) -> Vec<Dual>) -> Driven {
    let mut system = System::new(residuals);
    let mut fit = Hybrid::new(&unbounded(start), options, 1.0);
    let (mut passes, mut notes) = (Vec::new(), Vec::new());
    while let Some(request) = fit.demand() {
        let Question::Linearize(thetas) = &request.question else { panic!("{request:?}") };
        assert!(thetas.len() == 1 || request.costing.precision == Precision::F64, "two descents are f64: {request:?}");
        fit.take(system.answer(&request));
        fit = crate::saved::tests::again(&fit);
        let iteration = fit.iteration().unwrap();
        passes.push((iteration.phase, thetas.len()));
        assert_eq!(iteration.pass as usize, passes.len());
        notes.extend(fit.take_notes());
    }
    Driven { fit, passes, visited: system.visited.into_iter().map(|(theta, _)| theta).collect(), notes }
}

/// A decay through points that no decay fits.
fn decay(x: &[Dual]) -> Vec<Dual> {
    let y = [9.1, 5.8, 3.9, 2.1, 1.7, 0.6, 0.9, 0.1];
    y.iter().enumerate().map(|(i, y)| x[0] * (-(x[1] * i as f64)).exp() + x[2] - *y).collect()
}

#[test]
fn a_fit_that_creeps_away_is_brought_back_by_a_warm_up_from_its_start() {
    let (start, bard) = mgh::start_and_residuals("Bard", 10.0);
    let rescued = drive(&start, Options::default(), bard);
    let summary = rescued.fit.summary().unwrap();
    assert_eq!((summary.status, summary.passes as usize), (Status::Converged, rescued.passes.len()));
    assert!((2.0 * summary.normal.cost - 8.214877e-3).abs() < 1e-8, "{}", summary.normal.cost);
    let mut phases: Vec<Phase> = rescued.passes.iter().map(|(phase, _)| *phase).collect();
    phases.dedup();
    assert_eq!(phases, [Phase::Refine, Phase::WarmUp, Phase::Refine]);
    assert!(rescued.passes.iter().any(|(_, thetas)| *thetas == 2), "the second descent was tried first");
    let decision = rescued.fit.decision().unwrap();
    assert!(decision.entered && decision.reason.contains("the last 20 passes"), "{decision:?}");
    let said = |text: &str| rescued.notes.iter().any(|note| note.starts_with(text));
    assert!(said("second descent from the start") && said("warm-up entered: ") && said("warm-up over after "));

    let left = drive(&start, Options { warm_up: WarmUpRule::Never, ..Options::default() }, bard).fit.summary().unwrap();
    assert!(left.status == Status::Stalled && left.normal.cost > 1.0, "{left:?}");
}

#[test]
fn a_second_descent_reaches_what_the_first_creeps_towards() {
    let (start, chebyquad) = mgh::start_and_residuals("Chebyquad n=8", 10.0);
    let both = drive(&start, Options::default(), chebyquad);
    let summary = both.fit.summary().unwrap();
    assert_eq!(summary.status, Status::Converged, "{}", summary.reason);
    assert!((2.0 * summary.normal.cost - 3.516874e-3).abs() < 1e-8);
    let one = drive(&start, Options { companion: Companion::Never, ..Options::default() }, chebyquad);
    assert!(one.fit.summary().unwrap().normal.cost > 1e10);
    assert!(one.passes.iter().all(|(_, thetas)| *thetas == 1));
}

/// What a warm-up hands over is not asked for again.
#[test]
fn a_warm_up_comes_first_where_it_is_asked_for_and_no_theta_is_asked_for_twice() {
    let options = Options { warm_up: WarmUpRule::Always, ..Options::default() };
    let warmed = drive(&[80.0, 3.0, 0.5], options, decay);
    assert_eq!(warmed.passes[0].0, Phase::WarmUp);
    assert_eq!(warmed.passes.last().unwrap().0, Phase::Refine);
    assert_eq!(warmed.fit.summary().unwrap().status, Status::Converged);
    for (i, theta) in warmed.visited.iter().enumerate() {
        assert!(!warmed.visited[..i].contains(theta), "{theta:?} is asked for twice");
    }
    let cold = drive(&[80.0, 3.0, 0.5], Options::default(), decay);
    assert!(cold.fit.decision().is_none() && cold.passes.iter().all(|(phase, _)| *phase == Phase::Refine));
    let theta = |driven: &Driven| driven.fit.summary().unwrap().theta;
    assert!(theta(&warmed).iter().zip(theta(&cold)).all(|(a, b)| (a - b).abs() < 1e-8));
}

#[test]
fn methods_without_phases_have_none() {
    for method in [Method::Trf, Method::Lm] {
        let (start, bard) = mgh::start_and_residuals("Bard", 10.0);
        let mut options = Options { warm_up: WarmUpRule::Always, companion: Companion::Always, ..Options::default() };
        options.minimizer.method = method;
        let plain = drive(&start, options, bard);
        assert!(plain.passes.iter().all(|pass| *pass == (Phase::Refine, 1)), "{method:?}");
        assert_eq!(plain.fit.decision(), None);
    }
}

#[test]
fn passes_are_never_more_than_allowed() {
    let (start, bard) = mgh::start_and_residuals("Bard", 10.0);
    for warm_up in [WarmUpRule::Auto, WarmUpRule::Always] {
        for max_passes in [1, 2, 3, 4, 11, 12, 28, 29, 30, 33, 40] {
            let mut options = Options { warm_up, ..Options::default() };
            options.minimizer.max_passes = max_passes;
            let short = drive(&start, options.clone(), bard);
            assert!(short.passes.len() as u64 <= max_passes, "{warm_up:?} {max_passes}: {}", short.passes.len());
            let summary = short.fit.summary().unwrap();
            if summary.status == Status::MaxPasses {
                assert_eq!(summary.reason, format!("max_passes: all {max_passes} passes are used"));
            }
            (options.minimizer.xtol, options.minimizer.ftol, options.minimizer.gtol) = (0.0, 0.0, 0.0);
            let endless = drive(&start, options, bard);
            assert_eq!(endless.passes.len() as u64, max_passes, "{warm_up:?}");
            assert!(endless.passes.iter().all(|(_, thetas)| *thetas == 1), "without tolerances one descent runs alone");
        }
    }
}

#[test]
fn a_fit_that_begins_in_single_precision_has_its_second_descent_in_double() {
    let (start, bard) = mgh::start_and_residuals("Bard", 10.0);
    let mut options = Options::default();
    options.costing.precision = Precision::F32;
    let driven = drive(&start, options, bard); // which looks at the precision of every request
    assert!(driven.passes.iter().any(|(_, thetas)| *thetas == 2));
    assert_eq!(driven.fit.summary().unwrap().status, Status::Converged);
}

/// Whenever it is stopped, the best point so far comes back.
#[test]
fn a_fit_stopped_in_any_phase_returns_its_best_point() {
    let (start, bard) = mgh::start_and_residuals("Bard", 10.0);
    let mut system = System::new(bard);
    let mut fit = Hybrid::new(&unbounded(&start), Options::default(), 1.0);
    while let Some(request) = fit.demand() {
        fit.take(system.answer(&request));
        let stopped = fit.interrupt("asked to").unwrap();
        let lowest = system.visited.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
        // a trial may gain too little to be accepted
        assert!(stopped.normal.cost <= lowest * (1.0 + 1e-3), "{} {lowest}", stopped.normal.cost);
        assert_eq!(stopped.passes, fit.iteration().unwrap().pass);
    }
}
