//! The folder on the disk: it is there whole or not at all, and nothing of somebody else's is ever lost in it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Deserialize;
use serde_json::{Map, Value};
use walkdir::WalkDir;

use super::{Files, MANIFEST};

/// A folder that is compiled into.
pub(crate) struct Place {
    path: PathBuf,
    found: BTreeMap<String, Vec<u8>>,
    /// Something that no compile has written.
    foreign: Option<String>,
}

/// What is different on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The file is not there.
    Missing(String),
    /// The file has another content.
    Different(String),
    /// The file has no place there any more.
    Surplus(String),
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// There is a file, or something else that is no folder.
    #[error("expected a folder or nothing at {path}, found a file")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// The folder holds what is not ours.
    #[error("{path} holds `{file}`, which `fedcar compile` has not written, and the folder is replaced as a whole")]
    Foreign {
        /// The folder.
        path: String,
        /// The first file that is not ours.
        file: String,
    },
    /// The folder cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// What was read or written.
        path: String,
        /// Why it could not.
        source: io::Error,
    },
}

impl Change {
    /// The file.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Missing(path) | Self::Different(path) | Self::Surplus(path) => path,
        }
    }

    /// What writing would do to the file.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Missing(_) => "added",
            Self::Different(_) => "changed",
            Self::Surplus(_) => "removed",
        }
    }
}

impl Place {
    /// Reads what is there; nothing is a good answer.
    pub(crate) fn survey(path: &Path) -> Result<Self, PlaceError> {
        let shown = path.display().to_string();
        let error = |source| PlaceError::Io { path: shown.clone(), source };
        let mut place = Self { path: path.to_owned(), found: BTreeMap::new(), foreign: None };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(PlaceError::NotAFolder { path: shown }),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(place),
            Err(source) => return Err(error(source)),
        }
        // What is replaced is the folder, not a link to it.
        place.path = fs::canonicalize(path).map_err(error)?;
        let mut others = Vec::new();
        for entry in WalkDir::new(&place.path).sort_by_file_name() {
            let entry = entry.map_err(|source| error(source.into()))?;
            let name = below(&place.path, entry.path());
            if entry.file_type().is_file() {
                let bytes = fs::read(entry.path()).map_err(error)?;
                place.found.insert(name, bytes);
            } else if !entry.file_type().is_dir() {
                others.push(name);
            }
        }
        let ours = place.found.get(MANIFEST).and_then(|bytes| listed(bytes)).unwrap_or_default();
        let is_ours = |name: &&String| ours.contains_key(*name) || *name == MANIFEST && !ours.is_empty();
        place.foreign = place.found.keys().find(|name| !is_ours(name)).cloned().or(others.into_iter().next());
        Ok(place)
    }

    /// What writing these files would change, in the order of paths.
    pub(crate) fn changes(&self, files: &Files) -> Vec<Change> {
        let written = files.iter().filter_map(|(path, text)| match self.found.get(path) {
            None => Some(Change::Missing(path.clone())),
            Some(found) => (found != text.as_bytes()).then(|| Change::Different(path.clone())),
        });
        let surplus = self.found.keys().filter(|path| !files.contains_key(*path)).cloned().map(Change::Surplus);
        let mut changes: Vec<Change> = written.chain(surplus).collect();
        changes.sort_by(|left, right| left.path().cmp(right.path()));
        changes
    }

    /// Puts these files in the place of what is there. `force` gives up what is not ours.
    pub(crate) fn write(&self, files: &Files, force: bool) -> Result<(), PlaceError> {
        let shown = self.path.display().to_string();
        if let (Some(file), false) = (&self.foreign, force) {
            return Err(PlaceError::Foreign { path: shown, file: file.clone() });
        }
        let replaced = self.temporary().and_then(|temporary| {
            let done = fill(&temporary, files).and_then(|()| swap(&temporary, &self.path));
            // After a success it holds what was there before, after a failure what is not wanted.
            let cleared = remove(&temporary);
            done.and(cleared)
        });
        replaced.map_err(|source| PlaceError::Io { path: shown, source })
    }

    /// A folder of this process beside the place, so that renaming does not leave the file system.
    fn temporary(&self) -> io::Result<PathBuf> {
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = self.path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        // What a process of the same number has left.
        remove(&temporary)?;
        fs::create_dir_all(&temporary)?;
        Ok(temporary)
    }
}

