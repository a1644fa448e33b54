//! A fit through its phases, over points in memory.

mod precision;
mod saved;
mod settle;

use std::convert::Infallible;

use super::settle::SETTLED;
use super::*;
use crate::data::tile::Tile;
use crate::expr::{Model, Names};
use crate::kernel::blocks::Blocks;
use crate::kernel::{Backend, Program};
use crate::loss::{Loss, LossKind};
use crate::normal::Counts;
use crate::params::Parameter;
use crate::procedure::run;

/// Points and a model, and every request made of them.
struct Points {
    tile: Tile,
    program: Program,
    asked: Vec<Request>,
}

impl Points {
    fn new(expression: &str, t: Vec<f64>, y: Vec<f64>) -> Self {
        let variables = ["t".to_string()];
        let model = Model::parse(expression, &Names { variables: &variables, parameters: &[] }).unwrap();
        let free = (0..model.parameters().len()).collect();
        let counts = Counts { used: y.len() as u64, masked: 0, nonfinite: 0 };
        let tile = Tile { index: 0, x: vec![t.into()], y: y.into(), inverse_sigma: None, counts };
        Self { tile, program: Program::new(model, free), asked: Vec::new() }
    }

    fn fit(&mut self, starts: &[f64], options: Options, spread: f64) -> Hybrid {
        let parameter = |(name, &start): (&String, &f64)| {
            let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
            Parameter { name: name.clone(), start, min, max, fixed: false }
        };
        let all = self.program.model().parameters().iter().zip(starts).map(parameter).collect();
        let mut fit = Hybrid::new(&Parameters::new(all).unwrap(), options, spread);
        let Ok(()) = run(&mut fit, |request| Ok::<_, Infallible>(self.answer(request)));
        fit
    }

    fn answer(&mut self, request: &Request) -> Answer {
        self.asked.push(request.clone());
        let sums = Blocks::new().evaluator(&self.program).evaluate(request, &self.tile);
        request.answer(self.program.n_free(), &sums)
    }

