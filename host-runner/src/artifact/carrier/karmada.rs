//! Karmada: one Work for each object and member.
//!
//! Not a `PropagationPolicy`: that carries an object of Karmada's own API server, where the objects of two members would be
//! one, and where webhooks and admission policies would act on everything that is created there. A Work is only carried.

use serde_json::{Value, json};

use super::{Steps, documents, metadata};

pub(super) fn file(Steps { member, steps }: &Steps<'_>) -> (String, String) {
    let objects = steps.iter().flat_map(|(_, objects)| objects);
    let works: Vec<Value> = objects.map(|object| work(&member.name, object)).collect();
    let comment = "# Apply it to Karmada's API server. Members have joined by the same names.\n";
    (format!("_karmada/{}.yaml", member.name), documents(comment, &works))
}

/// One object in one Work, as Karmada itself makes them.
fn work(member: &str, object: &Value) -> Value {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = format!("{}-{}", text("/kind").to_ascii_lowercase(), text("/metadata/name"));
    json!({
        "apiVersion": "work.karmada.io/v1alpha1",
        "kind": "Work",
        "metadata": metadata(&name, &format!("karmada-es-{member}")),
        "spec": {"workload": {"manifests": [object]}},
    })
}
