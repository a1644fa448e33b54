//! Warm-ups of small systems: where they lead, what stops them, and that every option does something.

use std::convert::Infallible;

use super::*;
use crate::minimize::exam::dual::Dual;
use crate::minimize::exam::{System, bounded, unbounded};
use crate::minimize::{Minimizer, Options, minimize};
use crate::procedure::run;

fn rosenbrock(x: &[Dual]) -> Vec<Dual> {
    vec![10.0 * (x[1] - x[0].squared()), 1.0 - x[0]]
}

/// Independent parameters of very different curvature, minimum at (1, 2, 3).
fn quadratic(x: &[Dual]) -> Vec<Dual> {
    vec![x[0] - 1.0, 5.0 * (x[1] - 2.0), 0.1 * (x[2] - 3.0), 1.0.into()]
}

/// A decay through points that no decay fits.
fn decay(x: &[Dual]) -> Vec<Dual> {
    let y = [9.1, 5.8, 3.9, 2.1, 1.7, 0.6, 0.9, 0.1];
    y.iter().enumerate().map(|(i, y)| x[0] * (-(x[1] * i as f64)).exp() + x[2] - *y).collect()
}

/// Goes on until the gradient says so: no test but that one, no step too long, no start too good.
fn thorough(descent: Descent) -> WarmUpOptions {
    WarmUpOptions {
        descent,
        max_iterations: 5000,
        plateau: 0.0,
        agreement: 0.0,
        gradient: 1e-5,
        warm_start_detection: false,
        ..WarmUpOptions::default()
    }
}

/// A start of the decay from which a hundredth of the residual's length is left to gain, about.
fn near_the_minimum() -> [f64; 3] {
    let mut minimizer = Minimizer::new(&unbounded(&[8.0, 0.3, 0.0]), Options::default());
    let Ok(summary) = minimize(&mut minimizer, &mut System::new(decay));
    [summary.theta[0] * 1.001, summary.theta[1], summary.theta[2]]
}

struct Run {
    end: WarmUp,
    visited: Vec<(Vec<f64>, f64)>,
}

fn warm_up(parameters: &Parameters, options: WarmUpOptions, residuals: fn(&[Dual]) -> Vec<Dual>) -> Run {
    let mut system = System::new(residuals);
    let mut warm_up = WarmUp::new(parameters, options, Normalization::Auto, Costing::default(), 10_000);
    let Ok(()) = run(&mut warm_up, |request| Ok::<_, Infallible>(system.answer(request)));
    Run { end: warm_up, visited: system.visited }
}

fn theta(run: &Run) -> &[f64] {
    &run.end.place().unwrap().theta
}

fn near(a: &[f64], b: &[f64], by: f64) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= by)
}

#[test]
fn both_descents_and_both_line_searches_reach_a_minimum() {
    for line_search in [LineSearch::Wolfe, LineSearch::Backtracking] {
        let options = WarmUpOptions { line_search, ..thorough(Descent::Lbfgs) };
        let bowl = warm_up(&unbounded(&[3.0, -4.0, 10.0]), options.clone(), quadratic);
        assert!(near(theta(&bowl), &[1.0, 2.0, 3.0], 1e-3), "{:?}", theta(&bowl));
        assert!(bowl.visited.len() < 60, "{line_search:?}: {}", bowl.visited.len());
        // the residual vanishes at the minimum, and no gradient test holds where only roundings are left of it
        let valley = warm_up(&unbounded(&[-1.2, 1.0]), WarmUpOptions { max_iterations: 200, ..options }, rosenbrock);
        assert!(near(theta(&valley), &[1.0, 1.0], 1e-4), "{line_search:?}: {:?}", theta(&valley));
    }
    let adam = WarmUpOptions { gradient: 1e-3, ..thorough(Descent::Adam) };
    let bowl = warm_up(&unbounded(&[3.0, -4.0, 10.0]), adam, quadratic);
    assert!(near(theta(&bowl), &[1.0, 2.0, 3.0], 0.5), "{:?} {:?}", theta(&bowl), bowl.end.ended());
}

#[test]
fn the_normal_equations_handed_over_are_those_of_the_point_with_the_lowest_cost() {
    for descent in [Descent::Lbfgs, Descent::Adam] {
        let options = WarmUpOptions { descent, ..WarmUpOptions::default() };
        let run = warm_up(&unbounded(&[80.0, 3.0, 0.5]), options, decay);
        let place = run.end.place().unwrap();
        assert_eq!(place.normal, System::new(decay).at(&place.theta));
        let lowest = run.visited.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
        assert_eq!(place.normal.cost, lowest, "{descent:?}");
        assert!(run.end.ended().is_some() && run.end.iterations() > 0);
        assert_eq!(run.end.iteration().unwrap().pass as usize, run.visited.len());
    }
}

