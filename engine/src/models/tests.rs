//! Formulas read as models, estimates lead a plain Levenberg-Marquardt to the planted truth, and no sample upsets them.

use proptest::prelude::*;

use super::*;
use crate::expr::{Model, Names};

fn model(builtin: &Builtin, variable: &str) -> Model {
    let expression = builtin.expression(variable).unwrap();
    Model::parse(&expression, &Names { variables: &[variable.to_owned()], parameters: &[] }).unwrap()
}

fn every_model() -> Vec<Builtin> {
    let mut every = all();
    every.extend((0..=MAX_DEGREE).map(|degree| find(&format!("polynomial({degree})")).unwrap()));
    every
}

#[test]
fn formulas_have_the_parameters_they_announce() {
    for builtin in every_model() {
        let names: Vec<String> = builtin.parameters().into_iter().map(|parameter| parameter.name).collect();
        for variable in ["t", "q", "step", "µ"] {
            let model = model(&builtin, variable);
            assert_eq!(model.parameters(), names, "{}", builtin.name());
            assert!(model.warnings().is_empty(), "{:?}", model.warnings());
        }
        assert!(builtin.parameters().iter().all(|p| p.min < p.max && !p.meaning.is_empty()));
        assert!(!builtin.source().is_empty() && !builtin.description().is_empty());
        assert_eq!(find(&builtin.name()), Ok(builtin));
    }
    assert_eq!(find("polynomial( 2 )").unwrap().expression("q").unwrap(), "c0 + q*(c1 + q*c2)");
    assert_eq!(find("polynomial(0)").unwrap().expression("q").unwrap(), "c0");
}

#[test]
fn names_that_do_not_fit_are_refused_with_a_way_out() {
    let message = |name: &str| find(name).unwrap_err().to_string();
    assert!(message("gausian").contains("did you mean \"gaussian\"?"), "{}", message("gausian"));
    assert!(message("voigt").contains("did you mean \"pseudo_voigt\"?"));
    assert!(message("zzz").contains("there are: linear, polynomial(n), exponential_decay"), "{}", message("zzz"));
    for name in ["polynomial", "polynomial(21)", "polynomial(-1)", "polynomial(2.5)", "polynomial(3"] {
        assert!(message(name).contains("degree from 0 to 20"), "{}", message(name));
    }
    let collision = find("linear").unwrap().expression("a").unwrap_err();
    assert!(collision.to_string().contains("parameter \"a\""), "{collision}");
    assert!(matches!(find("linear").unwrap().expression("Time (s)"), Err(VariableName::Unlawful { .. })));
}

/// A fixed sequence of numbers in [0, 1) (a linear congruence; the high bits are good enough for noise).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, standard deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn cost(model: &Model, x: &[f64], y: &[f64], theta: &[f64]) -> f64 {
    x.iter().zip(y).map(|(&x, y)| (model.evaluate(&[x], theta).0 - y).powi(2)).sum()
}

/// Levenberg-Marquardt with Marquardt's scaling and bounds by projection, as plain as can be.
fn fit(model: &Model, x: &[f64], y: &[f64], start: &[f64], bounds: &[BuiltinParameter]) -> f64 {
    let p = start.len();
    let mut theta = start.to_vec();
    let mut best = cost(model, x, y, &theta);
    let mut damping = 1e-3;
    for _ in 0..200 {
        let mut matrix = vec![vec![0.0; p + 1]; p];
        for (&x, y) in x.iter().zip(y) {
            let (value, slopes) = model.evaluate(&[x], &theta);
            for j in 0..p {
                for k in 0..p {
                    matrix[j][k] += slopes[j] * slopes[k];
                }
                matrix[j][p] -= slopes[j] * (value - y);
            }
        }
        for (j, row) in matrix.iter_mut().enumerate() {
            row[j] += damping * row[j] + 1e-300;
        }
        let step = solve(matrix);
        let trial: Vec<f64> = (0..p).map(|j| (theta[j] + step[j]).clamp(bounds[j].min, bounds[j].max)).collect();
        let trial_cost = cost(model, x, y, &trial);
        if trial_cost < best {
            (theta, best) = (trial, trial_cost);
            damping *= 0.2;
        } else {
            damping *= 5.0;
        }
    }
    best
}

