//! The slope of each operation along each argument.

use crate::expr::graph::{Graph, NodeId};
use crate::expr::ops::{Binary, Unary};

use super::term::Term;

/// A slope in factors, `scale * times[0] * times[1] / over`, so that an adjoint can be multiplied in where that shares work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slope {
    pub(super) scale: f64,
    pub(super) over: Option<NodeId>,
    pub(super) times: [Option<NodeId>; 2],
}

impl Slope {
    fn number(scale: f64) -> Self {
        Self { scale, over: None, times: [None, None] }
    }

    fn node(node: NodeId) -> Self {
        Self::number(1.0).times(node)
    }

    fn reciprocal(node: NodeId) -> Self {
        Self { over: Some(node), ..Self::number(1.0) }
    }

    fn times(self, node: NodeId) -> Self {
        match self.times {
            [None, _] => Self { times: [Some(node), None], ..self },
            [first, _] => Self { times: [first, Some(node)], ..self },
        }
    }

    fn scaled(self, c: f64) -> Self {
        Self { scale: self.scale * c, ..self }
    }
}

/// g'(a) of the smooth operations of one argument; `id` is g(a). Steps, signs and truth values are not asked: theirs is 0.
pub(super) fn smooth_unary(graph: &mut Graph, id: NodeId, op: Unary, a: NodeId) -> Slope {
    match op {
        Unary::Neg => Slope::number(-1.0),
        // 0 at 0
        Unary::Abs => Slope::node(graph.unary(Unary::Sign, a)),
        Unary::Exp => Slope::node(id),
        // not id + 1, which has no digits left far below 0
        Unary::Expm1 => Slope::node(graph.unary(Unary::Exp, a)),
        Unary::Sin => Slope::node(graph.unary(Unary::Cos, a)),
        Unary::Cos => Slope::node(graph.unary(Unary::Sin, a)).scaled(-1.0),
        Unary::Tan => Slope::node(one_plus_square(graph, id)),
        Unary::Atan => Slope::reciprocal(one_plus_square(graph, a)),
        Unary::Sinh => Slope::node(graph.unary(Unary::Cosh, a)),
        Unary::Cosh => Slope::node(graph.unary(Unary::Sinh, a)),
        // (1/cosh)^2: 1 - tanh^2 has no digits left for |x| > 19, and cosh^2 overflows before the slope underflows
        Unary::Tanh => {
            let cosh = graph.unary(Unary::Cosh, a);
            let sech = graph.pow_int(cosh, -1);
            Slope::node(graph.pow_int(sech, 2))
        }
        Unary::Erf => gauss(graph, a),
        Unary::Erfc => gauss(graph, a).scaled(-1.0),
        Unary::Sinc => Slope::node(graph.unary(Unary::SincSlope, a)),
        _ => unreachable!("{} is a knot, has slope 0, or is made by differentiation", op.name()),
    }
}

/// n a^(n-1).
pub(super) fn pow_int(graph: &mut Graph, a: NodeId, n: i32) -> Slope {
    Slope::node(graph.pow_int(a, n - 1)).scaled(f64::from(n))
}

/// The slope of a smooth `op(a, b)` along a; `id` is its value.
pub(super) fn first(graph: &mut Graph, id: NodeId, op: Binary, a: NodeId, b: NodeId) -> Slope {
    match op {
        Binary::Add | Binary::Sub => Slope::number(1.0),
        Binary::Mul => Slope::node(b),
        Binary::Div => Slope::reciprocal(b),
        // a/hypot(a, b)
        Binary::Hypot => Slope::node(quotient_or_zero(graph, a, id)),
        // b/(a^2 + b^2)
        Binary::Atan2 => Slope::node(over_radius_twice(graph, a, b, b)),
        _ => unreachable!("\"{}\" is a knot, has slope 0, or is made by differentiation", op.name()),
    }
}

/// The slope of a smooth `op(a, b)` along b; `id` is its value.
pub(super) fn second(graph: &mut Graph, id: NodeId, op: Binary, a: NodeId, b: NodeId) -> Slope {
    match op {
        Binary::Add => Slope::number(1.0),
        Binary::Sub => Slope::number(-1.0),
        Binary::Mul => Slope::node(a),
        // -a/b^2 as -(1/b)(a/b): with the adjoint both quotients are there already
        Binary::Div => Slope::reciprocal(b).times(id).scaled(-1.0),
        // a^b log(a), 0 where a is 0
        Binary::Pow => Slope::node(id).times(log_or_zero(graph, a)),
        Binary::Hypot => Slope::node(quotient_or_zero(graph, b, id)),
        Binary::Atan2 => Slope::node(over_radius_twice(graph, a, b, a)).scaled(-1.0),
        _ => unreachable!("\"{}\" is a knot, has slope 0, or is made by differentiation", op.name()),
    }
}

