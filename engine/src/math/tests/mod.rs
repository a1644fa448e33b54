//! Proof of the elementary functions: their errors ([`accuracy`]), their values at the ends ([`special`]), the reference they are
//! measured by ([`exact`], proved in [`proof`]), and that a recording of them has the same bits ([`recording`]).

mod accuracy;
mod exact;
mod pair;
mod proof;
mod recording;
mod special;

type Unary = (&'static str, fn(f64) -> f64);
type Binary = (&'static str, fn(f64, f64) -> f64);

/// The functions of one argument, by name.
pub(super) const UNARY: &[Unary] = &[
    ("exp", super::exp),
    ("expm1", super::expm1),
    ("log", super::log),
    ("log1p", super::log1p),
    ("log2", super::log2),
    ("log10", super::log10),
    ("cbrt", super::cbrt),
    ("sin", super::sin),
    ("cos", super::cos),
    ("tan", super::tan),
    ("sinc", super::sinc),
    ("sinc_slope", super::sinc_slope),
    ("asin", super::asin),
    ("acos", super::acos),
    ("atan", super::atan),
    ("sinh", super::sinh),
    ("cosh", super::cosh),
    ("tanh", super::tanh),
    ("erf", super::erf),
    ("erfc", super::erfc),
];

/// The functions of two arguments, by name.
pub(super) const BINARY: &[Binary] = &[("pow", super::pow), ("atan2", super::atan2), ("hypot", super::hypot)];
