//! Every warning, and a clean fit without one.

use super::*;
use crate::covariance::covariance;
use crate::linalg::{Triangle, dot};
use crate::normal::Counts;
use crate::params::Parameter;

/// A linear problem with known columns, at its solution.
struct Fit {
    parameters: Parameters,
    normal: NormalEquations,
}

impl Fit {
    fn new(columns: &[Vec<f64>], cost: f64) -> Self {
        let names = ["a", "b", "c", "d", "e"];
        let all = names.iter().take(columns.len()).map(|name| Parameter {
            name: (*name).into(),
            start: 1.0,
            min: f64::NEG_INFINITY,
            max: f64::INFINITY,
            fixed: false,
        });
        let p = columns.len();
        let pairs = (0..p).flat_map(|j| (j..p).map(move |k| (j, k)));
        let normal = NormalEquations {
            n_free: p,
            jtj: pairs.map(|(j, k)| dot(&columns[j], &columns[k])).collect(),
            jtr: vec![0.0; p],
            cost,
            rss: 2.0 * cost,
            lag: 0.0,
            triangle: None,
            counts: Counts { used: columns[0].len() as u64, ..Counts::default() },
        };
        Self { parameters: Parameters::new(all.collect()).unwrap(), normal }
    }

    /// Figures and warnings.
    fn judge(&self, variance: Variance) -> (Health, Vec<String>) {
        let at_bound = vec![None; self.normal.n_free];
        let covariance = covariance(&self.parameters, &self.normal, &at_bound, variance).unwrap();
        let evidence = Evidence {
            parameters: &self.parameters,
            normal: &self.normal,
            covariance: &covariance,
            variance,
            loss: LossKind::Linear,
            scatter: 1.0,
            converged: true,
            costs: &[9.0, 2.0, 1.0],
        };
        (evidence.health(), evidence.warnings())
    }

    fn health(&self) -> Health {
        self.judge(Variance::Estimated).0
    }

    fn warnings(&self, variance: Variance) -> Vec<String> {
        self.judge(variance).1
    }
}

/// 1, t, t^2, ... at n points from `first` to `first` + 1.
fn powers(n: usize, first: f64, p: usize) -> Vec<Vec<f64>> {
    let t = (0..n).map(|i| first + i as f64 / (n - 1) as f64);
    let t: Vec<f64> = t.collect();
    (0..p).map(|j| t.iter().map(|t| t.powi(j as i32)).collect()).collect()
}

#[test]
fn a_clean_fit_gives_no_warning() {
    // the line a + b t about the middle of its points
    let clean = Fit::new(&powers(1000, -0.5, 2), 499.0);
    assert_eq!(clean.warnings(Variance::Estimated), [""; 0]);
    assert_eq!(clean.warnings(Variance::Absolute), [""; 0]);
    let health = clean.health();
    assert_eq!((health.identifiability.rank, health.identifiability.directions), (2, 2));
    assert!((health.identifiability.condition.unwrap() - 1.0).abs() < 1e-6);
    assert!((health.gradient_balance.unwrap() - 12f64.sqrt()).abs() < 0.01, "{health:?}");
    assert!(health.sloppiness.unwrap() < 1e-6 && health.lag1 == Some(0.0), "{health:?}");
}

#[test]
fn correlated_pairs_are_named_the_worst_first() {
    // far from the origin intercept and slope are one
    let far = Fit::new(&powers(100, 10.0, 2), 1.0);
    let warnings = far.warnings(Variance::Estimated);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("strongly correlated: a and b (-0.9996); "), "{warnings:?}");
    assert!(warnings[0].contains("fix one, reparametrise the model, or add data"));

    let many = Fit::new(&powers(100, 3.0, 4), 1.0);
    let text = many.warnings(Variance::Estimated).pop().unwrap();
    let pairs: Vec<&str> = text.split(['(', ')']).skip(1).step_by(2).collect();
    let sizes: Vec<f64> = pairs.iter().map(|pair| pair.parse::<f64>().unwrap().abs()).collect();
    assert_eq!(sizes.len(), 3, "{text}");
    assert!(sizes.windows(2).all(|pair| pair[0] >= pair[1]) && text.contains("and 3 more pairs"), "{text}");
}

