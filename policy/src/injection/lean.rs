//! Reads an object without what no decision looks at: the managed fields, half of the text of a usual request.
//!
//! They are skipped while parsing, which costs a fraction of building them. Patches never touch them; whoever answers with
//! the whole object puts them back (`protocol::validate`).

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::expression::NUMBER;

/// `metadata.managedFields`.
pub(crate) const MANAGED_FIELDS: &str = "managedFields";

/// A value of any shape; an object's `metadata` loses its managed fields. Null is absent.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let value = deserializer.deserialize_any(Level::Object)?;
    Ok(Some(value).filter(|value| !value.is_null()))
}

/// Where in the object a value stands.
#[derive(Clone, Copy)]
enum Level {
    Object,
    Metadata,
    /// Anything below. Read here too: `serde_json` would take a map with its private key for raw text for a document of
    /// its own, with a depth limit of its own.
    Below,
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let value = match (self, key.as_str()) {
                (Self::Metadata, MANAGED_FIELDS) => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
                (_, NUMBER) if map.is_empty() => {
                    let text = fields.next_value::<String>()?;
                    return serde_json::from_slice(text.as_bytes()).map_err(A::Error::custom);
                }
                (Self::Object, "metadata") => fields.next_value_seed(Self::Metadata)?,
                _ => fields.next_value_seed(Self::Below)?,
            };
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self::Below)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lean(text: &str) -> serde_json::Result<Option<Value>> {
        deserialize(&mut serde_json::Deserializer::from_str(text))
    }

    #[test]
    fn only_the_managed_fields_are_gone() {
        let cases = [
            (
                r#"{"metadata":{"a":1.10,"managedFields":[{"f:x":{}}],"b":[2]},"spec":{"managedFields":1}}"#,
                r#"{"metadata":{"a":1.10,"b":[2]},"spec":{"managedFields":1}}"#,
            ),
            (
                r#"{"managedFields":[],"metadata":[{"managedFields":1}]}"#,
                r#"{"managedFields":[],"metadata":[{"managedFields":1}]}"#,
            ),
            (r#"{"spec":{"metadata":{"managedFields":1}}}"#, r#"{"spec":{"metadata":{"managedFields":1}}}"#),
            (
                r#"{"metadata":1e+400,"a":null,"b":true,"c":"\u00e4","d":-0}"#,
                r#"{"metadata":1e+400,"a":null,"b":true,"c":"ä","d":-0}"#,
            ),
            ("18446744073709551616", "18446744073709551616"),
            (
                r#"{"spec":[{"$serde_json::private::RawValue":"[1]"}]}"#,
                r#"{"spec":[{"$serde_json::private::RawValue":"[1]"}]}"#,
            ),
            ("[1,{\"x\":2}]", "[1,{\"x\":2}]"),
            ("\"text\"", "\"text\""),
        ];
        for (text, expected) in cases {
            assert_eq!(lean(text).unwrap().unwrap().to_string(), expected, "{text}");
        }
        assert_eq!(lean("null").unwrap(), None);
        assert!(lean(r#"{"metadata":{"managedFields":[}}"#).is_err(), "what is skipped has to be JSON too");
    }
}
