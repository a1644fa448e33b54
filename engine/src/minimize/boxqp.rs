//! The damped quadratic in a box: `min g'u + 1/2 u'(A + damping I)u` subject to `lower <= u <= upper`.
//!
//! Block principal pivoting (Júdice & Pires, Computers & Operations Research 21 (1994) 587; Portugal, Júdice & Vicente,
//! Math. Comp. 63 (1994) 625): guess which coordinates sit at a bound, solve for the others, exchange all that came out
//! with the wrong sign. While the number of wrong ones falls, whole blocks are exchanged; once it has not fallen
//! [`PATIENCE`] times, only the last wrong one is (Murty's rule), which ends after finitely many exchanges whenever the
//! matrix is positive definite. The answer is exact, not an approximation by iterated projection.

use crate::linalg::{Cholesky, Symmetric, Triangle, dot, independent_columns};
use crate::summary::Side;

/// Exchanges of whole blocks that may fail to reduce the number of wrong coordinates.
const PATIENCE: usize = 5;

/// Exchanges allowed, per coordinate and at least. Rounding can make a degenerate problem cycle; the caller then damps more.
const EXCHANGES_PER_COORDINATE: usize = 20;

/// A sign counts as wrong only beyond this many roundings of the terms it was summed from.
const SIGN_ROUNDING: f64 = 8.0 * f64::EPSILON;

/// A convex quadratic in a box that holds the origin.
#[derive(Clone, Debug)]
pub(super) struct BoxQuadratic {
    /// Gradient at the origin. `[p]`
    pub(super) gradient: Vec<f64>,
    /// A. `[p x p]`
    pub(super) hessian: Symmetric,
    /// R with R'R = A, if it is known: it holds digits of A's small eigenvalues that A itself does not.
    pub(super) root: Option<Triangle>,
    /// `<= 0`, may be `-inf`. `[p]`
    pub(super) lower: Vec<f64>,
    /// `>= 0`, may be `+inf`. `[p]`
    pub(super) upper: Vec<f64>,
}

/// The solution, with what is needed to see how its length changes with the damping.
#[derive(Clone, Debug)]
pub(super) struct Solution {
    /// The minimizer; coordinates that took no part are 0. `[p]`
    pub(super) u: Vec<f64>,
    /// Where a bound holds a coordinate. `[p]`
    pub(super) held: Vec<Option<Side>>,
    /// The coordinates that no bound holds, in the order of the factor.
    free: Vec<usize>,
    /// Of `A + damping I` over `free`.
    factor: Cholesky,
}

impl Solution {
    /// `-1/2 d|u|^2 / d damping = u_F' (A_FF + damping I)^-1 u_F`.
    pub(super) fn shrinkage(&self) -> f64 {
        let free: Vec<f64> = self.free.iter().map(|&j| self.u[j]).collect();
        self.factor.forward(&free).iter().map(|w| w * w).sum()
    }
}

impl BoxQuadratic {
    /// `-(g'u + 1/2 u'Au)`: what the quadratic promises for u.
    pub(super) fn reduction(&self, u: &[f64]) -> f64 {
        if let Some(root) = &self.root {
            let bent: f64 = root.times(u).iter().map(|v| v * v).sum();
            return -(dot(&self.gradient, u) + 0.5 * bent);
        }
        let curved = self.hessian.times(u);
        -u.iter().zip(&self.gradient).zip(&curved).map(|((u, g), c)| u * (g + 0.5 * c)).sum::<f64>()
    }

    /// A factor of `A + damping I` over a subset; `None` if a pivot is not a positive finite number.
    pub(super) fn factor(&self, subset: &[usize], damping: f64) -> Option<Cholesky> {
        match &self.root {
            None => Cholesky::factor(&self.hessian, subset, damping),
            Some(root) => Cholesky::of_triangle(&root.select(subset, damping)),
        }
    }

    /// Columns that are independent of each other, most independent first. `roundings` is what the sine between a column
    /// and the others may lose, in units of f64's: squared where only A is known.
    pub(super) fn independent(&self, candidates: &[usize], roundings: f64) -> Vec<usize> {
        match &self.root {
            None => independent_columns(&self.hessian, candidates, roundings * f64::EPSILON),
            Some(root) => root.independent_columns(candidates, roundings * f64::EPSILON),
        }
    }

    /// The bound at which the origin already sits while the quadratic falls beyond it.
    pub(super) fn blocked(&self, j: usize) -> Option<Side> {
        if self.lower[j] == 0.0 && self.gradient[j] > 0.0 {
            Some(Side::Min)
        } else if self.upper[j] == 0.0 && self.gradient[j] < 0.0 {
            Some(Side::Max)
        } else {
            None
        }
    }

    /// Minimises over the coordinates `taking_part`. `None` if a matrix on the way is not positive definite, or the
    /// exchanges allowed are used up.
    pub(super) fn minimize(&self, taking_part: &[usize], damping: f64) -> Option<Solution> {
        let p = self.gradient.len();
        let mut held: Vec<Option<Side>> = vec![None; p];
        for &j in taking_part {
            held[j] = self.blocked(j);
        }
        let mut fewest = usize::MAX;
        let mut patience = PATIENCE;
        for _ in 0..EXCHANGES_PER_COORDINATE * (p + 1) {
            let mut solution = self.solve(taking_part, damping, &held)?;
            let mut wrong = self.wrong(taking_part, damping, &solution);
            if wrong.is_empty() {
                self.clip(&mut solution);
                return Some(solution);
            }
            if wrong.len() < fewest {
                fewest = wrong.len();
                patience = PATIENCE;
            } else if patience > 0 {
                patience -= 1;
            } else {
                wrong.drain(..wrong.len() - 1);
            }
            for (j, side) in wrong {
                held[j] = side;
            }
        }
        None
    }

