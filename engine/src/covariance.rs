//! Covariance of the parameters at the solution.
//!
//! ```text
//! covariance = s^2 (J'J)^-1   over the free parameters that no bound holds,   s^2 = 2 cost / dof   or 1
//! ```
//!
//! All work is done in columns of length 1, so units do not matter: with N = diag |J_j|, `C = N^-1 J'J N^-1` has a unit
//! diagonal and (J'J)^-1 = N^-1 C^-1 N^-1. Rank and condition come from the eigenvalues of C; where C has full rank its
//! inverse comes from Cholesky, which keeps the small variances beside the large ones; where not, from the eigenvectors.

use faer::Mat;

use crate::linalg::{Cholesky, Symmetric};
use crate::normal::NormalEquations;
use crate::params::Parameters;
use crate::summary::Side;

/// An eigenvalue of C counts as zero up to this many roundings per parameter: the entries of C carry a few roundings
/// each, so smaller ones hold nothing else. In terms of J: condition numbers beyond about 1e7 count as infinite.
const RANK_ROUNDING: f64 = 32.0 * f64::EPSILON;

/// A parameter takes part in a null direction (unit length, scaled coordinates) from this component on. Eigenvectors are
/// good to about 1e-16 divided by the gap to the next eigenvalue, which leaves room for gaps down to 1e-11.
const NULL_PART: f64 = 1e-5;

/// What s^2 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variance {
    /// 2 cost / dof: the sigmas are known up to a common factor.
    Estimated,
    /// 1: the sigmas are what they say.
    Absolute,
}

/// How well the parameters are known. Vectors and matrix run over all parameters, in the model's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    /// Row-major; zero rows and columns for fixed parameters and those that a bound holds. `[n_params x n_params]`
    pub matrix: Vec<f64>,
    /// Standard errors; `None` for fixed parameters, those that a bound holds, and those that are not determined.
    pub stderr: Vec<Option<f64>>,
    /// Of J with columns scaled to length 1, over the parameters that no bound holds; infinite if rank is missing.
    pub condition_number: f64,
    /// Directions that the data determine, at most the number of free parameters that no bound holds.
    pub rank: usize,
    /// n_used minus the number of free parameters, those at bounds counted.
    pub dof: u64,
    /// s^2.
    pub variance: f64,
    /// What is not determined, in words.
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

/// The covariance at the solution. `at_bound` is that of [`crate::summary::Summary`], over the free parameters.
pub fn covariance(
    parameters: &Parameters,
    normal: &NormalEquations,
    at_bound: &[Option<Side>],
    variance: Variance,
) -> Result<Covariance, CovarianceError> {
    assert_eq!(normal.n_free, parameters.free().len(), "normal equations over the free parameters");
    assert_eq!(normal.n_free, at_bound.len(), "one entry for each free parameter");
    let dof = degrees_of_freedom(normal.counts.used, normal.n_free)?;
    if !normal.is_finite() {
        return Err(CovarianceError::NotFinite);
    }
    let variance = match variance {
        Variance::Estimated => 2.0 * normal.cost / dof as f64,
        Variance::Absolute => 1.0,
    };
    let moving: Vec<usize> = (0..normal.n_free).filter(|&j| at_bound[j].is_none()).collect();
    let names: Vec<&str> = moving.iter().map(|&j| parameters.all()[parameters.free()[j]].name.as_str()).collect();
    let inverse = Inverse::of(normal, &moving, &names);

    let n_params = parameters.all().len();
    let mut matrix = vec![0.0; n_params * n_params];
    let mut stderr = vec![None; n_params];
    for (a, &j) in moving.iter().enumerate() {
        let row = parameters.free()[j];
        for (b, &k) in moving.iter().enumerate() {
            // a sum with +0 turns -0 into +0
            matrix[row * n_params + parameters.free()[k]] = variance * inverse.matrix.get(a, b) + 0.0;
        }
        if inverse.determined[a] {
            stderr[row] = Some((variance * inverse.matrix.get(a, a)).sqrt());
        }
    }
    let Inverse { condition_number, rank, warnings, .. } = inverse;
    Ok(Covariance { matrix, stderr, condition_number, rank, dof, variance, warnings })
}

