//! What documents would make of the workloads of an export, added up in bounded memory.
//!
//! | concept | file |
//! |---|---|
//! | one workload, as the module answers about it | `judge` |
//! | what its containers request | `requests` |
//! | what sidecars request against the budgets of guardrails | `budgets` |
//! | many workloads of one member | `tally` |
//! | the result for people, and for a pull request | `text`, `markdown` |
//!
//! Invariants: every decision is the module's; the memory does not grow with the number of workloads, because each group
//! keeps a count and its first few names.

mod budgets;
mod judge;
mod markdown;
mod requests;
mod tally;
mod text;

use fedcar_policy::injection::WorkloadKind;
use serde_json::Value;

pub(crate) use budgets::{JsonExcess, SpendError, bare, spend};
pub(crate) use judge::{Fate, Judged, judge};
pub(crate) use markdown::markdown;
pub(crate) use tally::{Row, Seen, Tally, differences};
pub(crate) use text::text;

/// Which objects stand for workloads, since an export holds pods beside what made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Whatever nothing else in Kubernetes has made: templates, and pods of their own.
    Workloads,
    /// Pods, each as one.
    Pods,
}

/// The kind of an object that counts; `None` for every other one.
pub(crate) fn counts(object: &Value, counted: Counted) -> Option<WorkloadKind> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, _) = text("/apiVersion").split_once('/').unwrap_or_default();
    let kind = WorkloadKind::find(group, text("/kind"))?;
    let counts = match counted {
        Counted::Workloads => !is_controlled(object),
        Counted::Pods => kind == WorkloadKind::Pod,
    };
    counts.then_some(kind)
}

/// Whether a controller has made it.
fn is_controlled(object: &Value) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

/// How many pods it stands for.
fn copies(object: &Value, kind: WorkloadKind) -> u64 {
    let pointer = match kind {
        WorkloadKind::Pod => return 1,
        WorkloadKind::DaemonSet => "/status/desiredNumberScheduled",
        WorkloadKind::Job => "/spec/parallelism",
        WorkloadKind::CronJob => "/spec/jobTemplate/spec/parallelism",
        _ => "/spec/replicas",
    };
    object.pointer(pointer).and_then(Value::as_u64).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_counted_twice() {
        let owned = json!({"ownerReferences": [{"kind": "ReplicaSet", "name": "x", "controller": true}]});
        let referenced = json!({"ownerReferences": [{"kind": "Node", "name": "x"}]});
        for (api_version, kind, metadata, as_workload, as_pod) in [
            ("v1", "Pod", json!({}), true, true),
            ("v1", "Pod", owned.clone(), false, true),
            ("v1", "Pod", referenced, true, true),
            ("apps/v1", "Deployment", json!({}), true, false),
            ("apps/v1", "ReplicaSet", owned, false, false),
            ("v1", "Service", json!({}), false, false),
            ("example.com/v1", "Deployment", json!({}), false, false),
        ] {
            let object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
            let found = [Counted::Workloads, Counted::Pods].map(|counted| counts(&object, counted).is_some());
            assert_eq!(found, [as_workload, as_pod], "{object}");
        }
    }

    #[test]
    fn copies_are_those_that_are_wanted() {
        for (kind, object, expected) in [
            (WorkloadKind::Deployment, json!({"spec": {"replicas": 3}}), 3),
            (WorkloadKind::Deployment, json!({"spec": {"replicas": 0}}), 0),
            (WorkloadKind::Deployment, json!({}), 1),
            (WorkloadKind::DaemonSet, json!({"status": {"desiredNumberScheduled": 7}}), 7),
            (WorkloadKind::Pod, json!({"spec": {"replicas": 3}}), 1),
            (WorkloadKind::Job, json!({"spec": {"parallelism": 4}}), 4),
            (WorkloadKind::CronJob, json!({"spec": {"jobTemplate": {"spec": {"parallelism": 2}}}}), 2),
        ] {
            assert_eq!(copies(&object, kind), expected, "{object}");
        }
    }
}
