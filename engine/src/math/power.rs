//! x^y, cube root, length of a vector.

use super::arithmetic::{Arithmetic, Bits};
use super::double::{Double, exact, polynomial, with_sign_of};
use super::exponential::{ROUND, exp_of_double, scaled};
use super::logarithm::{LN2_HIGH, LN2_LOW, parts};
use super::slow::Slow;

/// (atanh(s)/s - 1 - z/3)/z^2 at z = s^2, minimax for `z <= 0.02944`; times z^2 its error is below 2^-73.
const ATANH: [f64; 8] = [
    0.199_999_999_999_999_9,
    0.142_857_142_857_219_2,
    0.111_111_111_088_949_1,
    0.090_909_094_219_859_22,
    0.076_922_792_153_253_29,
    0.066_681_321_987_112,
    0.058_378_915_388_210_356,
    0.059_908_659_931_512_245,
];

/// log x as a sum of two numbers, relative error below 2^-65, for x > 0 and finite.
///
/// As [`log`](super::logarithm::log), with s, s^2, its third and the products of these as sums of two numbers.
#[inline(always)]
fn log_double<A: Arithmetic>(x: A) -> Double<A> {
    const THIRD: [f64; 2] = [1.0 / 3.0, 1.850_371_707_708_594e-17];
    let (k, m) = parts(x);
    let f = m - A::constant(1.0);
    let s = exact(f).over(Double::sum(A::constant(2.0), f));
    let square = Double::product(s.high, s.high);
    let square_low = s.high.mul_add(s.low + s.low, square.low);
    let higher = square.high * polynomial(square.high, ATANH);
    let third = Double::sum(A::constant(THIRD[0]), higher);
    let third_low = third.low + A::constant(THIRD[1]);
    let t = Double::product(square.high, third.high);
    let t_low = square.high.mul_add(third_low, square_low.mul_add(third.high, t.low));
    let cubic = Double::product(s.high, t.high);
    let cubic_low = s.high.mul_add(t_low, s.low.mul_add(t.high, cubic.low));
    // k ln 2 + 2 s + 2 s t
    let first = Double::sum(k * A::constant(LN2_HIGH), s.high + s.high);
    let second = Double::sum(first.high, cubic.high + cubic.high);
    let small = s.low + cubic_low;
    let low = k.mul_add(A::constant(LN2_LOW), small + small) + first.low + second.low;
    Double::sum(second.high, low)
}

/// `x^y`. Error below 1.1 ulp. x^0 = 1^y = 1 whatever the other is; a negative x has a power for integers y only; zeros and infinities as in IEEE 754-2019,
/// section 9.2.1 (`pow`).
///
/// e^(y log x), log x and the product being sums of two numbers, so that the error of the exponent is below 2^-55.
#[inline(always)]
pub fn pow<A: Arithmetic>(x: A, y: A) -> A {
    let infinity = A::constant(f64::INFINITY);
    let plain = A::constant(0.0).less(x) & x.less(infinity) & y.abs().less(infinity);
    let log = log_double(x);
    let product = Double::product(y, log.high);
    let exponent = Double { high: product.high, low: y.mul_add(log.low, product.low) };
    let (e, rounded) = exp_of_double(exponent);
    A::rarely(!plain, scaled(e.value(), rounded), Slow::Pow, x, y)
}

/// m^(-1/3) for m from 0.353 to 2.829, minimax; relative error below 2^-7.
const INVERSE_ROOT: [f64; 5] =
    [1.891_795_889_295_347, -1.763_319_943_403_085_5, 1.227_544_000_601_685_6, -0.415_541_393, 0.052_968_086];

/// The cube root. Error below 0.51 ulp. Odd; zeros and infinities stay.
///
/// `|x|` = 8^q m. Two steps of the third order bring y to m^(-1/3); m y^2 is the root, and a last step by Newton, whose residual is known
/// exactly, rounds it.
#[inline(always)]
pub fn cbrt<A: Arithmetic>(x: A) -> A {
    let one = A::constant(1.0);
    let size = x.abs();
    let (k, m) = parts(size);
    let rounded = k.mul_add(A::constant(1.0 / 3.0), A::constant(ROUND));
    let q = rounded - A::constant(ROUND);
    let rest = q.mul_add(A::constant(-3.0), k) + A::constant(ROUND);
    let m = A::from_bits(m.to_bits().plus(rest.to_bits().shl(52)));
    let mut y = polynomial(m, INVERSE_ROOT);
    for _ in 0..2 {
        // m y^3 = 1 - h, so m^(-1/3) = y (1 - h)^(-1/3)
        let h = (m * y).mul_add(-(y * y), one);
        y = (y * h).mul_add(h.mul_add(A::constant(2.0 / 9.0), A::constant(1.0 / 3.0)), y);
    }
    let square = y * y;
    let c = m * square;
    let c2 = Double::product(c, c);
    let residual = c.mul_add(-c2.low, c.mul_add(-c2.high, m));
    let root = residual.mul_add(square * A::constant(1.0 / 3.0), c);
    let root = A::from_bits(root.to_bits().plus(rounded.to_bits().shl(52)));
    let plain = A::constant(0.0).less(size) & size.less(A::constant(f64::INFINITY));
    A::select(plain, with_sign_of(root, x), x)
}

/// `sqrt(x^2 + y^2)`, error below 0.51 ulp, without needless overflow or underflow; infinite where one is, even if the other is NaN.
///
/// The root of the rounded sum, corrected by Newton with the squares known exactly (C. F. Borges, "Algorithm 1014: An improved
/// algorithm for hypot(x,y)", ACM TOMS 47 (2020)).
#[inline(always)]
pub fn hypot<A: Arithmetic>(x: A, y: A) -> A {
    /// 2^600 and 2^-600.
    const UP: f64 = 4.149_515_568_880_993e180;
    const DOWN: f64 = 2.409_919_865_102_884e-181;
    let one = A::constant(1.0);
    let (x, y) = (x.abs(), y.abs());
    let ordered = y.less(x);
    let (a, b) = (A::select(ordered, x, y), A::select(ordered, y, x));
    let large = A::constant(1e150).less(a);
    let small = a.less(A::constant(1e-130));
    let scale = A::select(large, A::constant(DOWN), A::select(small, A::constant(UP), one));
    let back = A::select(large, A::constant(UP), A::select(small, A::constant(DOWN), one));
    let (a, b) = (Double::product(a * scale, a * scale), Double::product(b * scale, b * scale));
    let h = (a.high + b.high).sqrt();
    let square = Double::product(h, h);
    let residual = ((a.high - square.high) + b.high) + ((a.low + b.low) - square.low);
    let length = h + residual / (A::constant(1e-300).greater(h) + h);
    let infinity = A::constant(f64::INFINITY);
    A::select(x.equals(infinity) | y.equals(infinity), infinity, length * back)
}
