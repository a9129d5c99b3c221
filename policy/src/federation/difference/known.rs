//! A sidecar in which everything has been put in that is known before any pod: variables, cluster, sidecar, constants.

use serde_json::{Map, Value, json};

use crate::expression::Scope;
use crate::expression::template::Template;
use crate::settings::VARIABLES;

/// What is known of a version of a sidecar in a member.
pub(super) struct Known {
    values: Map<String, Value>,
    definitions: Map<String, Value>,
}

impl Scope for Known {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn known_field(&self, name: &str, field: &str) -> Option<&Value> {
        (name == "let").then(|| self.definitions.get(field)).flatten()
    }
}

impl Known {
    /// For one version, whose own keys are `parts`. The revision is left out: it names the documents and says nothing.
    pub(super) fn new(settings: &Value, sidecar: &str, parts: &Value) -> Self {
        let part = |key: &str| settings.get(key).filter(|part| !part.is_null()).cloned().unwrap_or_else(|| json!({}));
        let mut federation = part("federation");
        if let Value::Object(federation) = &mut federation {
            federation.shift_remove("revision");
        }
        let version = parts.get("version").cloned().unwrap_or_else(|| json!("0"));
        let values = [
            ("cluster", part("cluster")),
            ("federation", federation),
            ("vars", part("variables")),
            ("sidecar", json!({"name": sidecar, "version": version})),
        ];
        let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut known = Self { values, definitions: Map::new() };
        for list in [settings.get("let"), parts.get("let")] {
            for definition in list.and_then(Value::as_array).into_iter().flatten() {
                let (Some(name), Some(value)) = (definition["name"].as_str(), definition.get("value")) else {
                    continue;
                };
                if let Some(value) = known.constant(value) {
                    known.definitions.insert(name.to_owned(), value);
                }
            }
        }
        known
    }

    /// Whether it is a definition with the same value for every pod.
    pub(super) fn is_constant(&self, definition: &str) -> bool {
        self.definitions.contains_key(definition)
    }

    /// The value with every text worked out that is the same for every pod.
    pub(super) fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.contains("${") => self.constant(value).unwrap_or_else(|| value.clone()),
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), self.resolve(value))).collect(),
            other => other.clone(),
        }
    }

    /// What the expressions that are left read of the member: `vars.NAME`, and `cluster`.
    pub(super) fn read_by(&self, resolved: &Value) -> Vec<(String, Value)> {
        let mut texts = Vec::new();
        expressions(resolved, &mut texts);
        let reads = |name: &str| texts.iter().any(|text| words(text).any(|word| word == name));
        let variables = self.values.get("vars").and_then(Value::as_object).filter(|_| reads("vars"));
        let variables = variables.into_iter().flatten().filter(|(name, _)| reads(name));
        let mut found: Vec<_> = variables.map(|(name, value)| (format!("vars.{name}"), value.clone())).collect();
        if let Some(cluster) = self.values.get("cluster").filter(|_| reads("cluster")) {
            found.push(("cluster".to_owned(), cluster.clone()));
        }
        found
    }

    fn constant(&self, value: &Value) -> Option<Value> {
        Template::compile(value, &VARIABLES, self).ok()?.constant().cloned()
    }
}

fn expressions<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::String(text) if text.contains("${") => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Object(map) => map.values().for_each(|item| expressions(item, found)),
        _ => {}
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !(character.is_alphanumeric() || character == '_' || character == '-'))
}
