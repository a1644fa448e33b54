//! e^x, e^x - 1.

use super::arithmetic::{Arithmetic, Bits};
use super::double::{Double, polynomial};

/// 1.5 2^52: adding it rounds to an integer, which then stands in the low bits.
pub(super) const ROUND: f64 = 6_755_399_441_055_744.0;

/// x = k ln 2 + r + r_low, `|r| <= 0.347`, with k standing in the low bits of `rounded`.
pub(super) struct Reduced<A> {
    pub(super) rounded: A,
    pub(super) k: A,
    pub(super) r: A,
    nearly: A,
}

impl<A: Arithmetic> Reduced<A> {
    /// For `|x| < 800`. k ln 2 is taken away in two parts: x - k LN2_HIGH is exact, because it cancels.
    #[inline(always)]
    pub(super) fn of(x: A) -> Self {
        let rounded = x.mul_add(A::constant(std::f64::consts::LOG2_E), A::constant(ROUND));
        let k = rounded - A::constant(ROUND);
        let nearly = k.mul_add(A::constant(-LN2_HIGH), x);
        Self { rounded, k, r: k.mul_add(A::constant(-LN2_LOW), nearly), nearly }
    }

    /// What rounding r has left out.
    #[inline(always)]
    pub(super) fn r_low(&self) -> A {
        self.k.mul_add(A::constant(-LN2_LOW), self.nearly - self.r)
    }
}

const LN2_HIGH: f64 = std::f64::consts::LN_2;
/// ln 2 minus its nearest f64.
const LN2_LOW: f64 = 2.319_046_813_846_299_6e-17;

/// (e^r - 1 - r)/r^2, by the Taylor series to degree 13 of e^r; the first neglected term is below 5e-18.
#[inline(always)]
fn second_order<A: Arithmetic>(r: A) -> A {
    polynomial(
        r,
        [
            0.5,
            1.0 / 6.0,
            1.0 / 24.0,
            1.0 / 120.0,
            1.0 / 720.0,
            1.0 / 5_040.0,
            1.0 / 40_320.0,
            1.0 / 362_880.0,
            1.0 / 3_628_800.0,
            1.0 / 39_916_800.0,
            1.0 / 479_001_600.0,
            1.0 / 6_227_020_800.0,
        ],
    )
}

/// `e 2^k`, k as it stands in the low bits of `rounded`, `|k| < 2000`.
#[inline(always)]
pub(super) fn scaled<A: Arithmetic>(e: A, rounded: A) -> A {
    e.scaled(rounded)
}

/// `e^x`. Error below 1 ulp, subnormal results included.
///
/// With k = x/ln 2 rounded to an integer and r = x - k ln 2, `|r| <= 0.347`, e^x = 2^k e^r, and e^r is its Taylor polynomial
/// of degree 13, whose first neglected term is below 5e-18. NaN stays NaN; beyond 709.79 the result is infinite, below -745.14 it is 0.
#[inline(always)]
pub fn exp<A: Arithmetic>(x: A) -> A {
    // Beyond these the result no longer changes.
    let x = A::constant(720.0).lesser(x);
    let x = A::constant(-760.0).greater(x);
    let reduced = Reduced::of(x);
    let r = reduced.r;
    let p = second_order(r);
    let e = A::constant(1.0) + r.mul_add(r * p, r);
    scaled(e, reduced.rounded)
}

/// `e^(x + x_low)` without its power of two, which [`scaled`] applies: as [`exp`], with what the roundings lost. x is held between
/// the limits of [`exp`].
#[inline(always)]
pub(super) fn exp_of_double<A: Arithmetic>(x: Double<A>) -> (Double<A>, A) {
    let held = A::constant(-760.0).greater(A::constant(720.0).lesser(x.high));
    let reduced = Reduced::of(held);
    let r = reduced.r;
    let product = r * second_order(r);
    let w = r.mul_add(product, r);
    let e = Double::sum(A::constant(1.0), w);
    let lost_in_w = r.mul_add(product, r - w);
    // e^(x_low) = 1 + x_low; where x was held, x_low may be anything
    let x_low = A::select(held.equals(x.high), x.low, A::constant(0.0));
    let low = e.high.mul_add(x_low + reduced.r_low(), e.low + lost_in_w);
    (Double { high: e.high, low }, reduced.rounded)
}

/// `e^x - 1`. Error below 1.4 ulp.
///
/// As [`exp`], with 2^k (1 + q) - 1 = (2^k - 1 + 2^k r) + 2^k (q - r), in which the first sum is known exactly. Zero keeps its sign.
#[inline(always)]
pub fn expm1<A: Arithmetic>(x: A) -> A {
    let held = A::constant(-60.0).greater(A::constant(709.9).lesser(x));
    let reduced = Reduced::of(held);
    let r = reduced.r;
    let rest = r.mul_add(r * second_order(r), reduced.r_low());
    // all by halves, because 2^1024 is no number
    let half = A::constant(0.5);
    let power = A::from_bits(reduced.rounded.to_bits().shl(52).plus(half.to_bits()));
    let base = power - half;
    let high = power.mul_add(r, base);
    let low = power.mul_add(r, base - high);
    let whole = high + power.mul_add(rest, low);
    // below 2^-54 e^x - 1 rounds to x, and halving a subnormal would not be exact
    A::select(x.abs().less(A::constant(5.551_115_123_125_783e-17)), x, whole + whole)
}
