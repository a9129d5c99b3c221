//! From a policy's answer to the response that an API server gets, in named steps without effects.
//!
//! Invariant: for the same answer of a policy, [`constrain`] and [`write_review`] say what policy-server would say
//! (kubewarden/adm-controller: `admission_response.rs` and `admission_response_handler.rs` of
//! `crates/policy-evaluator`); `tests/policy-server` compares with the real one.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::policies_file::{PolicyEntry, PolicyMode};
use super::reply::{Answer, Text};

/// What the operator lets a policy do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The id that the policy is served under.
    pub id: String,
    /// Whether its answers count.
    pub mode: PolicyMode,
    /// Whether it may change objects.
    pub allowed_to_mutate: bool,
    /// What is said instead of its own messages when it denies.
    pub message: Option<String>,
}

/// What a policy was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `/validate/{id}`: for an API server, on the operator's terms.
    Validate,
    /// `/audit/{id}`: for Kubewarden's audit scanner, which wants the policy's own answer.
    Audit,
}

/// The versions of `AdmissionReview`. A response must have that of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewVersion {
    /// `admission.k8s.io/v1`
    V1,
    /// `admission.k8s.io/v1beta1`
    V1Beta1,
}

/// The answer on the operator's terms; for an audit, the answer as it is.
///
/// The operator's message comes last: it replaces that of the mutation constraint too.
pub fn constrain<'a>(answer: Answer<'a>, terms: &'a Terms, endpoint: Endpoint) -> Answer<'a> {
    match endpoint {
        Endpoint::Audit => answer,
        Endpoint::Validate => {
            let answer = if_monitored(answer, terms);
            let answer = if_mutating_without_leave(answer, terms);
            if_denied_with_message(answer, terms)
        }
    }
}

/// Writes the `AdmissionReview` that answers the request `uid`.
pub fn write_review(version: ReviewVersion, uid: &str, answer: &Answer<'_>) -> Vec<u8> {
    let review = Review {
        api_version: version.api_version(),
        kind: "AdmissionReview",
        response: Response {
            uid,
            allowed: answer.allowed,
            status: Status::of(answer),
            audit_annotations: &answer.audit_annotations,
            warnings: &answer.warnings,
            patch_type: answer.patch.as_ref().map(|_| "JSONPatch"),
            patch: answer.patch.as_deref().map(InBase64),
        },
    };
    // Plain data with text keys, into memory: there is nothing that could fail.
    serde_json::to_vec(&review).unwrap_or_default()
}

impl Terms {
    /// The terms that a file sets for one of its policies.
    pub fn of(entry: &PolicyEntry) -> Self {
        Self {
            id: entry.id.clone(),
            mode: entry.mode,
            allowed_to_mutate: entry.allowed_to_mutate,
            message: entry.message.clone(),
        }
    }
}

impl ReviewVersion {
    /// The `apiVersion` of a review.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1Beta1 => "admission.k8s.io/v1beta1",
        }
    }
}

/// A monitored policy allows and changes nothing. Its warnings and audit annotations go out.
fn if_monitored<'a>(answer: Answer<'a>, terms: &Terms) -> Answer<'a> {
    match terms.mode {
        PolicyMode::Protect => answer,
        PolicyMode::Monitor => Answer { allowed: true, patch: None, code: None, message: None, ..answer },
    }
}

/// A policy that changes objects without being allowed to denies instead, whatever it has decided.
fn if_mutating_without_leave<'a>(answer: Answer<'a>, terms: &Terms) -> Answer<'a> {
    if terms.allowed_to_mutate || answer.patch.is_none() {
        return answer;
    }
    // policy-server's sentence, because people search for it.
    let message = format!(
        "Request rejected by policy {}. The policy attempted to mutate the request, but it is currently configured to \
         not allow mutations.",
        terms.id
    );
    Answer { allowed: false, patch: None, code: None, message: Some(message.into()), ..answer }
}

/// The operator's message for a denial; what it displaces, even an absent one, becomes a cause.
fn if_denied_with_message<'a>(answer: Answer<'a>, terms: &'a Terms) -> Answer<'a> {
    match &terms.message {
        Some(message) if !answer.allowed => Answer {
            message: Some(message.as_str().into()),
            displaced_message: Some(answer.message.unwrap_or_default()),
            ..answer
        },
        _ => answer,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'r> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'r> {
    uid: &'r str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'r>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'r BTreeMap<Text<'r>, Text<'r>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'r [Text<'r>],
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<InBase64<'r>>,
}

/// A patch as Kubernetes carries bytes in JSON: a string in standard base64.
struct InBase64<'r>(&'r RawValue);

impl Serialize for InBase64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let patch = self.0.get();
        let mut text = String::with_capacity(patch.len().div_ceil(3) * 4 + 2);
        text.push('"');
        STANDARD.encode_string(patch, &mut text);
        text.push('"');
        // Handed over as JSON, so that no character of it is looked at for an escape, which takes longer than to encode it.
        RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
    }
}

#[derive(Serialize)]
struct Status<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'r Text<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
}

#[derive(Serialize)]
struct Details<'r> {
    causes: [Cause<'r>; 1],
}

#[derive(Serialize)]
struct Cause<'r> {
    message: &'r Text<'r>,
}

