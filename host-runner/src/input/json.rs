//! JSON objects from a reader: JSON lines one by one, or a text with one or more values.
//!
//! Read with `serde_json`, but duplicate keys and deep nesting are refused as they are in YAML: the last of two equal
//! keys would win silently, and another reader takes the first.

use std::fmt;
use std::io::BufRead;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::InputError;
use super::source::syntax;
use crate::problem::Diagnostic;
use crate::yaml::MAX_DEPTH;

/// How `serde_json` hands a number beyond 64-bit integers to a visitor: as a map with this only key, which holds its text.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A value and the line on which it starts.
#[derive(Debug)]
pub struct Located {
    /// The value.
    pub value: Value,
    /// The line, from 1.
    pub line: u32,
}

/// The values of a reader, in order. After an error there are no more.
pub struct JsonObjects<R> {
    file: String,
    reader: R,
    /// The line or text being read, and how much of it is done.
    text: Vec<u8>,
    done: usize,
    /// The line on which `text` starts.
    first_line: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Nothing is read yet.
    Start,
    /// `text` is one line of many.
    Lines,
    /// `text` is all that is left.
    Whole,
    /// The end, or an error.
    Over,
}

impl<R: BufRead> JsonObjects<R> {
    /// Reads from a reader; the file name is for messages.
    pub fn new(file: impl Into<String>, reader: R) -> Self {
        Self { file: file.into(), reader, text: Vec::new(), done: 0, first_line: 1, state: State::Start }
    }

    fn advance(&mut self) -> Result<Option<Located>, InputError> {
        loop {
            let rest = self.text.get(self.done..).unwrap_or_default();
            let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.done += blank;
            if blank < rest.len() {
                break;
            }
            if self.state == State::Whole || !self.next_line()? {
                return Ok(None);
            }
        }
        match parse(self.text.get(self.done..).unwrap_or_default().trim_ascii_end()) {
            Ok((value, length)) => {
                let line = self.first_line.saturating_add(self.breaks_before(self.done));
                self.done += length;
                self.state = if self.state == State::Start { State::Lines } else { self.state };
                Ok(Some(Located { value, line }))
            }
            // A first value that goes on behind its first line: not JSON lines but a text.
            Err(error) if error.is_eof() && self.state == State::Start => {
                let read = self.reader.read_to_end(&mut self.text);
                read.map_err(|source| InputError::Read { file: self.file.clone(), source })?;
                self.state = State::Whole;
                self.advance()
            }
            Err(error) => Err(syntax(self.diagnostic(&error))),
        }
    }

    /// Reads one more line; false at the end.
    fn next_line(&mut self) -> Result<bool, InputError> {
        self.first_line = self.first_line.saturating_add(self.breaks_before(self.text.len()));
        self.text.clear();
        self.done = 0;
        let read = self.reader.read_until(b'\n', &mut self.text);
        read.map_err(|source| InputError::Read { file: self.file.clone(), source })?;
        if self.state == State::Start && self.text.starts_with(BYTE_ORDER_MARK) {
            self.done = BYTE_ORDER_MARK.len();
        }
        Ok(!self.text.is_empty())
    }

    fn breaks_before(&self, end: usize) -> u32 {
        let breaks = self.text.iter().take(end).filter(|byte| **byte == b'\n').count();
        u32::try_from(breaks).unwrap_or(u32::MAX)
    }

    /// A parser's error, whose place is counted in bytes of the value, at its place in characters of the file.
    fn diagnostic(&self, error: &serde_json::Error) -> Diagnostic {
        let value = self.text.get(self.done..).unwrap_or_default();
        let line_start = self.done
            + value
                .split_inclusive(|byte| *byte == b'\n')
                .take(error.line().saturating_sub(1))
                .map(<[u8]>::len)
                .sum::<usize>();
        let at = line_start + error.column().saturating_sub(1);
        let before = self.text.get(..at).unwrap_or(&self.text);
        let in_line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(in_line).chars().count() + 1;
        let line_in_text = self.breaks_before(at);
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        let hint = (error.is_eof() && self.state == State::Lines)
            .then(|| "the first line is a whole value, so each line must be one".to_owned());
        let place = (line_in_text.saturating_add(1), u32::try_from(column).unwrap_or(u32::MAX));
        let text = String::from_utf8_lossy(&self.text);
        let diagnostic = Diagnostic::at(self.file.as_str(), &text, place, message, hint);
        Diagnostic { line: Some(self.first_line.saturating_add(line_in_text)), ..diagnostic }
    }
}

