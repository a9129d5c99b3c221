//! `docs/reasons.md` is written from the code, so that no reason can be without a line in it. `BLESS=1` writes it anew.

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
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), text, "docs/reasons.md is not what the code says");
}

fn rows<T: Copy>(all: &[T], row: fn(T) -> (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    all.iter().map(|one| row(*one)).collect()
}
