//! A recording of the functions: what a compiler or an emitter sees of them. It has the bits of the scalar form, and tells how many
//! operations a function has, common subexpressions taken once and constants not counted.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use super::super::arithmetic::{Arithmetic, Bits};
use super::super::{Slow, error_function, exponential, hyperbolic, inverse, logarithm, power, trigonometric};

/// One operation on earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Argument(usize),
    Constant(u64),
    Add(usize, usize),
    Sub(usize, usize),
    Mul(usize, usize),
    Div(usize, usize),
    Neg(usize),
    MulAdd(usize, usize, usize),
    Sqrt(usize),
    Abs(usize),
    Less(usize, usize),
    AtMost(usize, usize),
    Equals(usize, usize),
    Select(usize, usize, usize),
    Lesser(usize, usize),
    Greater(usize, usize),
    And(usize, usize),
    Or(usize, usize),
    Xor(usize, usize),
    Not(usize),
    Plus(usize, usize),
    Minus(usize, usize),
    ShiftLeft(usize, u32),
    ShiftRight(usize, u32),
    Rarely(usize, usize, Slow, usize, usize),
}

use Operation::{
    Abs, AtMost, Constant, Equals, Greater, Less, Lesser, Minus, MulAdd, Plus, Rarely, Select, ShiftLeft, ShiftRight,
    Sqrt, Xor,
};

thread_local! {
    static TAPE: RefCell<(Vec<Operation>, HashMap<Operation, usize>)> = RefCell::default();
}

/// The number, truth value or bits that an operation yields.
#[derive(Clone, Copy)]
struct Recorded(usize);

fn record(operation: Operation) -> Recorded {
    TAPE.with_borrow_mut(|(tape, known)| {
        Recorded(*known.entry(operation).or_insert_with(|| {
            tape.push(operation);
            tape.len() - 1
        }))
    })
}

macro_rules! operators {
    ($($trait:ident $name:ident $operation:expr;)+) => {
        $(impl $trait for Recorded {
            type Output = Self;

            fn $name(self, other: Self) -> Self {
                record($operation(self.0, other.0))
            }
        })+
    };
}

operators! {
    Add add Operation::Add;
    Sub sub Operation::Sub;
    Mul mul Operation::Mul;
    Div div Operation::Div;
    BitAnd bitand Operation::And;
    BitOr bitor Operation::Or;
    BitXor bitxor Xor;
}

impl Neg for Recorded {
    type Output = Self;

    fn neg(self) -> Self {
        record(Operation::Neg(self.0))
    }
}

impl Not for Recorded {
    type Output = Self;

    fn not(self) -> Self {
        record(Operation::Not(self.0))
    }
}

impl Arithmetic for Recorded {
    type Mask = Self;
    type Bits = Self;

    fn constant(value: f64) -> Self {
        record(Constant(value.to_bits()))
    }

    fn mul_add(self, b: Self, c: Self) -> Self {
        record(MulAdd(self.0, b.0, c.0))
    }

    fn sqrt(self) -> Self {
        record(Sqrt(self.0))
    }

    fn abs(self) -> Self {
        record(Abs(self.0))
    }

    fn less(self, other: Self) -> Self {
        record(Less(self.0, other.0))
    }

    fn at_most(self, other: Self) -> Self {
        record(AtMost(self.0, other.0))
    }

    fn equals(self, other: Self) -> Self {
        record(Equals(self.0, other.0))
    }

    fn select(mask: Self, yes: Self, no: Self) -> Self {
        record(Select(mask.0, yes.0, no.0))
    }

    fn to_bits(self) -> Self {
        self
    }

    fn from_bits(bits: Self) -> Self {
        bits
    }

    fn rarely(mask: Self, value: Self, slow: Slow, x: Self, y: Self) -> Self {
        record(Rarely(mask.0, value.0, slow, x.0, y.0))
    }

    fn lesser(self, other: Self) -> Self {
        record(Lesser(self.0, other.0))
    }

    fn greater(self, other: Self) -> Self {
        record(Greater(self.0, other.0))
    }
}

