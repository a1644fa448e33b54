//! The elementary functions to some 100 bits, by other formulas than the library's: Taylor series, Newton's method on the inverse
//! function, continued fractions.

use super::pair::{Pair, exponent, scaled};

/// `pair 2^power`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exact {
    pub(super) pair: Pair,
    pub(super) power: i32,
}

impl From<Pair> for Exact {
    fn from(pair: Pair) -> Self {
        Self { pair, power: 0 }
    }
}

impl Exact {
    /// Distance of `found` in units of the last place, which is that of the smallest subnormal at the least. An infinite result
    /// counts as 2^1024.
    pub(super) fn distance_in_ulp(self, found: f64) -> f64 {
        self.distance(found, exponent(self.pair.0) + self.power)
    }

    /// As [`Self::distance_in_ulp`], in units of the last place of numbers of that exponent.
    pub(super) fn distance(self, found: f64, exponent: i32) -> f64 {
        let unit = (exponent - 52).max(-1_074) - self.power;
        let found =
            if found.is_infinite() { scaled(found.signum(), 1_024 - self.power) } else { scaled(found, -self.power) };
        let off = ((found - self.pair.0) - self.pair.1).abs();
        if unit < -1_000 { scaled(off, -unit) } else { off * 2f64.powi(-unit) }
    }
}

const LN2: [f64; 4] =
    [std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17, 5.707_708_438_416_212e-34, -3.582_432_210_601_811e-50];
const HALF_PI: [f64; 4] =
    [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33, 5.562_271_104_316_826e-50];

fn half_pi() -> Pair {
    Pair::of(&HALF_PI)
}

/// x - k times the sum of the parts.
fn take_away(x: Pair, k: f64, parts: &[f64]) -> Pair {
    parts.iter().fold(x, |rest, part| rest - Pair::product(k, *part))
}

/// x + x^2/2! + ... for `|x| <= 0.4`.
fn expm1_series(x: Pair) -> Pair {
    let mut sum = Pair::ZERO;
    for n in (1..=28).rev() {
        sum = (sum + Pair::ONE) * x / f64::from(n);
    }
    sum
}

/// e^x.
pub(super) fn exp(x: Pair) -> Exact {
    let k = (x.0 / std::f64::consts::LN_2).round();
    Exact { pair: expm1_series(take_away(x, k, &LN2)) + Pair::ONE, power: k as i32 }
}

/// e^x - 1.
pub(super) fn expm1(x: Pair) -> Exact {
    if x.0.abs() <= 0.4 {
        return expm1_series(x).into();
    }
    let e = exp(x);
    if e.power > 120 { e } else { (e.pair.scaled(e.power) - Pair::ONE).into() }
}

/// log(1 + f), by Newton's method on e^y - 1.
pub(super) fn log1p(f: Pair) -> Pair {
    let start = Pair(libm::log1p(f.0), 0.0);
    let e = expm1(start).pair;
    let d = (f - e) / (e + Pair::ONE);
    start + (d - d * d * 0.5)
}

/// log x.
pub(super) fn log(x: f64) -> Pair {
    if (0.7..1.5).contains(&x) {
        return log1p(Pair(x - 1.0, 0.0));
    }
    let k = exponent(x);
    log1p(Pair(scaled(x, -k) - 1.0, 0.0)) - take_away(Pair::ZERO, f64::from(k), &LN2)
}

pub(super) fn log_of_one_plus(x: f64) -> Pair {
    if x.abs() < 0.5 {
        return log1p(Pair(x, 0.0));
    }
    let u = Pair::sum(1.0, x);
    let k = exponent(u.0);
    log1p(u.scaled(-k) - Pair::ONE) - take_away(Pair::ZERO, f64::from(k), &LN2)
}

pub(super) fn log2(x: f64) -> Pair {
    log(x) / Pair::of(&LN2)
}

pub(super) fn log10(x: f64) -> Pair {
    log(x) / log(10.0)
}

/// sin x and cos x for `|x| < 2^35`.
pub(super) fn sin_cos(x: Pair) -> [Pair; 2] {
    let k = (x.0 / HALF_PI[0]).round();
    let r = take_away(x, k, &HALF_PI);
    let square = -(r * r);
    let series = |first: i32| {
        let mut sum = Pair::ZERO;
        for n in (0..=14).rev() {
            let n = f64::from(first + 2 * n);
            sum = (sum + Pair::ONE) * square / ((n - 1.0) * n);
        }
        sum + Pair::ONE
    };
    let (sin, cos) = (series(3) * r, series(2));
    match k.rem_euclid(4.0) as i32 {
        0 => [sin, cos],
        1 => [cos, -sin],
        2 => [-sin, -cos],
        _ => [-cos, sin],
    }
}

pub(super) fn tan(x: f64) -> Pair {
    let [sin, cos] = sin_cos(Pair(x, 0.0));
    sin / cos
}

pub(super) fn sinc(x: f64) -> Pair {
    if x == 0.0 { Pair::ONE } else { sin_cos(Pair(x, 0.0))[0] / x }
}

