//! Constructors that fold constants and rewrite, each stating its law and where it fails.
//!
//! Every rewrite keeps the value bit for bit for every argument, NaN, infinities and signed zeros included, but for two that
//! are marked *exact in the reals*. The sign and payload of a NaN do not count as part of the value. Not done, because they
//! fail: `x + 0 = x` (at -0), `0*x = 0` and `x - x = 0` (at inf, NaN), `-(a - b) = b - a` (sign of zero at a = b),
//! `not (a < b) = a >= b` (at NaN), and any regrouping of sums or products (rounding).

use super::graph::{Graph, Node, NodeId};
use super::ops::{Binary, Unary};
use crate::math;

/// Largest `|n|` for which `x^n` is done by repeated multiplication; beyond it `pow` is more accurate and as fast.
pub const MAX_POW_INT: i32 = 64;

impl Graph {
    /// A number. All NaN are one.
    pub fn constant(&mut self, value: f64) -> NodeId {
        let value = if value.is_nan() { f64::NAN } else { value };
        self.insert(Node::Constant(value.to_bits()))
    }

    /// The independent variable of this index.
    pub fn variable(&mut self, index: usize) -> NodeId {
        self.insert(Node::Variable(u32::try_from(index).expect("a model has fewer than 2^32 variables")))
    }

    /// The parameter of this index.
    pub fn parameter(&mut self, index: usize) -> NodeId {
        self.insert(Node::Parameter(u32::try_from(index).expect("a model has fewer than 2^32 parameters")))
    }

