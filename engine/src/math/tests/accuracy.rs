//! How far the functions are from the exact values, on random arguments of every kind that could be difficult.
//!
//! 100,000 arguments a function by default; more with the variable NLSQ_MATH_ARGUMENTS when the tests are compiled:
//! `NLSQ_MATH_ARGUMENTS=10000000 cargo test --release -p nlsq-engine --lib math::tests::accuracy -- --nocapture`

use super::exact::{self, Exact};
use super::pair::{Pair, exponent};
use crate::math;

/// Random numbers, the same in every run.
struct Random(u64);

/// Where arguments are taken from.
#[derive(Clone, Copy)]
enum Kind {
    /// Evenly between two numbers.
    Even(f64, f64),
    /// Evenly in the logarithm, of either sign.
    Logarithmic(f64, f64),
    /// Evenly in the logarithm, positive.
    Positive(f64, f64),
    /// At distances from a few units of the last place to 1/2 around a number.
    Around(f64),
    /// A few units of the last place around multiples of pi/2 up to 2^29 and more.
    QuarterTurns,
}

use Kind::{Around, Even, Logarithmic, Positive, QuarterTurns};

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        mixed ^ mixed >> 33
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn argument(&mut self, kind: Kind) -> f64 {
        match kind {
            Even(low, high) => low + (high - low) * self.unit(),
            Positive(low, high) => {
                // evenly in the bits, which is nearly evenly in the logarithm, subnormal numbers included
                let (low, high) = (low.to_bits(), high.to_bits());
                f64::from_bits(low + (self.unit() * (high - low) as f64) as u64)
            }
            Logarithmic(low, high) => {
                let x = self.argument(Positive(low, high));
                if self.bits() >> 63 == 0 { x } else { -x }
            }
            Around(x) => {
                let distance = 2f64.powi(-((self.bits() >> 58) as i32 % 53 + 1));
                x + (self.unit() - 0.5) * distance * x.abs().max(f64::MIN_POSITIVE)
            }
            QuarterTurns => {
                let k = (self.bits() >> 35 >> (self.bits() >> 59)) as f64;
                let x = k * std::f64::consts::FRAC_PI_2;
                let x = f64::from_bits((x.to_bits() + (self.bits() >> 62)).saturating_sub(2));
                if self.bits() >> 63 == 0 { x } else { -x }
            }
        }
    }
}

fn arguments() -> usize {
    option_env!("NLSQ_MATH_ARGUMENTS").map_or(100_000, |count| count.parse().expect("a number of arguments"))
}

/// The largest error of `arguments()` draws, with where it was.
fn worst<X: Copy>(mut draw: impl FnMut(&mut Random, usize) -> X, error: impl Fn(X) -> f64) -> (f64, X) {
    let mut random = Random(1);
    let first = draw(&mut random, 0);
    let mut worst = (0.0, first);
    for i in 0..arguments() {
        let x = draw(&mut random, i);
        let error = error(x);
        if error.is_nan() {
            return (f64::NAN, x);
        }
        if error > worst.0 {
            worst = (error, x);
        }
    }
    worst
}

fn check(name: &str, bound: f64, of: fn(f64) -> f64, exact: impl Fn(f64) -> Exact, kinds: &[Kind]) {
    let found = worst(
        |random, i| random.argument(kinds[i % kinds.len()]),
        |x| if of(x) == x && x.abs() < 1e-290 { 0.0 } else { exact(x).distance_in_ulp(of(x)) },
    );
    println!("{name:10} {:.3} ulp at {:e}", found.0, found.1);
    assert!(found.0 <= bound, "{name}: {} ulp at {:e}", found.0, found.1);
}

fn simple(exact: fn(f64) -> Pair) -> impl Fn(f64) -> Exact {
    move |x| exact(x).into()
}

