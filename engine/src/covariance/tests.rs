//! Textbook values, and what becomes of parameters that are not determined.

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
        triangle: None,
        counts: Counts { used: columns[0].len() as u64, ..Counts::default() },
    }
}

const ONES: &[f64] = &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
const RAMP: &[f64; 6] = &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
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

/// What is said beside directions that J'J takes for lost.
const DOUBT: &str = "J'J holds no digits of directions beyond a condition number of about 1e7: --solver tsqr tells whether they are determined after all";

#[test]
fn what_is_not_determined_is_named_and_the_rest_keeps_its_errors() {
    let pair = normal(&[ONES, RAMP, ONES], 4.0);
    let c = covariance(&parameters(&[false; 3]), &pair, &[None; 3], Variance::Estimated).unwrap();
    assert_eq!(c.warnings, ["a and c are not determined separately: only 0.71 a + 0.71 c is", DOUBT]);
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
            DOUBT,
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
            "a, b, c are not determined separately: the model does not change along the direction -0.58 a - 0.58 b + 0.58 c",
            DOUBT
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

#[test]
fn correlations_are_covariances_in_units_of_the_errors() {
    let c = covariance(&parameters(&[false; 2]), &normal(&[ONES, RAMP], 4.0), &[None; 2], Variance::Estimated).unwrap();
    let expected = -15.0 / (55.0_f64 * 6.0).sqrt();
    assert!((c.correlation[1].unwrap() - expected).abs() < 1e-14 && c.correlation[1] == c.correlation[2]);
    assert_eq!((c.correlation[0], c.correlation[3]), (Some(1.0), Some(1.0)));

    let three = normal(&[ONES, RAMP, SQUARE], 4.0);
    let c = covariance(&parameters(&[false; 3]), &three, &[None; 3], Variance::Absolute).unwrap();
    for (k, found) in c.correlation.iter().enumerate() {
        let (a, b) = (k / 3, k % 3);
        let from_matrix = c.matrix[k] / (c.matrix[4 * a] * c.matrix[4 * b]).sqrt();
        assert!((found.unwrap() - from_matrix).abs() < 1e-12, "{a} {b}");
    }
    // what is fixed, held or not determined is correlated with nothing
    let pair = normal(&[ONES, RAMP, ONES, SQUARE], 4.0);
    let free = parameters(&[false, false, true, false, false]);
    let c = covariance(&free, &pair, &[None, None, None, Some(Side::Max)], Variance::Estimated).unwrap();
    let known: Vec<usize> = (0..25).filter(|&k| c.correlation[k].is_some()).collect();
    assert_eq!(known, [6]);
}

/// Scores of a line at its residuals, and their sum of squares, packed.
fn scores(columns: &[&[f64]], residuals: &[f64]) -> Vec<f64> {
    let p = columns.len();
    let pairs = (0..p).flat_map(|j| (j..p).map(move |k| (j, k)));
    pairs
        .map(|(j, k)| (0..residuals.len()).map(|i| columns[j][i] * columns[k][i] * residuals[i] * residuals[i]).sum())
        .collect()
}

#[test]
fn the_sandwich_is_whites_estimate_point_by_point() {
    let residuals = [0.5, -0.25, 1.0, -1.5, 2.0, -3.0];
    let line = normal(&[ONES, RAMP], 0.5 * crate::linalg::dot(&residuals, &residuals));
    let free = parameters(&[false, true, false]);
    let c = sandwich(&free, &line, &[None; 2], &scores(&[ONES, RAMP], &residuals), None).unwrap();
    // theta moves by w_i e_i for an error e_i of point i, with the rows of (J'J)^-1 J' as w
    let weights = |i: usize| [(55.0 - 15.0 * RAMP[i]) / 105.0, (-15.0 + 6.0 * RAMP[i]) / 105.0];
    for (a, b, at) in [(0, 0, 0), (0, 1, 2), (1, 0, 6), (1, 1, 8)] {
        let sum: f64 = (0..6).map(|i| weights(i)[a] * weights(i)[b] * residuals[i] * residuals[i]).sum();
        assert!((c.matrix[at] - sum * 6.0 / 4.0).abs() < 1e-13, "{a} {b}: {} {sum}", c.matrix[at]);
    }
    assert_eq!(c.stderr, [Some(c.matrix[0].sqrt()), None, Some(c.matrix[8].sqrt())]);
    assert_eq!((c.kind, c.dof, c.matrix[4]), (Kind::Sandwich, 4, 0.0));
    assert!((c.variance - line.cost / 2.0).abs() < 1e-15);
}

#[test]
fn equal_scatter_makes_the_sandwich_classic() {
    // residuals of one size everywhere: B = r^2 J'J
    let line = normal(&[ONES, RAMP, SQUARE], 0.5 * 6.0 * 0.25);
    let free = parameters(&[false; 3]);
    let robust = sandwich(&free, &line, &[None; 3], &scores(&[ONES, RAMP, SQUARE], &[0.5; 6]), None).unwrap();
    let classic = covariance(&free, &line, &[None; 3], Variance::Estimated).unwrap();
    for (robust, classic) in robust.matrix.iter().zip(&classic.matrix) {
        assert!((robust - classic).abs() < 1e-11 * classic.abs(), "{robust} {classic}");
    }
}

#[test]
fn the_sandwich_knows_no_more_of_a_parameter_than_the_data() {
    let columns = [ONES, RAMP, ONES];
    let residuals = [0.5, -0.25, 1.0, -1.5, 2.0, -3.0];
    let free = parameters(&[false; 3]);
    let found = |at_bound: &[Option<Side>]| {
        sandwich(&free, &normal(&columns, 1.0), at_bound, &scores(&columns, &residuals), None).unwrap()
    };
    let c = found(&[None; 3]);
    assert_eq!((c.rank, c.stderr[0], c.stderr[2]), (2, None, None));
    assert!(c.stderr[1].is_some() && c.warnings[0].contains("a and c are not determined separately"));
    let held = found(&[None, None, Some(Side::Min)]);
    assert_eq!((held.rank, held.stderr[2], held.matrix[8]), (2, None, 0.0));
    let alone = sandwich(
        &parameters(&[false; 2]),
        &normal(&columns[..2], 1.0),
        &[None; 2],
        &scores(&columns[..2], &residuals),
        None,
    );
    // one degree of freedom more without the parameter at its bound
    let ratio = held.matrix[4] / alone.unwrap().matrix[3];
    assert!((ratio - 4.0 / 3.0).abs() < 1e-13, "{ratio}");
    let refused = sandwich(&free, &normal(&columns, 1.0), &[None; 3], &[f64::INFINITY; 6], None);
    assert_eq!(refused, Err(CovarianceError::NotFinite));
}

#[test]
fn variances_outside_the_range_of_floats_are_said_and_the_errors_are_right() {
    for (size, cost) in [(1e-10, 2e300), (1e150, 2e-300)] {
        let column = RAMP.map(|v| v * size);
        let free = parameters(&[false]);
        let c = covariance(&free, &normal(&[&column], cost), &[None], Variance::Estimated).unwrap();
        let expected = (2.0 * cost / 5.0).sqrt() / (55.0_f64.sqrt() * size);
        assert!((c.stderr[0].unwrap() / expected - 1.0).abs() < 1e-14, "{size}: {:?} {expected}", c.stderr);
        assert_eq!(c.warnings.len(), 1, "{size}: {:?}", c.matrix);
        assert!(c.warnings[0].starts_with("the variance of a lies outside the range"), "{}", c.warnings[0]);
        assert_eq!(c.correlation, [Some(1.0)]);
    }
    // no scatter at all is no such case
    let exact = covariance(&parameters(&[false]), &normal(&[RAMP], 0.0), &[None], Variance::Estimated).unwrap();
    assert_eq!((exact.stderr[0], exact.warnings.len()), (Some(0.0), 0));
}

#[test]
fn what_a_loss_bends_down_is_taken_off_the_bread() {
    let residuals = [0.5, -0.25, 1.0, -1.5, 2.0, -3.0];
    let (free, line) = (parameters(&[false; 2]), normal(&[ONES, RAMP], 1.0));
    let b = scores(&[ONES, RAMP], &residuals);
    let found = |excess: &[f64]| sandwich(&free, &line, &[None; 2], &b, Some(excess)).unwrap();
    let plain = sandwich(&free, &line, &[None; 2], &b, None).unwrap();
    assert_eq!(found(&[0.0; 3]), plain);
    // a quarter less curvature in every direction: errors of 4/3
    let quarter: Vec<f64> = line.jtj.iter().map(|value| value / 4.0).collect();
    for (more, plain) in found(&quarter).matrix.iter().zip(&plain.matrix) {
        assert!((more / plain - 16.0 / 9.0).abs() < 1e-12, "{more} {plain}");
    }
    // nothing positive would be left
    let kept = found(&line.jtj);
    assert_eq!(kept.matrix, plain.matrix);
    assert!(kept.warnings[0].contains("--loss-scale"), "{:?}", kept.warnings);
}
