//! Settings, requests, and the proof that an answer belongs to its request and is right.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Client, Reply, Trust};
use crate::support::Server;

/// The path of the policy that a settings file makes.
pub(crate) const MUTATE: &str = "/mutate?timeout=20s";

/// The version of the settings where it does not matter which.
pub(crate) const VERSION: &str = "1";

/// The largest body that a server takes by default.
pub(crate) const BODY: usize = 8 << 20;

/// What the policy injects, and what of the request is in it.
const SIDECAR: &str = "proxy";
const VARIABLE: &str = "REQUEST";
const LABEL: &str = "request";

/// Settings that inject one sidecar of this version, with a value from the pod that it is injected into.
pub(crate) fn settings(version: &str) -> Value {
    json!({
        "schemaVersion": 1,
        "cluster": {"name": "eu-1"},
        "sidecars": [{
            "name": SIDECAR, "version": version, "mode": "opt-out",
            "inject": {"containers": [{
                "name": SIDECAR, "image": image(version),
                "env": [{"name": VARIABLE, "value": format!("${{pod.metadata.?labels.{LABEL}.orValue('none')}}")}],
            }]},
        }],
    })
}

/// Puts a file in place at once, as an editor or a kubelet does.
pub(crate) fn write_at_once(path: &Path, content: &str) {
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, content).unwrap();
    std::fs::rename(unfinished, path).unwrap();
}

/// A file with the settings of one version. YAML is a superset of JSON.
pub(crate) fn settings_file(folder: &Path, version: &str) -> PathBuf {
    let path = folder.join("settings.yaml");
    write_at_once(&path, &settings(version).to_string());
    path
}

fn image(version: &str) -> String {
    format!("registry.example/proxy:{version}")
}

/// A request that no other is like.
pub(crate) struct Asked {
    uid: String,
    value: String,
    object: Value,
    /// The review to be sent.
    pub(crate) body: Bytes,
}

impl Asked {
    /// A usual pod.
    pub(crate) fn new() -> Self {
        Self::with("usual")
    }

    /// A pod with this text in it.
    pub(crate) fn with(text: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (uid, value) = (format!("uid-{number:08}"), format!("value-{number:08}"));
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web", "namespace": "shop", "labels": {"app": "web", LABEL: value}, "annotations": {"text": text},
            },
            "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
        });
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": uid, "operation": "CREATE", "dryRun": false, "name": "web", "namespace": "shop",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "userInfo": {"username": "somebody"},
                "object": object,
            },
        });
        Self { uid, value, object, body: Bytes::from(review.to_string()) }
    }

    /// A pod whose review has `bytes` bytes.
    pub(crate) fn of_size(bytes: usize) -> Self {
        let asked = Self::with(&"x".repeat(bytes - Self::with("").body.len()));
        assert_eq!(asked.body.len(), bytes, "numbers have a fixed width");
        asked
    }

    /// Which of `versions` was injected; an error where the answer is not a right one.
    pub(crate) fn proven(&self, reply: &Reply, versions: &[String]) -> Result<String, String> {
        let review = self.allowed(reply)?;
        let wrong = |what: &str| format!("{what}: {}", String::from_utf8_lossy(&reply.body));
        let patch = review["response"]["patch"].as_str().ok_or_else(|| wrong("no patch"))?;
        let patch = STANDARD.decode(patch).map_err(|error| wrong(&error.to_string()))?;
        let patch: json_patch::Patch = serde_json::from_slice(&patch).map_err(|error| wrong(&error.to_string()))?;
        let mut object = self.object.clone();
        json_patch::patch(&mut object, &patch).map_err(|error| wrong(&error.to_string()))?;
        let containers = object["spec"]["containers"].as_array().ok_or_else(|| wrong("no containers"))?;
        if !containers.contains(&self.object["spec"]["containers"][0]) {
            return Err(wrong("the user's container is not as it was"));
        }
        let sidecar = containers.iter().find(|container| container["name"] == SIDECAR);
        let sidecar = sidecar.ok_or_else(|| wrong("no sidecar"))?;
        if sidecar["env"] != json!([{"name": VARIABLE, "value": self.value}]) {
            return Err(wrong(&format!("the sidecar of another request, expected {}: {sidecar}", self.value)));
        }
        let version = versions.iter().find(|version| sidecar["image"] == image(version));
        version.cloned().ok_or_else(|| wrong(&format!("none of the versions {versions:?}: {sidecar}")))
    }

    /// The review, where it allows this very request.
    pub(crate) fn allowed(&self, reply: &Reply) -> Result<Value, String> {
        let wrong = |what: &str| format!("{} {what}: {}", reply.status, String::from_utf8_lossy(&reply.body));
        if reply.status != 200 {
            return Err(wrong("is no review"));
        }
        let review: Value = serde_json::from_slice(&reply.body).map_err(|error| wrong(&error.to_string()))?;
        if review["response"]["uid"] != self.uid.as_str() {
            return Err(wrong(&format!("answers another request than {}", self.uid)));
        }
        if review["response"]["allowed"] != true {
            return Err(wrong("denies"));
        }
        Ok(review)
    }
}

/// Whether a usual request on a new connection is answered, by a policy that injects [`VERSION`].
pub(crate) async fn serves(trust: &Trust, server: &Server, path: &str) -> Result<(), String> {
    let asked = Asked::new();
    let reply = Client::new(trust, server.address).post(path, asked.body.clone()).await?;
    asked.proven(&reply, &[VERSION.to_owned()]).map(drop)
}
