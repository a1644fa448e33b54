//! The derivatives of a graph's value with respect to its parameters, as nodes of the same graph.
//!
//! Smooth operations are differentiated in reverse: one sweep from the value down multiplies adjoints, so that all
//! parameters share them (a exp(-((x - mu)/w)^2/2) + c needs three operations more for its four derivatives). A sweep stops at
//! a *knot*: an operation whose slope can be infinite while its value is finite (sqrt, cbrt, the logarithms, asin, acos, a
//! power of a varying base) or that is pieced together (where, min, max). Knots are differentiated forward, one derivative
//! for each parameter:
//!
//! ```text
//! S = g(u):             dS/dp = u' * g'(u), exactly 0 where u' is 0     (Binary::MulZero)
//! S = where(c, a, b):   dS/dp = where(c, a', b')                        (the other branch's NaN stays there)
//! ```
//!
//! and enter the sweep above them as `adjoint * dS/dp`, exactly 0 where the adjoint is 0. In reverse the first rule would
//! meet `inf` before it knew that `u'` is 0, the second a NaN before it knew that the branch was not taken.
//!
//! Conventions where the derivative does not exist: 0 for `abs`, `hypot` and `atan2` at 0, for steps, signs and truth values
//! everywhere, and for `0^p` along p; the branch that gives the value for min and max.

use std::collections::BTreeMap;

use super::range::{self, Ranges};
use super::rules::{self, Slope};
use super::term::Term;
use crate::expr::graph::{Graph, Node, NodeId};
use crate::expr::ops::{Binary, Unary};

/// d value / d parameter for each parameter `0..n_parameters`; none where it is identically 0.
pub fn gradient(graph: &mut Graph, value: NodeId, n_parameters: usize) -> Vec<Option<NodeId>> {
    let mut differentiation = Differentiation::new(graph, value, n_parameters);
    differentiation.knots_below(value);
    let terms = differentiation.gradient(value);
    terms.into_iter().map(|term| term.map(|term| term.node(graph))).collect()
}

/// One term for each parameter.
type Terms = Vec<Option<Term>>;

struct Differentiation<'a> {
    graph: &'a mut Graph,
    n_parameters: usize,
    /// Whether a node of the value's own graph depends on a parameter with a slope that is not identically 0.
    active: Vec<bool>,
    /// Whether a node can overflow while the value stays finite.
    sheltered: Vec<bool>,
    ranges: Ranges,
    /// Derivatives of the knots, filled from the lowest up.
    knots: BTreeMap<NodeId, Terms>,
}

impl<'a> Differentiation<'a> {
    fn new(graph: &'a mut Graph, value: NodeId, n_parameters: usize) -> Self {
        Self {
            n_parameters,
            active: vec![false; value.index() + 1],
            sheltered: range::sheltered(graph, value),
            ranges: Ranges::default(),
            knots: BTreeMap::new(),
            graph,
        }
    }

    /// Differentiates all knots that the value is computed from.
    fn knots_below(&mut self, value: NodeId) {
        let needed = self.graph.needed_for(&[value]);
        let own = self.graph.ids().take_while(|&id| id <= value).filter(|id| needed[id.index()]);
        for id in own {
            let node = self.graph.node(id);
            self.active[id.index()] = self.depends(node);
            if self.is_active(id) && self.is_knot(node) {
                let terms = self.knot(id, node);
                self.knots.insert(id, terms);
            }
        }
    }

    fn is_active(&self, id: NodeId) -> bool {
        self.active[id.index()]
    }

    /// Whether a node has a slope that is not identically 0, given which of its arguments have.
    fn depends(&self, node: Node) -> bool {
        match node {
            Node::Parameter(_) => true,
            Node::Constant(_) | Node::Variable(_) => false,
            Node::Unary(Unary::Not | Unary::Sign | Unary::Step, _) => false,
            Node::Binary(op, ..) if is_truth(op) => false,
            Node::Select(_, a, b) => self.is_active(a) || self.is_active(b),
            _ => node.arguments().any(|a| self.is_active(a)),
        }
    }

    fn is_knot(&self, node: Node) -> bool {
        use Unary::{Acos, Asin, Cbrt, Log, Log1p, Log2, Log10, Sqrt};
        match node {
            Node::Unary(op, _) => matches!(op, Sqrt | Cbrt | Log | Log1p | Log2 | Log10 | Asin | Acos),
            Node::Binary(Binary::Pow, a, _) => self.is_active(a),
            Node::Binary(op, ..) => matches!(op, Binary::Min | Binary::Max),
            Node::Select(..) => true,
            _ => false,
        }
    }

