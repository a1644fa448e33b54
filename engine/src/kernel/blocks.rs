//! The block tape: an interpreter that runs every step of a tape over a block of points, in plain loops that the compiler
//! vectorises for the instruction set at hand. Needs no compiler on the machine; bit-equal to [`super::scalar`].

use super::accumulate::{Corrected, LANES, SEGMENT, correct, fold_lanes, fold_segments, is_linear};
pub use super::lanes::InstructionSet;
use super::lanes::{self, Work};
use super::magnitudes::Magnitudes;
use super::scalar::{count, finish_cost};
use super::{Backend, Evaluator, Program, Question, Request};
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
    fn evaluate(&mut self, request: &Request, tile: &Tile) -> Sums {
        let loss = &request.costing.loss;
        let mut all = Vec::with_capacity(request.width(self.n_free));
        match &request.question {
            Question::Linearize(thetas) => {
                let width = NormalEquations::width(self.n_free);
                for theta in thetas {
                    let mut sums = self.sum_tile(theta, loss, tile, Kind::Linearize, width);
                    finish_cost(&mut sums[width - 3..], loss);
                    all.extend(sums);
                }
            }
            Question::Costs(thetas) => {
                for theta in thetas {
                    let mut sums = self.sum_tile(theta, loss, tile, Kind::Cost, 2);
                    finish_cost(&mut sums, loss);
                    all.extend(sums);
                }
            }
            Question::Scores(theta) => {
                let width = self.n_free * (self.n_free + 1) / 2;
                all = self.sum_tile(theta, loss, tile, Kind::Scores, width);
            }
            Question::Magnitudes { theta, octave } => {
                let mut counts = vec![0.0; Magnitudes::WIDTH];
                self.sum_tile(theta, loss, tile, Kind::Magnitudes(*octave, &mut counts), 0);
                all = counts;
            }
        }
        Sums::of_tile(all, tile.counts)
    }
}

/// What is summed over a segment.
enum Kind<'a> {
    Linearize,
    Cost,
    Scores,
    /// Counts residuals in a window.
    Magnitudes(i32, &'a mut [f64]),
}

impl Kind<'_> {
    fn needs_jacobian(&self) -> bool {
        matches!(self, Kind::Linearize | Kind::Scores)
    }
}

impl BlockEvaluator {
    /// Sums a tile at one theta.
    fn sum_tile(&mut self, theta: &[f64], loss: &Loss, tile: &Tile, mut kind: Kind<'_>, width: usize) -> Vec<f64> {
        let tape = if kind.needs_jacobian() { &self.slopes } else { &self.value };
        tape.run_uniforms(theta, &mut self.uniforms);
        let n = tile.y.len();
        let mut segments = Vec::with_capacity(n.div_ceil(SEGMENT));
        for start in (0..n).step_by(SEGMENT) {
            let segment = Segment {
                tape,
                uniforms: &self.uniforms,
                loss,
                tile,
                start,
                end: n.min(start + SEGMENT),
                kind: &mut kind,
                scratch: &mut self.scratch,
            };
            lanes::run(self.set, segment);
            segments.push(self.scratch.lanes[..width].iter().map(fold_lanes).collect());
        }
        fold_segments(segments, width)
    }
}

/// One segment of a tile; leaves its sums in `scratch.lanes`.
struct Segment<'a, 'k> {
    tape: &'a Tape,
    uniforms: &'a [f64],
    loss: &'a Loss,
    tile: &'a Tile,
    start: usize,
    end: usize,
    kind: &'a mut Kind<'k>,
    scratch: &'a mut Scratch,
}

impl Work for Segment<'_, '_> {
    #[inline(always)]
    fn run(mut self) {
        for lanes in &mut self.scratch.lanes {
            *lanes = [0.0; LANES];
        }
        for first in (self.start..self.end).step_by(BLOCK) {
            let block = first..self.end.min(first + BLOCK);
            self.run_tape(block.clone());
            self.residuals(block.clone());
            if self.kind.needs_jacobian() {
                self.jacobian(block.clone());
            }
            self.accumulate(block.len());
        }
    }
}

impl Segment<'_, '_> {
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
        let Scratch { jacobian, raw, residual, rho, lanes, .. } = &mut *self.scratch;
        if let Kind::Magnitudes(octave, counts) = self.kind {
            return raw[..n].iter().for_each(|&r| count(counts, *octave, r));
        }
        let p = if self.kind.needs_jacobian() { jacobian.len() } else { 0 };
        for buffer in jacobian[..p].iter_mut().chain([&mut *raw, residual, rho]) {
            buffer[n..full].fill(0.0);
        }
        if let Kind::Scores = self.kind {
            jacobian.iter_mut().for_each(|column| scale(&mut column[..full], &residual[..full]));
            add_triangle(lanes, jacobian, full);
            return;
        }
        let mut sum = add_triangle(lanes, &jacobian[..p], full);
        for column in &jacobian[..p] {
            add_products(&mut lanes[sum], &column[..full], &residual[..full]);
            sum += 1;
        }
        if !linear {
            add_values(&mut lanes[sum], &rho[..full]);
        }
        add_products(&mut lanes[sum + 1], &raw[..full], &raw[..full]);
        if let Kind::Linearize = self.kind {
            add_neighbours(&mut lanes[sum + 2], &raw[..full]);
        }
    }
}

/// Adds the products of all pairs of columns; the number of sums it took.
#[inline(always)]
fn add_triangle(lanes: &mut [[f64; LANES]], columns: &[Vec<f64>], full: usize) -> usize {
    let mut sum = 0;
    for j in 0..columns.len() {
        for l in j..columns.len() {
            add_products(&mut lanes[sum], &columns[j][..full], &columns[l][..full]);
            sum += 1;
        }
    }
    sum
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

/// Adds the products of neighbours in each row; the last lane has none.
#[inline(always)]
fn add_neighbours(lanes: &mut [f64; LANES], a: &[f64]) {
    let mut acc = *lanes;
    for a in a.chunks_exact(LANES) {
        for l in 0..LANES - 1 {
            acc[l] = a[l].mul_add(a[l + 1], acc[l]);
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
