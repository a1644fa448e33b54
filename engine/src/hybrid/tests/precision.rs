//! A fit that begins in f32 ends in f64, at the minimum of f64.

use super::*;
use crate::kernel::Precision::{F32, F64};

fn in_f32(options: Options) -> Options {
    Options { costing: Costing { precision: F32, ..options.costing }, ..options }
}

fn noise(k: usize) -> f64 {
    (k * 7_919 % 1_009) as f64 / 1_009.0 - 0.5
}

/// y = 5 exp(-3 t) + 1 with noise, t not exact in f32.
fn decay(n: usize, offset: f64, scatter: f64) -> Points {
    let t: Vec<f64> = (0..n).map(|k| k as f64 / n as f64).collect();
    let y = t.iter().enumerate().map(|(k, t)| 5.0 * (-3.0 * t).exp() + offset + scatter * noise(k)).collect();
    Points::new("a*exp(-b*t) + c", t, y)
}

/// Passes in f32, then in f64; none in f32 after that, and the solution is what an f64 pass says of it.
fn passes(points: &mut Points, fit: &Hybrid) -> (usize, usize) {
    let precisions: Vec<Precision> = points.asked.iter().map(|request| request.costing.precision).collect();
    let single = precisions.iter().take_while(|&&p| p == F32).count();
    assert!(precisions[single..].iter().all(|&p| p == F64), "{precisions:?}");
    let summary = fit.summary().unwrap();
    assert_eq!(summary.passes as usize, precisions.len());
    let again = Request::linearize(summary.theta.clone(), Costing { precision: F64, ..fit.costing() });
    let Answer::Linearized(normal) = points.answer(&again) else { panic!("normal equations were asked for") };
    assert_eq!(normal[0], summary.normal);
    (single, precisions.len() - single)
}

fn assert_close(found: &[f64], expected: &[f64], relative: f64) {
    let close = |(f, e): (&f64, &f64)| (f - e).abs() <= relative * e.abs();
    assert!(found.iter().zip(expected).all(close), "{found:?} {expected:?}");
}

#[test]
fn the_way_is_f32_and_the_answer_f64() {
    let start = [1.0, 1.0, 0.0];
    let expected = decay(3_000, 1.0, 0.2).fit(&start, Options::default(), 1.0).summary().unwrap();
    let mut points = decay(3_000, 1.0, 0.2);
    let mut fit = points.fit(&start, in_f32(Options::default()), 1.0);
    let summary = fit.summary().unwrap();
    assert_eq!(summary.status, Status::Converged, "{}", summary.reason);
    assert_close(&summary.theta, &expected.theta, 1e-9);
    let (single, double) = passes(&mut points, &fit);
    assert!(single >= 4 && double <= 4, "{single} + {double} passes");
    assert!(single + double <= expected.passes as usize + 2, "{single} + {double}, not {}", expected.passes);
    assert_eq!(fit.precision(), format!("f32 for {single} passes, then f64"));
    let notes = fit.take_notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with(&format!("precision f64 from pass {} on: ", single + 1)), "{notes:?}");
    assert_eq!(decay(100, 1.0, 0.2).fit(&start, Options::default(), 1.0).precision(), "f64");
}

#[test]
fn the_last_of_all_passes_is_f64() {
    for max_passes in 1..7 {
        let minimizer = crate::minimize::Options { max_passes, ..Default::default() };
        let mut points = decay(500, 1.0, 0.2);
        let fit = points.fit(&[1.0, 1.0, 0.0], in_f32(Options { minimizer, ..Options::default() }), 1.0);
        assert_eq!(fit.summary().unwrap().status, Status::MaxPasses);
        assert_eq!(passes(&mut points, &fit), (max_passes as usize - 1, 1));
    }
    // all tests off: as many passes as asked for, and f32 is left for a reason all the same
    let minimizer = crate::minimize::Options { xtol: 0.0, ftol: 0.0, gtol: 0.0, max_passes: 20, ..Default::default() };
    let mut points = decay(500, 1.0, 0.2);
    let fit = points.fit(&[1.0, 1.0, 0.0], in_f32(Options { minimizer, ..Options::default() }), 1.0);
    let (single, double) = passes(&mut points, &fit);
    assert!(single + double == 20 && single < 12, "{single} + {double} passes");
}

