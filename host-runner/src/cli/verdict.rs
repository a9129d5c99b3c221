//! What a person is told about an answer of the policy module.

use fedcar_policy::injection::FaultCode;
use serde_json::Value;

use super::exit::Exit;
use super::talk::Talk;
use crate::admission::{AdmitReply, Report};

/// `deployment/checkout (shop): injected otel-agent; skipped redis-cache (the pod says no)`.
pub(super) fn summary(report: &Report) -> String {
    let injected: Vec<&str> = report
        .sidecars
        .iter()
        .filter(|sidecar| sidecar.result == "injected")
        .map(|sidecar| sidecar.name.as_str())
        .collect();
    let others = report
        .sidecars
        .iter()
        .filter(|sidecar| sidecar.result != "injected")
        .map(|sidecar| format!("{} {} ({})", sidecar.result, sidecar.name, sidecar.sentence));
    let injected = (!injected.is_empty()).then(|| format!("injected {}", injected.join(", ")));
    let parts: Vec<String> = injected.into_iter().chain(others).collect();
    format!("{}: {}", title(report), parts.join("; "))
}

/// `deployment/checkout (shop)`.
pub(super) fn title(report: &Report) -> String {
    let kind = report.kind.to_ascii_lowercase();
    if report.namespace.is_empty() {
        format!("{kind}/{}", report.name)
    } else {
        format!("{kind}/{} ({})", report.name, report.namespace)
    }
}

/// The same of an object without a report.
pub(super) fn name(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default().to_ascii_lowercase();
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName")).or_else(|| text("/request/name"));
    format!("{kind}/{}", name.unwrap_or("?"))
}

/// The module's own words, else its code.
pub(super) fn message(reply: &AdmitReply) -> &str {
    reply.message.as_deref().unwrap_or(&reply.code)
}

/// Says that there is no decision, and whose fault that is.
pub(super) fn fault(reply: &AdmitReply, object: &Value, place: &str, talk: Talk) -> Exit {
    talk.error(format_args!("{place}: no decision on {}: {}", name(object), message(reply)));
    match FaultCode::ALL.iter().find(|known| known.code() == reply.code) {
        Some(FaultCode::NamespaceUnknown) => {
            talk.hint("put the Namespace into the input, or name its labels with --namespace-labels NAME:key=value");
            Exit::BadInput
        }
        Some(FaultCode::BadRequest | FaultCode::BadObject) => Exit::BadInput,
        Some(FaultCode::BadSettings) | None => Exit::Fault,
    }
}
