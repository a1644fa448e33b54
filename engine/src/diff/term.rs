//! Numbers times nodes: how derivatives are put together without leaving signs and factors of two all over the graph.

use crate::expr::graph::{Graph, Node, NodeId};
use crate::expr::ops::{Binary, Unary};

/// `factor * node`, or the number `factor` alone. A derivative that is identically zero is no term (`Option<Term>`).
///
/// Factors multiply as numbers, so regrouping rounds a derivative differently than the text would; values never pass here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Term {
    factor: f64,
    node: Option<NodeId>,
}

impl Term {
    /// The number 1.
    pub(super) const ONE: Term = Term { factor: 1.0, node: None };

    /// A node, a constant one as its number; none for the constant 0.
    pub(super) fn of(graph: &Graph, node: NodeId) -> Option<Term> {
        match graph.constant_value(node) {
            Some(0.0) => None,
            Some(value) => Some(Term { factor: value, node: None }),
            None => Some(Term { factor: 1.0, node: Some(node) }),
        }
    }

    /// `c * self` for a number `c` that is not 0.
    pub(super) fn scaled(self, c: f64) -> Term {
        Term { factor: self.factor * c, ..self }
    }

    /// `self * node`.
    pub(super) fn times(self, graph: &mut Graph, node: NodeId) -> Option<Term> {
        let other = Term::of(graph, node)?;
        Some(self.times_term(graph, other))
    }

    /// `self * other`.
    pub(super) fn times_term(self, graph: &mut Graph, other: Term) -> Term {
        let node = match (self.node, other.node) {
            (Some(a), Some(b)) => Some(graph.binary(Binary::Mul, a, b)),
            (a, b) => a.or(b),
        };
        Term { factor: self.factor * other.factor, node }.simplified(graph)
    }

    /// `self / node`.
    pub(super) fn over(self, graph: &mut Graph, node: NodeId) -> Term {
        let quotient = match (self.node, graph.constant_value(node)) {
            (numerator, Some(c)) if c.is_normal() && (1.0 / c).is_normal() => {
                return Term { factor: self.factor / c, node: numerator };
            }
            (Some(numerator), _) => graph.binary(Binary::Div, numerator, node),
            (None, _) => {
                let one = graph.constant(1.0);
                graph.binary(Binary::Div, one, node)
            }
        };
        Term { factor: self.factor, node: Some(quotient) }.simplified(graph)
    }

    /// `self * slope`, but exactly 0 where `self` is 0, whatever the slope.
    pub(super) fn guards(self, graph: &mut Graph, slope: Term) -> Term {
        let factor = self.factor * slope.factor;
        let node = match (self.node, slope.node) {
            (Some(u), Some(g)) => Some(graph.binary(Binary::MulZero, u, g)),
            // a slope that is one finite number needs no guard
            (u, g) => u.or(g),
        };
        Term { factor, node }.simplified(graph)
    }

    /// `self + other`; none if they cancel identically.
    pub(super) fn plus(self, graph: &mut Graph, other: Term) -> Option<Term> {
        if self.node == other.node {
            let factor = self.factor + other.factor;
            return (factor != 0.0).then_some(Term { factor, ..self });
        }
        if let (Some(a), Some(b)) = (self.node, other.node) {
            if self.factor == other.factor {
                let node = Some(graph.binary(Binary::Add, a, b));
                return Some(Term { node, ..self }.simplified(graph));
            }
            if self.factor == -other.factor {
                let (positive, a, b) = if self.factor > 0.0 { (self.factor, a, b) } else { (other.factor, b, a) };
                let node = Some(graph.binary(Binary::Sub, a, b));
                return Some(Term { factor: positive, node }.simplified(graph));
            }
        }
        let (a, b) = (self.node(graph), other.node(graph));
        let node = Some(graph.binary(Binary::Add, a, b));
        Some(Term { factor: 1.0, node }.simplified(graph))
    }

    /// As a node of the graph.
    pub(super) fn node(self, graph: &mut Graph) -> NodeId {
        match self.node {
            None => graph.constant(self.factor),
            Some(node) => {
                let factor = graph.constant(self.factor);
                graph.binary(Binary::Mul, factor, node)
            }
        }
    }

    /// Takes a sign or a number that the graph's rewrites brought to the top of the node into the factor.
    fn simplified(self, graph: &Graph) -> Term {
        let Some(node) = self.node else { return self };
        if let Some(value) = graph.constant_value(node) {
            return Term { factor: self.factor * value, node: None };
        }
        match graph.node(node) {
            Node::Unary(Unary::Neg, inner) => Term { factor: -self.factor, node: Some(inner) },
            Node::Binary(Binary::Mul, a, b) => match (graph.constant_value(a), graph.constant_value(b)) {
                (Some(c), _) => Term { factor: self.factor * c, node: Some(b) },
                (_, Some(c)) => Term { factor: self.factor * c, node: Some(a) },
                _ => self,
            },
            _ => self,
        }
    }
}
