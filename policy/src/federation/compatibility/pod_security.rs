//! Would what a sidecar brings pass the Pod Security level that a namespace enforces, by the rules of the version that it
//! enforces?
//!
//! The rules are those of `k8s.io/pod-security-admission/policy`, each with the version that brought it. When a pod is
//! admitted, [`crate::injection`] asks the same of what it adds, without versions.

use serde_json::Value;

use super::Case;
use super::candidate::{Container, is_open};
use super::outcome::Outcomes;
use crate::federation::facts::PodSecurity;
use crate::federation::version::Version;
use crate::injection::{BASELINE_CAPABILITIES, RESTRICTED_VOLUMES};

/// One rule for containers.
struct Check {
    level: PodSecurity,
    since: Version,
    /// `None` where the pod may say what the container does not.
    broken: fn(&View<'_>) -> Option<bool>,
    what: &'static str,
    fix: &'static str,
}

/// A container, with what its sidecar says for the whole pod.
struct View<'v> {
    container: &'v Value,
    pod: &'v Value,
    /// Whether root in the container is nobody on the node.
    root_is_mapped: bool,
}

impl<'v> View<'v> {
    fn own(&self, pointer: &str) -> Option<&'v Value> {
        self.container.pointer(&format!("/securityContext/{pointer}")).filter(|value| !value.is_null())
    }

    fn pods(&self, pointer: &str) -> Option<&'v Value> {
        self.pod.pointer(&format!("/securityContext/{pointer}")).filter(|value| !value.is_null())
    }

    fn either(&self, pointer: &str) -> Option<&'v Value> {
        self.own(pointer).or_else(|| self.pods(pointer))
    }

    fn capabilities(&self, key: &str) -> impl Iterator<Item = &'v str> + use<'v> {
        let list = self.own(&format!("capabilities/{key}")).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    fn each(&self, key: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
        self.container.get(key).and_then(Value::as_array).into_iter().flatten()
    }
}

const NO_NET_ADMIN: &str = "redirect traffic by a CNI plugin or explicit ports in place of a container with NET_ADMIN, or leave these namespaces out \
     with `match.namespaces`";

/// The rules for containers, by level and version.
const CHECKS: [Check; 13] = [
    Check {
        level: PodSecurity::Baseline,
        since: Version::one(0),
        broken: |one| Some(one.own("privileged") == Some(&Value::Bool(true))),
        what: "is privileged",
        fix: "take out `privileged: true`, or leave these namespaces out with `match.namespaces`",
    },
    Check {
        level: PodSecurity::Baseline,
        since: Version::one(0),
        broken: |one| Some(one.capabilities("add").any(|name| !BASELINE_CAPABILITIES.contains(&name))),
        what: "adds capabilities beyond the container runtime's default",
        fix: NO_NET_ADMIN,
    },
    Check {
        level: PodSecurity::Baseline,
        since: Version::one(0),
        broken: |one| Some(one.each("ports").any(|port| port["hostPort"].as_u64().is_some_and(|port| port > 0))),
        what: "takes a port of the node",
        fix: "take out `hostPort`",
    },
    Check {
        level: PodSecurity::Baseline,
        since: Version::one(0),
        broken: |one| Some(one.own("procMount").is_some_and(|mount| mount != "Default")),
        what: "asks for a `procMount` that is not the default",
        fix: "take out `procMount`",
    },
    Check {
        level: PodSecurity::Baseline,
        since: Version::one(19),
        broken: |one| Some(one.either("seccompProfile/type").is_some_and(|kind| kind == "Unconfined")),
        what: "has `seccompProfile.type: Unconfined`",
        fix: "set `seccompProfile.type: RuntimeDefault`",
    },
    Check {
        level: PodSecurity::Baseline,
        since: Version::one(30),
        broken: |one| Some(one.either("appArmorProfile/type").is_some_and(|kind| kind == "Unconfined")),
        what: "has `appArmorProfile.type: Unconfined`",
        fix: "set `appArmorProfile.type: RuntimeDefault`",
    },
    Check {
        level: PodSecurity::Baseline,
        since: Version::one(34),
        broken: |one| {
            let probes =
                ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle/postStart", "lifecycle/preStop"];
            let hosts =
                probes.iter().flat_map(|probe| ["httpGet", "tcpSocket"].map(|how| format!("/{probe}/{how}/host")));
            let named = |host: String| {
                one.container.pointer(&host).and_then(Value::as_str).is_some_and(|host| !host.is_empty())
            };
            Some(hosts.into_iter().any(named))
        },
        what: "names a `host` in a probe or lifecycle handler",
        fix: "take out `host`: probes go to the pod itself",
    },
    Check {
        level: PodSecurity::Restricted,
        since: Version::one(8),
        broken: |one| Some(one.own("allowPrivilegeEscalation") != Some(&Value::Bool(false))),
        what: "does not say `allowPrivilegeEscalation: false`",
        fix: "set `securityContext.allowPrivilegeEscalation: false`",
    },
    Check {
        level: PodSecurity::Restricted,
        since: Version::one(0),
        broken: |one| match one.either("runAsNonRoot") {
            _ if one.root_is_mapped => Some(false),
            Some(Value::Bool(non_root)) => Some(!non_root),
            _ => None,
        },
        what: "does not say `runAsNonRoot: true`",
        fix: "set `securityContext.runAsNonRoot: true`",
    },
    Check {
        level: PodSecurity::Restricted,
        since: Version::one(23),
        broken: |one| Some(!one.root_is_mapped && one.either("runAsUser").is_some_and(|user| user == 0)),
        what: "has `runAsUser: 0`",
        fix: "give it another `runAsUser`",
    },
    Check {
        level: PodSecurity::Restricted,
        since: Version::one(19),
        broken: |one| {
            let kind = one.either("seccompProfile/type")?;
            Some(!["RuntimeDefault", "Localhost"].iter().any(|allowed| kind == allowed))
        },
        what: "does not say `seccompProfile.type: RuntimeDefault`",
        fix: "set `securityContext.seccompProfile.type: RuntimeDefault`",
    },
    Check {
        level: PodSecurity::Restricted,
        since: Version::one(22),
        broken: |one| Some(!one.capabilities("drop").any(|name| name == "ALL")),
        what: "does not say `capabilities.drop: [ALL]`",
        fix: "set `securityContext.capabilities.drop: [ALL]`",
    },
    Check {
        level: PodSecurity::Restricted,
        since: Version::one(22),
        broken: |one| Some(one.capabilities("add").any(|name| name != "NET_BIND_SERVICE")),
        what: "adds capabilities other than NET_BIND_SERVICE",
        fix: NO_NET_ADMIN,
    },
];

