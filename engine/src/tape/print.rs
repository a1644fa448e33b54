//! A tape as text: what `nlsq-coordinator kernel --target tape` shows.

use std::fmt;

use super::{Operand, Operation, Tape, UniformStep};

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Variable(index) => write!(f, "x{index}"),
            Operand::Register(index) => write!(f, "r{index}"),
            Operand::Uniform(index) => write!(f, "u{index}"),
        }
    }
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "uniform ({} steps, once per theta)", self.uniforms.len())?;
        for (index, step) in self.uniforms.iter().enumerate() {
            write!(f, "  u{index} = ")?;
            match step {
                UniformStep::Constant(value) => writeln!(f, "{value:?}")?,
                UniformStep::Parameter(index) => writeln!(f, "theta{index}")?,
                UniformStep::Unary(op, a) => writeln!(f, "{} u{a}", op.name())?,
                UniformStep::PowInt(a, n) => writeln!(f, "u{a} ^ {n}")?,
                UniformStep::Binary(op, a, b) => writeln!(f, "{} u{a} u{b}", op.name())?,
                UniformStep::Select(c, a, b) => writeln!(f, "where u{c} u{a} u{b}")?,
            }
        }
        writeln!(f, "body ({} steps, {} registers, once per point)", self.body.len(), self.registers)?;
        for step in &self.body {
            write!(f, "  r{} = ", step.out)?;
            match step.operation {
                Operation::Unary(op, a) => writeln!(f, "{} {a}", op.name())?,
                Operation::PowInt(a, n) => writeln!(f, "{a} ^ {n}")?,
                Operation::Binary(op, a, b) => writeln!(f, "{} {a} {b}", op.name())?,
                Operation::Select(c, a, b) => writeln!(f, "where {c} {a} {b}")?,
            }
        }
        for (index, output) in self.outputs.iter().enumerate() {
            writeln!(f, "out{index} = {output}")?;
        }
        Ok(())
    }
}
