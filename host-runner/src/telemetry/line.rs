//! One log line from one event, safe to store and to print.
//!
//! Guarantees: one event is one line; no character in it is a control, a bidirectional override or otherwise invisible;
//! a value cannot look like another field; no value is longer than [`MAX_VALUE_BYTES`].
//!
//! This is not left to `tracing-subscriber`: in 0.3.23 its text formats print fields recorded with `%` as they are, and
//! line feeds in messages too, so that whoever chooses a value can write lines of his own. Its JSON format does not
//! escape C1 controls (U+009B starts a terminal sequence), writes a field called `level` as a second `level`, and
//! limits nothing.

use std::error::Error;
use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The most bytes of one value before they are escaped. A policy's message is a value like any other.
pub(super) const MAX_VALUE_BYTES: usize = 1_024;

/// What follows on a value that was cut.
const CUT: char = '…';

/// The fields that every line has. A field of an event that has one of these names gets the prefix `field.`.
pub(super) const FIELDS: [&str; 4] = ["timestamp", "level", "target", "message"];

const DIMMED: Style = Style::new().dimmed();

/// `2026-11-23T10:00:00.000000Z  INFO fedcar::server: listening address=127.0.0.1:8443`
pub(super) fn text(event: &Event<'_>, timestamp: &str, colour: bool) -> String {
    let fields = Fields::of(event);
    let (dimmed, level) = if colour { (DIMMED, style(event)) } else { (Style::new(), Style::new()) };
    let mut line = String::with_capacity(256);
    let metadata = event.metadata();
    // Writing to a `String` cannot fail, here and below.
    let _ = write!(line, "{dimmed}{timestamp}{dimmed:#} {level}{:>5}{level:#} ", metadata.level().as_str());
    let _ = write!(line, "{dimmed}{}:{dimmed:#}", metadata.target());
    if let Some(message) = &fields.message {
        line.push(' ');
        push_text(&mut line, message.as_str(), |character| character == ' ');
    }
    for (name, value) in &fields.others {
        let _ = write!(line, " {dimmed}{name}={dimmed:#}");
        push_text(&mut line, value.as_str(), |_| false);
    }
    line.push('\n');
    line
}

/// `{"timestamp":"2026-11-23T10:00:00.000000Z","level":"INFO","target":"fedcar::server","message":"listening",…}`
pub(super) fn json(event: &Event<'_>, timestamp: &str) -> String {
    let fields = Fields::of(event);
    let mut line = String::with_capacity(256);
    let metadata = event.metadata();
    let message = fields.message.as_ref().map_or("", Value::as_str);
    let first = FIELDS.into_iter().zip([timestamp, metadata.level().as_str(), metadata.target(), message]);
    for (index, (name, value)) in first.enumerate() {
        line.push(if index == 0 { '{' } else { ',' });
        push_json(&mut line, name);
        line.push(':');
        push_json(&mut line, value);
    }
    for (name, value) in &fields.others {
        line.push(',');
        if FIELDS.contains(name) {
            push_json(&mut line, &format!("field.{name}"));
        } else {
            push_json(&mut line, name);
        }
        line.push(':');
        match value {
            Value::Text(text) => push_json(&mut line, text),
            Value::Literal(literal) => line.push_str(literal),
        }
    }
    line.push_str("}\n");
    line
}

fn style(event: &Event<'_>) -> Style {
    match *event.metadata().level() {
        Level::ERROR => AnsiColor::Red.on_default().bold(),
        Level::WARN => AnsiColor::Yellow.on_default().bold(),
        Level::INFO => AnsiColor::Green.on_default(),
        Level::DEBUG => AnsiColor::Blue.on_default(),
        Level::TRACE => AnsiColor::Magenta.on_default(),
    }
}

/// The value as it is where nothing in it can be mistaken, else in quotation marks with escapes as in Rust.
fn push_text(line: &mut String, value: &str, also: fn(char) -> bool) {
    let bare =
        |character: char| also(character) || is_visible(character) && !matches!(character, ' ' | '=' | '"' | '\\');
    if !value.is_empty() && value.chars().all(bare) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for character in value.chars() {
        match character {
            '\'' => line.push('\''),
            _ => line.extend(character.escape_debug()),
        }
    }
    line.push('"');
}

/// A JSON string. Readers get the value as it was; on the way it is printable.
fn push_json(line: &mut String, value: &str) {
    line.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            _ if is_visible(character) => line.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
        }
    }
    line.push('"');
}

/// Whether a character is neither control nor format nor unassigned, by Rust's own table.
fn is_visible(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}

/// What an event holds.
#[derive(Default)]
struct Fields {
    message: Option<Value>,
    others: Vec<(&'static str, Value)>,
}

enum Value {
    /// Any text, cut to its limit and not yet escaped.
    Text(String),
    /// A number or truth value as JSON writes it.
    Literal(String),
}

impl Value {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Literal(text) => text,
        }
    }
}

impl Fields {
    fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }

    fn push(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = Some(value),
            name => self.others.push((name.strip_prefix("r#").unwrap_or(name), value)),
        }
    }

    fn push_display(&mut self, field: &Field, value: impl fmt::Display) {
        let mut short = Short::default();
        // Fails where the value is longer than its limit, which spares the rest of its formatting.
        let _ = write!(short, "{value}");
        self.push(field, Value::Text(short.0));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push_display(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push_display(field, value);
    }

    /// The error and its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut short = Short::default();
        let mut written = write!(short, "{value}");
        let mut cause = value.source();
        while let (Some(error), Ok(())) = (cause, written) {
            written = write!(short, ": {error}");
            cause = error.source();
        }
        self.push(field, Value::Text(short.0));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::Literal(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::Literal(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        self.push(field, if value.is_finite() { Value::Literal(text) } else { Value::Text(text) });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::Literal(value.to_string()));
    }
}

/// Text up to [`MAX_VALUE_BYTES`], and a mark where there was more.
#[derive(Default)]
struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let Some(room) = MAX_VALUE_BYTES.checked_sub(self.0.len()) else {
            return Err(fmt::Error);
        };
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        let (fits, _) = more.split_at(more.floor_char_boundary(room));
        self.0.push_str(fits);
        self.0.push(CUT);
        Err(fmt::Error)
    }
}
