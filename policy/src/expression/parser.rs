//! Tokens to a syntax tree, by precedence climbing.
//!
//! Invariant: neither the parser nor the tree goes deeper than its limit, whatever the source is.

use super::ast::{Element, Entry, Kind, MAX_DEPTH, Node, Operator};
use super::lexer::{Lexer, Token, error};
use super::literal::{read_double, read_int, read_uint};
use super::{ExprError, Expression, FreeName, join};

/// Deepest nesting of brackets, calls, conditionals and signs. The specification asks for 12.
const MAX_NESTING: u16 = 64;

/// Longest source in bytes: a document that needs more is a program.
const MAX_LENGTH: usize = 64 * 1024;

pub(super) type Parsed = Result<Node, ExprError>;

pub(super) struct Parser<'s> {
    lexer: Lexer<'s>,
    /// The token that is looked at, and where it begins.
    token: Token<'s>,
    start: usize,
    /// Variables of the comprehensions around.
    pub(super) locals: Vec<&'s str>,
    /// Variables of the scope that have occurred.
    pub(super) free: Vec<FreeName>,
    nesting: u16,
}

impl<'s> Parser<'s> {
    pub(super) const fn new(source: &'s str) -> Self {
        let lexer = Lexer::new(source);
        Self { lexer, token: Token::End, start: 0, locals: Vec::new(), free: Vec::new(), nesting: 0 }
    }

    /// An expression that is the whole source.
    pub(super) fn whole(mut self) -> Result<Expression, ExprError> {
        self.advance()?;
        let root = self.expression()?;
        if self.token == Token::End {
            return Ok(Expression { root, free: self.free });
        }
        Err(self.unexpected("the end"))
    }

    /// An expression that ends before a `}`, and where that stands.
    pub(super) fn until_brace(mut self) -> Result<(Expression, usize), ExprError> {
        self.advance()?;
        let root = self.expression()?;
        if self.token == Token::Symbol("}") {
            return Ok((Expression { root, free: self.free }, self.start));
        }
        Err(self.unexpected("`}`"))
    }

