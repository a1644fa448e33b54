//! The functions and constants of the model language, by name.

use super::nearest::nearest;
use super::ops::{Binary, Unary};

/// A function of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Of one argument.
    Unary(Unary),
    /// Of two arguments.
    Binary(Binary),
    /// `where(condition, a, b)`.
    Where,
}

impl Function {
    /// Number of its arguments.
    pub fn arity(self) -> usize {
        match self {
            Function::Unary(_) => 1,
            Function::Binary(_) => 2,
            Function::Where => 3,
        }
    }
}

/// `pi`, and `e` where no variable or parameter of that name is there.
pub const CONSTANTS: [(&str, f64); 2] = [("pi", std::f64::consts::PI), ("e", std::f64::consts::E)];

/// Binary operations that are called by name; `pow` is `^`.
const NAMED_BINARY: [(&str, Binary); 5] = [
    ("min", Binary::Min),
    ("max", Binary::Max),
    ("pow", Binary::Pow),
    ("hypot", Binary::Hypot),
    ("atan2", Binary::Atan2),
];

/// Names of other languages, with ours.
const FOREIGN: [(&str, &str); 19] = [
    ("ln", "log"),
    ("lg", "log10"),
    ("arcsin", "asin"),
    ("arccos", "acos"),
    ("arctan", "atan"),
    ("arctan2", "atan2"),
    ("fabs", "abs"),
    ("sgn", "sign"),
    ("signum", "sign"),
    ("heaviside", "step"),
    ("theta", "step"),
    ("power", "pow"),
    ("minimum", "min"),
    ("fmin", "min"),
    ("maximum", "max"),
    ("fmax", "max"),
    ("if", "where"),
    ("iif", "where"),
    ("select", "where"),
];

/// Whether an operation of one argument is called by its name.
fn is_named(op: Unary) -> bool {
    !matches!(op, Unary::Neg | Unary::Not | Unary::SincSlope)
}

/// The function of this name.
pub fn find(name: &str) -> Option<Function> {
    if name == "where" {
        return Some(Function::Where);
    }
    if let Some(&(_, op)) = NAMED_BINARY.iter().find(|(known, _)| *known == name) {
        return Some(Function::Binary(op));
    }
    Unary::ALL.iter().copied().find(|&op| is_named(op) && op.name() == name).map(Function::Unary)
}

/// The names of all functions.
pub fn names() -> Vec<&'static str> {
    let unary = Unary::ALL.iter().copied().filter(|&op| is_named(op)).map(Unary::name);
    unary.chain(NAMED_BINARY.iter().map(|(name, _)| *name)).chain(["where"]).collect()
}

/// The function that was probably meant by an unknown name.
pub fn suggest(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    match FOREIGN.iter().find(|(foreign, _)| *foreign == lower) {
        Some((_, ours)) => Some(ours),
        None => nearest(name, names()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_function_is_there() {
        let documented = "exp expm1 log log1p log2 log10 sqrt cbrt abs sign min max pow hypot sin cos tan asin acos atan \
                          atan2 sinh cosh tanh erf erfc sinc step where";
        let mut expected: Vec<&str> = documented.split_whitespace().collect();
        let mut found = names();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert!(names().iter().all(|name| find(name).is_some()));
        assert_eq!(find("sinc_slope"), None);
        assert_eq!(find("-"), None);
    }

    #[test]
    fn foreign_names_lead_home() {
        assert!(FOREIGN.iter().all(|(foreign, ours)| find(foreign).is_none() && find(ours).is_some()));
        assert_eq!(suggest("LN"), Some("log"));
        assert_eq!(suggest("sqr"), Some("sqrt"));
    }
}
