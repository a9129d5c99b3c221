//! Is what a Sidecar injects something that Kubernetes knows?
//!
//! Each fragment is decoded into the type of the Kubernetes API, encoded again and compared: a key that does not come
//! back is misspelt, a key that comes back without having been there is missing. Only documents are treated so; an
//! object of a user never goes through a type, because that would drop the fields that the type does not know.
//!
//! What an expression will give is not known here, so a place that holds one may be of any type.

mod shape;

use std::collections::BTreeMap;

use fedcar_policy::read::{Problem, child, describe, did_you_mean};
use fedcar_policy::settings::OWN_CONTAINER_KEYS;
use k8s_openapi::api::core::v1::{
    Container, EnvFromSource, EnvVar, Lifecycle, LifecycleHandler, PodSpec, Probe, Volume, VolumeMount,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Number, Value, json};
use serde_path_to_error::{Path, Segment};

use shape::shape_at;

k8s_openapi::k8s_if_1_37! {
    /// The version of Kubernetes whose fields are known; it follows the feature of `k8s-openapi` in Cargo.toml.
    const KUBERNETES: &str = "1.37";
}

/// Checks every fragment of a Sidecar document: of this version, and of the one that a rollout replaces.
pub fn check(sidecar: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    for place in ["/spec/inject", "/spec/rollout/previous/inject"] {
        if let Some(inject) = sidecar.pointer(place) {
            check_inject(inject, place, &mut problems);
        }
    }
    problems
}

fn check_inject(inject: &Value, at: &str, problems: &mut Vec<Problem>) {
    check_items::<Container>(inject, at, "containers", problems);
    for (index, container) in inject.get("containers").and_then(Value::as_array).into_iter().flatten().enumerate() {
        check_field::<Container>(container, &format!("{at}/containers/{index}"), "fixed", problems);
    }
    check_items::<Volume>(inject, at, "volumes", problems);
    check_field::<BTreeMap<String, String>>(inject, at, "labels", problems);
    check_field::<BTreeMap<String, String>>(inject, at, "annotations", problems);
    check_field::<PodSpec>(inject, at, "pod", problems);
    let applications = inject.get("applications").and_then(Value::as_array);
    for (index, application) in applications.into_iter().flatten().enumerate() {
        let at = format!("{at}/applications/{index}");
        check_items::<EnvVar>(application, &at, "env", problems);
        check_items::<EnvFromSource>(application, &at, "envFrom", problems);
        check_items::<VolumeMount>(application, &at, "volumeMounts", problems);
        check_field::<Lifecycle>(application, &at, "lifecycle", problems);
        check_field::<Container>(application, &at, "set", problems);
        let rewrites = application.get("handlers").and_then(Value::as_array);
        for (index, rewrite) in rewrites.into_iter().flatten().enumerate() {
            let at = format!("{at}/handlers/{index}");
            // Each type knows a handler that the other does not.
            match rewrite.pointer("/to/grpc") {
                Some(_) => check_field::<Probe>(rewrite, &at, "to", problems),
                None => check_field::<LifecycleHandler>(rewrite, &at, "to", problems),
            }
        }
    }
}

/// Checks each item of a list; that it is a list is for the settings' own check to say.
fn check_items<T: DeserializeOwned + Serialize>(parent: &Value, at: &str, key: &str, problems: &mut Vec<Problem>) {
    let items = parent.get(key).and_then(Value::as_array);
    for (index, item) in items.into_iter().flatten().enumerate() {
        if item.is_object() {
            let mut item = for_kubernetes(item, true);
            if let Value::Object(fields) = &mut item {
                let own = if key == "containers" { &OWN_CONTAINER_KEYS[..] } else { &["position"][..] };
                fields.retain(|name, _| !own.contains(&name.as_str()));
            }
            Fragment::new(format!("{at}/{key}/{index}"), item).check::<T>(problems);
        }
    }
}

fn check_field<T: DeserializeOwned + Serialize>(parent: &Value, at: &str, key: &str, problems: &mut Vec<Problem>) {
    if let Some(value) = parent.get(key).filter(|value| value.is_object()) {
        let mut value = for_kubernetes(value, false);
        // The one field that such an object must have and that has a place of its own in a Sidecar.
        match (&mut value, key) {
            (Value::Object(fields), "pod") => drop(fields.entry("containers").or_insert_with(|| json!([]))),
            (Value::Object(fields), "set" | "fixed") => drop(fields.entry("name").or_insert_with(|| json!("any"))),
            _ => {}
        }
        Fragment::new(format!("{at}/{key}"), value).check::<T>(problems);
    }
}

/// The value without the keys that fedcar gives to list items and without nulls, which count as missing.
///
/// Fractions become the nearest `f64`: `serde_json` would otherwise hand their text over as a map.
fn for_kubernetes(value: &Value, is_item: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let ours = |key: &str| is_item && ["when", "forEach", "as"].contains(&key);
            let kept = fields.iter().filter(|(key, value)| !value.is_null() && !ours(key));
            Value::Object(kept.map(|(key, value)| (key.clone(), for_kubernetes(value, false))).collect())
        }
        Value::Array(items) => items.iter().map(|item| for_kubernetes(item, true)).collect(),
        Value::Number(number) if !number.is_i64() && !number.is_u64() => {
            number.as_f64().and_then(Number::from_f64).map_or_else(|| value.clone(), Value::Number)
        }
        other => other.clone(),
    }
}

