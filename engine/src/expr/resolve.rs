//! Names get their meaning: syntax tree to graph.

use std::collections::HashMap;

use super::ast::{Ast, Expr, ExprKind};
use super::functions::{self, CONSTANTS, Function};
use super::graph::{Graph, NodeId};
use super::ops::Unary;
use super::{Names, ParseError, Span};

/// A syntax tree with its names resolved.
pub(super) struct Resolved {
    pub(super) graph: Graph,
    pub(super) value: NodeId,
    /// In order of first appearance.
    pub(super) parameters: Vec<String>,
    /// Bindings that nothing uses, with the place of their name.
    pub(super) unused: Vec<(String, Span)>,
}

/// Builds the graph of an expression.
pub(super) fn resolve(ast: &Ast, names: &Names<'_>) -> Result<Resolved, ParseError> {
    let mut resolver = Resolver::new(ast, names)?;
    let mut exprs = ast.exprs().iter();
    for (position, binding) in ast.bindings().iter().enumerate() {
        resolver.defining = position;
        let end = binding.value.index() + 1;
        resolver.extend(exprs.by_ref().take(end - resolver.nodes.len()))?;
    }
    resolver.defining = ast.bindings().len();
    resolver.extend(exprs)?;
    let value = resolver.nodes[ast.value().index()];
    let bindings = ast.bindings().iter().zip(&resolver.used);
    let unused = bindings.filter(|(_, used)| !**used).map(|(b, _)| (b.name.clone(), b.span)).collect();
    Ok(Resolved { graph: resolver.graph, value, parameters: resolver.parameters, unused })
}

struct Resolver<'a> {
    ast: &'a Ast,
    names: &'a Names<'a>,
    graph: Graph,
    /// The graph node of each expression so far.
    nodes: Vec<NodeId>,
    /// Position of the statement that is being read.
    defining: usize,
    variables: HashMap<&'a str, usize>,
    bindings: HashMap<&'a str, usize>,
    used: Vec<bool>,
    parameters: Vec<String>,
    known_parameters: HashMap<&'a str, NodeId>,
}

impl<'a> Resolver<'a> {
    fn new(ast: &'a Ast, names: &'a Names<'a>) -> Result<Self, ParseError> {
        let mut resolver = Self {
            ast,
            names,
            graph: Graph::new(),
            nodes: Vec::with_capacity(ast.exprs().len()),
            defining: 0,
            variables: names.variables.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect(),
            bindings: HashMap::new(),
            used: vec![false; ast.bindings().len()],
            parameters: Vec::new(),
            known_parameters: HashMap::new(),
        };
        for (position, binding) in ast.bindings().iter().enumerate() {
            let (name, span) = (binding.name.clone(), binding.span);
            if let Some(what) = resolver.taken(&name) {
                return Err(ParseError::Shadows { name, what, span });
            }
            if resolver.bindings.insert(&binding.name, position).is_some() {
                return Err(ParseError::DefinedTwice { name, span });
            }
        }
        Ok(resolver)
    }

    /// What a name is already, before any binding.
    fn taken(&self, name: &str) -> Option<&'static str> {
        if self.variables.contains_key(name) {
            Some("variable")
        } else if functions::find(name).is_some() {
            Some("function")
        } else if self.names.parameters.iter().any(|known| known == name) {
            Some("parameter")
        } else if CONSTANTS.iter().any(|(known, _)| *known == name) {
            Some("constant")
        } else {
            None
        }
    }

    fn extend(&mut self, exprs: impl Iterator<Item = &'a Expr>) -> Result<(), ParseError> {
        for expr in exprs {
            let node = self.node(expr)?;
            self.nodes.push(node);
        }
        Ok(())
    }

    fn node(&mut self, expr: &'a Expr) -> Result<NodeId, ParseError> {
        match &expr.kind {
            ExprKind::Number(value) => Ok(self.graph.constant(*value)),
            ExprKind::Name(name) => self.name(name, expr.span),
            ExprKind::Negate(a) => Ok(self.graph.unary(Unary::Neg, self.nodes[a.index()])),
            ExprKind::Not(a) => Ok(self.graph.unary(Unary::Not, self.nodes[a.index()])),
            ExprKind::Infix(op, a, b) => Ok(self.graph.binary(*op, self.nodes[a.index()], self.nodes[b.index()])),
            ExprKind::Call(name, arguments) => {
                let arguments: Vec<NodeId> = arguments.iter().map(|a| self.nodes[a.index()]).collect();
                self.call(name, &arguments, expr.span)
            }
        }
    }

    /// Variables first, then bindings, functions (an error: they need arguments), constants; all else is a parameter.
    fn name(&mut self, name: &'a str, span: Span) -> Result<NodeId, ParseError> {
        if let Some(&index) = self.variables.get(name) {
            return Ok(self.graph.variable(index));
        }
        if let Some(&position) = self.bindings.get(name) {
            return self.binding(position, name, span);
        }
        if let Some(function) = functions::find(name) {
            return Err(ParseError::FunctionAsValue { name: name.to_owned(), arity: function.arity(), span });
        }
        if let Some(value) = self.constant(name) {
            return Ok(self.graph.constant(value));
        }
        if let Some(&node) = self.known_parameters.get(name) {
            return Ok(node);
        }
        let node = self.graph.parameter(self.parameters.len());
        self.parameters.push(name.to_owned());
        self.known_parameters.insert(name, node);
        Ok(node)
    }

    fn binding(&mut self, position: usize, name: &str, span: Span) -> Result<NodeId, ParseError> {
        let name = || name.to_owned();
        match position.cmp(&self.defining) {
            std::cmp::Ordering::Less => {
                self.used[position] = true;
                Ok(self.nodes[self.ast.bindings()[position].value.index()])
            }
            std::cmp::Ordering::Equal => Err(ParseError::Recursive { name: name(), span }),
            std::cmp::Ordering::Greater => Err(ParseError::UsedEarly { name: name(), span }),
        }
    }

    /// `e` gives way to a parameter of that name for which the user gave a start or a value; `pi` does not.
    fn constant(&self, name: &str) -> Option<f64> {
        let &(_, value) = CONSTANTS.iter().find(|(known, _)| *known == name)?;
        let given = name == "e" && self.names.parameters.iter().any(|known| known == name);
        (!given).then_some(value)
    }

    fn call(&mut self, name: &str, arguments: &[NodeId], span: Span) -> Result<NodeId, ParseError> {
        let name_span = Span::new(span.start, span.start + name.len());
        let Some(function) = functions::find(name) else {
            return Err(self.no_function(name, name_span));
        };
        match (function, arguments) {
            (Function::Unary(op), &[a]) => Ok(self.graph.unary(op, a)),
            (Function::Binary(op), &[a, b]) => Ok(self.graph.binary(op, a, b)),
            (Function::Where, &[condition, a, b]) => Ok(self.graph.select(condition, a, b)),
            _ => Err(ParseError::WrongArity {
                name: name.to_owned(),
                expected: function.arity(),
                found: arguments.len(),
                span,
            }),
        }
    }

    /// A call of what is no function: a value that was to be multiplied, or a mistyped name.
    fn no_function(&self, name: &str, span: Span) -> ParseError {
        let owned = name.to_owned();
        let what = self.taken(name).or(self.bindings.get(name).map(|_| "defined value"));
        match what.or(self.known_parameters.get(name).map(|_| "parameter")) {
            Some(what) => ParseError::NotAFunction { name: owned, what, span },
            None => {
                let nearest = functions::suggest(name).map(str::to_owned);
                ParseError::UnknownFunction { name: owned, nearest, span }
            }
        }
    }
}
