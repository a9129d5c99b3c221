//! What a policy replied, as an answer: strictly by the contract of the operation that it was asked by.
//!
//! Invariant: a reply that breaks its contract is an error here and never a decision. Replies are borrowed from, since a
//! patch may be large.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::review::Verdict;

/// The status code of a decision to refuse, where the policy names none; what `validate` of the embedded module says.
const FORBIDDEN: u16 = 403;
/// Text of an answer; borrowed from the reply unless it had escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What a policy has decided about one request.
#[derive(Debug, Clone, Default)]
pub struct Answer<'a> {
    /// Whether the request may go on.
    pub allowed: bool,
    /// The JSON Patch; absent where nothing changes.
    pub patch: Option<Cow<'a, RawValue>>,
    /// The status code of the response, mostly of a denial.
    pub code: Option<u16>,
    /// The message of the response, mostly of a denial.
    pub message: Option<Text<'a>>,
    /// The policy's own message, where another one was put in its place.
    pub displaced_message: Option<Text<'a>>,
    /// What the requester should know.
    pub warnings: Vec<Text<'a>>,
    /// What the audit log should know.
    pub audit_annotations: BTreeMap<Text<'a>, Text<'a>>,
}

/// The reply of `fedcar.admit`.
#[derive(Debug)]
pub enum Admitted<'a> {
    /// There is a decision.
    Answer {
        /// The stable code of what was decided.
        reason: Text<'a>,
        /// The decision.
        answer: Answer<'a>,
    },
    /// There is none, and the request must not be answered as if there were.
    Fault {
        /// The stable code.
        code: Text<'a>,
        /// The sentence for people.
        message: Text<'a>,
    },
}

/// Why there is no answer in a reply. Never quotes the reply or the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The reply breaks its contract.
    #[error("expected {expected} from the module, found something else at line {line} column {column} of its reply")]
    Reply {
        /// What the contract promises.
        expected: &'static str,
        /// The line of the reply, from 1.
        line: usize,
        /// The column, in bytes from 1; 0 where a line ended too soon.
        column: usize,
    },
    /// The policy changed an object that we cannot read.
    #[error("cannot read the object of the request at line {line} column {column}")]
    Object {
        /// The line of the object, from 1.
        line: usize,
        /// The column, in bytes from 1.
        column: usize,
    },
}

/// Reads the reply of `fedcar.admit`.
pub fn of_admit_reply(reply: &[u8]) -> Result<Admitted<'_>, AnswerError> {
    let reply: AdmitReply<'_> =
        serde_json::from_slice(reply).map_err(|error| unreadable("an answer to fedcar.admit", &error))?;
    let denied = match reply.verdict {
        Verdict::Fault => {
            return Ok(Admitted::Fault { code: reply.code, message: reply.message.unwrap_or_default() });
        }
        Verdict::Allowed => false,
        Verdict::Denied => true,
    };
    let answer = Answer {
        allowed: !denied,
        patch: reply.patch.map(Cow::Borrowed),
        code: denied.then_some(FORBIDDEN),
        // The sentence of an allowed request says why the policy had nothing to do: nobody reads it in a response.
        message: reply.message.filter(|_| denied),
        displaced_message: None,
        warnings: reply.warnings,
        audit_annotations: reply.audit_annotations,
    };
    Ok(Admitted::Answer { reason: reply.code, answer })
}

/// Reads the reply of `validate`, Kubewarden's `ValidationResponse`. `object` is that of the request, where it has one.
pub fn of_validation_response<'a>(reply: &'a [u8], object: Option<&RawValue>) -> Result<Answer<'a>, AnswerError> {
    let reply: ValidationResponse<'a> =
        serde_json::from_slice(reply).map_err(|error| unreadable("a ValidationResponse", &error))?;
    let object = object.filter(|object| object.get() != "null");
    let patch = match (reply.mutated_object, object) {
        (None, _) => None,
        (Some(_), None) => return Ok(mutation_without_object()),
        (Some(mutated), Some(object)) => difference(object, mutated)?,
    };
    Ok(Answer {
        allowed: reply.accepted,
        patch: patch.map(Cow::Owned),
        code: reply.code,
        message: reply.message,
        displaced_message: None,
        warnings: reply.warnings.unwrap_or_default(),
        audit_annotations: reply.audit_annotations.unwrap_or_default(),
    })
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What policy-server answers for a policy that changes an object that is not there, as in most DELETE requests.
fn mutation_without_object() -> Answer<'static> {
    let message = "Incoming object is null, which happens only with DELETE operations, but the policy is attempting a \
                   mutation. This is not allowed";
    Answer { message: Some(message.into()), ..Answer::default() }
}

