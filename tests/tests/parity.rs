//! Pairs of other injectors: their input with our documents gives their output.
//!
//! Every pair below `../shared/parity` and below the folder that `PARITY_EXTRA` names is run natively: the engine gives
//! the same bytes (`three_faces.rs`). A pair that differs must be named, with its reason, in its bundle's `cases/pairs.yaml`,
//! and one that is named there must differ; of the extra pairs, which nobody has looked at yet, the differences are told.
//! The promises P1, P2, P3 and P7 must hold for all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::path::{Path, PathBuf};

use fedcar_tests::parity::{Bundle, PROJECTS, Pair, Report, pairs, run};
use fedcar_tests::workspace;

/// How many differences of one pair are shown.
const SHOWN: usize = 8;

/// The folders with pairs, each with whether its differences are known.
fn folders() -> Vec<(PathBuf, bool)> {
    let shared = workspace().join("../shared/parity");
    if !shared.is_dir() {
        println!("NOT TESTED: the pairs of other injectors are not at {}", shared.display());
    }
    let extra = std::env::var_os("PARITY_EXTRA").map(PathBuf::from);
    let folders = [Some((shared, true)), extra.map(|extra| (extra, false))];
    folders.into_iter().flatten().filter(|(folder, _)| folder.is_dir()).collect()
}

/// The documents are valid for each of their clusters, and every pair is as it should be.
fn holds(project: &str) {
    let (_, name) = PROJECTS.iter().find(|(one, _)| *one == project).expect("a project");
    let folder = workspace().join("policies/parity").join(name);
    let bundle = Bundle::load(&folder).unwrap_or_else(|problems| panic!("{}:\n{problems}", folder.display()));
    assert_eq!(bundle.problems(), None, "{}", folder.display());
    for member in bundle.members() {
        bundle.settings(member).unwrap_or_else(|problems| panic!("{}: {member}:\n{problems}", folder.display()));
    }
    let wrong =
        folders().into_iter().flat_map(|(folder, known)| run_all(&bundle, project, &folder.join(project), known));
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn istio() {
    holds("istio");
}

#[test]
fn linkerd() {
    holds("linkerd");
}

#[test]
fn kuma() {
    holds("kuma");
}

#[test]
fn eks_pod_identity() {
    holds("eks");
}

/// Runs every pair of a project in one folder, prints how many are equal, and tells what is not as it should be.
fn run_all(bundle: &Bundle, project: &str, folder: &Path, known: bool) -> Vec<String> {
    let pairs = pairs(folder);
    let reports: Vec<(&Pair, Report)> = pairs.iter().map(|pair| (pair, run(bundle, pair))).collect();
    let equal = reports.iter().filter(|(_, report)| report.passed()).count();
    println!("{project}: {equal} of {} pairs are equal ({})", pairs.len(), folder.display());
    let mut wrong = Vec::new();
    for (pair, report) in &reports {
        let name = format!("{project}/{}", pair.name);
        match (report.passed(), bundle.differences.get(&pair.name)) {
            (true, None) => {}
            (false, Some(reason)) => println!("  {}: {reason}", pair.name),
            (false, None) if !known => println!("  {} differs\n{}", pair.name, told(report)),
            (true, Some(_)) if !known => {}
            (true, Some(_)) => wrong.push(format!("{name} is among the known differences and does not differ")),
            (false, None) => wrong.push(format!("{name} differs\n{}", told(report))),
        }
        wrong.extend(report.broken.iter().map(|broken| format!("{name} breaks {broken}")));
    }
    wrong
}

fn told(report: &Report) -> String {
    let told = report.told.iter().map(|told| format!("  said: {told}"));
    let trouble = report.trouble.iter().map(|trouble| format!("  {trouble}"));
    let more = report.differences.len().saturating_sub(SHOWN);
    let differences = report.differences.iter().take(SHOWN).map(|one| format!("  {one}"));
    let rest = (more > 0).then(|| format!("  and {more} more"));
    trouble.chain(told).chain(differences).chain(rest).collect::<Vec<_>>().join("\n")
}
