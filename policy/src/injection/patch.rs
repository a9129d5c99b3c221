//! RFC 6902 operations, written as they happen.
//!
//! The value of an operation is serialised at once, while it is still at hand, so that neither a copy of it nor a
//! comparison of whole objects is needed for the answer.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// A JSON Patch in the making; serialises as the list of its operations.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Patch(Vec<Operation>);

#[derive(Debug, Serialize)]
struct Operation {
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
}

impl Patch {
    /// `replace` where something is there, else `add`: a new key, or an item put in front of the one at this index.
    pub(super) fn set(&mut self, path: &str, value: &Value, exists: bool) {
        let op = if exists { "replace" } else { "add" };
        // Writing a JSON value into memory cannot fail: its keys are text.
        if let Ok(value) = to_raw_value(value) {
            self.0.push(Operation { op, from: None, path: path.to_owned(), value: Some(value) });
        }
    }

    /// `remove`.
    pub(super) fn remove(&mut self, path: &str) {
        self.0.push(Operation { op: "remove", from: None, path: path.to_owned(), value: None });
    }

    /// `move`.
    pub(super) fn relocate(&mut self, from: &str, path: &str) {
        self.0.push(Operation { op: "move", from: Some(from.to_owned()), path: path.to_owned(), value: None });
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }
}
