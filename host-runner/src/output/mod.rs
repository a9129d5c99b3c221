//! What a command prints: objects as YAML or JSON, their patches, or their differences.
//!
//! YAML comes out whole or not at all, because it is piped into `kubectl apply`: an object that was refused must not
//! be applied without its sidecars, nor its neighbours without it. The line formats are for programs that read one
//! answer for each object, so they stream, and a refused object has no line.

mod difference;
mod documents;
mod markdown;
pub(crate) mod sarif;
mod table;

use std::io::{self, Write};

use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) use documents::Documents;
pub(crate) use markdown::escaped;
pub(crate) use table::table;

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// The documents, in which unchanged ones keep their bytes
    Yaml,
    /// One line with each object
    Json,
    /// One line with the JSON Patch of each object, `[]` where nothing changes
    Patch,
    /// What changes in each object, as a unified diff of YAML
    Diff,
}

/// One object and what became of it.
pub(crate) struct Item<'o> {
    /// Where it stands, for the header of a diff.
    pub(crate) place: &'o str,
    /// As it was, where it is wanted.
    pub(crate) before: Option<&'o Value>,
    /// As it is now.
    pub(crate) after: &'o Value,
    /// How it came to be so, where it changed.
    pub(crate) patch: Option<&'o RawValue>,
}

impl Output {
    /// Whether items need their `before`.
    pub(crate) fn compares(self) -> bool {
        self == Self::Diff
    }

    /// Prints one object and hands it over at once, so that a program at the other end gets each answer when it is
    /// ready. YAML is printed by document, in [`Documents`].
    pub(crate) fn print(self, out: &mut impl Write, item: &Item<'_>) -> io::Result<()> {
        match self {
            Self::Yaml => return Ok(()),
            Self::Json => {
                serde_json::to_writer(&mut *out, item.after)?;
                out.write_all(b"\n")?;
            }
            Self::Patch => writeln!(out, "{}", item.patch.map_or("[]", RawValue::get))?,
            Self::Diff => difference::print(out, item)?,
        }
        out.flush()
    }
}
