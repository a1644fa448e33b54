//! The expression graph: a deduplicated DAG in which every node stands after its arguments.
//!
//! [`Graph::insert`] adds a node as it stands; the constructors in `simplify.rs` fold and rewrite first.

use std::collections::HashMap;

use super::ops::{Binary, Unary};
use crate::math;

/// Index of a node in its [`Graph`]; arguments always have smaller ids than the nodes that use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// Position in the graph's topological order.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A number, by its bits (so that -0.0 and 0.0 differ and NaN equals itself).
    Constant(u64),
    /// The independent variable of this index.
    Variable(u32),
    /// The parameter of this index.
    Parameter(u32),
    /// A unary operation.
    Unary(Unary, NodeId),
    /// `a^n` for an integer `n`, by repeated multiplication.
    PowInt(NodeId, i32),
    /// A binary operation.
    Binary(Binary, NodeId, NodeId),
    /// `condition != 0 ? then : otherwise`. Both are computed; the one not selected never touches the result.
    Select(NodeId, NodeId, NodeId),
}

impl Node {
    /// The nodes it is computed from, in order.
    pub fn arguments(&self) -> impl Iterator<Item = NodeId> + use<> {
        let arguments = match *self {
            Node::Constant(_) | Node::Variable(_) | Node::Parameter(_) => [None, None, None],
            Node::Unary(_, a) | Node::PowInt(a, _) => [Some(a), None, None],
            Node::Binary(_, a, b) => [Some(a), Some(b), None],
            Node::Select(condition, then, otherwise) => [Some(condition), Some(then), Some(otherwise)],
        };
        arguments.into_iter().flatten()
    }

    /// The same operation on other arguments.
    fn with_arguments(self, of: impl Fn(NodeId) -> NodeId) -> Node {
        match self {
            Node::Constant(_) | Node::Variable(_) | Node::Parameter(_) => self,
            Node::Unary(op, a) => Node::Unary(op, of(a)),
            Node::PowInt(a, n) => Node::PowInt(of(a), n),
            Node::Binary(op, a, b) => Node::Binary(op, of(a), of(b)),
            Node::Select(condition, then, otherwise) => Node::Select(of(condition), of(then), of(otherwise)),
        }
    }
}

/// A deduplicated expression graph. Building the same node twice yields the same id.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    ids: HashMap<Node, NodeId>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node behind an id.
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[id.index()]
    }

    /// All nodes, arguments before users.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The ids of all nodes, arguments before users.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        let count = u32::try_from(self.nodes.len()).expect("insert counts nodes in 32 bits");
        (0..count).map(NodeId)
    }

    /// Adds a node as it stands, or finds it.
    pub fn insert(&mut self, node: Node) -> NodeId {
        if let Some(&id) = self.ids.get(&node) {
            return id;
        }
        let id = NodeId(u32::try_from(self.nodes.len()).expect("a model has fewer than 2^32 operations"));
        self.nodes.push(node);
        self.ids.insert(node, id);
        id
    }

    /// Which nodes the given ones are computed from, themselves included. `[n_nodes]`
    pub fn needed_for(&self, roots: &[NodeId]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        for root in roots {
            needed[root.index()] = true;
        }
        for index in (0..self.nodes.len()).rev() {
            if needed[index] {
                for argument in self.nodes[index].arguments() {
                    needed[argument.index()] = true;
                }
            }
        }
        needed
    }

    /// A graph of only what the given nodes need, in the same order, and the new ids of those nodes.
    pub fn pruned(&self, roots: &[NodeId]) -> (Graph, Vec<NodeId>) {
        let needed = self.needed_for(roots);
        let mut graph = Graph::new();
        let mut moved: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
            let to = |id: NodeId| moved[id.index()].expect("arguments stand before their users");
            moved[index] = Some(graph.insert(node.with_arguments(to)));
        }
        let roots = roots.iter().map(|id| moved[id.index()].expect("roots are needed")).collect();
        (graph, roots)
    }

    /// Evaluates every node at one point; the reference meaning of the graph.
    pub fn evaluate(&self, variables: &[f64], parameters: &[f64]) -> Vec<f64> {
        let mut values: Vec<f64> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let at = |id: NodeId| values[id.index()];
            let value = match *node {
                Node::Constant(bits) => f64::from_bits(bits),
                Node::Variable(index) => variables[index as usize],
                Node::Parameter(index) => parameters[index as usize],
                Node::Unary(op, a) => op.apply(at(a)),
                Node::PowInt(a, n) => math::pow_int(at(a), n),
                Node::Binary(op, a, b) => op.apply(at(a), at(b)),
                Node::Select(condition, then, otherwise) => {
                    if at(condition) != 0.0 {
                        at(then)
                    } else {
                        at(otherwise)
                    }
                }
            };
            values.push(value);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pruning_drops_only_what_is_not_needed() {
        let mut graph = Graph::new();
        let x = graph.insert(Node::Variable(0));
        let unused = graph.insert(Node::Unary(Unary::Exp, x));
        let a = graph.insert(Node::Parameter(0));
        let product = graph.insert(Node::Binary(Binary::Mul, x, a));
        assert!(!graph.needed_for(&[product])[unused.index()]);
        let (pruned, roots) = graph.pruned(&[product, x]);
        assert_eq!(pruned.nodes().len(), 3);
        assert_eq!(pruned.evaluate(&[3.0], &[5.0])[roots[0].index()], 15.0);
        assert_eq!(pruned.evaluate(&[3.0], &[5.0])[roots[1].index()], 3.0);
    }
}
