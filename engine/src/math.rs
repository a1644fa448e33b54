//! Elementary functions, the only ones any kernel calls.
//!
//! Each is written once, generic over [`Arithmetic`](arithmetic::Arithmetic): chains of fused multiply-adds, divisions and selections
//! without branches, tables or conversions to integers. The functions here are their scalar form; an interpreter over vectors, or a
//! compiler that records the operations, has the same bits. [`single`] holds the same functions in f32.
//!
//! Errors are in units of the last place of the exact result (ulp): bounds that 100,000 to a million arguments of difficult kinds kept
//! (`tests/accuracy.rs`, which holds every function to the bound stated), against a reference of 97 bits or more (`tests/exact.rs`).
//! The polynomials come from scripts/math_polynomials.py.

pub mod arithmetic;
mod double;
pub mod error_function;
pub mod exponential;
pub mod hyperbolic;
pub mod inverse;
pub mod logarithm;
pub mod power;
mod reduction;
pub mod single;
mod slow;
pub mod trigonometric;

use crate::real::Real;

pub use slow::Slow;

macro_rules! scalar {
    ($($family:ident { $($name:ident($($x:ident),+))+ })+) => {
        $($(
            #[doc = concat!("[`", stringify!($family), "::", stringify!($name), "`] of a number.")]
            #[inline(always)]
            pub fn $name($($x: f64),+) -> f64 {
                $family::$name($($x),+)
            }
        )+)+
    };
}

scalar! {
    exponential { exp(x) expm1(x) }
    logarithm { log(x) log1p(x) log2(x) log10(x) }
    power { pow(x, y) cbrt(x) hypot(x, y) }
    trigonometric { sin(x) cos(x) tan(x) sinc(x) sinc_slope(x) }
    inverse { asin(x) acos(x) atan(x) atan2(y, x) }
    hyperbolic { sinh(x) cosh(x) tanh(x) }
    error_function { erf(x) erfc(x) }
}

/// The square root, which IEEE 754 rounds correctly everywhere; the compiler turns it into vectors.
#[inline(always)]
pub fn sqrt(x: f64) -> f64 {
    x.sqrt()
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
mod tests;
