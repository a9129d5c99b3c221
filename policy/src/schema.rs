//! JSON Schemas (draft 2020-12) of what the readers read, so that editors complete and check.
//!
//! Each reader has its schema right below it, made with this builder, and a test compares the two key by key. They are
//! not made from one table: a reader that walks a table cannot say what it expected in the words of its place, and the
//! module would carry the table. A schema is about shapes; what hangs on a second value is for the reader to judge.

use serde_json::{Map, Value, json};

/// A schema under construction.
#[derive(Debug, Clone)]
pub(crate) struct Schema(Map<String, Value>);

/// A label as RFC 1123 has it: `is_dns_label`.
const DNS_LABEL: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// A text with an expression in it. `$${` is a dollar sign; the reader tells the two apart.
const EXPRESSION: &str = r"\$\{";

impl Schema {
    /// Whatever JSON can hold.
    pub(crate) fn any() -> Self {
        Self(Map::new())
    }

    /// An object with these keys and no others.
    pub(crate) fn object<const N: usize>(properties: [(&str, Self); N]) -> Self {
        let properties: Map<String, Value> =
            properties.into_iter().map(|(key, schema)| (key.to_owned(), schema.into_value())).collect();
        Self::of("object").with("properties", Value::Object(properties)).with("additionalProperties", json!(false))
    }

    /// The keys that must be there.
    pub(crate) fn requires(self, keys: &[&str]) -> Self {
        self.with("required", json!(keys))
    }

    /// Exactly one of these keys must be there.
    pub(crate) fn one_of(self, keys: &[&str]) -> Self {
        self.with("oneOf", keys.iter().map(|key| json!({"required": [key]})).collect())
    }

    /// The same object with further keys.
    pub(crate) fn and<const N: usize>(mut self, more: [(&str, Self); N]) -> Self {
        if let Some(Value::Object(properties)) = self.0.get_mut("properties") {
            properties.extend(more.into_iter().map(|(key, schema)| (key.to_owned(), schema.into_value())));
        }
        self
    }

    /// The same object with keys that somebody else knows.
    pub(crate) fn open(mut self) -> Self {
        self.0.shift_remove("additionalProperties");
        self
    }

    /// An object with keys of the user's choice.
    pub(crate) fn map_of(values: Self) -> Self {
        Self::of("object").with("additionalProperties", values.into_value())
    }

    /// A list.
    pub(crate) fn list_of(items: Self) -> Self {
        Self::of("array").with("items", items.into_value())
    }

    /// A list that is not empty.
    pub(crate) fn some_of(items: Self) -> Self {
        Self::list_of(items).with("minItems", json!(1))
    }

    /// A text.
    pub(crate) fn text() -> Self {
        Self::of("string")
    }

    /// A text that is not empty.
    pub(crate) fn filled() -> Self {
        Self::text().with("minLength", json!(1))
    }

    /// A text of this form (ECMA-262, as JSON Schema has it).
    pub(crate) fn pattern(pattern: &str) -> Self {
        Self::text().with("pattern", json!(pattern))
    }

    /// A name that can be part of a label's key.
    pub(crate) fn label() -> Self {
        Self::pattern(DNS_LABEL)
    }

    /// `true` or `false`.
    pub(crate) fn flag() -> Self {
        Self::of("boolean")
    }

    /// A whole number between two bounds, both included.
    pub(crate) fn integer(low: u64, high: u64) -> Self {
        Self::of("integer").with("minimum", json!(low)).with("maximum", json!(high))
    }

    /// A number.
    pub(crate) fn number() -> Self {
        Self::of("number")
    }

    /// This value and no other.
    pub(crate) fn only(value: &Value) -> Self {
        Self::any().with("const", value.clone())
    }

    /// One of the words that a reader chooses from.
    pub(crate) fn choice<T>(choices: &[(&str, T)]) -> Self {
        Self::word(choices.iter().map(|(word, _)| *word))
    }

    /// One of these words.
    pub(crate) fn word<'w>(words: impl IntoIterator<Item = &'w str>) -> Self {
        Self::any().with("enum", words.into_iter().collect())
    }

    /// A quantity of Kubernetes.
    pub(crate) fn quantity() -> Self {
        Self::either([
            Self::pattern(r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$"),
            Self::number(),
        ])
    }

    /// A duration as Go writes it.
    pub(crate) fn duration() -> Self {
        Self::pattern(r"^(0|([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$")
    }

    /// One of these.
    pub(crate) fn either<const N: usize>(schemas: [Self; N]) -> Self {
        Self::any().with("anyOf", schemas.into_iter().map(Self::into_value).collect())
    }

    /// The same, or a text with an expression that gives it.
    pub(crate) fn or_expression(self) -> Self {
        Self::either([self, Self::pattern(EXPRESSION)])
    }

    /// A condition.
    pub(crate) fn condition() -> Self {
        Self::flag().or_expression()
    }

    /// What editors show.
    pub(crate) fn says(self, description: &str) -> Self {
        self.with("description", json!(description))
    }

    /// The schema as JSON.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    fn of(kind: &str) -> Self {
        Self::any().with("type", json!(kind))
    }

    pub(crate) fn with(mut self, keyword: &str, value: Value) -> Self {
        self.0.insert(keyword.to_owned(), value);
        self
    }
}
