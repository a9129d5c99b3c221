//! Which files below a folder hold documents, and their text.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::problem::Diagnostic;

/// A file of documents.
#[derive(Debug)]
pub(super) struct File {
    /// Its path below the folder, with `/` between the parts on every system: what settings and reports carry.
    pub(super) name: String,
    /// Its path as the user can open it.
    pub(super) path: String,
    pub(super) text: String,
}

/// Every `*.yaml` and `*.yml` file below a folder, in the order of the names, and what could not be read.
///
/// Hidden files and folders are left out, and folders called `cases`: those hold workloads to try the documents on.
pub(super) fn files(folder: &Path) -> (Vec<File>, Vec<Diagnostic>) {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    if folder.is_file() {
        problems
            .push(Diagnostic::of_file(folder.display().to_string(), "expected a folder of documents, found a file"));
        return (files, problems);
    }
    // Links are followed: a mounted ConfigMap is nothing but links.
    for entry in WalkDir::new(folder).follow_links(true).into_iter().filter_entry(is_wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && has_yaml_name(entry.path()) => {
                let path = entry.path().display().to_string();
                match std::fs::read_to_string(entry.path()) {
                    Ok(text) => files.push(File { name: name(folder, entry.path()), path, text }),
                    Err(error) => problems.push(Diagnostic::of_file(path, format!("cannot read the file: {error}"))),
                }
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(folder).display().to_string();
                let cause = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                problems.push(Diagnostic::of_file(path, format!("cannot read the folder: {cause}")));
            }
        }
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    (files, problems)
}

fn is_wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0 || !(name.starts_with('.') || entry.file_type().is_dir() && name == "cases")
}

fn has_yaml_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn name(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
