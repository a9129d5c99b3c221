//! Which fields does a type have at a path? Asked of the type itself, through its `Deserialize`.
//!
//! A type names its fields when it asks a deserializer for a struct. The one here follows the path through lists, maps
//! and structs, and answers where the path ends with an error that carries the names.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// The name of a struct and of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) fields: &'static [&'static str],
}

/// The struct at a path below `T`; none where there is a map, a list or a scalar.
pub(super) fn shape_at<T: DeserializeOwned>(path: &[String]) -> Option<Shape> {
    T::deserialize(Probe { path }).err()?.0
}

struct Probe<'p> {
    path: &'p [String],
}

/// Where the path has ended.
#[derive(Debug)]
struct End(Option<Shape>);

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path has ended")
    }
}

impl std::error::Error for End {}

impl Error for End {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

impl<'p> Probe<'p> {
    fn step(&self) -> Option<Step<'p>> {
        let (token, path) = self.path.split_first()?;
        Some(Step { token: Some(token), path })
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = End;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, End> {
        visitor.visit_map(self.step().ok_or(End(Some(Shape { name, fields })))?)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        visitor.visit_map(self.step().ok_or(End(None))?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        visitor.visit_seq(self.step().ok_or(End(None))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, End> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, End> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, End> {
        Err(End(None))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct enum identifier ignored_any
    }
}

/// The one entry or item that the path goes through.
struct Step<'p> {
    token: Option<&'p str>,
    path: &'p [String],
}

impl<'de> MapAccess<'de> for Step<'_> {
    type Error = End;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, End> {
        let key = self.token.take().map(IntoDeserializer::<End>::into_deserializer);
        key.map(|key: StrDeserializer<'_, End>| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, End> {
        seed.deserialize(Probe { path: self.path })
    }
}

impl<'de> SeqAccess<'de> for Step<'_> {
    type Error = End;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, End> {
        self.token.take().map(|_| seed.deserialize(Probe { path: self.path })).transpose()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Container;

    use super::*;

    #[test]
    fn types_tell_their_fields() {
        for (path, expected) in [
            ("", Some("Container")),
            ("ports/0", Some("ContainerPort")),
            ("securityContext/capabilities", Some("Capabilities")),
            ("env/3/valueFrom/secretKeyRef", Some("SecretKeySelector")),
            ("resources/limits", None),
            ("resources/limits/cpu", None),
            ("image", None),
            ("nothing/below", None),
        ] {
            let path: Vec<String> = path.split('/').filter(|token| !token.is_empty()).map(str::to_owned).collect();
            assert_eq!(shape_at::<Container>(&path).map(|shape| shape.name), expected, "{path:?}");
        }
        let ports = shape_at::<Container>(&["ports".to_owned(), "0".to_owned()]).unwrap();
        assert_eq!(ports.fields, ["containerPort", "hostIP", "hostPort", "name", "protocol"]);
    }
}
