//! Native code: a model compiled to machine code in the process, for x86-64 with AVX-512. No compiler is needed, and a model of a dozen
//! operations takes some tenths of a millisecond.
//!
//! A tape becomes straight-line [`code`] (`lower` runs it on the numbers of `record`), which is written as instructions (`avx512` the loops,
//! `instructions` what is in them, with `registers` for who stands where) into memory that may then be executed (`kernel`). Two kinds of kernel:
//!
//! - *values*: the tape's outputs for a block of points, in the place of the block tape's interpreter;
//! - *sums*: under the linear loss, residual, Jacobian and their sums in one loop, nothing of which leaves the registers but the residuals.
//!   For up to five free parameters: more sums than registers are added up by the block tape's loops.
//!
//! Both do the same IEEE operations in the same order as the scalar reference, so they have its bits (`kernel::conformance`).

mod avx512;
mod code;
mod instructions;
mod kernel;
mod lower;
mod record;
mod registers;

use std::collections::HashMap;
use std::ops::Range;

use self::code::{Code, Operation as Op, Value};
use self::kernel::{Column, Kernel};
use crate::data::numbers::{Numbers, Weights};
use crate::data::tile::Tile;
use crate::kernel::accumulate::{BLOCK, LANES};
use crate::kernel::lanes::InstructionSet;
use crate::normal::packed_index;
use crate::tape::Tape;

/// From one output of a kernel to the next, in numbers: a block and a gap, so that they do not compete for places in the cache.
const STRIDE: usize = BLOCK + 16;
/// Rows, or vectors, that are computed in turn: the chains of one are too long to keep a core busy.
const AT_ONCE: u32 = 2;

/// What a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Purpose {
    /// The outputs of a tape.
    Values,
    /// Normal equations, or rss alone where the tape has no slopes.
    Sums(Weighting),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Weighting {
    None,
    Inverse,
    Sigma,
    Square,
}

/// How the columns that a kernel reads are stored: true for f32.
type Stored = Vec<bool>;

/// A tape as code, and the kernels that were made of it.
struct Compiled {
    code: Code,
    /// f, then its slopes.
    outputs: Vec<Value>,
    n_uniforms: usize,
    variables: usize,
    uniforms: Vec<f64>,
    /// None where there can be none.
    kernels: HashMap<(Purpose, Stored), Option<Kernel>>,
}

/// Machine code of one thread for a model: its value, and its value with slopes.
pub(crate) struct Native {
    value: Compiled,
    slopes: Compiled,
    /// The outputs of the last block. `[outputs][STRIDE]`
    outputs: Vec<f64>,
    /// The columns of a block that is no multiple of what a kernel takes. `[columns][BLOCK]`
    padded: Vec<Vec<f64>>,
}

impl Native {
    /// For these tapes; `None` on other processors, and for models that have too many columns or truth values at a time.
    pub(crate) fn new(set: InstructionSet, value: &Tape, slopes: &Tape, variables: usize) -> Option<Self> {
        if set != InstructionSet::Avx512 || cfg!(not(target_arch = "x86_64")) || cfg!(not(unix)) {
            return None;
        }
        let slopes = Compiled::new(slopes, variables);
        let n_outputs = slopes.outputs.len();
        let native = Self {
            value: Compiled::new(value, variables),
            slopes,
            outputs: vec![0.0; n_outputs * STRIDE],
            padded: vec![vec![0.0; BLOCK]; variables],
        };
        native.is_possible().then_some(native)
    }

    /// Whether the system lets machine code be run, and the model fits.
    fn is_possible(&self) -> bool {
        let all = |compiled: &Compiled| compiled.assemble(Purpose::Values, &vec![false; compiled.variables]).is_some();
        all(&self.value) && all(&self.slopes)
    }

    fn compiled(&mut self, has_slopes: bool) -> &mut Compiled {
        if has_slopes { &mut self.slopes } else { &mut self.value }
    }

    /// Another theta.
    pub(crate) fn set(&mut self, tape: &Tape, has_slopes: bool, theta: &[f64]) {
        let compiled = self.compiled(has_slopes);
        tape.run_uniforms(theta, &mut compiled.uniforms);
        let Compiled { kernels, uniforms, .. } = compiled;
        kernels.values_mut().flatten().for_each(|kernel| kernel.set(uniforms));
    }

