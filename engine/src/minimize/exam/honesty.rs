//! What may be called the minimum, and what may not.

use super::dual::Dual;
use super::{System, fit, unbounded};
use crate::loss::{Loss, LossKind};
use crate::minimize::{Answer, Demand, Minimizer, Options, minimize};
use crate::normal::{Counts, NormalEquations};
use crate::summary::Status;

fn rosenbrock(x: &[Dual]) -> Vec<Dual> {
    vec![10.0 * (x[1] - x[0].squared()), 1.0 - x[0]]
}

/// A decay through points that no decay fits.
fn decay(x: &[Dual]) -> Vec<Dual> {
    let y = [9.1, 5.8, 3.9, 2.1, 1.7, 0.6, 0.9, 0.1];
    y.iter().enumerate().map(|(i, y)| x[0] * (-(x[1] * i as f64)).exp() + x[2] - *y).collect()
}

/// A loss can flatten a column of J and leave its gradient: a short step is then no sign of a minimum.
#[test]
fn short_steps_at_a_steep_point_do_not_converge() {
    let start = [1.0, 1.0];
    let answer = |theta: &[f64]| NormalEquations {
        n_free: 2,
        jtj: vec![1e20, 0.0, 1e20],
        // a slope that stays as it is, and a curvature that keeps every step shorter than any xtol asks for
        jtr: vec![0.5e10, -0.5e10],
        cost: 1.0 + 0.5e10 * (theta[0] - theta[1]) * 1e-3,
        rss: 2.0,
        lag: 0.0,
        triangle: None,
        counts: Counts { used: 10, ..Counts::default() },
    };
    let mut minimizer = Minimizer::new(&unbounded(&start), Options::default());
    let mut demand = minimizer.start();
    let summary = loop {
        demand = match demand {
            Demand::Finished(summary) => break summary,
            Demand::Linearize(theta) => minimizer.advance(Answer::Linearized(answer(&theta))),
            other => panic!("{other:?}"),
        };
    };
    assert_ne!(summary.status, Status::Converged, "{}", summary.reason);
    assert!(summary.gradient_norm > 0.1 && summary.gradient_norm <= 1.0, "{}", summary.gradient_norm);
}

/// Under a loss r is not what multiplies J in the gradient, and the ratio can exceed any cosine.
#[test]
fn the_gradient_norm_never_exceeds_a_cosine() {
    let mut normal = System::new(decay).at(&[8.0, 0.3, 0.0]);
    normal.jtj.iter_mut().for_each(|entry| *entry *= f64::EPSILON);
    let mut minimizer = Minimizer::new(&unbounded(&[8.0, 0.3, 0.0]), Options::default());
    minimizer.advance(Answer::Linearized(normal));
    assert_eq!(minimizer.iteration().unwrap().gradient_norm, 1.0);
}

/// Five points, all far outside the loss at the start: J'J is floored there and grows by 1e16 on the way.
#[test]
fn a_loss_that_flattens_every_point_at_the_start_does_not_strand_the_fit() {
    let points = [
        (0.5974690736643093, 1.4305890268692782, 0.014235356568908671),
        (1.843895883624709, 0.531523468251321, 0.015209834034699091),
        (0.8265918075849608, 1.1294480241215306, 0.014421895363400479),
        (0.8664272019225846, 1.53606903758572, 0.024576408861186522),
        (1.5810973032786362, 0.6296457593763995, 0.009082983382310917),
    ];
    let loss = Loss { kind: LossKind::Arctan, scale: 2.01367 };
    let mut system = System::new(|x: &[Dual]| {
        points.iter().map(|(t, y, e)| (x[0] * (-(x[1] * *t)).exp() + x[2] - *y) * (1.0 / *e)).collect()
    });
    system.loss = loss;
    let parameters = unbounded(&[2.3613, 1.59316, 0.185875]);
    let Ok(summary) = minimize(&mut Minimizer::new(&parameters, Options::default()), &mut system);
    // the way down is long and nearly flat; a radius in the old units, and steps that leave dependent parameters where
    // they are, get to 9.308 in as many passes
    assert!(summary.normal.cost < 9.2, "{}", summary.normal.cost);
    assert!(summary.status != Status::Converged || summary.gradient_norm < 1e-9, "{summary:?}");
}

/// A flat place where the columns of J are combinations of each other is not the minimum because nothing moves the cost.
#[test]
fn rounding_is_no_excuse_where_columns_depend_on_each_other() {
    let counts = Counts { used: 100, ..Counts::default() };
    let start = NormalEquations {
        n_free: 2,
        jtj: vec![1.0; 3],
        jtr: vec![1e-7; 2],
        cost: 0.5,
        rss: 1.0,
        lag: 0.0,
        triangle: None,
        counts,
    };
    // wherever the step goes the cost stays and the slope is reversed
    let arrived = NormalEquations { jtr: vec![-1e-7; 2], ..start.clone() };
    let mut minimizer = Minimizer::new(&unbounded(&[1.0, 1.0]), Options::default());
    let mut demand = minimizer.advance(Answer::Linearized(start));
    let summary = loop {
        demand = match demand {
            Demand::Finished(summary) => break summary,
            _ => minimizer.advance(Answer::Linearized(arrived.clone())),
        };
    };
    assert_eq!(summary.status, Status::Stalled, "{}", summary.reason);
    assert!(summary.reason.contains("gradient norm = 1.00e-7"), "{}", summary.reason);
}

#[test]
fn squares_that_underflow_fail_and_an_exact_start_does_not() {
    let shrunk = |factor: f64| {
        fit(&unbounded(&[8.0 * factor, 0.3, 0.0]), Options::default(), move |x| {
            let [a, c] = [x[0] * (1.0 / factor), x[2] * (1.0 / factor)];
            decay(&[a, x[1], c]).into_iter().map(|r| r * factor).collect()
        })
    };
    for factor in [1e-150, 1e-160, 1e-170] {
        let summary = shrunk(factor);
        assert_eq!((summary.status, summary.passes), (Status::Failed, 1), "{factor:e}: {}", summary.reason);
        assert!(summary.reason.starts_with("squares underflow: "), "{}", summary.reason);
    }
    assert_eq!(shrunk(1e-120).status, Status::Converged);
    let exact = fit(&unbounded(&[1.0, 1.0]), Options::default(), rosenbrock);
    assert_eq!((exact.status, exact.passes), (Status::Converged, 1), "{}", exact.reason);
}