/// Gauss elimination with row pivots on an augmented matrix.
fn solve(mut m: Vec<Vec<f64>>) -> Vec<f64> {
    let p = m.len();
    for k in 0..p {
        let pivot = (k..p).max_by(|&i, &j| m[i][k].abs().total_cmp(&m[j][k].abs())).unwrap();
        m.swap(k, pivot);
        for i in k + 1..p {
            let factor = m[i][k] / m[k][k];
            for j in k..=p {
                m[i][j] -= factor * m[k][j];
            }
        }
    }
    let mut solution = vec![0.0; p];
    for k in (0..p).rev() {
        let known: f64 = (k + 1..p).map(|j| m[k][j] * solution[j]).sum();
        solution[k] = (m[k][p] - known) / m[k][k];
    }
    solution
}

/// Name, range of x, noise relative to the range of y, truth.
type Planted = (&'static str, (f64, f64), f64, &'static [f64]);

const PLANTED: &[Planted] = &[
    ("linear", (-3.0, 8.0), 0.1, &[2.0, -1.0]),
    ("linear", (1e6, 1e6 + 1.0), 0.1, &[-20.0, 2e7]),
    ("polynomial(0)", (0.0, 1.0), 0.1, &[4.0]),
    ("polynomial(4)", (-2.0, 3.0), 0.05, &[1.0, -2.0, 0.5, 1.0, -0.3]),
    ("polynomial(9)", (0.0, 10.0), 0.01, &[1.0, -2.0, 0.5, 1.0, -0.3, 0.1, -0.1, 0.05, -0.004, 1e-4]),
    ("exponential_decay", (0.0, 5.0), 0.03, &[2.5, 1.3, 0.5]),
    ("exponential_decay", (0.0, 100.0), 0.03, &[-7.0, 0.02, 30.0]),
    ("exponential_decay", (0.0, 1e-6), 0.05, &[1e4, 2e7, -50.0]),
    ("exponential_decay", (100.0, 140.0), 0.02, &[1e5, 0.1, 3.0]),
    ("double_exponential", (0.0, 10.0), 0.005, &[3.0, 4.0, 2.0, 0.4, 0.5]),
    ("double_exponential", (0.0, 500.0), 0.01, &[-8.0, 0.5, 9.0, 0.01, 0.0]),
    ("growth", (0.0, 6.0), 0.02, &[0.3, 0.9, -4.0]),
    ("growth", (-2.0, 2.0), 0.05, &[-1.0, 2.0, 10.0]),
    ("gaussian", (-10.0, 10.0), 0.1, &[5.0, 3.0, 1.2, 0.4]),
    ("gaussian", (0.0, 1000.0), 0.03, &[-2.0, 613.0, 6.0, 100.0]),
    ("gaussian", (0.0, 1.0), 0.05, &[40.0, 0.9, 0.4, -3.0]),
    ("lorentzian", (-5.0, 5.0), 0.08, &[3.0, -1.0, 0.3, 0.2]),
    ("lorentzian", (7e3, 8e3), 0.05, &[-100.0, 7700.0, 40.0, 500.0]),
    ("pseudo_voigt", (-5.0, 5.0), 0.02, &[3.0, 0.4, 1.0, 0.8, 0.2]),
    ("pseudo_voigt", (30.0, 31.0), 0.02, &[1000.0, 0.8, 30.6, 0.03, 10.0]),
    ("sigmoid", (-8.0, 8.0), 0.05, &[4.0, 1.5, 2.0, -1.0]),
    ("sigmoid", (0.0, 100.0), 0.05, &[-4.0, 2.0, 70.0, 5.0]),
    ("power_law", (0.5, 20.0), 0.03, &[2.0, 1.7]),
    ("power_law", (0.01, 100.0), 0.0001, &[-3.0, -1.4]),
    ("power_law", (1e3, 1e6), 0.03, &[5e-4, 0.5]),
    ("stretched_exponential", (0.0, 50.0), 0.02, &[2.0, 6.0, 0.6, 0.3]),
    ("stretched_exponential", (0.0, 1.0), 0.03, &[-5.0, 0.4, 1.8, 1.0]),
    ("damped_sine", (0.0, 10.0), 0.08, &[3.0, 0.2, 5.0, 0.7, 1.0]),
    ("damped_sine", (2.0, 300.0), 0.1, &[1.0, 0.01, 1.3, -2.0, 0.0]),
    ("damped_sine", (0.0, 1e-3), 0.05, &[20.0, 3e3, 1e5, 2.0, -7.0]),
];

