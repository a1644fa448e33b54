//! Straight-line code over vectors of points: every operation is one IEEE 754 operation on each number of a vector, or one on its bits.
//!
//! [`Code`] is a list in which every operation stands after those it reads, each at most once: building the same operation twice gives
//! the same [`Value`].

use std::collections::HashMap;

/// The result of an operation: its place in [`Code::operations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Value(u32);

impl Value {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operation. Comparisons give truth values, which only [`Operation::Select`] and the operations on truth values read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// A number, by its bits, for all points.
    Constant(u64),
    /// What depends on theta alone, by its index.
    Uniform(u32),
    /// The number of this column at each point, `ahead` rows further on.
    Column {
        column: u32,
        ahead: u32,
    },
    Add(Value, Value),
    Sub(Value, Value),
    Mul(Value, Value),
    Div(Value, Value),
    /// `a*b + c`, rounded once.
    MulAdd(Value, Value, Value),
    Sqrt(Value),
    /// `a * 2^k` for a whole number k, rounded once.
    Scale(Value, Value),
    /// `a < b ? a : b`
    Min(Value, Value),
    /// `a > b ? a : b`
    Max(Value, Value),
    /// On bits, like the next ones: numbers and their bits stand in the same registers.
    And(Value, Value),
    Or(Value, Value),
    Xor(Value, Value),
    /// Integers of 64 bits that wrap around.
    AddBits(Value, Value),
    SubBits(Value, Value),
    /// Bits moved up or down, zeros coming in.
    Shl(Value, u32),
    Shr(Value, u32),
    /// False where one is NaN, like the next two.
    Less(Value, Value),
    AtMost(Value, Value),
    Equals(Value, Value),
    Both(Value, Value),
    Either(Value, Value),
    Not(Value),
    /// The second where the first is true, else the third.
    Select(Value, Value, Value),
}

use Operation::*;

