//! `docs/reasons.md` and `docs/compatibility.md` are written from the code, so that no reason and no rule can be without a
//! line in them. `BLESS=1` writes them anew.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests: they end a test by panicking, read files and clocks, and take `json!` as it comes"
)]

use std::fmt::Write as _;
use std::path::Path;

use fedcar_policy::federation::compatibility::{RULES, Verdict};
use fedcar_policy::injection::{FaultCode, Pass, Reason, Refusal};

#[test]
fn every_reason_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reasons.md");
    let mut text = String::from(
        "# Reasons\n\n\
         Every injection, skip, denial, pass, fault and refusal has a code. Codes are a contract: they stand in audit\n\
         annotations, in `fedcar explain`, and will in metrics. Sentences may improve. This file is written from the code\n\
         (`BLESS=1 cargo test -p fedcar-policy --test documentation`).\n",
    );
    let mut section = |title: &str, rows: Vec<(&str, &str)>| {
        write!(text, "\n## {title}\n\n| code | meaning |\n|---|---|\n").unwrap();
        for (code, sentence) in rows {
            writeln!(text, "| `{code}` | {sentence} |").unwrap();
        }
    };
    section("Why a sidecar was injected, skipped or denied", rows(Reason::ALL, |one| (one.code(), one.sentence())));
    section("Why an object was passed through", rows(Pass::ALL, |one| (one.code(), one.sentence())));
    section(
        "Faults: no decision, so `onFault` or the webhook's `failurePolicy` answers",
        rows(FaultCode::ALL, |one| (one.code(), one.sentence())),
    );
    section("Why an injection cannot be undone", rows(Refusal::ALL, |one| (one.code(), one.sentence())));
    compare(&path, &text);
}

#[test]
fn every_rule_of_compatibility_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let mut text = String::from(include_str!("compatibility.md"));
    text.push_str("\n## Verdicts\n\n| verdict | meaning |\n|---|---|\n");
    for (_, code, meaning) in Verdict::ALL {
        writeln!(text, "| `{code}` | {meaning} |").unwrap();
    }
    text.push_str("\n## Rules\n\n| code | about | looks at | versions | evidence |\n|---|---|---|---|---|\n");
    for rule in &RULES {
        let row = [rule.feature, rule.looks_at, rule.versions, rule.evidence].join(" | ");
        writeln!(text, "| `{}` | {row} |", rule.code).unwrap();
    }
    compare(&path, &text);
}

fn compare(path: &Path, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(found, text, "{} is not what the code says", path.display());
}

fn rows<T: Copy>(all: &[T], row: fn(T) -> (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    all.iter().map(|one| row(*one)).collect()
}
