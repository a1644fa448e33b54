//! Covariance of the parameters at the solution.
//!
//! ```text
//! classic    covariance = s^2 (J'J)^-1,   s^2 = 2 cost / dof   or 1
//! sandwich   covariance = A^-1 B A^-1 n / dof,   B = sum g g'   ([`fn@sandwich`])
//! ```
//!
//! over the free parameters that no bound holds. All work is done in columns of length 1, so units do not matter: with
//! N = diag |J_j|, `C = N^-1 J'J N^-1` has a unit diagonal and (J'J)^-1 = N^-1 C^-1 N^-1. Rank and condition come from the
//! eigenvalues of C; where C has full rank its inverse comes from Cholesky, which keeps the small variances beside the large
//! ones; where not, from the eigenvectors.

pub mod confidence;
pub mod directions;
mod inverse;
mod sandwich;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::linalg::Symmetric;
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::summary::Side;

pub use confidence::Level;
use inverse::{Inverse, unit};

/// What s^2 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variance {
    /// 2 cost / dof: the sigmas are known up to a common factor.
    Estimated,
    /// 1: the sigmas are what they say.
    Absolute,
}

/// How the covariance is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// From J'J and one variance: right where sigma says how the points scatter, up to a factor.
    #[default]
    Classic,
    /// From the scatter of the points themselves: needs no sigma, but independent points.
    Sandwich,
}

impl Kind {
    /// Both kinds with the names used in job files and flags.
    pub const NAMES: [(&'static str, Kind); 2] = [("classic", Kind::Classic), ("sandwich", Kind::Sandwich)];
}

/// How well the parameters are known. Vectors and matrices run over all parameters, in the model's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    /// How it was made.
    pub kind: Kind,
    /// Row-major; zero rows and columns for fixed parameters and those that a bound holds. `[n_params x n_params]`
    pub matrix: Vec<f64>,
    /// Standard errors; `None` for fixed parameters, those that a bound holds, and those that are not determined.
    pub stderr: Vec<Option<f64>>,
    /// Correlations, row-major, 1 on the diagonal; `None` in rows and columns of parameters without a standard error, or
    /// with one of 0. `[n_params x n_params]`
    pub correlation: Vec<Option<f64>>,
    /// Of J with columns scaled to length 1, over the parameters that no bound holds; infinite if rank is missing.
    pub condition_number: f64,
    /// Directions that the data determine, at most the number of free parameters that no bound holds.
    pub rank: usize,
    /// Positions among all parameters of the free ones that no bound holds; the three below run over them.
    pub moving: Vec<usize>,
    /// |J_j|.
    pub lengths: Vec<f64>,
    /// Eigenvalues of J'J in columns of length 1, ascending.
    pub eigenvalues: Vec<f64>,
    /// The direction that the data determine least: the eigenvector of the first eigenvalue, in units of 1/|J_j|.
    pub weakest: Vec<f64>,
    /// n_used minus the number of free parameters, those at bounds counted.
    pub dof: u64,
    /// s^2.
    pub variance: f64,
    /// What is not determined, or cannot be held by a number, in words.
    pub warnings: Vec<String>,
}

/// Why there is no covariance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum CovarianceError {
    #[error(
        "{n_used} points cannot determine {n_free} free parameters: more points than free parameters are needed; fix some with --fix"
    )]
    TooFewPoints { n_used: u64, n_free: usize },
    #[error("the normal equations are not finite: there is no solution to describe")]
    NotFinite,
}

/// `n_used - n_free`; refused unless positive.
pub fn degrees_of_freedom(n_used: u64, n_free: usize) -> Result<u64, CovarianceError> {
    match n_used.checked_sub(n_free as u64) {
        Some(dof) if dof > 0 => Ok(dof),
        _ => Err(CovarianceError::TooFewPoints { n_used, n_free }),
    }
}

/// The classic covariance at the solution. `at_bound` is that of [`crate::summary::Summary`], over the free parameters.
pub fn covariance(
    parameters: &Parameters,
    normal: &NormalEquations,
    at_bound: &[Option<Side>],
    variance: Variance,
) -> Result<Covariance, CovarianceError> {
    let solution = Solution::new(parameters, normal, at_bound)?;
    let inverse = solution.inverse();
    let variance = match variance {
        Variance::Estimated => solution.estimated_variance(),
        Variance::Absolute => 1.0,
    };
    let spread = inverse.scaled.clone();
    Ok(solution.covariance(inverse, Kind::Classic, &spread, variance, variance))
}

/// The sandwich covariance at the solution. The normal equations must hold the exact curvature of the loss
/// ([`crate::kernel::Curvature::Exact`]). `scores` is B = sum g_i g_i' over the free parameters, packed as J'J is. `excess` is
/// what J'J holds too much where the loss bends down ([`crate::kernel::Curvature::Excess`]), packed alike: without it A would
/// not be the derivative of the gradient, and the standard errors too small. Where nothing positive is left, A keeps it,
/// and a warning says so.
pub fn sandwich(
    parameters: &Parameters,
    normal: &NormalEquations,
    at_bound: &[Option<Side>],
    scores: &[f64],
    excess: Option<&[f64]>,
) -> Result<Covariance, CovarianceError> {
    let solution = Solution::new(parameters, normal, at_bound)?;
    if scores.iter().chain(excess.into_iter().flatten()).any(|value| !value.is_finite()) {
        return Err(CovarianceError::NotFinite);
    }
    let (bread, warning) = sandwich::bread(normal, excess, &solution.moving);
    let solution = Solution { normal: &bread, ..solution };
    let mut inverse = solution.inverse();
    inverse.warnings.extend(warning);
    let spread = sandwich::spread(&inverse, scores, normal.n_free, &solution.moving);
    let factor = normal.counts.used as f64 / solution.dof as f64;
    let variance = solution.estimated_variance();
    Ok(solution.covariance(inverse, Kind::Sandwich, &spread, factor, variance))
}

