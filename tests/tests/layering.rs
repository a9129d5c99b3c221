//! Arrows go one way: the faces and the program use the decision, and a decision on an object always goes through the
//! module's bytes. Reads the sources and compares what they name with the table of what each part may name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::fs;
use std::path::Path;

use fedcar_tests::workspace;

/// Modules of `fedcar_policy` that each part may name.
const ALLOWED: [(&str, &[&str]); 3] = [
    // Only codes and names: deciding is what the module does. Expressions are folded where no pod is known, to say what
    // every pod will carry.
    (
        "host-runner/src",
        &[
            "digest::hex",
            "expression",
            "federation",
            "injection::FaultCode",
            "injection::Refusal",
            "injection::WorkloadKind",
            "protocol::Operation",
            "read",
            "settings",
        ],
    ),
    ("policy/guest/src", &["protocol"]),
    ("policy/web/src", &["protocol"]),
];

fn sources(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn each_part_names_only_what_it_may() {
    for (folder, allowed) in ALLOWED {
        let mut names = 0;
        sources(&workspace().join(folder), &mut |path, text| {
            for used in text.split("fedcar_policy::").skip(1) {
                names += 1;
                let fits = allowed.iter().any(|allowed| used.starts_with(allowed));
                let shown: String = used.chars().take(40).collect();
                assert!(fits, "{}: `fedcar_policy::{shown}` is not in the table of {folder}", path.display());
            }
        });
        assert!(names > 0, "{folder} names nothing: the test looks in the wrong place");
    }
}

#[test]
fn the_decision_has_no_effects() {
    sources(&workspace().join("policy/src"), &mut |path, text| {
        for effect in
            ["std::fs", "std::net", "std::env", "std::time", "std::thread", "std::process", "wasmtime", "tokio"]
        {
            assert!(!text.contains(effect), "{}: names `{effect}`", path.display());
        }
    });
}
