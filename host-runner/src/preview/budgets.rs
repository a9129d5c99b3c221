//! What the sidecars of a workload request, for the budgets of guardrails.

use fedcar_policy::federation::guardrail::{Budgeted, Excess, Spending, Workload};
use fedcar_policy::injection::WorkloadKind;
use fedcar_policy::settings::NAMESPACE_NAME_LABEL;
use serde::Serialize;
use serde_json::{Map, Value};

use super::judge::{Fate, Judged, pod};
use super::tally::Seen;
use crate::admission::{PatchError, RestoreReply, Unanswered, apply};

/// Why it is not known what a workload is without sidecars.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpendError {
    /// The module did not answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// Its patch cannot be applied.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

/// The object without what was injected before; `None` where it is that already. `restore` takes an injection back; one
/// that it refuses counts as none, as it does where the pod is admitted.
pub(crate) fn bare(
    judged: &Judged,
    object: &Value,
    restore: impl FnOnce() -> Result<RestoreReply, Unanswered>,
) -> Result<Option<Value>, SpendError> {
    if !matches!(judged.fate, Fate::Changed | Fate::Kept) {
        return Ok(None);
    }
    let RestoreReply::Patch(patch) = restore()? else { return Ok(None) };
    let mut bare = object.clone();
    apply(&mut bare, &patch)?;
    Ok(Some(bare))
}

/// Adds what sidecars request in the pods of a workload, whose object is bare of them, in a namespace of which an object may
/// have been found.
pub(crate) fn spend(
    spending: &mut Spending,
    judged: &Judged,
    (object, kind): (&Value, WorkloadKind),
    (namespace, found): (&str, Option<&Value>),
) {
    if !matches!(judged.fate, Fate::Injected | Fate::Changed | Fate::Kept) {
        return;
    }
    let labels = found.map(|found| {
        let labels = found.pointer("/metadata/labels").and_then(Value::as_object);
        let mut labels: Map<String, Value> = labels.cloned().unwrap_or_default();
        labels.insert(NAMESPACE_NAME_LABEL.to_owned(), Value::from(namespace));
        labels
    });
    let before = pod(object, kind);
    spending.add(&Workload {
        name: &judged.name,
        object,
        kind,
        namespace,
        namespace_labels: labels.as_ref(),
        before: before.get("spec").unwrap_or(&Value::Null),
        after: judged.spec(),
        copies: judged.copies,
    });
}

/// A budget that is exceeded, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonExcess<'e> {
    guardrail: &'e str,
    place: &'e str,
    /// `pod`, `namespace` or `member`.
    budget_for: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'e str>,
    resource: &'e str,
    requested: String,
    budget: String,
    workloads: u64,
    first: &'e [String],
}

impl<'e> JsonExcess<'e> {
    pub(crate) fn of(excess: &'e Excess) -> Self {
        let (budget_for, namespace) = match &excess.budgeted {
            Budgeted::Pod => ("pod", None),
            Budgeted::Namespace(name) => ("namespace", Some(name.as_str())),
            Budgeted::Member => ("member", None),
        };
        Self {
            guardrail: &excess.guardrail,
            place: &excess.place,
            budget_for,
            namespace,
            resource: excess.resource,
            requested: excess.found.canonical(),
            budget: excess.budget.canonical(),
            workloads: excess.workloads,
            first: &excess.first,
        }
    }
}

/// The sentence, with the workloads where it is about pods.
pub(super) fn in_words(excess: &Excess) -> String {
    let seen = Seen { workloads: excess.workloads, first: excess.first.clone() };
    match excess.budgeted {
        Budgeted::Pod => format!("{excess}: {}", seen.names()),
        Budgeted::Namespace(_) | Budgeted::Member => excess.to_string(),
    }
}
