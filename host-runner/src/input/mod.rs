//! What a command reads: files, folders, patterns or standard input, as YAML or JSON, one object after the other.
//!
//! YAML is read whole, because unchanged documents keep their bytes and a later document may be the Namespace of an
//! earlier one. JSON is read value by value, and a `List` that is larger than any object can be item by item, so a stream
//! of any length needs the memory of its largest value.
//! Refused with file, line and column: whatever is not valid in its format. Nothing is guessed.

mod json;
mod namespaces;
mod objects;
mod source;

pub use json::{JsonObjects, LargeLists, Located};
pub use namespaces::{NamespaceLabels, Namespaces};
pub use objects::visit;
pub use source::{Format, InputError, Source, Syntax, YamlText, expand};