    /// The stationary point with the held coordinates at their bounds.
    fn solve(&self, taking_part: &[usize], damping: f64, held: &[Option<Side>]) -> Option<Solution> {
        let mut u = vec![0.0; self.gradient.len()];
        for &j in taking_part {
            u[j] = held[j].map_or(0.0, |side| self.bound(j, side));
        }
        let free: Vec<usize> = taking_part.iter().copied().filter(|&j| held[j].is_none()).collect();
        let pushed = if free.len() == taking_part.len() { vec![0.0; u.len()] } else { self.hessian.times(&u) };
        let right: Vec<f64> = free.iter().map(|&j| -(self.gradient[j] + pushed[j])).collect();
        let factor = self.factor(&free, damping)?;
        for (&j, value) in free.iter().zip(factor.solve(&right)) {
            if !value.is_finite() {
                return None;
            }
            u[j] = value;
        }
        Some(Solution { u, held: held.to_vec(), free, factor })
    }

    /// The coordinates on the wrong side, each with where it belongs.
    fn wrong(&self, taking_part: &[usize], damping: f64, solution: &Solution) -> Vec<(usize, Option<Side>)> {
        let u = &solution.u;
        let mut wrong = Vec::new();
        for &j in taking_part {
            let Some(side) = solution.held[j] else {
                if u[j] < self.lower[j] {
                    wrong.push((j, Some(Side::Min)));
                } else if u[j] > self.upper[j] {
                    wrong.push((j, Some(Side::Max)));
                }
                continue;
            };
            let (mut pull, mut size) = (self.gradient[j] + damping * u[j], self.gradient[j].abs());
            for k in 0..u.len() {
                let term = self.hessian.get(j, k) * u[k];
                pull += term;
                size += term.abs();
            }
            let inward = if side == Side::Min { -pull } else { pull };
            if inward > SIGN_ROUNDING * size {
                wrong.push((j, None));
            }
        }
        wrong.sort_unstable_by_key(|&(j, _)| j);
        wrong
    }

    /// Free coordinates may lie beyond a bound by a rounding: put them on it.
    fn clip(&self, solution: &mut Solution) {
        for &j in &solution.free {
            solution.u[j] = solution.u[j].clamp(self.lower[j], self.upper[j]);
        }
    }

    fn bound(&self, j: usize, side: Side) -> f64 {
        match side {
            Side::Min => self.lower[j],
            Side::Max => self.upper[j],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quadratic(columns: &[Vec<f64>], lower: &[f64], upper: &[f64]) -> BoxQuadratic {
        let p = columns.len();
        let target: Vec<f64> = (0..12).map(|i| f64::from(i % 5) - 1.7).collect();
        BoxQuadratic {
            gradient: columns.iter().map(|c| crate::linalg::dot(c, &target)).collect(),
            hessian: Symmetric::from_fn(p, |j, k| crate::linalg::dot(&columns[j], &columns[k])),
            root: None,
            lower: lower[..p].to_vec(),
            upper: upper[..p].to_vec(),
        }
    }

    proptest! {
        /// The conditions of Karush, Kuhn and Tucker decide: for a convex problem they prove the minimum.
        #[test]
        fn the_answer_satisfies_the_optimality_conditions(
            columns in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, 12), 1..9),
            lower in prop::collection::vec(prop_oneof![Just(0.0), Just(f64::NEG_INFINITY), -1.0..0.0f64], 9),
            upper in prop::collection::vec(prop_oneof![Just(0.0), Just(f64::INFINITY), 0.0..1.0f64], 9),
            damping in prop_oneof![Just(1e-6), 0.0..2.0f64],
            rooted in any::<bool>(),
        ) {
            let mut problem = quadratic(&columns, &lower, &upper);
            problem.root = rooted.then(|| {
                let mut columns = columns.clone();
                let mut block: Vec<&mut [f64]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
                let mut root = Triangle::zero(block.len());
                root.absorb(&mut block);
                root
            });
            let all: Vec<usize> = (0..columns.len()).collect();
            let Some(solution) = problem.minimize(&all, damping) else {
                return Err(TestCaseError::fail("no answer"));
            };
            let pull = problem.hessian.times(&solution.u);
            for j in all {
                let (u, multiplier) = (solution.u[j], problem.gradient[j] + pull[j] + damping * solution.u[j]);
                prop_assert!((problem.lower[j]..=problem.upper[j]).contains(&u));
                if u > problem.lower[j] {
                    prop_assert!(multiplier < 1e-7, "{j}: could still fall by going down: {multiplier}");
                }
                if u < problem.upper[j] {
                    prop_assert!(multiplier > -1e-7, "{j}: could still fall by going up: {multiplier}");
                }
            }
        }
    }

    #[test]
    fn a_coordinate_lands_exactly_on_the_bound_that_holds_it() {
        let mut problem = quadratic(&[vec![1.0; 12], vec![0.5; 12]], &[-9.0; 2], &[9.0; 2]);
        problem.hessian = Symmetric::from_fn(2, |j, k| if j == k { 1.0 } else { 0.25 });
        problem.gradient = vec![-2.0, 0.3];
        problem.upper[0] = 0.1;
        let solution = problem.minimize(&[0, 1], 0.0).unwrap();
        assert_eq!((solution.u[0], solution.held[0], solution.held[1]), (0.1, Some(Side::Max), None));
        assert!((solution.u[1] + 0.3 + 0.25 * 0.1).abs() < 1e-15);
    }
}
