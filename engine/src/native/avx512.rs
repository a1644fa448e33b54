//! [`Code`] to machine code for x86-64 with AVX-512 F, DQ and BW.
//!
//! A kernel is two loops. The outer one goes over the parts of a row: a row has [`Task::row`] points, a vector 8. The inner
//! one goes over rows, [`Task::at_once`] at a time. Sums stay in registers for the whole inner loop and are added to in the order of the
//! rows, so their bits are those of the reference.
//!
//! ```text
//! k7   points that the code does not serve, the result of the function
//! rdi  context, later the end of the inner loop      rax  where the part begins       r8 r9 r10 r12 r13 r14 r15  columns
//! rsi  uniforms, then constants                      rbx  the points of this vector   r11  what is fetched for the next block
//! rdx  lanes of the sums      rcx  outputs           zmm  sums, then pinned leaves, then values      k1-k7  truth values
//! ```
//! rax, rbx, rdi and r11 count points in units of 4 bytes: an f32 is at `base + rbx`, an f64 at `base + 2 rbx`.

use iced_x86::{Code as Opcode, Encoder, Instruction, MemoryOperand, Register};

use super::code::{Code, Operation as Op, Value};
use super::registers::{Place, Registers};
use crate::kernel::accumulate::LANES;

/// Numbers of a vector.
pub(super) const VECTOR: usize = 8;
const ZMM_REGISTERS: usize = 32;
/// Of eight, k0 stands for no mask, and the last has a purpose of its own.
const MASK_REGISTERS: usize = 7;
pub(super) const EXCEPTIONS: Register = Register::K7;
/// Bytes of a vector, in memory and on the stack.
pub(super) const VECTOR_BYTES: i64 = 64;
/// Leaves that are kept in registers, where values leave room for that.
const MOST_PINNED: usize = 8;
/// Registers that are left for values at least.
const LEAST_FREE: usize = 11;
/// Registers for leaves and results on their way, beside the values that are alive.
const SPARE: usize = 4;
pub(super) const COLUMNS: [Register; 7] =
    [Register::R8, Register::R9, Register::R10, Register::R12, Register::R13, Register::R14, Register::R15];
/// Columns that a kernel can read.
pub(super) const MOST_COLUMNS: usize = COLUMNS.len();
const SAVED: [Register; 5] = [Register::RBX, Register::R12, Register::R13, Register::R14, Register::R15];

/// What machine code is wanted for.
#[derive(Debug)]
pub(super) struct Task<'a> {
    /// Of one vector of points.
    pub(super) code: &'a Code,
    /// For each column whether it is stored as f32.
    pub(super) single: &'a [bool],
    /// Uniforms; constants follow them in the table.
    pub(super) n_uniforms: usize,
    /// Points from one vector to the next of the same part: [`VECTOR`], or [`LANES`] where sums are kept apart by lanes.
    pub(super) row: usize,
    /// Rows that are computed in turn.
    pub(super) at_once: u32,
    /// What is stored, one behind the other at this many bytes.
    pub(super) outputs: &'a [Value],
    pub(super) output_bytes: i64,
    /// What is summed: products, and the place of their lanes.
    pub(super) sums: &'a [(usize, Value, Value)],
    /// Points from a vector to what is fetched meanwhile for later; 0 for none.
    pub(super) fetch_ahead: usize,
}

/// Machine code with the constants that it reads.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) code: Vec<u8>,
    pub(super) constants: Vec<f64>,
}

/// A step of the inner loop.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Compute(Value),
    Add {
        register: usize,
        a: Value,
        b: Value,
    },
    Store {
        output: usize,
        row: u32,
        value: Value,
    },
    /// Where this is true the code does not serve.
    Except(Value),
}

impl Step {
    pub(super) fn reads(self, code: &Code) -> Vec<Value> {
        match self {
            Step::Compute(value) => code.operation(value).operands().collect(),
            Step::Add { a, b, .. } => [a, b].into_iter().filter(|&value| !is_one(code, value)).collect(),
            Step::Store { value, .. } | Step::Except(value) => vec![value],
        }
    }
}

pub(super) fn is_one(code: &Code, value: Value) -> bool {
    code.operation(value) == Op::Constant(1.0f64.to_bits())
}

