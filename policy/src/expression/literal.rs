//! What literals stand for: escapes in strings, digits in numbers.

use super::ExprError;
use super::ast::Kind;
use super::lexer::error;

/// Replaces the escapes of a string that stands at `start` in the source.
pub(super) fn decode_text(content: &str, start: usize) -> Result<String, ExprError> {
    let mut decoded = String::with_capacity(content.len());
    let mut rest = content;
    while let Some((plain, escape)) = rest.split_once('\\') {
        decoded.push_str(plain);
        let offset = start + content.len() - escape.len() - 1;
        let Some((character, length)) = read_escape(escape) else {
            return Err(error(
                offset,
                "unknown escape in string",
                Some("write `\\\\` for a backslash, or an r'...' string"),
            ));
        };
        decoded.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// The character that an escape stands for and the escape's length without its backslash.
fn read_escape(escape: &str) -> Option<(char, usize)> {
    let first = escape.chars().next()?;
    let simple = match first {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' | '?' | '"' | '\'' | '`' => first,
        'x' | 'X' => return read_code(escape, 1, 2, 16),
        'u' => return read_code(escape, 1, 4, 16),
        'U' => return read_code(escape, 1, 8, 16),
        '0'..='3' => return read_code(escape, 0, 3, 8),
        _ => return None,
    };
    Some((simple, 1))
}

fn read_code(escape: &str, skip: usize, digits: usize, radix: u32) -> Option<(char, usize)> {
    let end = skip + digits;
    let digits = escape.get(skip..end)?;
    // `from_str_radix` would take a sign.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    Some((char::from_u32(code)?, end))
}

/// A signed integer; the sign belongs to the literal, or the least integer could not be written.
pub(super) fn read_int(digits: &str, negative: bool, offset: usize) -> Result<Kind, ExprError> {
    let magnitude = read_magnitude(digits).map(i128::from);
    let value = magnitude.map(|magnitude| if negative { -magnitude } else { magnitude });
    match value.and_then(|value| i64::try_from(value).ok()) {
        Some(value) => Ok(Kind::Int(value)),
        None => Err(error(offset, "integer literal out of range", Some("integers have 64 bits; write `1u` or `1.0`"))),
    }
}

/// An unsigned integer.
pub(super) fn read_uint(digits: &str, offset: usize) -> Result<Kind, ExprError> {
    match read_magnitude(digits) {
        Some(value) => Ok(Kind::UInt(value)),
        None => Err(error(offset, "unsigned integer literal out of range", None)),
    }
}

/// A double; as in CEL, one that is too large is infinite.
pub(super) fn read_double(text: &str, negative: bool, offset: usize) -> Result<Kind, ExprError> {
    match text.parse::<f64>() {
        Ok(value) => Ok(Kind::Double(if negative { -value } else { value })),
        Err(_) => Err(error(offset, "not a number", None)),
    }
}

fn read_magnitude(digits: &str) -> Option<u64> {
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16).ok(),
        None => digits.parse().ok(),
    }
}
