//! The block tape: an interpreter that runs every step of a tape over a block of points, in plain loops that the compiler
//! vectorises for the instruction set at hand. Needs no compiler on the machine; bit-equal to [`super::scalar`].

use super::accumulate::{Corrected, LANES, SEGMENT, correct, fold_lanes, fold_segments, is_linear};
pub use super::lanes::InstructionSet;
use super::lanes::{self, Work};
use super::scalar::finish_cost;
use super::{Backend, Evaluator, Program};
use crate::data::tile::Tile;
use crate::expr::ops::Source;
use crate::loss::Loss;
use crate::math;
use crate::normal::{NormalEquations, Sums};
use crate::tape::{Operand, Operation, Step, Tape};

/// Points of a block: 16 rows, so that a register (4 KiB) and its neighbours stay in the first-level cache.
const BLOCK: usize = 512;
const _: () = assert!(SEGMENT.is_multiple_of(BLOCK) && BLOCK.is_multiple_of(LANES));

/// The block tape backend.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    set: InstructionSet,
}

impl Blocks {
    /// For the best instruction set of this machine.
    pub fn new() -> Self {
        Self::with(InstructionSet::detect())
    }

    /// For a given instruction set; panics when it runs where there is none.
    pub fn with(set: InstructionSet) -> Self {
        Self { set }
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Blocks {
    fn name(&self) -> String {
        format!("cpu (block tape, {})", self.set.name())
    }

    fn evaluator(&self, program: &Program) -> Box<dyn Evaluator> {
        let slopes = program.slopes_tape();
        let value = program.value_tape();
        let registers = slopes.registers().max(value.registers());
        let width = NormalEquations::width(program.n_free());
        Box::new(BlockEvaluator {
            set: self.set,
            loss: *program.loss(),
            n_free: program.n_free(),
            slopes,
            value,
            uniforms: Vec::new(),
            scratch: Scratch {
                registers: vec![vec![0.0; BLOCK]; registers],
                filled: std::array::from_fn(|_| vec![0.0; BLOCK]),
                raw: vec![0.0; BLOCK],
                residual: vec![0.0; BLOCK],
                rho: vec![0.0; BLOCK],
                factor: vec![1.0; BLOCK],
                jacobian: vec![vec![0.0; BLOCK]; program.n_free()],
                lanes: vec![[0.0; LANES]; width],
            },
        })
    }
}

struct BlockEvaluator {
    set: InstructionSet,
    loss: Loss,
    n_free: usize,
    slopes: Tape,
    value: Tape,
    uniforms: Vec<f64>,
    scratch: Scratch,
}

/// Buffers of one thread, reused for every block. `[BLOCK]` each.
struct Scratch {
    registers: Vec<Vec<f64>>,
    /// Uniform operands of a selection, spread over a block.
    filled: [Vec<f64>; 3],
    /// (f - y)/sigma, without the loss.
    raw: Vec<f64>,
    /// The same with the loss's factor.
    residual: Vec<f64>,
    rho: Vec<f64>,
    /// The loss's factor on the rows of J.
    factor: Vec<f64>,
    /// `[n_free][BLOCK]`
    jacobian: Vec<Vec<f64>>,
    /// `[width][LANES]`
    lanes: Vec<[f64; LANES]>,
}

impl Evaluator for BlockEvaluator {
    fn linearize(&mut self, theta: &[f64], tile: &Tile) -> Sums {
        self.slopes.run_uniforms(theta, &mut self.uniforms);
        let p = self.n_free;
        let width = NormalEquations::width(p);
        let mut sums = self.sum_tile(tile, width, p);
        finish_cost(&mut sums[width - 2..], &self.loss);
        Sums::of_tile(sums, tile.counts)
    }

    fn costs(&mut self, thetas: &[Vec<f64>], tile: &Tile) -> Sums {
        let mut all = Vec::with_capacity(2 * thetas.len());
        for theta in thetas {
            self.value.run_uniforms(theta, &mut self.uniforms);
            let mut sums = self.sum_tile(tile, 2, 0);
            finish_cost(&mut sums, &self.loss);
            all.extend(sums);
        }
        Sums::of_tile(all, tile.counts)
    }
}

impl BlockEvaluator {
    /// Sums a tile, with the first `n_columns` columns of J (all of them, or none).
    fn sum_tile(&mut self, tile: &Tile, width: usize, n_columns: usize) -> Vec<f64> {
        let n = tile.y.len();
        let mut segments = Vec::with_capacity(n.div_ceil(SEGMENT));
        for start in (0..n).step_by(SEGMENT) {
            let segment = Segment {
                tape: if n_columns > 0 { &self.slopes } else { &self.value },
                uniforms: &self.uniforms,
                loss: &self.loss,
                tile,
                start,
                end: n.min(start + SEGMENT),
                n_columns,
                scratch: &mut self.scratch,
            };
            lanes::run(self.set, segment);
            segments.push(self.scratch.lanes[..width].iter().map(fold_lanes).collect());
        }
        fold_segments(segments, width)
    }
}

/// One segment of a tile; leaves its sums in `scratch.lanes`.
struct Segment<'a> {
    tape: &'a Tape,
    uniforms: &'a [f64],
    loss: &'a Loss,
    tile: &'a Tile,
    start: usize,
    end: usize,
    n_columns: usize,
    scratch: &'a mut Scratch,
}

impl Work for Segment<'_> {
    #[inline(always)]
    fn run(mut self) {
        for lanes in &mut self.scratch.lanes {
            *lanes = [0.0; LANES];
        }
        for first in (self.start..self.end).step_by(BLOCK) {
            let block = first..self.end.min(first + BLOCK);
            self.run_tape(block.clone());
            self.residuals(block.clone());
            self.jacobian(block.clone());
            self.accumulate(block.len());
        }
    }
}