/// Writes the machine code; `None` if the registers do not suffice.
pub(super) fn assemble(task: &Task<'_>) -> Option<Assembled> {
    let (code, copies) = task.code.in_rows(task.at_once);
    let plan = plan(task, &code, &copies);
    let mut uses = vec![Vec::new(); code.len()];
    for (position, step) in plan.iter().enumerate() {
        step.reads(&code).into_iter().for_each(|value| uses[value.index()].push(position));
    }
    let sums = task.sums.len();
    if sums + LEAST_FREE > ZMM_REGISTERS || task.single.len() > MOST_COLUMNS {
        return None;
    }
    // Written twice: how many slots it takes is known when it is written.
    let (mut slots, mut mask_slots) = (0, 0);
    loop {
        let mut assembler = Assembler {
            task,
            code: &code,
            encoder: Encoder::new(64),
            length: 0,
            values: Registers::new(&code, uses.clone(), sums, ZMM_REGISTERS),
            masks: Registers::new(&code, uses.clone(), 1, MASK_REGISTERS),
            slots,
            mask_slots,
            constants: Vec::new(),
        };
        assembler.kernel(&plan);
        let taken = (assembler.values.n_slots(), assembler.masks.n_slots());
        if taken == (slots, mask_slots) {
            let Assembler { mut encoder, constants, .. } = assembler;
            let constants = constants.into_iter().map(f64::from_bits).collect();
            return Some(Assembled { code: encoder.take_buffer(), constants });
        }
        (slots, mask_slots) = taken;
    }
}

/// The most values that are wanted later at one time.
fn most_alive(plan: &[Step], code: &Code) -> usize {
    let mut last = vec![None; code.len()];
    for (position, step) in plan.iter().enumerate() {
        step.reads(code).into_iter().for_each(|value| last[value.index()] = Some(position));
    }
    let (mut alive, mut most) = (0usize, 0);
    let mut ends = vec![0usize; plan.len()];
    for (position, step) in plan.iter().enumerate() {
        if let Step::Compute(value) = step
            && let Some(end) = last[value.index()]
        {
            alive += 1;
            ends[end] += 1;
        }
        alive -= ends[position];
        most = most.max(alive);
    }
    most
}

/// Everything in the order of the code: what is summed or stored is so as soon as it is there.
fn plan(task: &Task<'_>, code: &Code, copies: &[Vec<Value>]) -> Vec<Step> {
    let mut wanted: Vec<(Value, Step)> = Vec::new();
    for (row, copy) in (0..).zip(copies) {
        for (register, (_, a, b)) in task.sums.iter().enumerate() {
            let (a, b) = (copy[a.index()], copy[b.index()]);
            wanted.push((a.max(b), Step::Add { register, a, b }));
        }
        for (output, value) in task.outputs.iter().enumerate() {
            let value = copy[value.index()];
            wanted.push((value, Step::Store { output, row, value }));
        }
    }
    wanted.extend(code.exceptions().iter().map(|&mask| (mask, Step::Except(mask))));
    // stable: rows are added in their order
    wanted.sort_by_key(|(value, _)| *value);
    let mut wanted = wanted.into_iter().peekable();
    let all = task.sums.iter().flat_map(|(_, a, b)| [*a, *b]).chain(task.outputs.iter().copied());
    let all = all.flat_map(|value| copies.iter().map(move |copy| copy[value.index()]));
    let all: Vec<Value> = all.chain(code.exceptions().iter().copied()).collect();
    let mut plan = Vec::new();
    for value in code.needed(all) {
        if !code.operation(value).is_leaf() {
            plan.push(Step::Compute(value));
        }
        while let Some((_, step)) = wanted.next_if(|(last, _)| *last <= value) {
            plan.push(step);
        }
    }
    plan
}

pub(super) struct Assembler<'a> {
    pub(super) task: &'a Task<'a>,
    pub(super) code: &'a Code,
    encoder: Encoder,
    length: u64,
    pub(super) values: Registers<'a>,
    pub(super) masks: Registers<'a>,
    /// Slots of the stack for vectors, and for truth values.
    pub(super) slots: usize,
    mask_slots: usize,
    pub(super) constants: Vec<u64>,
}

pub(super) fn zmm(register: usize) -> Register {
    Register::ZMM0 + register as u32
}

pub(super) fn mask(register: usize) -> Register {
    Register::K0 + register as u32
}

pub(super) fn near(base: Register, bytes: i64) -> MemoryOperand {
    MemoryOperand::with_base_displ_size(base, bytes, if bytes == 0 { 0 } else { 8 })
}

