//! A request of our own, put to each policy before it serves: readiness means that this went well.
//!
//! The pod is a plain one, so an injector injects it or says why not; every answer that is a review passes, because a
//! policy may well deny a pod that it does not know. What does not pass is a policy that cannot answer.

use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};

use super::envelope::Envelope;
use super::policy::{Failure, Protocol, ServedPolicy};
use super::respond::Endpoint;
use super::turns::Turn;

/// Asks a policy about a plain pod.
pub(super) fn run(policy: &ServedPolicy) -> Result<(), String> {
    let body = Bytes::from(review().to_string());
    let envelope = Envelope::read(&body, usize::MAX).map_err(|error| error.to_string())?;
    let namespace = policy.wants_namespace().then(|| Bytes::from(namespace().to_string()));
    let until = Instant::now() + policy.timeout;
    let evaluated = policy.evaluate(&envelope, namespace, Endpoint::Validate, until, Turn::free());
    match evaluated.body {
        Ok(_) => Ok(()),
        // Kubewarden's policies need not know pods, and may fail on what they do not know.
        Err(Failure::Refused) if matches!(policy.protocol, Protocol::Kubewarden { .. }) => Ok(()),
        Err(failure) => Err(failure.to_string()),
    }
}

fn namespace() -> Value {
    json!({"metadata": {"name": "fedcar-trial", "labels": {}}})
}

fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "00000000-0000-0000-0000-000000000000", "operation": "CREATE", "dryRun": true,
            "namespace": "fedcar-trial",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "fedcar"},
            "object": {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trial", "namespace": "fedcar-trial"},
                "spec": {"containers": [{"name": "trial", "image": "trial"}]},
            },
        },
    })
}
