//! The numbers that a model may be computed in: f64, or f32 where a fit allows that for a while.
//!
//! [`Real`] is what the opcode table (`expr::ops`) is written in, so an operation has one definition for both. Neither type
//! calls the host's C library: see [`crate::math`] for the functions.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::math::{self, single};

/// f64 or f32, with the elementary functions of the project.
pub trait Real:
    Copy
    + Debug
    + Default
    + Functions
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// The nearest number to an f64.
    fn nearest(value: f64) -> Self;

    /// The same number as an f64.
    fn widen(self) -> f64;

    /// Whether it is NaN.
    fn is_nan(self) -> bool;

    /// `|x|`.
    fn abs(self) -> Self;
}

macro_rules! real {
    ($type:ty) => {
        impl Real for $type {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            #[inline(always)]
            fn nearest(value: f64) -> Self {
                value as Self
            }

            #[inline(always)]
            fn widen(self) -> f64 {
                self.into()
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                <$type>::is_nan(self)
            }

            #[inline(always)]
            fn abs(self) -> Self {
                <$type>::abs(self)
            }
        }
    };
}

real!(f64);
real!(f32);

/// Adds the elementary functions, which have the same names everywhere.
macro_rules! functions {
    (unary { $($unary:ident)* } binary { $($binary:ident)* }) => {
        /// The elementary functions of [`crate::math`].
        #[allow(missing_docs)]
        pub trait Functions: Sized {
            $(fn $unary(self) -> Self;)*
            $(fn $binary(self, other: Self) -> Self;)*
        }

        impl Functions for f64 {
            $(#[inline(always)] fn $unary(self) -> Self { math::$unary(self) })*
            $(#[inline(always)] fn $binary(self, other: Self) -> Self { math::$binary(self, other) })*
        }

        impl Functions for f32 {
            $(#[inline(always)] fn $unary(self) -> Self { single::$unary(self) })*
            $(#[inline(always)] fn $binary(self, other: Self) -> Self { single::$binary(self, other) })*
        }
    };
}

functions! {
    unary {
        sqrt cbrt exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh erf erfc sinc sinc_slope
    }
    binary { pow hypot atan2 }
}
