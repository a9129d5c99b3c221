//! Folders of documents with the diagnostics that people see for them, and the catalogue without any.
//!
//! `BLESS=1 cargo test -p fedcar --test documents` rewrites `expected.txt` in each folder; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fedcar::documents::{self, Loaded};
use fedcar::problem::Diagnostic;
use fedcar_policy::federation::Date;

/// The day on which these documents are checked.
fn day() -> Date {
    "2026-07-01".parse().unwrap()
}

/// What `fedcar check` would say: every problem, or for a valid folder what each member is told.
fn report(folder: &Path) -> String {
    let mut text = String::new();
    match documents::load(folder, day()) {
        Err(problems) => write_problems(&mut text, &problems),
        Ok(loaded) => {
            let problems = loaded.check(&[]);
            write_problems(&mut text, &problems);
            if problems.is_empty() {
                write_members(&mut text, &loaded);
            }
        }
    }
    text
}

fn write_problems(text: &mut String, problems: &[Diagnostic]) {
    for problem in problems {
        writeln!(text, "error: {problem}\n").unwrap();
    }
}

fn write_members(text: &mut String, loaded: &Loaded) {
    for member in loaded.federation().members() {
        let (settings, notes) = loaded.settings(&member.name).unwrap();
        let sidecars = settings["sidecars"].as_array().unwrap();
        let names: Vec<&str> = sidecars.iter().filter_map(|sidecar| sidecar["name"].as_str()).collect();
        writeln!(text, "{}: {}", member.name, names.join(", ")).unwrap();
        for note in notes {
            writeln!(text, "note: {note}").unwrap();
        }
    }
}

fn folders(parent: &str) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

fn empty_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn diagnostics_are_those_that_were_read_and_approved() {
    let bless = std::env::var_os("BLESS").is_some();
    let cases = folders("tests/documents");
    assert!(cases.len() > 10, "the folders are gone: {cases:?}");
    for folder in cases {
        let found = report(&folder);
        let golden = folder.join("expected.txt");
        if bless {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{}", folder.display());
    }
}

#[test]
fn the_example_is_valid_for_every_member() {
    let loaded = documents::load("../policies/examples/retail".as_ref(), day()).unwrap();
    assert_eq!(loaded.check(&[]), []);
    for member in loaded.federation().members() {
        loaded.settings(&member.name).unwrap();
    }
}

/// The documents in docs/documents.md, taken together, are a federation.
#[test]
fn the_reference_is_valid() {
    let folder = empty_folder("reference");
    let reference = fs::read_to_string("../docs/documents.md").unwrap();
    let blocks = reference.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let documents: Vec<&str> =
        blocks.filter(|block| block.starts_with("apiVersion:") && !block.contains("spec: {}")).collect();
    assert_eq!(documents.len(), 6);
    fs::write(folder.join("reference.yaml"), documents.join("---\n")).unwrap();
    assert_eq!(documents::load(&folder, day()).unwrap().check(&[]), []);
}

/// The catalogue is no federation by itself, so it is checked as one that defines only what has no default.
#[test]
fn the_catalogue_is_valid_as_it_stands() {
    let folder = empty_folder("catalogue");
    fs::write(
        folder.join("federation.yaml"),
        "apiVersion: fedcar.dev/v1alpha1\nkind: Federation\nmetadata: { name: catalogue }\nspec:\n  \
         variables: { oidcIssuer: \"https://login.example\" }\n  members:\n    - name: any\n      engine: kubewarden\n      \
         facts: { kubernetes: \"1.33\" }\n",
    )
    .unwrap();
    let sidecars = folders("../policies/sidecars");
    assert!(!sidecars.is_empty());
    for sidecar in &sidecars {
        let name = sidecar.file_name().unwrap().to_string_lossy();
        fs::copy(sidecar.join("sidecar.yaml"), folder.join(format!("{name}.yaml"))).unwrap();
        assert!(sidecar.join("README.md").is_file(), "{name} has no README.md");
    }
    for guardrail in fs::read_dir("../policies/guardrails").unwrap() {
        let path = guardrail.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let loaded = documents::load(&folder, day()).unwrap();
    assert_eq!(loaded.check(&[]), []);
    let (settings, _) = loaded.settings("any").unwrap();
    assert_eq!(settings["sidecars"].as_array().unwrap().len(), sidecars.len());
}
