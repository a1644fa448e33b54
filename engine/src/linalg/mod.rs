//! Dense linear algebra of the `p x p` problem, in plain order.
//!
//! What decides the path of a fit is written out here, term after term, and not taken from a library that picks its
//! instructions at run time: theta then has the same bits on every host that resumes a fit.

pub mod cholesky;
pub mod packed;
pub mod triangle;

pub use cholesky::{Cholesky, independent_columns};
pub use packed::Symmetric;
pub use triangle::Triangle;

/// `a'b`, summed from the first term to the last.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Euclidean length. The largest entry is divided out, so that neither overflow nor underflow spoils it.
pub fn norm(a: &[f64]) -> f64 {
    let largest = a.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    // the power of two at or below the largest, so that dividing by it is exact
    let unit = f64::from_bits(largest.to_bits() & 0x7ff0_0000_0000_0000).max(f64::MIN_POSITIVE);
    unit * a.iter().map(|v| (v / unit) * (v / unit)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_survive_extreme_sizes() {
        assert_eq!(norm(&[3.0, 4.0]), 5.0);
        assert!((norm(&[3e200, -4e200]) / 5e200 - 1.0).abs() < 1e-15);
        assert_eq!(norm(&[3e-320, 4e-320]), 5e-320);
        assert_eq!(norm(&[]), 0.0);
        assert_eq!(norm(&[1.0, f64::INFINITY]), f64::INFINITY);
    }
}
