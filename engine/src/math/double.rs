//! Numbers as unevaluated sums of two, for the steps that one rounding would spoil.
//!
//! The exact sum and product of two numbers are Theorems 3 and 6 of T. J. Dekker, "A floating-point technique for extending the available
//! precision", Numerische Mathematik 18 (1971); the product by fused multiply-add is in every textbook since.

use super::arithmetic::{Arithmetic, Bits};

/// The sign bit.
pub(super) const SIGN: u64 = 1 << 63;

/// A number as `high + low`, low being of the order of a rounding error of high.
#[derive(Clone, Copy)]
pub(super) struct Double<A> {
    pub(super) high: A,
    pub(super) low: A,
}

impl<A: Arithmetic> Double<A> {
    /// `a + b` exactly, for `|a| >= |b|` or a = 0. [2 operations after the sum]
    #[inline(always)]
    pub(super) fn sum(a: A, b: A) -> Self {
        let high = a + b;
        Self { high, low: (a - high) + b }
    }

    /// `a b` exactly, unless it underflows.
    #[inline(always)]
    pub(super) fn product(a: A, b: A) -> Self {
        let high = a * b;
        Self { high, low: a.mul_add(b, -high) }
    }

    /// The number that both parts make.
    #[inline(always)]
    pub(super) fn value(self) -> A {
        self.high + self.low
    }

    /// `self / d` with a relative error of some 2^-100, by one division: q = n/d, and what n - q d leaves over, times 1/d. Needs a
    /// divisor whose reciprocal is normal.
    #[inline(always)]
    pub(super) fn over(self, d: Self) -> Self {
        let inverse = A::constant(1.0) / d.high;
        let high = self.high * inverse;
        let minus = -high;
        let left_over = minus.mul_add(d.high, self.high) + minus.mul_add(d.low, self.low);
        Self { high, low: left_over * inverse }
    }
}

/// A number known exactly.
#[inline(always)]
pub(super) fn exact<A: Arithmetic>(value: A) -> Double<A> {
    Double { high: value, low: A::constant(0.0) }
}

/// `c[0] + c[1] x + c[2] x^2 + ...` by Horner's rule.
#[inline(always)]
pub(super) fn polynomial<A: Arithmetic, const N: usize>(x: A, c: [f64; N]) -> A {
    let mut sum = A::constant(c[N - 1]);
    for k in (0..N - 1).rev() {
        sum = sum.mul_add(x, A::constant(c[k]));
    }
    sum
}

/// `size` with the sign of `sign`; `size` must have none.
#[inline(always)]
pub(super) fn with_sign_of<A: Arithmetic>(size: A, sign: A) -> A {
    A::from_bits(size.to_bits() | (sign.to_bits() & A::Bits::constant(SIGN)))
}

/// `x`, its sign turned where `sign` has one.
#[inline(always)]
pub(super) fn turned_by<A: Arithmetic>(x: A, sign: A::Bits) -> A {
    A::from_bits(x.to_bits() ^ (sign & A::Bits::constant(SIGN)))
}