impl Bits for Recorded {
    fn constant(value: u64) -> Self {
        record(Constant(value))
    }

    fn plus(self, other: Self) -> Self {
        record(Plus(self.0, other.0))
    }

    fn minus(self, other: Self) -> Self {
        record(Minus(self.0, other.0))
    }

    fn shl(self, count: u32) -> Self {
        record(ShiftLeft(self.0, count))
    }

    fn shr(self, count: u32) -> Self {
        record(ShiftRight(self.0, count))
    }
}

/// A recorded function of one argument or two.
struct Recording {
    tape: Vec<Operation>,
    result: usize,
}

impl Recording {
    fn of(function: impl FnOnce(Recorded, Recorded) -> Recorded) -> Self {
        TAPE.take();
        let result = function(record(Operation::Argument(0)), record(Operation::Argument(1))).0;
        Self { tape: TAPE.take().0, result }
    }

    fn run(&self, arguments: [f64; 2]) -> f64 {
        let mut words: Vec<u64> = Vec::with_capacity(self.tape.len());
        for operation in &self.tape {
            let number = |at: &usize| f64::from_bits(words[*at]);
            let truth = |condition: bool| if condition { u64::MAX } else { 0 };
            let word = match operation {
                Operation::Argument(i) => arguments[*i].to_bits(),
                Constant(bits) => *bits,
                Operation::Add(a, b) => (number(a) + number(b)).to_bits(),
                Operation::Sub(a, b) => (number(a) - number(b)).to_bits(),
                Operation::Mul(a, b) => (number(a) * number(b)).to_bits(),
                Operation::Div(a, b) => (number(a) / number(b)).to_bits(),
                Operation::Neg(a) => (-number(a)).to_bits(),
                MulAdd(a, b, c) => number(a).mul_add(number(b), number(c)).to_bits(),
                Sqrt(a) => number(a).sqrt().to_bits(),
                Abs(a) => number(a).abs().to_bits(),
                Less(a, b) => truth(number(a) < number(b)),
                AtMost(a, b) => truth(number(a) <= number(b)),
                Equals(a, b) => truth(number(a) == number(b)),
                Select(mask, a, b) => words[*mask] & words[*a] | !words[*mask] & words[*b],
                Lesser(a, b) => words[if number(a) < number(b) { *a } else { *b }],
                Greater(a, b) => words[if number(a) > number(b) { *a } else { *b }],
                Operation::And(a, b) => words[*a] & words[*b],
                Operation::Or(a, b) => words[*a] | words[*b],
                Xor(a, b) => words[*a] ^ words[*b],
                Operation::Not(a) => !words[*a],
                Plus(a, b) => words[*a].wrapping_add(words[*b]),
                Minus(a, b) => words[*a].wrapping_sub(words[*b]),
                ShiftLeft(a, count) => words[*a] << count,
                ShiftRight(a, count) => words[*a] >> count,
                Rarely(mask, value, slow, x, y) => {
                    if words[*mask] == 0 {
                        words[*value]
                    } else {
                        slow.apply(number(x), number(y)).to_bits()
                    }
                }
            };
            words.push(word);
        }
        f64::from_bits(words[self.result])
    }

    /// All operations that the result needs and those among them that are divisions or roots.
    fn operations(&self) -> (usize, usize) {
        let mut needed = vec![false; self.tape.len()];
        needed[self.result] = true;
        let (mut all, mut long) = (0, 0);
        for at in (0..self.tape.len()).rev() {
            if !needed[at] {
                continue;
            }
            let operands: &[usize] = match &self.tape[at] {
                Operation::Argument(_) | Constant(_) => continue,
                Operation::Neg(a) | Sqrt(a) | Abs(a) | Operation::Not(a) | ShiftLeft(a, _) | ShiftRight(a, _) => &[*a],
                MulAdd(a, b, c) | Select(a, b, c) => &[*a, *b, *c],
                Rarely(a, b, _, c, d) => &[*a, *b, *c, *d],
                Operation::Add(a, b)
                | Operation::Sub(a, b)
                | Operation::Mul(a, b)
                | Operation::Div(a, b)
                | Less(a, b)
                | AtMost(a, b)
                | Equals(a, b)
                | Lesser(a, b)
                | Greater(a, b)
                | Operation::And(a, b)
                | Operation::Or(a, b)
                | Xor(a, b)
                | Plus(a, b)
                | Minus(a, b) => &[*a, *b],
            };
            // a sign turned is part of the multiply-add that uses it
            all += usize::from(!matches!(self.tape[at], Operation::Neg(_)));
            long += usize::from(matches!(self.tape[at], Operation::Div(..) | Sqrt(_)));
            for operand in operands {
                needed[*operand] = true;
            }
        }
        (all, long)
    }
}