#[test]
fn exponentials() {
    check(
        "exp",
        1.0,
        math::exp,
        |x| exact::exp(Pair(x, 0.0)),
        &[
            Even(-708.0, 709.78),
            Even(-10.0, 10.0),
            Logarithmic(1e-20, 700.0),
            Around(std::f64::consts::LN_2 / 2.0),
            Even(709.0, 709.78),
        ],
    );
    check("exp, subnormal", 1.0, math::exp, |x| exact::exp(Pair(x, 0.0)), &[Even(-745.0, -708.0)]);
    check(
        "expm1",
        1.4,
        math::expm1,
        |x| exact::expm1(Pair(x, 0.0)),
        &[
            Even(-40.0, 709.78),
            Even(-2.0, 2.0),
            Logarithmic(1e-300, 700.0),
            Around(std::f64::consts::LN_2 / 2.0),
            Around(-std::f64::consts::LN_2 / 2.0),
            Around(5.551_115_123_125_783e-17),
            Even(-100.0, -36.0),
        ],
    );
}

#[test]
fn logarithms() {
    let kinds = &[
        Positive(5e-324, f64::MAX),
        Positive(5e-324, 1e-300),
        Positive(0.1, 10.0),
        Even(0.5, 2.0),
        Around(1.0),
        Around(std::f64::consts::FRAC_1_SQRT_2),
        Around(std::f64::consts::SQRT_2),
    ];
    check("log", 1.05, math::log, simple(exact::log), kinds);
    check("log2", 1.2, math::log2, simple(exact::log2), kinds);
    check("log10", 1.05, math::log10, simple(exact::log10), kinds);
    check(
        "log1p",
        1.2,
        math::log1p,
        simple(exact::log_of_one_plus),
        &[
            Logarithmic(1e-300, 0.999),
            Positive(1e-3, 1e308),
            Even(-1.0, 3.0),
            Around(std::f64::consts::FRAC_1_SQRT_2 - 1.0),
            Around(std::f64::consts::SQRT_2 - 1.0),
            Even(-1.0, -0.99),
            Around(5.551_115_123_125_783e-17),
        ],
    );
}

#[test]
fn trigonometric_functions() {
    let kinds = &[
        Even(-4.0, 4.0),
        Even(-1e5, 1e5),
        Logarithmic(1e-300, 2.1e6),
        Logarithmic(1e-3, 1e3),
        QuarterTurns,
        Around(std::f64::consts::FRAC_PI_4),
        Around(3.0 * std::f64::consts::FRAC_PI_4),
        Around(1e-8),
    ];
    check("sin", 0.75, math::sin, |x| exact::sin_cos(Pair(x, 0.0))[0].into(), kinds);
    check("cos", 0.75, math::cos, |x| exact::sin_cos(Pair(x, 0.0))[1].into(), kinds);
    check("tan", 0.85, math::tan, simple(exact::tan), kinds);
    check("sinc", 0.75, math::sinc, simple(exact::sinc), kinds);
    check("sin, far", 0.75, math::sin, |x| exact::sin_cos(Pair(x, 0.0))[0].into(), &[Logarithmic(2e6, 3e10)]);
    check("cos, far", 0.75, math::cos, |x| exact::sin_cos(Pair(x, 0.0))[1].into(), &[Logarithmic(2e6, 3e10)]);
    check("tan, far", 0.85, math::tan, simple(exact::tan), &[Logarithmic(2e6, 3e10)]);
    check("sinc, far", 0.75, math::sinc, simple(exact::sinc), &[Logarithmic(2e6, 3e10)]);
}

#[test]
fn slope_of_sinc() {
    check(
        "sinc_slope",
        1.0,
        math::sinc_slope,
        simple(exact::sinc_slope),
        &[Even(-4.0, 4.0), Logarithmic(1e-290, 4.0), Around(1.6), Around(-1.6)],
    );
    // where it has zeros, in units of the last place of its terms
    let far = worst(
        |random, i| random.argument([Even(3.0, 50.0), Logarithmic(3.0, 3e10), Even(-1e5, 1e5)][i % 3]),
        |x| Exact::from(exact::sinc_slope(x)).distance(math::sinc_slope(x), exponent(1.0 / x)),
    );
    println!("sinc_slope {:.3} ulp of 1/x at {:e}", far.0, far.1);
    assert!(far.0 <= 0.7, "{far:?}");
}