/// The JSON Patch between two objects; `None` where they are equal.
fn difference(object: &RawValue, mutated: &RawValue) -> Result<Option<Box<RawValue>>, AnswerError> {
    let object: Value = serde_json::from_str(object.get())
        .map_err(|error| AnswerError::Object { line: error.line(), column: error.column() })?;
    let broken = |error: &serde_json::Error| unreadable("a mutated object", error);
    let mut mutated: Value = serde_json::from_str(mutated.get()).map_err(|error| broken(&error))?;
    keep_equal_numbers(&mut mutated, &object);
    let patch = json_patch::diff(&object, &mutated);
    if patch.0.is_empty() {
        return Ok(None);
    }
    serde_json::value::to_raw_value(&patch).map(Some).map_err(|error| broken(&error))
}

/// Writes numbers as the object has them where the policy has only written them in another way.
///
/// A policy that read `1.10` gives back `1.1`. policy-server compares values and sees no change; our numbers are texts.
fn keep_equal_numbers(mutated: &mut Value, object: &Value) {
    match (mutated, object) {
        (Value::Object(mutated), Value::Object(object)) => {
            for (key, value) in mutated {
                if let Some(original) = object.get(key) {
                    keep_equal_numbers(value, original);
                }
            }
        }
        (Value::Array(mutated), Value::Array(object)) => {
            for (value, original) in mutated.iter_mut().zip(object) {
                keep_equal_numbers(value, original);
            }
        }
        (Value::Number(mutated), Value::Number(object)) if are_equal(mutated, object) => mutated.clone_from(object),
        _ => {}
    }
}

/// Whether two numbers are equal to policy-server: `1` and `1.0` are not.
fn are_equal(left: &Number, right: &Number) -> bool {
    let whole = |number: &Number| number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
    match (whole(left), whole(right)) {
        (None, None) => left.as_f64().is_some_and(|value| right.as_f64() == Some(value)),
        (left, right) => left == right,
    }
}

