//! Expressions over slices of columns: `--y 'log(counts)'`, and models evaluated where points are made.
//!
//! A value that is derived from columns (y, sigma, weights or mask) is missing, NaN, wherever a column it is computed from
//! is NaN. Arithmetic alone would not do: a comparison with NaN is 0 or 1, and `where` drops the branch not taken. Only a
//! column that the simplified expression no longer holds does not count.

use crate::expr::graph::{Graph, Node, NodeId};
use crate::math;

/// Points that are evaluated at a time; the values of all nodes at so many points stay in cache.
const LANE: usize = 256;

/// An expression to evaluate at many points.
#[derive(Clone, Debug)]
pub(crate) struct Formula {
    graph: Graph,
    values: Vec<NodeId>,
}

impl Formula {
    /// The value of one node of a graph.
    pub(crate) fn new(graph: &Graph, value: NodeId) -> Self {
        Self::several(graph, &[value])
    }

    /// The values of several nodes of a graph.
    pub(crate) fn several(graph: &Graph, values: &[NodeId]) -> Self {
        let (graph, values) = graph.pruned(values);
        Self { graph, values }
    }

    /// The variables it needs, by index, in rising order.
    pub(crate) fn variables(&self) -> Vec<usize> {
        let of = |node: &Node| if let Node::Variable(index) = node { Some(*index as usize) } else { None };
        let mut found: Vec<usize> = self.graph.nodes().iter().filter_map(of).collect();
        found.sort_unstable();
        found
    }

    /// Appends the value at `n` points to `out`; `variables` has a slice of n values for each variable it needs (others may
    /// be shorter). Every value is that of [`Graph::evaluate`], bit for bit.
    pub(crate) fn evaluate(&self, n: usize, variables: &[&[f64]], parameters: &[f64], out: &mut Vec<f64>) {
        self.evaluate_several(n, variables, parameters, std::slice::from_mut(out));
    }

    /// The same for several values: one column of `out` for each.
    pub(crate) fn evaluate_several(&self, n: usize, variables: &[&[f64]], parameters: &[f64], out: &mut [Vec<f64>]) {
        assert_eq!(out.len(), self.values.len(), "a column for each value");
        let mut scratch = vec![0.0; self.graph.nodes().len() * LANE];
        for start in (0..n).step_by(LANE) {
            let m = LANE.min(n - start);
            for (k, node) in self.graph.nodes().iter().enumerate() {
                let (known, rest) = scratch.split_at_mut(k * LANE);
                let at = |id: NodeId| &known[id.index() * LANE..id.index() * LANE + m];
                apply(node, &mut rest[..m], at, |index| &variables[index][start..start + m], parameters);
            }
            for (value, out) in self.values.iter().zip(out.iter_mut()) {
                let from = value.index() * LANE;
                out.extend_from_slice(&scratch[from..from + m]);
            }
        }
    }
}

/// Makes values missing (NaN) where any column they are computed from is.
pub(crate) fn spread_missing(columns: &[&[f64]], values: &mut [f64]) {
    for column in columns {
        for (value, given) in values.iter_mut().zip(*column) {
            *value = if given.is_nan() { f64::NAN } else { *value };
        }
    }
}

fn apply<'a>(
    node: &Node,
    values: &mut [f64],
    at: impl Fn(NodeId) -> &'a [f64],
    variable: impl Fn(usize) -> &'a [f64],
    parameters: &[f64],
) {
    match *node {
        Node::Constant(bits) => values.fill(f64::from_bits(bits)),
        Node::Variable(index) => values.copy_from_slice(variable(index as usize)),
        Node::Parameter(index) => values.fill(parameters[index as usize]),
        Node::Unary(op, a) => {
            for (value, a) in values.iter_mut().zip(at(a)) {
                *value = op.apply(*a);
            }
        }
        Node::PowInt(a, n) => {
            for (value, a) in values.iter_mut().zip(at(a)) {
                *value = math::pow_int(*a, n);
            }
        }
        Node::Binary(op, a, b) => {
            for ((value, a), b) in values.iter_mut().zip(at(a)).zip(at(b)) {
                *value = op.apply(*a, *b);
            }
        }
        Node::Select(condition, then, otherwise) => {
            for (((value, condition), then), otherwise) in
                values.iter_mut().zip(at(condition)).zip(at(then)).zip(at(otherwise))
            {
                *value = if *condition != 0.0 { *then } else { *otherwise };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Model, Names};

    #[test]
    fn slices_give_the_bits_of_points() {
        let names = ["a".to_owned(), "b".to_owned()];
        let text = "where(a > 2, log(a)*b^3, -abs(b)/(p + a^0.5)) + 1e-3";
        let model = Model::parse(text, &Names { variables: &names, parameters: &[] }).unwrap();
        let formula = Formula::new(model.graph(), model.value());
        let a: Vec<f64> = (0..1000).map(|i| f64::from(i) * 0.01).collect();
        let b: Vec<f64> = (0..1000).map(|i| f64::from(500 - i)).collect();
        let mut out = Vec::new();
        formula.evaluate(1000, &[&a, &b], &[1.5], &mut out);
        for i in 0..1000 {
            let (value, _) = model.evaluate(&[a[i], b[i]], &[1.5]);
            assert_eq!(out[i].to_bits(), value.to_bits(), "point {i}");
        }
        assert_eq!(formula.variables(), [0, 1]);
    }
}
