//! One workload, as the module answers about it under one cluster's settings.

use std::collections::BTreeSet;

use fedcar_policy::injection::WorkloadKind;
use serde::Serialize;
use serde_json::Value;
use similar::TextDiff;

use super::copies;
use super::requests::Requests;
use crate::admission::{AdmitReply, PatchError, SidecarReport, Verdict, apply};
use crate::yaml;

/// What an injection leaves on a pod for itself: it names the revision, so it differs where nothing else does.
const MARKS: [&str; 2] = ["fedcar.dev/injected", "fedcar.dev/original"];

/// Unchanged lines around a change of a pod: enough to see in which container it is.
const CONTEXT_LINES: usize = 2;

/// What would become of a workload, compared with how it is in the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    /// It gets sidecars and has none of ours.
    Injected,
    /// It has sidecars of ours, and gets others.
    Changed,
    /// It loses the sidecars of ours that it has.
    Removed,
    /// It keeps the sidecars of ours that it has.
    Kept,
    /// It has none and gets none.
    Skipped,
    /// Its pods would be refused.
    Denied,
    /// There is no decision.
    Undecided,
}

impl Fate {
    /// Every one, in the order in which they are told.
    pub(crate) const ALL: [Self; 7] =
        [Self::Injected, Self::Changed, Self::Removed, Self::Kept, Self::Skipped, Self::Denied, Self::Undecided];

    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Kept => "kept",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
            Self::Undecided => "undecided",
        }
    }
}

/// A workload and what would become of it.
#[derive(Debug)]
pub(crate) struct Judged {
    /// `shop/deployment/checkout`.
    pub(crate) name: String,
    /// How many pods it stands for.
    pub(crate) copies: u64,
    /// What becomes of it as a whole.
    pub(crate) fate: Fate,
    /// What becomes of each sidecar.
    pub(crate) sidecars: Vec<SidecarReport>,
    /// What its pods would request more than now.
    pub(crate) added: Requests,
    /// Images that its pods would pull and now do not.
    pub(crate) images: BTreeSet<String>,
    /// Why it is denied or undecided.
    pub(crate) message: Option<String>,
    /// The pod as it would be, without our marks.
    pod: Value,
}

impl Judged {
    /// Whether the pods come out equal, but for our marks.
    pub(crate) fn makes_the_same(&self, other: &Self) -> bool {
        self.fate == other.fate && self.pod == other.pod
    }

    /// The `spec` of the pod as it would be.
    pub(super) fn spec(&self) -> &Value {
        self.pod.get("spec").unwrap_or(&Value::Null)
    }

    /// The pods of both as a unified diff of their YAML; empty where they are equal.
    pub(crate) fn difference_since(&self, before: &Self) -> String {
        let [before, after] = [before, self].map(|judged| yaml::write(&judged.pod));
        TextDiff::from_lines(&before, &after).unified_diff().context_radius(CONTEXT_LINES).to_string()
    }

    /// What a sidecar becomes, in the words of a row.
    pub(crate) fn result_of(&self, sidecar: &str) -> Option<String> {
        self.sidecars.iter().find(|one| one.name == sidecar).map(result)
    }
}

/// `injected 0.157.0 (opt-out-default)`.
pub(crate) fn result(sidecar: &SidecarReport) -> String {
    match (&sidecar.version, sidecar.result.as_str()) {
        (Some(version), "injected") => format!("injected {version} ({})", sidecar.code),
        _ => format!("{} ({})", sidecar.result, sidecar.code),
    }
}

/// What the module's answer about an object comes to.
pub(crate) fn judge(object: &Value, kind: WorkloadKind, reply: AdmitReply) -> Result<Judged, PatchError> {
    let before = pod(object, kind);
    let mut after = object.clone();
    if let Some(patch) = &reply.patch {
        apply(&mut after, patch)?;
    }
    let after = pod(&after, kind);
    let copies = copies(object, kind);
    let (was, is) = (is_marked(&before), is_marked(&after));
    let (before, after) = (without_marks(before), without_marks(after));
    let fate = match (reply.verdict, was, is) {
        (Verdict::Denied, ..) => Fate::Denied,
        (Verdict::Fault, ..) => Fate::Undecided,
        (Verdict::Allowed, false, true) => Fate::Injected,
        (Verdict::Allowed, true, false) => Fate::Removed,
        (Verdict::Allowed, false, false) => Fate::Skipped,
        (Verdict::Allowed, true, true) => {
            if before == after {
                Fate::Kept
            } else {
                Fate::Changed
            }
        }
    };
    let empty = Value::Null;
    let spec = |pod: &Value| Requests::of(pod.get("spec").unwrap_or(&empty));
    let decided = !matches!(fate, Fate::Denied | Fate::Undecided);
    Ok(Judged {
        name: name(object),
        copies,
        fate,
        added: spec(&after).beyond(spec(&before), copies),
        images: images(&after).difference(&images(&before)).cloned().collect(),
        message: reply.message.filter(|_| !decided),
        sidecars: reply.report.map(|report| report.sidecars).unwrap_or_default(),
        pod: after,
    })
}

