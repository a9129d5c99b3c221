//! One truth (promise P5): native, the module in fedcar's engine, and the web face in Node answer the same.
//!
//! Native and the engine must give the same bytes; Node is compared as data. `kwctl` is the fourth face: `kwctl.rs`.

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

use fedcar::engine::{Cache, Engine, Limits, MODULE, Outcome};
use fedcar_policy::protocol;
use fedcar_tests::{Scene, retail};
use serde_json::{Value, json};

static WEB: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/web.wasm"));

fn native(scene: &Scene) -> Vec<Vec<u8>> {
    let (reply, prepared) = protocol::prepare(scene.settings.to_string().as_bytes());
    let prepared = prepared.unwrap_or_else(|| panic!("{}: {}", scene.name, String::from_utf8_lossy(&reply)));
    scene.payloads.iter().map(|payload| protocol::admit(&prepared, payload.to_string().as_bytes())).collect()
}

#[test]
fn the_engine_answers_as_native_code_does() {
    let engine = Engine::new(Limits::default(), Cache::none()).expect("an engine");
    for scene in retail() {
        let policy = engine.prepare(MODULE, scene.settings.to_string().as_bytes()).expect("valid settings");
        for (payload, expected) in scene.payloads.iter().zip(native(&scene)) {
            let found = policy.call("fedcar.admit", payload.to_string().as_bytes());
            let expected = Outcome::Answer(expected);
            assert_eq!(found, expected, "{}: {}", scene.name, payload["request"]["object"]["metadata"]["name"]);
        }
    }
}

#[test]
fn node_answers_as_native_code_does() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web");
    fs::create_dir_all(&folder).expect("a folder");
    let mut bindgen = wasm_bindgen_cli_support::Bindgen::new();
    bindgen.input_bytes("fedcar_policy", WEB.to_vec()).nodejs(true).expect("a mode").typescript(true);
    bindgen.generate(&folder).expect("the binding");
    let scenes = retail();
    let input: Vec<Value> =
        scenes.iter().map(|scene| json!({"settings": scene.settings, "payloads": scene.payloads})).collect();
    fs::write(folder.join("input.json"), Value::from(input).to_string()).expect("the input");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/answer.cjs");
    let output = Command::new("node").arg(script).arg(&folder).output().expect("node, which scripts/setup installs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Vec<Value>> = serde_json::from_slice(&output.stdout).expect("JSON");
    for (scene, answers) in scenes.iter().zip(answers) {
        let expected: Vec<Value> =
            native(scene).iter().map(|reply| serde_json::from_slice(reply).expect("JSON")).collect();
        assert_eq!(answers.len(), expected.len());
        for (found, expected) in answers.iter().zip(&expected) {
            assert_eq!(found, expected, "{}", scene.name);
        }
    }
}
