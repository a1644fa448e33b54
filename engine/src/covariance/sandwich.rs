//! The sandwich: standard errors that hold when the scatter is not what sigma says, or differs from point to point.
//!
//! ```text
//! covariance = A^-1 B A^-1 n/(n - p),   A = sum_i w_i grad r_i grad r_i',   w_i = rho'(z_i) + 2 z_i rho''(z_i),
//!                                       B = sum_i g_i g_i',                 g_i = rho'(z_i) r_i grad r_i
//! ```
//!
//! The gradient of the cost is the sum of the scores g_i, and B estimates its covariance from the scores themselves instead
//! of from one s^2 for all points (Huber, Proc. 5th Berkeley Symp. 1 (1967) 221). Under the linear loss it is White's estimate
//! with the correction HC1 (White, Econometrica 48 (1980) 817; MacKinnon and White, J. Econometrics 29 (1985) 305). It does
//! not make up for residuals that are correlated from point to point.

use crate::linalg::{Cholesky, Symmetric};
use crate::normal::{NormalEquations, packed_index};

use super::inverse::{Inverse, unit};

/// The normal equations whose J'J is A: under a loss that bends down, w_i below 0 counts in A as it is, where a minimizer
/// takes 0 for it. Where that leaves no positive matrix over `moving`, the normal equations as they are, and a warning.
pub(super) fn bread(
    normal: &NormalEquations,
    excess: Option<&[f64]>,
    moving: &[usize],
) -> (NormalEquations, Option<String>) {
    let at = |j: usize| packed_index(normal.n_free, j, j);
    // what rounding hides is left where it is, and with it the triangle of J
    let felt = |excess: &&[f64]| moving.iter().any(|&j| excess[at(j)] > 4.0 * f64::EPSILON * normal.jtj[at(j)]);
    let Some(excess) = excess.filter(felt) else { return (normal.clone(), None) };
    assert_eq!(excess.len(), normal.jtj.len(), "the excess is a packed triangle over the free parameters");
    let jtj = normal.jtj.iter().zip(excess).map(|(all, excess)| all - excess).collect();
    let bread = NormalEquations { jtj, triangle: None, ..normal.clone() };
    let length = |a: usize| unit(normal.entry(moving[a], moving[a]).sqrt());
    let entry = |a: usize, b: usize| bread.entry(moving[a], moving[b]) / length(a) / length(b);
    let all: Vec<usize> = (0..moving.len()).collect();
    if Cholesky::factor(&Symmetric::from_fn(moving.len(), entry), &all, 0.0).is_some() {
        return (bread, None);
    }
    let warning = "too many points lie where the loss bends down: the standard errors count their curvature as 0 and are too small; \
                   give a larger --loss-scale";
    (normal.clone(), Some(warning.into()))
}

/// `C^-1 (N^-1 B N^-1) C^-1`, what stands in place of C^-1: both slices of bread and the filling in columns of length 1.
/// `scores` is B over all `n_free` parameters, packed as J'J is.
pub(super) fn spread(inverse: &Inverse, scores: &[f64], n_free: usize, moving: &[usize]) -> Symmetric {
    assert_eq!(scores.len(), n_free * (n_free + 1) / 2, "the scores are a packed triangle over the free parameters");
    let q = moving.len();
    let length = |a: usize| unit(inverse.lengths[a]);
    let entry = |a: usize, b: usize| {
        let (j, k) = (moving[a].min(moving[b]), moving[a].max(moving[b]));
        scores[packed_index(n_free, j, k)] / length(a) / length(b)
    };
    let filling = Symmetric::from_fn(q, entry);
    // B C^-1, a column at a time; then C^-1 times it
    let columns: Vec<Vec<f64>> =
        (0..q).map(|b| filling.times(&(0..q).map(|a| inverse.scaled.get(a, b)).collect::<Vec<_>>())).collect();
    Symmetric::from_fn(q, |a, b| (0..q).map(|k| inverse.scaled.get(a, k) * columns[b][k]).sum())
}