    #[inline(never)]
    pub(super) fn advance(&mut self) -> Result<Token<'s>, ExprError> {
        let (next, start) = self.lexer.next()?;
        if self.lexer.position() > MAX_LENGTH {
            return Err(error(start, "expression is longer than 65536 bytes", None));
        }
        self.start = start;
        Ok(std::mem::replace(&mut self.token, next))
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(found) if found == symbol)
    }

    /// Goes past `symbol` if that is what comes.
    pub(super) fn eat(&mut self, symbol: &str) -> Result<bool, ExprError> {
        let found = self.is(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), ExprError> {
        if self.eat(symbol)? { Ok(()) } else { Err(self.unexpected(&join(&["`", symbol, "`"]))) }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn unexpected(&self, expected: &str) -> ExprError {
        error(self.start, &join(&["expected ", expected, ", found ", &self.token.describe()]), None)
    }

    /// A name, as it stands for a variable or a field.
    pub(super) fn name(&mut self) -> Result<&'s str, ExprError> {
        match self.token {
            Token::Name(name) => {
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Whether a name and then `symbol` come.
    pub(super) fn comes_name_then(&self, symbol: &str) -> bool {
        let mut ahead = self.lexer;
        matches!(self.token, Token::Name(_)) && matches!(ahead.next(), Ok((Token::Symbol(found), _)) if found == symbol)
    }

    #[inline(never)]
    pub(super) fn node(kind: Kind, offset: usize) -> Parsed {
        let below = kind.children().iter().map(|(child, _)| child.depth).max().unwrap_or_default();
        if below >= MAX_DEPTH {
            return Err(error(offset, "expression is too deep", Some("use fewer operators in one expression")));
        }
        // The length limit keeps offsets far below 32 bits.
        Ok(Node { kind, offset: u32::try_from(offset).unwrap_or(u32::MAX), depth: below + 1 })
    }

    pub(super) fn expression(&mut self) -> Parsed {
        self.nested(|parser| {
            let condition = parser.binary(0)?;
            let offset = parser.start;
            if !parser.eat("?")? {
                return Ok(condition);
            }
            let then = parser.binary(0)?;
            parser.expect(":")?;
            let otherwise = parser.expression()?;
            Self::node(Kind::Choose(Box::new([condition, then, otherwise])), offset)
        })
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.nesting >= MAX_NESTING {
            return Err(error(self.start, "expression is nested too deep", None));
        }
        self.nesting += 1;
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    /// Operators that bind at least as strongly as `least`, all of which associate to the left.
    fn binary(&mut self, least: u8) -> Parsed {
        let mut left = self.unary()?;
        while let Some((strength, infix)) = self.infix() {
            if strength < least {
                break;
            }
            let offset = self.start;
            self.advance()?;
            let right = self.binary(strength + 1)?;
            let operands = Box::new([left, right]);
            let kind = match infix {
                Infix::Or => Kind::Or(operands),
                Infix::And => Kind::And(operands),
                Infix::Operator(operator) => Kind::Binary(operator, operands),
            };
            left = Self::node(kind, offset)?;
        }
        Ok(left)
    }

    fn infix(&self) -> Option<(u8, Infix)> {
        Some(match self.token {
            Token::Symbol("||") => (0, Infix::Or),
            Token::Symbol("&&") => (1, Infix::And),
            Token::Symbol("==") => (2, Infix::Operator(Operator::Equal)),
            Token::Symbol("!=") => (2, Infix::Operator(Operator::NotEqual)),
            Token::Symbol("<") => (2, Infix::Operator(Operator::Less)),
            Token::Symbol("<=") => (2, Infix::Operator(Operator::LessOrEqual)),
            Token::Symbol(">") => (2, Infix::Operator(Operator::Greater)),
            Token::Symbol(">=") => (2, Infix::Operator(Operator::GreaterOrEqual)),
            Token::Name("in") => (2, Infix::Operator(Operator::In)),
            Token::Symbol("+") => (3, Infix::Operator(Operator::Add)),
            Token::Symbol("-") => (3, Infix::Operator(Operator::Subtract)),
            Token::Symbol("*") => (4, Infix::Operator(Operator::Multiply)),
            Token::Symbol("/") => (4, Infix::Operator(Operator::Divide)),
            Token::Symbol("%") => (4, Infix::Operator(Operator::Remainder)),
            _ => return None,
        })
    }

    fn unary(&mut self) -> Parsed {
        let offset = self.start;
        if self.eat("!")? {
            let operand = self.nested(Self::unary)?;
            return Self::node(Kind::Not(Box::new(operand)), offset);
        }
        if self.eat("-")? {
            // The sign belongs to a number that follows, which matters for the least integer.
            let negative = match self.token {
                Token::Int(digits) => Some(read_int(digits, true, offset)?),
                Token::Double(text) => Some(read_double(text, true, offset)?),
                _ => None,
            };
            if let Some(kind) = negative {
                self.advance()?;
                let literal = Self::node(kind, offset)?;
                return self.members(literal);
            }
            let operand = self.nested(Self::unary)?;
            return Self::node(Kind::Negate(Box::new(operand)), offset);
        }
        let target = self.primary()?;
        self.members(target)
    }

    /// `.field`, `.?field`, `.method(...)`, `[index]` and `[?index]`, as many as there are.
    fn members(&mut self, mut target: Node) -> Parsed {
        loop {
            let offset = self.start;
            if self.eat(".")? {
                let at = self.start;
                if matches!(self.token, Token::Name(_)) && self.comes_name_then("(") {
                    let name = self.name()?;
                    self.expect("(")?;
                    target = self.method(target, name, at)?;
                } else {
                    let field = self.field()?;
                    target = Self::node(Kind::Select { target: Box::new(target), field, optional: false }, at)?;
                }
            } else if self.eat(".?")? {
                let at = self.start;
                let field = self.field()?;
                target = Self::node(Kind::Select { target: Box::new(target), field, optional: true }, at)?;
            } else if self.is("[") || self.is("[?") {
                let optional = self.is("[?");
                self.advance()?;
                let index = Box::new(self.expression()?);
                self.expect("]")?;
                target = Self::node(Kind::Index { target: Box::new(target), index, optional }, offset)?;
            } else {
                return Ok(target);
            }
        }
    }

    fn field(&mut self) -> Result<Box<str>, ExprError> {
        if let Token::QuotedName(name) = self.token {
            self.advance()?;
            return Ok(Box::from(name));
        }
        self.name().map(Box::from)
    }

    #[inline(never)]
    fn primary(&mut self) -> Parsed {
        let offset = self.start;
        let kind = match &self.token {
            Token::Int(digits) => read_int(digits, false, offset)?,
            Token::UInt(digits) => read_uint(digits, offset)?,
            Token::Double(text) => read_double(text, false, offset)?,
            Token::Text(text) => Kind::Text(Box::from(text.as_str())),
            Token::Name("null") => Kind::Null,
            Token::Name("true") => Kind::Bool(true),
            Token::Name("false") => Kind::Bool(false),
            Token::Name("in") => return Err(self.unexpected("an expression")),
            Token::Name(name) => {
                let name = *name;
                self.advance()?;
                return self.named(name, offset);
            }
            Token::Symbol("(") => {
                self.advance()?;
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            Token::Symbol("[" | "[?") => return self.list(),
            Token::Symbol("{") => return self.map(),
            Token::End | Token::QuotedName(_) | Token::Symbol(_) => return Err(self.unexpected("an expression")),
        };
        self.advance()?;
        Self::node(kind, offset)
    }

    fn list(&mut self) -> Parsed {
        let offset = self.start;
        let mut optional = self.is("[?");
        self.advance()?;
        let mut elements = Vec::new();
        while !self.is("]") {
            optional |= self.eat("?")?;
            elements.push(Element { value: self.expression()?, optional });
            optional = false;
            if !self.eat(",")? {
                break;
            }
        }
        self.expect("]")?;
        Self::node(Kind::List(elements.into()), offset)
    }

    fn map(&mut self) -> Parsed {
        let offset = self.start;
        self.advance()?;
        let mut entries = Vec::new();
        while !self.is("}") {
            let optional = self.eat("?")?;
            let key = self.expression()?;
            self.expect(":")?;
            entries.push(Entry { key, value: self.expression()?, optional });
            if !self.eat(",")? {
                break;
            }
        }
        self.expect("}")?;
        Self::node(Kind::Map(entries.into()), offset)
    }
}

enum Infix {
    Or,
    And,
    Operator(Operator),
}
