//! Copies of the example federation that a test may change.

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

/// Copies a folder of `policies/examples` without its cases.
pub(crate) fn copy(example: &str, to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples").join(example);
    for entry in WalkDir::new(&from).into_iter().filter_map(Result::ok) {
        let name = entry.path().strip_prefix(&from).unwrap();
        if entry.file_type().is_file() && !name.starts_with("cases") {
            let path = to.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::copy(entry.path(), path).unwrap();
        }
    }
}

/// Puts one text in the place of another one, which must be there.
pub(crate) fn replace(path: &Path, old: &str, new: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{old} is not in {}", path.display());
    fs::write(path, text.replace(old, new)).unwrap();
}
