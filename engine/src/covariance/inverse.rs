//! The inverse of the normal equations in columns of length 1, its rank and its condition.

use faer::Mat;

use super::directions::{NULL_PART, describe, reduce};
use crate::linalg::{Cholesky, Symmetric, Triangle};
use crate::normal::NormalEquations;

/// An eigenvalue of C counts as zero up to this many roundings per parameter: the entries of C carry a few roundings
/// each, so smaller ones hold nothing else. In terms of J: condition numbers beyond about 1e7 count as infinite.
const RANK_ROUNDING: f64 = 32.0 * f64::EPSILON;

/// C^-1 for `C = N^-1 J'J N^-1`, N = diag |J_j|, or its pseudo-inverse, over some of the parameters.
pub(super) struct Inverse {
    /// C^-1. `[q x q]`
    pub(super) scaled: Symmetric,
    /// |J_j|; 0 for a column without influence. `[q]`
    pub(super) lengths: Vec<f64>,
    /// Whether the data determine the parameter. `[q]`
    pub(super) determined: Vec<bool>,
    /// Of J in columns of length 1; infinite if rank is missing.
    pub(super) condition_number: f64,
    /// Directions that the data determine.
    pub(super) rank: usize,
    /// Eigenvalues of C, ascending. `[q]`
    pub(super) eigenvalues: Vec<f64>,
    /// The eigenvector of the smallest, unit length. `[q]`
    pub(super) weakest: Vec<f64>,
    /// What is not determined, in words.
    pub(super) warnings: Vec<String>,
}

impl Inverse {
    /// Over the parameters `moving` (positions among the free ones), called `names`.
    pub(super) fn of(normal: &NormalEquations, moving: &[usize], names: &[&str]) -> Self {
        let q = moving.len();
        let lengths: Vec<f64> = moving.iter().map(|&j| normal.entry(j, j).sqrt()).collect();
        let Factored { eigenvalues, vectors, tolerance, factor } = match &normal.triangle {
            Some(triangle) => Factored::of_triangle(triangle, moving, &lengths),
            None => Factored::of_square(normal, moving, &lengths),
        };
        let largest = eigenvalues.last().copied().unwrap_or(1.0);
        let nullity = eigenvalues.iter().filter(|&&v| v <= tolerance).count();
        let factor = factor.filter(|_| nullity == 0);
        let pseudo = |a: usize, b: usize| (nullity..q).map(|i| vectors[i][a] * vectors[i][b] / eigenvalues[i]).sum();
        let null = reduce(vectors[..nullity].to_vec());
        // a column without influence is one for certain; combinations of columns may only look dependent
        let doubtful =
            normal.triangle.is_none() && null.iter().any(|v| v.iter().filter(|c| c.abs() > NULL_PART).count() > 1);
        let doubt = doubtful.then(|| {
            "J'J holds no digits of directions beyond a condition number of about 1e7: --solver tsqr tells whether they are \
             determined after all"
                .to_string()
        });
        Self {
            scaled: factor.map_or_else(|| Symmetric::from_fn(q, pseudo), |factor| invert(&factor, q)),
            determined: (0..q).map(|a| null.iter().all(|v| v[a].abs() <= NULL_PART)).collect(),
            condition_number: match eigenvalues.first() {
                Some(least) if nullity == 0 => (largest / least).sqrt(),
                Some(_) => f64::INFINITY,
                None => 1.0,
            },
            rank: q - nullity,
            warnings: null.iter().map(|v| describe(v, &lengths, names)).chain(doubt).collect(),
            weakest: vectors.into_iter().next().unwrap_or_default(),
            eigenvalues,
            lengths,
        }
    }
}

/// Eigenvalues of C, and its factor.
struct Factored {
    /// Ascending.
    eigenvalues: Vec<f64>,
    /// The eigenvector of each.
    vectors: Vec<Vec<f64>>,
    /// Eigenvalues up to this count as zero.
    tolerance: f64,
    factor: Option<Cholesky>,
}

impl Factored {
    fn of_square(normal: &NormalEquations, moving: &[usize], lengths: &[f64]) -> Self {
        let q = moving.len();
        let scaled =
            Symmetric::from_fn(q, |a, b| normal.entry(moving[a], moving[b]) / unit(lengths[a]) / unit(lengths[b]));
        let (eigenvalues, vectors) = eigen(&scaled);
        let tolerance = RANK_ROUNDING * q as f64 * eigenvalues.last().copied().unwrap_or(1.0);
        let all: Vec<usize> = (0..q).collect();
        Self { eigenvalues, vectors, tolerance, factor: Cholesky::factor(&scaled, &all, 0.0) }
    }

    /// From the singular values of R: the eigenvalues of C are their squares, so they are known to twice as many digits.
    fn of_triangle(triangle: &Triangle, moving: &[usize], lengths: &[f64]) -> Self {
        let q = moving.len();
        let mut inverse = vec![1.0; triangle.order()];
        moving.iter().zip(lengths).for_each(|(&j, &length)| inverse[j] = 1.0 / unit(length));
        let scaled = triangle.scaled(&inverse).select(moving, 0.0);
        let (eigenvalues, vectors) = squared_singular_values(&scaled);
        let least = RANK_ROUNDING * q as f64;
        let tolerance = least * least * eigenvalues.last().copied().unwrap_or(1.0);
        Self { eigenvalues, vectors, tolerance, factor: Cholesky::of_triangle(&scaled) }
    }
}

/// What a column is divided by. One of zero length is left as it is: it shows up as a null direction of its own.
pub(super) fn unit(length: f64) -> f64 {
    if length > 0.0 { length } else { 1.0 }
}

/// Eigenvalues in ascending order and the eigenvector of each.
fn eigen(a: &Symmetric) -> (Vec<f64>, Vec<Vec<f64>>) {
    let q = a.order();
    if q == 0 {
        return (Vec::new(), Vec::new());
    }
    let full = Mat::from_fn(q, q, |j, k| a.get(j, k));
    let eigen = full.self_adjoint_eigen(faer::Side::Lower).expect("a finite symmetric matrix has eigenvalues");
    let values = (0..q).map(|i| eigen.S()[i]).collect();
    let vectors = (0..q).map(|i| (0..q).map(|j| eigen.U()[(j, i)]).collect()).collect();
    (values, vectors)
}

/// Squares of the singular values of R in ascending order, and the right singular vector of each.
fn squared_singular_values(r: &Triangle) -> (Vec<f64>, Vec<Vec<f64>>) {
    let q = r.order();
    if q == 0 {
        return (Vec::new(), Vec::new());
    }
    let full = Mat::from_fn(q, q, |j, k| r.get(j, k));
    let svd = full.svd().expect("a finite matrix has singular values");
    let descending = (0..q).rev();
    descending.map(|i| (svd.S()[i] * svd.S()[i], (0..q).map(|j| svd.V()[(j, i)]).collect())).unzip()
}

fn invert(factor: &Cholesky, q: usize) -> Symmetric {
    let columns: Vec<Vec<f64>> = (0..q)
        .map(|a| {
            let mut unit = vec![0.0; q];
            unit[a] = 1.0;
            factor.forward(&unit)
        })
        .collect();
    // C^-1 = L^-T L^-1: an inner product of columns of L^-1, so diagonal entries are sums of squares
    Symmetric::from_fn(q, |a, b| columns[a].iter().zip(&columns[b]).map(|(x, y)| x * y).sum())
}