    /// Computes the outputs over a block; false if it has points that the code does not serve.
    pub(crate) fn run(&mut self, has_slopes: bool, tile: &Tile, block: &Range<usize>) -> bool {
        let compiled = if has_slopes { &mut self.slopes } else { &mut self.value };
        let stored: Stored = tile.x.iter().map(is_single).collect();
        let kernel = compiled.kernel(Purpose::Values, stored);
        let whole = block.len() / kernel.turn() * kernel.turn();
        let columns: Vec<Column<'_>> =
            tile.x.iter().map(|column| part(column, block.start..block.start + whole)).collect();
        let mut serves = kernel.run(whole, &columns, &mut [], &mut self.outputs);
        if whole < block.len() {
            // What stands behind the points is computed too, and looked at by nobody.
            let rest = block.start + whole..block.end;
            let turn = kernel.turn();
            let kernel = compiled.kernel(Purpose::Values, vec![false; tile.x.len()]);
            for (padded, column) in self.padded.iter_mut().zip(&tile.x) {
                for (to, i) in padded.iter_mut().zip(rest.clone()) {
                    *to = column.at(i);
                }
            }
            let columns: Vec<Column<'_>> = self.padded.iter().map(|column| Column::F64(&column[..turn])).collect();
            serves &= kernel.run(turn, &columns, &mut [], &mut self.outputs[whole..]);
        }
        serves
    }

    /// Output `k` over the block that was run last.
    pub(crate) fn output(&self, k: usize, points: usize) -> &[f64] {
        &self.outputs[k * STRIDE..][..points]
    }

    /// Adds the sums of the first points of a block to their lanes (`normal::NormalEquations`, or rss alone), stores their residuals, and
    /// says how many points those were: whole rows, or none where there is no such kernel, or where it does not serve one of the points.
    pub(crate) fn sum(
        &mut self,
        has_slopes: bool,
        tile: &Tile,
        block: &Range<usize>,
        lanes: &mut [[f64; LANES]],
        residuals: &mut [f64],
    ) -> usize {
        let (weighting, weights) = match &tile.inverse_sigma {
            None => (Weighting::None, None),
            Some(Weights::Inverse(numbers)) => (Weighting::Inverse, Some(all_of(numbers))),
            Some(Weights::Sigma(values)) => (Weighting::Sigma, Some(Column::F32(values))),
            Some(Weights::Square(values)) => (Weighting::Square, Some(Column::F32(values))),
        };
        let columns = tile.x.iter().chain([&tile.y]).map(all_of).chain(weights);
        let columns: Vec<Column<'_>> = columns.collect();
        let stored = columns.iter().map(|column| matches!(column, Column::F32(_))).collect();
        let Some(kernel) = self.compiled(has_slopes).try_kernel(Purpose::Sums(weighting), stored) else { return 0 };
        let whole = block.len() / kernel.turn() * kernel.turn();
        let columns: Vec<Column<'_>> =
            columns.into_iter().map(|column| column.part(block.start..block.start + whole)).collect();
        let before = kernel.has_exceptions().then(|| lanes.to_vec());
        if kernel.run(whole, &columns, lanes, residuals) {
            return whole;
        }
        lanes.copy_from_slice(&before.expect("a kernel without exceptions serves every point"));
        0
    }
}

fn is_single(column: &Numbers) -> bool {
    matches!(column, Numbers::F32(_))
}

fn all_of(column: &Numbers) -> Column<'_> {
    match column {
        Numbers::F64(values) => Column::F64(values),
        Numbers::F32(values) => Column::F32(values),
    }
}

fn part(column: &Numbers, range: Range<usize>) -> Column<'_> {
    all_of(column).part(range)
}

impl Compiled {
    fn new(tape: &Tape, variables: usize) -> Self {
        let (code, outputs) = lower::lower(tape);
        let (n_uniforms, uniforms) = (tape.uniforms().len(), Vec::new());
        Self { code, outputs, n_uniforms, variables, uniforms, kernels: HashMap::new() }
    }

    fn try_kernel(&mut self, purpose: Purpose, stored: Stored) -> Option<&Kernel> {
        let key = (purpose, stored);
        if !self.kernels.contains_key(&key) {
            let mut kernel = self.assemble(purpose, &key.1);
            kernel.iter_mut().for_each(|kernel| kernel.set(&self.uniforms));
            self.kernels.insert(key.clone(), kernel);
        }
        self.kernels[&key].as_ref()
    }

    fn kernel(&mut self, purpose: Purpose, stored: Stored) -> &Kernel {
        self.try_kernel(purpose, stored)
            .expect("it was tried when the model was compiled; how columns are stored costs no register")
    }

