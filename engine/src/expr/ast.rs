//! The syntax tree of an expression, before names have a meaning.

use super::Span;
use super::ops::Binary;

/// Index of an expression in its [`Ast`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExprId(usize);

impl ExprId {
    /// Position in [`Ast::exprs`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// One node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A literal; never negative.
    Number(f64),
    /// A name.
    Name(String),
    /// `-a`.
    Negate(ExprId),
    /// `not a`.
    Not(ExprId),
    /// An operator between two values.
    Infix(Binary, ExprId, ExprId),
    /// `name(arguments)`.
    Call(String, Vec<ExprId>),
}

/// One node with its place in the text. Two are equal if they say the same, wherever they stand.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// `name = value;`
#[derive(Clone, Debug)]
pub struct Binding {
    /// The name it gives.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// The value.
    pub value: ExprId,
}

impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.value == other.value
    }
}

/// A whole expression: bindings, then the value.
///
/// Nodes lie in the order in which the text completes them, arguments before users, bindings before the value: so whoever
/// walks the tree walks a list, without recursion, and equal lists mean equal trees.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast {
    exprs: Vec<Expr>,
    bindings: Vec<Binding>,
    value: ExprId,
}

impl Ast {
    pub(super) fn new(exprs: Vec<Expr>, bindings: Vec<Binding>, value: ExprId) -> Self {
        Self { exprs, bindings, value }
    }

    pub(super) fn push(exprs: &mut Vec<Expr>, kind: ExprKind, span: Span) -> ExprId {
        exprs.push(Expr { kind, span });
        ExprId(exprs.len() - 1)
    }

    /// All nodes, arguments before users.
    pub fn exprs(&self) -> &[Expr] {
        &self.exprs
    }

    /// The bindings, in their order.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// The model's value.
    pub fn value(&self) -> ExprId {
        self.value
    }
}

/// How tightly an operator holds its operands; a larger number holds tighter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    Not,
    Compare,
    Sum,
    Product,
    Negate,
    Power,
    /// Numbers, names, calls, parentheses.
    Atom,
}

impl Level {
    /// The next tighter one.
    pub(super) fn tighter(self) -> Level {
        match self {
            Level::Or => Level::And,
            Level::And => Level::Not,
            Level::Not => Level::Compare,
            Level::Compare => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product => Level::Negate,
            Level::Negate => Level::Power,
            Level::Power | Level::Atom => Level::Atom,
        }
    }

    /// The level of an operator between two values.
    pub(super) fn of_infix(op: Binary) -> Level {
        match op {
            Binary::Or => Level::Or,
            Binary::And => Level::And,
            Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => Level::Compare,
            Binary::Add | Binary::Sub => Level::Sum,
            Binary::Mul | Binary::Div => Level::Product,
            Binary::Pow => Level::Power,
            Binary::Min | Binary::Max | Binary::Hypot | Binary::Atan2 | Binary::MulZero => Level::Atom,
        }
    }

    /// The level that an operator asks of its left and right operand. Powers group to the right and take a signed
    /// exponent (`2^-1`), comparisons do not group at all, the others group to the left.
    pub(super) fn of_operands(op: Binary) -> (Level, Level) {
        let level = Level::of_infix(op);
        match level {
            Level::Power => (Level::Atom, Level::Negate),
            Level::Compare => (Level::Sum, Level::Sum),
            _ => (level, level.tighter()),
        }
    }
}
