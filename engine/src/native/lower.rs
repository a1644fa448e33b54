//! A tape to [`Code`]: its steps are run on recorded numbers.

use super::code::{Code, Operation as Op, Value};
use super::record::{Recorded, put, record};
use crate::expr::ops::{Binary, Unary};
use crate::math::arithmetic::Arithmetic as _;
use crate::math::{error_function, exponential, hyperbolic, inverse, logarithm, power, trigonometric};
use crate::tape::{Operand, Operation, Step, Tape};

/// The code of a tape's body, and where its outputs are.
pub(super) fn lower(tape: &Tape) -> (Code, Vec<Value>) {
    record(|| {
        let mut registers: Vec<Option<Recorded>> = vec![None; tape.registers()];
        for &Step { operation, out } in tape.body() {
            let at = |operand| at(&registers, operand);
            registers[out as usize] = Some(match operation {
                Operation::Unary(op, a) => unary(op, at(a)),
                Operation::PowInt(a, n) => pow_int(at(a), n),
                Operation::Binary(op, a, b) => binary(op, at(a), at(b)),
                Operation::Select(condition, yes, no) => {
                    Recorded::select(at(condition).equals(number(0.0)), at(no), at(yes))
                }
            });
        }
        tape.outputs().iter().map(|&output| at(&registers, output).0).collect()
    })
}

fn at(registers: &[Option<Recorded>], operand: Operand) -> Recorded {
    match operand {
        Operand::Variable(column) => put(Op::Column { column, ahead: 0 }),
        Operand::Register(index) => registers[index as usize].expect("a register is read after it is written"),
        Operand::Uniform(index) => put(Op::Uniform(index)),
    }
}

fn number(value: f64) -> Recorded {
    Recorded::constant(value)
}

fn truth(mask: Recorded) -> Recorded {
    Recorded::select(mask, number(1.0), number(0.0))
}

/// [`Unary::apply`]
fn unary(op: Unary, x: Recorded) -> Recorded {
    let (zero, one) = (number(0.0), number(1.0));
    match op {
        Unary::Neg => -x,
        Unary::Not => truth(x.equals(zero)),
        Unary::Abs => x.abs(),
        Unary::Sign => {
            let otherwise = Recorded::select(x.less(zero), number(-1.0), x * zero);
            Recorded::select(zero.less(x), one, otherwise)
        }
        Unary::Step => Recorded::select(zero.at_most(x), one, Recorded::select(x.less(zero), zero, x)),
        Unary::Sqrt => x.sqrt(),
        Unary::Cbrt => power::cbrt(x),
        Unary::Exp => exponential::exp(x),
        Unary::Expm1 => exponential::expm1(x),
        Unary::Log => logarithm::log(x),
        Unary::Log1p => logarithm::log1p(x),
        Unary::Log2 => logarithm::log2(x),
        Unary::Log10 => logarithm::log10(x),
        Unary::Sin => trigonometric::sin(x),
        Unary::Cos => trigonometric::cos(x),
        Unary::Tan => trigonometric::tan(x),
        Unary::Asin => inverse::asin(x),
        Unary::Acos => inverse::acos(x),
        Unary::Atan => inverse::atan(x),
        Unary::Sinh => hyperbolic::sinh(x),
        Unary::Cosh => hyperbolic::cosh(x),
        Unary::Tanh => hyperbolic::tanh(x),
        Unary::Erf => error_function::erf(x),
        Unary::Erfc => error_function::erfc(x),
        Unary::Sinc => trigonometric::sinc(x),
        Unary::SincSlope => trigonometric::sinc_slope(x),
    }
}

/// [`Binary::apply`]
fn binary(op: Binary, a: Recorded, b: Recorded) -> Recorded {
    let (zero, one) = (number(0.0), number(1.0));
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => power::pow(a, b),
        Binary::Hypot => power::hypot(a, b),
        Binary::Atan2 => inverse::atan2(a, b),
        Binary::Min => Recorded::select(a.equals(a), a.lesser(b), a),
        Binary::Max => Recorded::select(a.equals(a), a.greater(b), a),
        Binary::MulZero => Recorded::select(a.equals(zero), zero, a * b),
        Binary::Lt => truth(a.less(b)),
        Binary::Le => truth(a.at_most(b)),
        Binary::Gt => truth(b.less(a)),
        Binary::Ge => truth(b.at_most(a)),
        Binary::Eq => truth(a.equals(b)),
        Binary::Ne => Recorded::select(a.equals(b), zero, one),
        Binary::And => Recorded::select(a.equals(zero) | b.equals(zero), zero, one),
        Binary::Or => Recorded::select(a.equals(zero) & b.equals(zero), zero, one),
    }
}

/// [`crate::math::pow_int`]
fn pow_int(x: Recorded, n: i32) -> Recorded {
    let (mut exponent, mut square) = (n.unsigned_abs(), x);
    let mut product = None;
    while exponent > 0 {
        if exponent & 1 == 1 {
            // the first factor is 1, which changes no bit
            product = Some(product.map_or(square, |product| product * square));
        }
        exponent >>= 1;
        if exponent > 0 {
            square = square * square;
        }
    }
    let product = product.unwrap_or(number(1.0));
    if n < 0 { number(1.0) / product } else { product }
}
