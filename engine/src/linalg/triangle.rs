//! The triangle R of a tall matrix A = Q R, gathered block by block and merged up a tree.
//!
//! J'J has the square of J's condition number, so with it a fit loses digits from a condition of about 10^7 on and direction
//! by direction beyond. R has the condition of J itself: R'R = J'J holds to the rounding of J, not of its square. It is as
//! small as J'J, and two of them merge into that of both parts together by one more factorisation (TSQR: Demmel, Grigori,
//! Hoemmen, Langou, SIAM J. Sci. Comput. 34 (2012) A206), so it travels up the tile tree as sums do.
//!
//! Householder reflections as Golub & Van Loan (Matrix Computations, 2013, 5.1) write them, which keep the diagonal >= 0. All
//! inner products run in 32 lanes, folded by halves: the same bits on every instruction set.

use serde::{Deserialize, Serialize};

use super::{dot, norm};
use crate::normal::packed_index;

/// Lanes of an inner product.
const LANES: usize = 32;

/// An upper triangle, packed by rows as J'J is.
#[derive(
    Clone, Debug, Default, PartialEq, Serialize, Deserialize, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize,
)]
pub struct Triangle {
    order: usize,
    packed: Vec<f64>,
}

impl Triangle {
    /// The triangle of a matrix without rows.
    pub fn zero(order: usize) -> Self {
        Self { order, packed: vec![0.0; order * (order + 1) / 2] }
    }

    /// Number of columns.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Whether it is one over so many columns, as far as its entries go.
    pub fn has_order(&self, order: usize) -> bool {
        self.order == order && self.packed.len() == order * (order + 1) / 2
    }

    /// Entry (j, k); 0 below the diagonal.
    pub fn get(&self, j: usize, k: usize) -> f64 {
        if j <= k { self.packed[packed_index(self.order, j, k)] } else { 0.0 }
    }

    /// Its entries, row after row.
    pub fn entries(&self) -> &[f64] {
        &self.packed
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        self.packed.iter().all(|v| v.is_finite())
    }

    /// Takes rows below: the triangle of `[R; block]`. The block, one slice for each column, is used up.
    #[inline(always)]
    pub fn absorb(&mut self, block: &mut [&mut [f64]]) {
        assert_eq!(block.len(), self.order, "one column of the block for each of the triangle");
        for j in 0..self.order {
            let (left, right) = block.split_at_mut(j + 1);
            let column = &mut *left[j];
            let below = inner(column, column);
            if below == 0.0 {
                continue;
            }
            let diagonal = packed_index(self.order, j, j);
            let alpha = self.packed[diagonal];
            let length = (alpha * alpha + below).sqrt();
            // alpha - length without cancellation
            let head = if alpha <= 0.0 { alpha - length } else { -below / (alpha + length) };
            let factor = 2.0 * head * head / (below + head * head);
            column.iter_mut().for_each(|v| *v /= head);
            self.packed[diagonal] = length;
            for (k, other) in right.iter_mut().enumerate() {
                let entry = &mut self.packed[diagonal + 1 + k];
                let reflected = factor * (*entry + inner(column, other));
                *entry -= reflected;
                for (o, v) in other.iter_mut().zip(column.iter()) {
                    *o = v.mul_add(-reflected, *o);
                }
            }
        }
    }

    /// The triangle of both parts, `right` below.
    pub fn merge(mut self, right: &Triangle) -> Self {
        let mut rows = right.columns(&(0..right.order).collect::<Vec<_>>(), 0.0);
        let mut block: Vec<&mut [f64]> = rows.iter_mut().map(Vec::as_mut_slice).collect();
        self.absorb(&mut block);
        self
    }

    /// The triangle of some columns, in the order given, with `damping` times the identity below: of
    /// `[A_s; sqrt(damping) I]`.
    pub fn select(&self, subset: &[usize], damping: f64) -> Self {
        let mut rows = self.columns(subset, damping);
        let mut block: Vec<&mut [f64]> = rows.iter_mut().map(Vec::as_mut_slice).collect();
        let mut selected = Self::zero(subset.len());
        selected.absorb(&mut block);
        selected
    }

    /// With column j multiplied by `scale[j]`.
    pub fn scaled(&self, scale: &[f64]) -> Self {
        let mut scaled = self.clone();
        for j in 0..self.order {
            for k in j..self.order {
                scaled.packed[packed_index(self.order, j, k)] *= scale[k];
            }
        }
        scaled
    }

    /// R times `v`. `[order]`
    pub fn times(&self, v: &[f64]) -> Vec<f64> {
        (0..self.order).map(|j| (j..self.order).map(|k| self.get(j, k) * v[k]).sum()).collect()
    }