#[test]
fn estimates_lie_in_the_basin_of_the_truth() {
    for &(name, (low, high), level, truth) in PLANTED {
        let builtin = find(name).unwrap();
        let model = model(&builtin, "t");
        let mut noise = Noise(7);
        let x: Vec<f64> = (0..300).map(|_| low + (high - low) * noise.uniform()).collect();
        let exact: Vec<f64> = x.iter().map(|&x| model.evaluate(&[x], truth).0).collect();
        let range = exact.iter().fold(0.0f64, |range, y| range.max((y - exact[0]).abs()));
        let sigma = level * if range > 0.0 { range } else { 1.0 };
        let y: Vec<f64> = exact.iter().map(|y| y + sigma * noise.normal()).collect();
        let start = builtin.estimate(&x, &y);
        let fitted = fit(&model, &x, &y, &start, &builtin.parameters());
        let at_truth = cost(&model, &x, &y, truth);
        assert!(fitted <= at_truth, "{name} from {start:?}: {fitted} > {at_truth} at {truth:?}");
        let mean = y.iter().sum::<f64>() / y.len() as f64;
        let flat: f64 = y.iter().map(|y| (y - mean).powi(2)).sum();
        let started = cost(&model, &x, &y, &start);
        assert!(truth.len() == 1 || started < 0.5 * flat, "{name} from {start:?}: {started}, flat {flat}");
    }
}

fn assert_admissible(builtin: &Builtin, x: &[f64], y: &[f64]) {
    let start = builtin.estimate(x, y);
    for (value, parameter) in start.iter().zip(builtin.parameters()) {
        let (name, parameter_name) = (builtin.name(), &parameter.name);
        assert!(value.is_finite(), "{name}: {parameter_name} = {value} from {x:?}, {y:?}");
        assert!((parameter.min..=parameter.max).contains(value), "{name}: {parameter_name} = {value} is out of bounds");
    }
    assert_eq!(start.len(), builtin.parameters().len());
}

#[test]
fn poor_samples_have_estimates_too() {
    let big = f64::MAX;
    let samples: &[(&[f64], &[f64])] = &[
        (&[], &[]),
        (&[1.0], &[2.0]),
        (&[0.0; 5], &[1.0, 2.0, 3.0, 4.0, 5.0]),
        (&[1.0, 2.0, 3.0], &[0.0; 3]),
        (&[1.0, 2.0, 3.0], &[7.0; 3]),
        (&[-3.0, -2.0, -1.0], &[1.0, 4.0, 2.0]),
        (&[1e300, -1e300, 3.0], &[1.0, 2.0, 3.0]),
        (&[-big, big, 0.0], &[big, -big, 1.0]),
        (&[1.0, 1.0 + f64::EPSILON], &[1.0, 2.0]),
        (&[5e-324, 1e-320, 0.0], &[5e-324, 0.0, 1e-310]),
        (&[f64::NAN, 1.0, f64::INFINITY], &[1.0, f64::NAN, 2.0]),
    ];
    for builtin in every_model() {
        for (x, y) in samples {
            assert_admissible(&builtin, x, y);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_sample_has_an_estimate(points in prop::collection::vec((prop::num::f64::ANY, prop::num::f64::ANY), 0..12)) {
        let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
        for builtin in all() {
            assert_admissible(&builtin, &x, &y);
        }
    }

    #[test]
    fn the_order_of_points_does_not_matter(mut points in prop::collection::vec((-9.0..9.0f64, -9.0..9.0f64), 2..12)) {
        let split = |points: &[(f64, f64)]| -> (Vec<f64>, Vec<f64>) { points.iter().copied().unzip() };
        let (x, y) = split(&points);
        points.reverse();
        let (u, v) = split(&points);
        for builtin in all() {
            prop_assert_eq!(builtin.estimate(&x, &y), builtin.estimate(&u, &v));
        }
    }
}
