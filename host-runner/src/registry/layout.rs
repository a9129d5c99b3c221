//! An OCI image layout: a folder that holds images as a registry does.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;

use super::error::Fault;
use super::manifest::{Document, Entry};
use super::reference::{Digest, Reference};
use super::remote::{LARGEST_MANIFEST_BYTES, verified};

/// The version of the layout that there is.
const VERSION: &str = "1.0.0";

/// A folder with images.
pub(crate) struct Layout {
    folder: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout {
    /// Opens a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Fault> {
        let marker = read(&folder.join("oci-layout"), "layout", LARGEST_MANIFEST_BYTES)?;
        let marker: Marker = serde_json::from_slice(&marker).map_err(Fault::NotADocument)?;
        if marker.image_layout_version != VERSION {
            return Err(Fault::LayoutVersion(marker.image_layout_version));
        }
        match Document::read(&read(&folder.join("index.json"), "index", LARGEST_MANIFEST_BYTES)?)? {
            Document::Index(entries) => Ok(Self { folder: folder.to_owned(), entries }),
            Document::Manifest(_) => Err(Fault::Ambiguous),
        }
    }

    /// The digest of what a reference names in here: by its digest, or else by the full name that the index has for it.
    pub(super) fn find(&self, reference: &Reference) -> Result<Option<Digest>, Fault> {
        if let Some(digest) = &reference.digest {
            return Ok(self.path(digest).is_file().then(|| digest.clone()));
        }
        let name = reference.full_name();
        let mut found = self.entries.iter().filter(|entry| entry.is_called(&name)).map(Entry::digest);
        match (found.next().transpose()?, found.next().transpose()?) {
            (Some(first), Some(second)) if first != second => Err(Fault::TwoOfThem(self.folder.clone())),
            (first, _) => Ok(first),
        }
    }

    /// A content by its digest, up to a size.
    pub(super) fn blob(&self, digest: &Digest, what: &'static str, limit: u64) -> Result<Bytes, Fault> {
        verified(read(&self.path(digest), what, limit)?, Some(digest), what)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hash())
    }
}

fn read(path: &Path, what: &'static str, limit: u64) -> Result<Bytes, Fault> {
    let bounded = || {
        // Before it is opened: a pipe would be waited for.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "expected a file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = bounded().map_err(|source| Fault::Layout { path: path.to_owned(), source })?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
        Ok(bytes.into())
    } else {
        Err(Fault::TooLarge { what, limit })
    }
}
