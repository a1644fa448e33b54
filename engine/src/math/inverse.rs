//! atan, atan2, asin, acos.

use super::arithmetic::{Arithmetic, Bits};
use super::double::{Double, SIGN, exact, polynomial, turned_by, with_sign_of};
use super::slow::Slow;
use super::trigonometric::HALF_PI;

/// tan(pi/8) and its reciprocal: where the three reductions of the arctangent meet.
const LOW_JOINT: f64 = 0.414_213_562_373_095_03;
const HIGH_JOINT: f64 = 2.414_213_562_373_095;

const QUARTER_PI: [f64; 2] = [std::f64::consts::FRAC_PI_4, 3.061_616_997_868_383e-17];
const THREE_QUARTER_PI: [f64; 2] = [2.356_194_490_192_345, 9.184_850_993_605_148e-17];
const PI: [f64; 2] = [std::f64::consts::PI, 1.224_646_799_147_353_2e-16];

/// (atan t/t - 1)/z at z = t^2, minimax for `|t| <= tan(pi/8)`; relative error of the arctangent below 2^-59.
const ATAN: [f64; 11] = [
    -0.333_333_333_333_332,
    0.199_999_999_999_536_66,
    -0.142_857_142_801_994_38,
    0.111_111_107_835_251_2,
    -0.090_908_977_592_548_86,
    0.076_920_602_497_767_18,
    -0.066_631_045_950_656_41,
    0.058_478_945_159_098_7,
    -0.050_393_339_575_778_02,
    0.038_065_451_334_700_82,
    -0.017_908_344_457_835_342,
];

/// atan(t + t_low) - t.
#[inline(always)]
fn tail<A: Arithmetic>(t: Double<A>) -> A {
    let z = t.high * t.high;
    (t.high * z).mul_add(polynomial(z, ATAN), z.mul_add(-t.low, t.low))
}

/// `base + high + rest`, base being 0 or larger than high.
#[inline(always)]
fn on_top_of<A: Arithmetic>(base: Double<A>, high: A, rest: A) -> A {
    let sum = Double::sum(base.high, high);
    sum.high + (sum.low + (rest + base.low))
}

/// One of three angles, as sums of two numbers.
#[inline(always)]
fn one_of<A: Arithmetic>(low: A::Mask, high: A::Mask, angles: [[f64; 2]; 3]) -> Double<A> {
    let pick = |i: usize| {
        let [at_low, between, at_high] = angles.map(|angle| A::constant(angle[i]));
        A::select(low, at_low, A::select(high, at_high, between))
    };
    Double { high: pick(0), low: pick(1) }
}

const FIRST_QUADRANT: [[f64; 2]; 3] = [[0.0; 2], QUARTER_PI, HALF_PI];
const SECOND_QUADRANT: [[f64; 2]; 3] = [PI, THREE_QUARTER_PI, HALF_PI];

/// The arctangent, from -pi/2 to pi/2. Error below 0.7 ulp. Odd.
///
/// The argument a is taken as it is below tan(pi/8), as (a - 1)/(a + 1) around pi/4 and as -1/a from pi/2 above 1/tan(pi/8); the
/// quotient is known to some 100 bits.
#[inline(always)]
pub fn atan<A: Arithmetic>(x: A) -> A {
    let one = A::constant(1.0);
    let a = A::constant(1e18).lesser(x.abs());
    let low = a.at_most(A::constant(LOW_JOINT));
    let high = A::constant(HIGH_JOINT).less(a);
    let zero = A::constant(0.0);
    // both exact between the joints
    let (minus, plus) = (Double::sum(-one, a), Double::sum(one, a));
    let n = Double {
        high: A::select(low, a, A::select(high, -one, minus.high)),
        low: A::select(low | high, zero, minus.low),
    };
    let d =
        Double { high: A::select(low, one, A::select(high, a, plus.high)), low: A::select(low | high, zero, plus.low) };
    let t = n.over(d);
    let result = on_top_of(one_of(low, high, FIRST_QUADRANT), t.high, tail(t));
    // x^3/3 rounds away, and so do the last bits of a subnormal quotient
    with_sign_of(A::select(a.less(A::constant(1e-8)), a, result), x)
}

/// `a + b` exactly, whichever is larger (D. E. Knuth, "The Art of Computer Programming" 2, section 4.2.2).
#[inline(always)]
fn sum_of_any<A: Arithmetic>(a: A, b: A) -> Double<A> {
    let high = a + b;
    let back = high - a;
    Double { high, low: (a - (high - back)) + (b - back) }
}

