//! From parser events to JSON values, with the bytes and lines that each document and each value came from.
//!
//! Invariant: work and memory are linear in the input. Nesting is limited, and all copies made through aliases
//! together are limited too.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag, options};
use serde_json::Value;

use super::fields::{Fields, is_merge_key, key_text};
use super::scalar::resolve;
use super::{Document, Locations, MAX_DEPTH, YamlError};

/// How much all anchors and aliases of a stream may copy: far above any manifest, far below what would hurt.
const MAX_COPIED_BYTES: usize = 16 << 20;

const BYTE_ORDER_MARK: char = '\u{feff}';

pub(super) struct Composer<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    copied_bytes: usize,
    /// A place whose line is known, from which the lines of later places are counted.
    counted: (usize, u32),
    /// Where the last scalar or collection ended.
    content_end: usize,
    /// The pointer of the value being read, kept only while places are wanted.
    pointer: String,
    locations: Option<Locations>,
}

impl<'t> Composer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let mut options = options! {
            block_scalar_eof_without_line_feed: true,
            disallow_directives: true,
            flow_nesting_limit: MAX_DEPTH,
            block_nesting_limit: MAX_DEPTH,
        };
        options.set_emit_comments(false);
        Self {
            text,
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            copied_bytes: 0,
            counted: (0, 1),
            content_end: 0,
            pointer: String::new(),
            locations: None,
        }
    }

    pub(super) fn documents(mut self) -> Result<Vec<Document>, YamlError> {
        let mut documents = Vec::new();
        while let Some(document) = self.next_document()? {
            documents.push(document);
        }
        Ok(documents)
    }

    pub(super) fn located_documents(mut self) -> Result<Vec<(Document, Locations)>, YamlError> {
        let mut documents = Vec::new();
        loop {
            self.locations = Some(Locations::default());
            match self.next_document()? {
                Some(document) => documents.push((document, self.locations.take().unwrap_or_default())),
                None => return Ok(documents),
            }
        }
    }

    /// The next document that is not empty.
    fn next_document(&mut self) -> Result<Option<Document>, YamlError> {
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event?;
            if let Event::DocumentStart(..) = event {
                let document = self.document(span)?;
                if !document.value.is_null() {
                    return Ok(Some(document));
                }
            }
        }
        Ok(None)
    }

    fn document(&mut self, start: Span) -> Result<Document, YamlError> {
        self.anchors.clear();
        let from = self.content_start(byte(start.end));
        let line = self.line_of(from);
        self.place(line, 1);
        let (event, span) = self.next()?;
        let value = self.node(event, span, 0)?;
        let (_, end) = self.next()?;
        let to = self.content_end(byte(end.start)).max(from);
        Ok(Document { value, range: from..to, line })
    }

    /// Skips what may stand between a document's start and its content, but not the indentation of the content.
    fn content_start(&self, from: usize) -> usize {
        let mut at = from;
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            let content = rest.trim_start_matches([' ', '\t', '\r', '\n', BYTE_ORDER_MARK]);
            at += rest.len() - content.len();
            if !content.starts_with('#') {
                break;
            }
            at += content.find('\n').unwrap_or(content.len());
        }
        let before = self.text.get(..at).unwrap_or_default();
        let indentation = before.len() - before.trim_end_matches([' ', '\t']).len();
        match before.get(..at - indentation) {
            Some(lines) if lines.is_empty() || lines.ends_with('\n') => at - indentation,
            _ => at,
        }
    }

    /// The line of a place behind all places asked for before.
    fn line_of(&mut self, at: usize) -> u32 {
        let (from, line) = self.counted;
        let between = self.text.get(from..at).unwrap_or_default();
        let breaks = between.matches('\n').count();
        let line = line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.counted = (at, line);
        line
    }

    /// The end of the line on which the content ends, its line break included, but never past the next separator.
    fn content_end(&self, separator: usize) -> usize {
        let end = self.content_end;
        let before = self.text.get(..end).unwrap_or_default();
        let after = self.text.get(end..).unwrap_or_default();
        let line_end = match after.find('\n') {
            _ if before.ends_with('\n') => end,
            Some(length) => end + length + 1,
            None => self.text.len(),
        };
        if separator > end { line_end.min(separator) } else { line_end }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), YamlError> {
        match self.parser.next_event() {
            Some(event) => Ok(event?),
            None => Err(error(Marker::default(), "expected a value, found the end of the input")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Value, YamlError> {
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.content_end = byte(span.end);
                (scalar(text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                expect_tag(tag.as_deref(), "seq", span)?;
                (self.sequence(span, depth + 1)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                expect_tag(tag.as_deref(), "map", span)?;
                (self.mapping(span, depth + 1)?, anchor)
            }
            Event::Alias(anchor) => {
                self.content_end = byte(span.end);
                return self.alias(anchor, span);
            }
            _ => return Err(error(span.start, "expected a value")),
        };
        if anchor != 0 {
            self.charge(&value, span)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Value, YamlError> {
        match self.anchors.get(&anchor).cloned() {
            Some(value) => {
                self.charge(&value, span)?;
                Ok(value)
            }
            None => Err(error(span.start, "the alias stands within its own anchor")),
        }
    }

    fn charge(&mut self, value: &Value, span: Span) -> Result<(), YamlError> {
        self.copied_bytes = self.copied_bytes.saturating_add(size(value));
        if self.copied_bytes > MAX_COPIED_BYTES {
            let message = format!("aliases multiply to more than {} MiB", MAX_COPIED_BYTES >> 20);
            return Err(error(span.start, message));
        }
        Ok(())
    }

    fn sequence(&mut self, span: Span, depth: usize) -> Result<Value, YamlError> {
        check_depth(depth, span)?;
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                self.close(span);
                return Ok(Value::Array(items));
            }
            let parent = self.enter(&items.len().to_string(), span);
            items.push(self.node(event, span, depth)?);
            self.pointer.truncate(parent);
        }
    }

    fn mapping(&mut self, span: Span, depth: usize) -> Result<Value, YamlError> {
        check_depth(depth, span)?;
        let mut fields = Fields::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                self.close(span);
                return Ok(Value::Object(fields.into_map()));
            }
            if is_merge_key(&event) {
                let (event, value_span) = self.next()?;
                let value = self.node(event, value_span, depth)?;
                fields.merge(value, span)?;
                continue;
            }
            let key = self.node(event, span, depth)?;
            let key = key_text(key, span)?;
            let (event, value_span) = self.next()?;
            let parent = self.enter(&key, span);
            let value = self.node(event, value_span, depth)?;
            self.pointer.truncate(parent);
            fields.insert(key, value, span)?;
        }
    }

    /// Notes the end of a collection; a block collection has no end token, and its parts have noted theirs.
    fn close(&mut self, span: Span) {
        let end = byte(span.end);
        if span.start.index() < span.end.index() && end > self.content_end {
            self.content_end = end;
        }
    }

    /// Goes to a child, notes where it stands, and returns how to come back.
    fn enter(&mut self, token: &str, span: Span) -> usize {
        let parent = self.pointer.len();
        if self.locations.is_some() {
            self.pointer.push('/');
            self.pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
            self.place(line(span.start), column(span.start));
        }
        parent
    }

    fn place(&mut self, line: u32, column: u32) {
        if let Some(locations) = &mut self.locations {
            locations.insert(&self.pointer, (line, column));
        }
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Value, YamlError> {
    let not_finite = || error(span.start, format!("`{text}` has no JSON form"));
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => resolve(&text).ok_or_else(not_finite),
            _ => Ok(Value::String(text.into_owned())),
        };
    };
    let suffix = tag.core_suffix();
    if suffix == Some("str") {
        return Ok(Value::String(text.into_owned()));
    }
    let value = resolve(&text).ok_or_else(not_finite)?;
    match (suffix, &value) {
        (Some("int"), Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(value),
        (Some("float"), Value::Number(_)) | (Some("bool"), Value::Bool(_)) | (Some("null"), Value::Null) => Ok(value),
        (Some(kind @ ("int" | "float" | "bool" | "null")), _) => {
            Err(error(span.start, format!("expected {kind} behind the tag, found `{text}`")))
        }
        _ => Err(unknown_tag(tag, span)),
    }
}

fn expect_tag(tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), YamlError> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(expected) => Err(unknown_tag(tag, span)),
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, span: Span) -> YamlError {
    let message = format!("the tag `{}` has no JSON form here", tag.original());
    error(span.tag_start().unwrap_or(span.start), message)
}

fn check_depth(depth: usize, span: Span) -> Result<(), YamlError> {
    if depth > MAX_DEPTH {
        return Err(too_deep(span.start));
    }
    Ok(())
}

fn too_deep(at: Marker) -> YamlError {
    error(at, format!("nested deeper than {MAX_DEPTH} levels"))
}

/// About how many bytes a copy of the value takes.
fn size(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
        }
}

impl From<ScanError> for YamlError {
    fn from(scan: ScanError) -> Self {
        match scan.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(*scan.marker()),
            _ => error(*scan.marker(), scan.info()),
        }
    }
}

pub(super) fn error(at: Marker, message: impl Into<String>) -> YamlError {
    YamlError { line: line(at), column: column(at), message: message.into(), hint: None }
}

fn byte(at: Marker) -> usize {
    at.byte_offset().unwrap_or_default()
}

fn line(at: Marker) -> u32 {
    u32::try_from(at.line().max(1)).unwrap_or(u32::MAX)
}

fn column(at: Marker) -> u32 {
    u32::try_from(at.col() + 1).unwrap_or(u32::MAX)
}
