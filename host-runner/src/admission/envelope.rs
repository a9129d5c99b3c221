//! An `AdmissionReview` as it comes in: only its outer layer is read, the object stays bytes.
//!
//! Invariant: what is handed on is the sender's own text, not a copy that went through types, so no field is lost.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::depth::{TooDeep, check_depth};
use super::respond::ReviewVersion;

const KIND: &str = "AdmissionReview";

/// A request for a decision.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The request as it was sent: a JSON object.
    pub request: Bytes,
    /// The version of the review; the answer has the same.
    pub version: ReviewVersion,
    /// Names the request; the answer carries it back.
    pub uid: String,
    /// What is being done.
    pub operation: String,
    /// The namespace; empty for what stands in none.
    pub namespace: String,
    /// The kind of the object.
    pub kind: String,
    /// The name of the object; empty where the API server is yet to make one.
    pub name: String,
}

/// Why a body is not a review that can be answered.
#[derive(Debug, thiserror::Error)]
pub enum NoReview {
    /// JSON text has to be UTF-8.
    #[error("expected UTF-8 text, found another byte at {0}")]
    Text(usize),
    /// Parsers of any depth have a limit; ours is told.
    #[error(transparent)]
    Depth(#[from] TooDeep),
    /// Not JSON, or not in the shape of a review. The parser's words are not told on, they may quote the body.
    #[error("expected an AdmissionReview as JSON, found something else at line {line}, column {column}")]
    Shape {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Another kind of object, or another version.
    #[error("expected apiVersion `admission.k8s.io/v1` or `admission.k8s.io/v1beta1` and kind `{KIND}`")]
    Version,
    /// Nobody could tell which request an answer is for.
    #[error("expected `request.uid`")]
    Uid,
}

impl From<serde_json::Error> for NoReview {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape { line: error.line(), column: error.column() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    request: &'a RawValue,
}

/// What the host itself needs of a request. Nulls count as absent, as everywhere in Kubernetes.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    uid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    operation: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Kind<'a>>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
}

impl Envelope {
    /// Reads the outer layer of `body`, which may be nested `max_depth` levels deep.
    pub fn read(body: &Bytes, max_depth: usize) -> Result<Self, NoReview> {
        let text = std::str::from_utf8(body).map_err(|error| NoReview::Text(error.valid_up_to()))?;
        check_depth(text, max_depth)?;
        let review: Review<'_> = serde_json::from_str(text)?;
        let known = [ReviewVersion::V1, ReviewVersion::V1Beta1];
        let version = known.into_iter().find(|version| review.api_version == version.api_version());
        let version = version.filter(|_| review.kind == KIND).ok_or(NoReview::Version)?;
        let head: Head<'_> = serde_json::from_str(review.request.get())?;
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).unwrap_or_default();
        let uid = head.uid.filter(|uid| !uid.is_empty()).ok_or(NoReview::Uid)?;
        Ok(Self {
            request: body.slice_ref(review.request.get().as_bytes()),
            version,
            uid: uid.into_owned(),
            operation: owned(head.operation),
            namespace: owned(head.namespace),
            kind: owned(head.kind.and_then(|kind| kind.kind)),
            name: owned(head.name),
        })
    }

    /// The object of the request, where it has one.
    pub fn object(&self) -> Option<&RawValue> {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow, default)]
            object: Option<&'a RawValue>,
        }
        let request: Request<'_> = serde_json::from_slice(&self.request).ok()?;
        request.object.filter(|object| object.get() != "null")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Envelope, NoReview> {
        Envelope::read(&Bytes::copy_from_slice(text.as_bytes()), 20)
    }

    #[test]
    fn the_request_is_the_senders_own_text() {
        let request = r#"{ "uid":"a\u002db", "operation":"CREATE", "namespace":null,"object": {"x": 1.10, "x": 2} }"#;
        let body = format!(r#"{{"apiVersion":"admission.k8s.io/v1","request":{request},"kind":"AdmissionReview"}}"#);
        let envelope = read(&body).expect("a review");
        assert_eq!(envelope.request, request);
        assert_eq!((envelope.uid.as_str(), envelope.namespace.as_str()), ("a-b", ""));
        assert_eq!(envelope.object().map(RawValue::get), Some(r#"{"x": 1.10, "x": 2}"#));
    }

    #[test]
    fn what_is_no_review_is_refused() {
        let with = |request: &str| {
            format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{request}}}"#)
        };
        let deep = format!(r#"{{"uid":"a","object":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let cases = [
            (String::new(), "Shape"),
            ("null".to_owned(), "Shape"),
            ("[]".to_owned(), "Shape"),
            (r#"{"kind":"AdmissionReview","request":{"uid":"a"}}"#.to_owned(), "Shape"),
            (with(r#"{"uid":"a"}"#).replace("/v1", "/v2"), "Version"),
            (with(r#"{"uid":"a"}"#).replace("AdmissionReview", "Pod"), "Version"),
            (with("{}"), "Uid"),
            (with(r#"{"uid":""}"#), "Uid"),
            (with(r#"{"uid":null}"#), "Uid"),
            (with(r#"{"uid":7}"#), "Shape"),
            (with("null"), "Shape"),
            (with(r#"{"uid":"a"}"#) + "x", "Shape"),
            (with(&deep), "Depth"),
        ];
        for (body, expected) in cases {
            let shown: String = body.chars().take(80).collect();
            let error = read(&body).expect_err(&shown);
            assert!(format!("{error:?}").starts_with(expected), "{shown}: {error:?}");
        }
        let error = Envelope::read(&Bytes::from_static(b"{\"a\": \"\xff\"}"), 20).expect_err("no text");
        assert!(matches!(error, NoReview::Text(7)), "{error:?}");
    }
}
