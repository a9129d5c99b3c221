//! What must hold for any bytes; shared by the fuzz targets and the plain test over the seeds.

use std::sync::OnceLock;

use fedcar_policy::expression::{Budget, Expression, Scope};
use fedcar_policy::protocol::{self, Namespaces, Prepared};
use serde_json::{Value, json};

struct Empty;

impl Scope for Empty {
    fn get(&self, _: &str) -> Option<&Value> {
        None
    }
}

impl Namespaces for Empty {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }
}

fn reply(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("every reply is JSON")
}

fn everything() -> &'static Prepared {
    static PREPARED: OnceLock<Prepared> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let settings = include_bytes!("seeds/settings/everything.json");
        protocol::prepare(settings).1.expect("the seed is valid")
    })
}

/// Bytes as the payload of `fedcar.admit` and of `validate`: an answer, and for a pod a stable one.
pub fn admit(bytes: &[u8]) {
    reply(&protocol::validate(bytes, &Empty));
    let first = protocol::admit(everything(), bytes);
    assert_eq!(first, protocol::admit(everything(), bytes), "same bytes, same answer");
    let first = reply(&first);
    assert!(matches!(first["verdict"].as_str(), Some("allowed" | "denied" | "fault")));
}

/// Bytes as settings: valid or with problems, and both operations agree.
pub fn settings(bytes: &[u8]) {
    let (told, prepared) = protocol::prepare(bytes);
    assert_eq!(reply(&told)["valid"] == true, prepared.is_some());
    assert_eq!(reply(&protocol::validate_settings(bytes))["valid"] == true, prepared.is_some());
    if let Some(prepared) = prepared {
        let pod = json!({"spec": {"containers": [{"name": "app", "image": "a"}]}});
        let payload = json!({"request": {"operation": "CREATE", "kind": {"group": "", "kind": "Pod"}, "object": pod}});
        reply(&protocol::admit(&prepared, payload.to_string().as_bytes()));
    }
}

/// Bytes as an expression: parsed or not, evaluated within its budget.
pub fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(expression) = Expression::parse(text) {
        let mut budget = Budget::new(100_000);
        let _ = expression.evaluate(&Empty, &mut budget);
    }
}

/// Bytes as the object to restore: a patch or a refusal.
pub fn restore(bytes: &[u8]) {
    let told = reply(&protocol::restore(bytes));
    assert!(told.get("patch").is_some() != told.get("refused").is_some());
}
