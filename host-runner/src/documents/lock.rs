//! The lock beside the documents.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use fedcar_policy::federation::Lock;

use super::show_at;
use crate::problem::Diagnostic;
use crate::yaml;

/// Reads a lock; one that is not there is empty.
pub(super) fn read(path: &Path) -> Result<Lock, Vec<Diagnostic>> {
    let shown = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lock::default()),
        Err(error) => return Err(vec![Diagnostic::of_file(shown, format!("cannot read the file: {error}"))]),
    };
    let documents =
        yaml::read_located(&text).map_err(|error| vec![Diagnostic::of_yaml(shown.as_str(), &text, error)])?;
    let [(document, locations)] = documents.as_slice() else {
        return Err(vec![Diagnostic::of_file(shown, format!("expected one document, found {}", documents.len()))]);
    };
    Lock::read(&document.value)
        .map_err(|problems| problems.into_iter().map(|problem| show_at(&shown, &text, locations, problem)).collect())
}
