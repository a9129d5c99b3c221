//! What is known of the containers of a sidecar before there is any pod.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::super::known::Known;
use super::super::sidecar::Sidecar;

/// What a document says at a place of a container.
pub(in super::super) enum Leaf<'v> {
    Missing,
    /// The same for every pod.
    Known(Cow<'v, Value>),
    /// An expression makes it for each pod.
    Depends,
}

impl Leaf<'_> {
    /// The text, where it is one that is known.
    pub(in super::super) fn text(&self) -> Option<&str> {
        let Self::Known(value) = self else { return None };
        value.as_str()
    }

    /// The texts of a known list.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        let Self::Known(value) = self else { return None };
        value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    }
}

/// One version of a sidecar, with what is known of the member.
pub(in super::super) struct Version<'v> {
    /// Its place in the document.
    pub(super) pointer: &'static str,
    inject: Option<&'v Value>,
    known: Known<'v>,
}

impl<'v> Version<'v> {
    pub(in super::super) fn all(sidecar: &'v Sidecar, settings: &'v Value) -> Vec<Self> {
        let read = |(pointer, parts): (&'static str, &'v Map<String, Value>)| Self {
            pointer,
            inject: parts.get("inject"),
            known: Known::new(settings, (&sidecar.name, version_of(parts)), [], parts.get("let")),
        };
        sidecar.versions().map(read).collect()
    }

    /// The containers that are not certain to be left out, by their positions.
    pub(in super::super) fn containers(&self) -> impl Iterator<Item = (usize, &'v Map<String, Value>)> {
        let containers = self.inject.and_then(|inject| inject.get("containers")?.as_array()).into_iter().flatten();
        let objects = containers.enumerate().filter_map(|(index, one)| Some((index, one.as_object()?)));
        objects.filter(|(_, container)| container.get("when").is_none_or(|when| self.known.may_hold(when)))
    }

    /// Whether a container is there in every pod that gets the sidecar, and once.
    pub(super) fn is_certain(&self, container: &Map<String, Value>) -> bool {
        let is_said = |key: &str| container.get(key).is_some_and(|value| !value.is_null());
        !is_said("forEach") && container.get("when").is_none_or(|when| self.known.must_hold(when))
    }

    /// What a container says at a place; what is `fixed` stands whatever else is said.
    pub(in super::super) fn leaf(&self, container: &'v Map<String, Value>, path: &[&str]) -> Leaf<'v> {
        let fixed = container.get("fixed").filter(|fixed| !fixed.is_null());
        match fixed.map_or(Leaf::Missing, |fixed| leaf(&self.known, fixed, path)) {
            Leaf::Missing => match path.split_first() {
                Some((first, rest)) => {
                    container.get(*first).map_or(Leaf::Missing, |value| leaf(&self.known, value, rest))
                }
                None => Leaf::Missing,
            },
            found => found,
        }
    }
}

fn leaf<'v>(known: &Known<'_>, value: &'v Value, path: &[&str]) -> Leaf<'v> {
    match (value, path.split_first()) {
        (Value::Null, _) => Leaf::Missing,
        (Value::Object(map), Some((key, rest))) => match map.get(*key) {
            Some(value) => leaf(known, value, rest),
            None => Leaf::Missing,
        },
        (Value::String(_), Some(_)) | (_, None) => match known.constant(value) {
            None => Leaf::Depends,
            Some(found) => match found.pointer(&pointer(path)).filter(|found| !found.is_null()) {
                Some(found) => Leaf::Known(Cow::Owned(found.clone())),
                None => Leaf::Missing,
            },
        },
        // The settings' own check says that this is no object.
        (_, Some(_)) => Leaf::Missing,
    }
}

fn version_of(parts: &Map<String, Value>) -> &str {
    parts.get("version").and_then(Value::as_str).unwrap_or("0")
}

fn pointer(path: &[&str]) -> String {
    path.iter().flat_map(|key| ["/", key]).collect()
}