/// The position is told, the words of the parser are not: they may quote the object.
fn unreadable(expected: &'static str, error: &serde_json::Error) -> AnswerError {
    AnswerError::Reply { expected, line: error.line(), column: error.column() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdmitReply<'a> {
    verdict: Verdict,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    patch: Option<&'a RawValue>,
    #[serde(borrow, default)]
    warnings: Vec<Text<'a>>,
    #[serde(borrow, default)]
    audit_annotations: BTreeMap<Text<'a>, Text<'a>>,
}

/// Kubewarden's own spelling, with `null` for whatever is not set.
#[derive(Deserialize)]
struct ValidationResponse<'a> {
    accepted: bool,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    code: Option<u16>,
    #[serde(borrow)]
    mutated_object: Option<&'a RawValue>,
    #[serde(borrow)]
    audit_annotations: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(borrow)]
    warnings: Option<Vec<Text<'a>>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop};
    use proptest::{prop_oneof, proptest};
    use serde_json::json;

    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_reply_to_admit_is_borrowed() {
        let reply = br#"{"verdict":"allowed","code":"injected","message":"why","patch":[ {} ],"warnings":["w","\n"],
            "auditAnnotations":{"k":"v"},"report":{"kind":"Pod"}}"#;
        let Admitted::Answer { reason, answer } = of_admit_reply(reply).unwrap() else { panic!("expected an answer") };
        let borrowed = |text: &Text<'_>| matches!(text.0, Cow::Borrowed(_));
        assert!(
            borrowed(&reason) && answer.audit_annotations.iter().all(|(key, value)| borrowed(key) && borrowed(value))
        );
        assert!(borrowed(&answer.warnings[0]) && !borrowed(&answer.warnings[1]));
        assert!(matches!(&answer.patch, Some(Cow::Borrowed(patch)) if patch.get() == "[ {} ]"));
        assert_eq!((&*reason, answer.allowed, &answer.message, answer.code), ("injected", true, &None, None));
    }

    #[test]
    fn replies_to_admit_are_told_apart() {
        let Ok(Admitted::Answer { answer, .. }) =
            of_admit_reply(br#"{"verdict":"denied","code":"denied","message":"why"}"#)
        else {
            panic!("expected an answer")
        };
        assert_eq!((answer.allowed, answer.code, answer.message.as_deref()), (false, Some(403), Some("why")));
        let Ok(Admitted::Fault { code, message }) =
            of_admit_reply(br#"{"verdict":"fault","code":"bad-object","message":"why"}"#)
        else {
            panic!("expected a fault")
        };
        assert_eq!((&*code, &*message), ("bad-object", "why"));
    }

    #[test]
    fn a_broken_reply_is_an_error_that_quotes_nothing() {
        let secret = r#"{"verdict":"secret","code":"x","accepted":"secret"}"#;
        for error in [
            of_admit_reply(secret.as_bytes()).unwrap_err(),
            of_validation_response(secret.as_bytes(), None).unwrap_err(),
        ] {
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        for reply in [&b""[..], b"null", b"[]", b"{}", b"\xff", br#"{"accepted":null}"#, br#"{"accepted":true} 1"#] {
            assert!(of_admit_reply(reply).is_err(), "{reply:?}");
            assert!(of_validation_response(reply, None).is_err(), "{reply:?}");
        }
    }

    #[test]
    fn objects_too_deep_to_compare_are_errors() {
        let deep = raw(&format!("{}{}", "[".repeat(200), "]".repeat(200)));
        let reply = br#"{"accepted":true,"mutated_object":{}}"#;
        assert!(matches!(of_validation_response(reply, Some(&deep)), Err(AnswerError::Object { .. })));
        let reply = format!(r#"{{"accepted":true,"mutated_object":{deep}}}"#);
        let found = of_validation_response(reply.as_bytes(), Some(&raw("{}")));
        assert!(matches!(found, Err(AnswerError::Reply { .. })), "{found:?}");
        assert!(of_validation_response(br#"{"accepted":true}"#, Some(&deep)).is_ok());
    }

    #[test]
    fn numbers_are_compared_as_policy_server_compares_them() {
        for (left, right, equal) in [
            ("1.10", "1.1", true),
            ("1e2", "100.0", true),
            ("0.1", "1e-1", true),
            ("18446744073709551615", "18446744073709551615", true),
            ("-9223372036854775808", "-9223372036854775808", true),
            ("1", "1.0", false),
            ("1", "1e0", false),
            ("1", "-1", false),
            ("1.5", "1.25", false),
            ("18446744073709551615", "18446744073709551614", false),
            ("1e999", "1e998", false),
        ] {
            let reply = format!(r#"{{"accepted":true,"mutated_object":{{"a":[{right}]}}}}"#);
            let object = raw(&format!(r#"{{"a":[{left}]}}"#));
            let answer = of_validation_response(reply.as_bytes(), Some(&object)).unwrap();
            assert_eq!(answer.patch.is_none(), equal, "{left} {right}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (-3..3_i32).prop_map(Value::from),
            "[a-c~/\"\\\\0]{0,2}".prop_map(Value::from),
            proptest::prelude::Just(Value::Null),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c~/0]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_patch_leads_to_the_mutated_object(object in any_json(), mutated in any_json()) {
            let object = json!({"o": object});
            let mutated = json!({"o": mutated});
            let reply = json!({"accepted": true, "mutated_object": mutated}).to_string();
            let raw_object = raw(&object.to_string());
            let answer = of_validation_response(reply.as_bytes(), Some(&raw_object)).unwrap();
            let mut patched = object.clone();
            if let Some(patch) = &answer.patch {
                let patch: json_patch::Patch = serde_json::from_str(patch.get()).unwrap();
                json_patch::patch(&mut patched, &patch).unwrap();
            }
            assert_eq!(patched, mutated);
            assert_eq!(answer.patch.is_none(), object == mutated);
        }
    }
}
