//! Straight-line code of a model: what a kernel runs over a tile.
//!
//! A [`Tape`] is a graph cut to the outputs asked for and put in order. What depends on the parameters alone is split off:
//! the [`uniform`](Tape::uniforms) part runs once per theta, the body once per point. Registers of the body are reused as
//! soon as their value is dead, so a block of points needs few of them in cache.

mod build;
mod print;

use crate::expr::graph::{Graph, NodeId};
use crate::expr::ops::{Binary, Unary};
use crate::math;

/// Where an operand of the body comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A column of points: the variable of this index.
    Variable(u32),
    /// A register of the body, one value for each point.
    Register(u32),
    /// A value that is the same for all points.
    Uniform(u32),
}

/// One step of the uniform part; operands are earlier uniforms.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum UniformStep {
    Constant(f64),
    Parameter(u32),
    Unary(Unary, u32),
    PowInt(u32, i32),
    Binary(Binary, u32, u32),
    Select(u32, u32, u32),
}

/// One step of the body: an operation and the register that takes its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What is computed.
    pub operation: Operation,
    /// Where the result goes; never a register that the operation reads.
    pub out: u32,
}

/// The operation of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Operation {
    Unary(Unary, Operand),
    PowInt(Operand, i32),
    Binary(Binary, Operand, Operand),
    Select(Operand, Operand, Operand),
}

/// A model, or a model with derivatives, as straight-line code.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    uniforms: Vec<UniformStep>,
    body: Vec<Step>,
    registers: u32,
    outputs: Vec<Operand>,
}

impl Tape {
    /// Code that computes `outputs`, in that order.
    pub fn new(graph: &Graph, outputs: &[NodeId]) -> Self {
        build::build(graph, outputs)
    }

    /// The part that depends on the parameters alone.
    pub fn uniforms(&self) -> &[UniformStep] {
        &self.uniforms
    }

    /// The part that runs for every point.
    pub fn body(&self) -> &[Step] {
        &self.body
    }

    /// Number of registers of the body.
    pub fn registers(&self) -> usize {
        self.registers as usize
    }

    /// Where each output is found when the body has run.
    pub fn outputs(&self) -> &[Operand] {
        &self.outputs
    }

    /// Runs the uniform part for one theta; `values` is cleared and filled with one value per uniform.
    pub fn run_uniforms(&self, theta: &[f64], values: &mut Vec<f64>) {
        values.clear();
        for step in &self.uniforms {
            let at = |index: u32| values[index as usize];
            let value = match *step {
                UniformStep::Constant(value) => value,
                UniformStep::Parameter(index) => theta[index as usize],
                UniformStep::Unary(op, a) => op.apply(at(a)),
                UniformStep::PowInt(a, n) => math::pow_int(at(a), n),
                UniformStep::Binary(op, a, b) => op.apply(at(a), at(b)),
                UniformStep::Select(condition, then, otherwise) => {
                    if at(condition) != 0.0 {
                        at(then)
                    } else {
                        at(otherwise)
                    }
                }
            };
            values.push(value);
        }
    }
}
