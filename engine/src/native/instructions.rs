//! One operation at a time: which instruction it is, and where its operands come from.

use iced_x86::{Code as Opcode, Instruction, MemoryOperand, Register};

use super::avx512::{Assembler, COLUMNS, EXCEPTIONS, Step, VECTOR_BYTES, is_one, mask, near, zmm};
use super::code::{Operation as Op, Value};
use super::registers::{Place, Vacated};

/// An operand that need not be in a register.
#[derive(Clone, Copy)]
enum Source {
    Register(usize),
    /// A vector in memory, or one number for all of it.
    Memory(MemoryOperand, bool),
}

impl Assembler<'_> {
    fn table(&mut self, operation: Op) -> MemoryOperand {
        let index = match operation {
            Op::Uniform(index) => index as usize,
            Op::Constant(bits) => {
                let known = self.constants.iter().position(|&other| other == bits).unwrap_or_else(|| {
                    self.constants.push(bits);
                    self.constants.len() - 1
                });
                self.task.n_uniforms + known
            }
            other => unreachable!("{other:?} is in no table"),
        };
        near(Register::RSI, 8 * index as i64)
    }

    /// Where a value stands in memory, and whether there it is one number for all points.
    fn memory(&mut self, value: Value, place: Place) -> (MemoryOperand, bool) {
        match place {
            Place::Slot(slot) => (near(Register::RSP, VECTOR_BYTES * slot as i64), false),
            Place::Leaf => match self.code.operation(value) {
                Op::Column { column, ahead } => (self.column(column, ahead), false),
                operation => (self.table(operation), true),
            },
            Place::Register(_) => unreachable!("it is in a register"),
        }
    }

    fn column(&self, column: u32, ahead: u32) -> MemoryOperand {
        let scale: u32 = if self.task.single[column as usize] { 1 } else { 2 };
        let bytes = i64::from(ahead) * 4 * i64::from(scale) * self.task.row as i64;
        let base = COLUMNS[column as usize];
        MemoryOperand::with_base_index_scale_displ_size(
            base,
            Register::RBX,
            scale,
            bytes,
            if bytes == 0 { 0 } else { 8 },
        )
    }

    fn is_single(&self, value: Value) -> bool {
        matches!(self.code.operation(value), Op::Column { column, .. } if self.task.single[column as usize])
    }

    fn vacate(&mut self) -> usize {
        let Vacated { register, store } = self.values.vacate();
        if let Some(slot) = store {
            let place = near(Register::RSP, VECTOR_BYTES * slot as i64);
            self.put(Instruction::with2(Opcode::EVEX_Vmovupd_zmmm512_k1z_zmm, place, zmm(register)));
        }
        register
    }

    pub(super) fn fill(&mut self, register: usize, value: Value, place: Place) {
        let (memory, is_one_number) = self.memory(value, place);
        let opcode = if is_one_number {
            Opcode::EVEX_Vbroadcastsd_zmm_k1z_xmmm64
        } else if self.is_single(value) {
            Opcode::EVEX_Vcvtps2pd_zmm_k1z_ymmm256b32_sae
        } else {
            Opcode::EVEX_Vmovupd_zmm_k1z_zmmm512
        };
        self.put(Instruction::with2(opcode, zmm(register), memory));
    }

    /// The register of an operand, kept until the next instruction.
    fn load(&mut self, value: Value) -> usize {
        let place = self.values.place(value);
        if let Place::Register(register) = place {
            self.values.lock(register);
            return register;
        }
        let register = self.vacate();
        self.fill(register, value, place);
        self.values.put(value, register);
        register
    }

    /// The last operand of an instruction, which may stand in memory.
    fn source(&mut self, value: Value) -> Source {
        let place = self.values.place(value);
        let is_vector = !matches!(self.code.operation(value), Op::Constant(_) | Op::Uniform(_));
        let again = !self.values.is_last_use(value) && is_vector && self.values.has_room();
        if matches!(place, Place::Register(_)) || self.is_single(value) || again {
            return Source::Register(self.load(value));
        }
        let (memory, is_one_number) = self.memory(value, place);
        Source::Memory(memory, is_one_number)
    }

    fn three(&mut self, opcode: Opcode, to: usize, a: usize, b: Source) {
        let instruction = match b {
            Source::Register(b) => Instruction::with3(opcode, zmm(to), zmm(a), zmm(b)),
            Source::Memory(memory, is_one_number) => {
                Instruction::with3(opcode, zmm(to), zmm(a), memory).map(|mut instruction| {
                    instruction.set_is_broadcast(is_one_number);
                    instruction
                })
            }
        };
        self.put(instruction);
    }

    /// A register for a result: that of an operand which is read here for the last time, or another.
    fn result(&mut self, operands: &[Value]) -> usize {
        match operands.iter().find_map(|&value| self.values.may_be_overwritten(value)) {
            Some(register) => register,
            None => self.vacate(),
        }
    }

    fn is_in_register(&self, value: Value) -> bool {
        matches!(self.values.place(value), Place::Register(_))
    }

    fn binary(&mut self, opcode: Opcode, a: Value, b: Value) -> usize {
        let left = self.load(a);
        let right = self.source(b);
        let to = self.result(&[a, b]);
        self.three(opcode, to, left, right);
        to
    }

    fn commutative(&mut self, opcode: Opcode, a: Value, b: Value) -> usize {
        if self.is_in_register(b) && !self.is_in_register(a) {
            self.binary(opcode, b, a)
        } else {
            self.binary(opcode, a, b)
        }
    }

    /// `a*b + c` is written over one of its operands.
    fn mul_add(&mut self, a: Value, b: Value, c: Value) -> usize {
        let (a, b) = if self.is_in_register(a) { (a, b) } else { (b, a) };
        if c != a
            && c != b
            && let Some(to) = self.values.may_be_overwritten(c)
        {
            self.values.lock(to);
            let left = self.load(a);
            let right = self.source(b);
            self.three(Opcode::EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er, to, left, right);
            return to;
        }
        for (over, other) in [(a, b), (b, a)] {
            if over != other
                && over != c
                && let Some(to) = self.values.may_be_overwritten(over)
            {
                self.values.lock(to);
                let factor = self.load(other);
                let addend = self.source(c);
                self.three(Opcode::EVEX_Vfmadd213pd_zmm_k1z_zmm_zmmm512b64_er, to, factor, addend);
                return to;
            }
        }
        let left = self.load(a);
        let right = self.source(b);
        let to = self.vacate();
        match self.values.place(c) {
            Place::Register(from) => {
                self.put(Instruction::with2(Opcode::EVEX_Vmovapd_zmm_k1z_zmmm512, zmm(to), zmm(from)))
            }
            place => self.fill(to, c, place),
        }
        self.three(Opcode::EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er, to, left, right);
        to
    }

    /// The register of truth values, kept until the next instruction.
    fn mask_of(&mut self, value: Value) -> Register {
        match self.masks.place(value) {
            Place::Register(register) => {
                self.masks.lock(register);
                mask(register)
            }
            Place::Slot(slot) => {
                let to = self.take_mask(value);
                self.put(Instruction::with2(Opcode::VEX_Kmovq_kr_km64, to, self.mask_slot(slot)));
                to
            }
            Place::Leaf => unreachable!("no leaf has truth values"),
        }
    }

    fn take_mask(&mut self, value: Value) -> Register {
        let Vacated { register, store } = self.masks.vacate();
        if let Some(slot) = store {
            self.put(Instruction::with2(Opcode::VEX_Kmovq_m64_kr, self.mask_slot(slot), mask(register)));
        }
        self.masks.put(value, register);
        mask(register)
    }

    /// Truth values stand on the stack behind the vectors.
    fn mask_slot(&self, slot: usize) -> MemoryOperand {
        near(Register::RSP, VECTOR_BYTES * self.slots as i64 + 8 * slot as i64)
    }

    fn compare(&mut self, value: Value, a: Value, b: Value, predicate: u32) -> Option<usize> {
        let left = self.load(a);
        let right = self.source(b);
        let to = self.take_mask(value);
        let opcode = Opcode::EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae;
        let instruction = match right {
            Source::Register(b) => Instruction::with4(opcode, to, zmm(left), zmm(b), predicate),
            Source::Memory(memory, is_one_number) => {
                Instruction::with4(opcode, to, zmm(left), memory, predicate).map(|mut instruction| {
                    instruction.set_is_broadcast(is_one_number);
                    instruction
                })
            }
        };
        self.put(instruction);
        None
    }

    fn shift(&mut self, opcode: Opcode, a: Value, count: u32) -> usize {
        let from = self.load(a);
        let to = self.result(&[a]);
        self.put(Instruction::with3(opcode, zmm(to), zmm(from), count));
        to
    }

    fn select(&mut self, condition: Value, yes: Value, no: Value) -> usize {
        let otherwise = self.load(no);
        let then = self.source(yes);
        let to = self.result(&[yes, no]);
        let opcode = Opcode::EVEX_Vblendmpd_zmm_k1z_zmm_zmmm512b64;
        let instruction = match then {
            Source::Register(then) => Instruction::with3(opcode, zmm(to), zmm(otherwise), zmm(then)),
            Source::Memory(memory, is_one_number) => {
                Instruction::with3(opcode, zmm(to), zmm(otherwise), memory).map(|mut instruction| {
                    instruction.set_is_broadcast(is_one_number);
                    instruction
                })
            }
        };
        let condition = self.mask_of(condition);
        self.put(instruction.map(|mut instruction| {
            instruction.set_op_mask(condition);
            instruction
        }));
        to
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Compute(value) => return self.compute(value),
            Step::Except(mask) => {
                let mask = self.mask_of(mask);
                self.put(Instruction::with3(Opcode::VEX_Korb_kr_kr_kr, EXCEPTIONS, EXCEPTIONS, mask));
                self.masks.forget(step.reads(self.code));
            }
            Step::Add { register, a, b } => self.add(register, a, b),
            Step::Store { output, row, value } => {
                let from = self.load(value);
                let bytes = self.task.output_bytes * output as i64 + 8 * self.task.row as i64 * i64::from(row);
                let place = MemoryOperand::with_base_index_scale_displ_size(Register::RCX, Register::RBX, 2, bytes, 8);
                self.put(Instruction::with2(Opcode::EVEX_Vmovupd_zmmm512_k1z_zmm, place, zmm(from)));
            }
        }
        self.values.forget(step.reads(self.code));
    }

    /// Adds a product to its sum. A factor of 1 changes no bit of the other.
    fn add(&mut self, sum: usize, a: Value, b: Value) {
        let (a, b) = if is_one(self.code, a) { (b, a) } else { (a, b) };
        if is_one(self.code, b) {
            let addend = if is_one(self.code, a) {
                Source::Memory(self.table(self.code.operation(a)), true)
            } else {
                self.source(a)
            };
            return self.three(Opcode::EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er, sum, sum, addend);
        }
        let (a, b) = if self.is_in_register(a) { (a, b) } else { (b, a) };
        let left = self.load(a);
        let right = self.source(b);
        self.three(Opcode::EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er, sum, left, right);
    }

    fn compute(&mut self, value: Value) {
        use Op::*;
        let operation = self.code.operation(value);
        let result = match operation {
            Constant(_) | Uniform(_) | Column { .. } => unreachable!("leaves are not computed"),
            Add(a, b) => Some(self.commutative(Opcode::EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er, a, b)),
            Sub(a, b) => Some(self.binary(Opcode::EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er, a, b)),
            Mul(a, b) => Some(self.commutative(Opcode::EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er, a, b)),
            Div(a, b) => Some(self.binary(Opcode::EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er, a, b)),
            Scale(a, k) => Some(self.binary(Opcode::EVEX_Vscalefpd_zmm_k1z_zmm_zmmm512b64_er, a, k)),
            Min(a, b) => Some(self.binary(Opcode::EVEX_Vminpd_zmm_k1z_zmm_zmmm512b64_sae, a, b)),
            Max(a, b) => Some(self.binary(Opcode::EVEX_Vmaxpd_zmm_k1z_zmm_zmmm512b64_sae, a, b)),
            And(a, b) => Some(self.commutative(Opcode::EVEX_Vandpd_zmm_k1z_zmm_zmmm512b64, a, b)),
            Or(a, b) => Some(self.commutative(Opcode::EVEX_Vorpd_zmm_k1z_zmm_zmmm512b64, a, b)),
            Xor(a, b) => Some(self.commutative(Opcode::EVEX_Vxorpd_zmm_k1z_zmm_zmmm512b64, a, b)),
            AddBits(a, b) => Some(self.commutative(Opcode::EVEX_Vpaddq_zmm_k1z_zmm_zmmm512b64, a, b)),
            SubBits(a, b) => Some(self.binary(Opcode::EVEX_Vpsubq_zmm_k1z_zmm_zmmm512b64, a, b)),
            Shl(a, n) => Some(self.shift(Opcode::EVEX_Vpsllq_zmm_k1z_zmmm512b64_imm8, a, n)),
            Shr(a, n) => Some(self.shift(Opcode::EVEX_Vpsrlq_zmm_k1z_zmmm512b64_imm8, a, n)),
            MulAdd(a, b, c) => Some(self.mul_add(a, b, c)),
            Select(condition, yes, no) => Some(self.select(condition, yes, no)),
            Sqrt(a) => {
                let from = self.load(a);
                let to = self.result(&[a]);
                self.put(Instruction::with2(Opcode::EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er, zmm(to), zmm(from)));
                Some(to)
            }
            // ordered, quiet: false where one is NaN
            Less(a, b) => self.compare(value, a, b, 0x11),
            AtMost(a, b) => self.compare(value, a, b, 0x12),
            Equals(a, b) => self.compare(value, a, b, 0x00),
            Both(a, b) => self.combined(Opcode::VEX_Kandb_kr_kr_kr, value, a, b),
            Either(a, b) => self.combined(Opcode::VEX_Korb_kr_kr_kr, value, a, b),
            Not(a) => {
                let from = self.mask_of(a);
                let to = self.take_mask(value);
                self.put(Instruction::with2(Opcode::VEX_Knotb_kr_kr, to, from));
                None
            }
        };
        let operands: Vec<Value> = operation.operands().collect();
        self.masks.forget(operands.iter().copied());
        self.values.forget(operands);
        if let Some(register) = result {
            self.values.put(value, register);
        }
    }

    fn combined(&mut self, opcode: Opcode, value: Value, a: Value, b: Value) -> Option<usize> {
        let a = self.mask_of(a);
        let b = self.mask_of(b);
        let to = self.take_mask(value);
        self.put(Instruction::with3(opcode, to, a, b));
        None
    }
}
