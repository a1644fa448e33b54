//! Graph to tape: cut to what the outputs need, split off uniforms, assign registers.

use std::collections::HashMap;

use super::{Operand, Operation, Step, Tape, UniformStep};
use crate::expr::graph::{Graph, Node, NodeId};

pub(super) fn build(graph: &Graph, outputs: &[NodeId]) -> Tape {
    let needed = needed_nodes(graph, outputs);
    let mut builder = Builder {
        graph,
        order: &needed,
        place: HashMap::new(),
        uniforms: Vec::new(),
        body: Vec::new(),
        last_use: last_uses(graph, &needed, outputs),
        free: Vec::new(),
        registers: 0,
    };
    for &id in &needed {
        builder.emit(id);
    }
    let outputs = outputs.iter().map(|id| builder.place[id]).collect();
    Tape { uniforms: builder.uniforms, body: builder.body, registers: builder.registers, outputs }
}

/// The arguments of a node.
fn arguments(node: Node) -> impl Iterator<Item = NodeId> {
    let (a, b, c) = match node {
        Node::Constant(_) | Node::Variable(_) | Node::Parameter(_) => (None, None, None),
        Node::Unary(_, a) | Node::PowInt(a, _) => (Some(a), None, None),
        Node::Binary(_, a, b) => (Some(a), Some(b), None),
        Node::Select(a, b, c) => (Some(a), Some(b), Some(c)),
    };
    a.into_iter().chain(b).chain(c)
}

/// Every node that the outputs depend on, arguments first, one output after the other: a value is consumed soon after it
/// is made, and few registers are alive at a time.
fn needed_nodes(graph: &Graph, outputs: &[NodeId]) -> Vec<NodeId> {
    let mut seen = vec![false; graph.nodes().len()];
    let mut order = Vec::new();
    let mut stack: Vec<(NodeId, bool)> = Vec::new();
    for &output in outputs {
        stack.push((output, false));
        while let Some((id, arguments_done)) = stack.pop() {
            if arguments_done {
                order.push(id);
            } else if !seen[id.index()] {
                seen[id.index()] = true;
                stack.push((id, true));
                stack.extend(arguments(graph.node(id)).map(|a| (a, false)));
            }
        }
    }
    order
}

/// For each node the position of its last user in `order`; outputs live to the end.
fn last_uses(graph: &Graph, order: &[NodeId], outputs: &[NodeId]) -> HashMap<NodeId, usize> {
    let mut last = HashMap::new();
    for (position, &id) in order.iter().enumerate() {
        for argument in arguments(graph.node(id)) {
            last.insert(argument, position);
        }
    }
    for &id in outputs {
        last.insert(id, usize::MAX);
    }
    last
}

struct Builder<'a> {
    graph: &'a Graph,
    order: &'a [NodeId],
    place: HashMap<NodeId, Operand>,
    uniforms: Vec<UniformStep>,
    body: Vec<Step>,
    last_use: HashMap<NodeId, usize>,
    free: Vec<u32>,
    registers: u32,
}

impl Builder<'_> {
    fn emit(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let place = match node {
            Node::Variable(index) => Operand::Variable(index),
            Node::Constant(bits) => self.uniform(UniformStep::Constant(f64::from_bits(bits))),
            Node::Parameter(index) => self.uniform(UniformStep::Parameter(index)),
            _ if arguments(node).all(|a| matches!(self.place[&a], Operand::Uniform(_))) => {
                let at = |id: NodeId| match self.place[&id] {
                    Operand::Uniform(index) => index,
                    other => unreachable!("{other:?} among uniform arguments"),
                };
                let step = match node {
                    Node::Unary(op, a) => UniformStep::Unary(op, at(a)),
                    Node::PowInt(a, n) => UniformStep::PowInt(at(a), n),
                    Node::Binary(op, a, b) => UniformStep::Binary(op, at(a), at(b)),
                    Node::Select(c, a, b) => UniformStep::Select(at(c), at(a), at(b)),
                    Node::Constant(_) | Node::Variable(_) | Node::Parameter(_) => unreachable!("leaves are done above"),
                };
                self.uniform(step)
            }
            _ => self.body_step(id, node),
        };
        self.place.insert(id, place);
    }

    fn uniform(&mut self, step: UniformStep) -> Operand {
        self.uniforms.push(step);
        Operand::Uniform(self.uniforms.len() as u32 - 1)
    }

    fn body_step(&mut self, id: NodeId, node: Node) -> Operand {
        let at = |id: NodeId| self.place[&id];
        let operation = match node {
            Node::Unary(op, a) => Operation::Unary(op, at(a)),
            Node::PowInt(a, n) => Operation::PowInt(at(a), n),
            Node::Binary(op, a, b) => Operation::Binary(op, at(a), at(b)),
            Node::Select(c, a, b) => Operation::Select(at(c), at(a), at(b)),
            Node::Constant(_) | Node::Variable(_) | Node::Parameter(_) => unreachable!("leaves take no step"),
        };
        let out = self.free.pop().unwrap_or_else(|| {
            self.registers += 1;
            self.registers - 1
        });
        self.release_dead(id, node);
        self.body.push(Step { operation, out });
        Operand::Register(out)
    }

    /// Frees the registers of arguments that no later node reads. Called after the result has its register, so a step never
    /// writes where it reads: one more register at most, and backends may run a step over a whole block at once.
    fn release_dead(&mut self, id: NodeId, node: Node) {
        let mut released = Vec::new();
        for argument in arguments(node) {
            let Operand::Register(register) = self.place[&argument] else { continue };
            if self.users_end_with(argument, id) && !released.contains(&register) {
                released.push(register);
            }
        }
        self.free.extend(released);
    }

    fn users_end_with(&self, argument: NodeId, user: NodeId) -> bool {
        self.last_use.get(&argument).is_some_and(|&last| self.order.get(last) == Some(&user))
    }
}
