//! erf and erfc.
//!
//! Below `|x|` = 3/4 erf is x times a polynomial in x^2. Beyond, erfc x = e^(-x^2) P(t)/(x + K) with t = (x - K)/(x + K), K = 5/2: P
//! varies so little that one polynomial serves all x (the substitution of M. M. Shepherd and J. G. Laframboise, "Chebyshev
//! approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity", Mathematics of Computation 36 (1981)). Of x^2 and of P/(x + K) the
//! rounding errors are kept.

use super::arithmetic::Arithmetic;
use super::double::{Double, exact, polynomial, turned_by, with_sign_of};
use super::exponential::{exp, exp_of_double, scaled};

/// Where the two forms meet.
const JOINT: f64 = 0.75;

/// erf(x)/x - 2/sqrt(pi) (as nearest f64) at z = x^2, minimax for `|x| <= 3/4`; relative error below 2^-63.
const NEAR: [f64; 12] = [
    1.532_593_810_303_326_6e-17,
    -0.376_126_389_031_837_54,
    0.112_837_916_709_552_37,
    -0.026_866_170_645_161_988,
    0.005_223_977_625_850_257,
    -0.000_854_832_705_333_775_8,
    0.000_120_553_342_355_018_42,
    -1.492_567_819_783_108_4e-5,
    1.646_226_469_402_295_5e-6,
    -1.635_796_965_139_262e-7,
    1.459_772_034_395_445_3e-8,
    -1.009_286_720_275_007_8e-9,
];

/// K.
const CENTRE: f64 = 2.5;
/// P(0), the nearest f64.
const MIDDLE: f64 = 1.054_031_820_305_718;
/// P(t) - P(0) and what P(0) lacks, minimax for x from 3/4 to 28; relative error below 2^-57.
const FAR: [f64; 22] = [
    -5.614_224_193_685_715e-17,
    -0.804_651_849_439_148_9,
    0.453_914_116_648_097_55,
    -0.171_251_145_246_035_02,
    0.028_361_550_131_892_444,
    0.008_393_044_301_861_038,
    -0.004_818_785_520_140_134,
    -0.000_439_208_253_388_546_54,
    0.000_702_693_670_777_084,
    5.830_764_387_599_687_5e-5,
    -0.000_112_604_271_146_414_29,
    -1.953_120_472_474_848e-5,
    1.824_070_956_092_001_5e-5,
    6.751_391_368_613_534e-6,
    -2.317_872_337_464_342e-6,
    -1.962_092_038_797_579_7e-6,
    -3.795_697_865_350_904e-8,
    4.650_519_297_783_169_3e-7,
    1.710_325_209_060_297_7e-7,
    -1.066_466_980_457_689_4e-7,
    -5.651_295_231_678_021e-8,
    2.767_771_044_356_619_5e-8,
];

/// erf a for `0 <= a <= 3/4`.
#[inline(always)]
fn near<A: Arithmetic>(a: A) -> Double<A> {
    let z = Double::product(a, a);
    let first = Double::product(a, A::constant(std::f64::consts::FRAC_2_SQRT_PI));
    // the slope of the polynomial is near enough to -0.3
    let series = z.low.mul_add(A::constant(-0.3), polynomial(z.high, NEAR));
    Double { high: first.high, low: a.mul_add(series, first.low) }
}

/// erfc a for `a >= 3/4`.
#[inline(always)]
fn far<A: Arithmetic>(a: A) -> A {
    let a = A::constant(28.0).lesser(a);
    let u = exact(A::constant(1.0)).over(Double::sum(A::constant(CENTRE), a));
    let (one, two_k) = (A::constant(1.0), A::constant(2.0 * CENTRE));
    let away = Double::product(two_k, u.high);
    let t = Double::sum(one, -away.high);
    let (t, t_low) = (t.high, t.low - two_k.mul_add(u.low, away.low));
    let [low, first, rest @ ..] = FAR;
    // P = MIDDLE + t (first + t higher) + low, the first two sums with their errors
    let higher: A = polynomial(t, rest);
    let slope = t.mul_add(higher, A::constant(first));
    let slope_low = t.mul_add(higher, A::constant(first) - slope);
    let p = t.mul_add(slope, A::constant(MIDDLE));
    let p_low = t.mul_add(slope_low, t.mul_add(slope, A::constant(MIDDLE) - p) + A::constant(low));
    // dP/dt is near enough to P times a straight line
    let p_low = (p * t_low).mul_add(t.mul_add(A::constant(0.25), A::constant(-0.74)), p_low);
    let q = Double::product(u.high, p);
    let q_low = u.high.mul_add(p_low, u.low.mul_add(p, q.low));
    let square = Double::product(a, a);
    let (e, rounded) = exp_of_double(Double { high: -square.high, low: -square.low });
    scaled(e.high.mul_add(q.high, e.high.mul_add(q_low, e.low * q.high)), rounded)
}

/// The error function. Error below 1.7 ulp. Odd; 1 from 5.93 on.
///
/// Beyond 3/4 it is 1 - erfc x, for which erfc x need not be known to its last place; `e^(-x^2)` is that of its derivative.
#[inline(always)]
pub fn erf<A: Arithmetic>(x: A) -> A {
    let a = x.abs();
    let one = A::constant(1.0);
    let d = Double::sum(A::constant(CENTRE), A::constant(28.0).lesser(a));
    let u = one / d.high;
    let t = A::constant(-2.0 * CENTRE).mul_add(u, one);
    let [_, rest @ ..] = FAR;
    let higher: A = polynomial(t, rest);
    let p = t.mul_add(higher, A::constant(MIDDLE));
    let square = Double::product(x, x);
    // by what part u and x^2 are off: P u grows as the power 1 + 3.5 u of u, near enough
    let u_off = (-u).mul_add(d.low, (-u).mul_add(d.high, one));
    let off = u_off.mul_add(u.mul_add(A::constant(3.5), one), -square.low);
    let q = (u * p).mul_add(off, u * p);
    let far = (-exp(-square.high)).mul_add(q, one);
    // what the square of a large x lacks is not a number
    let far = A::select(A::constant(6.0).less(a), one, far);
    with_sign_of(A::select(a.less(A::constant(JOINT)), near(a).value(), far), x)
}

/// The complementary error function 1 - erf x, accurate where erf x is near 1 too. Error below 1.4 ulp. 0 from 27.3 on.
#[inline(always)]
pub fn erfc<A: Arithmetic>(x: A) -> A {
    let a = x.abs();
    let near = near(a);
    let from_one = Double::sum(A::constant(1.0), -turned_by(near.high, x.to_bits()));
    let inner = from_one.high + (from_one.low - turned_by(near.low, x.to_bits()));
    let outer = far(a);
    let outer = A::select(x.less(A::constant(0.0)), A::constant(2.0) - outer, outer);
    A::select(a.less(A::constant(JOINT)), inner, outer)
}
