//! Forward dual numbers: the reference for derivatives, written without regard to [`super::symbolic`].
//!
//! A dual number v + s d, d^2 = 0, carries a value and its slope along one direction of the parameters. In slopes a factor of
//! exactly 0 makes a product 0, whatever the other factor: the limit that is meant wherever the value is finite.

use crate::expr::graph::{Graph, Node, NodeId};
use crate::expr::ops::{Binary, Unary};
use crate::math;

/// A value and its slope along a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// The value.
    pub value: f64,
    /// Its derivative along the direction.
    pub slope: f64,
}

impl Dual {
    /// A value that does not move.
    pub fn constant(value: f64) -> Self {
        Self { value, slope: 0.0 }
    }
}

/// The node `root` at one point, with its slope along `direction`. `direction` has one number for each parameter.
pub fn evaluate(graph: &Graph, root: NodeId, variables: &[f64], parameters: &[f64], direction: &[f64]) -> Dual {
    let mut duals: Vec<Dual> = Vec::with_capacity(root.index() + 1);
    for node in &graph.nodes()[..=root.index()] {
        let at = |id: NodeId| duals[id.index()];
        let dual = match *node {
            Node::Constant(bits) => Dual::constant(f64::from_bits(bits)),
            Node::Variable(index) => Dual::constant(variables[index as usize]),
            Node::Parameter(index) => Dual { value: parameters[index as usize], slope: direction[index as usize] },
            Node::Unary(op, a) => unary(op, at(a)),
            Node::PowInt(a, n) => power(at(a), Dual::constant(f64::from(n)), math::pow_int(at(a).value, n)),
            Node::Binary(op, a, b) => binary(op, at(a), at(b)),
            Node::Select(condition, a, b) => {
                if at(condition).value != 0.0 {
                    at(a)
                } else {
                    at(b)
                }
            }
        };
        duals.push(dual);
    }
    duals[root.index()]
}

/// The derivatives of `root` with respect to each parameter.
pub fn gradient(graph: &Graph, root: NodeId, variables: &[f64], parameters: &[f64]) -> Vec<f64> {
    let mut direction = vec![0.0; parameters.len()];
    let mut slopes = Vec::with_capacity(parameters.len());
    for j in 0..parameters.len() {
        direction[j] = 1.0;
        slopes.push(evaluate(graph, root, variables, parameters, &direction).slope);
        direction[j] = 0.0;
    }
    slopes
}

/// `a*b`, 0 if either is 0.
fn product(a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { a * b }
}

fn unary(op: Unary, a: Dual) -> Dual {
    let x = a.value;
    let value = op.apply(x);
    let slope = match op {
        Unary::Neg => -1.0,
        Unary::Not | Unary::Sign | Unary::Step => 0.0,
        Unary::Abs => Unary::Sign.apply(x),
        Unary::Sqrt => 0.5 / value,
        Unary::Cbrt => 1.0 / (3.0 * value * value),
        Unary::Exp | Unary::Expm1 => math::exp(x),
        Unary::Log => 1.0 / x,
        Unary::Log1p => 1.0 / (1.0 + x),
        Unary::Log2 => std::f64::consts::LOG2_E / x,
        Unary::Log10 => std::f64::consts::LOG10_E / x,
        Unary::Sin => math::cos(x),
        Unary::Cos => -math::sin(x),
        Unary::Tan => 1.0 / (math::cos(x) * math::cos(x)),
        Unary::Asin => 1.0 / math::sqrt((1.0 - x) * (1.0 + x)),
        Unary::Acos => -1.0 / math::sqrt((1.0 - x) * (1.0 + x)),
        Unary::Atan => 1.0 / (1.0 + x * x),
        Unary::Sinh => math::cosh(x),
        Unary::Cosh => math::sinh(x),
        // 4/(e^x + e^-x)^2, the larger exponential taken out
        Unary::Tanh => {
            let decay = math::exp(-2.0 * x.abs());
            4.0 * decay / ((1.0 + decay) * (1.0 + decay))
        }
        Unary::Erf => std::f64::consts::FRAC_2_SQRT_PI * math::exp(-x * x),
        Unary::Erfc => -std::f64::consts::FRAC_2_SQRT_PI * math::exp(-x * x),
        Unary::Sinc => math::sinc_slope(x),
        // sinc'' = -sinc - 2 sinc'/x
        Unary::SincSlope if x == 0.0 => -1.0 / 3.0,
        Unary::SincSlope => -math::sinc(x) - 2.0 * value / x,
    };
    Dual { value, slope: product(a.slope, slope) }
}

fn binary(op: Binary, a: Dual, b: Dual) -> Dual {
    let value = op.apply(a.value, b.value);
    let slope = match op {
        Binary::Add => a.slope + b.slope,
        Binary::Sub => a.slope - b.slope,
        Binary::Mul | Binary::MulZero => product(a.slope, b.value) + product(a.value, b.slope),
        Binary::Div => product(a.slope, 1.0 / b.value) - product(product(value, b.slope), 1.0 / b.value),
        Binary::Pow => return power(a, b, value),
        Binary::Min => (if a.value < b.value { a } else { b }).slope,
        Binary::Max => (if a.value > b.value { a } else { b }).slope,
        Binary::Hypot if value == 0.0 => 0.0,
        Binary::Hypot => product(a.slope, a.value / value) + product(b.slope, b.value / value),
        Binary::Atan2 => {
            let radius = math::hypot(a.value, b.value);
            if radius == 0.0 {
                0.0
            } else {
                product(a.slope, b.value / radius / radius) - product(b.slope, a.value / radius / radius)
            }
        }
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne | Binary::And | Binary::Or => 0.0,
    };
    Dual { value, slope }
}

/// `a^b` with its known value: b a^(b-1) along a, a^b log(a) along b, 0 along b where a is 0.
fn power(a: Dual, b: Dual, value: f64) -> Dual {
    let along_base = product(b.value, math::pow(a.value, b.value - 1.0));
    let along_exponent = if a.value == 0.0 { 0.0 } else { value * math::log(a.value) };
    Dual { value, slope: product(a.slope, along_base) + product(b.slope, along_exponent) }
}
