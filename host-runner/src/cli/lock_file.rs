//! Writing `fedcar.lock`: whole or not at all, and only where it says something else than before.

use std::path::Path;

use fedcar_policy::federation::{LOCK_FILE, Lock};

use super::exit::{Exit, Failure};
use super::whole_file;
use crate::yaml;

/// What became of the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Unchanged,
    Written,
    /// It would be written.
    Different,
}

impl Fate {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Written => "written",
            Self::Different => "different",
        }
    }

    pub(super) fn exit(self) -> Exit {
        match self {
            Self::Unchanged | Self::Written => Exit::Done,
            Self::Different => Exit::Denied,
        }
    }
}

/// Puts a lock in the place of the one that was read from the folder, unless it is only to be checked.
pub(super) fn put(folder: &Path, before: &Lock, now: &Lock, check: bool) -> Result<Fate, Failure> {
    if before == now {
        return Ok(Fate::Unchanged);
    }
    if check {
        return Ok(Fate::Different);
    }
    whole_file::write(&folder.join(LOCK_FILE), yaml::write(&now.to_value()).as_bytes())?;
    Ok(Fate::Written)
}