    /// |f - y| in ascending order.
    fn magnitudes(&self, theta: &[f64]) -> Vec<f64> {
        let model = self.program.model();
        let value = |t: f64| model.graph().evaluate(&[t], theta)[model.value().index()];
        let mut all: Vec<f64> =
            self.tile.x[0].iter().zip(self.tile.y.iter()).map(|(t, y)| (value(t) - y).abs()).collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

/// y = 2 + 3 t with small noise of no pattern; every `wild`-th point is far off, all to one side.
fn line_with_outliers(n: usize, wild: usize) -> Points {
    let noise = |k: usize| ((k * 7_919 % 1_009) as f64 / 1_009.0 - 0.5) * 0.1;
    let t: Vec<f64> = (0..n).map(|k| k as f64 / n as f64).collect();
    let off = |k: usize| if k.is_multiple_of(wild) { 40.0 + (k % 17) as f64 } else { 0.0 };
    let y = t.iter().enumerate().map(|(k, t)| 2.0 + 3.0 * t + noise(k) + off(k)).collect();
    Points::new("a + b*t", t, y)
}

fn robust(kind: LossKind, scale: ScaleRule) -> Options {
    Options { costing: Costing { loss: Loss { kind, scale: 1.0 }, ..Costing::default() }, scale, ..Options::default() }
}

#[test]
fn the_biweight_with_a_scale_of_its_own_ignores_a_third_of_wild_points() {
    let mut points = line_with_outliers(3_000, 3);
    let fit = points.fit(&[0.0, 0.0], robust(LossKind::Tukey, ScaleRule::Mad), 20.0);
    let summary = fit.summary().unwrap();
    assert_eq!(summary.status, Status::Converged, "{}", summary.reason);
    assert!((summary.theta[0] - 2.0).abs() < 5e-3 && (summary.theta[1] - 3.0).abs() < 1e-2, "{:?}", summary.theta);
    // the scale is that of the residuals at the solution
    let magnitudes = points.magnitudes(&summary.theta);
    let exact = LossKind::Tukey.efficient_scale() * magnitudes[(magnitudes.len() - 1) / 2] / 0.674_489_750_196;
    assert!((fit.costing().loss.scale / exact - 1.0).abs() < 2.0 * SETTLED, "{} {exact}", fit.costing().loss.scale);
    assert_eq!(summary.passes as usize, points.asked.len());
    assert!(summary.iterations > 0 && summary.warnings.is_empty(), "{summary:?}");
}

#[test]
fn every_robust_loss_settles_its_scale() {
    for (name, kind) in LossKind::NAMES {
        if kind == LossKind::Linear {
            continue;
        }
        let mut points = line_with_outliers(1_001, 9);
        let mut fit = points.fit(&[0.0, 0.0], robust(kind, ScaleRule::Mad), 20.0);
        let notes = fit.take_notes();
        assert!(notes.last().unwrap().contains("settled"), "{name}: {notes:?}");
        assert_eq!(fit.summary().unwrap().status, Status::Converged, "{name}");
        assert!(fit.take_notes().is_empty());
    }
}

#[test]
fn a_given_scale_stays_and_costs_no_pass() {
    let mut points = line_with_outliers(500, 3);
    let mut options = robust(LossKind::Huber, ScaleRule::Given);
    options.costing.loss.scale = 0.2;
    let fit = points.fit(&[0.0, 0.0], options, 20.0);
    assert_eq!(fit.costing().loss.scale, 0.2);
    assert!(points.asked.iter().all(|request| matches!(request.question, Question::Linearize(_))));
}

#[test]
fn points_met_exactly_have_no_scale_and_that_is_said() {
    let t: Vec<f64> = (0..40).map(f64::from).collect();
    let y = t.iter().map(|t| 1.0 + 2.0 * t).collect();
    let mut points = Points::new("a + b*t", t, y);
    let summary = points.fit(&[0.0, 0.0], robust(LossKind::Huber, ScaleRule::Mad), 10.0).summary().unwrap();
    assert!((summary.theta[0] - 1.0).abs() < 1e-9 && (summary.theta[1] - 2.0).abs() < 1e-9);
    assert!(summary.status == Status::Converged, "{summary:?}");
    let exact = points.fit(&[1.0, 2.0], robust(LossKind::Huber, ScaleRule::Mad), 10.0).summary().unwrap();
    assert_eq!((exact.theta, exact.status), (vec![1.0, 2.0], Status::Converged));
    assert!(exact.warnings.iter().any(|warning| warning.contains("met exactly")), "{:?}", exact.warnings);
}

#[test]
fn scores_are_asked_for_once_at_the_solution() {
    let mut points = line_with_outliers(400, 3);
    let mut options = robust(LossKind::Cauchy, ScaleRule::Given);
    options.scores = true;
    let fit = points.fit(&[1.0, 1.0], options, 1.0);
    let summary = fit.summary().unwrap();
    let last = points.asked.last().unwrap();
    assert_eq!(last.question, Question::Scores(summary.theta.clone()));
    assert_eq!(summary.passes as usize, points.asked.len());
    assert_eq!(fit.iteration().unwrap().phase, Phase::Finish);
    // the derivative of the gradient, weights below 0 included
    let mut curvature = [0.0; 3];
    for (t, y) in points.tile.x[0].iter().zip(points.tile.y.iter()) {
        let r = summary.theta[0] + summary.theta[1] * t - y;
        let weight = (1.0 - r * r) / (1.0 + r * r).powi(2);
        for (sum, factor) in curvature.iter_mut().zip([1.0, t, t * t]) {
            *sum += weight * factor;
        }
    }
    let excess = fit.excess().unwrap();
    assert!(excess[0] > 0.0);
    for ((all, excess), expected) in summary.normal.jtj.iter().zip(excess).zip(curvature) {
        assert!((all - excess - expected).abs() < 1e-12 * all, "{all} {excess} {expected}");
    }
    // by hand: sum of (rho' r)^2 t_j t_k
    let mut expected = [0.0; 3];
    for (t, y) in points.tile.x[0].iter().zip(points.tile.y.iter()) {
        let r = summary.theta[0] + summary.theta[1] * t - y;
        let pull = r / (1.0 + r * r);
        for (sum, factor) in expected.iter_mut().zip([1.0, t, t * t]) {
            *sum += pull * pull * factor;
        }
    }
    let scores = fit.scores().unwrap();
    assert!(scores.iter().zip(expected).all(|(s, e)| (s - e).abs() < 1e-12 * e), "{scores:?} {expected:?}");
}

#[test]
fn a_fit_stopped_from_outside_keeps_its_best_point() {
    let mut points = line_with_outliers(300, 3);
    let parameters: Vec<Parameter> =
        ["a", "b"].map(|name| Parameter { name: name.into(), start: 0.0, min: -1e9, max: 1e9, fixed: false }).into();
    let parameters = Parameters::new(parameters).unwrap();
    let mut fit = Hybrid::new(&parameters, robust(LossKind::Tukey, ScaleRule::Mad), 20.0);
    assert_eq!(fit.interrupt("SIGTERM"), None);
    let mut lowest = f64::INFINITY;
    for _ in 0..6 {
        let request = fit.demand().unwrap();
        fit.take(points.answer(&request));
        if fit.iteration().unwrap().accepted {
            lowest = fit.iteration().unwrap().cost;
        }
    }
    let stopped = fit.interrupt("SIGTERM").unwrap();
    assert_eq!((stopped.status, stopped.reason.as_str(), stopped.passes), (Status::Interrupted, "SIGTERM", 6));
    assert_eq!(stopped.normal.cost, lowest);
}

#[test]
fn a_fit_told_and_read_back_goes_the_same_way() {
    let mut points = line_with_outliers(300, 3);
    let whole = points.fit(&[0.0, 0.0], robust(LossKind::Tukey, ScaleRule::Mad), 20.0).summary().unwrap();
    let parameters = ["a", "b"].map(|name| {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        Parameter { name: name.into(), start: 0.0, min, max, fixed: false }
    });
    let parameters = Parameters::new(parameters.into()).unwrap();
    let mut fit = Hybrid::new(&parameters, robust(LossKind::Tukey, ScaleRule::Mad), 20.0);
    while let Some(request) = fit.demand() {
        fit.take(points.answer(&request));
        let bytes = crate::saved::to_bytes(&fit).unwrap();
        fit = crate::saved::from_bytes(&bytes).unwrap();
    }
    assert_eq!(fit.summary().unwrap(), whole);
}

#[test]
fn the_linear_loss_has_no_scale_to_estimate() {
    let parameter = Parameter { name: "a".into(), start: 0.0, min: -1.0, max: 1.0, fixed: false };
    let parameters = Parameters::new(vec![parameter]).unwrap();
    assert!(robust(LossKind::Linear, ScaleRule::Mad).check(&parameters).is_err());
    assert_eq!(robust(LossKind::Tukey, ScaleRule::Mad).check(&parameters), Ok(()));
}

/// Several starts under a robust loss with a scale of its own: the phases follow each other, and every pass is counted.
#[test]
fn a_tournament_stands_before_refinement_and_its_winner_goes_on() {
    let noise = |k: usize| ((k * 7_919 % 1_009) as f64 / 1_009.0 - 0.5) * 0.1;
    let t: Vec<f64> = (0..300).map(|k| f64::from(k) / 30.0).collect();
    let y =
        t.iter().enumerate().map(|(k, t)| 2.0 * crate::math::sin(3.0 * t) + if k % 9 == 0 { 3.0 } else { noise(k) });
    let mut points = Points::new("a*sin(w*t)", t.clone(), y.collect());
    let mut options = robust(LossKind::SoftL1, ScaleRule::Mad);
    options.starts = crate::explore::StartsOptions { starts: 30, seed: 1, ..Default::default() };
    let mut fit = points.fit(&[1.0, 2.0], options, 2.0);
    let summary = fit.summary().unwrap();
    assert!((summary.theta[1].abs() - 3.0).abs() < 0.02 && summary.status == Status::Converged, "{summary:?}");
    assert_eq!(summary.passes as usize, points.asked.len());
    assert!(fit.take_notes().iter().any(|note| note.starts_with("of 30 starts")));
    assert_eq!(fit.standing().unwrap().starts, 30);
    let asked: Vec<usize> = points
        .asked
        .iter()
        .map(|request| match &request.question {
            Question::Costs(thetas) | Question::Linearize(thetas) => thetas.len(),
            _ => 0,
        })
        .collect();
    // the scale at p0, the lining up, the first heat of all that are finite
    assert!(asked.iter().position(|&n| n == 30).is_some() && asked.last() == Some(&0), "{asked:?}");
}

#[test]
fn starts_and_global_searches_are_checked() {
    let check = |options: &Options, bounds: (f64, f64)| {
        let a = Parameter { name: "a".into(), start: 1.0, min: bounds.0, max: bounds.1, fixed: false };
        options.check(&Parameters::new(vec![a]).unwrap()).map_err(|error| error.to_string())
    };
    let mut options = Options::default();
    options.minimizer.method = crate::minimize::Method::Global;
    assert_eq!(check(&options, (0.0, 2.0)), Ok(()));
    assert!(check(&options, (0.0, f64::INFINITY)).unwrap_err().contains("\"a\" has [0, inf]"));
    options.starts.starts = 2;
    assert!(check(&options, (0.0, 2.0)).unwrap_err().contains("starts = 2"));
    options.starts.starts = 0;
    assert!(check(&options, (0.0, 2.0)).unwrap_err().contains("starts = 0"));
}

#[test]
fn a_warm_up_before_a_tournament_is_refused_as_no_start_would_have_it() {
    let parameter = Parameter { name: "a".into(), start: 0.0, min: -1.0, max: 1.0, fixed: false };
    let parameters = Parameters::new(vec![parameter]).unwrap();
    let mut options = Options { warm_up: WarmUpRule::Always, ..Options::default() };
    assert_eq!(options.check(&parameters), Ok(()));
    options.starts.starts = 5;
    let message = options.check(&parameters).unwrap_err().to_string();
    assert_eq!(message, "5 starts compete without a warm-up, found warm_up \"always\"; expected \"auto\" or \"never\"");
}

#[test]
fn a_loss_that_has_let_go_of_every_point_has_not_converged() {
    let mut points = line_with_outliers(300, 3);
    let mut options = robust(LossKind::Tukey, ScaleRule::Given);
    options.costing.loss.scale = 1e-9;
    let summary = points.fit(&[30.0, 0.5], options, 1.0).summary().unwrap();
    assert_eq!(summary.status, Status::Stalled, "{}", summary.reason);
    assert!(summary.reason.contains("--loss-scale"), "{}", summary.reason);
}

#[test]
fn the_reason_names_the_limit_that_ended_a_refinement() {
    let mut points = line_with_outliers(300, 3);
    let options = Options { max_refine_passes: Some(2), ..robust(LossKind::Cauchy, ScaleRule::Given) };
    let summary = points.fit(&[30.0, 0.5], options, 1.0).summary().unwrap();
    assert_eq!(summary.status, Status::MaxPasses);
    assert_eq!(summary.reason, "max_refine_passes: all 2 passes of a refinement are used");
}

#[test]
fn fewer_passes_than_the_phases_need_are_refused() {
    let parameter = Parameter { name: "a".into(), start: 0.0, min: -1.0, max: 1.0, fixed: false };
    let parameters = Parameters::new(vec![parameter]).unwrap();
    let mut options = robust(LossKind::Tukey, ScaleRule::Mad);
    options.minimizer.max_passes = 1;
    assert!(options.check(&parameters).unwrap_err().to_string().contains("expected 2 or more"));
    options.starts.starts = 3;
    options.minimizer.max_passes = 2;
    assert!(options.check(&parameters).unwrap_err().to_string().contains("expected 3 or more"));
    options.minimizer.max_passes = 3;
    assert_eq!(options.check(&parameters), Ok(()));
    options.starts.starts = 1;
    options.minimizer.method = crate::minimize::Method::Global;
    assert_eq!(options.check(&parameters), Ok(()));
    options.warm_up = WarmUpRule::Always;
    assert!(options.check(&parameters).unwrap_err().to_string().contains("without a warm-up"));
}
