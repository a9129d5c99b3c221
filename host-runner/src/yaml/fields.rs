//! The fields of a mapping: keys as text, each once, and `<<` as kubectl merges it.

use std::collections::HashSet;

use granit_parser::{Event, ScalarStyle, Span};
use serde_json::{Map, Value};

use super::YamlError;
use super::compose::error;

/// The fields of a mapping under construction, and which of them came in by `<<`.
#[derive(Default)]
pub(super) struct Fields {
    map: Map<String, Value>,
    merged: HashSet<String>,
    has_merge_key: bool,
}

impl Fields {
    pub(super) fn into_map(self) -> Map<String, Value> {
        self.map
    }

    pub(super) fn insert(&mut self, key: String, value: Value, span: Span) -> Result<(), YamlError> {
        if self.map.contains_key(&key) && !self.merged.remove(&key) {
            return Err(error(span.start, format!("duplicate key `{key}`")));
        }
        self.map.insert(key, value);
        Ok(())
    }

    pub(super) fn merge(&mut self, value: Value, span: Span) -> Result<(), YamlError> {
        if std::mem::replace(&mut self.has_merge_key, true) {
            return Err(error(span.start, "duplicate key `<<`"));
        }
        let sources = match value {
            Value::Array(items) => items,
            other => vec![other],
        };
        for source in sources {
            let Value::Object(source) = source else {
                return Err(error(span.start, "expected an object or a list of objects behind `<<`"));
            };
            for (key, value) in source {
                if self.merged.contains(&key) {
                    continue;
                }
                if self.map.contains_key(&key) {
                    return Err(YamlError {
                        hint: Some("put `<<` before the keys that replace its own".to_owned()),
                        ..error(
                            span.start,
                            format!("`<<` would replace `{key}` when kubectl reads it, and keep it by the YAML rules"),
                        )
                    });
                }
                self.merged.insert(key.clone());
                self.map.insert(key, value);
            }
        }
        Ok(())
    }
}

pub(super) fn is_merge_key(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<")
}

/// The text that kubectl makes of a key.
pub(super) fn key_text(key: Value, span: Span) -> Result<String, YamlError> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(match number.as_f64() {
            Some(float) if number.as_i64().is_none() && number.as_u64().is_none() => float.to_string(),
            _ => number.to_string(),
        }),
        Value::Null => Err(error(span.start, "expected text as key, found nothing")),
        Value::Array(_) => Err(error(span.start, "expected text as key, found a list")),
        Value::Object(_) => Err(YamlError {
            hint: Some("a value that starts with `{{` must be quoted".to_owned()),
            ..error(span.start, "expected text as key, found an object")
        }),
    }
}
