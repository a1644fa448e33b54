//! Natural, binary and decimal logarithm, and log(1 + x).
//!
//! x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt 2. With s = f/(2 + f), log(1 + f) = 2 atanh s = f - s (f - s^2 R(s^2)),
//! where R is even in s: the form of P. T. P. Tang, "Table-driven implementation of the logarithm function in IEEE floating-point
//! arithmetic", ACM TOMS 16 (1990), without its table.

use super::arithmetic::{Arithmetic, Bits};
use super::double::{Double, polynomial};

/// The high 42 bits of ln 2: times any exponent it is exact.
pub(super) const LN2_HIGH: f64 = 0.693_147_180_559_663;
/// The rest of ln 2.
pub(super) const LN2_LOW: f64 = 2.823_529_056_303_157_7e-13;

/// (2 atanh(s)/s - 2)/s^2 at z = s^2, minimax for `z <= 0.02944`; relative error of the logarithm below 2^-59.
const ATANH: [f64; 7] = [
    0.666_666_666_666_673_4,
    0.399_999_999_994_169_74,
    0.285_714_287_419_215_56,
    0.222_221_986_176_360_85,
    0.181_835_621_562_580_43,
    0.153_141_030_352_457_7,
    0.147_954_511_426_659_14,
];

/// k and m with x = 2^k m, m from sqrt(1/2) to sqrt 2, for x > 0 and finite; subnormal numbers too.
#[inline(always)]
pub(super) fn parts<A: Arithmetic>(x: A) -> (A, A) {
    /// The bits of sqrt(1/2).
    const LOWEST: u64 = 0x3FE6_A09E_667F_3BCD;
    /// The bits of 1 minus those of sqrt(1/2): what brings all m of one k to the same exponent.
    const LIFT: u64 = 0x0009_5F61_9980_C433;
    const MANTISSA: u64 = 0x000F_FFFF_FFFF_FFFF;
    const TWO_52: f64 = 4_503_599_627_370_496.0;
    let subnormal = x.less(A::constant(f64::MIN_POSITIVE));
    let x = A::select(subnormal, x * A::constant(18_014_398_509_481_984.0), x);
    let bias = A::select(subnormal, A::constant(TWO_52 + 1_077.0), A::constant(TWO_52 + 1_023.0));
    let lifted = x.to_bits().plus(A::Bits::constant(LIFT));
    let k = A::from_bits(lifted.shr(52) | A::constant(TWO_52).to_bits()) - bias;
    let m = A::from_bits((lifted & A::Bits::constant(MANTISSA)).plus(A::Bits::constant(LOWEST)));
    (k, m)
}

/// log(1 + f) - f.
#[inline(always)]
fn tail<A: Arithmetic>(f: A) -> A {
    let s = f / (f + A::constant(2.0));
    let z = s * s;
    s * z.mul_add(polynomial(z, ATANH), -f)
}

/// k ln 2 + f + tail.
#[inline(always)]
fn natural<A: Arithmetic>(k: A, f: A, tail: A) -> A {
    let sum = Double::sum(k * A::constant(LN2_HIGH), f);
    sum.high + (sum.low + k.mul_add(A::constant(LN2_LOW), tail))
}

/// `result` for x > 0 and finite; x where it is infinite or NaN, -infinity at 0, NaN below.
#[inline(always)]
fn at_the_ends<A: Arithmetic>(x: A, result: A) -> A {
    let zero = A::constant(0.0);
    let not_positive = A::select(x.equals(zero), A::constant(f64::NEG_INFINITY), A::constant(f64::NAN));
    let result = A::select(x.less(A::constant(f64::INFINITY)), result, x);
    A::select(zero.less(x), result, not_positive)
}

/// The natural logarithm. Error below 1.05 ulp.
#[inline(always)]
pub fn log<A: Arithmetic>(x: A) -> A {
    let (k, m) = parts(x);
    let f = m - A::constant(1.0);
    at_the_ends(x, natural(k, f, tail(f)))
}

/// `log(1 + x)`, accurate near 0 too. Error below 1.2 ulp. Zero keeps its sign.
///
/// 1 + x is rounded to u = 2^k m, k = 0 apart, where f is x itself. What rounding lost, c = 1 + x - u, adds c/u; since c is at most
/// half a unit of u's last place, 1/m need only be right to 6 %, and a straight line is.
#[inline(always)]
pub fn log1p<A: Arithmetic>(x: A) -> A {
    let one = A::constant(1.0);
    let u = one + x;
    let lost = x - (u - one);
    let (k, m) = parts(u);
    let no_power = k.equals(A::constant(0.0));
    let f = A::select(no_power, x, m - one);
    // 2^-k, for k up to 1022; beyond, `lost` is of no account
    let k_held = A::constant(1_000.0).lesser(k) + A::constant(super::exponential::ROUND);
    let shrink = A::from_bits(one.to_bits().minus(k_held.to_bits().shl(52)));
    let line = m.mul_add(A::constant(-0.941_176_470_588_235_3), A::constant(1.996_536_721_050_1));
    let correction = A::select(no_power, A::constant(0.0), lost * shrink * line);
    let result = at_the_ends(u, natural(k, f, tail(f) + correction));
    A::select(x.abs().less(A::constant(5.551_115_123_125_783e-17)), x, result)
}

/// (f + tail) `factor` + k `unit`: the logarithm to another base.
#[inline(always)]
fn to_base<A: Arithmetic>(x: A, factor: [f64; 2], unit: [f64; 2]) -> A {
    let (k, m) = parts(x);
    let f = m - A::constant(1.0);
    let [high, low] = factor.map(A::constant);
    let product = Double::product(f, high);
    let rest = tail(f).mul_add(high, f.mul_add(low, product.low));
    let sum = Double::sum(k * A::constant(unit[0]), product.high);
    let result = sum.high + (sum.low + k.mul_add(A::constant(unit[1]), rest));
    at_the_ends(x, result)
}

/// The binary logarithm; exact at powers of two. Error below 1.2 ulp.
#[inline(always)]
pub fn log2<A: Arithmetic>(x: A) -> A {
    to_base(x, [std::f64::consts::LOG2_E, 2.035_527_374_093_103_3e-17], [1.0, 0.0])
}

/// The decimal logarithm; exact at powers of ten. Error below 1.05 ulp.
#[inline(always)]
pub fn log10<A: Arithmetic>(x: A) -> A {
    to_base(
        x,
        [std::f64::consts::LOG10_E, 1.098_319_650_216_765e-17],
        [0.301_029_995_663_839_14, 1.420_502_322_726_61e-13],
    )
}