pub(super) fn sinc_slope(x: f64) -> Pair {
    if x.abs() > 1.0 {
        let [sin, cos] = sin_cos(Pair(x, 0.0));
        return (cos - sin / x) / x;
    }
    // the coefficient of x^(2n-1) is (-1)^n 2n/(2n+1)!
    let square = Pair::product(x, x);
    let mut sum = Pair::ZERO;
    for n in (1..=14).rev() {
        let n = f64::from(n);
        sum = Pair::ONE - sum * square / (2.0 * n * (2.0 * n + 3.0));
    }
    -sum * x / 3.0
}

/// atan x, by Newton's method on the tangent.
pub(super) fn atan(x: Pair) -> Pair {
    if x.0.abs() > 1.0 {
        let rest = atan(Pair::ONE / x);
        return if x.0 > 0.0 { half_pi() - rest } else { -half_pi() - rest };
    }
    let start = Pair(libm::atan(x.0), 0.0);
    let [sin, cos] = sin_cos(start);
    start + (x * cos - sin) / (cos + x * sin)
}

/// The angle of (x, y), neither of them 0, their quotient far from the ends.
pub(super) fn atan2(y: f64, x: f64) -> Pair {
    let acute = atan((Pair(y, 0.0) / x).abs());
    let angle = if x < 0.0 { half_pi() * 2.0 - acute } else { acute };
    if y < 0.0 { -angle } else { angle }
}

pub(super) fn asin(x: f64) -> Pair {
    if x.abs() == 1.0 {
        return half_pi() * x;
    }
    atan(Pair(x, 0.0) / (Pair::sum(1.0, -x) * Pair::sum(1.0, x)).sqrt())
}

pub(super) fn acos(x: f64) -> Pair {
    if x == -1.0 {
        return half_pi() * 2.0;
    }
    atan(Pair::sum(1.0, -x).sqrt() / Pair::sum(1.0, x).sqrt()) * 2.0
}

fn hyperbolic(x: f64, sign: f64) -> Exact {
    let e = exp(Pair(x, 0.0));
    if e.power > 120 {
        return Exact { power: e.power - 1, ..e };
    }
    let e = e.pair.scaled(e.power);
    ((e + Pair::ONE / e * sign) * 0.5).into()
}

pub(super) fn sinh(x: f64) -> Exact {
    let exact = if x.abs() > 0.4 {
        hyperbolic(x.abs(), -1.0)
    } else {
        let e = expm1(Pair(x.abs(), 0.0)).pair;
        ((e + e / (e + Pair::ONE)) * 0.5).into()
    };
    if x < 0.0 { Exact { pair: -exact.pair, ..exact } } else { exact }
}

pub(super) fn cosh(x: f64) -> Exact {
    hyperbolic(x.abs(), 1.0)
}

pub(super) fn tanh(x: f64) -> Pair {
    if x.abs() > 40.0 {
        return Pair(x.signum(), 0.0);
    }
    let e = expm1(Pair(2.0 * x, 0.0)).pair;
    e / (e + Pair(2.0, 0.0))
}

/// e^(-x^2) sum of 2^n x^(2n+1)/(2n+1)!!, times 2/sqrt(pi): all terms of one sign.
pub(super) fn erf(x: f64) -> Pair {
    let square = Pair::product(x, x);
    let mut term = Pair(x, 0.0);
    let mut sum = term;
    let mut n = 1.0;
    while term.0.abs() > sum.0.abs() * 1e-34 {
        term = term * square * 2.0 / (2.0 * n + 1.0);
        sum = sum + term;
        n += 1.0;
    }
    let e = exp(-square);
    (sum * e.pair).scaled(e.power) * 2.0 / (half_pi() * 2.0).sqrt()
}

/// 1 - erf x below 2, Laplace's continued fraction beyond.
pub(super) fn erfc(x: f64) -> Exact {
    if x < 2.0 {
        let erf = if x < -6.5 { Pair(-1.0, 0.0) } else { erf(x) };
        return (Pair::ONE - erf).into();
    }
    let mut below = Pair(x, 0.0);
    for n in (1..=(60.0 + 700.0 / (x * x)) as i32).rev() {
        below = Pair(x, 0.0) + Pair(f64::from(n) * 0.5, 0.0) / below;
    }
    let e = exp(-Pair::product(x, x));
    Exact { pair: e.pair / (below * (half_pi() * 2.0).sqrt()), power: e.power }
}

/// x^y for x > 0.
pub(super) fn pow(x: f64, y: f64) -> Exact {
    exp(log(x) * y)
}

pub(super) fn cbrt(x: f64) -> Pair {
    let root = libm::cbrt(x);
    let residual = Pair(x, 0.0) - Pair::product(root, root) * root;
    Pair(root, 0.0) + residual / (Pair::product(root, root) * 3.0)
}

pub(super) fn hypot(x: f64, y: f64) -> Exact {
    let power = exponent(x.abs().max(y.abs()));
    let (x, y) = (scaled(x, -power), scaled(y, -power));
    Exact { pair: (Pair::product(x, x) + Pair::product(y, y)).sqrt(), power }
}
