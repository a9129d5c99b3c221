//! Files that are there whole or not at all.

use std::fs;
use std::io;
use std::path::Path;

use super::exit::Failure;

/// Writes beside the target and renames, so that a reader, or a power cut, never meets half a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |source: io::Error| Failure::Write { to: path.display().to_string(), source };
    let name = path.file_name().ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?;
    let temporary = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What cannot be written may not be removable either; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}
