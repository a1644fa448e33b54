//! A syntax tree as text, with no more parentheses than needed: reading it back gives the same tree.

use std::fmt;

use super::ast::{Ast, ExprId, ExprKind, Level};

/// Numbers from here to [`LARGE`] are written without an exponent.
const SMALL: f64 = 1e-5;
/// See [`SMALL`].
const LARGE: f64 = 1e16;

impl fmt::Display for Ast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts = Texts::of(self);
        for binding in self.bindings() {
            write!(f, "{} = {}; ", binding.name, texts.take(binding.value, Level::Or))?;
        }
        f.write_str(&texts.take(self.value(), Level::Or))
    }
}

/// The text and the level of every node, until its user takes it.
struct Texts(Vec<(String, Level)>);

impl Texts {
    fn of(ast: &Ast) -> Self {
        let mut texts = Texts(Vec::with_capacity(ast.exprs().len()));
        for expr in ast.exprs() {
            let text = texts.write(&expr.kind);
            texts.0.push(text);
        }
        texts
    }

    fn write(&mut self, kind: &ExprKind) -> (String, Level) {
        match kind {
            ExprKind::Number(value) => (number(*value), Level::Atom),
            ExprKind::Name(name) => (name.clone(), Level::Atom),
            ExprKind::Negate(a) => (format!("-{}", self.take(*a, Level::Negate)), Level::Negate),
            ExprKind::Not(a) => (format!("not {}", self.take(*a, Level::Not)), Level::Not),
            ExprKind::Infix(op, a, b) => {
                let level = Level::of_infix(*op);
                let (left, right) = Level::of_operands(*op);
                // The left text grows in place, so that a long sum is written in linear time.
                let mut text = self.take(*a, left);
                match level {
                    Level::Product | Level::Power => text.push_str(op.name()),
                    _ => {
                        text.push(' ');
                        text.push_str(op.name());
                        text.push(' ');
                    }
                }
                text.push_str(&self.take(*b, right));
                (text, level)
            }
            ExprKind::Call(name, arguments) => {
                let arguments: Vec<String> = arguments.iter().map(|&a| self.take(a, Level::Or)).collect();
                (format!("{name}({})", arguments.join(", ")), Level::Atom)
            }
        }
    }

    /// The text of a node for a user that asks for a level, in parentheses if it holds less tightly.
    fn take(&mut self, id: ExprId, least: Level) -> String {
        let (text, level) = &mut self.0[id.index()];
        let text = std::mem::take(text);
        if *level < least { format!("({text})") } else { text }
    }
}

/// The shortest text that reads back as the same number.
fn number(value: f64) -> String {
    if value == 0.0 || (SMALL..LARGE).contains(&value) { format!("{value}") } else { format!("{value:e}") }
}
