//! The elementary functions in single precision, for passes that a fit runs in f32.
//!
//! [`exp`] is a chain of fused multiply-adds like its sibling in f64. The others come from `libm`; the sinc pair and powers
//! that its f32 forms do not have go by way of f64 and are rounded once.

pub use libm::{
    acosf as acos, asinf as asin, atan2f as atan2, atanf as atan, cbrtf as cbrt, cosf as cos, coshf as cosh,
    erfcf as erfc, erff as erf, expm1f as expm1, hypotf as hypot, log1pf as log1p, log2f as log2, log10f as log10,
    logf as log, powf as pow, sinf as sin, sinhf as sinh, tanf as tan, tanhf as tanh,
};

/// The square root, which IEEE 754 rounds correctly everywhere.
#[inline(always)]
pub fn sqrt(x: f32) -> f32 {
    x.sqrt()
}

/// `e^x`, within 1.1 ulp of the exact value.
///
/// As [`super::exp`]: x = k ln 2 + r with `|r| <= 0.347`, e^r by its Taylor polynomial of degree 7, whose first neglected
/// term is below 6e-9, 2^k in two factors. NaN stays NaN; beyond 88.73 the result is infinite, below -103.98 it is 0.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// 1.5 2^23: adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HI: f32 = std::f32::consts::LN_2;
    /// ln 2 minus its nearest f32.
    const LN2_LO: f32 = -1.904_654_3e-9;
    let power_of_two = |k: f32| f32::from_bits((k + (ROUND + 127.0)).to_bits() << 23);
    // Beyond these the result no longer changes; NaN passes both comparisons.
    let x = if x > 90.0 { 90.0 } else { x };
    let x = if x < -110.0 { -110.0 } else { x };
    let k = x.mul_add(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = k.mul_add(-LN2_LO, k.mul_add(-LN2_HI, x));
    let mut p = 1.0 / 5_040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
        p = r.mul_add(p, c);
    }
    let e = 1.0 + r.mul_add(r * p, r);
    let half = (0.5 * k + ROUND) - ROUND;
    e * power_of_two(half) * power_of_two(k - half)
}

/// `sin(x)/x`, and 1 at 0: [`super::sinc`], rounded.
pub fn sinc(x: f32) -> f32 {
    super::sinc(f64::from(x)) as f32
}

/// Derivative of [`sinc`]: [`super::sinc_slope`], rounded.
pub fn sinc_slope(x: f32) -> f32 {
    super::sinc_slope(f64::from(x)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance from a value known to many more digits, in units of the last place of an f32.
    fn error_in_ulp(found: f32, exact: f64) -> f64 {
        let ulp = 2f64.powi((exact.abs().log2().floor() as i32 - 23).max(-149));
        (f64::from(found) - exact).abs() / ulp
    }

    #[test]
    fn exp_is_within_a_unit_of_the_last_place() {
        let mut worst: (f64, f32) = (0.0, 0.0);
        for bits in (0..u32::MAX).step_by(1_009) {
            let x = f32::from_bits(bits);
            if !(-87.0..88.7).contains(&x) {
                continue;
            }
            let error = error_in_ulp(exp(x), crate::math::exp(f64::from(x)));
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 <= 1.1, "{} ulp at {}", worst.0, worst.1);
    }

    #[test]
    fn exp_at_the_ends() {
        assert!(exp(f32::NAN).is_nan());
        for (x, expected) in [
            (0.0, 1.0),
            (-0.0, 1.0),
            (f32::INFINITY, f32::INFINITY),
            (f32::NEG_INFINITY, 0.0),
            (88.73, f32::INFINITY),
            (-104.0, 0.0),
            (f32::MAX, f32::INFINITY),
            (f32::MIN, 0.0),
            (f32::MIN_POSITIVE, 1.0),
        ] {
            assert_eq!(exp(x), expected, "exp({x})");
        }
        for k in 0..340 {
            let x = -87.0 - k as f32 * 0.05;
            let exact = crate::math::exp(f64::from(x));
            assert!((f64::from(exp(x)) - exact).abs() <= 2f64.powi(-149), "gradual underflow at {x}");
        }
    }

    #[test]
    fn the_functions_are_those_of_f64_to_single_precision() {
        use crate::math as double;
        type Pair = (&'static str, fn(f32) -> f32, fn(f64) -> f64);
        let pairs: [Pair; 20] = [
            ("sqrt", sqrt, double::sqrt),
            ("cbrt", cbrt, double::cbrt),
            ("expm1", expm1, double::expm1),
            ("log", log, double::log),
            ("log1p", log1p, double::log1p),
            ("log2", log2, double::log2),
            ("log10", log10, double::log10),
            ("sin", sin, double::sin),
            ("cos", cos, double::cos),
            ("tan", tan, double::tan),
            ("asin", |x| asin(x / 8.0), |x| double::asin(x / 8.0)),
            ("acos", |x| acos(x / 8.0), |x| double::acos(x / 8.0)),
            ("atan", atan, double::atan),
            ("sinh", sinh, double::sinh),
            ("cosh", cosh, double::cosh),
            ("tanh", tanh, double::tanh),
            ("erf", erf, double::erf),
            ("erfc", erfc, double::erfc),
            ("sinc", sinc, double::sinc),
            ("sinc_slope", sinc_slope, double::sinc_slope),
        ];
        for (name, single, double) in pairs {
            for k in 1..2_000 {
                let x = k as f32 * 0.003_906_25;
                let (found, exact) = (single(x), double(f64::from(x)));
                assert!(error_in_ulp(found, exact) <= 4.0, "{name}({x}) = {found}, in double {exact}");
            }
        }
        for (x, y) in [(0.3f32, 2.5f32), (7.25, -1.5), (1e-3, 0.01)] {
            let (a, b) = (f64::from(x), f64::from(y));
            assert!(error_in_ulp(pow(x, y), double::pow(a, b)) <= 2.0, "pow({x}, {y})");
            assert!(error_in_ulp(hypot(x, y), double::hypot(a, b)) <= 2.0, "hypot({x}, {y})");
            assert!(error_in_ulp(atan2(x, y), double::atan2(a, b)) <= 2.0, "atan2({x}, {y})");
        }
    }
}
