//! The expression graph: a deduplicated DAG in which every node stands after its arguments.

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
