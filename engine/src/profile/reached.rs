//! A point of a profile: one parameter held, the others at their best; and where the profile leads from it.

use super::{ProfilePoint, Solution};
use crate::linalg::{Cholesky, Symmetric};
use crate::normal::NormalEquations;
use crate::saved::{Sound, Unsound, ensure};

/// The profile at one distance from the minimum. All derivatives are with respect to the distance.
#[derive(Clone, Debug, PartialEq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct Reached {
    /// |theta_j - theta*_j|.
    pub(super) distance: f64,
    pub(super) theta: Vec<f64>,
    pub(super) cost: f64,
    /// |tau|.
    pub(super) tau: f64,
    /// Of the profile's cost.
    pub(super) slope: f64,
    /// Its second derivative after Gauss and Newton: `A_jj - A_jo A_oo^-1 A_oj`, A = J'J, o the others free to move.
    pub(super) curvature: f64,
    /// How theta moves: `-A_oo^-1 A_oj` for the others. `[n_free]`
    pub(super) tangent: Vec<f64>,
    /// How much lower the cost would be if the others were quite at their best: `1/2 g_o' A_oo^-1 g_o`.
    pub(super) promise: f64,
}

/// What decides where a point stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    /// The parameter that is held.
    pub(super) parameter: usize,
    /// -1 or 1.
    pub(super) direction: f64,
    pub(super) lower: &'a [f64],
    pub(super) upper: &'a [f64],
}

impl Reached {
    pub(super) fn new(held: Held<'_>, solution: &Solution, theta: Vec<f64>, normal: &NormalEquations) -> Self {
        let (j, p) = (held.parameter, normal.n_free);
        let at_bound = |k: usize| {
            theta[k] <= held.lower[k] && normal.jtr[k] > 0.0 || theta[k] >= held.upper[k] && normal.jtr[k] < 0.0
        };
        let others: Vec<usize> = (0..p).filter(|&k| k != j && !at_bound(k)).collect();
        let a = Symmetric::from_fn(p, |r, c| normal.entry(r, c));
        let mut tangent = vec![0.0; p];
        tangent[j] = held.direction;
        let mut promise = f64::INFINITY;
        // dependent columns: no direction for the others, and the minimizer alone says when they are at their best
        let factor = match &normal.triangle {
            Some(triangle) => Cholesky::of_triangle(&triangle.select(&others, 0.0)),
            None => Cholesky::factor(&a, &others, 0.0),
        };
        if let Some(factor) = factor {
            let coupling: Vec<f64> = others.iter().map(|&k| a.get(k, j)).collect();
            for (&k, move_of) in others.iter().zip(factor.solve(&coupling)) {
                tangent[k] = -held.direction * move_of;
            }
            let gradient: Vec<f64> = others.iter().map(|&k| normal.jtr[k]).collect();
            promise = 0.5 * factor.forward(&gradient).iter().map(|w| w * w).sum::<f64>();
        }
        let dot = |values: &dyn Fn(usize) -> f64| (0..p).map(|k| tangent[k] * values(k)).sum::<f64>();
        Self {
            distance: (theta[j] - solution.theta[j]).abs(),
            cost: normal.cost,
            tau: (2.0 * (normal.cost - solution.normal.cost).max(0.0) / solution.variance).sqrt(),
            slope: dot(&|k| normal.jtr[k]),
            // the same number twice: what J'J gives as a difference of large terms, its root gives as a sum of squares
            curvature: match &normal.triangle {
                Some(triangle) => triangle.times(&tangent).iter().map(|v| v * v).sum(),
                None => held.direction * dot(&|k| a.get(k, j)),
            },
            theta,
            tangent,
            promise,
        }
    }

    /// How much further tau would be `tau`, by the quadratic through this point. `None` where it never is.
    pub(super) fn step_to(&self, tau: f64, solution: &Solution) -> Option<f64> {
        let wanted = 0.5 * solution.variance * (tau * tau - self.tau * self.tau);
        // 1/2 h x^2 + g x = wanted, in the form that does not cancel
        let root = (self.slope * self.slope + 2.0 * self.curvature * wanted).sqrt();
        let step = 2.0 * wanted / (self.slope + root);
        (step > 0.0 && step.is_finite()).then_some(step)
    }

    /// The standard error of the linear theory here, `sqrt(s^2/h)`.
    pub(super) fn linear_error(&self, solution: &Solution) -> f64 {
        (solution.variance / self.curvature).sqrt()
    }

    /// d tau / d distance.
    pub(super) fn tau_slope(&self, solution: &Solution) -> f64 {
        self.slope / (solution.variance * self.tau)
    }

    pub(super) fn in_table(&self, direction: f64, j: usize) -> ProfilePoint {
        let tau = if self.tau == 0.0 { 0.0 } else { direction * self.tau };
        ProfilePoint { value: self.theta[j], tau, cost: self.cost, theta: self.theta.clone() }
    }
}

impl Sound for Reached {
    fn sound(&self, n_free: usize) -> Result<(), Unsound> {
        let lengths = self.theta.len() == n_free && self.tangent.len() == n_free;
        ensure(lengths && self.distance.is_finite(), "a point of a profile is not one over the free parameters")
    }
}
