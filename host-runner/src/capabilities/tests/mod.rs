//! The capabilities against an API server over HTTP: a small one here, and a real one where there is one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod api_server;
mod cluster;
mod gate;
mod objects;
mod watched_namespaces;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Runtime;

use super::{Bounds, Grants, Kubernetes, PolicyCapabilities, Refusal};
use crate::engine::HostCall;
use api_server::ApiServer;

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A policy on a host whose cluster is the small API server.
struct World {
    server: ApiServer,
    kubernetes: Kubernetes,
    runtime: Runtime,
}

impl World {
    fn new() -> Self {
        Self::with(Bounds::default())
    }

    fn with(bounds: Bounds) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let server = ApiServer::start(runtime.handle());
        let kubernetes = Kubernetes::new(server.client(), runtime.handle().clone(), bounds);
        Self { server, kubernetes, runtime }
    }

    /// The answer to a call of a policy that may read everything there is.
    fn call(&self, operation: &str, arguments: &Value) -> Result<Value, Refusal> {
        self.call_until(operation, arguments, Instant::now() + PATIENCE)
    }

    fn call_until(&self, operation: &str, arguments: &Value, until: Instant) -> Result<Value, Refusal> {
        let kinds = [("v1", "ConfigMap"), ("v1", "Namespace"), ("v1", "Nothing"), ("none.example.com/v1", "Nothing")];
        let grants = Grants::parse(["kubernetes/*"], kinds).expect("valid grants");
        let policy = Arc::new(PolicyCapabilities::new("test", grants, Some(self.kubernetes.clone())));
        let payload = arguments.to_string().into_bytes();
        let answer = policy.one_call().answer(host_call("kubernetes", operation, &payload, until))?;
        Ok(serde_json::from_slice(&answer).expect("the answer is JSON"))
    }

    fn get(&self, namespace: &str, name: &str) -> Result<Value, Refusal> {
        self.call("get_resource", &config_map(namespace, name))
    }
}

fn config_map(namespace: &str, name: &str) -> Value {
    serde_json::json!({
        "api_version": "v1", "kind": "ConfigMap", "namespace": namespace, "name": name, "disable_cache": false,
        "field_masks": null,
    })
}

fn host_call<'a>(namespace: &'a str, operation: &'a str, payload: &'a [u8], until: Instant) -> HostCall<'a> {
    HostCall { binding: "kubewarden", namespace, operation, payload, until }
}

/// Waits until something is so.
#[track_caller]
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
