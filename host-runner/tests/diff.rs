//! What `fedcar diff` tells: against goldens, and that what means the same is no difference.
//!
//! `BLESS=1 cargo test -p fedcar --test diff` writes `tests/diff` anew; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

#[path = "support/example.rs"]
mod example;
#[path = "support/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

use example::{copy, replace};
use program::{Ran, program, run};

const EQUAL: i32 = 0;
const DIFFERENT: i32 = 1;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 3;

fn fedcar(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Ran { code, stdout, stderr } = run(&mut program(folder, arguments), "");
    (code, stdout, stderr)
}

/// A folder with the example federation in `old` and in `new`, and its workloads in `workloads`.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("diff").join(test);
    let _ = fs::remove_dir_all(&folder);
    for (example, to) in [("retail", "old"), ("retail", "new"), ("retail-workloads", "workloads")] {
        copy(example, &folder.join(to));
    }
    folder
}

/// Another revision: a sidecar that is no longer there by itself, more memory in one cluster, a guardrail that is gone.
fn revise(folder: &Path) {
    replace(&folder.join("new/sidecars/otel-collector.yaml"), "percent: 25", "percent: 50");
    replace(&folder.join("new/sidecars/fluent-bit.yaml"), "mode: opt-in", "mode: opt-out");
    replace(&folder.join("new/federation.yaml"), "redisCacheMemory: 256Mi", "redisCacheMemory: 1Gi");
}

#[test]
fn goldens() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff");
    let folder = folder("goldens");
    revise(&folder);
    for (golden, code, arguments) in [
        ("revision.txt", DIFFERENT, &["diff", "old", "new"][..]),
        ("revision.md", DIFFERENT, &["diff", "old", "new", "--output", "markdown", "--cluster", "us-1"]),
        ("revision.json", DIFFERENT, &["diff", "old", "new", "--output", "json", "--cluster", "edge-1"]),
        ("workloads.txt", DIFFERENT, &["diff", "old", "new", "--workloads", "workloads"]),
        ("members.txt", DIFFERENT, &["diff", "old", "--members", "eu-1", "us-1", "--list", "2"]),
        ("equal.md", EQUAL, &["diff", "old", "old", "--output", "markdown"]),
    ] {
        let (found, stdout, stderr) = fedcar(&folder, arguments);
        assert_eq!((found, stderr.as_str()), (code, ""), "{golden}");
        let path = goldens.join(golden);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(&goldens).unwrap();
            fs::write(&path, &stdout).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(expected, stdout, "{golden} differs; BLESS=1 writes it anew");
    }
}

#[test]
fn what_means_the_same_is_no_difference() {
    let folder = folder("same");
    let equal = (EQUAL, String::new(), String::new());
    assert_eq!(fedcar(&folder, &["diff", "old", "new"]), equal);
    for member in ["eu-1", "us-1", "edge-1"] {
        assert_eq!(fedcar(&folder, &["diff", "old", "--members", member, member]), equal);
    }
    // All in one file, guardrails first, the sidecars in their order.
    let new = folder.join("new");
    let mut files: Vec<PathBuf> = WalkDir::new(&new)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    files.sort_by_key(|path| (!path.starts_with(new.join("guardrails")), path.clone()));
    let texts: Vec<String> = files.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    fs::remove_dir_all(&new).unwrap();
    fs::create_dir(&new).unwrap();
    fs::write(new.join("all.yaml"), texts.join("\n---\n")).unwrap();
    assert_eq!(fedcar(&folder, &["diff", "old", "new"]), equal);
}

#[test]
fn members_that_come_and_go_are_told() {
    let folder = folder("members");
    replace(&folder.join("new/federation.yaml"), "name: us-1", "name: us-2");
    let (code, stdout, stderr) = fedcar(&folder, &["diff", "old", "new", "--output", "json"]);
    assert_eq!(code, DIFFERENT, "{stderr}");
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&found["come"][0], &found["gone"][0]), (&Value::from("us-2"), &Value::from("us-1")));
    assert_eq!(found["changes"], Value::Array(Vec::new()));
}

#[test]
fn wrong_usage_and_bad_documents_are_told() {
    let folder = folder("errors");
    for (arguments, code, message) in [
        (&["diff", "old"][..], USAGE, "NEW"),
        (&["diff", "old", "new", "--members", "eu-1", "us-1"], USAGE, "cannot be used with"),
        (&["diff", "old", "--members", "eu-1"], USAGE, "2 values"),
        (&["diff", "old", "nowhere"], BAD_INPUT, "nowhere"),
        (&["diff", "old", "new", "--cluster", "eu-2"], BAD_INPUT, "no member is named `eu-2`"),
        (&["diff", "old", "--members", "eu-1", "eu-2"], BAD_INPUT, "no member is named `eu-2`"),
    ] {
        let (found, stdout, stderr) = fedcar(&folder, arguments);
        assert_eq!((found, stdout.as_str()), (code, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    }
}
