//! The result for a pull request: GitHub and GitLab read it alike.

use std::fmt::Write as _;

use super::budgets::in_words;
use super::tally::Tally;
use super::text::sum;
use crate::output::escaped;

/// All members, each with a heading. Writing to a text does not fail.
pub(crate) fn markdown(federation: &str, tallies: &[Tally], compared: bool) -> String {
    let mut text = format!("## fedcar preview: {}\n", escaped(federation));
    for tally in tallies {
        let _ = writeln!(text, "\n### {}\n\n{}", escaped(&tally.member), sum(tally, compared));
        if !tally.over.is_empty() {
            let _ = writeln!(text, "\nOver budget:\n");
        }
        for excess in &tally.over {
            let _ = writeln!(text, "- {}", escaped(&in_words(excess)));
        }
        if tally.rows.is_empty() {
            continue;
        }
        let (head, line) = if compared {
            ("| sidecar | before | after | workloads | which |", "|---|---|---|---|---|")
        } else {
            ("| sidecar | result | workloads | which |", "|---|---|---|---|")
        };
        let _ = writeln!(text, "\n{head}\n{line}");
        for (row, seen) in &tally.rows {
            let before = row.before.as_deref().unwrap_or_default();
            let before = if compared { format!(" {} |", escaped(before)) } else { String::new() };
            let _ = writeln!(
                text,
                "| {} |{before} {} | {} | {} |",
                escaped(&row.sidecar),
                escaped(&row.result),
                seen.workloads,
                escaped(&seen.names())
            );
        }
        let _ = writeln!(text, "\nAdded requests: {}", tally.added.in_words());
        for (title, groups) in
            [("New images", &tally.images), ("Conflicts", &tally.conflicts), ("Refused", &tally.refusals)]
        {
            if !groups.is_empty() {
                let _ = writeln!(text, "\n{title}:\n");
            }
            for (what, seen) in groups {
                let _ = writeln!(text, "- {} ({})", escaped(what), escaped(&seen.names()));
            }
        }
    }
    text
}
