//! What J'J leaves out of the curvature of the cost: `S ~ sum of r_i times the second derivatives of r_i`.
//!
//! Gauss-Newton takes J'J for the Hessian of the cost. Where the residual stays large, as it does when bounds keep the
//! model from the points, the part left out can outweigh it a hundredfold: each step then overshoots the minimum, the
//! radius cuts the next one, and the fit zigzags through all its passes. Every accepted step tells one direction of
//! that part, by the change of the gradient along it, and no further pass is needed. S is the secant matrix of Dennis, Gay
//! & Welsch (NL2SOL, ACM Trans. Math. Softw. 7 (1981) 348), with their sizing and their choice between the two models:
//! that one decides the next step which foretold the last one better.

use crate::linalg::{Symmetric, dot};
use crate::normal::{NormalEquations, packed_index};
use crate::saved::{Sound, Unsound, ensure};

/// The other model takes over if it was closer to the truth by this factor.
const CLOSER: f64 = 1.5;

/// A step along which the gradient changed by less than this part of what J'J foresees says too little about S.
const LEAST_CURVATURE: f64 = 1e-4;

/// The secant matrix and whether it takes part.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Bend {
    /// S in the units of theta, packed as J'J.
    packed: Vec<f64>,
    /// The next step is that of `J'J + S`.
    active: bool,
}

impl Bend {
    /// Nothing is known.
    pub(super) fn new(p: usize) -> Self {
        Self { packed: vec![0.0; p * (p + 1) / 2], active: false }
    }

    /// Whether S takes part.
    pub(super) fn active(&self) -> bool {
        self.active
    }

    /// Entry (j, k), in either order.
    pub(super) fn entry(&self, p: usize, j: usize, k: usize) -> f64 {
        self.packed[packed_index(p, j.min(k), j.max(k))]
    }

    /// A step was promised `gauss_newton` by J'J alone and brought `actual`: which model knew better?
    pub(super) fn compare(&mut self, step: &[f64], gauss_newton: f64, actual: f64) {
        let bent = gauss_newton - 0.5 * dot(step, &self.matrix(step.len()).times(step));
        let (without, with) = ((gauss_newton - actual).abs(), (bent - actual).abs());
        if self.active && CLOSER * without < with {
            self.active = false;
        } else if !self.active && CLOSER * with < without {
            self.active = true;
        }
    }

    /// Learns from a step: along it `J'J + S` shall foretell the change of the gradient. `arrived` is where it led.
    pub(super) fn learn(&mut self, step: &[f64], left: &NormalEquations, arrived: &NormalEquations) {
        let p = step.len();
        let jtj = Symmetric::from_fn(p, |j, k| arrived.entry(j, k));
        // a parameter held by its bound was not asked: what the others do to its gradient says nothing about its curvature
        let asked = |j: usize, value: f64| if step[j] == 0.0 { 0.0 } else { value };
        let known: Vec<f64> = jtj.times(step).into_iter().enumerate().map(|(j, v)| asked(j, v)).collect();
        let change: Vec<f64> = (0..p).map(|j| asked(j, arrived.jtr[j] - left.jtr[j])).collect();
        let curvature = dot(&change, step);
        if curvature.is_nan() || curvature <= LEAST_CURVATURE * dot(&known, step) {
            return;
        }
        let wanted: Vec<f64> = (0..p).map(|j| change[j] - known[j]).collect();
        let along = self.matrix(p).times(step);
        let (was, is) = (dot(step, &along).abs(), dot(step, &wanted).abs());
        // S shrinks with the residual, which the secant alone would not see
        let size = if was > is { is / was } else { 1.0 };
        let missing: Vec<f64> = (0..p).map(|j| asked(j, wanted[j] - size * along[j])).collect();
        let excess = dot(step, &missing) / curvature;
        let matrix = self.matrix(p);
        let term = |j: usize, k: usize| {
            let cross = missing[j] * change[k] + change[j] * missing[k] - excess * change[j] * change[k];
            size * matrix.get(j, k) + cross / curvature
        };
        let next: Vec<f64> = (0..p).flat_map(|j| (j..p).map(move |k| (j, k))).map(|(j, k)| term(j, k)).collect();
        if next.iter().all(|v| v.is_finite()) {
            self.packed = next;
        }
    }

    fn matrix(&self, p: usize) -> Symmetric {
        Symmetric::from_fn(p, |j, k| self.entry(p, j, k))
    }
}

impl Sound for Bend {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        ensure(self.packed.len() == n_free * (n_free + 1) / 2, "a secant matrix is not over the free parameters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Counts;

    fn normal(jtj: &[f64], jtr: &[f64]) -> NormalEquations {
        let (jtj, jtr) = (jtj.to_vec(), jtr.to_vec());
        NormalEquations {
            n_free: jtr.len(),
            jtj,
            jtr,
            cost: 1.0,
            rss: 2.0,
            lag: 0.0,
            triangle: None,
            counts: Counts::default(),
        }
    }

    /// A cost with the constant Hessian H, of which J'J is a part.
    #[test]
    fn along_a_step_the_change_of_the_gradient_is_foretold() {
        let hessian = Symmetric::from_fn(2, |j, k| [[7.0, -2.0], [-2.0, 3.0]][j][k]);
        let jtj = [1.0, 0.5, 2.0];
        let mut bend = Bend::new(2);
        for step in [[0.5, -1.0], [1.0, 0.25], [0.0, 2.0]] {
            let (left, arrived) = (normal(&jtj, &[0.0; 2]), normal(&jtj, &hessian.times(&step)));
            bend.learn(&step, &left, &arrived);
            let known = Symmetric::from_fn(2, |j, k| arrived.entry(j, k) + bend.entry(2, j, k)).times(&step);
            for j in (0..2).filter(|&j| step[j] != 0.0) {
                assert!((known[j] - arrived.jtr[j]).abs() < 1e-12, "{step:?}: {known:?} and {:?}", arrived.jtr);
            }
        }
    }

    #[test]
    fn parameters_that_stayed_still_and_falling_slopes_teach_nothing() {
        let mut bend = Bend::new(2);
        bend.learn(&[1.0, 0.0], &normal(&[1.0, 0.0, 1.0], &[0.0; 2]), &normal(&[1.0, 0.0, 1.0], &[4.0, 9.0]));
        assert_eq!(bend.packed, [3.0, 0.0, 0.0]);
        bend.learn(&[1.0, 0.0], &normal(&[1.0, 0.0, 1.0], &[0.0; 2]), &normal(&[1.0, 0.0, 1.0], &[-4.0, 9.0]));
        assert_eq!(bend.packed, [3.0, 0.0, 0.0]);
    }

    #[test]
    fn the_model_that_foretold_better_takes_over() {
        let mut bend = Bend { packed: vec![2.0], active: false };
        for (actual, active) in [(9.9, false), (9.45, false), (9.1, true), (9.55, true), (9.9, false)] {
            bend.compare(&[1.0], 10.0, actual); // with S: 9
            assert_eq!(bend.active(), active, "actual = {actual}");
        }
    }
}
