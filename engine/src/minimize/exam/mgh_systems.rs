//! The 35 systems of Moré, Garbow & Hillstrom (ACM TOMS 7 (1981) 17), by the names in tests/data/mgh/mgh.json.

use std::f64::consts::PI;

use super::dual::{Dual, constant};
use crate::math;

/// Residuals at x; `data` is the file's list of measured values, empty where there are none.
pub(super) type Residuals = fn(&[Dual], &dyn Fn(&str) -> Vec<f64>) -> Vec<Dual>;

/// The system of a problem; names in the file may add the size, as in "Watson n=6".
pub(super) fn system(name: &str) -> Residuals {
    let stem = name.split(" n=").next().expect("a split has a first part");
    let found = SYSTEMS.iter().find(|(known, _)| *known == stem);
    found.unwrap_or_else(|| panic!("no system called {stem}")).1
}

const SYSTEMS: [(&str, Residuals); 35] = [
    ("Rosenbrock", |x, _| rosenbrock(x)),
    ("Freudenstein-Roth", |x, _| {
        let [a, b] = [x[0], x[1]];
        vec![-13.0 + a + ((5.0 - b) * b - 2.0) * b, -29.0 + a + ((b + 1.0) * b - 14.0) * b]
    }),
    ("Powell badly scaled", |x, _| vec![1e4 * x[0] * x[1] - 1.0, (-x[0]).exp() + (-x[1]).exp() - 1.0001]),
    ("Brown badly scaled", |x, _| vec![x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0]),
    ("Beale", |x, _| {
        let power = |i: usize| (0..i).fold(constant(1.0), |p, _| p * x[1]);
        [1.5, 2.25, 2.625].iter().enumerate().map(|(i, y)| *y - x[0] * (1.0 - power(i + 1))).collect()
    }),
    ("Jennrich-Sampson", |x, _| {
        let r = |i: f64| 2.0 + 2.0 * i - ((x[0] * i).exp() + (x[1] * i).exp());
        (1..=10).map(|i| r(f64::from(i))).collect()
    }),
    ("Helical valley", |x, _| {
        let turn = (x[1] / x[0]).atan() / (2.0 * PI) + if x[0].value < 0.0 { 0.5 } else { 0.0 };
        vec![10.0 * (x[2] - 10.0 * turn), 10.0 * ((x[0].squared() + x[1].squared()).sqrt() - 1.0), x[2]]
    }),
    ("Bard", |x, data| {
        let r = |(i, y): (usize, f64)| {
            let (u, v) = ((i + 1) as f64, (15 - i) as f64);
            y - (x[0] + u / (v * x[1] + u.min(v) * x[2]))
        };
        data("bard_y").into_iter().enumerate().map(r).collect()
    }),
    ("Gaussian", |x, data| {
        let r = |(i, y): (usize, f64)| {
            let t = (7.0 - i as f64) / 2.0;
            x[0] * (-x[1] * (t - x[2]).squared() / 2.0).exp() - y
        };
        data("gaussian_y").into_iter().enumerate().map(r).collect()
    }),
    ("Meyer", |x, data| {
        let r = |(i, y): (usize, f64)| x[0] * (x[1] / (45.0 + 5.0 * (i + 1) as f64 + x[2])).exp() - y;
        data("meyer_y").into_iter().enumerate().map(r).collect()
    }),
    ("Gulf", |x, _| {
        let r = |i: i32| {
            let t = f64::from(i) / 100.0;
            let y = 25.0 + math::pow(-50.0 * math::log(t), 2.0 / 3.0);
            // 0 to a positive power is 0, which ln would not see
            let distance = (y - x[1]).abs();
            let power = if distance.value == 0.0 { constant(0.0) } else { distance.pow(x[2]) };
            (-power / x[0]).exp() - t
        };
        (1..=100).map(r).collect()
    }),
    ("Box 3-D", |x, _| {
        let r = |i: i32| {
            let t = f64::from(i) / 10.0;
            (-t * x[0]).exp() - (-t * x[1]).exp() - x[2] * (math::exp(-t) - math::exp(-10.0 * t))
        };
        (1..=10).map(r).collect()
    }),
    ("Powell singular", |x, _| powell_singular(x)),
    ("Wood", |x, _| {
        let [a, b, c, d] = [x[0], x[1], x[2], x[3]];
        let root = math::sqrt(90.0);
        let ten = math::sqrt(10.0);
        vec![10.0 * (b - a.squared()), 1.0 - a, root * (d - c.squared()), 1.0 - c, ten * (b + d - 2.0), (b - d) / ten]
    }),
    ("Kowalik-Osborne", |x, data| {
        let r = |(y, u): (f64, f64)| y - x[0] * (u * u + u * x[1]) / (u * u + u * x[2] + x[3]);
        data("kowalik_y").into_iter().zip(data("kowalik_u")).map(r).collect()
    }),
    ("Brown-Dennis", |x, _| {
        let r = |i: i32| {
            let t = f64::from(i) / 5.0;
            (x[0] + t * x[1] - math::exp(t)).squared() + (x[2] + x[3] * math::sin(t) - math::cos(t)).squared()
        };
        (1..=20).map(r).collect()
    }),
    ("Osborne 1", |x, data| {
        let r = |(i, y): (usize, f64)| {
            let t = 10.0 * i as f64;
            y - (x[0] + x[1] * (-t * x[3]).exp() + x[2] * (-t * x[4]).exp())
        };
        data("osborne1_y").into_iter().enumerate().map(r).collect()
    }),
    ("Biggs EXP6", |x, _| {
        let r = |i: i32| {
            let t = f64::from(i) / 10.0;
            let y = math::exp(-t) - 5.0 * math::exp(-10.0 * t) + 3.0 * math::exp(-4.0 * t);
            x[2] * (-t * x[0]).exp() - x[3] * (-t * x[1]).exp() + x[5] * (-t * x[4]).exp() - y
        };
        (1..=13).map(r).collect()
    }),
    ("Osborne 2", |x, data| {
        let r = |(i, y): (usize, f64)| {
            let t = i as f64 / 10.0;
            let peak = |a: usize, w: usize, m: usize| x[a] * (-(t - x[m]).squared() * x[w]).exp();
            y - (x[0] * (-t * x[4]).exp() + peak(1, 5, 8) + peak(2, 6, 9) + peak(3, 7, 10))
        };
        data("osborne2_y").into_iter().enumerate().map(r).collect()
    }),
    ("Watson", |x, _| {
        let r = |i: i32| {
            let t = f64::from(i) / 29.0;
            let slope: Dual = (1..x.len()).map(|j| j as f64 * x[j] * math::pow_int(t, j as i32 - 1)).sum();
            let value: Dual = (0..x.len()).map(|j| x[j] * math::pow_int(t, j as i32)).sum();
            slope - value.squared() - 1.0
        };
        let last = [x[0], x[1] - x[0].squared() - 1.0];
        (1..=29).map(r).chain(last).collect()
    }),
    ("Extended Rosenbrock", |x, _| x.chunks(2).flat_map(rosenbrock).collect()),
    ("Extended Powell singular", |x, _| x.chunks(4).flat_map(powell_singular).collect()),
    ("Penalty I", |x, _| {
        let sum: Dual = x.iter().map(|v| v.squared()).sum();
        x.iter().map(|v| math::sqrt(1e-5) * (*v - 1.0)).chain([sum - 0.25]).collect()
    }),
    ("Penalty II", |x, _| {
        let (n, a) = (x.len(), math::sqrt(1e-5));
        let grow = |i: usize| math::exp((i + 1) as f64 / 10.0);
        let mut r = vec![x[0] - 0.2];
        r.extend((1..n).map(|i| a * ((x[i] / 10.0).exp() + (x[i - 1] / 10.0).exp() - (grow(i) + grow(i - 1)))));
        r.extend((1..n).map(|i| a * ((x[i] / 10.0).exp() - math::exp(-0.1))));
        r.push((0..n).map(|j| (n - j) as f64 * x[j].squared()).sum::<Dual>() - 1.0);
        r
    }),
    ("Variably dimensioned", |x, _| {
        let sum: Dual = x.iter().enumerate().map(|(j, v)| (j + 1) as f64 * (*v - 1.0)).sum();
        x.iter().map(|v| *v - 1.0).chain([sum, sum.squared()]).collect()
    }),
    ("Trigonometric", |x, _| {
        let cosines: Dual = x.iter().map(|v| v.cos()).sum();
        let r = |(i, v): (usize, &Dual)| x.len() as f64 - cosines + (i + 1) as f64 * (1.0 - v.cos()) - v.sin();
        x.iter().enumerate().map(r).collect()
    }),
    ("Brown almost-linear", |x, _| {
        let n = x.len();
        let sum: Dual = x.iter().copied().sum();
        let product = x.iter().fold(constant(1.0), |p, v| p * *v);
        x[..n - 1].iter().map(|v| *v + sum - (n + 1) as f64).chain([product - 1.0]).collect()
    }),
    ("Discrete boundary value", |x, _| {
        let h = 1.0 / (x.len() + 1) as f64;
        let at = |i: usize| if i == 0 || i > x.len() { constant(0.0) } else { x[i - 1] };
        let cube = |v: Dual| v * v * v;
        let r = |i: usize| 2.0 * at(i) - at(i - 1) - at(i + 1) + h * h * cube(at(i) + i as f64 * h + 1.0) / 2.0;
        (1..=x.len()).map(r).collect()
    }),
    ("Discrete integral", |x, _| {
        let n = x.len();
        let h = 1.0 / (n + 1) as f64;
        let t = |j: usize| (j + 1) as f64 * h;
        let cube = |j: usize| (x[j] + t(j) + 1.0).squared() * (x[j] + t(j) + 1.0);
        let r = |i: usize| {
            let before: Dual = (0..=i).map(|j| t(j) * cube(j)).sum();
            let after: Dual = (i + 1..n).map(|j| (1.0 - t(j)) * cube(j)).sum();
            x[i] + h * ((1.0 - t(i)) * before + t(i) * after) / 2.0
        };
        (0..n).map(r).collect()
    }),
    ("Broyden tridiagonal", |x, _| {
        let at = |i: usize| if i == 0 || i > x.len() { constant(0.0) } else { x[i - 1] };
        (1..=x.len()).map(|i| (3.0 - 2.0 * at(i)) * at(i) - at(i - 1) - 2.0 * at(i + 1) + 1.0).collect()
    }),
    ("Broyden banded", |x, _| {
        let r = |i: usize| {
            let near = (i.saturating_sub(5)..=(i + 1).min(x.len() - 1)).filter(|&j| j != i);
            let band: Dual = near.map(|j| x[j] * (1.0 + x[j])).sum();
            x[i] * (2.0 + 5.0 * x[i].squared()) + 1.0 - band
        };
        (0..x.len()).map(r).collect()
    }),
    ("Linear full rank", |x, _| {
        let sum: Dual = x.iter().copied().sum();
        let rest = -2.0 / 50.0 * sum - 1.0;
        (0..50).map(|i| if i < x.len() { x[i] + rest } else { rest }).collect()
    }),
    ("Linear rank 1", |x, _| {
        let sum: Dual = x.iter().enumerate().map(|(j, v)| (j + 1) as f64 * *v).sum();
        (1..=50).map(|i| f64::from(i) * sum - 1.0).collect()
    }),
    ("Linear rank 1, zero columns and rows", |x, _| {
        let sum: Dual = (1..x.len() - 1).map(|j| (j + 1) as f64 * x[j]).sum();
        let r = |i: i32| if i == 1 || i == 50 { constant(-1.0) } else { f64::from(i - 1) * sum - 1.0 };
        (1..=50).map(r).collect()
    }),
    ("Chebyquad", |x, _| {
        let n = x.len();
        let r = |i: usize| {
            let mean = x.iter().map(|v| chebyshev(i, *v)).sum::<Dual>() / n as f64;
            if i.is_multiple_of(2) { mean + 1.0 / ((i * i) as f64 - 1.0) } else { mean }
        };
        (1..=n).map(r).collect()
    }),
];

fn rosenbrock(x: &[Dual]) -> Vec<Dual> {
    vec![10.0 * (x[1] - x[0].squared()), 1.0 - x[0]]
}

fn powell_singular(x: &[Dual]) -> Vec<Dual> {
    vec![
        x[0] + 10.0 * x[1],
        math::sqrt(5.0) * (x[2] - x[3]),
        (x[1] - 2.0 * x[2]).squared(),
        math::sqrt(10.0) * (x[0] - x[3]).squared(),
    ]
}

/// The Chebyshev polynomial of order i, shifted to [0, 1].
fn chebyshev(i: usize, x: Dual) -> Dual {
    let t = 2.0 * x - 1.0;
    let (mut before, mut now) = (constant(1.0), t);
    for _ in 1..i {
        (before, now) = (now, 2.0 * t * now - before);
    }
    now
}