    /// Columns that are independent of each other, most independent first: pivoted Gram-Schmidt, twice over. A column is
    /// left out once what is left of it, orthogonal to those taken, is at most `tolerance` of its length.
    pub fn independent_columns(&self, candidates: &[usize], tolerance: f64) -> Vec<usize> {
        let vector = |k: usize| (0..self.order).map(|j| self.get(j, k)).collect::<Vec<f64>>();
        let mut left: Vec<(usize, f64, Vec<f64>)> = candidates
            .iter()
            .map(|&k| (k, norm(&vector(k)), vector(k)))
            .filter(|(_, length, _)| *length > 0.0)
            .collect();
        let mut taken = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let sine = |(_, length, rest): &(usize, f64, Vec<f64>)| norm(rest) / length;
            let mut best = 0;
            for i in 1..left.len() {
                if sine(&left[i]) > sine(&left[best]) {
                    best = i;
                }
            }
            if sine(&left[best]) <= tolerance {
                break;
            }
            let (column, _, mut direction) = left.remove(best);
            let length = norm(&direction);
            direction.iter_mut().for_each(|v| *v /= length);
            for (_, _, rest) in &mut left {
                for _ in 0..2 {
                    let part = dot(&direction, rest);
                    rest.iter_mut().zip(&direction).for_each(|(v, d)| *v -= part * d);
                }
            }
            taken.push(column);
        }
        taken
    }

    fn columns(&self, subset: &[usize], damping: f64) -> Vec<Vec<f64>> {
        let extra = if damping > 0.0 { subset.len() } else { 0 };
        let column = |(i, &k): (usize, &usize)| {
            let mut column: Vec<f64> = (0..self.order).map(|j| self.get(j, k)).collect();
            column.resize(self.order + extra, 0.0);
            if extra > 0 {
                column[self.order + i] = damping.sqrt();
            }
            column
        };
        subset.iter().enumerate().map(column).collect()
    }
}

/// `a'b` in lanes.
#[inline(always)]
fn inner(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let (rest_a, rest_b) = (whole_a.remainder(), whole_b.remainder());
    for (a, b) in whole_a.zip(whole_b) {
        for l in 0..LANES {
            lanes[l] = a[l].mul_add(b[l], lanes[l]);
        }
    }
    for (l, (a, b)) in rest_a.iter().zip(rest_b).enumerate() {
        lanes[l] = a.mul_add(*b, lanes[l]);
    }
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(columns: &[Vec<f64>]) -> Triangle {
        let mut columns = columns.to_vec();
        let mut block: Vec<&mut [f64]> = columns.iter_mut().map(Vec::as_mut_slice).collect();
        let mut triangle = Triangle::zero(block.len());
        triangle.absorb(&mut block);
        triangle
    }

    /// R'R.
    fn gram(r: &Triangle, j: usize, k: usize) -> f64 {
        (0..r.order()).map(|i| r.get(i, j) * r.get(i, k)).sum()
    }

    fn matrix() -> impl Strategy<Value = Vec<Vec<f64>>> {
        (1..6usize, 1..90usize).prop_flat_map(|(p, n)| prop::collection::vec(prop::collection::vec(-1.0..1.0f64, n), p))
    }

    proptest! {
        #[test]
        fn its_square_is_that_of_the_matrix_however_it_was_cut(columns in matrix(), cut in 0.0..1.0f64) {
            let (p, n) = (columns.len(), columns[0].len());
            let at = (cut * n as f64) as usize;
            let part = |range: std::ops::Range<usize>| of(&columns.iter().map(|c| c[range.clone()].to_vec()).collect::<Vec<_>>());
            for r in [of(&columns), part(0..at).merge(&part(at..n)), Triangle::zero(p).merge(&part(0..n))] {
                for j in 0..p {
                    prop_assert!(r.get(j, j) >= 0.0);
                    for k in j..p {
                        let exact = crate::linalg::dot(&columns[j], &columns[k]);
                        prop_assert!((gram(&r, j, k) - exact).abs() < 1e-13 * n as f64, "{} {exact}", gram(&r, j, k));
                    }
                }
            }
        }

        #[test]
        fn columns_can_be_selected_scaled_and_damped(columns in matrix(), damping in 0.0..2.0f64) {
            let p = columns.len();
            let r = of(&columns);
            let subset: Vec<usize> = (0..p).rev().step_by(2).collect();
            let selected = r.select(&subset, damping);
            for (a, &j) in subset.iter().enumerate() {
                for (b, &k) in subset.iter().enumerate().skip(a) {
                    let exact = gram(&r, j, k) + if a == b { damping } else { 0.0 };
                    prop_assert!((gram(&selected, a, b) - exact).abs() < 1e-11);
                }
            }
            let scale: Vec<f64> = (0..p).map(|j| 2f64.powi(j as i32)).collect();
            let v = vec![1.0; p];
            prop_assert_eq!(r.scaled(&scale).times(&v), r.times(&scale));
        }
    }

    /// Läuchli's matrix: J'J has lost in its rounding what tells the columns apart, R has not.
    #[test]
    fn a_direction_that_the_square_loses_is_kept() {
        let e = 1e-9;
        let r = of(&[vec![1.0, e, 0.0], vec![1.0, 0.0, e]]);
        assert_eq!(1.0 + e * e, 1.0);
        assert!((r.get(1, 1) / (e * 2f64.sqrt()) - 1.0).abs() < 1e-6, "{}", r.get(1, 1));
        assert_eq!(
            (r.independent_columns(&[0, 1], 1e-12), r.independent_columns(&[1, 0], 1e-8)),
            (vec![0, 1], vec![1])
        );
    }
}