impl Segment<'_> {
    #[inline(always)]
    fn run_tape(&mut self, block: std::ops::Range<usize>) {
        let n = block.len();
        for &Step { operation, out } in self.tape.body() {
            // A step never writes where it reads, so its register can leave the file while it runs.
            let mut register = std::mem::take(&mut self.scratch.registers[out as usize]);
            let target = &mut register[..n];
            let slice = |operand: Operand| -> &[f64] {
                match operand {
                    Operand::Variable(index) => &self.tile.x[index as usize][block.clone()],
                    Operand::Register(index) => &self.scratch.registers[index as usize][..n],
                    Operand::Uniform(_) => unreachable!("uniform operands are taken apart before"),
                }
            };
            match operation {
                Operation::Unary(op, a) => op.map(target, slice(a)),
                Operation::PowInt(a, n) => pow_int(target, slice(a), n),
                Operation::Binary(op, Operand::Uniform(a), b) => op.map(target, self.uniforms[a as usize], slice(b)),
                Operation::Binary(op, a, Operand::Uniform(b)) => op.map(target, slice(a), self.uniforms[b as usize]),
                Operation::Binary(op, a, b) => op.map(target, slice(a), slice(b)),
                Operation::Select(..) => self.select(operation, target, block.clone()),
            }
            self.scratch.registers[out as usize] = register;
        }
    }

    #[inline(always)]
    fn select(&mut self, operation: Operation, target: &mut [f64], block: std::ops::Range<usize>) {
        let Operation::Select(condition, then, otherwise) = operation else {
            unreachable!("called for selections only")
        };
        let n = block.len();
        let operands = [condition, then, otherwise];
        for (operand, filled) in operands.iter().zip(&mut self.scratch.filled) {
            if let Operand::Uniform(index) = operand {
                filled[..n].fill(self.uniforms[*index as usize]);
            }
        }
        let slice = |k: usize| -> &[f64] {
            match operands[k] {
                Operand::Variable(index) => &self.tile.x[index as usize][block.clone()],
                Operand::Register(index) => &self.scratch.registers[index as usize][..n],
                Operand::Uniform(_) => &self.scratch.filled[k][..n],
            }
        };
        let (c, a, b) = (slice(0), slice(1), slice(2));
        for i in 0..n {
            target[i] = if c[i] != 0.0 { a[i] } else { b[i] };
        }
    }

    /// raw = (f - y)/sigma; under a loss also residual, rho and the factor on J.
    #[inline(always)]
    fn residuals(&mut self, block: std::ops::Range<usize>) {
        let n = block.len();
        let Scratch { registers, raw, residual, rho, factor, .. } = &mut *self.scratch;
        let y = &self.tile.y[block.clone()];
        let raw = &mut raw[..n];
        match self.tape.outputs()[0] {
            Operand::Variable(index) => subtract(raw, &self.tile.x[index as usize][block.clone()], y),
            Operand::Register(index) => subtract(raw, &registers[index as usize][..n], y),
            Operand::Uniform(index) => subtract(raw, self.uniforms[index as usize], y),
        }
        let weights = self.tile.inverse_sigma.as_ref().map(|w| &w[block]);
        if let Some(w) = weights {
            for i in 0..n {
                raw[i] *= w[i];
            }
        }
        if is_linear(self.loss) {
            residual[..n].copy_from_slice(raw);
        } else {
            for i in 0..n {
                let Corrected { rho: loss, residual: on_r, jacobian: on_j } = correct(self.loss, raw[i]);
                rho[i] = loss;
                residual[i] = raw[i] * on_r;
                factor[i] = on_j;
            }
        }
    }

    /// Columns of J with their factors, in the order of the scalar reference: first 1/sigma, then the loss.
    #[inline(always)]
    fn jacobian(&mut self, block: std::ops::Range<usize>) {
        let n = block.len();
        let weights = self.tile.inverse_sigma.as_ref().map(|w| &w[block.clone()]);
        let Scratch { registers, jacobian, factor, .. } = &mut *self.scratch;
        for (column, &output) in jacobian.iter_mut().zip(&self.tape.outputs()[1..]) {
            let column = &mut column[..n];
            match output {
                Operand::Variable(index) => column.copy_from_slice(&self.tile.x[index as usize][block.clone()]),
                Operand::Register(index) => column.copy_from_slice(&registers[index as usize][..n]),
                Operand::Uniform(index) => column.fill(self.uniforms[index as usize]),
            }
            if let Some(w) = weights {
                scale(column, w);
            }
            if !is_linear(self.loss) {
                scale(column, &factor[..n]);
            }
        }
    }

    /// Adds a block to the lanes. The last row of a tile is filled up with zeros, which change no sum.
    #[inline(always)]
    fn accumulate(&mut self, n: usize) {
        let full = n.next_multiple_of(LANES);
        let linear = is_linear(self.loss);
        let p = self.n_columns;
        let Scratch { jacobian, raw, residual, rho, lanes, .. } = &mut *self.scratch;
        for buffer in jacobian[..p].iter_mut().chain([&mut *raw, residual, rho]) {
            buffer[n..full].fill(0.0);
        }
        let mut sum = 0;
        for j in 0..p {
            for l in j..p {
                add_products(&mut lanes[sum], &jacobian[j][..full], &jacobian[l][..full]);
                sum += 1;
            }
        }
        for column in &jacobian[..p] {
            add_products(&mut lanes[sum], &column[..full], &residual[..full]);
            sum += 1;
        }
        if !linear {
            add_values(&mut lanes[sum], &rho[..full]);
        }
        add_products(&mut lanes[sum + 1], &raw[..full], &raw[..full]);
    }
}