#[test]
fn a_sloppy_model_shows_its_weakest_direction() {
    let sloppy = Fit::new(&powers(100, 3.0, 4), 1.0);
    let health = sloppy.health();
    let decades = health.sloppiness.unwrap();
    assert!((8.0..12.0).contains(&decades), "{decades}");
    assert!((decades - 2.0 * health.identifiability.condition.unwrap().log10()).abs() < 1e-12);
    let weakest = &health.identifiability.weakest;
    assert!(weakest.len() > 1 && weakest[0].component > 0.0, "{weakest:?}");
    assert!(weakest.windows(2).all(|pair| pair[0].component.abs() >= pair[1].component.abs() - 1e-9));
    let warning = &sloppy.warnings(Variance::Estimated)[0];
    assert!(warning.contains("decades") && !warning.contains("digits"), "{warning}");
    assert!(warning.contains(&weakest[0].parameter), "{warning}");

    let worse = Fit::new(&powers(1000, 15.0, 4), 1.0);
    let warning = &worse.warnings(Variance::Estimated)[0];
    assert!(warning.contains("digits of the standard errors are right"), "{warning}");
}

#[test]
fn a_triangle_keeps_the_digits_of_the_errors() {
    let columns = powers(1024, 15.0, 4);
    let mut fit = Fit::new(&columns, 1.0);
    let mut block = columns.clone();
    let mut triangle = Triangle::zero(4);
    triangle.absorb(&mut block.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>());
    fit.normal.triangle = Some(triangle);
    let warning = &fit.warnings(Variance::Estimated)[0];
    assert!(warning.contains("decades") && !warning.contains("digits"), "{warning}");
}

#[test]
fn missing_rank_is_left_to_the_covariance() {
    let mut columns = powers(100, -0.5, 2);
    columns.push(columns[0].clone());
    let twice = Fit::new(&columns, 1.0);
    assert_eq!(twice.warnings(Variance::Estimated), [""; 0]);
    let health = twice.health();
    assert_eq!((health.identifiability.rank, health.identifiability.directions), (2, 3));
    assert_eq!((health.identifiability.condition, health.sloppiness), (None, None));
    let names: Vec<&str> = health.identifiability.weakest.iter().map(|part| part.parameter.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
}

#[test]
fn chi_square_speaks_only_where_sigma_is_known_and_it_matters() {
    let fit = |cost| Fit::new(&powers(1002, -0.5, 2), cost);
    let large = fit(2000.0).warnings(Variance::Absolute);
    assert!(large[0].starts_with("residuals are larger than sigma says, 2.000 of it"), "{large:?}");
    let small = fit(125.0).warnings(Variance::Absolute);
    assert!(small[0].starts_with("residuals are smaller than sigma says, 0.500 of it"), "{small:?}");
    assert_eq!(fit(2000.0).warnings(Variance::Estimated), [""; 0]);
    // 5 standard deviations, and 2 % of sigma
    let huge = Fit { normal: NormalEquations { cost: 0.5 * 1.04 * 1e6, ..fit(1.0).normal }, ..fit(1.0) };
    let huge = Fit {
        normal: NormalEquations { counts: Counts { used: 1_000_002, ..Counts::default() }, ..huge.normal },
        ..huge
    };
    assert_eq!(huge.warnings(Variance::Absolute), [""; 0]);
}

#[test]
fn neighbours_that_know_of_each_other_are_found() {
    let mut fit = Fit::new(&powers(1000, -0.5, 2), 499.0);
    fit.normal.lag = 0.5 * fit.normal.rss * 0.968;
    let warnings = fit.warnings(Variance::Estimated);
    assert!(warnings[0].contains("0.5") && warnings[0].contains("too small by a factor of about 1.7"), "{warnings:?}");
    assert!((fit.health().lag1.unwrap() - 0.5).abs() < 1e-3);
}

#[test]
fn stagnation_counts_the_passes_that_brought_nothing() {
    assert_eq!(stagnation(&[]), 0);
    assert_eq!(stagnation(&[f64::NAN]), 0);
    assert_eq!(stagnation(&[5.0]), 0);
    assert_eq!(stagnation(&[5.0, 3.0, 1.0]), 0);
    assert_eq!(stagnation(&[5.0, 1.0, 1.0, f64::NAN, 2.0]), 3);
    assert_eq!(stagnation(&[f64::NAN, 1001.0, 1.5, 1.2, 1.0]), 2);
}