fn name(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or_default().to_ascii_lowercase();
    let name = text("/metadata/name").or_else(|| text("/metadata/generateName")).unwrap_or("?");
    match text("/metadata/namespace") {
        Some(namespace) => format!("{namespace}/{kind}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

/// `metadata` and `spec` of the pod. What the API server adds is left out.
pub(super) fn pod(object: &Value, kind: WorkloadKind) -> Value {
    let pod = kind.template().iter().try_fold(object, |value, key| value.get(key));
    let parts = ["metadata", "spec"].into_iter().filter_map(|key| Some((key.to_owned(), pod?.get(key)?.clone())));
    Value::Object(parts.collect())
}

fn annotations(pod: &Value) -> Option<&serde_json::Map<String, Value>> {
    pod.pointer("/metadata/annotations")?.as_object()
}

fn is_marked(pod: &Value) -> bool {
    annotations(pod).is_some_and(|annotations| MARKS.iter().any(|mark| annotations.contains_key(*mark)))
}

fn without_marks(mut pod: Value) -> Value {
    if let Some(Value::Object(annotations)) = pod.pointer_mut("/metadata/annotations") {
        for mark in MARKS {
            annotations.shift_remove(mark);
        }
        if annotations.is_empty()
            && let Some(Value::Object(metadata)) = pod.get_mut("metadata")
        {
            metadata.shift_remove("annotations");
        }
    }
    if pod.get("metadata").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
        && let Value::Object(parts) = &mut pod
    {
        parts.shift_remove("metadata");
    }
    pod
}

fn images(pod: &Value) -> BTreeSet<String> {
    let lists = ["/spec/initContainers", "/spec/containers"];
    let containers = lists.iter().filter_map(|list| pod.pointer(list)?.as_array()).flatten();
    containers.filter_map(|container| container.get("image")?.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(verdict: &str, patch: &Value) -> AdmitReply {
        let mut reply = json!({"verdict": verdict, "code": "x", "message": "why"});
        if !patch.is_null() {
            reply["patch"] = patch.clone();
        }
        serde_json::from_str(&reply.to_string()).unwrap()
    }

    fn pod(annotations: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": "shop", "annotations": annotations},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        })
    }

    #[test]
    fn fates_compare_with_the_export() {
        let mark =
            |value: &str| json!({"op": "add", "path": "/metadata/annotations/fedcar.dev~1injected", "value": value});
        let container = json!({"op": "add", "path": "/spec/containers/1", "value":
            {"name": "b", "image": "b:1", "resources": {"requests": {"cpu": "10m"}}}});
        let unmark = json!({"op": "remove", "path": "/metadata/annotations/fedcar.dev~1injected"});
        let marked = json!({"fedcar.dev/injected": "1"});
        for (annotations, verdict, patch, fate) in [
            (json!({}), "allowed", json!([mark("1"), container]), Fate::Injected),
            (marked.clone(), "allowed", json!([mark("2"), container]), Fate::Changed),
            (marked.clone(), "allowed", json!([mark("2")]), Fate::Kept),
            (marked.clone(), "allowed", Value::Null, Fate::Kept),
            (marked.clone(), "allowed", json!([unmark]), Fate::Removed),
            (json!({}), "allowed", Value::Null, Fate::Skipped),
            (marked, "denied", Value::Null, Fate::Denied),
            (json!({}), "fault", Value::Null, Fate::Undecided),
        ] {
            let judged = judge(&pod(&annotations), WorkloadKind::Pod, reply(verdict, &patch)).unwrap();
            assert_eq!(judged.fate, fate, "{verdict} {patch}");
            assert_eq!(judged.message.is_some(), matches!(fate, Fate::Denied | Fate::Undecided));
            let adds = matches!(fate, Fate::Injected | Fate::Changed);
            assert_eq!(judged.added.in_words(), if adds { "cpu 10m, memory 0" } else { "cpu 0, memory 0" });
            assert_eq!(judged.images.len(), usize::from(adds));
        }
    }

    #[test]
    fn marks_alone_make_no_difference() {
        let patch =
            |value: &str| json!([{"op": "add", "path": "/metadata/annotations/fedcar.dev~1injected", "value": value}]);
        let judged = |patch: &Value| judge(&pod(&json!({})), WorkloadKind::Pod, reply("allowed", patch)).unwrap();
        assert!(judged(&patch("1")).makes_the_same(&judged(&patch("2"))));
        assert!(!judged(&patch("1")).makes_the_same(&judged(&Value::Null)));
    }
}
