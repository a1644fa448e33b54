//! The block tape: an interpreter that runs every step of a tape over a block of points, in plain loops that the compiler
//! vectorises for the instruction set at hand. Needs no compiler on the machine; bit-equal to [`super::scalar`].
//!
//! Here stands what is made of the tape's outputs: residuals, the loss, the sums, all in f64. The machine that runs the tape
//! itself (`kernel/machine.rs`) works in f64 or in f32, as a request says.

use super::accumulate::{BLOCK, Corrected, LANES, SEGMENT, correct, fold_lanes, fold_segments, is_linear};
pub use super::lanes::InstructionSet;
use super::lanes::{self, Work};
use super::machine::{Body, Buffer, Machine, NativeBody};
use super::magnitudes::Magnitudes;
use super::scalar::{count, finish_cost};
use super::{Backend, Costing, Evaluator, Precision, Program, Question, Request, Solver};
use crate::data::tile::Tile;
use crate::linalg::Triangle;
use crate::native::Native;
use crate::normal::{NormalEquations, Sums};
use crate::tape::Tape;

/// The backend for CPUs: the block tape, with native code where there is some.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    set: InstructionSet,
    native: bool,
}

impl Blocks {
    /// For the best instruction set of this machine.
    pub fn new() -> Self {
        let set = InstructionSet::detect();
        Self { set, native: set == InstructionSet::Avx512 }
    }

