//! What is the same for every pod of a member that gets one version of a sidecar: the member's cluster and variables, the
//! federation, the sidecar, defaults of overrides, and definitions that hang on nothing else.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::expression::Scope;
use crate::expression::template::{Condition, Template};
use crate::settings::EVERY_VARIABLE;

/// The values of such names.
pub(super) struct Known<'s> {
    settings: &'s Value,
    sidecar: Value,
    /// Fields of `let` and `overrides`, of which the others are not known.
    fields: BTreeMap<(&'static str, String), Value>,
}

impl Scope for Known<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "cluster" | "federation" => self.settings.get(name),
            "vars" => self.settings.get("variables"),
            "sidecar" => Some(&self.sidecar),
            _ => None,
        }
    }

    fn known_field(&self, name: &str, field: &str) -> Option<&Value> {
        let name = ["let", "overrides"].into_iter().find(|one| *one == name)?;
        self.fields.get(&(name, field.to_owned()))
    }
}

impl<'s> Known<'s> {
    /// For one version of a sidecar with its own definitions. `settings` are those of the member.
    pub(super) fn new(
        settings: &'s Value,
        (sidecar, version): (&str, &str),
        overrides: impl IntoIterator<Item = (String, Value)>,
        definitions: Option<&Value>,
    ) -> Self {
        let fields = overrides.into_iter().map(|(name, default)| (("overrides", name), default)).collect();
        let mut known = Self { settings, sidecar: json!({"name": sidecar, "version": version}), fields };
        for list in [settings.get("let"), definitions] {
            for definition in list.and_then(Value::as_array).into_iter().flatten() {
                let value = definition.get("value").and_then(|value| known.constant(value));
                if let (Some(name), Some(value)) = (definition["name"].as_str(), value) {
                    known.fields.insert(("let", name.to_owned()), value);
                }
            }
        }
        known
    }

    /// Whether a definition has the same value for every pod.
    pub(super) fn defines(&self, name: &str) -> bool {
        self.fields.contains_key(&("let", name.to_owned()))
    }

    /// The value of a template that hangs on nothing else.
    pub(super) fn constant(&self, value: &Value) -> Option<Value> {
        Template::compile(value, &EVERY_VARIABLE, self).ok()?.constant().cloned()
    }

    /// Whether a condition is not certain to fail.
    pub(super) fn may_hold(&self, condition: &Value) -> bool {
        Condition::compile(condition, &EVERY_VARIABLE, self)
            .map_or(true, |condition| condition.constant() != Some(false))
    }

    /// Whether a condition is certain to hold.
    pub(super) fn must_hold(&self, condition: &Value) -> bool {
        Condition::compile(condition, &EVERY_VARIABLE, self).is_ok_and(|condition| condition.constant() == Some(true))
    }
}