impl Operation {
    /// What it reads.
    pub(super) fn operands(self) -> impl Iterator<Item = Value> {
        let operands = match self {
            Constant(_) | Uniform(_) | Column { .. } => [None, None, None],
            Sqrt(a) | Shl(a, _) | Shr(a, _) | Not(a) => [Some(a), None, None],
            Add(a, b)
            | Sub(a, b)
            | Mul(a, b)
            | Div(a, b)
            | Scale(a, b)
            | Min(a, b)
            | Max(a, b)
            | And(a, b)
            | Or(a, b)
            | Xor(a, b)
            | AddBits(a, b)
            | SubBits(a, b)
            | Less(a, b)
            | AtMost(a, b)
            | Equals(a, b)
            | Both(a, b)
            | Either(a, b) => [Some(a), Some(b), None],
            MulAdd(a, b, c) | Select(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        operands.into_iter().flatten()
    }

    /// The same on other operands.
    fn map(self, of: impl Fn(Value) -> Value) -> Self {
        match self {
            Constant(_) | Uniform(_) | Column { .. } => self,
            Add(a, b) => Add(of(a), of(b)),
            Sub(a, b) => Sub(of(a), of(b)),
            Mul(a, b) => Mul(of(a), of(b)),
            Div(a, b) => Div(of(a), of(b)),
            MulAdd(a, b, c) => MulAdd(of(a), of(b), of(c)),
            Sqrt(a) => Sqrt(of(a)),
            Scale(a, k) => Scale(of(a), of(k)),
            Min(a, b) => Min(of(a), of(b)),
            Max(a, b) => Max(of(a), of(b)),
            And(a, b) => And(of(a), of(b)),
            Or(a, b) => Or(of(a), of(b)),
            Xor(a, b) => Xor(of(a), of(b)),
            AddBits(a, b) => AddBits(of(a), of(b)),
            SubBits(a, b) => SubBits(of(a), of(b)),
            Shl(a, n) => Shl(of(a), n),
            Shr(a, n) => Shr(of(a), n),
            Less(a, b) => Less(of(a), of(b)),
            AtMost(a, b) => AtMost(of(a), of(b)),
            Equals(a, b) => Equals(of(a), of(b)),
            Both(a, b) => Both(of(a), of(b)),
            Either(a, b) => Either(of(a), of(b)),

            Not(a) => Not(of(a)),
            Select(m, a, b) => Select(of(m), of(a), of(b)),
        }
    }

    /// Whether it gives truth values.
    pub(super) fn is_mask(self) -> bool {
        matches!(self, Less(..) | AtMost(..) | Equals(..) | Both(..) | Either(..) | Not(_))
    }

    /// Whether it stands in memory already: it need never be kept in a register.
    pub(super) fn is_leaf(self) -> bool {
        matches!(self, Constant(_) | Uniform(_) | Column { .. })
    }
}

/// Straight-line code.
#[derive(Clone, Debug, Default)]
pub(super) struct Code {
    operations: Vec<Operation>,
    known: HashMap<Operation, Value>,
    /// Truth values: where one of them is true, the code does not serve the point.
    exceptions: Vec<Value>,
}

impl Code {
    /// The operation behind a value.
    pub(super) fn operation(&self, value: Value) -> Operation {
        self.operations[value.index()]
    }

    /// Number of operations.
    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// Adds an operation, or finds it.
    pub(super) fn put(&mut self, operation: Operation) -> Value {
        let operation = self.plainer(operation);
        *self.known.entry(operation).or_insert_with(|| {
            self.operations.push(operation);
            Value(self.operations.len() as u32 - 1)
        })
    }

    /// The code does not serve points for which this is true.
    pub(super) fn except(&mut self, mask: Value) {
        if !self.exceptions.contains(&mask) {
            self.exceptions.push(mask);
        }
    }

    /// Truth values that say where the code does not serve.
    pub(super) fn exceptions(&self) -> &[Value] {
        &self.exceptions
    }

    /// A number for all points.
    pub(super) fn number(&mut self, value: f64) -> Value {
        self.put(Constant(value.to_bits()))
    }

    /// A selection that is a minimum or a maximum is one instruction.
    fn plainer(&self, operation: Operation) -> Operation {
        match operation {
            Select(mask, yes, no) => match self.operation(mask) {
                Less(a, b) if (a, b) == (yes, no) => Min(a, b),
                Less(a, b) if (b, a) == (yes, no) => Max(b, a),
                _ => operation,
            },
            other => other,
        }
    }

    /// The operations that these values need, each after what it reads.
    pub(super) fn needed(&self, values: impl IntoIterator<Item = Value>) -> Vec<Value> {
        let mut needed = vec![false; self.operations.len()];
        let mut stack: Vec<Value> = values.into_iter().collect();
        while let Some(value) = stack.pop() {
            if !std::mem::replace(&mut needed[value.index()], true) {
                stack.extend(self.operation(value).operands());
            }
        }
        (0..self.operations.len() as u32).map(Value).filter(|value| needed[value.index()]).collect()
    }

    /// The same code for several rows at once, operation by operation in turn, so that chains of one row fill the gaps of another's;
    /// and where each value went in each of them.
    pub(super) fn in_rows(&self, rows: u32) -> (Code, Vec<Vec<Value>>) {
        let mut all = Code::default();
        let mut copies = vec![Vec::with_capacity(self.operations.len()); rows as usize];
        for &operation in &self.operations {
            for (row, copy) in (0..).zip(&mut copies) {
                let operation = match operation {
                    Column { column, .. } => Column { column, ahead: row },
                    other => other.map(|value| copy[value.index()]),
                };
                copy.push(all.put(operation));
            }
        }
        for copy in &copies {
            self.exceptions.iter().for_each(|mask| all.except(copy[mask.index()]));
        }
        (all, copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_computed_once_and_what_nobody_needs_not_at_all() {
        let mut code = Code::default();
        let x = code.put(Column { column: 0, ahead: 0 });
        let two = code.number(2.0);
        let product = code.put(Mul(x, two));
        assert_eq!(code.put(Mul(x, two)), product);
        let unused = code.put(Sub(x, two));
        assert_eq!(code.needed([product]), [x, two, product]);
        assert_eq!(code.needed([product, unused]).len(), code.len());
    }

    #[test]
    fn a_selection_of_the_smaller_or_larger_is_a_minimum_or_a_maximum() {
        let mut code = Code::default();
        let [a, b] = [0, 1].map(|column| code.put(Column { column, ahead: 0 }));
        let less = code.put(Less(a, b));
        let [smaller, larger] = [code.put(Select(less, a, b)), code.put(Select(less, b, a))];
        assert_eq!((code.operation(smaller), code.operation(larger)), (Min(a, b), Max(b, a)));
    }

    #[test]
    fn rows_share_what_does_not_depend_on_the_point() {
        let mut code = Code::default();
        let (x, a) = (code.put(Column { column: 0, ahead: 0 }), code.put(Uniform(3)));
        let product = code.put(Mul(a, x));
        let (all, copies) = code.in_rows(2);
        assert_eq!(copies[0][a.index()], copies[1][a.index()]);
        let [first, second] = [0, 1].map(|row: usize| all.operation(copies[row][product.index()]));
        assert_ne!(first, second);
        assert_eq!(all.len(), 5);
    }
}
