//! Values at the ends, exact cases and signs of zero (IEEE 754-2019, section 9.2.1), and that pieces join.

use super::{BINARY, UNARY};
use crate::math::*;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;
const TINY: f64 = 5e-324;

/// The same number, the sign of zero included, or both NaN.
fn same(found: f64, expected: f64) -> bool {
    found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan())
}

fn unary(name: &str) -> fn(f64) -> f64 {
    UNARY.iter().find(|(other, _)| *other == name).expect("a function").1
}

#[test]
fn functions_of_one_argument() {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    let table: &[(&str, &[(f64, f64)])] = &[
        ("exp", &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (710.0, INF), (-746.0, 0.0), (TINY, 1.0)]),
        ("expm1", &[(INF, INF), (-INF, -1.0), (f64::MIN, -1.0), (710.0, INF), (-50.0, -1.0)]),
        ("log", &[(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN), (-TINY, NAN)]),
        ("log2", &[(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (TINY, -1_074.0)]),
        ("log10", &[(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (1_000.0, 3.0)]),
        ("log1p", &[(-1.0, -INF), (INF, INF), (-1.5, NAN), (-INF, NAN), (f64::MAX, 709.782_712_893_384)]),
        ("sin", &[(INF, NAN), (-INF, NAN)]),
        ("cos", &[(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN), (TINY, 1.0)]),
        ("tan", &[(INF, NAN), (-INF, NAN)]),
        ("sinc", &[(0.0, 1.0), (-0.0, 1.0), (TINY, 1.0), (INF, NAN)]),
        ("sinc_slope", &[(0.0, -0.0), (-0.0, 0.0), (INF, NAN)]),
        ("asin", &[(1.0, FRAC_PI_2), (-1.0, -FRAC_PI_2), (1.1, NAN), (-INF, NAN), (1.0 + f64::EPSILON, NAN)]),
        ("acos", &[(1.0, 0.0), (-1.0, PI), (0.0, FRAC_PI_2), (-0.0, FRAC_PI_2), (1.1, NAN), (-1.1, NAN), (INF, NAN)]),
        ("atan", &[(INF, FRAC_PI_2), (-INF, -FRAC_PI_2), (1.0, FRAC_PI_4), (f64::MAX, FRAC_PI_2), (-1e17, -FRAC_PI_2)]),
        ("sinh", &[(INF, INF), (-INF, -INF), (711.0, INF), (-711.0, -INF), (f64::MAX, INF)]),
        ("cosh", &[(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, INF), (711.0, INF), (f64::MIN, INF)]),
        ("tanh", &[(INF, 1.0), (-INF, -1.0), (f64::MAX, 1.0), (20.0, 1.0)]),
        ("erf", &[(INF, 1.0), (-INF, -1.0), (6.0, 1.0), (-f64::MAX, -1.0)]),
        ("erfc", &[(0.0, 1.0), (-0.0, 1.0), (INF, 0.0), (-INF, 2.0), (-7.0, 2.0), (28.0, 0.0), (TINY, 1.0)]),
        ("cbrt", &[(INF, INF), (-INF, -INF), (8.0, 2.0), (-27.0, -3.0), (1e-300, 1e-100)]),
    ];
    for (name, cases) in table {
        for (x, expected) in *cases {
            let found = unary(name)(*x);
            assert!(same(found, *expected), "{name}({x:e}) = {found:e}, expected {expected:e}");
        }
    }
}

#[test]
fn nan_stays_nan() {
    for (name, function) in UNARY {
        assert!(function(NAN).is_nan() && function(-NAN).is_nan(), "{name}");
    }
    for (name, function) in BINARY {
        assert!(function(NAN, 2.0).is_nan() && function(2.0, NAN).is_nan(), "{name}");
    }
}

/// Odd functions that are x to first order: zeros with their sign, the smallest numbers as they are.
#[test]
fn odd_functions_near_zero() {
    for name in ["expm1", "log1p", "sin", "tan", "asin", "atan", "sinh", "tanh"] {
        for x in [0.0, TINY, 3.0 * TINY, f64::MIN_POSITIVE, 1e-300, 1e-20] {
            for x in [x, -x] {
                let found = unary(name)(x);
                assert!(same(found, x), "{name}({x:e}) = {found:e}");
            }
        }
    }
    for name in ["cbrt", "erf"] {
        assert!(same(unary(name)(0.0), 0.0) && same(unary(name)(-0.0), -0.0), "{name}");
    }
    assert_eq!((erf(TINY), erf(2.0 * TINY), erf(-10.0 * TINY)), (TINY, 2.0 * TINY, -11.0 * TINY));
    assert_eq!(cbrt(8.0 * TINY), 2.0 * cbrt(TINY));
    assert_eq!(sinc_slope(3e-300), -1e-300);
}

#[test]
fn even_and_odd() {
    for k in 1..2_000 {
        let x = f64::from(k) * 0.013;
        for name in ["sin", "tan", "asin", "atan", "sinh", "tanh", "erf", "cbrt", "sinc_slope"] {
            assert!(same(unary(name)(-x), -unary(name)(x)), "{name} at {x}");
        }
        for name in ["cos", "cosh", "sinc"] {
            assert!(same(unary(name)(-x), unary(name)(x)), "{name} at {x}");
        }
    }
}

#[test]
fn logarithms_of_powers_are_exact() {
    for k in -1_074..1_024 {
        assert_eq!(log2(2f64.powi(k / 2) * 2f64.powi(k - k / 2)), f64::from(k));
    }
    for k in 0..=22 {
        assert_eq!(log10(10f64.powi(k)), f64::from(k));
    }
}

#[test]
fn exponentials_underflow_gradually() {
    for k in 0..800 {
        let x = -708.0 - f64::from(k) * 0.05;
        let (found, other) = (exp(x), libm::exp(x));
        assert!((found - other).abs() <= TINY, "at {x}: {found:e} {other:e}");
    }
    assert_eq!(exp(709.782_712_893_384), 1.797_693_134_862_273_2e308);
    assert_eq!((exp(-745.0), pow(2.0, -1_074.0), pow(2.0, -1_076.0)), (TINY, TINY, 0.0));
}

#[test]
fn powers() {
    for (x, y, expected) in [
        (-2.0, 3.0, -8.0),
        (-2.0, 2.0, 4.0),
        (2.0, 0.5, std::f64::consts::SQRT_2),
        (3.0, 4.0, 81.0),
        (10.0, 22.0, 1e22),
        (9.0, 0.5, 3.0),
        (2.0, 1_023.0, 2f64.powi(1_023)),
        (-8.0, 1.0 / 3.0, NAN),
        (-1.0, INF, 1.0),
        (-1.0, -INF, 1.0),
        (0.5, INF, 0.0),
        (0.5, -INF, INF),
        (-2.0, INF, INF),
        (2.0, -INF, 0.0),
        (0.0, 3.0, 0.0),
        (-0.0, 3.0, -0.0),
        (-0.0, 2.0, 0.0),
        (-0.0, 0.5, 0.0),
        (0.0, -2.0, INF),
        (-0.0, -3.0, -INF),
        (-0.0, -0.5, INF),
        (0.0, INF, 0.0),
        (-0.0, -INF, INF),
        (INF, 2.0, INF),
        (INF, -2.0, 0.0),
        (-INF, 3.0, -INF),
        (-INF, 2.0, INF),
        (-INF, -3.0, -0.0),
        (-INF, 0.5, INF),
        (-INF, -0.5, 0.0),
        (2.0, f64::MAX, INF),
        (0.5, f64::MAX, 0.0),
        (-1.0, f64::MAX, 1.0),
        (1.0 + f64::EPSILON, 1e300, INF),
        (-2.0, -1_075.0, -0.0),
        (-1.0, 9_007_199_254_740_991.0, -1.0),
        (TINY, 1.0, TINY),
        (TINY, -1.0, INF),
        (f64::MAX, 1.0, f64::MAX),
        (2.0, TINY, 1.0),
    ] {
        let found = pow(x, y);
        assert!(same(found, expected), "pow({x:e}, {y:e}) = {found:e}, expected {expected:e}");
    }
    for x in [0.0, -0.0, 1.0, -3.0, INF, -INF, NAN, TINY, f64::MAX] {
        assert!(pow(x, 0.0) == 1.0 && pow(x, -0.0) == 1.0 && pow(1.0, x) == 1.0, "{x}");
        assert!(same(pow(x, 1.0), x), "{x:e}");
    }
    for n in 1..=30 {
        assert_eq!(pow(3.0, f64::from(n)), 3f64.powi(n), "exact, so any correct product is");
        assert_eq!(pow(-5.0, f64::from(n % 20)), (-5f64).powi(n % 20));
    }
}

#[test]
fn angles_of_all_quadrants() {
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
    for (y, x, expected) in [
        (0.0, 0.0, 0.0),
        (0.0, -0.0, PI),
        (0.0, 1.0, 0.0),
        (0.0, -1.0, PI),
        (1.0, 0.0, FRAC_PI_2),
        (1.0, -0.0, FRAC_PI_2),
        (1.0, 1.0, FRAC_PI_4),
        (1.0, -1.0, 3.0 * FRAC_PI_4),
        (INF, 1.0, FRAC_PI_2),
        (INF, -1.0, FRAC_PI_2),
        (INF, INF, FRAC_PI_4),
        (INF, -INF, 3.0 * FRAC_PI_4),
        (1.0, INF, 0.0),
        (1.0, -INF, PI),
        (0.0, INF, 0.0),
        (0.0, -INF, PI),
        (1e300, 1e-300, FRAC_PI_2),
        (1e-300, -1e300, PI),
        (1e-300, 1e300, 0.0),
        (TINY, TINY, FRAC_PI_4),
        (f64::MAX, -f64::MAX, 3.0 * FRAC_PI_4),
        (TINY, 2.0, 0.0),
        (3.0 * TINY, 1.0, 3.0 * TINY),
        (f64::MAX, 1.0, FRAC_PI_2),
    ] {
        for (y, expected) in [(y, expected), (-y, -expected)] {
            let found = atan2(y, x);
            assert!(same(found, expected), "atan2({y:e}, {x:e}) = {found:e}, expected {expected:e}");
        }
    }
}

#[test]
fn lengths() {
    for (x, y, expected) in [
        (3.0, 4.0, 5.0),
        (0.0, 0.0, 0.0),
        (-0.0, -0.0, 0.0),
        (0.0, -2.0, 2.0),
        (TINY, 0.0, TINY),
        (3.0 * TINY, 4.0 * TINY, 5.0 * TINY),
        (f64::MAX, 1.0, f64::MAX),
        (f64::MAX, f64::MAX, INF),
        (3e307, 4e307, 5e307),
        (INF, NAN, INF),
        (NAN, -INF, INF),
    ] {
        assert!(same(hypot(x, y), expected) && same(hypot(y, x), expected), "hypot({x:e}, {y:e}) = {:e}", hypot(x, y));
    }
}

/// Across the joints of their pieces functions grow as they should: a step back is at most two units of the last place.
#[test]
fn pieces_join() {
    let joints: &[(&str, &[f64])] = &[
        (
            "exp",
            &[
                0.346_573_590_279_972_6,
                -0.346_573_590_279_972_6,
                1.039_720_770_839_918,
                709.089_565_712_824_2,
                -708.396_418_532_264,
            ],
        ),
        ("expm1", &[0.346_573_590_279_972_6, -0.346_573_590_279_972_6, 5.551_115_123_125_783e-17, -60.0]),
        ("log", &[std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::SQRT_2, 1.0, f64::MIN_POSITIVE]),
        ("log2", &[std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::SQRT_2, 1.0, f64::MIN_POSITIVE]),
        ("log10", &[std::f64::consts::FRAC_1_SQRT_2, std::f64::consts::SQRT_2, 1.0, f64::MIN_POSITIVE]),
        ("log1p", &[-0.292_893_218_813_452_4, 0.414_213_562_373_095, 5.551_115_123_125_783e-17, 1e300]),
        ("sin", &[1e-8, std::f64::consts::FRAC_PI_4]),
        ("tan", &[1e-8, std::f64::consts::FRAC_PI_4]),
        ("atan", &[1e-8, 0.414_213_562_373_095, 2.414_213_562_373_095, 1e18]),
        ("asin", &[0.5]),
        ("sinh", &[1e-8, 0.346_573_590_279_972_6, 18.4, 37.0, 70.0]),
        ("cosh", &[0.346_573_590_279_972_6, 18.4, 37.0, 70.0]),
        ("tanh", &[1e-8, 0.346_573_590_279_972_6, 18.4]),
        ("erf", &[0.75, 2.0, 5.9]),
        ("cbrt", &[1.0, 2.0, 8.0, std::f64::consts::SQRT_2, 2.828_427_124_746_190_3]),
    ];
    for (name, joints) in joints {
        for joint in *joints {
            let at = |step: i64| {
                unary(name)(f64::from_bits(joint.to_bits().wrapping_add_signed(if *joint < 0.0 {
                    -step
                } else {
                    step
                })))
            };
            for step in -200..200 {
                let (before, after) = (at(step), at(step + 1));
                let back = before - after;
                assert!(back <= 2.0 * f64::EPSILON * before.abs(), "{name} falls by {back:e} near {joint}");
            }
        }
    }
}

#[test]
fn integer_powers() {
    for (x, n, expected) in [(2.0, 10, 1024.0), (-3.0, 3, -27.0), (2.0, -2, 0.25), (0.0, 0, 1.0), (7.0, 1, 7.0)] {
        assert_eq!(pow_int(x, n), expected);
    }
}