/// Writes without waiting for the disk: after a power cut the same command gives the same files.
fn fill(folder: &Path, files: &Files) -> io::Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// Exchanges the folders in one step where the file system can, so that a reader never finds none.
fn swap(new: &Path, place: &Path) -> io::Result<()> {
    if fs::symlink_metadata(place).is_err() {
        return fs::rename(new, place);
    }
    if renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    let old = new.with_extension("old");
    remove(&old)?;
    fs::rename(place, &old)?;
    if let Err(error) = fs::rename(new, place) {
        fs::rename(&old, place)?;
        return Err(error);
    }
    remove(&old)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The files that a manifest lists; `None` where the text is no manifest of ours.
fn listed(manifest: &[u8]) -> Option<Map<String, Value>> {
    #[derive(Deserialize)]
    struct Manifest {
        compiler: Compiler,
        files: Map<String, Value>,
    }
    #[derive(Deserialize)]
    struct Compiler {
        name: String,
    }
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    (manifest.compiler.name == env!("CARGO_PKG_NAME")).then_some(manifest.files)
}

fn below(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Files {
        let mut files: Files = texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let listed: Map<String, Value> = files.keys().map(|path| (path.clone(), Value::from("sha256:"))).collect();
        let manifest = serde_json::json!({"compiler": {"name": "fedcar"}, "files": listed});
        files.insert(MANIFEST.to_owned(), manifest.to_string());
        files
    }

    fn words(changes: &[Change]) -> Vec<(&str, &str)> {
        changes.iter().map(|change| (change.path(), change.word())).collect()
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let first = files(&[("a/x.yaml", "1"), ("b/x.yaml", "2")]);
        Place::survey(&path).unwrap().write(&first, false).unwrap();
        assert_eq!(Place::survey(&path).unwrap().changes(&first), []);

        let second = files(&[("a/x.yaml", "3"), ("c/x.yaml", "4")]);
        let place = Place::survey(&path).unwrap();
        let expected = [(MANIFEST, "changed"), ("a/x.yaml", "changed"), ("b/x.yaml", "removed"), ("c/x.yaml", "added")];
        assert_eq!(words(&place.changes(&second)), expected);
        place.write(&second, false).unwrap();
        assert!(!path.join("b").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_link_stays_a_link() {
        let parent = tempfile::tempdir().unwrap();
        let (real, link) = (parent.path().join("real"), parent.path().join("link"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Place::survey(&link).unwrap().write(&files(&[("a", "1")]), false).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(real.join("a")).unwrap(), "1");
    }

    #[test]
    fn what_is_not_ours_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let wanted = files(&[("a", "1")]);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        let refused = Place::survey(&path).unwrap().write(&wanted, false).unwrap_err();
        assert!(matches!(&refused, PlaceError::Foreign { file, .. } if file == "notes.txt"), "{refused}");
        assert_eq!(fs::read_to_string(path.join("notes.txt")).unwrap(), "mine");
        Place::survey(&path).unwrap().write(&wanted, true).unwrap();
        assert!(!path.join("notes.txt").exists());

        // Also beside files of ours, and a manifest of somebody else makes nothing ours.
        fs::write(path.join("notes.txt"), "mine").unwrap();
        assert!(Place::survey(&path).unwrap().write(&wanted, false).is_err());
        fs::write(path.join(MANIFEST), r#"{"compiler":{"name":"other"},"files":{"notes.txt":"","a":""}}"#).unwrap();
        assert!(Place::survey(&path).unwrap().write(&wanted, false).is_err());

        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Place::survey(&file), Err(PlaceError::NotAFolder { .. })));
    }

    #[test]
    fn what_cannot_be_written_changes_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let first = files(&[("a", "1")]);
        Place::survey(&path).unwrap().write(&first, false).unwrap();
        // A file where a folder has to be.
        let broken = files(&[("b", "2"), ("b/c", "3")]);
        assert!(Place::survey(&path).unwrap().write(&broken, false).is_err());
        assert_eq!(Place::survey(&path).unwrap().changes(&first), []);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
