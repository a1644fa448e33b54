//! Elementary functions, the only ones any kernel calls.
//!
//! [`exp`] is a chain of fused multiply-adds without branches, which the compiler turns into vectors. The others come from
//! `libm` (pure Rust, no call into the host's C library). Either way a model has the same bits on every host of a device
//! class. Faster forms of the others replace them here and nowhere else. [`single`] holds the same functions in f32.

pub mod single;

use crate::real::Real;

pub use libm::{
    acos, asin, atan, atan2, cbrt, cos, cosh, erf, erfc, expm1, hypot, log, log1p, log2, log10, pow, sin, sinh, tan,
    tanh,
};

/// The square root, which IEEE 754 rounds correctly everywhere; the compiler turns it into vectors.
#[inline(always)]
pub fn sqrt(x: f64) -> f64 {
    x.sqrt()
}

/// `e^x`, within 1 ulp of the exact value.
///
/// With k = x/ln 2 rounded to an integer and r = x - k ln 2, `|r| <= 0.347`, e^x = 2^k e^r, and e^r is its Taylor polynomial
/// of degree 13, whose first neglected term is below 5e-18. 2^k is applied in two factors, so that results that underflow
/// gradually are right too. NaN stays NaN; beyond 709.79 the result is infinite, below -745.14 it is 0.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    /// 1.5 2^52: adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HI: f64 = std::f64::consts::LN_2;
    /// ln 2 minus its nearest f64.
    const LN2_LO: f64 = 2.319_046_813_846_299_6e-17;
    let power_of_two = |k: f64| f64::from_bits((k + (ROUND + 1023.0)).to_bits() << 52);
    // Beyond these the result no longer changes; NaN passes both comparisons.
    let x = if x > 720.0 { 720.0 } else { x };
    let x = if x < -760.0 { -760.0 } else { x };
    let k = x.mul_add(std::f64::consts::LOG2_E, ROUND) - ROUND;
    let r = k.mul_add(-LN2_LO, k.mul_add(-LN2_HI, x));
    let mut p = 1.0 / 6_227_020_800.0;
    for c in [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ] {
        p = r.mul_add(p, c);
    }
    let e = 1.0 + r.mul_add(r * p, r);
    let half = (0.5 * k + ROUND) - ROUND;
    e * power_of_two(half) * power_of_two(k - half)
}

/// `sin(x)/x`, and 1 at 0. Below `|x| = 1e-4` the series `1 - x^2/6 + x^4/120` is exact to rounding.
pub fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-4 {
        let s = x * x;
        1.0 - s / 6.0 + s * s / 120.0
    } else {
        sin(x) / x
    }
}

/// Derivative of [`sinc`]: `(cos(x) - sinc(x))/x`, and 0 at 0.
///
/// The quotient cancels near 0, so below `|x| = 0.5` the series
/// `-x/3 + x^3/30 - x^5/840 + x^7/45360 - ...` is summed up to `x^15`; its first neglected term is below 1e-17 there.
pub fn sinc_slope(x: f64) -> f64 {
    if x.abs() < 0.5 {
        let s = x * x;
        // coefficient of x^(2k-1): (-1)^k 2k/(2k+1)!
        let mut sum = 0.0;
        for c in [
            16.0 / 355_687_428_096_000.0,
            -14.0 / 1_307_674_368_000.0,
            12.0 / 6_227_020_800.0,
            -10.0 / 39_916_800.0,
            8.0 / 362_880.0,
            -6.0 / 5_040.0,
            4.0 / 120.0,
            -2.0 / 6.0,
        ] {
            sum = sum * s + c;
        }
        sum * x
    } else {
        (cos(x) - sinc(x)) / x
    }
}

