//! Tokens to a syntax tree: operator precedence by binding levels (Pratt, "Top down operator precedence", POPL 1973).
//!
//! Any text gives a tree or one error; none panics or exhausts the stack: what recurses is counted against [`MAX_NESTING`],
//! and long sums and products do not recurse.

use super::ast::{Ast, Binding, Expr, ExprId, ExprKind, Level};
use super::lexer::{self, Token, TokenKind};
use super::ops::Binary;
use super::{ParseError, Span};

/// How deep parentheses, calls, signs and powers may nest.
pub const MAX_NESTING: usize = 256;

/// Reads an expression.
pub fn parse(text: &str) -> Result<Ast, ParseError> {
    let tokens = lexer::tokens(text)?;
    if tokens.len() == 1 {
        return Err(ParseError::Empty { span: Span::new(0, text.len()) });
    }
    Parser { tokens, next: 0, depth: 0, exprs: Vec::new() }.statements()
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    depth: usize,
    exprs: Vec<Expr>,
}

impl<'a> Parser<'a> {
    /// `name = value; ... ; value`
    fn statements(mut self) -> Result<Ast, ParseError> {
        let mut bindings: Vec<Binding> = Vec::new();
        loop {
            if let (TokenKind::End, Some(last)) = (self.peek().kind, bindings.last()) {
                return Err(ParseError::NoValue { name: last.name.clone(), span: last.span });
            }
            let name = self.binding_name();
            let value = self.expression(Level::Or)?;
            let token = self.peek();
            match (name, token.kind) {
                (Some((name, span)), TokenKind::Semicolon) => {
                    bindings.push(Binding { name: name.to_owned(), span, value });
                    self.advance();
                }
                (Some((name, span)), TokenKind::End) => {
                    return Err(ParseError::NoValue { name: name.to_owned(), span });
                }
                (None, TokenKind::End) => return Ok(Ast::new(self.exprs, bindings, value)),
                (None, TokenKind::Semicolon) => {
                    self.advance();
                    return match self.peek().kind {
                        TokenKind::End => Ok(Ast::new(self.exprs, bindings, value)),
                        _ => Err(ParseError::NamelessStatement { span: self.span(value) }),
                    };
                }
                _ => return Err(self.after_value(token, None)),
            }
        }
    }

    /// Takes `name =`, or `let name =`, if the statement starts so.
    fn binding_name(&mut self) -> Option<(&'a str, Span)> {
        let skip = match (self.peek().kind, self.peek_at(1).kind) {
            (TokenKind::Name("let"), TokenKind::Name(_)) => 1,
            _ => 0,
        };
        let token = self.peek_at(skip);
        match (token.kind, self.peek_at(skip + 1).kind) {
            (TokenKind::Name(name), TokenKind::Equals) => {
                self.next += skip + 2;
                Some((name, token.span))
            }
            _ => None,
        }
    }

