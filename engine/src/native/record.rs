//! A recording of arithmetic: what is computed with [`Recorded`] becomes [`Code`].

use std::cell::RefCell;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use super::code::{Code, Operation as Op, Value};
use crate::math::Slow;
use crate::math::arithmetic::{Arithmetic, Bits};

/// 1.5 2^52
const ROUND: f64 = 6_755_399_441_055_744.0;
const SIGN: u64 = 1 << 63;

thread_local! {
    static CODE: RefCell<Code> = RefCell::default();
}

/// Runs a function and gives what it has recorded.
pub(super) fn record<R>(what: impl FnOnce() -> R) -> (Code, R) {
    let before = CODE.replace(Code::default());
    let result = what();
    (CODE.replace(before), result)
}

/// A number, a truth value or 64 bits that an operation yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recorded(pub(super) Value);

/// Records an operation.
pub(super) fn put(operation: Op) -> Recorded {
    Recorded(CODE.with_borrow_mut(|code| code.put(operation)))
}

macro_rules! operators {
    ($($operator:ident $method:ident $operation:ident)+) => {
        $(
            impl $operator for Recorded {
                type Output = Self;

                fn $method(self, other: Self) -> Self {
                    put(Op::$operation(self.0, other.0))
                }
            }
        )+
    };
}

operators! { Add add Add  Sub sub Sub  Mul mul Mul  Div div Div  BitXor bitxor Xor }

impl BitAnd for Recorded {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        let masks = CODE.with_borrow(|code| code.operation(self.0).is_mask());
        put(if masks { Op::Both(self.0, other.0) } else { Op::And(self.0, other.0) })
    }
}

impl BitOr for Recorded {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        let masks = CODE.with_borrow(|code| code.operation(self.0).is_mask());
        put(if masks { Op::Either(self.0, other.0) } else { Op::Or(self.0, other.0) })
    }
}

impl Not for Recorded {
    type Output = Self;

    fn not(self) -> Self {
        put(Op::Not(self.0))
    }
}

impl Neg for Recorded {
    type Output = Self;

    fn neg(self) -> Self {
        self ^ put(Op::Constant(SIGN))
    }
}

impl Arithmetic for Recorded {
    type Mask = Self;
    type Bits = Self;

    fn constant(value: f64) -> Self {
        put(Op::Constant(value.to_bits()))
    }

    fn mul_add(self, b: Self, c: Self) -> Self {
        put(Op::MulAdd(self.0, b.0, c.0))
    }

    fn sqrt(self) -> Self {
        put(Op::Sqrt(self.0))
    }

    fn abs(self) -> Self {
        self & put(Op::Constant(!SIGN))
    }

    /// One instruction.
    fn scaled(self, rounded: Self) -> Self {
        let k = rounded - <Self as Arithmetic>::constant(ROUND);
        put(Op::Scale(self.0, k.0))
    }

    fn less(self, other: Self) -> Self {
        put(Op::Less(self.0, other.0))
    }

    fn at_most(self, other: Self) -> Self {
        put(Op::AtMost(self.0, other.0))
    }

    fn equals(self, other: Self) -> Self {
        put(Op::Equals(self.0, other.0))
    }

    fn select(mask: Self, yes: Self, no: Self) -> Self {
        put(Op::Select(mask.0, yes.0, no.0))
    }

    fn to_bits(self) -> Self {
        self
    }

    fn from_bits(bits: Self) -> Self {
        bits
    }

    /// The block is done again by the block tape if the mask is set anywhere.
    fn rarely(mask: Self, value: Self, _slow: Slow, _x: Self, _y: Self) -> Self {
        CODE.with_borrow_mut(|code| code.except(mask.0));
        value
    }
}

impl Bits for Recorded {
    fn constant(value: u64) -> Self {
        put(Op::Constant(value))
    }

    fn plus(self, other: Self) -> Self {
        put(Op::AddBits(self.0, other.0))
    }

    fn minus(self, other: Self) -> Self {
        put(Op::SubBits(self.0, other.0))
    }

    fn shl(self, count: u32) -> Self {
        put(Op::Shl(self.0, count))
    }

    fn shr(self, count: u32) -> Self {
        put(Op::Shr(self.0, count))
    }
}
