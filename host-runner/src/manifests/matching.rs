//! `match` of a sidecar or guardrail as a CEL expression over a new pod: the same answer as the module's selection.
//!
//! The expressions use [`variables`], so an expression of this module stands in a policy that declares those.

use serde_json::{Value, json};

use super::cel;

/// The label by which a Deployment's `ReplicaSet` is told from one that stands alone.
const TEMPLATE_HASH_LABEL: &str = "pod-template-hash";
/// How the Job of a `CronJob` is called: its name and the minutes since 1970 (policy: `injection/workload.rs`).
const CRON_JOB_NAME: &str = "^.+-[0-9]{8}$";

/// Values that expressions share, in the order in which they may use each other.
const VARIABLES: [(&str, &str); 3] = [
    ("labels", "has(object.metadata.labels) ? object.metadata.labels : {}"),
    ("namespaceLabels", "has(namespaceObject.metadata.labels) ? namespaceObject.metadata.labels : {}"),
    (
        "serviceAccount",
        "has(object.spec.serviceAccountName) && object.spec.serviceAccountName != \"\" \
         ? object.spec.serviceAccountName : \"default\"",
    ),
];

/// The variables that an expression uses.
pub(super) fn variables(expression: &str) -> Vec<Value> {
    let used = VARIABLES.iter().filter(|(name, _)| expression.contains(&format!("variables.{name}")));
    used.map(|(name, expression)| json!({"name": name, "expression": expression})).collect()
}

/// The expression that is true for the pods that a `match` fits; without a `match` every pod fits.
pub(super) fn expression(matching: Option<&Value>) -> String {
    let Some(matching) = matching else { return "true".to_owned() };
    let mut clauses = Vec::new();
    clauses.extend(requirements(matching.get("namespaces"), "variables.namespaceLabels"));
    clauses.extend(requirements(matching.get("pods"), "variables.labels"));
    let accounts = texts(matching.get("serviceAccounts"));
    if !accounts.is_empty() {
        clauses.push(format!("variables.serviceAccount in {}", cel::list(&accounts)));
    }
    if let Some(callers) = matching.get("callers").filter(|callers| !callers.is_null()) {
        clauses.push(callers_clause(callers));
    }
    clauses.extend(workloads_clause(matching.get("workloads")));
    cel::all(&clauses)
}

/// The labels of a pod that a `match` asks for.
pub(super) fn pod_labels(matching: Option<&Value>) -> Vec<&str> {
    let Some(matching) = matching else { return Vec::new() };
    let pods = matching.get("pods");
    let equal = pods.and_then(|pods| pods.get("matchLabels")).and_then(Value::as_object).into_iter().flatten();
    let mut labels: Vec<&str> = equal.map(|(key, _)| key.as_str()).collect();
    labels.extend(expressions(pods).filter_map(|one| one.get("key")?.as_str()));
    if workloads_clause(matching.get("workloads")).is_some() {
        labels.push(TEMPLATE_HASH_LABEL);
    }
    labels
}

/// Whether a `match` asks for the service account.
pub(super) fn asks_for_service_account(matching: Option<&Value>) -> bool {
    !texts(matching.and_then(|matching| matching.get("serviceAccounts"))).is_empty()
}

fn expressions(selector: Option<&Value>) -> impl Iterator<Item = &Value> {
    selector.and_then(|selector| selector.get("matchExpressions")).and_then(Value::as_array).into_iter().flatten()
}

/// A label selector, requirement by requirement, as Kubernetes reads it: `NotIn` fits where the label is missing.
fn requirements(selector: Option<&Value>, labels: &str) -> Vec<String> {
    let equal = selector.and_then(|selector| selector.get("matchLabels")).and_then(Value::as_object);
    let mut clauses: Vec<String> = equal
        .into_iter()
        .flatten()
        .map(|(key, value)| listed(labels, key, &[value.as_str().unwrap_or_default()]))
        .collect();
    for requirement in expressions(selector) {
        let key = requirement.get("key").and_then(Value::as_str).unwrap_or_default();
        let values = texts(requirement.get("values"));
        let exists = format!("{} in {labels}", cel::text(key));
        clauses.extend(match requirement.get("operator").and_then(Value::as_str) {
            Some("In") => Some(listed(labels, key, &values)),
            Some("NotIn") => Some(cel::not(&listed(labels, key, &values))),
            Some("Exists") => Some(exists),
            Some("DoesNotExist") => Some(cel::not(&exists)),
            _ => None,
        });
    }
    clauses
}

fn listed(labels: &str, key: &str, values: &[&str]) -> String {
    let key = cel::text(key);
    format!("{key} in {labels} && {labels}[{key}] in {}", cel::list(values))
}

/// Any of the users or groups; nobody where neither is listed.
fn callers_clause(callers: &Value) -> String {
    let mut clauses = Vec::new();
    let users = texts(callers.get("users"));
    if !users.is_empty() {
        clauses.push(format!("request.userInfo.username in {}", cel::list(&users)));
    }
    let groups = texts(callers.get("groups"));
    if !groups.is_empty() {
        let one_of = format!("request.userInfo.groups.exists(group, group in {})", cel::list(&groups));
        clauses.push(format!("has(request.userInfo.groups) && {one_of}"));
    }
    cel::any(&clauses)
}

/// The kinds of a pod's top owner, where pods as such are not listed. At most one owner of an object is its controller.
fn workloads_clause(workloads: Option<&Value>) -> Option<String> {
    let kinds = texts(Some(workloads.filter(|kinds| !kinds.is_null())?));
    if kinds.contains(&"Pod") {
        return None;
    }
    let lists = |kind: &str| kinds.contains(&kind);
    let derived_from_deployment = {
        let hash = cel::text(TEMPLATE_HASH_LABEL);
        let value = format!("variables.labels[{hash}]");
        format!(
            "{hash} in variables.labels && owner.name.endsWith(\"-\" + {value}) \
             && size(owner.name) > size({value}) + 1"
        )
    };
    let derived_from_cron_job = format!("owner.name.matches({})", cel::text(CRON_JOB_NAME));
    let mut clauses = Vec::new();
    // What makes pods by way of another object, and the name by which its own can be told.
    for (whole, part, derived) in
        [("Deployment", "ReplicaSet", derived_from_deployment), ("CronJob", "Job", derived_from_cron_job)]
    {
        if lists(whole) {
            clauses.push(format!("owner.kind == {}", cel::text(whole)));
        }
        let is_part = format!("owner.kind == {}", cel::text(part));
        match (lists(whole), lists(part)) {
            (true, true) => clauses.push(is_part),
            (true, false) => clauses.push(format!("{is_part} && {derived}")),
            (false, true) => clauses.push(format!("{is_part} && {}", cel::not(&derived))),
            (false, false) => {}
        }
    }
    let plain: Vec<&str> =
        ["StatefulSet", "DaemonSet", "ReplicationController"].into_iter().filter(|kind| lists(kind)).collect();
    if !plain.is_empty() {
        clauses.push(format!("owner.kind in {}", cel::list(&plain)));
    }
    let controller = ["has(owner.controller)".to_owned(), "owner.controller".to_owned(), cel::any(&clauses)];
    Some(format!(
        "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(owner, {})",
        cel::all(&controller)
    ))
}

/// The texts of a list.
fn texts(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
