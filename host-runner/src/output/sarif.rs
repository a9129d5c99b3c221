//! SARIF 2.1.0, as far as this program writes it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// What a path may hold in a URI besides letters and digits (RFC 3986).
const IN_PATHS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A document with one run.
pub(crate) fn document(rules: &[Value], results: &[Value]) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "fedcar", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A place in a file, with line and column where these are known.
pub(crate) fn location(file: &str, position: Option<(u32, u32)>) -> Value {
    let uri = utf8_percent_encode(file, IN_PATHS).to_string();
    let mut place = json!({"artifactLocation": {"uri": uri}});
    if let (Some((line, column)), Some(place)) = (position, place.as_object_mut()) {
        place.insert("region".to_owned(), json!({"startLine": line, "startColumn": column}));
    }
    json!({"physicalLocation": place})
}
