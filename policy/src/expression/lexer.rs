//! Source text to tokens, one at a time, so that nothing behind the end of an expression is read.

use super::ExprError;
use super::join;
use super::literal::decode_text;

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'s> {
    End,
    Name(&'s str),
    /// A field name between backquotes, which may hold `.`, `-`, `/` and spaces.
    QuotedName(&'s str),
    /// Digits, or `0x` and hexadecimal digits.
    Int(&'s str),
    /// The same, without the `u`.
    UInt(&'s str),
    Double(&'s str),
    Text(String),
    Symbol(&'static str),
}

impl Token<'_> {
    /// How a message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::End => String::from("the end"),
            Self::Name(text) | Self::QuotedName(text) | Self::Int(text) | Self::UInt(text) | Self::Double(text) => {
                join(&["`", text, "`"])
            }
            Self::Text(_) => String::from("a string"),
            Self::Symbol(text) => join(&["`", text, "`"]),
        }
    }
}

/// Longer symbols first, because the first that fits is taken.
const SYMBOLS: [&str; 26] = [
    "==", "!=", "<=", ">=", "&&", "||", ".?", "[?", "<", ">", "!", "?", ":", ",", ".", "(", ")", "[", "]", "{", "}",
    "+", "-", "*", "/", "%",
];

#[derive(Clone, Copy)]
pub(super) struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    pub(super) const fn new(source: &'s str) -> Self {
        Self { source, at: 0 }
    }

    /// How far it has read.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'s>, usize), ExprError> {
        self.skip_blanks();
        let start = self.at;
        let rest = self.rest();
        let token = match rest.as_bytes() {
            [] => Token::End,
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number(rest),
            [b'"' | b'\'', ..] | [b'r' | b'R', b'"' | b'\'', ..] => self.text(rest)?,
            [b'b' | b'B', b'"' | b'\'', ..] => {
                return Err(error(start, "byte strings are not supported", Some("write a string without `b`")));
            }
            [b'`', ..] => self.quoted_name(rest)?,
            [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => {
                let name = self.take(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Token::Name(name)
            }
            _ => match SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
                Some(symbol) => {
                    self.at += symbol.len();
                    Token::Symbol(symbol)
                }
                None => return Err(unexpected_character(start, rest)),
            },
        };
        Ok((token, start))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn take(&mut self, rest: &'s str, belongs: impl Fn(u8) -> bool) -> &'s str {
        let length = rest.bytes().position(|byte| !belongs(byte)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn number(&mut self, rest: &'s str) -> Token<'s> {
        let hexadecimal = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        let length = match hexadecimal {
            Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => {
                2 + count(digits, |byte| byte.is_ascii_hexdigit())
            }
            _ => count(rest, |byte| byte.is_ascii_digit()),
        };
        let mut end = length;
        let mut double = false;
        let digits_from = |at: usize| count(rest.get(at..).unwrap_or_default(), |byte| byte.is_ascii_digit());
        if hexadecimal.is_none() {
            let fraction = if rest.as_bytes().get(end) == Some(&b'.') { digits_from(end + 1) } else { 0 };
            if fraction > 0 {
                end += 1 + fraction;
                double = true;
            }
            if let Some(b'e' | b'E') = rest.as_bytes().get(end) {
                let sign = usize::from(matches!(rest.as_bytes().get(end + 1), Some(b'+' | b'-')));
                let exponent = digits_from(end + 1 + sign);
                if exponent > 0 {
                    end += 1 + sign + exponent;
                    double = true;
                }
            }
        }
        let text = rest.get(..end).unwrap_or_default();
        self.at += end;
        if double {
            return Token::Double(text);
        }
        if let Some(b'u' | b'U') = rest.as_bytes().get(end) {
            self.at += 1;
            return Token::UInt(text);
        }
        Token::Int(text)
    }

    fn text(&mut self, rest: &'s str) -> Result<Token<'s>, ExprError> {
        let start = self.at;
        let body = rest.trim_start_matches(['r', 'R']);
        let raw = body.len() < rest.len();
        let (quote, single_line) = match body.as_bytes() {
            [b'"', b'"', b'"', ..] => ("\"\"\"", false),
            [b'\'', b'\'', b'\'', ..] => ("'''", false),
            [b'"', ..] => ("\"", true),
            _ => ("'", true),
        };
        let content = body.get(quote.len()..).unwrap_or_default();
        let content_start = start + usize::from(raw) + quote.len();
        let mut escaped = false;
        for (position, byte) in content.bytes().enumerate() {
            if escaped {
                escaped = false;
            } else if byte == b'\\' && !raw {
                escaped = true;
            } else if single_line && byte == b'\n' {
                break;
            } else if content.as_bytes().get(position..).is_some_and(|tail| tail.starts_with(quote.as_bytes())) {
                self.at = content_start + position + quote.len();
                let content = content.get(..position).unwrap_or_default();
                let text = if raw { content.to_owned() } else { decode_text(content, content_start)? };
                return Ok(Token::Text(text));
            }
        }
        Err(error(start, "string is not closed", None))
    }

    fn quoted_name(&mut self, rest: &'s str) -> Result<Token<'s>, ExprError> {
        let start = self.at;
        self.at += 1;
        let name = self.take(rest.get(1..).unwrap_or_default(), |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/' | b' ')
        });
        if name.is_empty() || !self.rest().starts_with('`') {
            return Err(error(
                start,
                "not a quoted field name",
                Some("between backquotes stand letters, digits, `_`, `.`, `-`, `/` and spaces"),
            ));
        }
        self.at += 1;
        Ok(Token::QuotedName(name))
    }
}

fn count(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| belongs(*byte)).count()
}

#[cold]
#[inline(never)]
fn unexpected_character(offset: usize, rest: &str) -> ExprError {
    let character: String = rest.chars().take(1).collect();
    let hint = match character.as_str() {
        "&" => Some("write `&&`"),
        "|" => Some("write `||`"),
        "=" => Some("write `==`"),
        _ => None,
    };
    error(offset, &join(&["unexpected character `", &character, "`"]), hint)
}

/// An error without further parts.
#[cold]
#[inline(never)]
pub(super) fn error(offset: usize, message: &str, hint: Option<&str>) -> ExprError {
    ExprError { message: message.to_owned(), offset, hint: hint.map(str::to_owned) }
}
