//! JSON objects from a reader: JSON lines one by one, or a text with one or more values.
//!
//! Read with `serde_json`, but duplicate keys and deep nesting are refused as they are in YAML: the last of two equal
//! keys would win silently, and another reader takes the first. A value is tried with as much of the text as is there,
//! and again with more where it goes on; so the memory is that of the largest value. A list can be larger than any
//! memory: one that is read item by item takes that of its largest item.

use std::fmt;
use std::io::{BufRead, Read as _};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::InputError;
use super::objects::{complete, is_list};
use super::source::syntax;
use crate::problem::Diagnostic;
use crate::yaml::MAX_DEPTH;

/// How `serde_json` hands a number beyond 64-bit integers to a visitor: as a map with this only key, which holds its text.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// How much is read at once, at least.
const CHUNK_BYTES: usize = 64 * 1024;

/// What is longer is no object: API servers take requests of 3 MiB. With `items` it is a list, before its `kind` is known.
const LARGEST_OBJECT_BYTES: usize = 4 * 1024 * 1024;

/// How deep the values of a list's keys and its items stand in it.
const KEY_DEPTH: usize = 1;
const ITEM_DEPTH: usize = 2;

/// What becomes of a list that is larger than any object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargeLists {
    /// It is one value.
    Whole,
    /// Each of its items is a value.
    Opened,
}

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
    large_lists: LargeLists,
    /// What is read and not forgotten, and how much of it is done.
    text: Vec<u8>,
    done: usize,
    /// Whether the first line of `text` is whole, so that it can be shown.
    starts_line: bool,
    /// Line and column of what is not done yet; the column is counted in characters.
    line: u32,
    column: u32,
    state: State,
    list: Option<List>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Nothing is read yet.
    Start,
    /// `text` is one line of many.
    Lines,
    /// `text` is some of what is left.
    Text,
    /// The end, or an error.
    Over,
}

/// A list whose items are being read.
struct List {
    /// Its other keys, as far as they are read.
    fields: Map<String, Value>,
    /// Whether its first item has been read, and whether any did not say what it is.
    begun: bool,
    nameless: bool,
}

impl<R: BufRead> JsonObjects<R> {
    /// Reads from a reader; the file name is for messages.
    pub fn new(file: impl Into<String>, reader: R, large_lists: LargeLists) -> Self {
        Self {
            file: file.into(),
            reader,
            large_lists,
            text: Vec::new(),
            done: 0,
            starts_line: true,
            line: 1,
            column: 1,
            state: State::Start,
            list: None,
        }
    }

    fn advance(&mut self) -> Result<Option<Located>, InputError> {
        loop {
            if let Some(list) = self.list.take()
                && let Some(item) = self.item(list)?
            {
                return Ok(Some(item));
            }
            if self.peek()?.is_none() {
                return Ok(None);
            }
            if let Some(located) = self.value::<0>()? {
                self.state = if self.state == State::Start { State::Lines } else { self.state };
                return Ok(Some(located));
            }
        }
    }

    /// The next value, which stands this deep; `None` where it is a list whose items are read instead.
    fn value<const DEPTH: usize>(&mut self) -> Result<Option<Located>, InputError> {
        loop {
            let rest = self.rest();
            match parse::<DEPTH>(rest.trim_ascii_end()) {
                // A number that ends where the text does may go on.
                Ok((value, length)) if length < rest.len() || !self.more()? => {
                    let line = self.line;
                    self.step(length);
                    return Ok(Some(Located { value, line }));
                }
                Err(error) if error.is_eof() => {
                    if DEPTH == 0 && self.open_list() {
                        return Ok(None);
                    }
                    // A first value that goes on behind its first line: not JSON lines but a text.
                    if self.state == State::Start && self.text.ends_with(b"\n") {
                        self.state = State::Text;
                    }
                    if !self.more()? {
                        return Err(self.refusal(&error));
                    }
                }
                Err(error) => return Err(self.refusal(&error)),
                Ok(_) => {}
            }
        }
    }