/// A part of a document that should be of one type of the Kubernetes API.
struct Fragment {
    /// Where it stands in the document.
    at: String,
    value: Value,
    /// Places below it that are not judged further: they hold an expression, or have been reported.
    settled: Vec<String>,
}

impl Fragment {
    fn new(at: String, value: Value) -> Self {
        Self { at, value, settled: Vec::new() }
    }

    fn check<T: DeserializeOwned + Serialize>(mut self, problems: &mut Vec<Problem>) {
        let typed = loop {
            match serde_path_to_error::deserialize::<_, T>(&self.value) {
                Ok(typed) => break typed,
                Err(error) => {
                    let place = pointer(error.path());
                    if !self.settle::<T>(&place, &error.into_inner().to_string(), problems) {
                        return;
                    }
                }
            }
        };
        if let Ok(encoded) = serde_json::to_value(typed) {
            self.compare::<T>(&mut Vec::new(), &self.value, &encoded, problems);
        }
    }

    /// Reports a place that does not decode, unless it holds an expression, and puts something there that does, so that
    /// the rest can be judged. False where nothing fits.
    fn settle<T: DeserializeOwned>(&mut self, place: &str, error: &str, problems: &mut Vec<Problem>) -> bool {
        let Some(found) = self.value.pointer(place) else { return false };
        if !holds_expression(found) {
            problems.push(mismatch(format!("{}{place}", self.at), found, error));
        }
        self.settled.push(place.to_owned());
        [json!(null), json!({}), json!([]), json!(""), json!(0), json!(false)].into_iter().any(|stand_in| {
            if let Some(slot) = self.value.pointer_mut(place) {
                *slot = stand_in;
            }
            let decoded = serde_path_to_error::deserialize::<_, T>(&self.value);
            decoded.map_or_else(|error| pointer(error.path()) != place, |_| true)
        })
    }

    /// Reports keys that did not come back from the type `T`, and keys that came back without having been there.
    fn compare<T: DeserializeOwned>(
        &self,
        path: &mut Vec<String>,
        written: &Value,
        encoded: &Value,
        problems: &mut Vec<Problem>,
    ) {
        let place = path.iter().fold(String::new(), |parent, token| child(&parent, token));
        if self.settled.contains(&place) {
            return;
        }
        match (written, encoded) {
            (Value::Object(written), Value::Object(encoded)) => {
                let at = format!("{}{place}", self.at);
                for (key, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                    if let Some(encoded) = encoded.get(key) {
                        path.push(key.clone());
                        self.compare::<T>(path, value, encoded, problems);
                        path.pop();
                    } else {
                        problems.extend(unknown_field::<T>(path, key, child(&at, key)));
                    }
                }
                for key in encoded.keys().filter(|key| !written.contains_key(*key)) {
                    problems.push(Problem { pointer: at.clone(), message: format!("`{key}` is missing"), hint: None });
                }
            }
            (Value::Array(written), Value::Array(encoded)) => {
                for (index, (written, encoded)) in written.iter().zip(encoded).enumerate() {
                    path.push(index.to_string());
                    self.compare::<T>(path, written, encoded, problems);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// The problem of a key that is gone, unless its type has it and leaves it out where it is empty.
fn unknown_field<T: DeserializeOwned>(path: &[String], key: &str, pointer: String) -> Option<Problem> {
    let shape = shape_at::<T>(path);
    let fields = shape.map(|shape| shape.fields).unwrap_or_default();
    if fields.contains(&key) {
        return None;
    }
    let owner = shape.map(|shape| format!(" of {}", shape.name)).unwrap_or_default();
    let hint = did_you_mean(key, fields.iter().copied())
        .unwrap_or_else(|| format!("fedcar knows the fields of Kubernetes {KUBERNETES}"));
    Some(Problem { pointer, message: format!("unknown field{owner}"), hint: Some(hint) })
}

/// The problem of a value that is not of its type, from serde's words for it.
fn mismatch(pointer: String, found: &Value, error: &str) -> Problem {
    let expected = match error.rsplit_once(", expected ").map(|(_, expected)| expected) {
        None => return Problem { pointer, message: error.to_owned(), hint: None },
        Some("a string") => "text".to_owned(),
        Some("a boolean") => "true or false".to_owned(),
        Some("i32" | "i64") => "a whole number".to_owned(),
        Some("a sequence") => "a list".to_owned(),
        Some("a map") => "an object".to_owned(),
        Some("IntOrString") => "a whole number or text".to_owned(),
        Some("Quantity") => "a quantity".to_owned(),
        Some(name) => format!("an object ({name})"),
    };
    let hint = match found {
        Value::Number(_) | Value::Bool(_) if expected == "text" => Some(format!("put it in quotes: \"{found}\"")),
        Value::String(text) if expected == "a whole number" && text.parse::<i64>().is_ok() => {
            Some("leave out the quotes".to_owned())
        }
        _ => None,
    };
    Problem { pointer, message: format!("expected {expected}, found {}", describe(found)), hint }
}

/// Is this text that an expression makes a value of another type from?
fn holds_expression(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("${"))
}

fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |parent, segment| match segment {
        Segment::Seq { index } => format!("{parent}/{index}"),
        Segment::Map { key } => child(&parent, key),
        Segment::Enum { .. } | Segment::Unknown => parent,
    })
}

#[cfg(test)]
mod tests;