    fn assemble(&self, purpose: Purpose, stored: &[bool]) -> Option<Kernel> {
        match purpose {
            Purpose::Values => Kernel::new(&avx512::Task {
                code: &self.code,
                single: stored,
                n_uniforms: self.n_uniforms,
                row: avx512::VECTOR,
                at_once: AT_ONCE,
                outputs: &self.outputs,
                output_bytes: (STRIDE * size_of::<f64>()) as i64,
                sums: &[],
                fetch_ahead: 0,
            }),
            Purpose::Sums(weighting) => {
                let mut code = self.code.clone();
                let (residual, sums) = self.sums(&mut code, weighting);
                Kernel::new(&avx512::Task {
                    code: &code,
                    single: stored,
                    n_uniforms: self.n_uniforms,
                    row: LANES,
                    at_once: AT_ONCE,
                    outputs: &[residual],
                    output_bytes: (STRIDE * size_of::<f64>()) as i64,
                    sums: &sums,
                    fetch_ahead: BLOCK,
                })
            }
        }
    }

    /// The residual, and the products to be summed with the places of their sums.
    fn sums(&self, code: &mut Code, weighting: Weighting) -> (Value, Vec<(usize, Value, Value)>) {
        let (y, w) = (self.variables as u32, self.variables as u32 + 1);
        let mut column = |column| code.put(Op::Column { column, ahead: 0 });
        let (y, given) = (column(y), (weighting != Weighting::None).then(|| column(w)));
        let one = code.number(1.0);
        let weight = given.map(|given| match weighting {
            Weighting::Sigma => code.put(Op::Div(one, given)),
            Weighting::Square => code.put(Op::Sqrt(given)),
            Weighting::Inverse | Weighting::None => given,
        });
        let mut weighted = |value| weight.map_or(value, |weight| code.put(Op::Mul(value, weight)));
        let slopes: Vec<Value> = self.outputs[1..].iter().map(|&slope| weighted(slope)).collect();
        let plain = code.put(Op::Sub(self.outputs[0], y));
        let residual = weight.map_or(plain, |weight| code.put(Op::Mul(plain, weight)));
        let (p, triangle) = (slopes.len(), slopes.len() * (slopes.len() + 1) / 2);
        let mut sums = Vec::new();
        for (j, &slope) in slopes.iter().enumerate() {
            sums.extend(slopes[j..].iter().zip(j..).map(|(&other, k)| (packed_index(p, j, k), slope, other)));
            sums.push((triangle + j, slope, residual));
        }
        sums.push((triangle + p + 1, residual, residual));
        (residual, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::{Model, Names};
    use crate::kernel::Program;

    fn native(expression: &str) -> Option<Native> {
        let variables = ["t".to_string(), "u".to_string()];
        let model = Model::parse(expression, &Names { variables: &variables, parameters: &[] }).unwrap();
        let free = (0..model.parameters().len()).collect();
        let program = Program::new(model, free);
        Native::new(InstructionSet::detect(), &program.value_tape(), &program.slopes_tape(), 2)
    }

    /// Without it the suite of conformance would compare the block tape with itself.
    #[test]
    fn there_is_code_for_every_operation_where_there_is_for_any() {
        for expression in [
            "a*exp(-b*t) + c",
            "a*sin(b*t) + cos(t) + tan(t) + sinc(c*t) + asin(u) + acos(u) + atan(t) + atan2(t, u)",
            "erf(a*t) + erfc(t) + tanh(b*t) + sinh(t) + cosh(c*t) + log(t) + log1p(t) + log2(t) + log10(t) + expm1(t)",
            "t^a + cbrt(t) + hypot(t, b) + sqrt(c*t) + abs(u) + sign(u) + step(u) + min(t, a) + max(u, b) + t^-3",
            "where(t > a and u <= b or not (t >= 0.5), c*t, u) + (t == u) + (t != u) + (t < a)",
        ] {
            let native = native(expression);
            assert_eq!(native.is_some(), InstructionSet::detect() == InstructionSet::Avx512, "{expression}");
            let Some(native) = native else { return };
            for weighting in [Weighting::None, Weighting::Inverse, Weighting::Sigma, Weighting::Square] {
                let stored = vec![false; if weighting == Weighting::None { 3 } else { 4 }];
                for compiled in [&native.value, &native.slopes] {
                    assert!(
                        compiled.assemble(Purpose::Sums(weighting), &stored).is_some(),
                        "{expression}, {weighting:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn more_parameters_than_registers_have_values_and_no_sums() {
        let Some(native) = native("a*exp(-b*t) + c*exp(-d*t) + g*t + h") else { return };
        assert!(native.slopes.assemble(Purpose::Sums(Weighting::None), &[false; 3]).is_none());
        assert!(native.slopes.assemble(Purpose::Values, &[false; 2]).is_some());
    }
}