    /// The block tape alone, for a given instruction set; panics when it runs where there is none.
    pub fn with(set: InstructionSet) -> Self {
        Self { set, native: false }
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Blocks {
    fn name(&self) -> String {
        format!("cpu ({}, {})", if self.native { "native code" } else { "block tape" }, self.set.name())
    }

    fn evaluator(&self, program: &Program) -> Box<dyn Evaluator> {
        let slopes = program.slopes_tape();
        let value = program.value_tape();
        let registers = slopes.registers().max(value.registers());
        let variables = program.model().variables().len();
        let width = NormalEquations::width(program.n_free());
        let native = if self.native { Native::new(self.set, &value, &slopes, variables) } else { None };
        Box::new(BlockEvaluator {
            set: self.set,
            n_free: program.n_free(),
            slopes,
            value,
            native,
            double: Machine::new(variables, registers),
            single: Machine::new(variables, registers),
            scratch: Scratch {
                y: Buffer::new(),
                weights: Buffer::new(),
                raw: Buffer::new(),
                residual: Buffer::new(),
                rho: Buffer::new(),
                factor: Buffer::new(),
                jacobian: (0..program.n_free()).map(|_| Buffer::new()).collect(),
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
    /// Runs what there is code for, in f64.
    native: Option<Native>,
    double: Machine<f64>,
    single: Machine<f32>,
    scratch: Scratch,
}

/// Buffers of one thread, reused for every block.
struct Scratch {
    /// y where it is kept as f32, widened.
    y: Box<Buffer<f64>>,
    /// 1/sigma, likewise.
    weights: Box<Buffer<f64>>,
    /// (f - y)/sigma, without the loss.
    raw: Box<Buffer<f64>>,
    /// The same with the loss's factor.
    residual: Box<Buffer<f64>>,
    rho: Box<Buffer<f64>>,
    /// The loss's factor on the rows of J.
    factor: Box<Buffer<f64>>,
    /// `[n_free][BLOCK]`
    jacobian: Vec<Box<Buffer<f64>>>,
    /// `[width][LANES]`
    lanes: Vec<[f64; LANES]>,
}

impl Evaluator for BlockEvaluator {
    fn evaluate(&mut self, request: &Request, tile: &Tile) -> Sums {
        let Self { set, n_free, slopes, value, native, double, single, scratch } = self;
        let program = Tapes { set: *set, n_free: *n_free, slopes, value };
        let mut triangles = Vec::new();
        let all = match (request.costing.precision, native) {
            (Precision::F64, Some(native)) => {
                let mut body = NativeBody::new(native, double);
                program.evaluate(&mut body, scratch, request, tile, &mut triangles)
            }
            (Precision::F64, None) => program.evaluate(double, scratch, request, tile, &mut triangles),
            (Precision::F32, _) => program.evaluate(single, scratch, request, tile, &mut triangles),
        };
        Sums { triangles, ..Sums::of_tile(all, tile.counts) }
    }
}

/// What is summed over a segment.
enum Kind<'a> {
    /// With the triangle of J, if it is wanted.
    Linearize(Option<&'a mut Triangle>),
    Cost,
    Scores,
    /// Counts residuals in a window.
    Magnitudes(i32, &'a mut [f64]),
}

impl Kind<'_> {
    fn needs_jacobian(&self) -> bool {
        matches!(self, Kind::Linearize(_) | Kind::Scores)
    }
}

/// The code of a program, and for which instruction set it runs.
struct Tapes<'a> {
    set: InstructionSet,
    n_free: usize,
    slopes: &'a Tape,
    value: &'a Tape,
}

impl Tapes<'_> {
    /// The sums of a request.
    fn evaluate<B: Body>(
        &self,
        body: &mut B,
        scratch: &mut Scratch,
        request: &Request,
        tile: &Tile,
        triangles: &mut Vec<Triangle>,
    ) -> Vec<f64> {
        let costing = &request.costing;
        let loss = &costing.loss;
        let mut sum_tile = |theta: &[f64], kind: Kind<'_>, width: usize| {
            self.sum_tile(body, scratch, theta, costing, tile, kind, width)
        };
        let mut all = Vec::with_capacity(request.width(self.n_free));
        match &request.question {
            Question::Linearize(thetas) => {
                let width = NormalEquations::width(self.n_free);
                for theta in thetas {
                    let mut triangle = (costing.solver == Solver::Tsqr).then(|| Triangle::zero(self.n_free));
                    let mut sums = sum_tile(theta, Kind::Linearize(triangle.as_mut()), width);
                    triangles.extend(triangle);
                    finish_cost(&mut sums[width - 3..], loss);
                    all.extend(sums);
                }
            }
            Question::Costs(thetas) => {
                for theta in thetas {
                    let mut sums = sum_tile(theta, Kind::Cost, 2);
                    finish_cost(&mut sums, loss);
                    all.extend(sums);
                }
            }
            Question::Scores(theta) => all = sum_tile(theta, Kind::Scores, self.n_free * (self.n_free + 1) / 2),
            Question::Magnitudes { theta, octave } => {
                let mut counts = vec![0.0; Magnitudes::WIDTH];
                sum_tile(theta, Kind::Magnitudes(*octave, &mut counts), 0);
                all = counts;
            }
        }
        all
    }

    /// Sums a tile at one theta.
    #[expect(clippy::too_many_arguments, reason = "body and scratch are lent apart, the rest is what is asked")]
    fn sum_tile<B: Body>(
        &self,
        body: &mut B,
        scratch: &mut Scratch,
        theta: &[f64],
        costing: &Costing,
        tile: &Tile,
        mut kind: Kind<'_>,
        width: usize,
    ) -> Vec<f64> {
        let tape = if kind.needs_jacobian() { self.slopes } else { self.value };
        body.set(tape, kind.needs_jacobian(), theta);
        let n = tile.y.len();
        let mut segments = Vec::with_capacity(n.div_ceil(SEGMENT));
        for start in (0..n).step_by(SEGMENT) {
            let segment =
                Segment { tape, body, costing, tile, start, end: n.min(start + SEGMENT), kind: &mut kind, scratch };
            lanes::run(self.set, segment);
            segments.push(scratch.lanes[..width].iter().map(fold_lanes).collect());
        }
        fold_segments(segments, width)
    }
}

/// One segment of a tile; leaves its sums in `scratch.lanes`.
struct Segment<'a, 'k, B> {
    tape: &'a Tape,
    body: &'a mut B,
    costing: &'a Costing,
    tile: &'a Tile,
    start: usize,
    end: usize,
    kind: &'a mut Kind<'k>,
    scratch: &'a mut Scratch,
}

impl<B: Body> Work for Segment<'_, '_, B> {
    #[inline(always)]
    fn run(mut self) {
        for lanes in &mut self.scratch.lanes {
            *lanes = [0.0; LANES];
        }
        for first in (self.start..self.end).step_by(BLOCK) {
            let block = first..self.end.min(first + BLOCK);
            let block = block.start + self.sum(&block)..block.end;
            if block.is_empty() {
                continue;
            }
            self.body.run(self.tape, self.kind.needs_jacobian(), self.tile, block.clone());
            self.residuals(block.clone());
            if self.kind.needs_jacobian() {
                self.jacobian(block.clone());
            }
            self.accumulate(block.len());
        }
    }
}

impl<B: Body> Segment<'_, '_, B> {
    /// Sums as many points of a block as can be done in one go; how many those were.
    #[inline(always)]
    fn sum(&mut self, block: &std::ops::Range<usize>) -> usize {
        let has_slopes = match self.kind {
            Kind::Linearize(None) => true,
            Kind::Cost => false,
            _ => return 0,
        };
        if !is_linear(&self.costing.loss) {
            return 0;
        }
        let Scratch { raw, lanes, .. } = &mut *self.scratch;
        let done = self.body.sum(has_slopes, self.tile, block, lanes, raw);
        if has_slopes && let Some(neighbours) = lanes.last_mut() {
            add_neighbours(neighbours, &raw[..done]);
        }
        done
    }

    /// raw = (f - y)/sigma; under a loss also residual, rho and the factor on J.
    #[inline(always)]
    fn residuals(&mut self, block: std::ops::Range<usize>) {
        let n = block.len();
        let Scratch { y, weights, raw, residual, rho, factor, .. } = &mut *self.scratch;
        let raw = &mut raw[..n];
        let f = self.body.output(self.tape, 0, self.tile, &block);
        f.minus(self.tile.y.view(block.clone(), y), raw);
        if let Some(given) = &self.tile.inverse_sigma {
            scale(raw, given.view(block, weights));
        }
        if is_linear(&self.costing.loss) {
            residual[..n].copy_from_slice(raw);
        } else {
            for i in 0..n {
                let Corrected { rho: loss, residual: on_r, jacobian: on_j } = correct(self.costing, raw[i]);
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
        let Scratch { weights, jacobian, factor, .. } = &mut *self.scratch;
        let weights = self.tile.inverse_sigma.as_ref().map(|given| given.view(block.clone(), weights));
        for (column, output) in jacobian.iter_mut().zip(1..) {
            let column = &mut column[..n];
            self.body.output(self.tape, output, self.tile, &block).widen(column);
            if let Some(w) = weights {
                scale(column, w);
            }
            if !is_linear(&self.costing.loss) {
                scale(column, &factor[..n]);
            }
        }
    }

    /// Adds a block to the lanes. The last row of a tile is filled up with zeros, which change no sum.
    #[inline(always)]
    fn accumulate(&mut self, n: usize) {
        let full = n.next_multiple_of(LANES);
        let linear = is_linear(&self.costing.loss);
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
        if let Kind::Linearize(triangle) = self.kind {
            add_neighbours(&mut lanes[sum + 2], &raw[..full]);
            if let Some(triangle) = triangle {
                // the last use of this block's columns
                let mut block: Vec<&mut [f64]> = jacobian.iter_mut().map(|column| &mut column[..n]).collect();
                triangle.absorb(&mut block);
            }
        }
    }
}

/// Adds the products of all pairs of columns; the number of sums it took.
#[inline(always)]
fn add_triangle(lanes: &mut [[f64; LANES]], columns: &[Box<Buffer<f64>>], full: usize) -> usize {
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
///
/// All lanes are run alike, the last one over the border of its row, and its sum is dropped: 31 lanes at a time would be
/// taken apart into single ones, at a quarter of the time of a whole pass.
#[inline(always)]
fn add_neighbours(lanes: &mut [f64; LANES], a: &[f64]) {
    let Some(last) = a.len().checked_sub(LANES) else { return };
    let mut acc = *lanes;
    for row in (0..last).step_by(LANES) {
        let (here, right) = (&a[row..row + LANES], &a[row + 1..row + 1 + LANES]);
        for l in 0..LANES {
            acc[l] = here[l].mul_add(right[l], acc[l]);
        }
    }
    let mut right = [0.0; LANES];
    right[..LANES - 1].copy_from_slice(&a[last + 1..]);
    for l in 0..LANES {
        acc[l] = a[last + l].mul_add(right[l], acc[l]);
    }
    acc[LANES - 1] = 0.0;
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
