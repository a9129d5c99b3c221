//! JSON values as block-style YAML, laid out as kubectl prints them.
//!
//! Invariant: `read(write(value))` is `value`, for us, for kubectl (goyaml.v2) and for readers of YAML 1.1 and 1.2.
//! So a string is written plain only where no dialect could take it for something else.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::scalar::resolve;

/// Longer keys need the `? key` form: YAML looks 1,024 characters ahead for the colon.
const LONGEST_SIMPLE_KEY_BYTES: usize = 1000;

/// Writes one document, ending in a line break.
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => object(&mut out, map, 0),
        Value::Array(items) if !items.is_empty() => array(&mut out, items, 0),
        Value::String(text) => {
            string(&mut out, text);
            out.push('\n');
        }
        other => inline(&mut out, other, 0),
    }
    out
}

/// The fields of an object; the first one continues the current line.
fn object(out: &mut String, map: &Map<String, Value>, indent: usize) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            spaces(out, indent);
        }
        let start = out.len();
        string(out, key);
        if out.len() - start > LONGEST_SIMPLE_KEY_BYTES {
            out.insert_str(start, "? ");
            out.push('\n');
            spaces(out, indent);
        }
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                spaces(out, indent + 2);
                object(out, map, indent + 2);
            }
            // A list in an object stands at the object's own indentation, as kubectl prints it.
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                spaces(out, indent);
                array(out, items, indent);
            }
            other => {
                out.push(' ');
                inline(out, other, indent);
            }
        }
    }
}

/// The items of a list; the first one continues the current line.
fn array(out: &mut String, items: &[Value], indent: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            spaces(out, indent);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => object(out, map, indent + 2),
            Value::Array(items) if !items.is_empty() => array(out, items, indent + 2),
            other => inline(out, other, indent),
        }
    }
}

/// A value that starts on the current line, and the line break behind it.
fn inline(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) if is_literal(text) => return literal(out, text, indent + 2),
        Value::String(text) => string(out, text),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
    out.push('\n');
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

fn literal(out: &mut String, text: &str, indent: usize) {
    out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
    for line in text.lines() {
        if !line.is_empty() {
            spaces(out, indent);
            out.push_str(line);
        }
        out.push('\n');
    }
}

/// True where a literal block gives back exactly this text, without an indentation or a `+` indicator.
fn is_literal(text: &str) -> bool {
    let lines_are_plain = |line: &str| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty();
    text.contains('\n')
        && !text.starts_with([' ', '\t', '\n'])
        && !text.ends_with("\n\n")
        && text.split('\n').all(lines_are_plain)
        && text.chars().all(|character| character == '\n' || character == '\t' || is_printable(character))
}

fn string(out: &mut String, text: &str) {
    if is_plain(text) { out.push_str(text) } else { double_quoted(out, text) }
}

/// True where every dialect reads the bare text as this string.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return false };
    let starts_plain = match first {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'/' | b'$' | b'(' | b'\\' | b';' | b'^' | b'0'..=b'9' | 0x80.. => true,
        b'-' => text.get(1..2).is_some_and(|next| next.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-')),
        _ => false,
    };
    starts_plain
        && !text.starts_with("---")
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
        && !looks_like_a_number(text)
        && matches!(resolve(text), Some(Value::String(_)))
}

/// Numbers, dates and times of any dialect: digits with what may stand between them, or a base prefix.
fn looks_like_a_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_date = || {
        digits.len() > 4
            && digits.bytes().take(4).all(|byte| byte.is_ascii_digit())
            && digits.as_bytes().get(4) == Some(&b'-')
    };
    digits.starts_with(|first: char| first.is_ascii_digit())
        && (digits.bytes().all(|byte| byte.is_ascii_digit() || b"_.:+-eE".contains(&byte))
            || ["0x", "0X", "0o", "0O", "0b", "0B"].iter().any(|prefix| digits.starts_with(prefix))
            || is_date())
}

/// Printable on one line for YAML 1.1, which is the narrower of the two: neither control characters, nor its further
/// line breaks, nor the byte order mark.
fn is_printable(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn double_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if is_printable(other) => out.push(other),
            // Everything outside the basic plane is printable, so four digits are enough.
            other => {
                let _ = write!(out, "\\u{:04X}", u32::from(other));
            }
        }
    }
    out.push('"');
}