#[test]
fn bounds_are_kept_and_reached_exactly() {
    for descent in [Descent::Lbfgs, Descent::Adam] {
        let bounds = [(-5.0, 0.5), (2.5, 9.0), (f64::NEG_INFINITY, f64::INFINITY)];
        let run = warm_up(&bounded(&[-2.0, 7.0, 10.0], &bounds), thorough(descent), quadratic);
        for (theta, _) in &run.visited {
            assert!(theta.iter().zip(bounds).all(|(t, (low, high))| low <= *t && *t <= high), "{theta:?}");
        }
        let end = theta(&run);
        assert_eq!(&end[..2], &[0.5, 2.5], "{descent:?}");
        assert!((end[2] - 3.0).abs() < 0.5, "{descent:?}: {end:?}");
    }
}

/// A bound that the start sits on is left when the cost falls away from it.
#[test]
fn a_start_on_a_bound_moves_off_it() {
    let bounds = [(3.0, 9.0), (-9.0, 9.0), (-9.0, 10.0)];
    let run = warm_up(&bounded(&[9.0, -9.0, 10.0], &bounds), thorough(Descent::Lbfgs), quadratic);
    assert!(near(theta(&run), &[3.0, 2.0, 3.0], 1e-2), "{:?}", theta(&run));
}

#[test]
fn a_model_that_is_not_finite_shortens_the_step() {
    // beyond x = 2 the model is not a number
    fn wall(x: &[Dual]) -> Vec<Dual> {
        let edge = if x[0].value > 2.0 { f64::NAN } else { 0.0 };
        vec![(x[0] - 1.9) * 3.0 + edge, 0.3.into()]
    }
    for descent in [Descent::Lbfgs, Descent::Adam] {
        let options = WarmUpOptions { step_clipping: false, learning_rate: 1.0, ..thorough(descent) };
        let run =
            warm_up(&unbounded(&[1.0]), WarmUpOptions { adaptive_first_step: false, first_step: 5.0, ..options }, wall);
        assert!(run.visited.iter().any(|(_, cost)| cost.is_nan()), "{descent:?} tried what is not finite");
        assert!((theta(&run)[0] - 1.9).abs() < 0.05, "{descent:?}: {:?} {:?}", theta(&run), run.end.ended());
    }
    let nowhere = warm_up(&unbounded(&[1.0]), WarmUpOptions::default(), |_| vec![f64::NAN.into()]);
    assert_eq!(nowhere.end.ended(), Some("the model is not finite at the start"));
    assert_eq!(nowhere.visited.len(), 1);
}

/// The same signal on an offset of a million, in other units of y, of x and of the parameters: the same decision.
#[test]
fn a_warm_start_is_one_whatever_the_units_and_the_offset_of_y() {
    let solution = near_the_minimum();
    let offset = |scale: f64, shift: f64, start: [f64; 3]| {
        let mut system = System::new(move |x: &[Dual]| {
            decay(&[x[0] * (1.0 / scale), x[1], (x[2] - shift) * (1.0 / scale)])
                .into_iter()
                .map(|r| r * scale)
                .collect()
        });
        let start = [start[0] * scale, start[1], start[2] * scale + shift];
        let mut warm_up =
            WarmUp::new(&unbounded(&start), WarmUpOptions::default(), Normalization::Auto, Costing::default(), 100);
        warm_up.take(system.answer(&warm_up.demand().unwrap()));
        warm_up.ended().is_some_and(|reason| reason.starts_with("the start is warm"))
    };
    for (scale, shift) in [(1.0, 0.0), (1e-9, 0.0), (1.0, 1e6), (1e6, -1e12)] {
        assert!(offset(scale, shift, solution), "{scale} {shift}");
        assert!(!offset(scale, shift, [3.0, 0.1, 2.0]), "{scale} {shift}");
    }
}

