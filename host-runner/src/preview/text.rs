//! The result for people.

use std::fmt::Write as _;

use super::Fate;
use super::budgets::in_words;
use super::tally::{Seen, Tally};
use crate::output::table;

/// One member, as a few tables. Writing to a text does not fail.
pub(crate) fn text(tally: &Tally, compared: bool) -> String {
    let mut text = format!("{}: {}\n", tally.member, sum(tally, compared));
    if tally.rows.is_empty() {
        over(&mut text, tally);
        return text;
    }
    if compared {
        let head = ["SIDECAR", "BEFORE", "AFTER", "WORKLOADS", "WHICH"];
        let rows = tally.rows.iter().map(|(row, seen)| {
            let before = row.before.clone().unwrap_or_default();
            [row.sidecar.clone(), before, row.result.clone(), seen.workloads.to_string(), seen.names()]
        });
        text.push_str(&table(&head, rows));
    } else {
        let head = ["SIDECAR", "RESULT", "WORKLOADS", "WHICH"];
        let rows = tally
            .rows
            .iter()
            .map(|(row, seen)| [row.sidecar.clone(), row.result.clone(), seen.workloads.to_string(), seen.names()]);
        text.push_str(&table(&head, rows));
    }
    for (title, groups) in [("new image", &tally.images), ("conflict", &tally.conflicts), ("refused", &tally.refusals)]
    {
        for (what, seen) in groups {
            let _ = writeln!(text, "  {title}: {what} ({})", seen.names());
        }
    }
    let _ = writeln!(text, "  added requests: {}", tally.added.in_words());
    over(&mut text, tally);
    text
}

fn over(text: &mut String, tally: &Tally) {
    for excess in &tally.over {
        let _ = writeln!(text, "  over budget: {}", in_words(excess));
    }
}

/// `12 workloads (30 pods): 8 injected, 1 denied, 3 skipped`.
pub(super) fn sum(tally: &Tally, compared: bool) -> String {
    let fates: Vec<String> = Fate::ALL
        .into_iter()
        .filter_map(|fate| tally.fates.get(&fate).map(|seen: &Seen| format!("{} {}", seen.workloads, fate.word())))
        .collect();
    let all = format!("{} ({})", counted(tally.workloads, "workload"), counted(tally.pods, "pod"));
    match (compared, tally.told) {
        (true, 0) => format!("{all}, none of them different"),
        (true, told) => format!("{all}, {told} of them different: {}", fates.join(", ")),
        (false, 0) => all,
        (false, _) => format!("{all}: {}", fates.join(", ")),
    }
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
