//! What changed in an object, as a unified diff of its YAML before and after.

use std::io::{self, Write};

use similar::TextDiff;

use super::Item;
use crate::yaml;

/// Unchanged lines around a change, as everywhere.
const CONTEXT_LINES: usize = 3;

/// Prints the difference; nothing where there is none.
pub(super) fn print(out: &mut impl Write, item: &Item<'_>) -> io::Result<()> {
    let (Some(before), Some(_)) = (item.before, item.patch) else { return Ok(()) };
    let (before, after) = (yaml::write(before), yaml::write(item.after));
    let names = (format!("a/{}", item.place), format!("b/{}", item.place));
    let difference = TextDiff::from_lines(&before, &after);
    write!(out, "{}", difference.unified_diff().context_radius(CONTEXT_LINES).header(&names.0, &names.1))
}
