//! Machine code in memory, and how it is called: the engine's second place for `unsafe`, beside `kernel/lanes.rs`.

#![allow(unsafe_code)]

use memmap2::{Mmap, MmapMut};

use super::avx512::{Assembled, MOST_COLUMNS, Task, VECTOR, assemble};
use crate::kernel::accumulate::LANES;

/// A column over a block.
#[derive(Clone, Copy)]
pub(crate) enum Column<'a> {
    F64(&'a [f64]),
    F32(&'a [f32]),
}

impl<'a> Column<'a> {
    /// Some of its points.
    pub(super) fn part(self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::F64(values) => Self::F64(&values[range]),
            Self::F32(values) => Self::F32(&values[range]),
        }
    }
}

/// Machine code for a [`Task`].
#[derive(Debug)]
pub(super) struct Kernel {
    code: Mmap,
    /// Uniforms, then constants.
    table: Vec<f64>,
    single: Vec<bool>,
    row: usize,
    /// Points from one turn of the inner loop to the next.
    turn: usize,
    lanes: usize,
    outputs: usize,
    output_numbers: usize,
    has_exceptions: bool,
}

/// What machine code is told, at the places that it reads.
#[repr(C)]
struct Context {
    columns: [*const u8; MOST_COLUMNS],
    table: *const f64,
    lanes: *mut f64,
    outputs: *mut f64,
    end: usize,
}

impl Kernel {
    /// Assembles a task and puts it into memory that may be executed and not written. `None` where that cannot be done.
    pub(super) fn new(task: &Task<'_>) -> Option<Self> {
        let Assembled { code, constants } = assemble(task)?;
        let mut memory = MmapMut::map_anon(code.len()).ok()?;
        memory.copy_from_slice(&code);
        let mut table = vec![0.0; task.n_uniforms];
        table.extend(constants);
        Some(Self {
            code: memory.make_exec().ok()?,
            table,
            single: task.single.to_vec(),
            row: task.row,
            turn: task.row * task.at_once as usize,
            lanes: task.sums.iter().map(|(place, ..)| place + 1).max().unwrap_or(0),
            outputs: task.outputs.len(),
            output_numbers: task.output_bytes as usize / size_of::<f64>(),
            has_exceptions: !task.code.exceptions().is_empty(),
        })
    }

    /// Points that it takes at a time: a call is for a multiple of it.
    pub(super) fn turn(&self) -> usize {
        self.turn
    }

    /// Whether there may be points that it does not serve.
    pub(super) fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// Takes the values of uniforms.
    pub(super) fn set(&mut self, uniforms: &[f64]) {
        self.table[..uniforms.len()].copy_from_slice(uniforms);
    }

    /// Runs over points: adds to lanes and stores outputs. False if there were points that the code does not serve: then what it left in
    /// lanes and outputs is of no use.
    ///
    /// # Panics
    /// If columns, lanes or outputs are not as the task said, or shorter than the points.
    pub(super) fn run(
        &self,
        points: usize,
        columns: &[Column<'_>],
        lanes: &mut [[f64; LANES]],
        outputs: &mut [f64],
    ) -> bool {
        assert!(points.is_multiple_of(self.turn) && points <= i32::MAX as usize / 8, "{points} points");
        assert_eq!(columns.len(), self.single.len(), "columns");
        let mut context = Context {
            columns: [std::ptr::null(); MOST_COLUMNS],
            table: self.table.as_ptr(),
            lanes: lanes.as_mut_ptr().cast(),
            outputs: outputs.as_mut_ptr(),
            end: 4 * points,
        };
        for ((column, single), place) in columns.iter().zip(&self.single).zip(&mut context.columns) {
            let (length, is_single, start) = match column {
                Column::F64(values) => (values.len(), false, values.as_ptr().cast()),
                Column::F32(values) => (values.len(), true, values.as_ptr().cast()),
            };
            assert!(length >= points && is_single == *single, "a column as the code expects it");
            *place = start;
        }
        assert!(lanes.len() >= self.lanes, "lanes for all sums");
        let stored = self.outputs.saturating_sub(1) * self.output_numbers + if self.outputs > 0 { points } else { 0 };
        assert!(outputs.len() >= stored, "room for all outputs");
        if points == 0 {
            return true;
        }
        debug_assert!(self.row.is_multiple_of(VECTOR));
        // SAFETY: the memory holds a whole function of this signature, written by `assemble` for the task that this kernel was made
        // from, and for this processor: `Native` is made where AVX-512 was found. It reads `points` numbers of each column, the table,
        // and reads and writes the lanes and outputs of the task, whose lengths were asserted above; it keeps the callee's registers.
        unsafe {
            let function: extern "sysv64" fn(*const Context) -> u32 = std::mem::transmute(self.code.as_ptr());
            function(&context) & 0xff == 0
        }
    }
}