    /// The derivatives of a node by a reverse sweep down to parameters and knots.
    fn gradient(&mut self, root: NodeId) -> Terms {
        let mut gradient: Terms = vec![None; self.n_parameters];
        if !self.is_active(root) {
            return gradient;
        }
        let mut adjoints: BTreeMap<NodeId, Term> = BTreeMap::from([(root, Term::ONE)]);
        // Users have larger ids: when a node comes up, its adjoint is complete.
        while let Some((id, adjoint)) = adjoints.pop_last() {
            if let Some(knot) = self.knots.get(&id) {
                for (sum, slope) in gradient.iter_mut().zip(knot) {
                    if let Some(slope) = slope {
                        let term = adjoint.guards(self.graph, *slope);
                        *sum = add(self.graph, *sum, term);
                    }
                }
                continue;
            }
            let node = self.graph.node(id);
            if let Node::Parameter(index) = node {
                let sum = &mut gradient[index as usize];
                *sum = add(self.graph, *sum, adjoint);
                continue;
            }
            for (argument, slope) in self.slopes(id, node).into_iter().flatten() {
                let Some(term) = self.weigh(adjoint, slope, self.sheltered[id.index()]) else { continue };
                let known = adjoints.remove(&argument);
                if let Some(sum) = add(self.graph, known, term) {
                    adjoints.insert(argument, sum);
                }
            }
        }
        gradient
    }

    /// The slopes of a smooth operation along its active arguments.
    fn slopes(&mut self, id: NodeId, node: Node) -> [Option<(NodeId, Slope)>; 2] {
        match node {
            Node::Unary(op, a) => [Some((a, rules::smooth_unary(self.graph, id, op, a))), None],
            Node::PowInt(a, n) => [Some((a, rules::pow_int(self.graph, a, n))), None],
            Node::Binary(op, a, b) => {
                let first = self.is_active(a).then(|| (a, rules::first(self.graph, id, op, a, b)));
                let second = self.is_active(b).then(|| (b, rules::second(self.graph, id, op, a, b)));
                [first, second]
            }
            Node::Constant(_) | Node::Variable(_) | Node::Parameter(_) | Node::Select(..) => {
                unreachable!("{node:?} is a leaf or a knot")
            }
        }
    }

    /// `adjoint * slope`; 0 where the adjoint is 0, if the slope could be infinite while the value is finite.
    fn weigh(&mut self, adjoint: Term, slope: Slope, sheltered: bool) -> Option<Term> {
        let mut term = adjoint.scaled(slope.scale);
        if let Some(denominator) = slope.over {
            if sheltered && self.ranges.is_wild_reciprocal(self.graph, denominator) {
                let reciprocal = Term::ONE.over(self.graph, denominator);
                term = term.guards(self.graph, reciprocal);
            } else {
                term = term.over(self.graph, denominator);
            }
        }
        for factor in slope.times.into_iter().flatten() {
            let other = Term::of(self.graph, factor)?;
            if sheltered && self.ranges.is_wild(self.graph, factor) {
                term = term.guards(self.graph, other);
            } else {
                term = term.times(self.graph, factor)?;
            }
        }
        Some(term)
    }

    /// The derivatives of a knot with respect to each parameter.
    fn knot(&mut self, id: NodeId, node: Node) -> Terms {
        match node {
            Node::Unary(op, a) => {
                let slope = rules::singular_unary(self.graph, id, op, a);
                self.chain(a, Some(slope))
            }
            Node::Binary(Binary::Pow, a, b) => {
                let (along_base, along_exponent) = rules::power(self.graph, id, a, b);
                let (base, exponent) = (self.chain(a, along_base), self.chain(b, along_exponent));
                let pairs = base.into_iter().zip(exponent);
                pairs.map(|(p, q)| if let Some(q) = q { add(self.graph, p, q) } else { p }).collect()
            }
            Node::Binary(op, a, b) => {
                let comparison = if op == Binary::Min { Binary::Lt } else { Binary::Gt };
                let first = self.graph.binary(comparison, a, b);
                self.pieces(first, a, b)
            }
            Node::Select(condition, a, b) => self.pieces(condition, a, b),
            _ => unreachable!("{node:?} is no knot"),
        }
    }

    /// `u' * slope`, exactly 0 where `u'` is 0.
    fn chain(&mut self, u: NodeId, slope: Option<Term>) -> Terms {
        let Some(slope) = slope else { return vec![None; self.n_parameters] };
        let inner = self.gradient(u);
        inner.into_iter().map(|term| term.map(|term| term.guards(self.graph, slope))).collect()
    }

    /// `where(condition, a', b')`.
    fn pieces(&mut self, condition: NodeId, a: NodeId, b: NodeId) -> Terms {
        let (then, otherwise) = (self.gradient(a), self.gradient(b));
        let pairs = then.into_iter().zip(otherwise);
        pairs.map(|(then, otherwise)| self.piece(condition, then, otherwise)).collect()
    }

    fn piece(&mut self, condition: NodeId, then: Option<Term>, otherwise: Option<Term>) -> Option<Term> {
        let mut node = |term: Option<Term>| match term {
            Some(term) => term.node(self.graph),
            None => self.graph.constant(0.0),
        };
        let (then, otherwise) = (node(then), node(otherwise));
        let piece = self.graph.select(condition, then, otherwise);
        Term::of(self.graph, piece)
    }
}

fn is_truth(op: Binary) -> bool {
    use Binary::{And, Eq, Ge, Gt, Le, Lt, Ne, Or};
    matches!(op, Lt | Le | Gt | Ge | Eq | Ne | And | Or)
}

/// `known + term`.
fn add(graph: &mut Graph, known: Option<Term>, term: Term) -> Option<Term> {
    match known {
        Some(known) => known.plus(graph, term),
        None => Some(term),
    }
}
