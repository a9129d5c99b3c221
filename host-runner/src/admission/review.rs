//! Questions to the policy module about one object, and its answers as types.
//!
//! Invariant: nothing here decides. A question carries what is known, an answer is read strictly by its contract
//! (docs/settings.md, *Operations*), and each way a call can end is one case of [`Unanswered`].

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use fedcar_policy::protocol::Operation;

use crate::engine::{GuestError, Interruption, Outcome, Policy, TrapSummary};
use crate::input::Namespaces;

/// The user that requests made on the command line come from.
const USERNAME: &str = "fedcar";

/// Asks policies, each with the settings of its cluster, about objects.
pub struct Reviewer {
    /// The namespaces whose labels are known.
    pub namespaces: Namespaces,
    /// The namespace of objects that name none.
    pub default_namespace: String,
    /// Whether answers carry a report.
    pub explain: bool,
}

/// The answer to `fedcar.admit`.
#[derive(Debug, Deserialize)]
pub struct AdmitReply {
    /// What is to be done with the object.
    pub verdict: Verdict,
    /// The sum of it, or the code of the fault.
    pub code: String,
    /// The sentence for people.
    pub message: Option<String>,
    /// The JSON Patch; absent where nothing changes.
    pub patch: Option<Box<RawValue>>,
    /// What the person should know.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why, for each sidecar.
    pub report: Option<Report>,
}

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may go on, patched where there is a patch.
    Allowed,
    /// It may not.
    Denied,
    /// There is no decision.
    Fault,
}

/// Why an object was answered as it was.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    #[serde(default)]
    pub name: String,
    /// The object's namespace.
    #[serde(default)]
    pub namespace: String,
    /// The top owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Value>,
    /// One entry for each sidecar, in the order of the settings.
    #[serde(default)]
    pub sidecars: Vec<SidecarReport>,
}

/// What became of one sidecar, and why.
#[derive(Debug, Deserialize, Serialize)]
pub struct SidecarReport {
    /// The sidecar.
    pub name: String,
    /// The version that was chosen, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `injected`, `skipped` or `denied`.
    pub result: String,
    /// The stable reason.
    pub code: String,
    /// The reason for people.
    #[serde(default)]
    pub sentence: String,
    /// The document that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Conflicts and other particulars.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// A place in the documents.
#[derive(Debug, Deserialize, Serialize)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// The answer to `fedcar.restore`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RestoreReply {
    /// The JSON Patch that takes the injection back; empty where there is nothing to take back.
    Patch(Box<RawValue>),
    /// It cannot be taken back.
    Refused {
        /// The stable reason.
        code: String,
        /// The reason for people.
        message: String,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// The module gave up.
    #[error("the module refused the request")]
    Refused(#[source] GuestError),
    /// The host stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
    /// It broke its contract.
    #[error(transparent)]
    Broken(#[from] TrapSummary),
    /// Its answer is not what the contract promises.
    #[error("the module's answer cannot be read")]
    Answer(#[source] serde_json::Error),
    /// The question cannot be written.
    #[error("the request cannot be written")]
    Question(#[source] serde_json::Error),
}

#[derive(Serialize)]
struct Question<'o> {
    request: Request<'o>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'o Value>,
    offline: bool,
    explain: bool,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Request<'o> {
    /// As an API server sent it.
    Sent(&'o Value),
    /// As an API server would send it for a new object.
    Made(MadeRequest<'o>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeRequest<'o> {
    uid: &'static str,
    kind: GroupVersionKind<'o>,
    resource: GroupVersionResource<'o>,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'o str>,
    namespace: &'o str,
    user_info: UserInfo,
    object: &'o Value,
}

#[derive(Serialize)]
struct GroupVersionKind<'o> {
    group: &'o str,
    version: &'o str,
    kind: &'o str,
}

#[derive(Serialize)]
struct GroupVersionResource<'o> {
    group: &'o str,
    version: &'o str,
    resource: String,
}

#[derive(Serialize)]
struct UserInfo {
    username: &'static str,
}

impl Reviewer {
    /// What a policy does with an object, or with the request in an `AdmissionReview`.
    pub fn admit(&self, policy: &Policy, object: &Value) -> Result<AdmitReply, Unanswered> {
        let (request, namespace) = match review_request(object) {
            Some(request) => (Request::Sent(request), text_at(request, "/namespace")),
            None => (Request::Made(self.made_request(object)), Some(self.namespace_of(object))),
        };
        let question = Question {
            offline: matches!(request, Request::Made(_)),
            request,
            namespace: namespace.and_then(|name| self.namespaces.find(name)),
            explain: self.explain,
        };
        let question = serde_json::to_vec(&question).map_err(Unanswered::Question)?;
        answer(policy.call(Operation::Admit.name(), &question))
    }

    /// The namespace of an object, or the one of those that name none.
    pub fn namespace_of<'o>(&'o self, object: &'o Value) -> &'o str {
        text_at(object, "/metadata/namespace").filter(|name| !name.is_empty()).unwrap_or(&self.default_namespace)
    }

    fn made_request<'o>(&'o self, object: &'o Value) -> MadeRequest<'o> {
        let api_version = text_at(object, "/apiVersion").unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = text_at(object, "/kind").unwrap_or_default();
        MadeRequest {
            uid: "",
            kind: GroupVersionKind { group, version, kind },
            resource: GroupVersionResource { group, version, resource: format!("{}s", kind.to_ascii_lowercase()) },
            operation: "CREATE",
            name: text_at(object, "/metadata/name"),
            namespace: self.namespace_of(object),
            user_info: UserInfo { username: USERNAME },
            object,
        }
    }
}

/// The patch that takes the injection of an object back, from the object alone.
pub fn restore(policy: &Policy, object: &Value) -> Result<RestoreReply, Unanswered> {
    #[derive(Serialize)]
    struct Question<'o> {
        object: &'o Value,
    }
    let question = serde_json::to_vec(&Question { object }).map_err(Unanswered::Question)?;
    answer(policy.call(Operation::Restore.name(), &question))
}

/// The request of an `AdmissionReview`; `None` for every other object.
pub fn review_request(object: &Value) -> Option<&Value> {
    let is_review = object.get("kind").is_some_and(|kind| kind == "AdmissionReview");
    object.get("request").filter(|request| is_review && request.is_object())
}

fn text_at<'o>(object: &'o Value, pointer: &str) -> Option<&'o str> {
    object.pointer(pointer).and_then(Value::as_str)
}

fn answer<T: DeserializeOwned>(outcome: Outcome) -> Result<T, Unanswered> {
    match outcome {
        Outcome::Answer(bytes) => serde_json::from_slice(&bytes).map_err(Unanswered::Answer),
        Outcome::Refused(error) => Err(Unanswered::Refused(error)),
        Outcome::Interrupted(interruption) => Err(Unanswered::Interrupted(interruption)),
        Outcome::Broken(summary) => Err(Unanswered::Broken(summary)),
    }
}
