//! What the end-to-end tests share: real requests to put to every face of the decision.

#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

pub mod parity;
pub mod pods;

use std::fs;
use std::path::{Path, PathBuf};

use fedcar::{documents, yaml};
use serde_json::{Value, json};

/// One cluster's settings and the requests that are put to it.
#[derive(Debug)]
pub struct Scene {
    /// The cluster, for messages.
    pub name: String,
    /// Its settings.
    pub settings: Value,
    /// `fedcar.admit` payloads.
    pub payloads: Vec<Value>,
}

/// The workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The example federation: every cluster with every workload, as a command line and as an API server would put it.
pub fn retail() -> Vec<Scene> {
    let loaded = documents::load(&workspace().join("policies/examples/retail"), documents::today())
        .expect("the example federation");
    let objects = workloads();
    let namespaces: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "Namespace").collect();
    loaded
        .federation()
        .members()
        .map(|member| Scene {
            name: member.name.clone(),
            settings: loaded.settings(&member.name).expect("valid settings").0,
            payloads: objects.iter().flat_map(|object| payloads(object, &namespaces)).collect(),
        })
        .collect()
}

/// The example workloads, the catalogue's inputs, and the corpus where it is at hand.
fn workloads() -> Vec<Value> {
    let mut objects = Vec::new();
    for folder in ["policies/examples/retail-workloads", "policies/sidecars"] {
        for path in yaml_files(&workspace().join(folder)) {
            let text = fs::read_to_string(&path).expect("a readable file");
            objects.extend(yaml::read(&text).expect("YAML").into_iter().map(|document| document.value));
        }
    }
    let corpus = fs::read_to_string(workspace().join("../shared/corpus/workloads.jsonl")).unwrap_or_default();
    if corpus.is_empty() {
        println!("the corpus is not there: only the project's own workloads are used");
    }
    objects.extend(corpus.lines().map(|line| {
        let mut entry: Value = serde_json::from_str(line).expect("JSON");
        entry["object"].take()
    }));
    objects
}

/// The inputs below a folder: those of the catalogue's cases, or all.
fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(yaml_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml")
            && !["sidecar.yaml", "golden.yaml"].iter().any(|name| path.ends_with(name))
        {
            files.push(path);
        }
    }
    files
}

fn payloads(object: &Value, namespaces: &[&Value]) -> Vec<Value> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    let name = object["metadata"]["namespace"].as_str().unwrap_or("default");
    let request = json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": name,
        "kind": {"group": group, "version": version, "kind": object["kind"]},
        "resource": {"group": group, "version": version, "resource": "irrelevant"},
        "userInfo": {"username": "somebody"}, "object": object,
    });
    let namespace = namespaces.iter().find(|namespace| namespace["metadata"]["name"] == name);
    let known = namespace.map_or_else(|| json!({"metadata": {"name": name}}), |namespace| (*namespace).clone());
    vec![
        json!({"request": request, "namespace": known, "offline": true, "explain": true}),
        json!({"request": request, "namespace": known}),
        json!({"request": request}),
    ]
}
