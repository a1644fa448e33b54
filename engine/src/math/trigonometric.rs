//! sin, cos, tan, sin(x)/x and its slope.
//!
//! x = k pi/2 + r. Both sin r and cos r are computed, and k says which is wanted and with which sign; so sin x and cos x of one argument
//! cost hardly more than one of them, where a compiler or a recorder sees that they do the same.

use super::arithmetic::{Arithmetic, Bits};
use super::double::{Double, SIGN, exact, polynomial, turned_by, with_sign_of};
use super::exponential::ROUND;
use super::slow::Slow;

/// Arguments above are reduced by all the bits of 2/pi that they need, one by one.
const FAR: f64 = 2_097_152.0;

/// pi/2 in two parts of 53 bits.
pub(super) const HALF_PI: [f64; 2] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17];

/// Where x lies: r from the next multiple k of pi/2, `|r| <= 0.7854`.
#[derive(Clone, Copy)]
pub(super) struct Quadrant<A> {
    /// 0 or 2 for even and odd k, negative for k = 2 and 3 modulo 4.
    pub(super) turn: A,
    pub(super) r: Double<A>,
}

/// For `|x| <= 2^21`, in three parts: x - k PARTS[0] is exact, because it cancels, k PARTS[1] is exact, because PARTS[1] has 32 bits
/// and k 21, and no f64 lies nearer than 2^-61 to a multiple of pi/2, where what the third part lacks, below 2^-118, is of no account
/// (W. J. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980, chapter 8; J.-M. Muller, "Elementary Functions",
/// chapter on range reduction).
#[inline(always)]
pub(super) fn reduce<A: Arithmetic>(x: A) -> Quadrant<A> {
    /// pi/2: 53 bits, 32 bits, 53 bits.
    const PARTS: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.12323399409214e-17, 1.6446256936324258e-26];
    let [first, second, third] = PARTS.map(|part| A::constant(-part));
    let rounded = x.mul_add(A::constant(std::f64::consts::FRAC_2_PI), A::constant(ROUND));
    let k = rounded - A::constant(ROUND);
    let nearly = k.mul_add(first, x);
    let high = k.mul_add(second, nearly);
    let low = k.mul_add(third, k.mul_add(second, nearly - high));
    Quadrant { turn: A::from_bits(rounded.to_bits().shl(62)), r: Double { high, low } }
}

/// (sin r/r - 1)/z at z = r^2, minimax for `|r| <= pi/4`; relative error of the sine below 2^-57.
const SIN: [f64; 6] = [
    -0.166_666_666_666_666_3,
    0.008_333_333_333_321_84,
    -0.000_198_412_698_293_586_66,
    2.755_731_353_861_208e-6,
    -2.505_073_441_065_355_5e-8,
    1.589_543_474_603_546e-10,
];

/// (cos r - 1 + z/2)/z^2 at z = r^2, minimax for `|r| <= pi/4`; relative error of the cosine below 2^-63.
const COS: [f64; 6] = [
    0.041_666_666_666_666_595,
    -0.001_388_888_888_887_334,
    2.480_158_728_899_963_6e-5,
    -2.755_731_421_606_99e-7,
    2.087_570_523_360_041e-9,
    -1.135_873_943_612_442_8e-11,
];

/// sin r and cos r, each as a rounded number and what is to be added to it (not yet a rounding error).
#[inline(always)]
fn waves<A: Arithmetic>(r: Double<A>) -> [(A, A); 2] {
    let one = A::constant(1.0);
    let z = r.high * r.high;
    let minus_half = r.high * A::constant(-0.5);
    let w = minus_half.mul_add(r.high, one);
    let lost = minus_half.mul_add(r.high, one - w);
    let sin = (z * r.high).mul_add(polynomial(z, SIN), r.low * w);
    let cos = r.high.mul_add(-r.low, (z * z).mul_add(polynomial(z, COS), lost));
    [(r.high, sin), (w, cos)]
}

impl<A: Arithmetic> Quadrant<A> {
    #[inline(always)]
    fn is_even(&self) -> A::Mask {
        self.turn.equals(A::constant(0.0))
    }

    /// The sign bit of the cosine's sign: k = 1 and 2 modulo 4.
    #[inline(always)]
    fn cos_sign(&self) -> A::Bits {
        let turn = self.turn.to_bits();
        turn ^ turn.shl(1)
    }

    #[inline(always)]
    pub(super) fn sin(self) -> A {
        let [sin, cos] = waves(self.r).map(|(a, b)| a + b);
        turned_by(A::select(self.is_even(), sin, cos), self.turn.to_bits())
    }

    #[inline(always)]
    pub(super) fn cos(self) -> A {
        let [sin, cos] = waves(self.r).map(|(a, b)| a + b);
        turned_by(A::select(self.is_even(), cos, sin), self.cos_sign())
    }

    #[inline(always)]
    pub(super) fn tan(self) -> A {
        let [sin, cos] = waves(self.r).map(|(a, b)| Double::sum(a, b));
        let even = self.is_even();
        let quotient = choose(even, sin, cos).over(choose(even, cos, sin)).value();
        // minus the cotangent for odd k: bit 0 of k is bit 62 of turn
        turned_by(quotient, self.turn.to_bits().shl(1))
    }