impl<R: BufRead> Iterator for JsonObjects<R> {
    type Item = Result<Located, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Over {
            return None;
        }
        let next = self.advance();
        if !matches!(next, Ok(Some(_))) {
            self.state = State::Over;
        }
        next.transpose()
    }
}

/// The first value of a text, and how many bytes it takes.
fn parse(text: &[u8]) -> Result<(Value, usize), serde_json::Error> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Strict>();
    match values.next() {
        Some(Ok(Strict(value))) => Ok((value, values.byte_offset())),
        Some(Err(error)) => Err(error),
        None => Ok((Value::Null, text.len())),
    }
}

/// A value without duplicate keys and of bounded depth.
struct Strict(Value);

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictValue { depth: 0 }.deserialize(deserializer).map(Strict)
    }
}

#[derive(Clone, Copy)]
struct StrictValue {
    depth: usize,
}

impl StrictValue {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        let mut key = object.next_key::<String>()?;
        if key.as_deref() == Some(NUMBER_TOKEN) {
            let digits: String = object.next_value()?;
            return digits.parse::<Number>().map(Value::Number).map_err(A::Error::custom);
        }
        let inner = self.deeper()?;
        while let Some(name) = key {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate key `{name}`")));
            }
            fields.insert(name, object.next_value_seed(inner)?);
            key = object.next_key()?;
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<Result<(String, u32), String>> {
        JsonObjects::new("x", text)
            .map(|next| match next {
                Ok(located) => Ok((located.value.to_string(), located.line)),
                Err(InputError::Syntax(syntax)) => {
                    Err(format!("{}:{}: {}", syntax.0.line.unwrap(), syntax.0.column, syntax.0.message))
                }
                Err(error) => Err(error.to_string()),
            })
            .collect()
    }

    #[test]
    fn values_come_with_their_lines() {
        let ok = |value: &str, line| Ok((value.to_owned(), line));
        for (text, expected) in [
            ("", vec![]),
            (" \n\n", vec![]),
            ("{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}", vec![ok("{\"a\":1}", 1), ok("{\"a\":2}", 3), ok("{\"a\":3}", 4)]),
            ("\n{\n \"a\": 1\n}\n{\"b\":\n2}\n", vec![ok("{\"a\":1}", 2), ok("{\"b\":2}", 5)]),
            ("\u{feff}{\"a\":1} {\"b\":2}\n", vec![ok("{\"a\":1}", 1), ok("{\"b\":2}", 1)]),
        ] {
            assert_eq!(read(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_keep_their_text() {
        let text = "[123456789012345678901234567890,1.10,-0,1.5]";
        assert_eq!(read(text.as_bytes()), [Ok((text.to_owned(), 1))]);
    }

    #[test]
    fn refusals_name_the_place() {
        for (text, expected) in [
            ("{\"a\":1}\n{\"a\":\n", "2:5: EOF while parsing a value"),
            ("{\"a\":1,\n\"a\":2}", "2:3: duplicate key `a`"),
            ("{\"a\":1}\n{\"a\":{\"b\":1,\"b\":2}}\n", "2:15: duplicate key `b`"),
            ("{\"a\":1} x", "1:9: expected value"),
            ("{\"ä\":1} {\"ö\":.5}", "1:14: expected value"),
            ("{\n\"a\":1}\n{\n\"b\": tru}", "4:9: expected ident"),
        ] {
            assert_eq!(read(text.as_bytes()).pop(), Some(Err(expected.to_owned())), "{text:?}");
        }
        let bad_utf8 = read(b"{\"a\":\"\xff\"}").pop().unwrap().unwrap_err();
        assert!(bad_utf8.contains("invalid unicode"), "{bad_utf8}");
    }

    #[test]
    fn depth_is_limited_as_in_yaml() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(deep(MAX_DEPTH).as_bytes())[0].is_ok());
        for levels in [MAX_DEPTH + 1, 200, 100_000] {
            assert!(read(deep(levels).as_bytes())[0].is_err());
        }
    }
}
