//! The step: minimise the quadratic model in a ball and a box.
//!
//! ```text
//! min  g's + 1/2 s'J'J s   subject to   |D s| <= radius,   lower - theta <= s <= upper - theta
//! ```
//!
//! Levenberg-Marquardt in the form of Moré (Lecture Notes in Mathematics 630 (1978) 105): D holds the largest length seen
//! of each column of J, so the path does not depend on the units of the parameters, and the damping is found from the
//! radius, not guessed. All work is in `u = D s`, where columns have length at most 1. With bounds the same holds: for
//! each damping the box problem has one answer ([`super::boxqp`]), whose length falls as the damping grows.

use super::bend::Bend;
use super::boxqp::{BoxQuadratic, Solution};
use crate::linalg::{Cholesky, Symmetric, independent_columns, norm};
use crate::normal::NormalEquations;
use crate::summary::Side;

/// How far the length of a damped step may be from the radius, relative to it (MINPACK's value).
const RADIUS_TOLERANCE: f64 = 0.1;

/// Dampings tried for one step. Newton needs two or three; the rest is for bisection where bounds bend the curve.
const DAMPINGS: usize = 60;

/// A column counts as a combination of others when the square of the sine between them is at most this many roundings
/// per parameter: J'J does not hold more than that. Where the triangle of J is known, the sine itself.
const RANK_ROUNDINGS: f64 = 32.0;

/// An undamped step must promise at least this part of what one parameter alone could bring.
const WORTHWHILE: f64 = 0.5;

/// The quadratic model of the cost around a point, in scaled coordinates.
#[derive(Clone, Debug)]
pub(super) struct Model {
    quadratic: BoxQuadratic,
    /// Parameters that have, or had, any influence: D is not zero.
    live: Vec<usize>,
    /// The curvature may be negative somewhere.
    bent: bool,
}

/// A step of the model.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// `D s`. `[p]`
    pub(super) u: Vec<f64>,
    /// The bound on which a parameter is to land. `[p]`
    pub(super) held: Vec<Option<Side>>,
    /// Zero for the full Gauss-Newton step.
    pub(super) damping: f64,
    /// `|u|`.
    pub(super) length: f64,
}

impl Step {
    /// Neither damped nor stopped by a bound on the way. A parameter that stays on its bound stops nothing.
    pub(super) fn is_full(&self) -> bool {
        self.damping == 0.0 && self.u.iter().zip(&self.held).all(|(&u, held)| held.is_none() || u == 0.0)
    }
}

impl Model {
    /// The model at `theta`; `scale` is D.
    pub(super) fn new(normal: &NormalEquations, theta: &[f64], scale: &[f64], lower: &[f64], upper: &[f64]) -> Self {
        let p = normal.n_free;
        let live: Vec<usize> = (0..p).filter(|&j| scale[j] > 0.0).collect();
        let scaled = |value: f64, j: usize| if scale[j] > 0.0 { value / scale[j] } else { 0.0 };
        let reach = |bound: f64, j: usize| if scale[j] > 0.0 { scale[j] * (bound - theta[j]) } else { 0.0 };
        let quadratic = BoxQuadratic {
            gradient: (0..p).map(|j| scaled(normal.jtr[j], j)).collect(),
            hessian: Symmetric::from_fn(p, |j, k| scaled(scaled(normal.entry(j, k), j), k)),
            root: normal.triangle.as_ref().map(|triangle| {
                let inverse: Vec<f64> = scale.iter().map(|&d| if d > 0.0 { 1.0 / d } else { 0.0 }).collect();
                triangle.scaled(&inverse)
            }),
            lower: (0..p).map(|j| reach(lower[j], j)).collect(),
            upper: (0..p).map(|j| reach(upper[j], j)).collect(),
        };
        Self { quadratic, live, bent: false }
    }

    /// The same with S added to J'J.
    pub(super) fn bent(mut self, bend: &Bend, scale: &[f64]) -> Self {
        let p = scale.len();
        let scaled = |value: f64, j: usize| if scale[j] > 0.0 { value / scale[j] } else { 0.0 };
        let plain = self.quadratic.hessian;
        self.quadratic.hessian =
            Symmetric::from_fn(p, |j, k| plain.get(j, k) + scaled(scaled(bend.entry(p, j, k), j), k));
        self.quadratic.root = None;
        self.bent = true;
        self
    }

    /// The reduction of the cost that the model promises for `u`.
    pub(super) fn reduction(&self, u: &[f64]) -> f64 {
        self.quadratic.reduction(u)
    }

    /// `g'u`: the slope of the cost along the step.
    pub(super) fn slope(&self, u: &[f64]) -> f64 {
        crate::linalg::dot(&self.quadratic.gradient, u)
    }

    /// The Gauss-Newton step inside the bounds, without a radius. Parameters that the data do not tell apart from others
    /// stay still. `None` if rounding leaves no answer.
    pub(super) fn gauss_newton(&self) -> Option<Step> {
        Some(self.finished(self.undamped()?, 0.0))
    }

