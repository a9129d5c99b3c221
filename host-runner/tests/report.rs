//! What `fedcar report` tells, against goldens.
//!
//! `BLESS=1 cargo test -p fedcar --test report` writes `tests/report` anew; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

#[path = "support/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use fedcar_policy::federation::{Image, Lock};
use serde_json::{Value, json};

use program::{Ran, program, run};

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

fn report(folder: &Path, arguments: &[&str]) -> Ran {
    run(program(folder, &["report", "compliance", "retail"]).args(arguments), "")
}

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report")
}

/// The documents with a lock that knows one member and one image.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("retail")).unwrap();
    for file in ["federation.yaml", "sidecars.yaml"] {
        fs::copy(goldens().join("documents").join(file), folder.join("retail").join(file)).unwrap();
    }
    let mut lock = Lock::default();
    lock.set_facts("eu-1", &json!({"taken": "2026-06-25T10:00:00Z", "kubernetes": "1.33"})).unwrap();
    let digest = format!("sha256:{}", "fedcba9876543210".repeat(4));
    lock.set_image("registry.example/proxy:2.0.0", Image { digest: Some(digest), platforms: Vec::new() });
    fs::write(folder.join("retail/fedcar.lock"), lock.to_value().to_string()).unwrap();
    folder
}

fn replace(path: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{old} is not in {}", path.display());
    fs::write(path, text.replace(old, new)).unwrap();
}

#[test]
fn compliance_goldens() {
    let kept = folder("goldens");
    let broken = folder("broken");
    replace(&broken.join("retail/sidecars.yaml"), "1.4.0@sha256", "1.4.0@sha512");
    replace(&broken.join("retail/federation.yaml"), "2027-03-31", "2026-06-30");
    for (golden, folder, form, code) in [
        ("compliance.txt", &kept, "text", 0),
        ("compliance.md", &kept, "markdown", 0),
        ("compliance.json", &kept, "json", 0),
        ("compliance.sarif", &kept, "sarif", 0),
        ("policy-report.yaml", &kept, "policy-report", 0),
        ("open-report.yaml", &kept, "open-report", 0),
        ("broken.txt", &broken, "text", 1),
        ("broken.yaml", &broken, "policy-report", 1),
    ] {
        let ran = report(folder, &["--day", "2026-07-01", "--output", form]);
        assert_eq!(ran.code, code, "{golden}: {}", ran.stderr);
        let note = "an exemption from Guardrail `telemetry` ends with 2026-07-20, in 19 days: payments answers for it (federation.yaml:26)\n";
        assert_eq!(ran.stderr, note, "{golden}");
        let path = goldens().join(golden);
        // The version of this program is no part of what is told.
        let told = ran.stdout.replace(&format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"version\": \"…\"");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &told).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(expected, told, "{golden} differs; BLESS=1 writes it anew");
    }
}

/// What the report points to is there: the settings have the rule, and the compiled files have the policy.
#[test]
fn evidence_leads_to_what_holds_to_a_rule() {
    let folder = folder("evidence");
    let told = report(&folder, &["--day", "2026-07-01", "--output", "json"]).json();
    let documents = fedcar::documents::load(&folder.join("retail"), "2026-07-01".parse().unwrap()).unwrap();
    let mut held = 0;
    for row in told["rows"].as_array().unwrap() {
        let (settings, _) = documents.settings(row["member"].as_str().unwrap()).unwrap();
        let Some(pointer) = row["evidence"]["settings"].as_str() else { continue };
        let found = settings.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not in the settings: {row:#}"));
        if pointer.starts_with("/guardrails/") {
            assert!(found == &row["sidecar"] || found["sidecar"] == row["sidecar"], "{found} {row:#}");
            held += 1;
        }
        let (file, line) = row["evidence"]["place"].as_str().unwrap().split_once(':').unwrap();
        let text = fs::read_to_string(folder.join("retail").join(file)).unwrap();
        let line = text.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap();
        assert!(line.contains(row["rule"].as_str().unwrap()), "{line} {row:#}");
    }
    assert_eq!(held, 4, "{told:#}");
}

/// The day decides, and nothing else.
#[test]
fn exemptions_count_until_the_end_of_their_last_day() {
    let folder = folder("days");
    for (day, code, notes) in
        [("2026-06-19", 0, 0), ("2026-06-20", 0, 1), ("2026-07-20", 0, 1), ("2026-07-21", 1, 0), ("2027-04-01", 1, 0)]
    {
        let ran = report(&folder, &["--day", day]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (code, notes), "{day}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stdout, report(&folder, &["--day", day]).stdout);
    }
}

/// The example federation, in the project's own folder.
#[test]
fn compatibility_and_versions_of_the_example() {
    for (golden, arguments, code) in [
        ("compatibility.txt", &["compatibility", "--cluster", "edge-1", "--all"][..], 0),
        ("compatibility.jsonl", &["compatibility", "--sidecar", "otel-collector", "--output", "json"], 0),
        ("versions.txt", &["versions"], 0),
        ("versions.jsonl", &["versions", "--output", "json"], 0),
    ] {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let fixed = ["report", arguments[0], "../policies/examples/retail"];
        let Ran { code: found, stdout: told, stderr } = run(program(project, &fixed).args(&arguments[1..]), "");
        assert_eq!(found, code, "{golden}: {stderr}");
        let path = goldens().join(golden);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &told).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), told, "{golden} differs; BLESS=1 writes it anew");
    }
}

#[test]
fn documents_that_are_not_valid_have_no_report() {
    let folder = folder("invalid");
    replace(&folder.join("retail/sidecars.yaml"), "mode: opt-out", "mode: optout");
    let ran = report(&folder, &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `opt-out`"), "{}", ran.stderr);
}