    /// Goes to the items of what is larger than any object and begins as a list.
    fn open_list(&mut self) -> bool {
        if self.large_lists == LargeLists::Whole || self.rest().len() < LARGEST_OBJECT_BYTES {
            return false;
        }
        let Some((fields, length)) = list_head(self.rest()) else { return false };
        self.step(length);
        self.state = if self.state == State::Start { State::Text } else { self.state };
        self.list = Some(List { fields, begun: false, nameless: false });
        true
    }

    /// The next item of a list; `None` at its end.
    fn item(&mut self, mut list: List) -> Result<Option<Located>, InputError> {
        match self.peek()? {
            Some(b']') => {
                self.step(1);
                return self.end_of(list).map(|()| None);
            }
            Some(b',') if list.begun => self.step(1),
            Some(_) if !list.begun => {}
            _ => return Err(self.unexpected("expected `,` or `]`")),
        }
        self.peek()?;
        let mut item = self.value::<ITEM_DEPTH>()?;
        list.begun = true;
        if let Some(Located { value, .. }) = &mut item {
            complete(value, &list.fields);
            list.nameless |= value.get("kind").is_none();
        }
        self.list = Some(list);
        Ok(item)
    }

    /// Reads what is behind the items of a list.
    fn end_of(&mut self, List { mut fields, nameless, .. }: List) -> Result<(), InputError> {
        loop {
            match self.peek()? {
                Some(b',') => self.step(1),
                Some(b'}') => break self.step(1),
                _ => return Err(self.unexpected("expected `,` or `}`")),
            }
            self.peek()?;
            let Some(Located { value: Value::String(key), .. }) = self.value::<KEY_DEPTH>()? else {
                return Err(self.unexpected("expected a key"));
            };
            if key == "items" || fields.contains_key(&key) {
                return Err(self.unexpected(&format!("duplicate key `{key}`")));
            }
            if self.peek()? != Some(b':') {
                return Err(self.unexpected("expected `:`"));
            }
            self.step(1);
            self.peek()?;
            fields.extend(self.value::<KEY_DEPTH>()?.map(|located| (key, located.value)));
        }
        let missing = match fields.get("kind") {
            Some(kind) if !is_list(kind) => format!("expected a list in what is so large, found the kind {kind}"),
            Some(kind) if kind != "List" && nameless => {
                "expected `kind` in each item, or that of the list before its items".to_owned()
            }
            Some(_) => return Ok(()),
            None => "expected a `kind` beside `items`".to_owned(),
        };
        Err(self.problem(&missing, None))
    }

    /// The next byte that is not blank; `None` at the end.
    fn peek(&mut self) -> Result<Option<u8>, InputError> {
        loop {
            let rest = self.rest();
            let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = rest.get(blank).copied();
            self.step(blank);
            if found.is_some() {
                return Ok(found);
            }
            // A line that is done makes room for the next one.
            self.forget();
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.done..).unwrap_or_default()
    }

    /// Reads on, where values stand on lines to the end of the line. False where there is no more.
    fn more(&mut self) -> Result<bool, InputError> {
        if self.state == State::Lines && self.text.ends_with(b"\n") {
            return Ok(false);
        }
        if self.done > CHUNK_BYTES {
            self.forget();
        }
        let is_first = self.state == State::Start && self.text.is_empty();
        let length = u64::try_from(CHUNK_BYTES.max(self.text.len())).unwrap_or(u64::MAX);
        let mut limited = self.reader.by_ref().take(length);
        let read = match self.state {
            State::Text | State::Over => limited.read_to_end(&mut self.text),
            State::Start | State::Lines => limited.read_until(b'\n', &mut self.text),
        };
        let read = read.map_err(|source| InputError::Read { file: self.file.clone(), source })?;
        if is_first && self.text.starts_with(BYTE_ORDER_MARK) {
            self.done = BYTE_ORDER_MARK.len();
        }
        Ok(read > 0)
    }

    /// Drops what is done.
    fn forget(&mut self) {
        if let Some(last) = self.done.checked_sub(1) {
            self.starts_line = self.text.get(last) == Some(&b'\n');
            self.text.drain(..self.done);
            self.done = 0;
        }
    }