/// `x^n` by repeated squaring, `1/x^|n|` for negative `n`, 1 for `n = 0`.
#[inline(always)]
pub fn pow_int<T: Real>(x: T, n: i32) -> T {
    let mut exponent = n.unsigned_abs();
    let mut square = x;
    let mut product = T::ONE;
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = product * square;
        }
        exponent >>= 1;
        if exponent > 0 {
            square = square * square;
        }
    }
    if n < 0 { T::ONE / product } else { product }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number as an unevaluated sum of two f64: 106 bits, enough to judge a result of 53.
    #[derive(Clone, Copy)]
    struct Pair(f64, f64);

    impl Pair {
        fn sum(a: f64, b: f64) -> Self {
            let s = a + b;
            let t = s - a;
            Self(s, (a - (s - t)) + (b - t))
        }

        fn add(self, o: Self) -> Self {
            let Self(s, e) = Self::sum(self.0, o.0);
            Self::sum(s, e + self.1 + o.1)
        }

        fn mul(self, o: Self) -> Self {
            let p = self.0 * o.0;
            let e = self.0.mul_add(o.0, -p);
            Self::sum(p, e + self.0 * o.1 + self.1 * o.0)
        }

        fn divided_by(self, n: f64) -> Self {
            let q = self.0 / n;
            let rest = q.mul_add(-n, self.0) + self.1;
            Self::sum(q, rest / n)
        }
    }

    /// e^r for `|r| <= 0.35`, r a pair: the Taylor series to r^25.
    fn exp_pair(r: Pair) -> Pair {
        let mut sum = Pair(1.0, 0.0);
        for n in (1..=25).rev() {
            sum = Pair(1.0, 0.0).add(sum.mul(r).divided_by(f64::from(n)));
        }
        sum
    }

    /// Distance of `exp(x)` from the exact value in units of its last place, for results that are not subnormal.
    fn error_in_ulp(x: f64) -> f64 {
        let k = (x / std::f64::consts::LN_2).round();
        let ln2 = [std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17, 5.707_708_438_416_212e-34];
        let mut r = Pair(x, 0.0);
        for part in ln2 {
            let p = k * part;
            r = r.add(Pair(-p, -k.mul_add(part, -p)));
        }
        let exact = exp_pair(r);
        let found = exp(x);
        // 2^-k in two factors: 2^-1024 is subnormal
        let half = (k / 2.0).floor() as i32;
        let scaled = found * 2f64.powi(-half) * 2f64.powi(half - k as i32);
        let ulp = 2f64.powi(exact.0.log2().floor() as i32 - 52);
        ((scaled - exact.0) - exact.1).abs() / ulp
    }

    #[test]
    fn exp_is_within_one_ulp() {
        let mut worst: (f64, f64) = (0.0, 0.0);
        let mut state = 1u64;
        for k in 0..2_000_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let unit = (state >> 11) as f64 / (1u64 << 53) as f64;
            let x = match k % 4 {
                0 => (unit - 0.5) * 1_416.0,
                1 => (unit - 0.5) * 20.0,
                2 => unit - 0.5,
                _ => (unit - 0.5) * 2f64.powi(-(k % 60)),
            };
            let error = error_in_ulp(x);
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 <= 1.0, "{} ulp at {}", worst.0, worst.1);
    }

    #[test]
    fn exp_at_the_ends() {
        assert!(exp(f64::NAN).is_nan());
        for (x, expected) in [
            (0.0, 1.0),
            (-0.0, 1.0),
            (f64::INFINITY, f64::INFINITY),
            (f64::NEG_INFINITY, 0.0),
            (710.0, f64::INFINITY),
            (-746.0, 0.0),
            (f64::MAX, f64::INFINITY),
            (f64::MIN, 0.0),
            (709.782_712_893_384, 1.797_693_134_862_273_2e308),
            (-745.0, 5e-324),
            (f64::MIN_POSITIVE, 1.0),
        ] {
            assert_eq!(exp(x), expected, "exp({x})");
        }
        for k in 0..800 {
            let x = -708.0 - f64::from(k) * 0.05;
            let (found, reference) = (exp(x), libm::exp(x));
            assert!((found - reference).abs() <= 5e-324, "gradual underflow at {x}: {found:e} {reference:e}");
        }
    }

    #[test]
    fn sinc_and_its_slope_join_their_series() {
        assert_eq!((sinc(0.0), sinc_slope(0.0)), (1.0, 0.0));
        for x in [1e-5, 9.999e-5, 1.0001e-4, 0.1, 0.4999, 0.5001, 2.0] {
            let direct = (cos(x) - sin(x) / x) / x;
            // what cancels in the quotient is of the order eps/x
            assert!((sinc_slope(x) - direct).abs() < 4.0 * f64::EPSILON / x + 1e-16, "{x}");
            assert!((sinc(x) - sin(x) / x).abs() < 3e-16, "{x}");
        }
    }

    #[test]
    fn integer_powers() {
        for (x, n, expected) in [(2.0, 10, 1024.0), (-3.0, 3, -27.0), (2.0, -2, 0.25), (0.0, 0, 1.0), (7.0, 1, 7.0)] {
            assert_eq!(pow_int(x, n), expected);
        }
    }
}