#[test]
fn inverse_functions() {
    let joint = std::f64::consts::SQRT_2 - 1.0;
    check(
        "atan",
        0.7,
        math::atan,
        |x| exact::atan(Pair(x, 0.0)).into(),
        &[
            Even(-3.0, 3.0),
            Logarithmic(1e-300, 1e300),
            Logarithmic(1e-9, 1e9),
            Around(joint),
            Around(-joint),
            Around(1.0 / joint),
            Around(1.0),
            Around(1e-8),
        ],
    );
    let kinds =
        &[Even(-1.0, 1.0), Logarithmic(1e-300, 1.0), Around(0.5), Around(-0.5), Even(0.999, 1.0), Even(-1.0, -0.999)];
    check("asin", 0.65, math::asin, simple(exact::asin), kinds);
    check("acos", 0.65, math::acos, simple(exact::acos), kinds);
    let found = worst(
        |random, i| {
            let x = random.argument([Even(-2.0, 2.0), Logarithmic(1e-140, 1e140)][i % 2]);
            let y = random
                .argument([Around(x), Around(x * joint), Around(x / joint), Logarithmic(1e-140, 1e140)][i / 2 % 4]);
            (if random.bits() >> 63 == 0 { y } else { -y }, x)
        },
        |(y, x)| Exact::from(exact::atan2(y, x)).distance_in_ulp(math::atan2(y, x)),
    );
    println!("atan2      {:.3} ulp at {:?}", found.0, found.1);
    assert!(found.0 <= 0.7, "atan2: {found:?}");
}

#[test]
fn hyperbolic_functions() {
    let kinds = &[
        Even(-3.0, 3.0),
        Even(-710.4, 710.4),
        Even(-45.0, 45.0),
        Logarithmic(1e-300, 710.4),
        Around(std::f64::consts::LN_2 / 2.0),
        Around(1.5 * std::f64::consts::LN_2),
        Around(1e-8),
    ];
    check("sinh", 0.9, math::sinh, exact::sinh, kinds);
    check("cosh", 0.8, math::cosh, exact::cosh, kinds);
    check("tanh", 1.05, math::tanh, simple(exact::tanh), kinds);
}

#[test]
fn error_functions() {
    check(
        "erf",
        1.7,
        math::erf,
        simple(exact::erf),
        &[Even(-6.0, 6.0), Even(-1.5, 1.5), Logarithmic(1e-290, 6.0), Around(0.75), Around(-0.75)],
    );
    check(
        "erfc",
        1.4,
        math::erfc,
        exact::erfc,
        &[Even(-6.0, 6.0), Even(0.0, 26.5), Logarithmic(1e-290, 26.5), Around(0.75), Around(-0.75), Around(2.0)],
    );
    check("erfc, subnormal", 1.0, math::erfc, exact::erfc, &[Even(26.5, 27.2)]);
}

#[test]
fn powers() {
    let positive = [
        Even(0.0, 4.0),
        Positive(5e-324, f64::MAX),
        Positive(1e-3, 1e3),
        Around(1.0),
        Around(std::f64::consts::SQRT_2),
        Around(std::f64::consts::FRAC_1_SQRT_2),
    ];
    let found = worst(
        |random, i| {
            let x = random.argument(positive[i % positive.len()]);
            // such that x^y lies between the ends, even for the most part
            let y =
                [random.argument(Even(-1.0, 1.0)) * 707.0 / libm::log(x), random.argument(Even(-8.0, 8.0))][i / 7 % 2];
            let log = y * libm::log(x);
            if log.is_finite() && log.abs() < 707.5 { (x, y) } else { (x, 0.1) }
        },
        |(x, y)| exact::pow(x, y).distance_in_ulp(math::pow(x, y)),
    );
    println!("pow        {:.3} ulp at {:?}", found.0, found.1);
    assert!(found.0 <= 1.1, "pow: {found:?}");
    check(
        "cbrt",
        0.51,
        math::cbrt,
        simple(exact::cbrt),
        &[Logarithmic(1e-290, 1e300), Even(-10.0, 10.0), Even(0.3, 3.0)],
    );
    let found = worst(
        |random, i| {
            let x = random.argument([Even(-2.0, 2.0), Logarithmic(1e-300, 1e307)][i % 2]);
            (x, x * random.argument([Even(-2.0, 2.0), Logarithmic(1e-20, 10.0)][i / 2 % 2]))
        },
        |(x, y)| exact::hypot(x, y).distance_in_ulp(math::hypot(x, y)),
    );
    println!("hypot      {:.3} ulp at {:?}", found.0, found.1);
    assert!(found.0 <= 0.51, "hypot: {found:?}");
}
