//! How long a federation takes to check and to compile, by the number of its members.
//!
//! A recipe (`just bench-federation`), not a timed test. Each figure is the best of three runs of the released program, from its
//! start to its end, files included. Members differ in name, registry, version and architecture; the sidecars are those of the
//! example federation under other names and ports.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fedcar::yaml;
use fedcar_tests::workspace;
use serde_json::{Value, json};

const MEMBERS: [usize; 5] = [5, 50, 100, 200, 500];
const SIDECARS: u64 = 50;
const RUNS: usize = 3;

fn main() {
    let program = std::env::var_os("FEDCAR").map_or_else(|| workspace().join("target/release/fedcar"), PathBuf::from);
    println!("{:>8} {:>9} {:>10} {:>10}", "members", "sidecars", "check", "compile");
    for members in MEMBERS {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), members);
        let check = time(&program, folder.path(), &["check", "--federation", "documents"]);
        let image = |name: &str| format!("registry.example/{name}@sha256:{}", "1".repeat(64));
        let module = format!("registry://{}", image("policy"));
        let (server, runner) = (image("policy-server"), image("fedcar"));
        let flags = ["--module", &module, "--policy-server-image", &server, "--image", &runner];
        let compile =
            time(&program, folder.path(), &[&["compile", "documents", "--out", "clusters"], &flags[..]].concat());
        println!("{members:>8} {SIDECARS:>9} {:>8} ms {:>8} ms", check.as_millis(), compile.as_millis());
    }
}

/// The best of several runs, each from nothing.
fn time(program: &Path, folder: &Path, arguments: &[&str]) -> Duration {
    let run = |_| {
        let _ = fs::remove_dir_all(folder.join("clusters"));
        let start = Instant::now();
        let output = Command::new(program).current_dir(folder).args(arguments).output().expect("the program");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        start.elapsed()
    };
    (0..RUNS).map(run).min().expect("a run")
}

fn write(folder: &Path, members: usize) {
    let example = workspace().join("policies/examples/retail");
    let sidecars = folder.join("documents/sidecars");
    fs::create_dir_all(&sidecars).expect("a folder");
    let mut federation = read(&example.join("federation.yaml"));
    let kinds = federation["spec"]["members"].take();
    let kinds = kinds.as_array().expect("members");
    let member = |index: usize| {
        let mut member = kinds[index % kinds.len()].clone();
        member["name"] = json!(format!("cluster-{index}"));
        member["variables"]["registry"] = json!(format!("registry-{index}.example"));
        member
    };
    federation["spec"]["members"] = (0..members).map(member).collect();
    fs::write(folder.join("documents/federation.yaml"), yaml::write(&federation)).expect("a file");
    let mut kinds: Vec<PathBuf> = fs::read_dir(example.join("sidecars"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    kinds.sort();
    for (index, kind) in (0..SIDECARS).zip(kinds.iter().cycle()) {
        let mut sidecar = read(kind);
        sidecar["metadata"]["name"] = json!(format!("sidecar-{index}"));
        sidecar["spec"]["members"] = json!({});
        rename(&mut sidecar["spec"], index);
        fs::write(sidecars.join(format!("{index:02}.yaml")), yaml::write(&sidecar)).expect("a file");
    }
}

/// Gives containers names of their own, and their ports numbers of their own.
fn rename(value: &mut Value, index: u64) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match key.as_str() {
                    "containers" => {
                        for container in value.as_array_mut().into_iter().flatten() {
                            container["name"] = json!(format!("container-{index}"));
                        }
                    }
                    "containerPort" => {
                        *value = json!(10_000 + index * 100 + value.as_u64().unwrap_or(0) % 100);
                    }
                    _ => {}
                }
                rename(value, index);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, index)),
        _ => {}
    }
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a readable file");
    yaml::read(&text).expect("YAML").remove(0).value
}