/// g'(u) of the operations that can have an infinite slope; `id` is g(u).
pub(super) fn singular_unary(graph: &mut Graph, id: NodeId, op: Unary, u: NodeId) -> Term {
    use std::f64::consts::{LN_2, LN_10};
    let (scale, denominator) = match op {
        Unary::Sqrt => (0.5, id),
        Unary::Cbrt => (1.0 / 3.0, graph.pow_int(id, 2)),
        Unary::Log => (1.0, u),
        Unary::Log2 => (1.0 / LN_2, u),
        Unary::Log10 => (1.0 / LN_10, u),
        Unary::Log1p => {
            let one = graph.constant(1.0);
            (1.0, graph.binary(Binary::Add, one, u))
        }
        // 1/sqrt((1 - u)(1 + u)): 1 - u^2 would cancel near 1
        Unary::Asin | Unary::Acos => {
            let one = graph.constant(1.0);
            let below = graph.binary(Binary::Sub, one, u);
            let above = graph.binary(Binary::Add, one, u);
            let product = graph.binary(Binary::Mul, below, above);
            (if op == Unary::Asin { 1.0 } else { -1.0 }, graph.unary(Unary::Sqrt, product))
        }
        _ => unreachable!("{} has a finite slope", op.name()),
    };
    Term::ONE.scaled(scale).over(graph, denominator)
}

/// The slopes of S = a^b along a and along b, S being the node `id`; none where identically 0.
///
/// Along a: `b S/a`, at a = 0 `b 0^(b-1)` (0 for b > 1 and b = 0, 1 for b = 1, else inf). S/a costs a division where
/// `a^(b-1)` would cost a second power; it loses digits only where S is subnormal. Along b: `S log(a)`, 0 at a = 0.
pub(super) fn power(graph: &mut Graph, id: NodeId, a: NodeId, b: NodeId) -> (Option<Term>, Option<Term>) {
    let [zero, one, infinity] = [0.0, 1.0, f64::INFINITY].map(|value| graph.constant(value));
    let is_linear = graph.binary(Binary::Eq, b, one);
    let up_to_one = graph.select(is_linear, one, infinity);
    let is_flat = graph.binary(Binary::Gt, b, one);
    let at_zero = graph.select(is_flat, zero, up_to_one);
    let is_zero = graph.binary(Binary::Eq, a, zero);
    let ratio = graph.binary(Binary::Div, id, a);
    let reduced = graph.select(is_zero, at_zero, ratio);
    let base = Term::of(graph, b).zip(Term::of(graph, reduced)).map(|(b, reduced)| b.guards(graph, reduced));
    let log = log_or_zero(graph, a);
    let exponent = Term::of(graph, log).and_then(|log| log.times(graph, id));
    (base, exponent)
}

/// `1 + x^2`.
fn one_plus_square(graph: &mut Graph, x: NodeId) -> NodeId {
    let one = graph.constant(1.0);
    let square = graph.pow_int(x, 2);
    graph.binary(Binary::Add, one, square)
}

/// erf'(x) = 2/sqrt(pi) exp(-x^2).
fn gauss(graph: &mut Graph, x: NodeId) -> Slope {
    let square = graph.pow_int(x, 2);
    let exponent = graph.unary(Unary::Neg, square);
    Slope::node(graph.unary(Unary::Exp, exponent)).scaled(std::f64::consts::FRAC_2_SQRT_PI)
}

/// `a/r`, 0 where r is 0.
fn quotient_or_zero(graph: &mut Graph, a: NodeId, r: NodeId) -> NodeId {
    let zero = graph.constant(0.0);
    let is_zero = graph.binary(Binary::Eq, r, zero);
    let quotient = graph.binary(Binary::Div, a, r);
    graph.select(is_zero, zero, quotient)
}

/// `c/(a^2 + b^2)`, 0 where both are 0; by two divisions, since the squares could leave the range.
fn over_radius_twice(graph: &mut Graph, a: NodeId, b: NodeId, c: NodeId) -> NodeId {
    let radius = graph.binary(Binary::Hypot, a, b);
    let sine = quotient_or_zero(graph, c, radius);
    quotient_or_zero(graph, sine, radius)
}

/// `log(a)`, 0 where a is 0: the factor of a^b in its slope along b, which is 0 there.
fn log_or_zero(graph: &mut Graph, a: NodeId) -> NodeId {
    let zero = graph.constant(0.0);
    let is_zero = graph.binary(Binary::Eq, a, zero);
    let log = graph.unary(Unary::Log, a);
    graph.select(is_zero, zero, log)
}