/// The `sysctls` that `baseline` allows, with the version from which on it does.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// The version from which on pods with user namespaces may run as root under `restricted`.
const ROOT_IN_USER_NAMESPACES: Version = Version::one(35);

pub(super) fn judge(case: &Case<'_>, outcomes: &mut Outcomes) {
    let newest = case.facts.kubernetes;
    let judge = |level: Option<(PodSecurity, Option<Version>)>, outcomes: &mut Outcomes| match level {
        Some((PodSecurity::Privileged, _)) => outcomes.compatible("the level `privileged` forbids nothing"),
        Some((level, version)) => judge_level(case, level, version.or(newest), outcomes),
        // Whatever is enforced, it is no more than this.
        None if fits(case, newest) => outcomes.compatible("it would pass the level `restricted`"),
        None => outcomes.unknown(
            "no fact says which Pod Security level is enforced, and it would not pass `restricted`",
            "probe the cluster, or pin `facts.podSecurity`, which namespaces without the label enforce",
        ),
    };
    let usual = case.facts.pod_security.map(|level| (level, None));
    let Some(namespaces) = case.namespaces() else {
        judge(usual, outcomes);
        return;
    };
    for (name, namespace) in namespaces {
        outcomes.enter(name);
        judge(namespace.pod_security().or(usual), outcomes);
    }
}

fn fits(case: &Case<'_>, version: Option<Version>) -> bool {
    let mut outcomes = Outcomes::default();
    judge_level(case, PodSecurity::Restricted, version, &mut outcomes);
    outcomes.all_compatible()
}

