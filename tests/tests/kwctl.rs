//! The fourth face: `kwctl run` with the annotated module gives the same verdict and pod as fedcar's engine.
//!
//! `KWCTL` names the program, else it is looked for on PATH; without one the test says so and passes, because Kubewarden's
//! tools cannot be installed from a registry of crates. `just e2e-kwctl` shows what it says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use fedcar::engine::MODULE;
use fedcar_policy::protocol;
use fedcar_tests::retail;
use serde_json::{Value, json};

#[test]
fn kwctl_answers_as_the_engine_does() {
    let kwctl = std::env::var_os("KWCTL").unwrap_or_else(|| "kwctl".into());
    if Command::new(&kwctl).arg("--version").output().is_err() {
        println!("skipped: there is no kwctl; set KWCTL or put it on PATH");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kwctl");
    fs::create_dir_all(&folder).expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let module = file("policy.wasm", MODULE);
    let mut compared = 0;
    for scene in retail() {
        let settings = file("settings.json", scene.settings.to_string().as_bytes());
        let prepared = protocol::prepare(scene.settings.to_string().as_bytes()).1.expect("valid settings");
        // The corpus has hundreds of objects and kwctl starts anew for each: the project's own workloads suffice.
        for payload in scene.payloads.iter().filter(|payload| payload["namespace"].is_null()).take(60) {
            let request = file("request.json", payload["request"].to_string().as_bytes());
            let output = Command::new(&kwctl)
                .args(["run", "--settings-path"])
                .arg(&settings)
                .arg("--request-path")
                .arg(&request)
                .arg(&module)
                .output()
                .expect("kwctl runs");
            let name = format!("{}: {}", scene.name, payload["request"]["object"]["metadata"]["name"]);
            let response: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|_| panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
            let reply: Value =
                serde_json::from_slice(&protocol::admit(&prepared, payload.to_string().as_bytes())).expect("JSON");
            assert_eq!(response["allowed"], json!(reply["verdict"] == "allowed"), "{name}: {response}");
            let object = &payload["request"]["object"];
            let theirs = response["patch"].as_str().map(decode);
            assert_eq!(patched(object, theirs.as_ref()), patched(object, reply.get("patch")), "{name}");
            assert_eq!(list(&response["warnings"]), list(&reply["warnings"]), "{name}");
            compared += 1;
        }
    }
    println!("kwctl and fedcar agree on {compared} requests");
}

fn list(warnings: &Value) -> Vec<Value> {
    warnings.as_array().cloned().unwrap_or_default()
}

fn patched(object: &Value, patch: Option<&Value>) -> Value {
    let mut object = object.clone();
    if let Some(patch) = patch {
        let patch: json_patch::Patch = serde_json::from_value(patch.clone()).expect("a patch");
        json_patch::patch(&mut object, &patch).expect("it applies");
    }
    object
}

/// Standard base64, as an `AdmissionResponse` carries its patch.
fn decode(text: &str) -> Value {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    serde_json::from_slice(&bytes).expect("JSON")
}
