//! The report for people.

use std::fmt::Write as _;

use super::{Line, Report};
use crate::output::{escaped, table};

const HEAD: [&str; 7] = ["MEMBER", "GUARDRAIL", "RULE", "SIDECAR", "VERDICT", "CONTROLS", "BECAUSE"];

/// A table and a sum. Writing to a text does not fail.
pub(crate) fn text(report: &Report) -> String {
    let mut text = format!("{} on {}: {}\n", report.federation, report.day, sum(report));
    let _ = writeln!(text, "{}", basis(report));
    text.push_str(&table(&HEAD, report.rows.iter().map(cells)));
    text
}

/// The same for a pull request.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text =
        format!("## fedcar compliance: {}\n\n{} on {}\n\n", escaped(&report.federation), sum(report), report.day);
    let _ = writeln!(text, "{}\n", escaped(&basis(report)));
    let _ = writeln!(text, "| {} |\n|{}", HEAD.map(str::to_lowercase).join(" | "), "---|".repeat(HEAD.len()));
    for line in &report.rows {
        let _ = writeln!(text, "| {} |", cells(line).map(|cell| escaped(&cell)).join(" | "));
    }
    for note in report.notes() {
        let _ = writeln!(text, "\n- {}", escaped(&note));
    }
    text
}

/// `1 broken, 2 exempted, 9 kept`.
fn sum(report: &Report) -> String {
    let verdicts = fedcar_policy::federation::compliance::Verdict::CODES.into_iter();
    let counts = verdicts.map(|code| (report.count(code), code)).filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, code)| format!("{count} {code}")).collect();
    if counts.is_empty() { "no guardrails".to_owned() } else { counts.join(", ") }
}

/// What the report rests on.
fn basis(report: &Report) -> String {
    let lock = report.lock.as_deref().map_or_else(|| "no lock".to_owned(), |hash| format!("lock {hash}"));
    let ages = report.members.iter().map(|member| match member.facts_age_days {
        Some(days) => format!("{} {days} days old", member.name),
        None => format!("{} not probed", member.name),
    });
    format!("  revision {}, {lock}; facts: {}", report.revision, ages.collect::<Vec<_>>().join(", "))
}

fn cells(line: &Line) -> [String; 7] {
    let evidence = &line.evidence;
    let proof = evidence.admission_policy.as_ref().map(|name| format!(", and {name} proves it"));
    let because = format!("{}{} ({})", line.message, proof.unwrap_or_default(), evidence.place);
    [
        line.member.clone(),
        line.guardrail.clone(),
        line.rule.to_owned(),
        line.sidecar.clone().unwrap_or_else(|| "-".to_owned()),
        line.verdict.to_owned(),
        if line.controls.is_empty() { "-".to_owned() } else { line.controls.join(" ") },
        because,
    ]
}
