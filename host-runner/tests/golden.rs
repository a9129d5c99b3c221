//! The catalogue, the cookbook and the example federation through the program: what goes in, what comes out, and why.
//!
//! Each case is a folder. `input.yaml` goes in; `golden.yaml` is what `fedcar inject` prints, `report.txt` what it and
//! `fedcar explain` say. `BLESS=1 cargo test -p fedcar --test golden` writes both anew; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Exit codes that a case may end with: done or skipped, denied.
const DONE: i32 = 0;
const DENIED: i32 = 1;

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").canonicalize().unwrap()
}

fn fedcar(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_fedcar")).args(arguments).env("NO_COLOR", "1").output().unwrap();
    let code = output.status.code().unwrap();
    assert!([DONE, DENIED].contains(&code), "{arguments:?} ended with {code}: {}", text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn compare(path: &Path, found: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, found).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(golden, found, "{} differs; BLESS=1 writes it anew", path.display());
}

/// Runs one input, compares both goldens, and holds what comes out to promises P2 and P3.
fn run_case(case: &Path, federation: &Path, cluster: &str, inputs: &[&Path]) {
    let from = ["--federation", federation.to_str().unwrap(), "--cluster", cluster];
    let inputs: Vec<&str> = inputs.iter().map(|path| path.to_str().unwrap()).collect();
    let injected = fedcar(&[&["inject"], &from[..], &inputs[..]].concat());
    let explained = fedcar(&[&["explain"], &from[..], &inputs[..]].concat());
    let root = policies();
    let hide = |said: String| {
        let said = said.replace(federation.to_str().unwrap(), "FEDERATION");
        said.replace(root.to_str().unwrap(), "policies")
    };
    compare(&case.join("golden.yaml"), &text(&injected.stdout));
    compare(&case.join("report.txt"), &hide(format!("{}\n{}", text(&injected.stderr), text(&explained.stdout))));
    if injected.status.code() == Some(DENIED) {
        assert!(injected.stdout.is_empty(), "a denied object must not reach the next program of a pipe");
        return;
    }
    let golden = case.join("golden.yaml");
    let golden = golden.to_str().unwrap();
    let again = fedcar(&[&["inject"], &from[..], &["--quiet", "--output", "patch", golden]].concat());
    let patches = text(&again.stdout);
    assert!(patches.lines().all(|patch| patch == "[]"), "{golden}: a second injection changes it: {patches}");
    let restored = fedcar(&["uninject", "--quiet", "--output", "json", golden]);
    let original = fedcar(&[&["uninject", "--quiet", "--output", "json"], &inputs[..]].concat());
    let objects = |output: &Output| -> Vec<serde_json::Value> {
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(objects(&restored), objects(&original), "{golden}: uninject gives back the input");
}

/// Runs the cases of every entry of a folder, each entry in a federation of its own; how many there were.
fn run_entries(entries: &str, root: &str) -> usize {
    let policies = policies();
    let mut cases = 0;
    for sidecar in folders(&policies.join(entries)) {
        let federation = Path::new(env!("CARGO_TARGET_TMPDIR")).join(entries).join(sidecar.file_name().unwrap());
        fs::create_dir_all(&federation).unwrap();
        fs::copy(sidecar.join("sidecar.yaml"), federation.join("sidecar.yaml")).unwrap();
        fs::copy(policies.join(root), federation.join("federation.yaml")).unwrap();
        for case in folders(&sidecar.join("cases")) {
            let name = case.file_name().unwrap().to_str().unwrap();
            let (cluster, _) = name.split_once('-').expect("a case is called <cluster>-<what>");
            run_case(&case, &federation, cluster, &[&case.join("input.yaml")]);
            cases += 1;
        }
    }
    cases
}

#[test]
fn catalogue() {
    let cases = run_entries("sidecars", "cases/federation.yaml");
    assert!(cases >= 25, "only {cases} cases were found");
}

/// The recipes of docs/language.md.
#[test]
fn cookbook() {
    let cases = run_entries("cookbook", "cookbook/federation.yaml");
    assert!(cases >= 40, "only {cases} cases were found");
}

#[test]
fn retail() {
    let policies = policies();
    let workloads = policies.join("examples/retail-workloads");
    let mut inputs: Vec<PathBuf> = fs::read_dir(&workloads).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    for case in folders(&policies.join("examples/retail/cases")) {
        let name = case.file_name().unwrap().to_str().unwrap();
        let (cluster, workload) = name.split_once("..").expect("a case is called <cluster>..<workload>");
        let input = workloads.join(workload).with_extension("yaml");
        run_case(&case, &policies.join("examples/retail"), cluster, &[&workloads.join("namespaces.yaml"), &input]);
    }
}
