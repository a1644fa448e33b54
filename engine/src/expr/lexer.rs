//! Text to tokens.

use super::ops::Binary;
use super::{ParseError, Span};

/// A word of the language.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TokenKind<'a> {
    Number(f64),
    Name(&'a str),
    /// An operator between two values; `Sub` is also the minus sign.
    Infix(Binary),
    Not,
    Open,
    Close,
    Comma,
    Semicolon,
    Equals,
    End,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) span: Span,
}

/// Operators and punctuation, longer ones first.
const SYMBOLS: [(&str, TokenKind<'static>); 17] = [
    ("**", TokenKind::Infix(Binary::Pow)),
    ("<=", TokenKind::Infix(Binary::Le)),
    (">=", TokenKind::Infix(Binary::Ge)),
    ("==", TokenKind::Infix(Binary::Eq)),
    ("!=", TokenKind::Infix(Binary::Ne)),
    ("+", TokenKind::Infix(Binary::Add)),
    ("-", TokenKind::Infix(Binary::Sub)),
    ("*", TokenKind::Infix(Binary::Mul)),
    ("/", TokenKind::Infix(Binary::Div)),
    ("^", TokenKind::Infix(Binary::Pow)),
    ("<", TokenKind::Infix(Binary::Lt)),
    (">", TokenKind::Infix(Binary::Gt)),
    ("(", TokenKind::Open),
    (")", TokenKind::Close),
    (",", TokenKind::Comma),
    (";", TokenKind::Semicolon),
    ("=", TokenKind::Equals),
];

/// Whether a text can stand as a name in an expression: letters, digits and underscores, not starting with a digit, and
/// not one of the words `and`, `or`, `not`.
pub fn is_name(text: &str) -> bool {
    name_length(text) == text.len() && !text.is_empty() && keyword(text).is_none()
}

/// The tokens of a text, the last one [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = if starts_number(rest) {
            number(rest, at)?
        } else if name_length(rest) > 0 {
            let word = &rest[..name_length(rest)];
            (keyword(word).unwrap_or(TokenKind::Name(word)), word.len())
        } else {
            symbol(rest).ok_or(ParseError::UnexpectedCharacter {
                character: first,
                span: Span::new(at, at + first.len_utf8()),
            })?
        };
        tokens.push(Token { kind, span: Span::new(at, at + length) });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, span: Span::new(text.len(), text.len()) });
    Ok(tokens)
}

fn symbol(rest: &str) -> Option<(TokenKind<'static>, usize)> {
    SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)).map(|(symbol, kind)| (*kind, symbol.len()))
}

fn keyword(word: &str) -> Option<TokenKind<'static>> {
    match word {
        "and" => Some(TokenKind::Infix(Binary::And)),
        "or" => Some(TokenKind::Infix(Binary::Or)),
        "not" => Some(TokenKind::Not),
        _ => None,
    }
}

/// Bytes of the name that starts here, 0 if none does. Subscript digits may follow: `x₀` is a name, `x²` is not.
fn name_length(rest: &str) -> usize {
    let mut length = 0;
    for c in rest.chars() {
        let letter = c.is_alphabetic() || c == '_';
        let digit = c.is_ascii_digit() || ('\u{2080}'..='\u{2089}').contains(&c);
        if !(letter || digit && length > 0) {
            break;
        }
        length += c.len_utf8();
    }
    length
}

fn starts_number(rest: &str) -> bool {
    let bytes = rest.as_bytes();
    bytes[0].is_ascii_digit() || bytes[0] == b'.' && bytes.get(1).is_some_and(u8::is_ascii_digit)
}

/// Reads `1`, `1.5`, `.5`, `1.`, `1e-3`.
fn number(rest: &str, at: usize) -> Result<(TokenKind<'static>, usize), ParseError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| from + bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        } else if sign > 0 {
            return Err(bad_number(rest, at, end + 2));
        }
    }
    if bytes.get(end) == Some(&b'.') {
        return Err(bad_number(rest, at, digits(end + 1)));
    }
    let text = &rest[..end];
    let name = &rest[end..end + name_length(&rest[end..])];
    if !name.is_empty() {
        return Err(touching(text, name, at));
    }
    let value: f64 = text.parse().map_err(|_| bad_number(rest, at, end))?;
    if value.is_infinite() {
        return Err(ParseError::HugeNumber { text: text.to_owned(), span: Span::new(at, at + end) });
    }
    Ok((TokenKind::Number(value), end))
}

fn bad_number(rest: &str, at: usize, end: usize) -> ParseError {
    ParseError::BadNumber { text: rest[..end].to_owned(), span: Span::new(at, at + end) }
}

fn touching(number: &str, name: &str, at: usize) -> ParseError {
    let span = Span::new(at, at + number.len() + name.len());
    if name == "e" || name == "E" || name.starts_with('_') {
        return ParseError::BadNumber { text: format!("{number}{name}"), span };
    }
    ParseError::NumberTouchesName { number: number.to_owned(), name: name.to_owned(), span }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind<'_>> {
        tokens(text).unwrap().into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn numbers_of_every_shape() {
        for (text, value) in [("1", 1.0), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e-3", 1e-3), ("1.E+2", 100.0)] {
            assert_eq!(kinds(text), [TokenKind::Number(value), TokenKind::End], "{text}");
        }
        for text in ["1.2.3", "1..", "1e+", "1e", "1_000", "2x", "1e999", "1e5x"] {
            assert!(tokens(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_keywords() {
        assert_eq!(kinds("µ_1 and x₀").len(), 4);
        assert_eq!(kinds("android")[0], TokenKind::Name("android"));
        assert!(is_name("θ") && is_name("_a1") && !is_name("1a") && !is_name("a b") && !is_name("or") && !is_name(""));
        assert!(matches!(tokens("x²"), Err(ParseError::UnexpectedCharacter { character: '²', .. })));
    }

    #[test]
    fn spans_are_bytes() {
        let all = tokens("µ + β").unwrap();
        assert_eq!(all[2].span, Span::new(5, 7));
    }
}
