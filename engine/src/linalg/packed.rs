//! A symmetric matrix, packed.

use crate::normal::packed_index;

/// A symmetric matrix of order n, upper triangle packed by rows as in [`crate::normal::NormalEquations`].
#[derive(Clone, Debug, PartialEq)]
pub struct Symmetric {
    order: usize,
    packed: Vec<f64>,
}

impl Symmetric {
    /// The matrix whose entry (j, k), j <= k, is `entry(j, k)`.
    pub fn from_fn(order: usize, mut entry: impl FnMut(usize, usize) -> f64) -> Self {
        let mut packed = Vec::with_capacity(order * (order + 1) / 2);
        for j in 0..order {
            packed.extend((j..order).map(|k| entry(j, k)));
        }
        Self { order, packed }
    }

    /// Number of rows and columns.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Entry (j, k), in either order.
    pub fn get(&self, j: usize, k: usize) -> f64 {
        self.packed[packed_index(self.order, j.min(k), j.max(k))]
    }

    /// The matrix times `v`. `[order]`
    pub fn times(&self, v: &[f64]) -> Vec<f64> {
        (0..self.order).map(|j| (0..self.order).map(|k| self.get(j, k) * v[k]).sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_product_agree_with_the_full_matrix() {
        let a = Symmetric::from_fn(3, |j, k| (10 * j + k) as f64);
        assert_eq!((a.get(0, 2), a.get(2, 0), a.get(1, 1)), (2.0, 2.0, 11.0));
        assert_eq!(a.times(&[1.0, 2.0, 3.0]), [8.0, 1.0 + 22.0 + 36.0, 2.0 + 24.0 + 66.0]);
    }
}
