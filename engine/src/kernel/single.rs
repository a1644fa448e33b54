//! The reference in single precision: a graph at one point, node by node.

use crate::expr::graph::{Graph, Node, NodeId};
use crate::math;

/// The value of a node, and whether it depends on theta alone.
#[derive(Clone, Copy)]
struct Value {
    value: f64,
    uniform: bool,
}

/// Values of all nodes at one point. Nodes that depend on theta alone are computed in f64 and rounded to f32 where one that
/// depends on x takes them; those are computed in f32, from x rounded to f32, and widened.
pub(super) fn evaluate(graph: &Graph, x: &[f64], theta: &[f64]) -> Vec<f64> {
    let mut values: Vec<Value> = Vec::with_capacity(graph.nodes().len());
    for &node in graph.nodes() {
        let value = node_value(node, x, theta, |id: NodeId| values[id.index()]);
        values.push(value);
    }
    values.into_iter().map(|value| value.value).collect()
}

fn node_value(node: Node, x: &[f64], theta: &[f64], at: impl Fn(NodeId) -> Value) -> Value {
    let uniform = |value: f64| Value { value, uniform: true };
    let pointwise = |value: f32| Value { value: f64::from(value), uniform: false };
    let wide = |id: NodeId| at(id).value;
    let narrow = |id: NodeId| at(id).value as f32;
    let all_uniform = |ids: &[NodeId]| ids.iter().all(|&id| at(id).uniform);
    match node {
        Node::Constant(bits) => uniform(f64::from_bits(bits)),
        Node::Parameter(index) => uniform(theta[index as usize]),
        Node::Variable(index) => pointwise(x[index as usize] as f32),
        Node::Unary(op, a) if all_uniform(&[a]) => uniform(op.apply(wide(a))),
        Node::Unary(op, a) => pointwise(op.apply(narrow(a))),
        Node::PowInt(a, n) if all_uniform(&[a]) => uniform(math::pow_int(wide(a), n)),
        Node::PowInt(a, n) => pointwise(math::pow_int(narrow(a), n)),
        Node::Binary(op, a, b) if all_uniform(&[a, b]) => uniform(op.apply(wide(a), wide(b))),
        Node::Binary(op, a, b) => pointwise(op.apply(narrow(a), narrow(b))),
        Node::Select(c, a, b) if all_uniform(&[c, a, b]) => uniform(if wide(c) != 0.0 { wide(a) } else { wide(b) }),
        Node::Select(c, a, b) => pointwise(if narrow(c) != 0.0 { narrow(a) } else { narrow(b) }),
    }
}
