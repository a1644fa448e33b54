//! The arguments that the fast formulas do not serve: branching code in f64, right for every argument.

use super::reduction::reduce_far;
use super::{inverse, power};

/// What [`rarely`](super::arithmetic::Arithmetic::rarely) falls back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Slow {
    /// Of this and the next four, the argument is beyond 2^21.
    Sin,
    Cos,
    Tan,
    Sinc,
    SincSlope,
    /// The first argument is y.
    Atan2,
    Pow,
}

/// The reciprocals of larger numbers are subnormal, or near enough to it.
const LARGE: f64 = 1e300;

impl Slow {
    /// The function of x, or of x and y.
    #[cold]
    #[inline(never)]
    pub fn apply(self, x: f64, y: f64) -> f64 {
        match self {
            Self::Sin => reduce_far(x).sin(),
            Self::Cos => reduce_far(x).cos(),
            Self::Tan => reduce_far(x).tan(),
            Self::Sinc if x.abs() < LARGE => reduce_far(x).sinc(x),
            Self::Sinc => reduce_far(x).sin() / x,
            Self::SincSlope if x.abs() < LARGE => reduce_far(x).sinc_slope(x),
            Self::SincSlope => reduce_far(x).cos() / x,
            Self::Atan2 => atan2(x, y),
            Self::Pow => pow(x, y),
        }
    }
}

/// Any two numbers. IEEE 754-2019, section 9.2.1.
fn atan2(y: f64, x: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    /// From this quotient on the smaller of the two no longer counts.
    const FAR: f64 = 1_152_921_504_606_846_976.0;
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let (a, b) = (y.abs(), x.abs());
    let on_the_left = x.is_sign_negative();
    if a == 0.0 || b > a * FAR || (b.is_infinite() && a.is_finite()) {
        return if on_the_left {
            PI.copysign(y)
        } else if a == 0.0 {
            y
        } else {
            y / x
        };
    }
    if a > b * FAR || (a.is_infinite() && b.is_finite()) {
        return FRAC_PI_2.copysign(y);
    }
    if a.is_infinite() {
        return if on_the_left { (3.0 * FRAC_PI_4).copysign(y) } else { FRAC_PI_4.copysign(y) };
    }
    // 2^-600 or 2^600: both are then well inside
    let scale = f64::from_bits(if a.max(b) > 1.0 { 423 << 52 } else { 1_623 << 52 });
    inverse::atan2(y * scale, x * scale)
}

/// Any two numbers. IEEE 754-2019, section 9.2.1.
fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let size = x.abs();
    if y.is_infinite() {
        return if size == 1.0 {
            1.0
        } else if (size > 1.0) == (y > 0.0) {
            f64::INFINITY
        } else {
            0.0
        };
    }
    let parity = Parity::of(y);
    let result = if size == 0.0 || size.is_infinite() {
        if (size == 0.0) == (y > 0.0) { 0.0 } else { f64::INFINITY }
    } else if x < 0.0 && parity == Parity::Fraction {
        f64::NAN
    } else {
        power::pow(size, y)
    };
    if x.is_sign_negative() && parity == Parity::Odd { -result } else { result }
}

#[derive(PartialEq)]
enum Parity {
    Even,
    Odd,
    Fraction,
}

impl Parity {
    fn of(y: f64) -> Self {
        // from 2^53 on all numbers are even
        if y.abs() >= 9_007_199_254_740_992.0 {
            return Self::Even;
        }
        let whole = y as i64;
        match (whole as f64 == y, whole & 1) {
            (true, 0) => Self::Even,
            (true, _) => Self::Odd,
            (false, _) => Self::Fraction,
        }
    }
}