    /// Goes on behind some bytes.
    fn step(&mut self, length: usize) {
        let passed = self.rest().get(..length).unwrap_or_default();
        let breaks = memchr::memchr_iter(b'\n', passed).count();
        let in_line = passed.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let characters = count(in_line.iter().filter(|byte| (**byte & 0xc0) != 0x80).count());
        self.column = if breaks == 0 { self.column } else { 1 }.saturating_add(characters);
        self.line = self.line.saturating_add(count(breaks));
        self.done += length;
    }

    /// What a parser finds wrong with the next value, whose place is counted in bytes of the value.
    fn refusal(&mut self, error: &serde_json::Error) -> InputError {
        let hint = (error.is_eof() && self.state == State::Lines)
            .then(|| "the first line is a whole value, so each line must be one".to_owned());
        let lines = self.rest().split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        self.step(lines.map(<[u8]>::len).sum::<usize>());
        self.step(error.column().saturating_sub(1).min(self.rest().len()));
        let message = error.to_string();
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        self.problem(message, hint)
    }

    /// What stands here is not what a list goes on with.
    fn unexpected(&self, message: &str) -> InputError {
        let message =
            if self.rest().is_empty() { format!("EOF while parsing a list: {message}") } else { message.to_owned() };
        self.problem(&message, None)
    }

    /// A problem with what comes next.
    fn problem(&self, message: &str, hint: Option<String>) -> InputError {
        let before = self.text.get(..self.done).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b'\n').map(|found| found + 1);
        let shown = start.or(self.starts_line.then_some(0)).and_then(|start| self.text.get(start..));
        let shown =
            shown.map(|text| String::from_utf8_lossy(text.split(|byte| *byte == b'\n').next().unwrap_or_default()));
        let place = (1, self.column);
        let diagnostic = Diagnostic::at(self.file.as_str(), &shown.unwrap_or_default(), place, message, hint);
        syntax(Diagnostic { line: Some(self.line), ..diagnostic })
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

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The keys before `items`, where a text begins as a list does, and how long that beginning is.
fn list_head(text: &[u8]) -> Option<(Map<String, Value>, usize)> {
    let mut fields = Map::new();
    let mut rest = text;
    let mut expected = b'{';
    loop {
        rest = behind(rest, expected)?;
        let (Value::String(key), length) = parse::<KEY_DEPTH>(rest).ok()? else { return None };
        rest = behind(rest.get(length..)?, b':')?;
        if key == "items" {
            rest = behind(rest, b'[')?;
            let may_be_list = fields.get("kind").is_none_or(is_list);
            return may_be_list.then(|| (fields, text.len() - rest.len()));
        }
        let (value, length) = parse::<KEY_DEPTH>(rest).ok()?;
        if fields.insert(key, value).is_some() {
            return None;
        }
        rest = rest.get(length..)?;
        expected = b',';
    }
}

/// What is behind a byte, which must be the next one that is not blank.
fn behind(text: &[u8], byte: u8) -> Option<&[u8]> {
    text.trim_ascii_start().strip_prefix(&[byte])
}

/// The first value of a text, which stands this deep, and how many bytes it takes.
fn parse<const DEPTH: usize>(text: &[u8]) -> Result<(Value, usize), serde_json::Error> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Strict<DEPTH>>();
    match values.next() {
        Some(Ok(Strict(value))) => Ok((value, values.byte_offset())),
        Some(Err(error)) => Err(error),
        None => serde_json::from_slice(text).map(|Strict::<DEPTH>(value)| (value, text.len())),
    }
}

/// A value without duplicate keys and of bounded depth.
struct Strict<const DEPTH: usize>(Value);