    /// The step inside the bounds and the radius.
    pub(super) fn step(&self, radius: f64) -> Step {
        let full = self.undamped().filter(|full| self.worthwhile(full));
        match full {
            Some(full) if norm(&full.u) <= (1.0 + RADIUS_TOLERANCE) * radius => self.finished(full, 0.0),
            full => self.damped(radius, full.as_ref()),
        }
    }

    /// The step from where `u` led that undoes what `before` did not foresee: its gradient is the gradient here minus
    /// the one that `before` expected here. `self` is the model here.
    pub(super) fn back(&self, before: &Model, u: &[f64], damping: f64) -> Option<Step> {
        let bent = before.quadratic.hessian.times(u);
        let mut surprise = self.quadratic.clone();
        for j in 0..u.len() {
            surprise.gradient[j] -= before.quadratic.gradient[j] + bent[j];
        }
        Some(self.finished(surprise.minimize(&self.live, damping)?, damping))
    }

    /// The largest reduction that one parameter alone can bring, inside its bounds.
    pub(super) fn best_of_one(&self) -> f64 {
        let quadratic = &self.quadratic;
        let alone = |j: usize| {
            let (gradient, curvature) = (quadratic.gradient[j], quadratic.hessian.get(j, j));
            let step = (-gradient / curvature).clamp(quadratic.lower[j], quadratic.upper[j]);
            -step * (gradient + 0.5 * curvature * step)
        };
        let influential = self.live.iter().filter(|&&j| quadratic.hessian.get(j, j) > 0.0);
        influential.map(|&j| alone(j)).fold(0.0, f64::max)
    }

    /// An estimate of the condition number of J with columns of length 1, over the parameters that no bound stops: one over
    /// the smallest pivot of its pivoted triangle. Infinite if columns are combinations of others.
    pub(super) fn condition(&self) -> f64 {
        let a = &self.quadratic.hessian;
        if let Some(root) = &self.quadratic.root {
            let seen = self.movable();
            let lengths: Vec<f64> = (0..a.order()).map(|j| a.get(j, j).sqrt()).collect();
            let inverse: Vec<f64> = lengths.iter().map(|&l| if l > 0.0 { 1.0 / l } else { 0.0 }).collect();
            let seen: Vec<usize> = seen.into_iter().filter(|&j| lengths[j] > 0.0).collect();
            let unit = root.scaled(&inverse);
            let columns = unit.independent_columns(&seen, RANK_ROUNDINGS * self.live.len() as f64 * f64::EPSILON);
            let factor = Cholesky::of_triangle(&unit.select(&columns, 0.0)).filter(|_| columns.len() == seen.len());
            return factor.map_or(f64::INFINITY, |factor| 1.0 / factor.least_pivot());
        }
        let seen: Vec<usize> = self.movable().into_iter().filter(|&j| a.get(j, j) > 0.0).collect();
        let unit = Symmetric::from_fn(a.order(), |j, k| {
            let size = (a.get(j, j) * a.get(k, k)).sqrt();
            if size > 0.0 { a.get(j, k) / size } else { 0.0 }
        });
        let columns = independent_columns(&unit, &seen, RANK_ROUNDINGS * self.live.len() as f64 * f64::EPSILON);
        let factor = Cholesky::factor(&unit, &columns, 0.0).filter(|_| columns.len() == seen.len());
        factor.map_or(f64::INFINITY, |factor| 1.0 / factor.least_pivot())
    }

    /// Whether an undamped step that leaves dependent columns still brings what is to be had. A robust loss can flatten J'J
    /// along a column whose gradient is large: that parameter must not stay, and damping moves it.
    fn worthwhile(&self, full: &Solution) -> bool {
        self.bent || self.quadratic.reduction(&full.u) >= WORTHWHILE * self.best_of_one()
    }

    fn undamped(&self) -> Option<Solution> {
        let roundings = RANK_ROUNDINGS * self.live.len() as f64;
        if self.bent {
            return self.in_box(0.0);
        }
        let mut columns = self.quadratic.independent(&self.live, roundings);
        if columns.len() < self.live.len() {
            // among dependent columns prefer those that can move
            columns = self.quadratic.independent(&self.movable(), roundings);
        }
        self.quadratic.minimize(&columns, 0.0)
    }

    /// Newton's method on `1/radius - 1/|u(damping)|`, kept inside a bracket.
    fn damped(&self, radius: f64, full: Option<&Solution>) -> Step {
        let pull: Vec<f64> = self.movable().iter().map(|&j| self.quadratic.gradient[j]).collect();
        // |u(damping)| <= |g|/damping, so the answer lies below this
        let (mut below, mut above) = (0.0, norm(&pull) / radius);
        let mut damping = full.map_or(f64::NAN, |full| newton(0.0, full, radius));
        let mut shortest: Option<(Solution, f64)> = None;
        for _ in 0..DAMPINGS {
            if !(damping > below && damping < above) {
                damping = (below * above).sqrt().max(1e-3 * above);
            }
            let Some(solution) = self.in_box(damping) else {
                below = damping;
                above = raised(above, damping);
                continue;
            };
            let length = norm(&solution.u);
            if (length - radius).abs() <= RADIUS_TOLERANCE * radius {
                return self.finished(solution, damping);
            }
            let next = newton(damping, &solution, radius);
            if length > radius {
                below = damping;
                above = raised(above, damping);
            } else {
                above = damping;
                shortest = Some((solution, damping));
            }
            damping = next;
        }
        match shortest {
            Some((solution, damping)) => self.finished(solution, damping),
            None => self.still(above),
        }
    }