#[inline(always)]
fn pow_int(out: &mut [f64], a: &[f64], n: i32) {
    if n == 2 {
        for (o, a) in out.iter_mut().zip(a) {
            *o = a * a;
        }
    } else {
        for (o, a) in out.iter_mut().zip(a) {
            *o = math::pow_int(*a, n);
        }
    }
}

#[inline(always)]
fn subtract<S: Source>(out: &mut [f64], f: S, y: &[f64]) {
    f.check(out.len());
    for (i, (o, y)) in out.iter_mut().zip(y).enumerate() {
        *o = f.at(i) - y;
    }
}

#[inline(always)]
fn scale(column: &mut [f64], factor: &[f64]) {
    for (entry, factor) in column.iter_mut().zip(factor) {
        *entry *= factor;
    }
}

#[inline(always)]
fn add_products(lanes: &mut [f64; LANES], a: &[f64], b: &[f64]) {
    let mut acc = *lanes;
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for l in 0..LANES {
            acc[l] = a[l].mul_add(b[l], acc[l]);
        }
    }
    *lanes = acc;
}

#[inline(always)]
fn add_values(lanes: &mut [f64; LANES], a: &[f64]) {
    for a in a.chunks_exact(LANES) {
        for l in 0..LANES {
            lanes[l] += a[l];
        }
    }
}
