//! What elementary functions are written in: a few operations, each of them one operation of IEEE 754 or on 64 bits.
//!
//! A function that is generic over [`Arithmetic`] is at once the scalar reference, the body of a vector loop, and, where the type records
//! what is done to it, the text of a kernel for another machine. Since every operation is exactly rounded and written out (fused
//! multiply-adds too), all of them give the same bits. A NaN stays a NaN everywhere; its sign and payload are not promised.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use super::slow::Slow;

/// A number of 64 bits, several of them, or a recording of them.
///
/// `+ - * /`, [`mul_add`](Self::mul_add) and [`sqrt`](Self::sqrt) round once, to nearest, ties to even; a compiler must not contract or
/// reassociate them. Subnormal numbers are kept.
pub trait Arithmetic:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// One truth value for each number.
    type Mask: Copy + BitAnd<Output = Self::Mask> + BitOr<Output = Self::Mask> + Not<Output = Self::Mask>;

    /// The 64 bits of each number.
    type Bits: Bits;

    /// The same number everywhere.
    fn constant(value: f64) -> Self;

    /// `self b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;

    /// The square root.
    fn sqrt(self) -> Self;

    /// The number without its sign.
    fn abs(self) -> Self;

    /// `self < other`; false where one is NaN.
    fn less(self, other: Self) -> Self::Mask;

    /// `self <= other`; false where one is NaN.
    fn at_most(self, other: Self) -> Self::Mask;

    /// `self == other`: true for zeros of either sign, false where one is NaN.
    fn equals(self, other: Self) -> Self::Mask;

    /// `yes` where the mask is set, else `no`. Both are computed.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// The bits of the number.
    fn to_bits(self) -> Self::Bits;

    /// The number that has these bits.
    fn from_bits(bits: Self::Bits) -> Self;

    /// `value`, but where `mask` is set `slow` of `x` (and of `y`, if it has two arguments), computed number by number: for arguments
    /// that the fast formula does not serve and that hardly occur.
    fn rarely(mask: Self::Mask, value: Self, slow: Slow, x: Self, y: Self) -> Self;

    /// `self 2^k`, rounded once, where `rounded = 1.5 2^52 + k` and `|k| < 2000`: 2^k is applied in two factors, of which the first loses
    /// nothing.
    #[inline(always)]
    fn scaled(self, rounded: Self) -> Self {
        /// The bits of 1.
        const ONE: u64 = 0x3FF0_0000_0000_0000;
        let k = rounded.to_bits();
        let half = k.shr(1);
        // what stands above the low twelve bits of either goes over the edge
        let power_of_two = |k: Self::Bits| Self::from_bits(k.shl(52).plus(Self::Bits::constant(ONE)));
        self * power_of_two(half) * power_of_two(k.minus(half))
    }

    /// `self` where `self < other`, else `other`: what x86 calls a minimum, so one instruction there. A NaN in `other` stays.
    #[inline(always)]
    fn lesser(self, other: Self) -> Self {
        Self::select(self.less(other), self, other)
    }

    /// `self` where `self > other`, else `other`. A NaN in `other` stays.
    #[inline(always)]
    fn greater(self, other: Self) -> Self {
        Self::select(other.less(self), self, other)
    }
}

/// 64 bits, as an integer without sign that wraps around.
pub trait Bits: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + BitXor<Output = Self> {
    /// The same bits everywhere.
    fn constant(value: u64) -> Self;

    /// The sum modulo 2^64.
    fn plus(self, other: Self) -> Self;

    /// The difference modulo 2^64.
    fn minus(self, other: Self) -> Self;

    /// Shifted towards the high end by `count < 64`, zeros coming in.
    fn shl(self, count: u32) -> Self;

    /// Shifted towards the low end by `count < 64`, zeros coming in.
    fn shr(self, count: u32) -> Self;
}

/// The scalar reference.
impl Arithmetic for f64 {
    type Mask = bool;
    type Bits = u64;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn mul_add(self, b: Self, c: Self) -> Self {
        f64::mul_add(self, b, c)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }

    #[inline(always)]
    fn less(self, other: Self) -> bool {
        self < other
    }

    #[inline(always)]
    fn at_most(self, other: Self) -> bool {
        self <= other
    }

    #[inline(always)]
    fn equals(self, other: Self) -> bool {
        self == other
    }

    #[inline(always)]
    fn select(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }

    #[inline(always)]
    fn to_bits(self) -> u64 {
        f64::to_bits(self)
    }

    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }

    #[inline(always)]
    fn rarely(mask: bool, value: Self, slow: Slow, x: Self, y: Self) -> Self {
        if mask { slow.apply(x, y) } else { value }
    }
}

impl Bits for u64 {
    #[inline(always)]
    fn constant(value: u64) -> Self {
        value
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline(always)]
    fn shl(self, count: u32) -> Self {
        self << count
    }

    #[inline(always)]
    fn shr(self, count: u32) -> Self {
        self >> count
    }
}
