//! The block tape's machine: runs the body of a tape over a block of points, in f64 or in f32.
//!
//! In f32 every variable is rounded when it is loaded, and every step over points works in f32. What depends on theta alone
//! is computed in f64 as ever and rounded where a step over points takes it. What comes out is widened: residuals and all
//! sums are f64 in either case.

use std::ops::{Deref, DerefMut, Range};

use super::accumulate::{BLOCK, LANES};
use crate::data::numbers::Numbers;
use crate::data::tile::Tile;
use crate::math;
use crate::native::Native;
use crate::real::Real;
use crate::tape::{Operand, Operation, Step, Tape};

/// A type of number that a machine computes in.
pub(super) trait Word: Real {
    /// The values of a column where they stand, if they have this type.
    fn stored(numbers: &Numbers) -> Option<&[Self]>;

    /// Copies a range of a column that has the other type.
    fn convert(numbers: &Numbers, range: Range<usize>, to: &mut [Self]);
}

impl Word for f64 {
    #[inline(always)]
    fn stored(numbers: &Numbers) -> Option<&[Self]> {
        if let Numbers::F64(values) = numbers { Some(values) } else { None }
    }

    #[inline(always)]
    fn convert(numbers: &Numbers, range: Range<usize>, to: &mut [Self]) {
        if let Numbers::F32(values) = numbers {
            for (to, from) in to.iter_mut().zip(&values[range]) {
                *to = f64::from(*from);
            }
        }
    }
}

impl Word for f32 {
    #[inline(always)]
    fn stored(numbers: &Numbers) -> Option<&[Self]> {
        if let Numbers::F32(values) = numbers { Some(values) } else { None }
    }

    #[inline(always)]
    fn convert(numbers: &Numbers, range: Range<usize>, to: &mut [Self]) {
        if let Numbers::F64(values) = numbers {
            for (to, from) in to.iter_mut().zip(&values[range]) {
                *to = *from as f32;
            }
        }
    }
}

/// A value for each point of a block. It begins with a cache line, so that no vector straddles two, and ends with a gap:
/// at multiples of 4 KiB the same points of many buffers would compete for few places in the first-level cache.
#[repr(C, align(64))]
pub(super) struct Buffer<T> {
    values: [T; BLOCK],
    gap: [T; 16],
}

impl<T: Real> Buffer<T> {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { values: [T::ZERO; BLOCK], gap: [T::ZERO; 16] })
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<T> DerefMut for Buffer<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

/// What computes the outputs of a tape over blocks of points: f, and its slopes if the tape has them.
pub(super) trait Body {
    /// What it computes in.
    type Word: Word;

    /// Takes another theta.
    fn set(&mut self, tape: &Tape, has_slopes: bool, theta: &[f64]);

    /// Runs over a block.
    fn run(&mut self, tape: &Tape, has_slopes: bool, tile: &Tile, block: Range<usize>);

    /// Output `k` over the block that was run last.
    fn output<'a>(&'a self, tape: &Tape, k: usize, tile: &'a Tile, block: &Range<usize>) -> Output<'a, Self::Word>;

    /// Adds the sums of the first points of a block under the linear loss to their lanes, and stores their residuals; how many
    /// points those were. Rows are whole.
    fn sum(
        &mut self,
        _has_slopes: bool,
        _tile: &Tile,
        _block: &Range<usize>,
        _lanes: &mut [[f64; LANES]],
        _residuals: &mut [f64],
    ) -> usize {
        0
    }
}

/// Native code, and the block tape for blocks with points that it does not serve.
pub(super) struct NativeBody<'a> {
    pub(super) native: &'a mut Native,
    pub(super) tape: &'a mut Machine<f64>,
    /// Whether the block that was run last was.
    by_tape: bool,
}

impl<'a> NativeBody<'a> {
    pub(super) fn new(native: &'a mut Native, tape: &'a mut Machine<f64>) -> Self {
        Self { native, tape, by_tape: false }
    }
}

impl Body for NativeBody<'_> {
    type Word = f64;

    fn set(&mut self, tape: &Tape, has_slopes: bool, theta: &[f64]) {
        self.native.set(tape, has_slopes, theta);
        self.tape.set(tape, has_slopes, theta);
    }

    #[inline(always)]
    fn run(&mut self, tape: &Tape, has_slopes: bool, tile: &Tile, block: Range<usize>) {
        self.by_tape = !self.native.run(has_slopes, tile, &block);
        if self.by_tape {
            self.tape.run(tape, has_slopes, tile, block);
        }
    }

    #[inline(always)]
    fn output<'a>(&'a self, tape: &Tape, k: usize, tile: &'a Tile, block: &Range<usize>) -> Output<'a, f64> {
        if self.by_tape {
            self.tape.output(tape, k, tile, block)
        } else {
            Output::Each(self.native.output(k, block.len()))
        }
    }

    fn sum(
        &mut self,
        has_slopes: bool,
        tile: &Tile,
        block: &Range<usize>,
        lanes: &mut [[f64; LANES]],
        residuals: &mut [f64],
    ) -> usize {
        self.native.sum(has_slopes, tile, block, lanes, residuals)
    }
}

/// Registers of one thread, reused for every block.
pub(super) struct Machine<T> {
    /// Variables of the block whose columns have the other type.
    x: Vec<Box<Buffer<T>>>,
    registers: Vec<Box<Buffer<T>>>,
    /// Stands in the file for the register that is being written.
    spare: Box<Buffer<T>>,
    /// Uniform operands of a selection, spread over a block.
    filled: [Box<Buffer<T>>; 3],
    /// What depends on theta alone.
    uniforms: Vec<f64>,
    /// The same, rounded.
    rounded: Vec<T>,
}

