//! A pod of our own, put to each policy that injects before it serves: readiness means that this went well.
//!
//! Every answer that is a review passes, because settings may well deny a pod that they do not know. Policies that are asked by
//! Kubewarden's protocol are not tried: they need not know pods, and policy-server does not try them either.

use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};

use super::envelope::Envelope;
use super::policy::ServedPolicy;
use super::respond::Endpoint;
use super::turns::Turn;

/// Asks a policy about a plain pod.
pub(super) fn run(policy: &ServedPolicy) -> Result<(), String> {
    let body = Bytes::from(review().to_string());
    let envelope = Envelope::read(&body, usize::MAX).map_err(|error| error.to_string())?;
    let namespace = Some(Bytes::from(namespace().to_string()));
    let until = Instant::now() + policy.timeout;
    let evaluated = policy.evaluate(&envelope, namespace, Endpoint::Validate, until, Turn::free());
    evaluated.body.map(drop).map_err(|failure| failure.to_string())
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
