//! The sandwich: standard errors that hold when the scatter is not what sigma says, or differs from point to point.
//!
//! ```text
//! covariance = A^-1 B A^-1 n/(n - p),   A = J'J under the loss,   B = sum_i g_i g_i',   g_i = rho'(z_i) r_i grad r_i
//! ```
//!
//! The gradient of the cost is the sum of the scores g_i, and B estimates its covariance from the scores themselves instead
//! of from one s^2 for all points (Huber, Proc. 5th Berkeley Symp. 1 (1967) 221). Under the linear loss it is White's estimate
//! with the correction HC1 (White, Econometrica 48 (1980) 817; MacKinnon and White, J. Econometrics 29 (1985) 305). It does
//! not make up for residuals that are correlated from point to point.

use crate::linalg::Symmetric;
use crate::normal::packed_index;

use super::inverse::{Inverse, unit};

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
