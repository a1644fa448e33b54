//! sinh, cosh, tanh.
//!
//! With `|x|` = k ln 2 + r and e^r = c + s, c the even part cosh r and s the odd part sinh r,
//!
//! ```text
//! 2 sinh |x| = (2^k - 2^-k) c + (2^k + 2^-k) s
//! 2 cosh  x  = (2^k + 2^-k) c + (2^k - 2^-k) s
//! ```
//!
//! so nothing cancels near 0 (where k = 0) and no division is needed.

use super::arithmetic::{Arithmetic, Bits};
use super::double::{Double, polynomial, with_sign_of};
use super::exponential::{ROUND, Reduced};

/// (2^k - 2^-k)/4 and (2^k + 2^-k)/4, and sinh r, cosh r in parts.
struct Halves<A> {
    difference: Double<A>,
    sum: Double<A>,
    r: A,
    /// sinh r - r.
    odd: A,
    /// cosh r - 1.
    even: A,
}

/// For `size >= 0`; beyond 710.6 it is taken for 710.6.
#[inline(always)]
fn halves<A: Arithmetic>(size: A) -> Halves<A> {
    let reduced = Reduced::of(A::constant(710.6).lesser(size));
    let r = reduced.r;
    let u = r * r;
    let even = u * polynomial(u, COSH);
    let odd = (r * u).mul_add(polynomial(u, SINH), reduced.r_low());
    let quarter = A::constant(0.25).to_bits();
    let grown = A::from_bits(quarter.plus(reduced.rounded.to_bits().shl(52)));
    // 2^-k is of no account from k = 54 on, and no number of its own from k = 1075 on
    let k = A::constant(ROUND + 100.0).lesser(reduced.rounded);
    let shrunk = A::from_bits(quarter.minus(k.to_bits().shl(52)));
    Halves { difference: Double::sum(grown, -shrunk), sum: Double::sum(grown, shrunk), r, odd, even }
}

/// Both as a rounded number and what is to be added to it, which is smaller but not yet a rounding error.
impl<A: Arithmetic> Halves<A> {
    /// (sinh x)/2.
    #[inline(always)]
    fn sinh(&self) -> Double<A> {
        self.combined(self.difference, self.sum)
    }

    /// (cosh x)/2.
    #[inline(always)]
    fn cosh(&self) -> Double<A> {
        self.combined(self.sum, self.difference)
    }

    /// c `with_even` + s `with_odd`.
    #[inline(always)]
    fn combined(&self, with_even: Double<A>, with_odd: Double<A>) -> Double<A> {
        let (a, b) = (with_even.high, with_odd.high);
        let high = b.mul_add(self.r, a);
        let lost = b.mul_add(self.r, a - high) + with_even.low;
        Double { high, low: a.mul_add(self.even, b.mul_add(self.odd, lost)) }
    }
}

/// (cosh sqrt u - 1)/u, minimax for `u <= 0.1202`; relative error of cosh below 2^-57.
const COSH: [f64; 5] =
    [0.5, 0.041_666_666_666_603_6, 0.001_388_888_892_695_167_4, 2.480_150_848_043_011_6e-5, 2.762_526_881_529_05e-7];

/// (sinh r/r - 1)/u at u = r^2, minimax for `u <= 0.1202`; relative error of sinh below 2^-61.
const SINH: [f64; 5] = [
    0.166_666_666_666_666_77,
    0.008_333_333_333_321_376,
    0.000_198_412_698_867_796_12,
    2.755_724_357_717_033_6e-6,
    2.510_924_558_216_362_6e-8,
];

/// The hyperbolic sine. Error below 0.9 ulp. Odd, signed zeros and infinities included.
#[inline(always)]
pub fn sinh<A: Arithmetic>(x: A) -> A {
    let size = x.abs();
    let half = halves(size).sinh().value();
    // x^3/6 rounds away; and a quarter of a subnormal is not exact
    let result = A::select(size.less(A::constant(1e-8)), size, half + half);
    with_sign_of(result, x)
}

/// The hyperbolic cosine. Error below 0.8 ulp.
#[inline(always)]
pub fn cosh<A: Arithmetic>(x: A) -> A {
    let half = halves(x.abs()).cosh().value();
    half + half
}

/// The hyperbolic tangent: sinh over cosh, both as sums of two numbers. Error below 1.05 ulp. Odd; 1 from 19.1 on.
#[inline(always)]
pub fn tanh<A: Arithmetic>(x: A) -> A {
    let size = x.abs();
    let halves = halves(A::constant(22.0).lesser(size));
    let [sinh, cosh] = [halves.sinh(), halves.cosh()].map(|sum| Double::sum(sum.high, sum.low));
    let quotient = sinh.over(cosh).value();
    let result = A::select(size.less(A::constant(1e-8)), size, quotient);
    with_sign_of(result, x)
}
