//! Would what we add pass the Pod Security level that the namespace enforces?
//!
//! The rules are those of the Pod Security Standards (`k8s.io/pod-security-admission/policy`), for what we add only: a
//! user's container that breaks them is refused by the API server itself, with its own words.

use serde_json::{Map, Value};

use super::draft::{Draft, Trace};
use super::pod::PodView;
use super::valid::list;

/// The namespace label that names the enforced level.
const ENFORCE_LABEL: &str = "pod-security.kubernetes.io/enforce";

/// An enforced level; `privileged` forbids nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Level {
    Baseline,
    Restricted,
}

/// Capabilities that `baseline` lets a container add.
pub(crate) const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Volume sources that `restricted` allows.
pub(crate) const RESTRICTED_VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

impl Level {
    /// The level that a namespace enforces, by its labels.
    pub(super) fn of(labels: Option<&Map<String, Value>>) -> Option<Self> {
        match labels?.get(ENFORCE_LABEL)?.as_str()? {
            "baseline" => Some(Self::Baseline),
            "restricted" => Some(Self::Restricted),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// What a level forbids in a container of ours.
pub(super) fn container_faults(
    level: Level,
    name: &str,
    container: &Map<String, Value>,
    pod: PodView<'_>,
) -> Vec<String> {
    let context = container.get("securityContext");
    let pod_context = pod.spec("securityContext");
    let own = |key: &str| context.and_then(|context| context.get(key)).filter(|value| !value.is_null());
    let either = |key: &str| own(key).or_else(|| pod_context.and_then(|context| context.get(key)));
    let capabilities = |key: &str| {
        let names = own("capabilities").and_then(|capabilities| capabilities.get(key)).and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>()
    };
    let seccomp = either("seccompProfile").and_then(|profile| profile.get("type")).and_then(Value::as_str);
    let added = capabilities("add");
    let mut broken = Vec::new();
    let mut rule = |broke: bool, what: &str| {
        if broke {
            broken.push(format!("container `{name}`: the namespace enforces `{}`, which {what}", level.name()));
        }
    };
    rule(own("privileged") == Some(&Value::Bool(true)), "forbids `privileged: true`");
    rule(
        added.iter().any(|one| !BASELINE_CAPABILITIES.contains(one)),
        "forbids capabilities beyond the container runtime's default",
    );
    rule(
        list(container, "ports")
            .iter()
            .any(|port| port.get("hostPort").and_then(Value::as_u64).is_some_and(|port| port > 0)),
        "forbids host ports",
    );
    rule(seccomp == Some("Unconfined"), "forbids `seccompProfile.type: Unconfined`");
    if level == Level::Restricted {
        rule(own("allowPrivilegeEscalation") != Some(&Value::Bool(false)), "wants `allowPrivilegeEscalation: false`");
        rule(either("runAsNonRoot") != Some(&Value::Bool(true)), "wants `runAsNonRoot: true`");
        rule(own("runAsUser").and_then(Value::as_u64) == Some(0), "forbids `runAsUser: 0`");
        rule(!matches!(seccomp, Some("RuntimeDefault" | "Localhost")), "wants `seccompProfile.type: RuntimeDefault`");
        rule(!capabilities("drop").contains(&"ALL"), "wants `capabilities.drop: [ALL]`");
        rule(added.iter().any(|one| *one != "NET_BIND_SERVICE"), "allows no capability but NET_BIND_SERVICE");
    }
    broken
}

/// What a level forbids in the volumes and pod fields that we have put in.
pub(super) fn pod_faults(level: Level, draft: &Draft) -> Vec<String> {
    let mut broken = Vec::new();
    for edit in draft.edits().iter().filter(|edit| matches!(edit.trace, Trace::Ours(_))) {
        let address = edit.address();
        // Finding a value takes looking through lists.
        if !["/spec/volumes/", "/spec/host"].iter().any(|place| address.starts_with(place)) {
            continue;
        }
        let Some(value) = edit.value(draft.pod()) else { continue };
        let what = if address.starts_with("/spec/volumes/") {
            let sources =
                value.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).filter(|key| *key != "name");
            let forbidden = |source: &str| match level {
                Level::Baseline => source == "hostPath",
                Level::Restricted => !RESTRICTED_VOLUMES.contains(&source),
            };
            sources.into_iter().find(|source| forbidden(source)).map(|source| format!("forbids `{source}` volumes"))
        } else {
            let shares_node = ["/spec/hostNetwork", "/spec/hostPID", "/spec/hostIPC"].contains(&address);
            (shares_node && *value == Value::Bool(true)).then(|| "forbids sharing the node's namespaces".to_owned())
        };
        broken.extend(what.map(|what| format!("{address}: the namespace enforces `{}`, which {what}", level.name())));
    }
    broken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(level: Level, container: &Value) -> usize {
        container_faults(level, "c", container.as_object().unwrap(), PodView(&json!({"spec": {}}))).len()
    }

    #[test]
    fn containers_follow_the_standards() {
        let hardened = json!({"securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"}, "capabilities": {"drop": ["ALL"]}}});
        for (container, baseline, restricted) in [
            (json!({}), 0, 4),
            (hardened, 0, 0),
            (json!({"securityContext": {"privileged": true}}), 1, 5),
            (json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}), 1, 6),
            (json!({"securityContext": {"capabilities": {"add": ["CHOWN"]}}}), 0, 5),
            (json!({"ports": [{"hostPort": 80}]}), 1, 5),
        ] {
            assert_eq!(faults(Level::Baseline, &container), baseline, "{container}");
            assert_eq!(faults(Level::Restricted, &container), restricted, "{container}");
        }
    }

    #[test]
    fn the_level_is_the_enforced_one() {
        let labels = |level: &str| json!({ENFORCE_LABEL: level});
        assert_eq!(Level::of(labels("restricted").as_object()), Some(Level::Restricted));
        assert_eq!(Level::of(labels("privileged").as_object()), None);
        assert_eq!(Level::of(None), None);
    }
}
