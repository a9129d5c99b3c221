//! From an HTTP request to its response: what each path means, and what each way of failing looks like.
//!
//! | what happens | answer |
//! |---|---|
//! | the policy decided | 200 with a review |
//! | the request is not one | 400, 404, 405, 413, 415 |
//! | it came too slowly | 408 |
//! | it could not have its turn in time | 503 with `Retry-After` |
//! | the module had no time left | 504 |
//! | anything else on our side | 500 |
//!
//! Everything but 200 is an error to an API server, and lets the webhook's `failurePolicy` answer.

use std::borrow::Cow;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::Shared;
use super::body::{Held, NoBody};
use super::patience::Activity;
use crate::admission::envelope::{Envelope, NoReview};
use crate::admission::policies::Policies;
use crate::admission::policy::{Evaluated, Failure, ServedPolicy};
use crate::admission::respond::Endpoint;
use crate::admission::turns::NoTurn;
use crate::engine::Interruption;
use crate::telemetry::{Operation, Outcome, Phase, Refused, RequestSpan};

/// The part of the API server's time that is ours; the rest is for the way back. API servers round the time up to
/// whole seconds (`kubernetes/kubernetes: apiserver/pkg/admission/plugin/webhook`).
const OUR_PART: f64 = 0.8;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers one request.
pub(super) async fn respond(
    shared: &Arc<Shared>,
    activity: &Activity,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    activity.busy();
    let _counted = shared.metrics.in_flight();
    let mut response = match review(shared, request).await {
        Ok(body) => json(StatusCode::OK, body),
        Err(refusal) => {
            if let Some(why) = refusal.counted {
                shared.metrics.refused(why);
            }
            refusal.response()
        }
    };
    if shared.stopping() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    activity.idle();
    Ok(response)
}

/// Why a request gets no review.
struct Refusal {
    status: StatusCode,
    message: String,
    /// Absent where a policy counted it.
    counted: Option<Refused>,
}

impl Refusal {
    fn new(status: StatusCode, why: Refused, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), counted: Some(why) }
    }

    fn of_panic() -> Self {
        let message = "the request could not be evaluated".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message, counted: None }
    }

    fn response(self) -> Response<Full<Bytes>> {
        /// As policy-server writes its errors.
        #[derive(Serialize)]
        struct Body {
            message: String,
            status: u16,
        }
        let body = Body { message: self.message, status: self.status.as_u16() };
        // A text and a number: writing them cannot fail.
        let mut response = json(self.status, serde_json::to_vec(&body).unwrap_or_default());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<NoBody> for Refusal {
    fn from(why: NoBody) -> Self {
        match why {
            NoBody::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, Refused::TooLarge, "the body is larger than the limit")
            }
            NoBody::Slow => {
                Self::new(StatusCode::REQUEST_TIMEOUT, Refused::SlowBody, "the body did not arrive in time")
            }
            NoBody::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Refused::Overloaded,
                "the requests under way hold as much memory as they may",
            ),
            NoBody::Broken => Self::new(StatusCode::BAD_REQUEST, Refused::BrokenBody, "the body is not complete"),
        }
    }
}

impl From<NoReview> for Refusal {
    fn from(why: NoReview) -> Self {
        let counted = if matches!(why, NoReview::Depth(_)) { Refused::TooDeep } else { Refused::BadRequest };
        Self::new(StatusCode::BAD_REQUEST, counted, why.to_string())
    }
}

impl From<NoTurn> for Refusal {
    fn from(why: NoTurn) -> Self {
        let counted = match why {
            NoTurn::Full => Refused::Overloaded,
            NoTurn::Expired => Refused::Expired,
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, counted, why.to_string())
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = match failure {
            Failure::BadRequest(_) => StatusCode::BAD_REQUEST,
            Failure::Interrupted(Interruption::Input) => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Interrupted(Interruption::Deadline) => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, message: failure.to_string(), counted: None }
    }
}

