//! What is known of the containers of a sidecar before there is any pod.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::super::sidecar::Sidecar;
use crate::expression::Scope;
use crate::expression::template::{Condition, Template};

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
    known: Constants,
}

impl<'v> Version<'v> {
    pub(in super::super) fn all(sidecar: &'v Sidecar, settings: &Value) -> Vec<Self> {
        let read = |(pointer, parts): (&'static str, &'v Map<String, Value>)| Self {
            pointer,
            inject: parts.get("inject"),
            known: Constants::new(settings, &sidecar.name, parts),
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
        match fixed.map_or(Leaf::Missing, |fixed| self.known.leaf(fixed, path)) {
            Leaf::Missing => match path.split_first() {
                Some((first, rest)) => {
                    container.get(*first).map_or(Leaf::Missing, |value| self.known.leaf(value, rest))
                }
                None => Leaf::Missing,
            },
            found => found,
        }
    }
}

/// Names whose values are the same for every pod of a member.
struct Constants {
    values: Map<String, Value>,
    definitions: Vec<(String, Value)>,
}

/// Every name that any expression of a sidecar may have.
const NAMES: [&str; 13] = [
    "cluster",
    "federation",
    "vars",
    "sidecar",
    "pod",
    "workload",
    "namespace",
    "applications",
    "handlers",
    "let",
    "overrides",
    "container",
    "handler",
];

impl Scope for Constants {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn known_field(&self, name: &str, field: &str) -> Option<&Value> {
        let defined = (name == "let").then(|| self.definitions.iter().find(|(one, _)| one == field));
        defined.flatten().map(|(_, value)| value)
    }
}

impl Constants {
    fn new(settings: &Value, sidecar: &str, parts: &Map<String, Value>) -> Self {
        let mut values = Map::new();
        for (name, key) in [("cluster", "cluster"), ("federation", "federation"), ("vars", "variables")] {
            values.insert(name.to_owned(), settings.get(key).cloned().unwrap_or_else(|| json!({})));
        }
        let version = parts.get("version").and_then(Value::as_str).unwrap_or("0");
        values.insert("sidecar".to_owned(), json!({"name": sidecar, "version": version}));
        let mut known = Self { values, definitions: Vec::new() };
        let lists = [settings.get("let"), parts.get("let")];
        for definition in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let name = definition.get("name").and_then(Value::as_str);
            let value = definition.get("value").and_then(|value| known.constant(value));
            if let (Some(name), Some(value)) = (name, value) {
                known.definitions.push((name.to_owned(), value));
            }
        }
        known
    }

    /// The value of a template that hangs on nothing else.
    fn constant(&self, value: &Value) -> Option<Value> {
        Template::compile(value, &NAMES, self).ok()?.constant().cloned()
    }

    /// Whether a condition is not certain to fail.
    fn may_hold(&self, condition: &Value) -> bool {
        Condition::compile(condition, &NAMES, self).map_or(true, |condition| condition.constant() != Some(false))
    }

    /// Whether a condition is certain to hold.
    fn must_hold(&self, condition: &Value) -> bool {
        Condition::compile(condition, &NAMES, self).is_ok_and(|condition| condition.constant() == Some(true))
    }

    fn leaf<'v>(&self, value: &'v Value, path: &[&str]) -> Leaf<'v> {
        match (value, path.split_first()) {
            (Value::Null, _) => Leaf::Missing,
            (Value::Object(map), Some((key, rest))) => match map.get(*key) {
                Some(value) => self.leaf(value, rest),
                None => Leaf::Missing,
            },
            (Value::String(_), Some(_)) | (_, None) => match self.constant(value) {
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
}

fn pointer(path: &[&str]) -> String {
    path.iter().flat_map(|key| ["/", key]).collect()
}
