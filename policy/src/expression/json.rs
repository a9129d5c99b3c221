//! JSON text of strangers as a value: of bounded depth, and with every value paid for.
//!
//! `serde_json` counts the depth too, but has names of its own for keys (with `raw_value`) behind which it parses text in
//! text and counts anew. This reader knows none of them but the one that numbers come with, and there only takes a number.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Budget;

/// Lists and maps inside of each other, at most.
const MAX_DEPTH: usize = 64;

/// `serde_json` hands a number over as a map with this key, because numbers keep their text (`arbitrary_precision`).
pub(crate) const NUMBER: &str = "$serde_json::private::Number";

/// Why a text has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// The budget is spent.
    Cost,
    /// It is no JSON, or nested too deep.
    Text(String),
}

/// Reads a whole text. A unit of the budget for each value, and what the text costs.
pub(crate) fn read(text: &str, budget: &mut Budget) -> Result<Value, JsonError> {
    budget.spend_text(text.len()).map_err(|_| JsonError::Cost)?;
    let mut spent = false;
    let mut deserializer = serde_json::Deserializer::from_slice(text.as_bytes());
    let value = deserializer.deserialize_any(Level { depth: 0, budget, spent: &mut spent });
    match value.and_then(|value| deserializer.end().map(|()| value)) {
        Err(_) if spent => Err(JsonError::Cost),
        other => other.map_err(|error| JsonError::Text(error.to_string())),
    }
}

/// A value with so many lists and maps around it.
struct Level<'b> {
    depth: usize,
    budget: &'b mut Budget,
    spent: &'b mut bool,
}

impl Level<'_> {
    fn pay<E: Error>(&mut self) -> Result<(), E> {
        self.budget.spend(1).map_err(|_| {
            *self.spent = true;
            E::custom("too much")
        })
    }

    /// The values inside of a list or map.
    fn below<E: Error>(&mut self) -> Result<Level<'_>, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Level { depth: self.depth + 1, budget: self.budget, spent: self.spent })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        self.pay()?;
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if key == NUMBER && map.is_empty() {
                let text = fields.next_value::<String>()?;
                return text.parse::<Number>().map(Value::Number).map_err(A::Error::custom);
            }
            let value = fields.next_value_seed(self.below()?)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.pay()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.below()?)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<Value, E> {
        self.pay()?;
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<Value, E> {
        self.pay()?;
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<Value, E> {
        self.pay()?;
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<Value, E> {
        self.pay()?;
        Ok(Value::from(value))
    }

    fn visit_unit<E: Error>(mut self) -> Result<Value, E> {
        self.pay()?;
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_text() {
        for text in [
            "null",
            "true",
            "-0",
            "1.10",
            "1e+400",
            "\"ä\"",
            "[]",
            "{}",
            r#"{"b":[1,{"a":"x"}],"a":null}"#,
            "18446744073709551616",
        ] {
            assert_eq!(read(text, &mut Budget::new(100)).unwrap().to_string(), text);
        }
    }

    #[test]
    fn no_key_leads_to_text_that_is_parsed_again() {
        let raw = r#"{"$serde_json::private::RawValue":"[1]"}"#;
        assert_eq!(read(raw, &mut Budget::new(100)).unwrap().to_string(), raw);
        let number = |text: &str| read(&format!(r#"{{"{NUMBER}":{text}}}"#), &mut Budget::new(100));
        assert_eq!(number(r#""1""#).unwrap(), Value::from(1));
        for text in [r#""[1]""#, "[1]", r#""""#, r#"{"x":1}"#] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        for text in ["", " ", "{", "[1,]", "nul", "1 2", "'a'", "{a:1}", "\"\\ud800\"", "NaN", "\u{feff}1"] {
            assert!(matches!(read(text, &mut Budget::new(100)), Err(JsonError::Text(_))), "{text}");
        }
    }

    #[test]
    fn depth_and_cost_have_an_end() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
            assert!(read(&nested(MAX_DEPTH), &mut Budget::new(1000)).is_ok());
            for depth in [MAX_DEPTH + 1, 1000, 100_000] {
                let Err(JsonError::Text(error)) = read(&nested(depth), &mut Budget::new(1_000_000)) else {
                    panic!("{depth} levels were read")
                };
                assert!(error.starts_with("nested deeper than 64"), "{error}");
            }
        }
        let many = format!("[{}0]", "0,".repeat(1000));
        assert_eq!(read(&many, &mut Budget::new(1000)), Err(JsonError::Cost));
        assert_eq!(read(&" ".repeat(100_000), &mut Budget::new(1000)), Err(JsonError::Cost));
        assert!(read(&many, &mut Budget::new(1200)).is_ok());
    }
}