/// `None` as version is the newest there is.
fn judge_level(case: &Case<'_>, level: PodSecurity, version: Option<Version>, outcomes: &mut Outcomes) {
    let by = version.map_or_else(|| "latest".to_owned(), |version| format!("v{version}"));
    let enforced = format!("`{}` ({by}) is enforced", level.name());
    let applies = |since: Version| version.is_none_or(|version| version >= since);
    let spec = &case.candidate.spec;
    let before = outcomes.len();
    for (broken, fix) in pod_faults(spec, level, version) {
        outcomes.incompatible(format!("{enforced}, and the sidecar {broken}"), fix);
    }
    let root_is_mapped = spec.get("hostUsers") == Some(&Value::Bool(false)) && applies(ROOT_IN_USER_NAMESPACES);
    for container in &case.candidate.containers {
        let name = described(container);
        let context = container.value.get("securityContext");
        if context.is_some_and(is_open) {
            outcomes.unknown(
                format!("{enforced}, and the security context of {name} hangs on the pod"),
                "write it without expressions",
            );
            continue;
        }
        let view = View { container: &container.value, pod: spec, root_is_mapped };
        for check in CHECKS.iter().filter(|check| check.level <= level && applies(check.since)) {
            match (check.broken)(&view) {
                Some(false) => {}
                Some(true) => outcomes.incompatible(format!("{enforced}, and {name} {}", check.what), check.fix),
                None => outcomes.unknown(
                    format!("{enforced}, and {name} {} itself, so that it hangs on the pod", check.what),
                    check.fix,
                ),
            }
        }
    }
    if outcomes.len() == before {
        outcomes.compatible(format!("{enforced}, and it passes"));
    }
}

/// The container and, where that matters to the reader, what it is.
fn described(container: &Container) -> String {
    use crate::settings::Form;
    match container.stands_as {
        Some(Form::Init) => format!("the init container `{}`", container.name),
        _ => format!("container `{}`", container.name),
    }
}

/// What a level forbids in volumes and other fields of a pod.
fn pod_faults(spec: &Value, level: PodSecurity, version: Option<Version>) -> Vec<(String, &'static str)> {
    let mut faults = Vec::new();
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec.get(key) == Some(&Value::Bool(true)) {
            faults.push((format!("sets `{key}`"), "take it out"));
        }
    }
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        let sources =
            volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).filter(|key| *key != "name");
        let forbidden = |source: &&str| match level {
            PodSecurity::Restricted => !RESTRICTED_VOLUMES.contains(source),
            _ => *source == "hostPath",
        };
        for source in sources.filter(forbidden) {
            faults.push((
                format!("mounts a `{source}` volume"),
                "use another kind of volume, or leave these namespaces out with `match.namespaces`",
            ));
        }
    }
    let sysctls = spec.pointer("/securityContext/sysctls").and_then(Value::as_array);
    for name in sysctls.into_iter().flatten().filter_map(|sysctl| sysctl["name"].as_str()) {
        let allowed = SYSCTLS.iter().find(|(one, _)| *one == name);
        if allowed.is_none_or(|(_, since)| version.is_some_and(|version| version < Version::one(*since))) {
            faults.push((format!("sets the sysctl `{name}`"), "take it out"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// How many rules a container breaks for certain, and how many only the pod can answer.
    fn faults(level: PodSecurity, version: u32, container: &Value) -> (usize, usize) {
        let pod = json!({});
        let view = View { container, pod: &pod, root_is_mapped: false };
        let answers: Vec<Option<bool>> = CHECKS
            .iter()
            .filter(|check| check.level <= level && Version::one(version) >= check.since)
            .map(|check| (check.broken)(&view))
            .collect();
        let count = |answer| answers.iter().filter(|one| **one == answer).count();
        (count(Some(true)), count(None))
    }

    #[test]
    fn rules_begin_with_their_version() {
        let net_admin = json!({"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}});
        let probe = json!({"livenessProbe": {"httpGet": {"host": "elsewhere.example"}}});
        let confined = json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}});
        for (level, version, container, expected) in [
            (PodSecurity::Baseline, 33, &net_admin, (1, 0)),
            (PodSecurity::Restricted, 33, &net_admin, (4, 2)),
            (PodSecurity::Restricted, 21, &net_admin, (2, 2)),
            (PodSecurity::Restricted, 18, &net_admin, (2, 1)),
            (PodSecurity::Restricted, 7, &net_admin, (1, 1)),
            (PodSecurity::Baseline, 33, &probe, (0, 0)),
            (PodSecurity::Baseline, 34, &probe, (1, 0)),
            (PodSecurity::Baseline, 29, &confined, (0, 0)),
            (PodSecurity::Baseline, 30, &confined, (1, 0)),
        ] {
            assert_eq!(faults(level, version, container), expected, "{level:?} {version} {container}");
        }
        let hardened = json!({"securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"}, "capabilities": {"drop": ["ALL"]}}});
        assert_eq!(faults(PodSecurity::Restricted, 36, &hardened), (0, 0));
    }

    #[test]
    fn sysctls_become_safe_with_their_version() {
        let spec = json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}});
        for (version, broken) in [(Some(Version::one(31)), 1), (Some(Version::one(32)), 0), (None, 0)] {
            assert_eq!(pod_faults(&spec, PodSecurity::Baseline, version).len(), broken, "{version:?}");
        }
    }
}
