//! Elementary functions, the only ones any kernel calls.
//!
//! They come from `libm` (pure Rust, no call into the host's C library), so a model has the same bits on every host of a
//! device class. Faster, vectorised forms replace them here and nowhere else.

pub use libm::{
    acos, asin, atan, atan2, cbrt, cos, cosh, erf, erfc, exp, expm1, hypot, log, log1p, log2, log10, pow, sin, sinh,
    sqrt, tan, tanh,
};

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
pub fn pow_int(x: f64, n: i32) -> f64 {
    let mut exponent = n.unsigned_abs();
    let mut square = x;
    let mut product = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            product *= square;
        }
        exponent >>= 1;
        if exponent > 0 {
            square *= square;
        }
    }
    if n < 0 { 1.0 / product } else { product }
}
