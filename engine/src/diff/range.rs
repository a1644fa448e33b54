//! Where a slope can be `0 * inf`: bounds on values, from the form of the graph alone.
//!
//! In `1/(1 + exp(u))` and `exp(-exp(u))` the inner exponential overflows long before anything is wrong with the value; the
//! adjoint that reaches it is 0 there, the slope of the exponential inf, and their product must be 0 and not NaN. In
//! `a*exp(u)` the value itself is lost by then, and no guard is needed. So a product is guarded where the slope is *wild*
//! and the operation *sheltered*.

use crate::expr::graph::{Graph, Node, NodeId};
use crate::expr::ops::{Binary, Unary};

/// Facts about nodes, kept up as the graph grows.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    /// Whether a variable is in it.
    varies: Vec<bool>,
    /// Whether it can overflow at ordinary arguments.
    wild: Vec<bool>,
}

impl Ranges {
    /// Whether a value can overflow where variables and parameters are of ordinary size. Parameters do not vanish, variables
    /// and what depends on them may.
    pub(super) fn is_wild(&mut self, graph: &Graph, id: NodeId) -> bool {
        self.grow(graph);
        self.wild[id.index()]
    }

    /// Whether the reciprocal of a value can.
    pub(super) fn is_wild_reciprocal(&mut self, graph: &Graph, id: NodeId) -> bool {
        self.grow(graph);
        self.varies[id.index()]
    }

    fn grow(&mut self, graph: &Graph) {
        for node in &graph.nodes()[self.wild.len()..] {
            let varies = matches!(node, Node::Variable(_)) || node.arguments().any(|a| self.varies[a.index()]);
            let wild = self.overflows(*node);
            self.varies.push(varies);
            self.wild.push(wild);
        }
    }

    fn overflows(&self, node: Node) -> bool {
        match node {
            Node::Unary(op, _) if is_bounded(op) => false,
            Node::Unary(Unary::Exp | Unary::Expm1 | Unary::Sinh | Unary::Cosh | Unary::Tan, _) => true,
            Node::Unary(Unary::Log | Unary::Log1p | Unary::Log2 | Unary::Log10, a) => self.varies[a.index()],
            Node::Binary(Binary::Pow, ..) => true,
            Node::Binary(Binary::Div, a, b) => self.wild[a.index()] || self.varies[b.index()],
            Node::PowInt(a, n) if n < 0 => self.varies[a.index()],
            _ => node.arguments().any(|a| self.wild[a.index()]),
        }
    }
}

fn is_bounded(op: Unary) -> bool {
    matches!(
        op,
        Unary::Not
            | Unary::Sign
            | Unary::Step
            | Unary::Sin
            | Unary::Cos
            | Unary::Asin
            | Unary::Acos
            | Unary::Atan
            | Unary::Tanh
            | Unary::Erf
            | Unary::Erfc
            | Unary::Sinc
            | Unary::SincSlope
    )
}

/// Which nodes can overflow while the value stays finite: those not tied to it by sums, products, numerators and branches
/// alone. `[value + 1]`
pub(super) fn sheltered(graph: &Graph, value: NodeId) -> Vec<bool> {
    let mut sheltered = vec![false; value.index() + 1];
    let needed = graph.needed_for(&[value]);
    for index in (0..=value.index()).rev().filter(|&index| needed[index]) {
        let node = graph.nodes()[index];
        for (position, argument) in node.arguments().enumerate() {
            let tied = match node {
                Node::Unary(op, _) => matches!(op, Unary::Neg | Unary::Abs),
                Node::PowInt(_, n) => n > 0,
                Node::Binary(op, ..) => match op {
                    Binary::Add | Binary::Sub | Binary::Mul | Binary::Hypot => true,
                    Binary::Div => position == 0,
                    _ => false,
                },
                _ => false,
            };
            sheltered[argument.index()] |= sheltered[index] || !tied;
        }
    }
    sheltered
}
