//! The order of sums inside a tile, shared by the backends that run on a CPU.

use super::{Costing, Curvature};
use crate::loss::{Loss, LossKind};

/// Points of a segment.
pub const SEGMENT: usize = 2_048;
/// Points of a block: 16 rows, so that a register of the block tape (4 KiB) and its neighbours stay in the first-level
/// cache. Blocks are also what a triangle of J takes at a time.
pub const BLOCK: usize = 512;
const _: () = assert!(SEGMENT.is_multiple_of(BLOCK) && BLOCK.is_multiple_of(LANES));
/// Points of a row: the lanes that are summed apart.
pub const LANES: usize = 32;

/// Folds the lanes of one sum by halves.
pub fn fold_lanes(lanes: &[f64; LANES]) -> f64 {
    let mut s = *lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            s[l] += s[l + half];
        }
        half /= 2;
    }
    s[0]
}

/// Folds segments in their binary tree: `sums` holds one vector for each segment, in order.
pub fn fold_segments(mut sums: Vec<Vec<f64>>, width: usize) -> Vec<f64> {
    while sums.len() > 1 {
        let mut folded = Vec::with_capacity(sums.len().div_ceil(2));
        let mut pairs = sums.into_iter();
        while let Some(mut left) = pairs.next() {
            if let Some(right) = pairs.next() {
                for (a, b) in left.iter_mut().zip(&right) {
                    *a += b;
                }
            }
            folded.push(left);
        }
        sums = folded;
    }
    sums.pop().unwrap_or_else(|| vec![0.0; width])
}

/// What a loss makes of one residual: its rho (times S^2), and the factors on r and on the row of J.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corrected {
    /// S^2 rho((r/S)^2).
    pub rho: f64,
    /// Factor on r.
    pub residual: f64,
    /// Factor on the row of J.
    pub jacobian: f64,
}

/// Applies a loss to a residual.
#[inline(always)]
pub fn correct(costing: &Costing, r: f64) -> Corrected {
    let loss = &costing.loss;
    let z = (r / loss.scale) * (r / loss.scale);
    let [rho, rho1, rho2] = loss.kind.rho(z);
    let curvature = match costing.curvature {
        Curvature::Exact => rho1 + 2.0 * rho2 * z,
        Curvature::Majorant => rho1,
        Curvature::Excess => {
            let excess = (f64::EPSILON - (rho1 + 2.0 * rho2 * z)).max(0.0);
            let root = crate::math::sqrt(excess);
            return Corrected { rho: loss.scale * loss.scale * rho, residual: 0.0, jacobian: root };
        }
    };
    let curvature = if curvature < f64::EPSILON { f64::EPSILON } else { curvature };
    let root = crate::math::sqrt(curvature);
    Corrected { rho: loss.scale * loss.scale * rho, residual: rho1 / root, jacobian: root }
}

/// Whether a loss leaves residuals as they are.
pub fn is_linear(loss: &Loss) -> bool {
    loss.kind == LossKind::Linear
}