impl Assembler<'_> {
    pub(super) fn put(&mut self, instruction: Result<Instruction, iced_x86::IcedError>) {
        let instruction = instruction.expect("the operands are those of the opcode");
        let length = self.encoder.encode(&instruction, self.length).expect("the operands are those of the opcode");
        self.length += length as u64;
    }

    fn kernel(&mut self, plan: &[Step]) {
        let Task { sums, row, at_once, fetch_ahead, .. } = *self.task;
        let step = 4 * row as i32 * at_once as i32;
        self.prologue();
        self.pin_leaves(plan);
        let part = self.length;
        for (register, (lanes, ..)) in sums.iter().enumerate() {
            let place = near(Register::RDX, (lanes * LANES * 8) as i64);
            self.put(Instruction::with2(Opcode::EVEX_Vmovupd_zmm_k1z_zmmm512, zmm(register), place));
        }
        self.put(Instruction::with2(Opcode::Mov_r64_rm64, Register::RBX, Register::RAX));
        let inner = self.length;
        for (position, step) in plan.iter().enumerate() {
            self.values.go_to(position);
            self.masks.go_to(position);
            self.step(*step);
        }
        if fetch_ahead > 0 {
            self.fetch();
        }
        self.put(Instruction::with2(Opcode::Add_rm64_imm32, Register::RBX, step));
        self.put(Instruction::with2(Opcode::Cmp_r64_rm64, Register::RBX, Register::RDI));
        self.put(Instruction::with_branch(Opcode::Jb_rel32_64, inner));
        for (register, (lanes, ..)) in sums.iter().enumerate() {
            let place = near(Register::RDX, (lanes * LANES * 8) as i64);
            self.put(Instruction::with2(Opcode::EVEX_Vmovupd_zmmm512_k1z_zmm, place, zmm(register)));
        }
        self.put(Instruction::with2(Opcode::Add_rm64_imm32, Register::RDX, VECTOR_BYTES as i32));
        self.put(Instruction::with2(Opcode::Add_rm64_imm32, Register::RAX, 4 * VECTOR as i32));
        self.put(Instruction::with2(Opcode::Cmp_rm64_imm32, Register::RAX, 4 * row as i32));
        self.put(Instruction::with_branch(Opcode::Jb_rel32_64, part));
        self.epilogue();
    }

    fn prologue(&mut self) {
        for register in SAVED {
            self.put(Instruction::with1(Opcode::Push_r64, register));
        }
        self.put(Instruction::with1(Opcode::Push_r64, Register::RBP));
        self.put(Instruction::with2(Opcode::Mov_r64_rm64, Register::RBP, Register::RSP));
        let room = (self.slots as i32 + 1) * VECTOR_BYTES as i32 + 8 * self.mask_slots as i32;
        self.put(Instruction::with2(Opcode::Sub_rm64_imm32, Register::RSP, room));
        self.put(Instruction::with2(Opcode::And_rm64_imm8, Register::RSP, -(VECTOR_BYTES as i32)));
        let fields = COLUMNS.into_iter().chain([Register::RSI, Register::RDX, Register::RCX, Register::RDI]);
        for (field, register) in fields.enumerate() {
            self.put(Instruction::with2(Opcode::Mov_r64_rm64, register, near(Register::RDI, 8 * field as i64)));
        }
        self.put(Instruction::with2(Opcode::Xor_r32_rm32, Register::EAX, Register::EAX));
        self.put(Instruction::with3(Opcode::VEX_Kxorb_kr_kr_kr, EXCEPTIONS, EXCEPTIONS, EXCEPTIONS));
        self.put(Instruction::with2(Opcode::Mov_r32_imm32, Register::R11D, 4 * self.task.fetch_ahead as u32));
    }

    fn epilogue(&mut self) {
        self.put(Instruction::with2(Opcode::Mov_r64_rm64, Register::RSP, Register::RBP));
        self.put(Instruction::with1(Opcode::Pop_r64, Register::RBP));
        for register in SAVED.into_iter().rev() {
            self.put(Instruction::with1(Opcode::Pop_r64, register));
        }
        self.put(Instruction::with2(Opcode::VEX_Kmovb_r32_kr, Register::EAX, EXCEPTIONS));
        self.put(Ok(Instruction::with(Opcode::VEX_Vzeroupper)));
        self.put(Ok(Instruction::with(Opcode::Retnq)));
    }

    /// Fetches what the next block will read, line by line in its order, whatever the order here.
    fn fetch(&mut self) {
        for (column, single) in COLUMNS.iter().zip(self.task.single) {
            let scale: u32 = if *single { 1 } else { 2 };
            for vector in 0..i64::from(self.task.at_once) {
                let bytes = vector * i64::from(scale) * 4 * VECTOR as i64;
                let place = MemoryOperand::with_base_index_scale_displ_size(*column, Register::R11, scale, bytes, 8);
                self.put(Instruction::with1(Opcode::Prefetcht0_m8, place));
            }
        }
        let step = 4 * VECTOR as i32 * self.task.at_once as i32;
        self.put(Instruction::with2(Opcode::Add_rm64_imm32, Register::R11, step));
    }

    /// Keeps the leaves that are read most in registers, as far as values leave room.
    fn pin_leaves(&mut self, plan: &[Step]) {
        let room = ZMM_REGISTERS.saturating_sub(self.task.sums.len() + most_alive(plan, self.code) + SPARE);
        let mut leaves: Vec<Value> = plan.iter().flat_map(|step| step.reads(self.code)).collect();
        leaves.sort_unstable();
        leaves.dedup();
        leaves.retain(|&value| matches!(self.code.operation(value), Op::Constant(_) | Op::Uniform(_)));
        leaves.sort_by_key(|&value| std::cmp::Reverse(self.values.readers(value)));
        for value in leaves.into_iter().take(room.min(MOST_PINNED)) {
            let register = self.values.pin(value);
            self.fill(register, value, Place::Leaf);
        }
    }
}
