//! Why an expression was refused: what, where, and what was expected.

use super::Span;

/// Why an expression was refused. `span` is the byte range to underline, see [`ParseError::span`] and [`ParseError::help`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ParseError {
    #[error("the expression is empty")]
    Empty { span: Span },
    #[error("unexpected character {character:?}")]
    UnexpectedCharacter { character: char, span: Span },
    #[error("\"{text}\" is not a number")]
    BadNumber { text: String, span: Span },
    #[error("the number {text} is too large for a 64-bit float")]
    HugeNumber { text: String, span: Span },
    #[error("an operator is missing between {number} and \"{name}\"")]
    NumberTouchesName { number: String, name: String, span: Span },
    #[error("expected a value, found {found}")]
    ExpectedValue { found: String, span: Span },
    #[error("expected an operator, found {found}")]
    MissingOperator { found: String, span: Span },
    #[error("this \"(\" is never closed")]
    Unclosed { span: Span },
    #[error("this \")\" closes nothing")]
    Unopened { span: Span },
    #[error("there is nothing between these parentheses")]
    EmptyParentheses { span: Span },
    #[error("a comma separates the arguments of a function only")]
    StrayComma { span: Span },
    #[error("\"not\" needs parentheses here")]
    BareNot { span: Span },
    #[error("comparisons cannot be chained")]
    ChainedComparison { span: Span },
    #[error("\"=\" names a value at the start of a statement only")]
    StrayEquals { span: Span },
    #[error("the expression ends with the definition of \"{name}\" and has no value")]
    NoValue { name: String, span: Span },
    #[error("this value is not used: only the last statement is the model's value")]
    NamelessStatement { span: Span },
    #[error("the expression is nested deeper than {limit} levels")]
    TooDeep { limit: usize, span: Span },
    #[error("\"{name}\" cannot be redefined: it is a {what}")]
    Shadows { name: String, what: &'static str, span: Span },
    #[error("\"{name}\" is defined twice")]
    DefinedTwice { name: String, span: Span },
    #[error("\"{name}\" is defined by itself")]
    Recursive { name: String, span: Span },
    #[error("\"{name}\" is used before it is defined")]
    UsedEarly { name: String, span: Span },
    #[error("\"{name}\" is a function and needs {arity} argument{} in parentheses", if *arity == 1 { "" } else { "s" })]
    FunctionAsValue { name: String, arity: usize, span: Span },
    #[error("there is no function \"{name}\"")]
    UnknownFunction { name: String, nearest: Option<String>, span: Span },
    #[error("\"{name}\" is a {what}, not a function")]
    NotAFunction { name: String, what: &'static str, span: Span },
    #[error("function \"{name}\" takes {expected} argument{}, found {found}", if *expected == 1 { "" } else { "s" })]
    WrongArity { name: String, expected: usize, found: usize, span: Span },
}

impl ParseError {
    /// The byte range of the expression to underline.
    pub fn span(&self) -> Span {
        match self {
            Self::Empty { span }
            | Self::UnexpectedCharacter { span, .. }
            | Self::BadNumber { span, .. }
            | Self::HugeNumber { span, .. }
            | Self::NumberTouchesName { span, .. }
            | Self::ExpectedValue { span, .. }
            | Self::MissingOperator { span, .. }
            | Self::Unclosed { span }
            | Self::Unopened { span }
            | Self::EmptyParentheses { span }
            | Self::StrayComma { span }
            | Self::BareNot { span }
            | Self::ChainedComparison { span }
            | Self::StrayEquals { span }
            | Self::NoValue { span, .. }
            | Self::NamelessStatement { span }
            | Self::TooDeep { span, .. }
            | Self::Shadows { span, .. }
            | Self::DefinedTwice { span, .. }
            | Self::Recursive { span, .. }
            | Self::UsedEarly { span, .. }
            | Self::FunctionAsValue { span, .. }
            | Self::UnknownFunction { span, .. }
            | Self::NotAFunction { span, .. }
            | Self::WrongArity { span, .. } => *span,
        }
    }

    /// What to do about it, where something can be said.
    pub fn help(&self) -> Option<String> {
        let text = match self {
            Self::Empty { .. } => "write a model such as a*exp(-b*x) + c".to_owned(),
            Self::UnexpectedCharacter { character, .. } => return help_with_character(*character).map(str::to_owned),
            Self::BadNumber { .. } => "numbers look like 1, 1.5, .5 or 1e-3".to_owned(),
            Self::NumberTouchesName { number, name, .. } => format!("write {number}*{name}"),
            Self::ExpectedValue { .. } => "a value is a number, a name, a function call or a \"(\"".to_owned(),
            Self::MissingOperator { .. } => "products need a *: write a*x, not a x".to_owned(),
            Self::BareNot { .. } => "write (not a)".to_owned(),
            Self::ChainedComparison { .. } => "write a < b and b < c instead of a < b < c".to_owned(),
            Self::StrayEquals { .. } => "to compare two values write ==".to_owned(),
            Self::NoValue { name, .. } => {
                format!("leave out \"{name} =\", or add the model's value after it: {name} = ...; a*{name}")
            }
            Self::NamelessStatement { .. } => "give it a name, u = ..., or take it out".to_owned(),
            Self::TooDeep { .. } => "name inner parts: u = ...; v = ...u...; ...v...".to_owned(),
            Self::Shadows { .. } | Self::DefinedTwice { .. } => "choose another name".to_owned(),
            Self::Recursive { .. } => "a definition uses variables, parameters and earlier definitions".to_owned(),
            Self::UsedEarly { name, .. } => format!("move the definition of \"{name}\" to before its first use"),
            Self::FunctionAsValue { name, arity, .. } => format!("write {}", call_pattern(name, *arity)),
            Self::UnknownFunction { nearest: Some(nearest), .. } => format!("did you mean \"{nearest}\"?"),
            Self::UnknownFunction { .. } => format!("functions: {}", super::functions::names().join(" ")),
            Self::NotAFunction { name, .. } => format!("for a product write {name}*(...)"),
            Self::WrongArity { name, expected, .. } => format!("write {}", call_pattern(name, *expected)),
            Self::Unclosed { .. }
            | Self::Unopened { .. }
            | Self::EmptyParentheses { .. }
            | Self::StrayComma { .. }
            | Self::HugeNumber { .. } => return None,
        };
        Some(text)
    }
}

/// How a call of a function of this many arguments looks.
fn call_pattern(name: &str, arity: usize) -> String {
    let arguments = match arity {
        1 => "x",
        2 => "a, b",
        _ => "condition, a, b",
    };
    format!("{name}({arguments})")
}

/// What people of other languages meant by a character that has no meaning here.
fn help_with_character(character: char) -> Option<&'static str> {
    Some(match character {
        '&' => "write a and b",
        '|' => "write a or b, or abs(x)",
        '!' => "write not a, or a != b",
        '[' | ']' | '{' | '}' => "group with ( and )",
        '.' => "functions have no prefix: write exp(x), not np.exp(x)",
        '\u{2212}' | '\u{2013}' => "write the minus sign as -",
        '\u{d7}' | '\u{b7}' | '\u{22c5}' => "write the product as *",
        '\u{f7}' => "write the quotient as /",
        '\u{b2}' => "write the square as ^2",
        '\u{b3}' => "write the cube as ^3",
        '\u{2264}' => "write <=",
        '\u{2265}' => "write >=",
        '\u{2260}' => "write !=",
        '\u{221a}' => "write sqrt(x)",
        '?' | ':' => "write where(condition, a, b)",
        '#' => "expressions have no comments",
        _ => return None,
    })
}
