//! The reference is right: compared with digits of an independent origin. So are the functions themselves, far arguments included.
//!
//! `reference.txt` is made by scripts/math_reference.py with mpmath 1.3.0.

use super::exact::{self, Exact};
use super::pair::Pair;
use super::{BINARY, UNARY};

const DIGITS: &str = include_str!("reference.txt");

/// One line of the file.
struct Value {
    name: &'static str,
    arguments: Vec<f64>,
    exact: Exact,
}

fn values() -> impl Iterator<Item = Value> {
    DIGITS.lines().map(|line| {
        let mut words: Vec<&'static str> = line.split(' ').collect();
        let power = words.pop().and_then(|word| word.parse().ok()).expect("a power of two");
        let pair = decimal(words.pop().expect("a mantissa"));
        let arguments = words[1..].iter().map(|word| word.parse().expect("an argument")).collect();
        Value { name: words[0], arguments, exact: Exact { pair, power } }
    })
}

/// A decimal number of some 40 digits.
fn decimal(text: &str) -> Pair {
    let (size, negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
    let (whole, fraction) = size.split_once('.').expect("a decimal point");
    let number = |digits: &str| Pair::of(&[digits.parse::<f64>().expect("digits")]);
    // fifteen digits at a time are exact, and so is 10^15
    let mut sum = Pair::ZERO;
    let padded = format!("{fraction:0<45}");
    for at in [30, 15, 0] {
        sum = (sum + number(&padded[at..at + 15])) / 1e15;
    }
    let sum = sum + number(whole);
    if negative { -sum } else { sum }
}

/// The reference's value where it reaches.
fn reference(name: &str, arguments: &[f64]) -> Option<Exact> {
    let x = arguments[0];
    let wave = matches!(name, "sin" | "cos" | "tan" | "sinc" | "sinc_slope");
    if wave && x.abs() > 3e10 {
        return None;
    }
    Some(match name {
        "exp" => exact::exp(Pair(x, 0.0)),
        "expm1" => exact::expm1(Pair(x, 0.0)),
        "log" => exact::log(x).into(),
        "log1p" => exact::log_of_one_plus(x).into(),
        "log2" => exact::log2(x).into(),
        "log10" => exact::log10(x).into(),
        "cbrt" => exact::cbrt(x).into(),
        "sin" => exact::sin_cos(Pair(x, 0.0))[0].into(),
        "cos" => exact::sin_cos(Pair(x, 0.0))[1].into(),
        "tan" => exact::tan(x).into(),
        "sinc" => exact::sinc(x).into(),
        "sinc_slope" => exact::sinc_slope(x).into(),
        "asin" => exact::asin(x).into(),
        "acos" => exact::acos(x).into(),
        "atan" => exact::atan(Pair(x, 0.0)).into(),
        "sinh" => exact::sinh(x),
        "cosh" => exact::cosh(x),
        "tanh" => exact::tanh(x).into(),
        "erf" => exact::erf(x).into(),
        "erfc" => exact::erfc(x),
        "pow" => exact::pow(x, arguments[1]),
        "atan2" => exact::atan2(x, arguments[1]).into(),
        "hypot" => exact::hypot(x, arguments[1]),
        _ => panic!("no reference for {name}"),
    })
}

/// 97 bits at the worst, where the exponent of a power is near 700; most have 103.
#[test]
fn the_reference_has_its_digits() {
    let mut compared = 0;
    let mut worst = (0.0, String::new());
    for value in values() {
        let Some(found) = reference(value.name, &value.arguments) else { continue };
        let scale = found.power - value.exact.power;
        let difference = found.pair.scaled(scale) - value.exact.pair;
        let error = (difference.0 / value.exact.pair.0).abs();
        if error > worst.0 {
            worst = (error, format!("{}({:?})", value.name, value.arguments));
        }
        compared += 1;
    }
    println!("{compared} values, the worst off by 2^{:.1}: {}", worst.0.log2(), worst.1);
    assert!(compared > 350 && worst.0 < 2f64.powi(-97), "{worst:?}");
}

#[test]
fn the_functions_have_their_digits() {
    for Value { name, arguments, exact } in values() {
        let found = match UNARY.iter().find(|(other, _)| *other == name) {
            Some((_, function)) => function(arguments[0]),
            None => BINARY.iter().find(|(other, _)| *other == name).expect("a function").1(arguments[0], arguments[1]),
        };
        let error = exact.distance_in_ulp(found);
        let bound = if name == "sinc_slope" { 50.0 } else { 1.6 };
        assert!(error <= bound, "{name}({arguments:?}) = {found:e} is off by {error} ulp");
    }
}