    /// The parameters that no bound stops right here.
    fn movable(&self) -> Vec<usize> {
        self.live.iter().copied().filter(|&j| self.quadratic.blocked(j).is_none()).collect()
    }

    /// The damped step. With S: of the parameters that no bound stops, as nothing is known about the curvature towards the
    /// others; `None` if the damping leaves a direction of negative curvature.
    fn in_box(&self, damping: f64) -> Option<Solution> {
        if !self.bent {
            return self.quadratic.minimize(&self.live, damping);
        }
        let movable = self.movable();
        self.quadratic.factor(&movable, damping)?;
        self.quadratic.minimize(&movable, damping)
    }

    fn finished(&self, solution: Solution, damping: f64) -> Step {
        Step { length: norm(&solution.u), u: solution.u, held: solution.held, damping }
    }

    fn still(&self, damping: f64) -> Step {
        let p = self.quadratic.gradient.len();
        Step { u: vec![0.0; p], held: vec![None; p], damping, length: 0.0 }
    }
}

/// The upper end of the bracket after `damping` proved too small.
fn raised(above: f64, damping: f64) -> f64 {
    if above <= damping * (1.0 + RADIUS_TOLERANCE) { 4.0 * damping } else { above }
}

/// Newton's next damping; NaN where the length does not depend on it.
fn newton(damping: f64, solution: &Solution, radius: f64) -> f64 {
    let length = norm(&solution.u);
    damping + (length - radius) / radius * (length * length / solution.shrinkage())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::dot;
    use crate::normal::Counts;
    use proptest::prelude::*;

    pub(super) fn normal(columns: &[Vec<f64>], residual: &[f64]) -> NormalEquations {
        let p = columns.len();
        let jtj =
            (0..p).flat_map(|j| (j..p).map(move |k| (j, k))).map(|(j, k)| dot(&columns[j], &columns[k])).collect();
        let rss = dot(residual, residual);
        NormalEquations {
            n_free: p,
            jtj,
            jtr: columns.iter().map(|c| dot(c, residual)).collect(),
            cost: 0.5 * rss,
            rss,
            lag: 0.0,
            triangle: None,
            counts: Counts { used: residual.len() as u64, ..Counts::default() },
        }
    }

    fn model(columns: &[Vec<f64>], lower: &[f64], upper: &[f64]) -> Model {
        let p = columns.len();
        let residual: Vec<f64> = (0..12).map(|i| f64::from(i * i % 7) - 2.2).collect();
        let scale: Vec<f64> = columns.iter().map(|c| norm(c)).collect();
        Model::new(&normal(columns, &residual), &vec![0.0; p], &scale, &lower[..p], &upper[..p])
    }

    proptest! {
        #[test]
        fn a_step_keeps_radius_and_bounds_and_reduces_the_model(
            columns in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, 12), 1..8),
            lower in prop::collection::vec(prop_oneof![Just(0.0), Just(f64::NEG_INFINITY), -1.0..0.0f64], 8),
            upper in prop::collection::vec(prop_oneof![Just(0.0), Just(f64::INFINITY), 0.0..1.0f64], 8),
            power in -8..3i32,
        ) {
            let model = model(&columns, &lower, &upper);
            let radius = 10f64.powi(power);
            let step = model.step(radius);
            prop_assert!(step.length <= (1.0 + RADIUS_TOLERANCE) * radius);
            prop_assert!(model.reduction(&step.u) >= 0.0);
            let can_move = (0..columns.len()).any(|j| model.quadratic.blocked(j).is_none());
            prop_assert_eq!(step.length > 0.0, can_move);
            for j in 0..columns.len() {
                prop_assert!((model.quadratic.lower[j]..=model.quadratic.upper[j]).contains(&step.u[j]));
            }
            if step.damping > 0.0 && !step.u.contains(&0.0) && step.held.iter().all(Option::is_none) {
                prop_assert!(step.length >= (1.0 - RADIUS_TOLERANCE) * radius, "{} of {radius}", step.length);
            }
        }
    }

    #[test]
    fn parameters_that_the_data_do_not_tell_apart_do_not_run_away() {
        let column: Vec<f64> = (0..12).map(f64::from).collect();
        let twice: Vec<f64> = column.iter().map(|v| 2.0 * v).collect();
        let free = [f64::INFINITY; 3];
        let model = model(&[column, twice, vec![0.0; 12]], &free.map(|v| -v), &free);
        let step = model.gauss_newton().unwrap();
        assert!(step.u[0] != 0.0 && step.u[1] == 0.0 && step.u[2] == 0.0, "{:?}", step.u);
        let damped = model.step(1e-3 * step.length);
        assert!(damped.length <= 1.1e-3 * step.length && model.reduction(&damped.u) > 0.0);
    }
}