impl Covariance {
    /// Nothing is known: all NaN. For a solution whose sums are not finite.
    pub fn unknown(parameters: &Parameters, dof: u64, kind: Kind) -> Self {
        let p = parameters.all().len();
        Self {
            kind,
            matrix: vec![f64::NAN; p * p],
            stderr: vec![None; p],
            correlation: vec![None; p * p],
            condition_number: f64::NAN,
            rank: 0,
            moving: Vec::new(),
            lengths: Vec::new(),
            eigenvalues: Vec::new(),
            weakest: Vec::new(),
            dof,
            variance: f64::NAN,
            warnings: Vec::new(),
        }
    }
}

/// A solution whose normal equations are finite.
struct Solution<'a> {
    parameters: &'a Parameters,
    normal: &'a NormalEquations,
    /// Positions, among the free parameters, of those that no bound holds.
    moving: Vec<usize>,
    dof: u64,
}

impl<'a> Solution<'a> {
    fn new(
        parameters: &'a Parameters,
        normal: &'a NormalEquations,
        at_bound: &[Option<Side>],
    ) -> Result<Self, CovarianceError> {
        assert_eq!(normal.n_free, parameters.free().len(), "normal equations over the free parameters");
        assert_eq!(normal.n_free, at_bound.len(), "one entry for each free parameter");
        let dof = degrees_of_freedom(normal.counts.used, normal.n_free)?;
        if !normal.is_finite() {
            return Err(CovarianceError::NotFinite);
        }
        let moving = (0..normal.n_free).filter(|&j| at_bound[j].is_none()).collect();
        Ok(Self { parameters, normal, moving, dof })
    }

    fn estimated_variance(&self) -> f64 {
        2.0 * self.normal.cost / self.dof as f64
    }

    /// Position among all parameters of a moving one.
    fn place(&self, a: usize) -> usize {
        self.parameters.free()[self.moving[a]]
    }

    fn name(&self, a: usize) -> &'a str {
        &self.parameters.all()[self.place(a)].name
    }

    fn inverse(&self) -> Inverse {
        let names: Vec<&str> = (0..self.moving.len()).map(|a| self.name(a)).collect();
        Inverse::of(self.normal, &self.moving, &names)
    }

    /// `factor N^-1 spread N^-1`, spread over the parameters.
    fn covariance(&self, inverse: Inverse, kind: Kind, spread: &Symmetric, factor: f64, variance: f64) -> Covariance {
        let n_params = self.parameters.all().len();
        let q = self.moving.len();
        let inverse_length: Vec<f64> = inverse.lengths.iter().map(|&l| 1.0 / unit(l)).collect();
        let mut matrix = vec![0.0; n_params * n_params];
        let mut correlation = vec![None; n_params * n_params];
        let mut stderr = vec![None; n_params];
        let mut beyond = Vec::new();
        for a in 0..q {
            let row = self.place(a) * n_params;
            for b in 0..q {
                let entry = spread.get(a, b) * inverse_length[a] * inverse_length[b];
                // a sum with +0 turns -0 into +0
                matrix[row + self.place(b)] = factor * entry + 0.0;
                if inverse.determined[a] && inverse.determined[b] {
                    correlation[row + self.place(b)] = correlation_of(spread, a, b);
                }
            }
            let square = matrix[row + self.place(a)];
            let root = factor.sqrt() * (spread.get(a, a).sqrt() * inverse_length[a]);
            let holds = square.is_normal() || root == 0.0;
            if inverse.determined[a] {
                stderr[self.place(a)] = Some(if holds { square.sqrt() } else { root });
                if !holds {
                    beyond.push(self.name(a));
                }
            }
        }
        let Inverse { condition_number, rank, mut warnings, lengths, eigenvalues, weakest, .. } = inverse;
        warnings.extend(out_of_range(&beyond));
        let moving = (0..q).map(|a| self.place(a)).collect();
        let dof = self.dof;
        Covariance {
            kind,
            matrix,
            stderr,
            correlation,
            condition_number,
            rank,
            moving,
            lengths,
            eigenvalues,
            weakest,
            dof,
            variance,
            warnings,
        }
    }
}

/// From the spread in columns of length 1, whose entries neither overflow nor underflow where those of the covariance may.
fn correlation_of(spread: &Symmetric, a: usize, b: usize) -> Option<f64> {
    if a == b {
        return (spread.get(a, a) > 0.0).then_some(1.0);
    }
    let length = spread.get(a, a).sqrt() * spread.get(b, b).sqrt();
    (length > 0.0).then(|| (spread.get(a, b) / length).clamp(-1.0, 1.0) + 0.0)
}

fn out_of_range(names: &[&str]) -> Option<String> {
    (!names.is_empty()).then(|| {
        format!(
            "the variance of {} lies outside the range of 64-bit floats, so the covariance holds infinity or a rounded 0 \
             there (the standard errors are right): scale the data by a power of ten",
            names.join(", ")
        )
    })
}