    /// An expression whose operators all hold at least as tightly as `least`.
    fn expression(&mut self, least: Level) -> Result<ExprId, ParseError> {
        if self.depth == MAX_NESTING {
            return Err(ParseError::TooDeep { limit: MAX_NESTING, span: self.peek().span });
        }
        self.depth += 1;
        let mut left = self.operand(least)?;
        while let TokenKind::Infix(op) = self.peek().kind {
            if Level::of_infix(op) < least {
                break;
            }
            self.advance();
            let right = self.expression(Level::of_operands(op).1)?;
            let span = self.span(left).to(self.span(right));
            left = self.push(ExprKind::Infix(op, left, right), span);
            self.refuse_chain(op, span)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    /// `a < b < c` would compare a truth value with c, which nobody means.
    fn refuse_chain(&self, op: Binary, span: Span) -> Result<(), ParseError> {
        match self.peek().kind {
            TokenKind::Infix(next) if is_comparison(op) && is_comparison(next) => {
                Err(ParseError::ChainedComparison { span: span.to(self.peek().span) })
            }
            _ => Ok(()),
        }
    }

    /// A value with its signs.
    fn operand(&mut self, least: Level) -> Result<ExprId, ParseError> {
        let token = self.advance();
        match token.kind {
            TokenKind::Number(value) => Ok(self.push(ExprKind::Number(value), token.span)),
            TokenKind::Name(name) if self.peek().kind == TokenKind::Open => self.call(name, token.span),
            TokenKind::Name(name) => Ok(self.push(ExprKind::Name(name.to_owned()), token.span)),
            TokenKind::Open => self.parenthesised(token.span),
            TokenKind::Infix(Binary::Sub) => {
                let inner = self.expression(Level::Negate)?;
                let span = token.span.to(self.span(inner));
                Ok(self.push(ExprKind::Negate(inner), span))
            }
            TokenKind::Infix(Binary::Add) => self.expression(Level::Negate),
            TokenKind::Not if least > Level::Not => Err(ParseError::BareNot { span: token.span }),
            TokenKind::Not => {
                let inner = self.expression(Level::Not)?;
                let span = token.span.to(self.span(inner));
                Ok(self.push(ExprKind::Not(inner), span))
            }
            TokenKind::Equals => Err(ParseError::StrayEquals { span: token.span }),
            _ => Err(ParseError::ExpectedValue { found: self.describe(token), span: token.span }),
        }
    }

    fn parenthesised(&mut self, open: Span) -> Result<ExprId, ParseError> {
        if self.peek().kind == TokenKind::Close {
            return Err(ParseError::EmptyParentheses { span: open.to(self.peek().span) });
        }
        let inner = self.expression(Level::Or)?;
        let token = self.peek();
        match token.kind {
            TokenKind::Close => {
                self.advance();
                Ok(inner)
            }
            TokenKind::Comma => Err(ParseError::StrayComma { span: token.span }),
            _ => Err(self.after_value(token, Some(open))),
        }
    }

    fn call(&mut self, name: &str, span: Span) -> Result<ExprId, ParseError> {
        let open = self.advance().span;
        let mut arguments = Vec::new();
        if self.peek().kind != TokenKind::Close {
            loop {
                arguments.push(self.expression(Level::Or)?);
                let token = self.peek();
                match token.kind {
                    TokenKind::Comma => self.advance(),
                    TokenKind::Close => break,
                    _ => return Err(self.after_value(token, Some(open))),
                };
            }
        }
        let close = self.advance().span;
        Ok(self.push(ExprKind::Call(name.to_owned(), arguments), span.to(close)))
    }

    /// The error for a token that cannot follow a value; `open` is the parenthesis still to be closed.
    fn after_value(&self, token: Token<'_>, open: Option<Span>) -> ParseError {
        let span = token.span;
        match (token.kind, open) {
            (TokenKind::End | TokenKind::Semicolon, Some(open)) => ParseError::Unclosed { span: open },
            (TokenKind::Close, _) => ParseError::Unopened { span },
            (TokenKind::Comma, _) => ParseError::StrayComma { span },
            (TokenKind::Equals, _) => ParseError::StrayEquals { span },
            _ => ParseError::MissingOperator { found: self.describe(token), span },
        }
    }

    fn describe(&self, token: Token<'_>) -> String {
        match token.kind {
            TokenKind::Number(value) => format!("the number {value}"),
            TokenKind::Name(name) => format!("\"{name}\""),
            TokenKind::Infix(op) => format!("\"{}\"", op.name()),
            TokenKind::Not => "\"not\"".to_owned(),
            TokenKind::Open => "\"(\"".to_owned(),
            TokenKind::Close => "\")\"".to_owned(),
            TokenKind::Comma => "\",\"".to_owned(),
            TokenKind::Semicolon => "\";\"".to_owned(),
            TokenKind::Equals => "\"=\"".to_owned(),
            TokenKind::End => "the end of the expression".to_owned(),
        }
    }

    fn push(&mut self, kind: ExprKind, span: Span) -> ExprId {
        Ast::push(&mut self.exprs, kind, span)
    }

    fn span(&self, id: ExprId) -> Span {
        self.exprs[id.index()].span
    }

    fn peek(&self) -> Token<'a> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Token<'a> {
        let last = self.tokens.len() - 1;
        self.tokens[(self.next + ahead).min(last)]
    }

    fn advance(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }
}

fn is_comparison(op: Binary) -> bool {
    Level::of_infix(op) == Level::Compare
}
