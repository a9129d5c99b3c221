//! The difference for a pull request.

use std::fmt::Write as _;

use super::{Difference, sides};
use crate::output::escaped;

/// A table of what is said otherwise, then the pods. Writing to a text does not fail.
pub(crate) fn markdown(difference: &Difference) -> String {
    let mut text = format!("## fedcar diff: {}\n", escaped(&difference.federation));
    if difference.is_empty() {
        text.push_str("\nNo difference.\n");
    }
    for (word, members) in [("new", &difference.come), ("gone", &difference.gone)] {
        for member in members {
            let _ = writeln!(text, "\nMember {}: {word}", escaped(member));
        }
    }
    if !difference.changes.is_empty() {
        text.push_str("\n| about | field | change | members |\n|---|---|---|---|\n");
    }
    for shared in &difference.changes {
        let cells = [
            shared.change.about.as_str(),
            shared.change.field.as_str(),
            &sides(&shared.change),
            &difference.members(&shared.members),
        ];
        let _ = writeln!(text, "| {} |", cells.map(escaped).join(" | "));
    }
    for group in &difference.pods {
        let members = difference.members(&group.members);
        let _ = writeln!(text, "\n### Pods in {}\n\n{}\n", escaped(&members), escaped(&group.seen.names()));
        for row in &group.sidecars {
            let before = escaped(row.before.as_deref().unwrap_or_default());
            let _ = writeln!(text, "- {}: {before} -> {}", escaped(&row.sidecar), escaped(&row.result));
        }
        if !group.difference.is_empty() {
            // Indented, so that no fence within can end it.
            text.push_str("\n<details><summary>the pods</summary>\n\n");
            for line in group.difference.lines() {
                let _ = writeln!(text, "    {line}");
            }
            text.push_str("\n</details>\n");
        }
    }
    text
}
