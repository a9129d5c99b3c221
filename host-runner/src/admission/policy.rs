//! A policy that is served: a module with its settings, and the operator's terms for it.
//!
//! Invariant (P8): what the policy decided becomes a review, whatever kept it from deciding becomes a [`Failure`] and so
//! an HTTP 5xx, which lets the webhook's `failurePolicy` answer. Only a monitored policy never fails: it decides nothing.
//! An audit is told of its failure too, as there it would count as a pass.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use fedcar_policy::injection::FaultCode;
use fedcar_policy::protocol::Operation;

use super::envelope::Envelope;
use super::policies_file::PolicyMode;
use super::reply::{Admitted, Answer, AnswerError, of_admit_reply, of_validation_response};
use super::respond::{Endpoint, Terms, constrain, write_review};
use super::turns::{Share, Turn};
use crate::capabilities::PolicyCapabilities;
use crate::engine::{Call, Called, HostCalls, Interruption, Outcome, Policy, TrapSummary};
use crate::telemetry;

/// Runs one call. The engine does; the benchmark puts the native decision in its place.
pub trait Runs: Send + Sync {
    /// Runs one operation on the caller's terms.
    fn run(&self, call: Call<'_>) -> Called;
}

impl Runs for Policy {
    fn run(&self, call: Call<'_>) -> Called {
        Policy::run(self, call)
    }
}

/// How the module is asked.
pub enum Protocol {
    /// fedcar's own operations: settings are in its memory already, and it answers with the patch.
    Fedcar,
    /// Kubewarden's: settings go with each request, and it answers with the whole object.
    Kubewarden {
        /// The settings as JSON.
        settings: Bytes,
    },
}

/// A policy ready for requests.
pub struct ServedPolicy {
    /// What runs it.
    pub module: Box<dyn Runs>,
    /// How it is asked.
    pub protocol: Protocol,
    /// Whether it is the module of this program, whose decisions take a bounded number of steps.
    pub ours: bool,
    /// What the operator lets it do.
    pub terms: Terms,
    /// The longest that one request may take, waiting included.
    pub timeout: Duration,
    /// What it may ask of the host.
    pub capabilities: Option<Arc<PolicyCapabilities>>,
    /// Its share of the calls that run at once.
    pub share: Share,
    /// Where its figures go.
    pub metrics: telemetry::PolicyMetrics,
}

/// What became of a request.
pub struct Evaluated {
    /// The review, or why there is none.
    pub body: Result<Vec<u8>, Failure>,
    /// The same in a word.
    pub outcome: telemetry::Outcome,
    /// Making the instance.
    pub instantiate: Duration,
    /// Running the module.
    pub guest: Duration,
    /// Reading its answer and writing the response.
    pub encode: Duration,
}

/// Why nobody decided.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The module says that the request is not one.
    #[error("{0}")]
    BadRequest(String),
    /// The module says that it cannot decide.
    #[error("{0}")]
    Fault(String),
    /// The host stopped the module.
    #[error(transparent)]
    Interrupted(#[from] Interruption),
    /// The module declared that it failed. What it said may quote the request, so it is neither told nor logged.
    #[error("the module declared that it failed")]
    Refused,
    /// The module broke its contract.
    #[error(transparent)]
    Broken(#[from] TrapSummary),
    /// Its answer is not one.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// The largest request that our own module certainly decides on within a few milliseconds. Usual pods have 3 to 40 KB.
const QUICK_BYTES: usize = 64 << 10;

impl ServedPolicy {
    /// Whether an answer takes so little time that waiting for another thread would not pay.
    pub fn is_quick(&self, envelope: &Envelope) -> bool {
        self.ours && envelope.request.len() <= QUICK_BYTES
    }

    /// Answers one request. Blocks the thread for as long as the module runs.
    pub fn evaluate(
        &self,
        envelope: &Envelope,
        namespace: Option<Bytes>,
        endpoint: Endpoint,
        until: Instant,
        turn: Turn,
    ) -> Evaluated {
        let Turn { while_quick, share: _share } = turn;
        let (operation, payload) = self.question(envelope, namespace);
        let called = self.module.run(Call {
            until: Some(until),
            host_calls: self.capabilities.as_ref().map(|one| Box::new(one.one_call()) as Box<dyn HostCalls>),
            while_quick: Some(Box::new(while_quick)),
            ..Call::new(operation.name(), payload)
        });
        let begin = Instant::now();
        let (body, outcome) = self.respond(envelope, endpoint, called.outcome);
        Evaluated { body, outcome, instantiate: called.instantiate, guest: called.guest, encode: begin.elapsed() }
    }

    /// Whether the labels of the request's namespace are handed in.
    pub fn wants_namespace(&self) -> bool {
        matches!(self.protocol, Protocol::Fedcar)
    }

    fn question(&self, envelope: &Envelope, namespace: Option<Bytes>) -> (Operation, Vec<Bytes>) {
        const REQUEST: Bytes = Bytes::from_static(br#"{"request":"#);
        const NAMESPACE: Bytes = Bytes::from_static(br#","namespace":"#);
        const SETTINGS: Bytes = Bytes::from_static(br#","settings":"#);
        const END: Bytes = Bytes::from_static(b"}");
        match (&self.protocol, namespace) {
            (Protocol::Fedcar, None) => (Operation::Admit, vec![REQUEST, envelope.request.clone(), END]),
            (Protocol::Fedcar, Some(namespace)) => {
                (Operation::Admit, vec![REQUEST, envelope.request.clone(), NAMESPACE, namespace, END])
            }
            (Protocol::Kubewarden { settings }, _) => {
                (Operation::Validate, vec![REQUEST, without_nulls(&envelope.request), SETTINGS, settings.clone(), END])
            }
        }
    }

    fn respond(
        &self,
        envelope: &Envelope,
        endpoint: Endpoint,
        outcome: Outcome,
    ) -> (Result<Vec<u8>, Failure>, telemetry::Outcome) {
        let reply;
        let answer = match outcome {
            Outcome::Answer(bytes) => {
                reply = bytes;
                self.read(&reply, envelope)
            }
            Outcome::Refused(_) => Err(Failure::Refused),
            Outcome::Interrupted(interruption) => Err(interruption.into()),
            Outcome::Broken(summary) => Err(summary.into()),
        };
        let (answer, outcome) = match answer {
            Ok(answer) => {
                let answer = constrain(answer, &self.terms, endpoint);
                let outcome = outcome_of(&answer);
                (answer, outcome)
            }
            Err(failure) => {
                let outcome = failure.outcome();
                tracing::warn!(policy = self.terms.id, uid = envelope.uid, outcome = outcome.as_str(), %failure, "no decision");
                let monitored = self.terms.mode == PolicyMode::Monitor && endpoint == Endpoint::Validate;
                if !monitored || matches!(failure, Failure::BadRequest(_)) {
                    return (Err(failure), outcome);
                }
                (Answer { allowed: true, ..Answer::default() }, outcome)
            }
        };
        if outcome == telemetry::Outcome::Denied {
            tracing::info!(
                policy = self.terms.id,
                uid = envelope.uid,
                kind = envelope.kind,
                namespace = envelope.namespace,
                name = envelope.name,
                "denied"
            );
        }
        (Ok(write_review(envelope.version, &envelope.uid, &answer)), outcome)
    }

    fn read<'r>(&self, reply: &'r [u8], envelope: &Envelope) -> Result<Answer<'r>, Failure> {
        match &self.protocol {
            Protocol::Kubewarden { .. } => Ok(of_validation_response(reply, envelope.object())?),
            Protocol::Fedcar => match of_admit_reply(reply)? {
                Admitted::Answer { answer, .. } => {
                    self.count_skips(&answer);
                    Ok(answer)
                }
                Admitted::Fault { code, message } if *code == *FaultCode::BadRequest.code() => {
                    Err(Failure::BadRequest(message.to_string()))
                }
                Admitted::Fault { message, .. } => Err(Failure::Fault(message.to_string())),
            },
        }
    }

    /// The module lists the sidecars that it skipped in an audit annotation, as `name=code` with commas between them.
    fn count_skips(&self, answer: &Answer<'_>) {
        let skipped = answer.audit_annotations.iter().find(|(key, _)| &***key == "skipped");
        for (sidecar, code) in
            skipped.iter().flat_map(|(_, list)| list.split(',')).filter_map(|one| one.split_once('='))
        {
            self.metrics.skipped(sidecar.trim(), code);
        }
    }
}

fn outcome_of(answer: &Answer<'_>) -> telemetry::Outcome {
    match (answer.allowed, &answer.patch) {
        (false, _) => telemetry::Outcome::Denied,
        (true, Some(_)) => telemetry::Outcome::Mutated,
        (true, None) => telemetry::Outcome::Allowed,
    }
}

impl Failure {
    /// The failure in a word.
    pub fn outcome(&self) -> telemetry::Outcome {
        match self {
            Self::BadRequest(_) | Self::Fault(_) => telemetry::Outcome::Fault,
            Self::Interrupted(Interruption::Deadline) => telemetry::Outcome::Deadline,
            Self::Interrupted(Interruption::Memory) => telemetry::Outcome::Memory,
            Self::Interrupted(Interruption::HostCalls) => telemetry::Outcome::HostCalls,
            Self::Interrupted(Interruption::Output) => telemetry::Outcome::Output,
            Self::Interrupted(Interruption::Input) => telemetry::Outcome::Input,
            Self::Refused => telemetry::Outcome::GuestError,
            Self::Broken(TrapSummary::Trap(_)) => telemetry::Outcome::Trap,
            Self::Broken(TrapSummary::Runtime(_)) => telemetry::Outcome::Runtime,
            Self::Broken(_) | Self::Answer(_) => telemetry::Outcome::Contract,
        }
    }
}

/// The request without its null fields: Kubewarden's policies know absent fields and no nulls, API servers send both.
fn without_nulls(request: &Bytes) -> Bytes {
    #[derive(Deserialize, Serialize)]
    #[serde(transparent)]
    struct Fields<'a>(#[serde(borrow)] std::collections::BTreeMap<std::borrow::Cow<'a, str>, &'a RawValue>);
    // It was read as an object before; if it is none after all, the module will say what it thinks of it.
    let Ok(Fields(mut fields)) = serde_json::from_slice(request) else { return request.clone() };
    fields.retain(|_, value| value.get() != "null");
    // Large enough from the beginning: growing would hold a large request three times.
    let mut kept = Vec::with_capacity(request.len());
    match serde_json::to_writer(&mut kept, &Fields(fields)) {
        Ok(()) => kept.into(),
        Err(_) => request.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubewardens_policies_see_no_nulls_of_the_request() {
        let request = Bytes::from_static(br#"{"uid": "a", "oldObject": null, "object": {"x": null, "y": 1.10}}"#);
        assert_eq!(without_nulls(&request), r#"{"object":{"x": null, "y": 1.10},"uid":"a"}"#);
    }
}
