//! Files that are there whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::exit::Failure;

/// What new files may be used for, less what the user's mask takes away.
const USUAL_MODE: u32 = 0o666;

/// Writes beside the target and renames, so that a reader, or a power cut, never meets half a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    // By process, so that two of them that write the same file do not meet.
    place(path, &format!(".{}", std::process::id()), bytes, USUAL_MODE)
        .map_err(|source| Failure::Write { to: path.display().to_string(), source })
}

/// The same with a mode. Until it is whole the file is a hidden one of the same name with `suffix`.
pub(super) fn place(path: &Path, suffix: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    let temporary = path.with_file_name(format!(".{}{suffix}", name.to_string_lossy()));
    // What a run that was cut off has left.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let placed = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    placed().inspect_err(|_| {
        // What cannot be written may not be removable either; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    })
}
