//! The model language: text to a checked [`Model`].

pub mod graph;
pub mod ops;

use graph::{Graph, NodeId};

/// A checked model: an expression of variables and parameters with its derivatives on one graph.
#[derive(Clone, Debug)]
pub struct Model {
    expression: String,
    variables: Vec<String>,
    parameters: Vec<String>,
    graph: Graph,
    value: NodeId,
    slopes: Vec<NodeId>,
}

impl Model {
    /// The text it was read from.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Names of the independent variables, in the order in which points carry them.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Names of the parameters, in order of first appearance in the expression.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// The graph that holds value and derivatives.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The node of f(x; theta).
    pub fn value(&self) -> NodeId {
        self.value
    }

    /// The nodes of the derivatives of f with respect to each parameter, in the order of [`Model::parameters`].
    pub fn slopes(&self) -> &[NodeId] {
        &self.slopes
    }
}