impl<'r> Status<'r> {
    fn of(answer: &'r Answer<'_>) -> Option<Self> {
        (answer.message.is_some() || answer.code.is_some()).then(|| Self {
            message: answer.message.as_ref(),
            details: answer.displaced_message.as_ref().map(|message| Details { causes: [Cause { message }] }),
            code: answer.code,
        })
    }
}

/// The steps together are compared with policy-server's in `tests/policy-server`.
#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::{Value, json};

    use super::super::reply::of_validation_response;
    use super::*;

    const MUTATION: &str = "Request rejected by policy log. The policy attempted to mutate the request, but it is \
                            currently configured to not allow mutations.";

    fn terms(mode: PolicyMode, allowed_to_mutate: bool, message: Option<&str>) -> Terms {
        Terms { id: "log".into(), mode, allowed_to_mutate, message: message.map(Into::into) }
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    /// The response as JSON, with the patch decoded.
    fn response(answer: &Answer<'_>) -> Value {
        let mut review: Value = serde_json::from_slice(&write_review(ReviewVersion::V1, "u", answer)).unwrap();
        let mut response = review["response"].take();
        if let Some(patch) = response.get_mut("patch") {
            *patch = serde_json::from_slice(&STANDARD.decode(patch.as_str().unwrap()).unwrap()).unwrap();
        }
        response
    }

    #[test]
    fn the_steps_are_taken_in_their_order() {
        use PolicyMode::{Monitor, Protect};
        let patch = raw(r#"[{"op":"remove","path":"/a"}]"#);
        let whole = |allowed| Answer {
            allowed,
            patch: Some(Cow::Borrowed(&patch)),
            code: Some(418),
            message: Some("its own".into()),
            displaced_message: None,
            warnings: vec!["w".into()],
            audit_annotations: [("k".into(), "v".into())].into(),
        };
        let kept = |mut rest: Value| {
            rest["uid"] = "u".into();
            rest["warnings"] = json!(["w"]);
            rest["auditAnnotations"] = json!({"k": "v"});
            rest
        };
        let untouched = |allowed: bool| {
            kept(json!({
                "allowed": allowed, "patchType": "JSONPatch", "patch": [{"op": "remove", "path": "/a"}],
                "status": {"message": "its own", "code": 418},
            }))
        };
        let status = |status: Value| kept(json!({"allowed": false, "status": status}));
        let cases = [
            (true, terms(Protect, true, None), untouched(true)),
            (false, terms(Protect, true, None), untouched(false)),
            (true, terms(Protect, true, Some("ours")), untouched(true)),
            (true, terms(Protect, false, None), status(json!({"message": MUTATION}))),
            (false, terms(Protect, false, None), status(json!({"message": MUTATION}))),
            (
                true,
                terms(Protect, false, Some("ours")),
                status(json!({"message": "ours", "details": {"causes": [{"message": MUTATION}]}})),
            ),
            (true, terms(Monitor, false, Some("ours")), kept(json!({"allowed": true}))),
            (false, terms(Monitor, true, Some("ours")), kept(json!({"allowed": true}))),
        ];
        for (allowed, terms, expected) in cases {
            let name = format!("{allowed} {terms:?}");
            assert_eq!(response(&constrain(whole(allowed), &terms, Endpoint::Validate)), expected, "{name}");
            assert_eq!(response(&constrain(whole(allowed), &terms, Endpoint::Audit)), untouched(allowed), "{name}");
        }
    }

    #[test]
    fn an_absent_message_is_displaced_as_an_empty_one() {
        let terms = terms(PolicyMode::Protect, false, Some("ours"));
        let answer = constrain(Answer::default(), &terms, Endpoint::Validate);
        let status = json!({"message": "ours", "details": {"causes": [{"message": ""}]}});
        assert_eq!(response(&answer), json!({"uid": "u", "allowed": false, "status": status}));
    }

    #[test]
    fn a_review_has_the_version_and_uid_of_its_request() {
        for (version, name) in
            [(ReviewVersion::V1, "admission.k8s.io/v1"), (ReviewVersion::V1Beta1, "admission.k8s.io/v1beta1")]
        {
            let patch = raw(r#"[{"op":"add","path":"/é","value":"\"}}"}]"#);
            for patch in [None, Some(Cow::Borrowed(&*patch))] {
                let answer = Answer { allowed: true, patch, ..Answer::default() };
                let review: Value = serde_json::from_slice(&write_review(version, "a\"b\\\n", &answer)).unwrap();
                assert_eq!(review["apiVersion"], name);
                assert_eq!(review["kind"], "AdmissionReview");
                assert_eq!(review["response"]["uid"], "a\"b\\\n");
            }
        }
    }

    #[test]
    fn a_mutation_of_nothing_is_a_denial_and_nothing_else() {
        let reply = br#"{"accepted":true,"message":"m","code":201,"mutated_object":{},"warnings":["w"]}"#;
        for object in [None, Some(raw("null"))] {
            let answer = of_validation_response(reply, object.as_deref()).unwrap();
            let found = response(&answer);
            assert!(found["status"]["message"].as_str().unwrap().starts_with("Incoming object is null"), "{found}");
            assert_eq!(
                (found["allowed"] == false, &found["status"]["code"], found.get("warnings")),
                (true, &Value::Null, None)
            );
        }
    }
}