#[test]
fn each_defence_can_be_switched_off() {
    let start = unbounded(&[80.0, 3.0, 0.5]);
    let lengths = |run: &Run| -> f64 {
        let pairs = run.visited.windows(2);
        let unit = [80.0, 3.0, 0.5];
        let length = |a: &[f64], b: &[f64]| norm(&(0..3).map(|j| (a[j] - b[j]) / unit[j]).collect::<Vec<_>>());
        pairs.map(|pair| length(&pair[0].0, &pair[1].0)).fold(0.0, f64::max)
    };
    let plain = WarmUpOptions { max_step: 0.05, ..WarmUpOptions::default() };
    let clipped = warm_up(&start, plain.clone(), decay);
    // trials of one search begin at one point, so two of them can be twice that apart
    assert!(lengths(&clipped) <= 0.1 + 1e-12, "{}", lengths(&clipped));
    let free = warm_up(&start, WarmUpOptions { step_clipping: false, ..plain.clone() }, decay);
    assert!(lengths(&free) > 0.2, "{}", lengths(&free));

    let fixed = WarmUpOptions { adaptive_first_step: false, first_step: 0.01, ..plain.clone() };
    let short = warm_up(&start, fixed, decay);
    let first = |run: &Run| {
        norm(&[
            (run.visited[1].0[0] - 80.0) / 80.0,
            (run.visited[1].0[1] - 3.0) / 3.0,
            (run.visited[1].0[2] - 0.5) / 0.5,
        ])
    };
    assert!((first(&short) - 0.01).abs() < 1e-12 && first(&clipped) > 0.04, "{} {}", first(&short), first(&clipped));

    let good = unbounded(&near_the_minimum());
    let loose = WarmUpOptions::default();
    assert_eq!(warm_up(&good, loose.clone(), decay).visited.len(), 1);
    assert!(warm_up(&good, WarmUpOptions { warm_start_detection: false, ..loose }, decay).visited.len() > 1);

    let wild = WarmUpOptions {
        descent: Descent::Adam,
        learning_rate: 3.0,
        step_clipping: false,
        max_iterations: 30,
        plateau: 0.0,
        gradient: 0.0,
        agreement: 0.0,
        ..WarmUpOptions::default()
    };
    let guarded = warm_up(&good, WarmUpOptions { warm_start_detection: false, ..wild.clone() }, decay);
    assert!(guarded.end.ended().unwrap().starts_with("the cost rose above"), "{:?}", guarded.end.ended());
    let unguarded = warm_up(&good, WarmUpOptions { warm_start_detection: false, cost_guard: false, ..wild }, decay);
    assert_eq!(unguarded.end.iterations(), 30, "{:?}", unguarded.end.ended());
}

#[test]
fn each_test_ends_it_by_its_own_name_and_0_switches_it_off() {
    let start = unbounded(&[80.0, 3.0, 0.5]);
    let none =
        WarmUpOptions { plateau: 0.0, gradient: 0.0, agreement: 0.0, max_iterations: 8, ..WarmUpOptions::default() };
    for (options, name) in [
        (WarmUpOptions { plateau: 0.1, ..none.clone() }, "plateau: "),
        (WarmUpOptions { gradient: 0.9, ..none.clone() }, "gradient: "),
        (WarmUpOptions { agreement: 0.5, ..none.clone() }, "agreement: "),
        (WarmUpOptions { max_iterations: 3, ..none.clone() }, "max_iterations: 3 "),
        (none, "max_iterations: 8 "),
    ] {
        let run = warm_up(&start, options, decay);
        assert!(run.end.ended().unwrap().starts_with(name), "{name}: {:?}", run.end.ended());
    }
    let mut system = System::new(decay);
    let mut short = WarmUp::new(&start, thorough(Descent::Lbfgs), Normalization::Auto, Costing::default(), 4);
    let Ok(()) = run(&mut short, |request| Ok::<_, Infallible>(system.answer(request)));
    assert_eq!((short.ended(), system.visited.len()), (Some("all 4 passes of the warm-up are used"), 4));
}

#[test]
fn a_warm_up_stored_after_any_pass_goes_the_same_way() {
    for descent in [Descent::Lbfgs, Descent::Adam] {
        let mut system = System::new(decay);
        let options = WarmUpOptions { descent, max_iterations: 12, ..WarmUpOptions::default() };
        let mut straight =
            WarmUp::new(&unbounded(&[80.0, 3.0, 0.5]), options, Normalization::Auto, Costing::default(), 100);
        while let Some(request) = straight.demand() {
            let mut resumed: WarmUp = crate::saved::tests::again(&straight);
            assert_eq!(resumed.demand().as_ref(), Some(&request));
            let answer = system.answer(&request);
            straight.take(answer.clone());
            resumed.take(answer);
            assert_eq!(resumed, straight);
        }
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let check = |change: fn(&mut WarmUpOptions)| {
        let mut options = WarmUpOptions::default();
        change(&mut options);
        options.check().unwrap_err().to_string()
    };
    assert_eq!(WarmUpOptions::default().check(), Ok(()));
    assert_eq!(check(|o| o.plateau = -1.0), "plateau threshold = -1: expected a finite number, 0 (test off) or above");
    assert_eq!(check(|o| o.max_step = 0.0), "max step = 0: expected a finite number above 0");
    assert_eq!(check(|o| o.history = 0), "history = 0: expected 1 or above");
}
