//! The difference for people.

use std::fmt::Write as _;

use super::{Difference, sides};

/// How much of a difference between pods is shown.
const SHOWN_LINES: usize = 24;

/// What is said otherwise by thing, then the pods. Writing to a text does not fail.
pub(crate) fn text(difference: &Difference) -> String {
    let mut text = String::new();
    for (word, members) in [("new", &difference.come), ("gone", &difference.gone)] {
        for member in members {
            let _ = writeln!(text, "member {member}: {word}");
        }
    }
    let mut about = "";
    for shared in &difference.changes {
        let change = &shared.change;
        if about != change.about {
            about = &change.about;
            let _ = writeln!(text, "{about}");
        }
        let field = if change.field.is_empty() { String::new() } else { format!("{}: ", change.field) };
        let _ = writeln!(text, "  {field}{} [{}]", sides(change), difference.members(&shared.members));
    }
    for group in &difference.pods {
        let _ = writeln!(text, "pods: {} [{}]", group.seen.names(), difference.members(&group.members));
        for row in &group.sidecars {
            let _ =
                writeln!(text, "  {}: {} -> {}", row.sidecar, row.before.as_deref().unwrap_or_default(), row.result);
        }
        for line in group.difference.lines().take(SHOWN_LINES) {
            let _ = writeln!(text, "    {line}");
        }
        let more = group.difference.lines().skip(SHOWN_LINES).count();
        if more > 0 {
            let _ = writeln!(text, "    … and {more} more lines, in `--output json`");
        }
    }
    text
}