/// (J'J)^-1, or its pseudo-inverse in scaled columns, over some of the parameters.
struct Inverse {
    matrix: Symmetric,
    determined: Vec<bool>,
    condition_number: f64,
    rank: usize,
    warnings: Vec<String>,
}

impl Inverse {
    fn of(normal: &NormalEquations, moving: &[usize], names: &[&str]) -> Self {
        let q = moving.len();
        let lengths: Vec<f64> = moving.iter().map(|&j| normal.entry(j, j).sqrt()).collect();
        // a column of zero length is left as it is: it shows up as a null direction of its own
        let inverse_length: Vec<f64> = lengths.iter().map(|&l| if l > 0.0 { 1.0 / l } else { 1.0 }).collect();
        let unit = |l: f64| if l > 0.0 { l } else { 1.0 };
        let scaled =
            Symmetric::from_fn(q, |a, b| normal.entry(moving[a], moving[b]) / unit(lengths[a]) / unit(lengths[b]));
        let (values, vectors) = eigen(&scaled);
        let largest = values.last().copied().unwrap_or(1.0);
        let tolerance = RANK_ROUNDING * q as f64 * largest;
        let nullity = values.iter().filter(|&&v| v <= tolerance).count();

        let all: Vec<usize> = (0..q).collect();
        let factor = if nullity == 0 { Cholesky::factor(&scaled, &all, 0.0) } else { None };
        let inverse = match &factor {
            Some(factor) => inverse(factor, q),
            None => Symmetric::from_fn(q, |a, b| (nullity..q).map(|i| vectors[i][a] * vectors[i][b] / values[i]).sum()),
        };
        let null = reduce(vectors[..nullity].to_vec());
        Self {
            matrix: Symmetric::from_fn(q, |a, b| inverse.get(a, b) * inverse_length[a] * inverse_length[b]),
            determined: (0..q).map(|a| null.iter().all(|v| v[a].abs() <= NULL_PART)).collect(),
            condition_number: if nullity > 0 {
                f64::INFINITY
            } else {
                (largest / values.first().unwrap_or(&1.0)).sqrt()
            },
            rank: q - nullity,
            warnings: null.iter().map(|v| describe(v, &lengths, names)).collect(),
        }
    }
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

fn inverse(factor: &Cholesky, q: usize) -> Symmetric {
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

/// Another basis of the same null space with as many zeros as elimination finds: one direction per group of parameters
/// that cannot be told apart. Each direction has unit length, its largest component positive.
fn reduce(mut basis: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for i in 0..basis.len() {
        // the largest component not yet eliminated
        let (mut row, mut column) = (i, 0);
        for r in i..basis.len() {
            for c in 0..basis[r].len() {
                if basis[r][c].abs() > basis[row][column].abs() {
                    (row, column) = (r, c);
                }
            }
        }
        basis.swap(i, row);
        let pivot = basis[i].clone();
        for (r, vector) in basis.iter_mut().enumerate() {
            if r != i {
                let factor = vector[column] / pivot[column];
                vector.iter_mut().zip(&pivot).for_each(|(v, p)| *v -= factor * p);
                vector[column] = 0.0;
            }
        }
    }
    for vector in &mut basis {
        let largest = vector.iter().fold(0.0_f64, |m, v| if v.abs() > m.abs() { *v } else { m });
        let length = crate::linalg::norm(vector) * largest.signum();
        vector.iter_mut().for_each(|v| *v /= length);
    }
    basis
}

/// A null direction in words. It is given in scaled coordinates; what is said is about the parameters themselves.
fn describe(null: &[f64], lengths: &[f64], names: &[&str]) -> String {
    let part: Vec<usize> = (0..null.len()).filter(|&a| null[a].abs() > NULL_PART).collect();
    match part[..] {
        [] => "the data do not determine all parameters".into(),
        [a] => format!("{} is not determined: it has no influence on the model at the solution", names[a]),
        [a, b] => {
            // what is orthogonal to (null_a, null_b) in scaled coordinates u = |J_j| theta_j
            let (first, second) = (null[b] * lengths[a], -null[a] * lengths[b]);
            let sign = first.signum();
            let sum = combination(&[(sign * first, names[a]), (sign * second, names[b])]);
            format!("{} and {} are not determined separately: only {sum} is", names[a], names[b])
        }
        _ => {
            let terms: Vec<(f64, &str)> = part.iter().map(|&a| (null[a] / lengths[a], names[a])).collect();
            let list: Vec<&str> = part.iter().map(|&a| names[a]).collect();
            format!(
                "{} are not determined separately: the model does not change along the direction {}",
                list.join(", "),
                combination(&terms)
            )
        }
    }
}

/// `0.71 a - 0.71 b`, coefficients scaled to unit length.
fn combination(terms: &[(f64, &str)]) -> String {
    let length = crate::linalg::norm(&terms.iter().map(|(c, _)| *c).collect::<Vec<_>>());
    let mut text = String::new();
    for (i, (coefficient, name)) in terms.iter().enumerate() {
        let c = coefficient / length;
        let sign = match (i, c < 0.0) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        let size = if c.abs() < 0.01 { format!("{:.1e}", c.abs()) } else { format!("{:.2}", c.abs()) };
        text.push_str(&format!("{sign}{size} {name}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal::Counts;
    use crate::params::Parameter;

    fn parameters(fixed: &[bool]) -> Parameters {
        let names = ["a", "b", "c", "d", "e"];
        let all = fixed.iter().zip(names).map(|(&fixed, name)| Parameter {
            name: name.into(),
            start: 1.0,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            fixed,
        });
        Parameters::new(all.collect()).unwrap()
    }

    /// Normal equations of given columns and cost.
    fn normal(columns: &[&[f64]], cost: f64) -> NormalEquations {
        let p = columns.len();
        let pairs = (0..p).flat_map(|j| (j..p).map(move |k| (j, k)));
        NormalEquations {
            n_free: p,
            jtj: pairs.map(|(j, k)| crate::linalg::dot(columns[j], columns[k])).collect(),
            jtr: vec![0.0; p],
            cost,
            rss: 2.0 * cost,
            lag: 0.0,
            counts: Counts { used: columns[0].len() as u64, ..Counts::default() },
        }
    }

    const ONES: &[f64] = &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    const RAMP: &[f64] = &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    const SQUARE: &[f64] = &[0.0, 1.0, 4.0, 9.0, 16.0, 25.0];

    #[test]
    fn a_straight_line_has_the_textbook_variances() {
        // (J'J)^-1 = [[55, -15], [-15, 6]] / 105
        let line = normal(&[ONES, RAMP], 4.0);
        let free = parameters(&[false, true, false]);
        let c = covariance(&free, &line, &[None, None], Variance::Estimated).unwrap();
        let expected = [55.0, 0.0, -15.0, 0.0, 0.0, 0.0, -15.0, 0.0, 6.0].map(|v| 2.0 * v / 105.0);
        assert!(c.matrix.iter().zip(expected).all(|(v, e)| (v - e).abs() < 1e-14), "{:?}", c.matrix);
        assert_eq!((c.rank, c.dof, c.variance, c.stderr[1]), (2, 4, 2.0, None));
        assert!((c.stderr[2].unwrap() - (12.0_f64 / 105.0).sqrt()).abs() < 1e-14);
        // eigenvalues of C are 1 +- cosine of the two columns
        let cosine = 15.0 / (6.0_f64 * 55.0).sqrt();
        assert!((c.condition_number - ((1.0 + cosine) / (1.0 - cosine)).sqrt()).abs() < 1e-12);
        let absolute = covariance(&free, &line, &[None, None], Variance::Absolute).unwrap();
        assert!((absolute.stderr[2].unwrap() - (6.0_f64 / 105.0).sqrt()).abs() < 1e-14);
    }

    #[test]
    fn a_parameter_held_by_a_bound_counts_as_known_but_costs_a_degree_of_freedom() {
        let line = normal(&[ONES, RAMP], 4.0);
        let c = covariance(&parameters(&[false, false]), &line, &[None, Some(Side::Min)], Variance::Estimated).unwrap();
        assert_eq!((c.dof, c.rank, c.condition_number), (4, 1, 1.0));
        assert_eq!(c.stderr[1], None);
        assert!((c.matrix[0] - 2.0 / 6.0).abs() < 1e-15 && c.matrix[1..].iter().all(|&v| v == 0.0));
    }

    #[test]
    fn what_is_not_determined_is_named_and_the_rest_keeps_its_errors() {
        let pair = normal(&[ONES, RAMP, ONES], 4.0);
        let c = covariance(&parameters(&[false; 3]), &pair, &[None; 3], Variance::Estimated).unwrap();
        assert_eq!(c.warnings, ["a and c are not determined separately: only 0.71 a + 0.71 c is"]);
        assert_eq!((c.rank, c.condition_number, c.stderr[0], c.stderr[2]), (2, f64::INFINITY, None, None));
        let dof3 = 2.0 * 4.0 / 3.0;
        assert!((c.stderr[1].unwrap() - (dof3 * 6.0 / 105.0_f64).sqrt()).abs() < 1e-13);

        let twice: Vec<f64> = RAMP.iter().map(|v| 2.0 * v).collect();
        let mixed = normal(&[ONES, RAMP, ONES, &twice, &[0.0; 6]], 0.5);
        let c = covariance(&parameters(&[false; 5]), &mixed, &[None; 5], Variance::Estimated).unwrap();
        let mut warnings = c.warnings.clone();
        warnings.sort();
        assert_eq!(
            warnings,
            [
                "a and c are not determined separately: only 0.71 a + 0.71 c is",
                "b and d are not determined separately: only 0.45 b + 0.89 d is",
                "e is not determined: it has no influence on the model at the solution",
            ]
        );
        assert_eq!((c.rank, c.stderr), (2, vec![None; 5]));
    }

    #[test]
    fn three_parameters_along_one_direction() {
        let sum: Vec<f64> = ONES.iter().zip(RAMP).map(|(a, b)| a + b).collect();
        let three = normal(&[ONES, RAMP, &sum, SQUARE], 0.5);
        let c = covariance(&parameters(&[false; 4]), &three, &[None; 4], Variance::Estimated).unwrap();
        assert_eq!(
            c.warnings,
            [
                "a, b, c are not determined separately: the model does not change along the direction -0.58 a - 0.58 b + 0.58 c"
            ]
        );
        assert!(c.stderr[3].is_some() && c.stderr[..3].iter().all(Option::is_none));
    }

    #[test]
    fn too_few_points_and_sums_that_are_not_finite_are_refused() {
        assert_eq!(degrees_of_freedom(5, 3), Ok(2));
        let error = degrees_of_freedom(3, 3).unwrap_err();
        assert_eq!(error, CovarianceError::TooFewPoints { n_used: 3, n_free: 3 });
        assert!(degrees_of_freedom(0, 1).is_err());
        let mut line = normal(&[ONES, RAMP], 4.0);
        line.jtj[1] = f64::NAN;
        let refused = covariance(&parameters(&[false; 2]), &line, &[None; 2], Variance::Absolute);
        assert_eq!(refused, Err(CovarianceError::NotFinite));
    }
}
