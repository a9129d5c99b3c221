//! Probes and lifecycle handlers: what leads to a container from outside, as records that expressions can read.

use serde_json::{Map, Value, json};

use crate::settings::{HANDLER_KINDS, HandlerOf};

/// A probe or lifecycle handler of a container, and the record of it.
pub(super) struct Handler<'c> {
    pub(super) of: HandlerOf,
    pub(super) kind: &'static str,
    /// The whole probe, or the lifecycle handler.
    pub(super) probe: &'c Value,
    /// `{container, init, of, kind, port, action, probe}`, as expressions see it.
    pub(super) record: Value,
}

/// The probes and lifecycle handlers of one container.
///
/// `port` of a record is a number: a named port is looked up among the container's own, as the kubelet does (kubernetes:
/// `pkg/probe/util.go`), and absent where it is not there.
pub(super) fn of_container<'c>(name: &str, container: &'c Value, init: bool) -> impl Iterator<Item = Handler<'c>> {
    let found = HandlerOf::ALL.into_iter().filter_map(|of| Some((of, find(container, of)?)));
    found.filter_map(move |(of, probe)| {
        let (kind, action) = handler(probe)?;
        let mut record = json!({"container": name, "init": init, "of": of.name(), "kind": kind, "probe": probe});
        let fields = record.as_object_mut()?;
        let mut action = action.clone();
        let port = action.get("port").and_then(|port| number(container, port));
        if let (Some(port), Some(action)) = (port, action.as_object_mut()) {
            fields.insert("port".to_owned(), Value::from(port));
            action.insert("port".to_owned(), Value::from(port));
        }
        fields.insert("action".to_owned(), action);
        Some(Handler { of, kind, probe, record })
    })
}

/// The probe or lifecycle handler with another action in the place of its own.
pub(super) fn rewritten(probe: &Value, to: Map<String, Value>) -> Value {
    let Some(probe) = probe.as_object() else { return Value::Object(to) };
    let rest = probe.iter().filter(|(key, _)| !HANDLER_KINDS.contains(&key.as_str()));
    Value::Object(rest.map(|(key, value)| (key.clone(), value.clone())).chain(to).collect())
}

/// The probe or lifecycle handler of a container.
fn find(container: &Value, of: HandlerOf) -> Option<&Value> {
    of.path().iter().try_fold(container, |value, key| value.get(key)).filter(|probe| probe.is_object())
}

fn handler(probe: &Value) -> Option<(&'static str, &Value)> {
    HANDLER_KINDS.iter().find_map(|kind| Some((*kind, probe.get(kind).filter(|action| action.is_object())?)))
}

fn number(container: &Value, port: &Value) -> Option<u64> {
    let named = |name: &str| {
        let ports = container.get("ports")?.as_array()?;
        ports.iter().find(|one| one.get("name").is_some_and(|found| found == name))?.get("containerPort")?.as_u64()
    };
    match port {
        Value::Number(number) => number.as_u64(),
        // A number in quotes counts as that number there.
        Value::String(name) => named(name).or_else(|| name.parse().ok()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_know_the_number_of_a_named_port() {
        let container = json!({
            "ports": [{"name": "http", "containerPort": 8080}],
            "livenessProbe": {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 3},
            "readinessProbe": {"tcpSocket": {"port": "gone"}},
            "startupProbe": {"exec": {"command": ["true"]}},
            "lifecycle": {"preStop": {"httpGet": {"port": "9090"}}, "postStart": 7, "stopSignal": "SIGTERM"},
        });
        let records: Vec<Value> = of_container("app", &container, false).map(|one| one.record).collect();
        let told = |index: usize| {
            let record = records.get(index).unwrap();
            (record["of"].as_str().unwrap(), record["kind"].as_str().unwrap(), record.get("port").cloned())
        };
        assert_eq!(records.len(), 4);
        assert_eq!(told(0), ("livenessProbe", "httpGet", Some(json!(8080))));
        assert_eq!(told(1), ("readinessProbe", "tcpSocket", None));
        assert_eq!(told(2), ("startupProbe", "exec", None));
        assert_eq!(told(3), ("preStop", "httpGet", Some(json!(9090))));
        assert_eq!(records[0]["action"], json!({"path": "/live", "port": 8080}));
        assert_eq!(records[0]["probe"]["periodSeconds"], 3);
    }

    #[test]
    fn what_is_no_handler_stays() {
        let probe = json!({"tcpSocket": {"port": 1}, "periodSeconds": 3, "unknown": {"a": 1}});
        let to = json!({"httpGet": {"port": 2}});
        let rewritten = rewritten(&probe, to.as_object().unwrap().clone());
        assert_eq!(rewritten, json!({"periodSeconds": 3, "unknown": {"a": 1}, "httpGet": {"port": 2}}));
    }
}