#[test]
fn what_f32_cannot_hold_is_left_to_f64() {
    // e^(0.05 t) for t up to 2000 overflows f32 at the start, not f64
    let t: Vec<f64> = (0..400).map(|k| 5.0 * f64::from(k)).collect();
    let y = t.iter().enumerate().map(|(k, t)| (-0.002 * t).exp() + 0.01 * noise(k)).collect();
    let mut points = Points::new("a*exp(b*t)", t, y);
    let fit = points.fit(&[1.0, 0.05], in_f32(Options::default()), 1.0);
    assert_eq!(passes(&mut points, &fit).0, 1);
    assert_eq!(points.asked[0].question, points.asked[1].question, "the start is asked for again");
    assert_eq!(fit.precision(), "f32 for 1 pass, then f64");
    // residuals far below the rounding of f32: it says nothing of use
    for (offset, scatter) in [(1e7, 0.02), (1.0, 1e-12), (1.0, 0.0)] {
        let start = [1.0, 1.0, offset];
        let expected = decay(400, offset, scatter).fit(&start, Options::default(), 1.0).summary().unwrap();
        let mut points = decay(400, offset, scatter);
        let fit = points.fit(&start, in_f32(Options::default()), 1.0);
        let summary = fit.summary().unwrap();
        assert_eq!(summary.status, Status::Converged, "{offset} {scatter}: {}", summary.reason);
        assert_close(&summary.theta, &expected.theta, 1e-7);
        passes(&mut points, &fit);
    }
}

#[test]
fn a_scale_of_the_loss_is_found_in_f64_and_f32_does_not_come_back() {
    let mut points = line_with_outliers(2_000, 5);
    let fit = points.fit(&[0.0, 0.0], in_f32(robust(LossKind::Tukey, ScaleRule::Mad)), 20.0);
    let precision_of = |request: &Request| request.costing.precision;
    assert!(matches!(points.asked[0].question, Question::Magnitudes { .. }) && precision_of(&points.asked[0]) == F64);
    let first = points.asked.iter().position(|request| precision_of(request) == F32).unwrap();
    let last = points.asked.iter().rposition(|request| precision_of(request) == F32).unwrap();
    assert!(points.asked[first..=last].iter().all(|request| precision_of(request) == F32));
    assert!(last + 1 < points.asked.len());
    let expected = line_with_outliers(2_000, 5).fit(&[0.0, 0.0], robust(LossKind::Tukey, ScaleRule::Mad), 20.0);
    assert_close(&fit.summary().unwrap().theta, &expected.summary().unwrap().theta, 1e-6);
}

/// Every state between two passes, the one between f32 and f64 included, can be told and read back, and interrupted.
#[test]
fn the_way_over_is_a_state_like_any_other() {
    let start = [1.0, 1.0, 0.0];
    let whole = decay(700, 1.0, 0.2).fit(&start, in_f32(Options::default()), 1.0).summary().unwrap();
    let mut points = decay(700, 1.0, 0.2);
    let parameters = ["a", "b", "c"].iter().zip(start).map(|(name, start)| {
        let (min, max) = (f64::NEG_INFINITY, f64::INFINITY);
        Parameter { name: name.to_string(), start, min, max, fixed: false }
    });
    let parameters = Parameters::new(parameters.collect()).unwrap();
    let mut fit = Hybrid::new(&parameters, in_f32(Options::default()), 1.0);
    while let Some(request) = fit.demand() {
        fit.take(points.answer(&request));
        assert!(fit.interrupt("SIGTERM").is_some());
        let bytes = crate::saved::to_bytes(&fit).unwrap();
        fit = crate::saved::from_bytes(&bytes).unwrap();
    }
    assert_eq!(fit.summary().unwrap(), whole);
}
