//! Cholesky factors of principal submatrices, damped or not.

use super::{Symmetric, Triangle};

/// `L L' = A_ss + damping I`, where s is a list of rows and columns of A in any order.
#[derive(Clone, Debug)]
pub struct Cholesky {
    /// L, row i has i + 1 entries.
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Factors the submatrix; `None` if a pivot is not a positive finite number.
    pub fn factor(a: &Symmetric, subset: &[usize], damping: f64) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(subset.len());
        for (i, &row) in subset.iter().enumerate() {
            let mut l: Vec<f64> = Vec::with_capacity(i + 1);
            for (j, &column) in subset[..i].iter().enumerate() {
                let above = &rows[j];
                let sum: f64 = (0..j).map(|k| l[k] * above[k]).sum();
                l.push((a.get(row, column) - sum) / above[j]);
            }
            let pivot = a.get(row, row) + damping - l.iter().map(|v| v * v).sum::<f64>();
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            l.push(pivot.sqrt());
            rows.push(l);
        }
        Some(Self { rows })
    }

    /// From R of A_ss + damping I = R'R; `None` if a pivot is not a positive finite number.
    pub fn of_triangle(r: &Triangle) -> Option<Self> {
        let pivots = (0..r.order()).map(|j| r.get(j, j));
        let lawful = pivots.into_iter().all(|pivot| pivot > 0.0 && pivot.is_finite());
        lawful.then(|| Self { rows: (0..r.order()).map(|i| (0..=i).map(|k| r.get(k, i)).collect()).collect() })
    }

    /// The smallest entry on the diagonal of L; 1 if there is none.
    pub fn least_pivot(&self) -> f64 {
        self.rows.iter().filter_map(|row| row.last()).copied().reduce(f64::min).unwrap_or(1.0)
    }

    /// Solves `L w = b`; `|w|^2 = b' (A_ss + damping I)^-1 b`.
    pub fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut w: Vec<f64> = Vec::with_capacity(b.len());
        for (i, l) in self.rows.iter().enumerate() {
            let sum: f64 = (0..i).map(|k| l[k] * w[k]).sum();
            w.push((b[i] - sum) / l[i]);
        }
        w
    }

    /// Solves `(A_ss + damping I) x = b`.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.forward(b);
        for i in (0..x.len()).rev() {
            x[i] /= self.rows[i][i];
            for k in 0..i {
                x[k] -= self.rows[i][k] * x[i];
            }
        }
        x
    }
}

/// Columns of J that are independent of each other, judged from `A = J'J`, most independent first.
///
/// Cholesky with diagonal pivoting among `candidates`. A column is left out once the part of it that is orthogonal to
/// those taken has a squared length of at most `tolerance` times that of the whole column: its direction is then lost in
/// the rounding of A. Columns of zero length are left out. This is the basic solution of MINPACK's pivoted QR.
pub fn independent_columns(a: &Symmetric, candidates: &[usize], tolerance: f64) -> Vec<usize> {
    let mut left: Vec<usize> = candidates.iter().copied().filter(|&j| a.get(j, j) > 0.0).collect();
    // squared length of what is left of each column, relative to its own
    let mut remaining: Vec<f64> = vec![1.0; a.order()];
    let mut factors: Vec<Vec<f64>> = vec![Vec::new(); a.order()];
    let mut taken = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let mut best = 0;
        for i in 1..left.len() {
            if remaining[left[i]] > remaining[left[best]] {
                best = i;
            }
        }
        let pivot = left[best];
        if remaining[pivot] <= tolerance {
            break;
        }
        left.remove(best);
        let root = (remaining[pivot] * a.get(pivot, pivot)).sqrt();
        for &j in &left {
            let sum: f64 = factors[pivot].iter().zip(&factors[j]).map(|(x, y)| x * y).sum();
            let l = (a.get(pivot, j) - sum) / root;
            factors[j].push(l);
            let whole = a.get(j, j);
            remaining[j] = (whole - factors[j].iter().map(|v| v * v).sum::<f64>()) / whole;
        }
        taken.push(pivot);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// J'J of random columns.
    fn gram(columns: &[Vec<f64>]) -> Symmetric {
        Symmetric::from_fn(columns.len(), |j, k| crate::linalg::dot(&columns[j], &columns[k]))
    }

    proptest! {
        #[test]
        fn the_solution_satisfies_the_equations(columns in prop::collection::vec(prop::collection::vec(-1.0..1.0f64, 9), 1..7),
                                                damping in 1e-3..1.0f64) {
            let a = gram(&columns);
            let subset: Vec<usize> = (0..columns.len()).rev().collect();
            let b: Vec<f64> = subset.iter().map(|&j| 1.0 - j as f64).collect();
            let x = Cholesky::factor(&a, &subset, damping).unwrap().solve(&b);
            for (i, &row) in subset.iter().enumerate() {
                let left: f64 = subset.iter().zip(&x).map(|(&k, v)| a.get(row, k) * v).sum::<f64>() + damping * x[i];
                prop_assert!((left - b[i]).abs() < 1e-11, "row {row}: {left} and {}", b[i]);
            }
        }
    }

    #[test]
    fn a_dependent_or_empty_column_is_left_out() {
        let columns = [vec![1.0, 2.0, 3.0], vec![0.0, 0.0, 0.0], vec![2.0, 4.0, 6.0], vec![1.0, 0.0, 1.0]];
        let taken = independent_columns(&gram(&columns), &[0, 1, 2, 3], 1e-14);
        assert_eq!(taken, [0, 3]);
        assert!(Cholesky::factor(&gram(&columns), &[0, 1], 0.0).is_none());
    }
}