/// An output of a tape over a block.
#[derive(Clone, Copy)]
pub(super) enum Output<'a, T> {
    /// One value for each point.
    Each(&'a [T]),
    /// The same for all.
    Same(f64),
}

impl<T: Word> Machine<T> {
    /// For tapes of so many variables and registers at most.
    pub(super) fn new(variables: usize, registers: usize) -> Self {
        Self {
            x: (0..variables).map(|_| Buffer::new()).collect(),
            registers: (0..registers).map(|_| Buffer::new()).collect(),
            spare: Buffer::new(),
            filled: std::array::from_fn(|_| Buffer::new()),
            uniforms: Vec::new(),
            rounded: Vec::new(),
        }
    }
}

impl<T: Word> Body for Machine<T> {
    type Word = T;

    fn set(&mut self, tape: &Tape, _has_slopes: bool, theta: &[f64]) {
        tape.run_uniforms(theta, &mut self.uniforms);
        self.rounded.clear();
        self.rounded.extend(self.uniforms.iter().map(|&value| T::nearest(value)));
    }

    #[inline(always)]
    fn run(&mut self, tape: &Tape, _has_slopes: bool, tile: &Tile, block: Range<usize>) {
        let n = block.len();
        for (scratch, column) in self.x.iter_mut().zip(&tile.x) {
            if T::stored(column).is_none() {
                T::convert(column, block.clone(), &mut scratch[..n]);
            }
        }
        for &Step { operation, out } in tape.body() {
            let target = &mut self.spare[..n];
            let slice = |operand: Operand| -> &[T] {
                match operand {
                    Operand::Variable(index) => variable(&self.x, tile, index, &block),
                    Operand::Register(index) => &self.registers[index as usize][..n],
                    Operand::Uniform(_) => unreachable!("uniform operands are taken apart before"),
                }
            };
            match operation {
                Operation::Unary(op, a) => op.map(target, slice(a)),
                Operation::PowInt(a, n) => pow_int(target, slice(a), n),
                Operation::Binary(op, Operand::Uniform(a), b) => op.map(target, self.rounded[a as usize], slice(b)),
                Operation::Binary(op, a, Operand::Uniform(b)) => op.map(target, slice(a), self.rounded[b as usize]),
                Operation::Binary(op, a, b) => op.map(target, slice(a), slice(b)),
                Operation::Select(..) => self.select(operation, tile, &block),
            }
            // a step never writes where it reads
            std::mem::swap(&mut self.registers[out as usize], &mut self.spare);
        }
    }

    #[inline(always)]
    fn output<'a>(&'a self, tape: &Tape, k: usize, tile: &'a Tile, block: &Range<usize>) -> Output<'a, T> {
        match tape.outputs()[k] {
            Operand::Variable(index) => Output::Each(variable(&self.x, tile, index, block)),
            Operand::Register(index) => Output::Each(&self.registers[index as usize][..block.len()]),
            Operand::Uniform(index) => Output::Same(self.uniforms[index as usize]),
        }
    }
}

impl<T: Word> Machine<T> {
    #[inline(always)]
    fn select(&mut self, operation: Operation, tile: &Tile, block: &Range<usize>) {
        let Operation::Select(condition, then, otherwise) = operation else {
            unreachable!("called for selections only")
        };
        let n = block.len();
        let operands = [condition, then, otherwise];
        for (operand, filled) in operands.iter().zip(&mut self.filled) {
            if let Operand::Uniform(index) = operand {
                filled[..n].fill(self.rounded[*index as usize]);
            }
        }
        let slice = |k: usize| -> &[T] {
            match operands[k] {
                Operand::Variable(index) => variable(&self.x, tile, index, block),
                Operand::Register(index) => &self.registers[index as usize][..n],
                Operand::Uniform(_) => &self.filled[k][..n],
            }
        };
        let (c, a, b) = (slice(0), slice(1), slice(2));
        let target = &mut self.spare[..n];
        for i in 0..n {
            target[i] = if c[i] != T::ZERO { a[i] } else { b[i] };
        }
    }
}

/// A variable over a block: where its column stands, or converted.
#[inline(always)]
fn variable<'a, T: Word>(x: &'a [Box<Buffer<T>>], tile: &'a Tile, index: u32, block: &Range<usize>) -> &'a [T] {
    match T::stored(&tile.x[index as usize]) {
        Some(column) => &column[block.clone()],
        None => &x[index as usize][..block.len()],
    }
}

#[inline(always)]
fn pow_int<T: Real>(out: &mut [T], a: &[T], n: i32) {
    if n == 2 {
        for (o, a) in out.iter_mut().zip(a) {
            *o = *a * *a;
        }
    } else {
        for (o, a) in out.iter_mut().zip(a) {
            *o = math::pow_int(*a, n);
        }
    }
}

impl<T: Word> Output<'_, T> {
    /// `out = output`, widened.
    #[inline(always)]
    pub(super) fn widen(self, out: &mut [f64]) {
        match self {
            Output::Each(values) => {
                for (out, value) in out.iter_mut().zip(values) {
                    *out = value.widen();
                }
            }
            Output::Same(value) => out.fill(value),
        }
    }

    /// `out = output - y`, in f64.
    #[inline(always)]
    pub(super) fn minus(self, y: &[f64], out: &mut [f64]) {
        match self {
            Output::Each(values) => {
                for ((out, value), y) in out.iter_mut().zip(values).zip(y) {
                    *out = value.widen() - y;
                }
            }
            Output::Same(value) => {
                for (out, y) in out.iter_mut().zip(y) {
                    *out = value - y;
                }
            }
        }
    }
}
