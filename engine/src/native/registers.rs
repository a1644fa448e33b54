//! Which value stands in which register, and when it is needed next.
//!
//! Values are given registers in the order of the code. When none is free, the one gives way whose value is needed last (Belady, "A study
//! of replacement algorithms for a virtual-storage computer", IBM Systems Journal 5, 1966), leaves first, since they are in
//! memory already. Values that were stored stay stored, so that they are stored at most once.

use super::code::{Code, Value};

/// Where a value is when an instruction wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this register.
    Register(usize),
    /// In this slot of the stack.
    Slot(usize),
    /// In memory from the begin: it is a leaf.
    Leaf,
}

/// What happens to a register before it can take another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vacated {
    pub(super) register: usize,
    /// Its value must be stored here first.
    pub(super) store: Option<usize>,
}

/// Registers `first..count` of one file.
#[derive(Debug)]
pub(super) struct Registers<'a> {
    code: &'a Code,
    /// For each value where in the plan it is read, ascending.
    uses: Vec<Vec<usize>>,
    /// The instruction that is being written.
    now: usize,
    holds: Vec<Option<Value>>,
    at: Vec<Option<usize>>,
    slots: Vec<Option<usize>>,
    free_slots: Vec<usize>,
    n_slots: usize,
    /// Registers of the operands of this instruction.
    locked: Vec<bool>,
    /// Registers below hold what is never given up.
    first: usize,
}

impl<'a> Registers<'a> {
    pub(super) fn new(code: &'a Code, uses: Vec<Vec<usize>>, first: usize, count: usize) -> Self {
        Self {
            code,
            uses,
            now: 0,
            holds: vec![None; count],
            at: vec![None; code.len()],
            slots: vec![None; code.len()],
            free_slots: Vec::new(),
            n_slots: 0,
            locked: vec![false; count],
            first,
        }
    }

    /// Goes on to the next instruction.
    pub(super) fn go_to(&mut self, position: usize) {
        self.now = position;
        self.locked.fill(false);
    }

    /// Slots that were ever in use.
    pub(super) fn n_slots(&self) -> usize {
        self.n_slots
    }

    pub(super) fn place(&self, value: Value) -> Place {
        if let Some(register) = self.at[value.index()] {
            return Place::Register(register);
        }
        if self.code.operation(value).is_leaf() {
            return Place::Leaf;
        }
        Place::Slot(self.slots[value.index()].expect("a value that is needed is somewhere"))
    }

    /// How often a value is read.
    pub(super) fn readers(&self, value: Value) -> usize {
        self.uses[value.index()].len()
    }

    fn next_use(&self, value: Value, from: usize) -> Option<usize> {
        let uses = &self.uses[value.index()];
        uses.get(uses.partition_point(|&position| position < from)).copied()
    }

    /// Whether this instruction is the last that reads a value.
    pub(super) fn is_last_use(&self, value: Value) -> bool {
        let pinned = self.at[value.index()].is_some_and(|register| register < self.first);
        !pinned && self.next_use(value, self.now + 1).is_none()
    }

    /// Keeps a register as it is until the next instruction.
    pub(super) fn lock(&mut self, register: usize) {
        self.locked[register] = true;
    }

    /// Whether a register may take a result in the place of a value that is read here for the last time.
    pub(super) fn may_be_overwritten(&self, value: Value) -> Option<usize> {
        self.at[value.index()].filter(|_| self.is_last_use(value))
    }

    fn free(&self) -> Option<usize> {
        (self.first..self.holds.len()).find(|&register| self.holds[register].is_none() && !self.locked[register])
    }

    /// Whether nothing has to give way for another value.
    pub(super) fn has_room(&self) -> bool {
        self.free().is_some()
    }

    /// A register for another value, locked.
    pub(super) fn vacate(&mut self) -> Vacated {
        if let Some(register) = self.free() {
            self.locked[register] = true;
            return Vacated { register, store: None };
        }
        let farthest = |register: &usize| {
            let value = self.holds[*register].expect("no register is free");
            let next = self.next_use(value, self.now).unwrap_or(usize::MAX);
            (next, self.code.operation(value).is_leaf())
        };
        let candidates = (self.first..self.holds.len()).filter(|&register| !self.locked[register]);
        let register = candidates.max_by_key(farthest).expect("an instruction has few operands");
        self.locked[register] = true;
        let value = self.holds[register].take().expect("no register is free");
        self.at[value.index()] = None;
        let is_done = self.next_use(value, self.now).is_none();
        if self.code.operation(value).is_leaf() || is_done || self.slots[value.index()].is_some() {
            return Vacated { register, store: None };
        }
        let slot = self.free_slots.pop().unwrap_or(self.n_slots);
        self.n_slots = self.n_slots.max(slot + 1);
        self.slots[value.index()] = Some(slot);
        Vacated { register, store: Some(slot) }
    }

    /// A register holds this value from now on.
    pub(super) fn put(&mut self, value: Value, register: usize) {
        if let Some(before) = self.holds[register].replace(value) {
            self.at[before.index()] = None;
        }
        self.at[value.index()] = Some(register);
    }

    /// The first register holds a value that is never given up.
    pub(super) fn pin(&mut self, value: Value) -> usize {
        let register = self.first;
        self.first += 1;
        self.put(value, register);
        register
    }

    /// The instruction has read its operands: those that nobody reads later are forgotten.
    pub(super) fn forget(&mut self, operands: impl IntoIterator<Item = Value>) {
        for value in operands {
            if !self.is_last_use(value) {
                continue;
            }
            if let Some(register) = self.at[value.index()].take() {
                self.holds[register] = None;
            }
            self.free_slots.extend(self.slots[value.index()].take());
        }
    }
}