    /// sin x and cos x with what their roundings lose.
    #[inline(always)]
    fn doubles(self) -> [Double<A>; 2] {
        let [sin, cos] = waves(self.r).map(|(a, b)| Double::sum(a, b));
        let even = self.is_even();
        [turned(choose(even, sin, cos), self.turn.to_bits()), turned(choose(even, cos, sin), self.cos_sign())]
    }

    /// sin x/x.
    #[inline(always)]
    pub(super) fn sinc(self, x: A) -> A {
        self.doubles()[0].over(exact(x)).value()
    }

    /// (cos x - sin x/x)/x.
    #[inline(always)]
    pub(super) fn sinc_slope(self, x: A) -> A {
        let [sin, cos] = self.doubles();
        let sinc = sin.over(exact(x));
        let high = cos.high - sinc.high;
        // the exact error of a difference whose larger part is not known: D. E. Knuth, "The Art of Computer Programming" 2, 4.2.2
        let back = high - cos.high;
        let lost = (cos.high - (high - back)) - (sinc.high + back);
        Double { high, low: lost + (cos.low - sinc.low) }.over(exact(x)).value()
    }
}

#[inline(always)]
fn choose<A: Arithmetic>(mask: A::Mask, yes: Double<A>, no: Double<A>) -> Double<A> {
    Double { high: A::select(mask, yes.high, no.high), low: A::select(mask, yes.low, no.low) }
}

#[inline(always)]
fn turned<A: Arithmetic>(x: Double<A>, sign: A::Bits) -> Double<A> {
    Double { high: turned_by(x.high, sign), low: turned_by(x.low, sign) }
}

/// The sine, for every number. Error below 0.75 ulp. Odd; NaN at infinity.
#[inline(always)]
pub fn sin<A: Arithmetic>(x: A) -> A {
    let size = x.abs();
    let near = reduce(x).sin();
    let result = A::rarely(A::constant(FAR).less(size), near, Slow::Sin, x, x);
    // x^3/6 rounds away, and -0 stays what it is
    A::select(size.less(A::constant(1e-8)), x, result)
}

/// The cosine, for every number. Error below 0.75 ulp. NaN at infinity.
#[inline(always)]
pub fn cos<A: Arithmetic>(x: A) -> A {
    A::rarely(A::constant(FAR).less(x.abs()), reduce(x).cos(), Slow::Cos, x, x)
}

/// The tangent, for every number: sine over cosine, both as sums of two numbers. Error below 0.85 ulp. Odd; NaN at infinity.
#[inline(always)]
pub fn tan<A: Arithmetic>(x: A) -> A {
    let size = x.abs();
    let result = A::rarely(A::constant(FAR).less(size), reduce(x).tan(), Slow::Tan, x, x);
    A::select(size.less(A::constant(1e-8)), x, result)
}

/// `sin(x)/x`, and 1 at 0. Error below 0.75 ulp. NaN at infinity.
#[inline(always)]
pub fn sinc<A: Arithmetic>(x: A) -> A {
    let size = x.abs();
    let result = A::rarely(A::constant(FAR).less(size), reduce(x).sinc(x), Slow::Sinc, x, x);
    A::select(size.less(A::constant(1e-8)), A::constant(1.0), result)
}

/// The slope of sinc near 0: `x (-1/3 + z S(z))` at z = x^2, minimax for `|x| <= 1.6`, where its
/// relative error is below 2^-63. The first entry is -1/3 minus its nearest f64.
const SLOPE: [f64; 9] = [
    -1.848_805_487_199_102_8e-17,
    0.033_333_333_333_333_33,
    -0.001_190_476_190_476_184_5,
    2.204_585_537_916_088_4e-5,
    -2.505_210_837_929_853_7e-7,
    1.927_085_186_651_011_3e-9,
    -1.070_597_814_299_598_6e-11,
    4.496_292_192_709_949e-14,
    -1.436_037_096_095_990_7e-16,
];

/// Derivative of [`sinc`]: `(cos(x) - sinc(x))/x`, and 0 at 0. NaN at infinity.
///
/// The quotient cancels near 0; below `|x| = 1.6` a polynomial takes its place. Error below 1 ulp up to `|x| = 3`; beyond, where the
/// slope has zeros, below 0.7 units of the last place of 1/x.
#[inline(always)]
pub fn sinc_slope<A: Arithmetic>(x: A) -> A {
    let size = x.abs();
    let z = size * size;
    let near = size.mul_add(A::constant(-1.0 / 3.0), size * polynomial(z, SLOPE));
    let quotient = A::rarely(A::constant(FAR).less(size), reduce(size).sinc_slope(size), Slow::SincSlope, size, size);
    let result = A::select(size.less(A::constant(1.6)), near, quotient);
    turned_by(result, with_sign_of(A::constant(0.0), x).to_bits() & A::Bits::constant(SIGN))
}
