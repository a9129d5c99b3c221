//! YAML in and out: what kubectl reads is what we read, and what we write kubectl reads back equal.
//!
//! kubectl reads YAML 1.1 in the dialect of goyaml.v2 (`yes` is true, `0644` is octal), so a YAML 1.2 reader would
//! decide on another object than the one the cluster gets. The parser underneath (granit-parser) turns text into
//! events; everything that gives them meaning is here. Numbers keep their source text where JSON can hold it.
//!
//! Refused, each with line and column: duplicate keys, nesting that the module could not take, aliases that multiply,
//! tags outside the core schema, and the few places where kubectl and the YAML specification disagree silently.

mod compose;
mod fields;
mod locations;
mod scalar;
mod write;

use std::ops::Range;

use serde_json::Value;

use self::compose::Composer;
pub use self::locations::Locations;
pub use self::write::write;

/// How deep lists and objects may nest, in either format that we read.
///
/// The module reads JSON with `serde_json`, which stops at 128 levels; a request wraps the object in two of them.
pub const MAX_DEPTH: usize = 120;

/// One document of a stream.
#[derive(Debug, Clone)]
pub struct Document {
    /// The document as JSON.
    pub value: Value,
    /// The bytes of its content in the input: from the start of its first line to the end of its last, without the
    /// separators and comments around it. It starts within a line only behind `--- `.
    pub range: Range<usize>,
    /// The line where the content starts, from 1.
    pub line: u32,
}

/// Why a text is not YAML that we read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What was expected and what was found.
    pub message: String,
    /// What to try instead.
    pub hint: Option<String>,
}

/// Reads every document that is not empty.
pub fn read(text: &str) -> Result<Vec<Document>, YamlError> {
    Composer::new(text).documents()
}

/// Reads every document that is not empty, and where each of its values stands.
pub fn read_located(text: &str) -> Result<Vec<(Document, Locations)>, YamlError> {
    Composer::new(text).located_documents()
}

#[cfg(test)]
mod tests;