/// The review that a request asks for.
async fn review(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Vec<u8>, Refusal> {
    let begin = Instant::now();
    let (head, body) = request.into_parts();
    let policies = shared.policies();
    let (policy, endpoint) = route(&policies, &head.method, head.uri.path())?;
    check_media_type(&head.headers)?;
    let theirs = head.uri.query().and_then(timeout_in).map(|timeout| timeout.mul_f64(OUR_PART));
    let until = begin + theirs.map_or(policy.timeout, |theirs| theirs.min(policy.timeout));

    let Held { bytes, permit: _permit } = shared.budget.read(body).await?;
    let envelope = Envelope::read(&bytes, shared.limits.json_depth)?;
    let quick = policy.is_quick(&envelope);
    let read = begin.elapsed();

    let namespace = if policy.wants_namespace() && !envelope.namespace.is_empty() {
        shared.namespaces.get_or_fetch(&envelope.namespace, until.saturating_duration_since(Instant::now())).await
    } else {
        None
    };
    let turn = {
        let _counted = shared.metrics.queued();
        shared.turns.take(&policy.share, until).await?
    };
    let queue = begin.elapsed().saturating_sub(read);

    let running = Arc::clone(policy);
    let evaluate = move || {
        // One request may not take others with it, whatever went wrong.
        let evaluated =
            catch_unwind(AssertUnwindSafe(|| running.evaluate(&envelope, namespace, endpoint, until, turn)));
        (evaluated, envelope)
    };
    let (evaluated, envelope) = if quick {
        evaluate()
    } else {
        let running = shared.background.run(evaluate).ok_or_else(Refusal::of_panic)?;
        running.await.map_err(|_| Refusal::of_panic())?
    };
    let evaluated = evaluated.map_err(|_| {
        tracing::error!(policy = policy.terms.id, uid = envelope.uid, "a request ended in a panic");
        Refusal::of_panic()
    })?;
    let took = begin.elapsed();
    let phases = [
        (Phase::Read, read),
        (Phase::Queue, queue),
        (Phase::Instantiate, evaluated.instantiate),
        (Phase::Guest, evaluated.guest),
        (Phase::Encode, evaluated.encode),
    ];
    note(shared, policy, &envelope, evaluated.outcome, &phases, took);
    let Evaluated { body, .. } = evaluated;
    Ok(body?)
}

/// Counts a request that reached its policy, and traces it.
fn note(
    shared: &Shared,
    policy: &ServedPolicy,
    envelope: &Envelope,
    outcome: Outcome,
    phases: &[(Phase, Duration)],
    took: Duration,
) {
    let operation = Operation::named(&envelope.operation);
    for (phase, took) in phases {
        policy.metrics.phase(*phase, *took);
    }
    policy.metrics.decided(operation, outcome);
    policy.metrics.took(took);
    if let Some(tracer) = &shared.tracer {
        let (uid, kind) = (&envelope.uid, &envelope.kind);
        let begin = SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH);
        tracer.request(&RequestSpan { uid, policy: &policy.terms.id, operation, kind, outcome, begin, took, phases });
    }
}

/// The policy that a path means, and what it is asked for.
fn route<'p>(
    policies: &'p Policies,
    method: &Method,
    path: &str,
) -> Result<(&'p Arc<ServedPolicy>, Endpoint), Refusal> {
    let found = match path.strip_prefix('/').and_then(|path| path.split_once('/').or(Some((path, "")))) {
        Some(("mutate", "")) => Some((policies.only(), Endpoint::Validate)),
        Some(("validate", id)) if !id.is_empty() => Some((policies.find(&decoded(id)), Endpoint::Validate)),
        Some(("audit", id)) if !id.is_empty() => Some((policies.find(&decoded(id)), Endpoint::Audit)),
        _ => None,
    };
    let not_found = |why, message: &str| Refusal::new(StatusCode::NOT_FOUND, why, message);
    match found {
        None => Err(not_found(Refused::UnknownPath, "expected /mutate, /validate/{id} or /audit/{id}")),
        Some(_) if method != Method::POST => {
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Refused::Method, "expected POST"))
        }
        Some((None, _)) => Err(not_found(Refused::UnknownPolicy, "no policy is served under this id")),
        Some((Some(policy), endpoint)) => Ok((policy, endpoint)),
    }
}

/// An id as it stands in the file; one that is not UTF-8 is none.
fn decoded(id: &str) -> Cow<'_, str> {
    percent_decode_str(id).decode_utf8().unwrap_or_default()
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let message = "expected content-type `application/json`";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Refused::MediaType, message))
}

/// `timeout=` as API servers write it: a Go duration in one unit. What cannot be read says nothing about the time.
fn timeout_in(query: &str) -> Option<Duration> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("timeout="))?;
    let digits = text.find(|one: char| !one.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

fn json(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_api_server_is_read_as_it_writes_it() {
        let cases = [
            ("timeout=10s", Some(10_000)),
            ("timeout=30s&x=1", Some(30_000)),
            ("x=1&timeout=500ms", Some(500)),
            ("timeout=1m", Some(60_000)),
            ("timeout=1m0s", None),
            ("timeout=", None),
            ("timeout=s", None),
            ("timeout=10", None),
            ("timeout=99999999999999999999s", None),
            ("timeout=18446744073709551615m", None),
            ("", None),
        ];
        for (query, millis) in cases {
            assert_eq!(timeout_in(query), millis.map(Duration::from_millis), "{query}");
        }
    }
}
