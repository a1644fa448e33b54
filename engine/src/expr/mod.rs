//! The model language: text to a checked [`Model`].
//!
//! ```text
//! program     = { [ "let" ] name "=" expression ";" } expression [ ";" ]
//! expression  = or and not | < <= > >= == != (not chained) | + - | * / | unary - | ^ ** (to the right)   loosest to tightest
//! value       = number | name | function "(" expression { "," expression } ")" | "(" expression ")"
//! ```
//!
//! Reading order: `lexer` (tokens), `ast` and `parser` (syntax), `print` (back to text), `functions` (the names the language
//! knows), `resolve` (names to nodes), `graph` and `simplify` (the deduplicated graph), `ops` (what each operation means).

pub mod ast;
mod error;
pub mod functions;
pub mod graph;
mod lexer;
pub mod nearest;
pub mod ops;
mod parser;
mod print;
mod resolve;
mod simplify;
mod span;

#[cfg(test)]
pub(crate) mod tests;

use graph::{Graph, NodeId};

use crate::diff::symbolic;

pub use error::ParseError;
pub use lexer::is_name;
pub use parser::{MAX_NESTING, parse};
pub use simplify::MAX_POW_INT;
pub use span::Span;

/// The names that are known before an expression is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// Names of the independent variables, in the order in which points carry them. They win over functions and constants.
    pub variables: &'a [String],
    /// Names of the parameters for which a start or a fixed value was given: `e` is one of them or Euler's number, and no
    /// binding may take their names.
    pub parameters: &'a [String],
}

/// Something odd about a model that can still be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ModelWarning {
    #[error("\"{name}\" is defined and never used")]
    UnusedBinding { name: String, span: Span },
    #[error("parameter \"{name}\" has no slope anywhere: the value does not depend on it, or only through steps")]
    NoSlope { name: String },
}

/// A checked model: an expression of variables and parameters with its derivatives on one graph.
#[derive(Clone, Debug)]
pub struct Model {
    expression: String,
    variables: Vec<String>,
    parameters: Vec<String>,
    graph: Graph,
    value: NodeId,
    slopes: Vec<NodeId>,
    warnings: Vec<ModelWarning>,
}

impl Model {
    /// Reads an expression and differentiates it with respect to each of its parameters.
    ///
    /// Parameters are the names that are neither variable nor binding nor constant nor function, in the order in which the
    /// text first has them; there may be none.
    pub fn parse(expression: &str, names: &Names<'_>) -> Result<Model, ParseError> {
        let ast = parse(expression)?;
        let resolve::Resolved { mut graph, value, parameters, unused } = resolve::resolve(&ast, names)?;
        let slopes = symbolic::gradient(&mut graph, value, parameters.len());
        let mut warnings: Vec<ModelWarning> =
            unused.into_iter().map(|(name, span)| ModelWarning::UnusedBinding { name, span }).collect();
        for (name, slope) in parameters.iter().zip(&slopes) {
            if slope.is_none() {
                warnings.push(ModelWarning::NoSlope { name: name.clone() });
            }
        }
        let zero = graph.constant(0.0);
        let mut roots = vec![value];
        roots.extend(slopes.into_iter().map(|slope| slope.unwrap_or(zero)));
        let (graph, mut roots) = graph.pruned(&roots);
        let slopes = roots.split_off(1);
        Ok(Model {
            expression: expression.to_owned(),
            variables: names.variables.to_vec(),
            parameters,
            graph,
            value: roots[0],
            slopes,
            warnings,
        })
    }

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

    /// The graph that holds value and derivatives, and nothing else.
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

    /// The same model with other derivatives, to see wrong ones found.
    #[cfg(test)]
    pub(crate) fn with_slopes(self, slopes: Vec<NodeId>) -> Self {
        Self { slopes, ..self }
    }

    /// What is odd about it.
    pub fn warnings(&self) -> &[ModelWarning] {
        &self.warnings
    }

    /// f and its derivatives at one point; the reference that every kernel is held to. `theta` has one value for each
    /// parameter, `point` one for each variable.
    pub fn evaluate(&self, point: &[f64], theta: &[f64]) -> (f64, Vec<f64>) {
        assert_eq!(point.len(), self.variables.len(), "one value for each variable");
        assert_eq!(theta.len(), self.parameters.len(), "one value for each parameter");
        let values = self.graph.evaluate(point, theta);
        (values[self.value.index()], self.slopes.iter().map(|slope| values[slope.index()]).collect())
    }
}
