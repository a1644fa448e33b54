//! Numbers of some 104 bits: the arithmetic of the reference.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number as an unevaluated sum of two f64, the second at most half a unit of the first one's last place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair(pub(super) f64, pub(super) f64);

impl Pair {
    pub(super) const ZERO: Self = Self(0.0, 0.0);
    pub(super) const ONE: Self = Self(1.0, 0.0);

    /// `a + b` exactly.
    pub(super) fn sum(a: f64, b: f64) -> Self {
        let s = a + b;
        let t = s - a;
        Self(s, (a - (s - t)) + (b - t))
    }

    /// `a b` exactly.
    pub(super) fn product(a: f64, b: f64) -> Self {
        let p = a * b;
        Self(p, a.mul_add(b, -p))
    }

    /// The sum of numbers, largest first.
    pub(super) fn of(parts: &[f64]) -> Self {
        parts.iter().rev().fold(Self::ZERO, |sum, part| sum + Self(*part, 0.0))
    }

    pub(super) fn sqrt(self) -> Self {
        if self.0 == 0.0 {
            return Self::ZERO;
        }
        let root = self.0.sqrt();
        let rest = self - Self::product(root, root);
        Self::sum(root, rest.0 / (2.0 * root))
    }

    /// `self 2^n`, without rounding unless the result is subnormal.
    pub(super) fn scaled(self, n: i32) -> Self {
        Self(scaled(self.0, n), scaled(self.1, n))
    }

    /// Without its sign.
    pub(super) fn abs(self) -> Self {
        if self.0 < 0.0 { -self } else { self }
    }
}

/// `x 2^n`, exactly unless the result or one on the way is subnormal.
pub(super) fn scaled(mut x: f64, mut n: i32) -> f64 {
    while n.abs() > 900 {
        let step = n.clamp(-900, 900);
        x *= 2f64.powi(step);
        n -= step;
    }
    x * 2f64.powi(n)
}

/// The exponent of the power of two at or below `|x|`, for finite x; that of the smallest number for 0.
pub(super) fn exponent(x: f64) -> i32 {
    if x == 0.0 {
        return -1_074;
    }
    let field = (x.to_bits() >> 52 & 0x7FF) as i32;
    if field == 0 { exponent(x * 2f64.powi(60)) - 60 } else { field - 1_023 }
}

impl Add for Pair {
    type Output = Self;

    fn add(self, o: Self) -> Self {
        let high = Self::sum(self.0, o.0);
        let low = Self::sum(self.1, o.1);
        let first = Self::sum(high.0, high.1 + low.0);
        Self::sum(first.0, first.1 + low.1)
    }
}

impl Neg for Pair {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}

impl Sub for Pair {
    type Output = Self;

    fn sub(self, o: Self) -> Self {
        self + -o
    }
}

impl Mul for Pair {
    type Output = Self;

    fn mul(self, o: Self) -> Self {
        let p = Self::product(self.0, o.0);
        Self::sum(p.0, p.1 + (self.0 * o.1 + self.1 * o.0))
    }
}

impl Mul<f64> for Pair {
    type Output = Self;

    fn mul(self, o: f64) -> Self {
        self * Self(o, 0.0)
    }
}

impl Div for Pair {
    type Output = Self;

    fn div(self, o: Self) -> Self {
        let q = self.0 / o.0;
        let rest = self - o * q;
        let r = rest.0 / o.0;
        let rest = rest - o * r;
        Self::sum(q, r) + Self(rest.0 / o.0, 0.0)
    }
}

impl Div<f64> for Pair {
    type Output = Self;

    fn div(self, o: f64) -> Self {
        self / Self(o, 0.0)
    }
}