    /// The value of a constant node.
    pub fn constant_value(&self, id: NodeId) -> Option<f64> {
        match self.node(id) {
            Node::Constant(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }

    /// `op(a)`, folded if `a` is constant.
    pub fn unary(&mut self, op: Unary, a: NodeId) -> NodeId {
        if let Some(value) = self.constant_value(a) {
            return self.constant(op.apply(value));
        }
        match (op, self.node(a)) {
            (Unary::Neg, _) => self.negated(a),
            // |-x| = |x|, ||x|| = |x|
            (Unary::Abs, Node::Unary(Unary::Neg, inner)) => self.insert(Node::Unary(Unary::Abs, inner)),
            (Unary::Abs, Node::Unary(Unary::Abs, _)) => a,
            _ => self.insert(Node::Unary(op, a)),
        }
    }

    /// `-(-x) = x`; `-(x*c) = x*(-c)` and `-(c/x) = (-c)/x`: rounding is symmetric in sign.
    fn negated(&mut self, a: NodeId) -> NodeId {
        match self.node(a) {
            Node::Unary(Unary::Neg, inner) => inner,
            Node::Binary(Binary::Mul, left, right) => {
                if let Some(c) = self.constant_value(left) {
                    let flipped = self.constant(-c);
                    return self.binary(Binary::Mul, flipped, right);
                }
                if let Some(c) = self.constant_value(right) {
                    let flipped = self.constant(-c);
                    return self.binary(Binary::Mul, left, flipped);
                }
                self.insert(Node::Unary(Unary::Neg, a))
            }
            Node::Binary(Binary::Div, left, right) => match self.constant_value(left) {
                Some(c) => {
                    let flipped = self.constant(-c);
                    self.binary(Binary::Div, flipped, right)
                }
                None => self.insert(Node::Unary(Unary::Neg, a)),
            },
            _ => self.insert(Node::Unary(Unary::Neg, a)),
        }
    }

    /// `a^n`: `x^0 = 1` (also at NaN, as IEEE 754 has it), `x^1 = x`, folded if `a` is constant.
    pub fn pow_int(&mut self, a: NodeId, n: i32) -> NodeId {
        match (n, self.constant_value(a)) {
            (0, _) => self.constant(1.0),
            (1, _) => a,
            (_, Some(value)) => self.constant(math::pow_int(value, n)),
            (-1, _) => {
                let one = self.constant(1.0);
                self.binary(Binary::Div, one, a)
            }
            _ => self.insert(Node::PowInt(a, n)),
        }
    }

    /// `condition != 0 ? then : otherwise`; a constant condition decides, equal branches need none.
    pub fn select(&mut self, condition: NodeId, then: NodeId, otherwise: NodeId) -> NodeId {
        match self.constant_value(condition) {
            Some(value) if value != 0.0 => then,
            Some(_) => otherwise,
            None if then == otherwise => then,
            None => self.insert(Node::Select(condition, then, otherwise)),
        }
    }

    /// `op(a, b)`, folded if both are constant.
    pub fn binary(&mut self, op: Binary, a: NodeId, b: NodeId) -> NodeId {
        if let (Some(left), Some(right)) = (self.constant_value(a), self.constant_value(b)) {
            return self.constant(op.apply(left, right));
        }
        match op {
            Binary::Add => self.sum(a, b),
            Binary::Sub => self.difference(a, b),
            Binary::Mul => self.product(a, b),
            Binary::Div => self.quotient(a, b),
            Binary::Pow => self.power(a, b),
            Binary::MulZero => self.guarded_product(a, b),
            // commutative: one order
            Binary::Eq | Binary::Ne | Binary::And | Binary::Or => self.insert(Node::Binary(op, a.min(b), a.max(b))),
            _ => self.insert(Node::Binary(op, a, b)),
        }
    }

    /// `a + b = b + a`, `a + (-b) = a - b`, `x + (-0) = x`.
    fn sum(&mut self, a: NodeId, b: NodeId) -> NodeId {
        if self.is_constant(a, -0.0) {
            return b;
        }
        if self.is_constant(b, -0.0) {
            return a;
        }
        if let Node::Unary(Unary::Neg, inner) = self.node(b) {
            return self.difference(a, inner);
        }
        if let Node::Unary(Unary::Neg, inner) = self.node(a) {
            return self.difference(b, inner);
        }
        self.insert(Node::Binary(Binary::Add, a.min(b), a.max(b)))
    }

    /// `a - (-b) = a + b`, `x - 0 = x` for a positive zero.
    fn difference(&mut self, a: NodeId, b: NodeId) -> NodeId {
        if self.is_constant(b, 0.0) {
            return a;
        }
        match self.node(b) {
            Node::Unary(Unary::Neg, inner) => self.sum(a, inner),
            _ => self.insert(Node::Binary(Binary::Sub, a, b)),
        }
    }

    /// `a*b = b*a`, `1*x = x`, `-1*x = -x`, `(-a)*b = -(a*b)`, `(-x)*c = x*(-c)`.
    fn product(&mut self, a: NodeId, b: NodeId) -> NodeId {
        for (one, other) in [(a, b), (b, a)] {
            if self.is_constant(one, 1.0) {
                return other;
            }
            if self.is_constant(one, -1.0) {
                return self.unary(Unary::Neg, other);
            }
        }
        for (negative, other) in [(a, b), (b, a)] {
            if let Node::Unary(Unary::Neg, inner) = self.node(negative) {
                let product = self.binary(Binary::Mul, inner, other);
                return self.unary(Unary::Neg, product);
            }
        }
        self.insert(Node::Binary(Binary::Mul, a.min(b), a.max(b)))
    }

    /// `x/1 = x`, `x/(-1) = -x`, `(-a)/b = -(a/b)`, `a/(-b) = -(a/b)`, and `x/c = x*(1/c)` for a power of two `c` whose
    /// reciprocal is a normal number: both sides round the same real number.
    fn quotient(&mut self, a: NodeId, b: NodeId) -> NodeId {
        if let Some(c) = self.constant_value(b).filter(|&c| is_power_of_two(c)) {
            let reciprocal = self.constant(1.0 / c);
            return self.product(a, reciprocal);
        }
        if let Node::Unary(Unary::Neg, inner) = self.node(a) {
            let quotient = self.binary(Binary::Div, inner, b);
            return self.unary(Unary::Neg, quotient);
        }
        if let Node::Unary(Unary::Neg, inner) = self.node(b) {
            let quotient = self.binary(Binary::Div, a, inner);
            return self.unary(Unary::Neg, quotient);
        }
        self.insert(Node::Binary(Binary::Div, a, b))
    }

    /// `x^n` for a constant integer `|n| <= 64` is repeated multiplication: this defines the language's meaning of it.
    ///
    /// Exact in the reals only: `e^u = exp(u)` (the f64 nearest to e is off by 5e-17, and exp is what is meant), and
    /// `x^0.5 = sqrt(x)` where x is surely not negative (`pow(-0, 0.5) = 0` and `pow(-inf, 0.5) = inf`, `sqrt` differs).
    fn power(&mut self, a: NodeId, b: NodeId) -> NodeId {
        if let Some(exponent) = self.constant_value(b) {
            if exponent.fract() == 0.0 && exponent.abs() <= f64::from(MAX_POW_INT) {
                return self.pow_int(a, exponent as i32);
            }
            if exponent == 0.5 && self.has_no_sign(a) {
                return self.unary(Unary::Sqrt, a);
            }
        }
        if self.is_constant(a, std::f64::consts::E) {
            return self.unary(Unary::Exp, b);
        }
        self.insert(Node::Binary(Binary::Pow, a, b))
    }

    /// `a == 0 ? 0 : a*b`: a constant `a` decides.
    fn guarded_product(&mut self, a: NodeId, b: NodeId) -> NodeId {
        match self.constant_value(a) {
            Some(0.0) => self.constant(0.0),
            Some(_) => self.product(a, b),
            None => self.insert(Node::Binary(Binary::MulZero, a, b)),
        }
    }

    /// Whether a node is this very constant, the sign of zero included.
    fn is_constant(&self, id: NodeId, value: f64) -> bool {
        self.node(id) == Node::Constant(value.to_bits())
    }

    /// Whether a value surely has no sign bit (or is NaN), from its form alone.
    fn has_no_sign(&self, id: NodeId) -> bool {
        match self.node(id) {
            Node::Constant(bits) => f64::from_bits(bits).is_sign_positive(),
            Node::PowInt(_, n) => n % 2 == 0,
            Node::Unary(op, _) => matches!(op, Unary::Abs | Unary::Exp | Unary::Cosh | Unary::Erfc),
            Node::Binary(Binary::Hypot, ..) => true,
            Node::Binary(Binary::Add | Binary::Div, a, b) => self.is_square(a) && self.is_square(b),
            Node::Binary(Binary::Mul, a, b) => a == b || self.is_square(a) && self.is_square(b),
            _ => false,
        }
    }

    /// [`Graph::has_no_sign`] without looking further down, so that the search stays short.
    fn is_square(&self, id: NodeId) -> bool {
        match self.node(id) {
            Node::Constant(bits) => f64::from_bits(bits).is_sign_positive(),
            Node::PowInt(_, n) => n % 2 == 0,
            Node::Binary(Binary::Mul, a, b) => a == b,
            Node::Unary(op, _) => matches!(op, Unary::Abs | Unary::Exp),
            _ => false,
        }
    }
}

fn is_power_of_two(c: f64) -> bool {
    const FRACTION: u64 = (1 << 52) - 1;
    c.is_normal() && (1.0 / c).is_normal() && c.to_bits() & FRACTION == 0
}