macro_rules! recordings {
    (unary { $($family:ident::$name:ident)+ } binary { $($family2:ident::$name2:ident)+ }) => {
        vec![
            $((stringify!($name), Recording::of(|x, _| $family::$name(x)),
               (|x, _| super::super::$name(x)) as fn(f64, f64) -> f64),)+
            $((stringify!($name2), Recording::of(|x, y| $family2::$name2(x, y)),
               (|x, y| super::super::$name2(x, y)) as fn(f64, f64) -> f64),)+
        ]
    };
}

type Case = (&'static str, Recording, fn(f64, f64) -> f64);

fn recordings() -> Vec<Case> {
    recordings! {
        unary {
            exponential::exp exponential::expm1 logarithm::log logarithm::log1p logarithm::log2 logarithm::log10
            trigonometric::sin trigonometric::cos trigonometric::tan trigonometric::sinc trigonometric::sinc_slope
            hyperbolic::sinh hyperbolic::cosh hyperbolic::tanh error_function::erf error_function::erfc
            power::cbrt inverse::asin inverse::acos inverse::atan
        }
        binary { power::pow power::hypot inverse::atan2 }
    }
}

#[test]
fn a_recording_has_the_same_bits() {
    let mut numbers = vec![0.0, 1.0, 0.5, 2.0, 1e-300, 5e-324, f64::MAX, f64::INFINITY, f64::NAN, 1e10, 3.0, 745.0];
    let mut state = 1u64;
    for _ in 0..200 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers.push(f64::from_bits(state));
        numbers.push((state >> 11) as f64 / (1u64 << 49) as f64);
    }
    numbers.extend(numbers.clone().iter().map(|x| -x));
    for (name, recording, scalar) in recordings() {
        for (i, &x) in numbers.iter().enumerate() {
            for y in [numbers[(7 * i + 3) % numbers.len()], numbers[i % 24]] {
                let (found, expected) = (recording.run([x, y]), scalar(x, y));
                let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
                assert!(same, "{name}({x:e}, {y:e}): {found:e}, scalar {expected:e}");
            }
        }
    }
}

/// What a pass costs: a change of these numbers is a change of speed.
#[test]
fn the_operations_of_each_function_are_known() {
    let found: Vec<_> = recordings().iter().map(|(name, recording, _)| (*name, recording.operations())).collect();
    let expected = [
        ("exp", (28, 0)),
        ("expm1", (33, 0)),
        ("log", (35, 1)),
        ("log1p", (52, 1)),
        ("log2", (39, 1)),
        ("log10", (39, 1)),
        ("sin", (40, 0)),
        ("cos", (40, 0)),
        ("tan", (55, 1)),
        ("sinc", (53, 1)),
        ("sinc_slope", (89, 1)),
        ("sinh", (41, 0)),
        ("cosh", (37, 0)),
        ("tanh", (61, 1)),
        ("erf", (89, 1)),
        ("erfc", (126, 1)),
        ("cbrt", (49, 0)),
        ("asin", (39, 2)),
        ("acos", (45, 2)),
        ("atan", (51, 1)),
        ("pow", (112, 1)),
        ("hypot", (35, 2)),
        ("atan2", (76, 1)),
    ];
    assert_eq!(found, expected);
    // of one argument they share everything but the end
    let both = Recording::of(|x, _| trigonometric::sin(x) + trigonometric::cos(x));
    assert_eq!(both.operations(), (47, 0));
}
