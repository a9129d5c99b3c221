//! Results for programs.

use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a result as one line.
pub(super) fn line(result: &impl Serialize) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, result)?;
    writeln!(stdout)
}