impl<'de, const DEPTH: usize> serde::Deserialize<'de> for Strict<DEPTH> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictValue { depth: DEPTH }.deserialize(deserializer).map(Strict)
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
        JsonObjects::new("x", text, LargeLists::Opened)
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

    /// A list that is too large for an object, its items between others of the same size.
    fn large(before: &str, items: &str, after: &str) -> String {
        let blank = " ".repeat(2 * LARGEST_OBJECT_BYTES);
        format!("{before}\"items\": [\n{items}{blank}]{after}")
    }

    #[test]
    fn a_large_list_is_read_item_by_item() {
        let ok = |value: &str, line| Ok((value.to_owned(), line));
        let items = "{\"kind\":\"Pod\",\"n\":1.10},\n {\"kind\":\"Pod\"}";
        for (before, after) in [
            ("{", ",\n\"kind\":\"List\"}"),
            ("{", ",\"kind\":\"PodList\",\"metadata\":{}}"),
            ("{\"apiVersion\":\"v1\",\"kind\":\"List\",", "}"),
            ("\u{feff} {\"kind\":\"PodList\",", ",\"apiVersion\":\"v1\"}\n"),
        ] {
            let text = large(before, items, after);
            let expected = [ok("{\"kind\":\"Pod\",\"n\":1.10}", 2), ok("{\"kind\":\"Pod\"}", 3)];
            assert_eq!(read(text.as_bytes()), expected, "{before} {after}");
            let more = format!("{text}\n{{\"b\":\n2}}");
            assert_eq!(read(more.as_bytes()).pop().unwrap().unwrap().0, "{\"b\":2}");
            let whole: Vec<_> = JsonObjects::new("x", text.as_bytes(), LargeLists::Whole).collect();
            assert_eq!(whole.len(), 1);
        }
        assert_eq!(read(large("{\"kind\":\"List\",", "", "}").as_bytes()), []);
        let named = large("{\"apiVersion\":\"apps/v1\",\"kind\":\"DeploymentList\",", "{\"metadata\":{}}", "}");
        let expected = "{\"metadata\":{},\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\"}";
        assert_eq!(read(named.as_bytes()), [ok(expected, 2)]);
    }

    #[test]
    fn what_is_no_list_is_read_whole_however_large() {
        for (before, after) in [("{\"kind\":\"ConfigMap\",", "}"), ("{\"data\":[1],\"x\":{", "}}"), ("[{", "}]")] {
            let text = large(before, "{}", after);
            assert_eq!(read(text.as_bytes()).len(), 1, "{before}");
            assert!(read(text.as_bytes())[0].is_ok(), "{before}");
        }
    }

    #[test]
    fn a_broken_large_list_is_refused_at_its_place() {
        let list = "{\"kind\":\"List\",";
        for (before, items, after, expected) in [
            (list, "{\"kind\":\"A\"} {\"kind\":\"B\"}", "}", "2:14: expected `,` or `]`"),
            (list, "{\"a\":1,\n\"a\":2}", "}", "3:3: duplicate key `a`"),
            (list, "1,", "}", "2:8388611: expected value"),
            (list, "", ",\"kind\":1}", "2:8388617: duplicate key `kind`"),
            (list, "", ",\"items\":1}", "2:8388618: duplicate key `items`"),
            (list, "", ",\n\"a\" 1}", "3:5: expected `:`"),
            (list, "", ",\n\"a\":1 1}", "3:7: expected `,` or `}`"),
            (list, "", ",\n\"a\":", "3:5: EOF while parsing a value"),
            (list, "", "\n", "3:1: EOF while parsing a list: expected `,` or `}`"),
            ("{", "", "\n}", "3:2: expected a `kind` beside `items`"),
            ("{", "", ",\n\"kind\":\"A\"}", "3:12: expected a list in what is so large, found the kind \"A\""),
            (
                "{",
                "{}",
                ",\n\"kind\":\"PodList\"}",
                "3:18: expected `kind` in each item, or that of the list before its items",
            ),
        ] {
            let text = large(before, items, after);
            assert_eq!(read(text.as_bytes()).pop(), Some(Err(expected.to_owned())), "{items:?} {after:?}");
        }
        let deep = |levels: usize| large(list, &format!("{}1{}", "[".repeat(levels), "]".repeat(levels)), "}");
        assert!(read(deep(MAX_DEPTH - ITEM_DEPTH).as_bytes())[0].is_ok());
        assert!(read(deep(MAX_DEPTH - ITEM_DEPTH + 1).as_bytes())[0].is_err());
    }
}