/// The angle of the point (x, y), from -pi to pi: [`atan`] of y/x with the quadrant. Error below 0.7 ulp. Zeros and infinities as in IEEE 754-2019,
/// section 9.2.1.
#[inline(always)]
pub fn atan2<A: Arithmetic>(y: A, x: A) -> A {
    /// Between these no quotient of the fast formula leaves the normal numbers.
    const SMALL: f64 = 3.054_936_363_499_605e-151;
    const LARGE: f64 = 3.273_390_607_896_142e150;
    let (a, b) = (y.abs(), x.abs());
    let inside = A::constant(SMALL).less(a)
        & A::constant(SMALL).less(b)
        & a.less(A::constant(LARGE))
        & b.less(A::constant(LARGE));
    let low = a.at_most(b * A::constant(LOW_JOINT));
    let high = (b * A::constant(HIGH_JOINT)).less(a);
    let zero = A::constant(0.0);
    let (minus, plus) = (sum_of_any(a, -b), sum_of_any(a, b));
    let n = Double {
        high: A::select(low, a, A::select(high, -b, minus.high)),
        low: A::select(low | high, zero, minus.low),
    };
    let d =
        Double { high: A::select(low, b, A::select(high, a, plus.high)), low: A::select(low | high, zero, plus.low) };
    let t = n.over(d);
    let left = x.less(zero);
    let (first, second) = (one_of::<A>(low, high, FIRST_QUADRANT), one_of::<A>(low, high, SECOND_QUADRANT));
    let base = Double { high: A::select(left, second.high, first.high), low: A::select(left, second.low, first.low) };
    let angle = on_top_of(base, turned_by(t.high, x.to_bits()), turned_by(tail(t), x.to_bits()));
    A::rarely(!inside, with_sign_of(angle, y), Slow::Atan2, y, x)
}

/// (asin s/s - 1)/u at u = s^2, minimax for `|s| <= 1/2`; relative error of the arcsine below 2^-59.
const ASIN: [f64; 13] = [
    0.166_666_666_666_667_6,
    0.074_999_999_999_708_58,
    0.044_642_857_174_572_67,
    0.030_381_942_709_167_813,
    0.022_372_214_958_705_387,
    0.017_351_612_394_691_865,
    0.013_980_817_316_694_78,
    0.011_398_929_584_356_68,
    0.010_780_198_599_115_698,
    0.003_706_473_527_264_703,
    0.021_707_584_509_542_827,
    -0.020_999_621_668_583_18,
    0.032_629_174_006_800_224,
];

/// Whether `a > 1/2`; s; asin s - s: s is a, or the root of (1 - a)/2 where a is above 1/2. NaN for a > 1.
#[inline(always)]
fn half_angle<A: Arithmetic>(a: A) -> (A::Mask, A, A) {
    let half = A::constant(0.5);
    let above = half.less(a);
    let u = A::select(above, half - half * a, a * a);
    let root = u.sqrt();
    let lost = root.mul_add(-root, u) / (A::constant(1e-300).greater(root) + root);
    let s = A::select(above, root, a);
    let lost = A::select(above, lost, A::constant(0.0));
    (above, s, (s * u).mul_add(polynomial(u, ASIN), lost))
}

/// The arcsine, from -pi/2 to pi/2. Error below 0.65 ulp. Odd; NaN for `|x| > 1`.
///
/// Above `|x| = 1/2`: asin x = pi/2 - 2 asin sqrt((1 - x)/2).
#[inline(always)]
pub fn asin<A: Arithmetic>(x: A) -> A {
    let (above, s, tail) = half_angle(x.abs());
    let [high, low] = HALF_PI.map(A::constant);
    let from_top = on_top_of(Double { high, low }, -(s + s), -(tail + tail));
    with_sign_of(A::select(above, from_top, s + tail), x)
}

/// The arccosine, from 0 to pi. Error below 0.65 ulp; NaN for `|x| > 1`.
#[inline(always)]
pub fn acos<A: Arithmetic>(x: A) -> A {
    let (above, s, tail) = half_angle(x.abs());
    let sign = x.to_bits() & A::Bits::constant(SIGN);
    let factor = A::select(above, A::constant(2.0), A::constant(-1.0));
    let negative = x.less(A::constant(0.0));
    let zero = exact(A::constant(0.0));
    let base = |i: usize, none: A| {
        let beyond = A::select(negative, A::constant(PI[i]), none);
        A::select(above, beyond, A::constant(HALF_PI[i]))
    };
    let base = Double { high: base(0, zero.high), low: base(1, zero.low) };
    on_top_of(base, turned_by(s * factor, sign), turned_by(tail * factor, sign))
}
