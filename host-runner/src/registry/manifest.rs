//! The documents of the OCI image format, as far as they say what an image runs on. Docker's have the same shapes under
//! other media types.
//!
//! Invariant: a document is an index or a manifest, never both: what can be read in two ways can be two images
//! (CVE-2021-41190).

use serde::Deserialize;

use super::error::Fault;
use super::reference::{Digest, Reference};

/// What a registry is asked for, the ones that cover more first.
pub(super) const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";
/// The media types of the configuration of an image that runs.
const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
/// Hangs on an entry that is about another entry, such as a statement on how it was built.
const ATTESTATION: &str = "vnd.docker.reference.type";
/// What an image of a layout is called.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
/// What builders write where there is no platform.
const NO_PLATFORM: &str = "unknown";
/// More than any name of a platform has.
const LONGEST_PLATFORM_WORD: usize = 32;

/// A document.
#[derive(Debug)]
pub(super) enum Document {
    /// Several images under one name.
    Index(Vec<Entry>),
    /// One image, or another artifact.
    Manifest(Manifest),
}

/// One image of an index.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    digest: String,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: serde_json::Map<String, serde_json::Value>,
}

/// One image, or another artifact.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// Where a content is, by its digest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    digest: String,
}

/// What an image runs on; the configuration of an image has the same keys.
#[derive(Debug, Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

/// Every shape at once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u64>,
    manifests: Option<Vec<Entry>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Document {
    /// Reads an index or a manifest.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let shape: Shape = serde_json::from_slice(bytes).map_err(Fault::NotADocument)?;
        match shape {
            Shape { schema_version: Some(1), .. } => Err(Fault::OldManifest),
            Shape { manifests: Some(entries), config: None, layers: None, .. } => Ok(Self::Index(entries)),
            Shape { manifests: None, config: Some(config), layers, .. } => {
                Ok(Self::Manifest(Manifest { config, layers: layers.unwrap_or_default() }))
            }
            _ => Err(Fault::Ambiguous),
        }
    }
}

impl Entry {
    /// Whether it is about another entry and nothing that runs.
    pub(super) fn is_attestation(&self) -> bool {
        let nowhere = |platform: &Platform| platform.os.as_deref() == Some(NO_PLATFORM);
        self.annotations.contains_key(ATTESTATION) || self.platform.as_ref().is_some_and(nowhere)
    }

    /// Its platform; `None` where the index does not say it.
    pub(super) fn platform(&self) -> Result<Option<String>, Fault> {
        self.platform.as_ref().map_or(Ok(None), Platform::in_words)
    }

    pub(super) fn digest(&self) -> Result<Digest, Fault> {
        Ok(self.digest.parse()?)
    }

    /// Whether it is called so, by one of the names that tools write into the index of a layout. A tag alone is no name.
    pub(super) fn is_called(&self, name: &str) -> bool {
        NAMES
            .iter()
            .filter_map(|key| self.annotations.get(*key)?.as_str().filter(|name| name.contains('/')))
            .any(|found| found.parse::<Reference>().is_ok_and(|found| found.full_name() == name))
    }
}

impl Descriptor {
    pub(super) fn digest(&self) -> Result<Digest, Fault> {
        Ok(self.digest.parse()?)
    }

    /// Whether it leads to a configuration that says a platform.
    pub(super) fn is_image_config(&self) -> bool {
        IMAGE_CONFIGS.contains(&self.media_type.as_str())
    }
}

/// The platform in the configuration of an image.
pub(super) fn platform_of_config(bytes: &[u8]) -> Result<Option<String>, Fault> {
    let platform: Platform = serde_json::from_slice(bytes).map_err(Fault::NotADocument)?;
    platform.in_words()
}

impl Platform {
    /// As `linux/arm64` or `linux/arm/v7`, which goes into files and onto terminals.
    fn in_words(&self) -> Result<Option<String>, Fault> {
        let known = |word: &Option<String>| word.clone().filter(|word| !word.is_empty() && word != NO_PLATFORM);
        let (Some(os), Some(architecture)) = (known(&self.os), known(&self.architecture)) else { return Ok(None) };
        let words: Vec<String> = [os, architecture].into_iter().chain(known(&self.variant)).collect();
        let is_plain = |word: &String| {
            word.len() <= LONGEST_PLATFORM_WORD
                && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if words.iter().all(is_plain) { Ok(Some(words.join("/"))) } else { Err(Fault::OddPlatform) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(document: &Value) -> Result<Document, Fault> {
        Document::read(document.to_string().as_bytes())
    }

    #[test]
    fn a_document_has_one_meaning() {
        let descriptor = json!({"mediaType": "m", "digest": "d"});
        assert!(matches!(read(&json!({"manifests": []})), Ok(Document::Index(_))));
        assert!(matches!(read(&json!({"config": descriptor, "layers": []})), Ok(Document::Manifest(_))));
        for both in [json!({"manifests": [], "config": descriptor}), json!({"manifests": [], "layers": []}), json!({})]
        {
            assert!(matches!(read(&both), Err(Fault::Ambiguous)), "{both}");
        }
        assert!(matches!(read(&json!({"schemaVersion": 1, "fsLayers": []})), Err(Fault::OldManifest)));
        assert!(matches!(read(&json!([])), Err(Fault::NotADocument(_))));
    }

    #[test]
    fn platforms_are_words() {
        let of = |value: Value| platform_of_config(value.to_string().as_bytes());
        assert_eq!(of(json!({"os": "linux", "architecture": "amd64"})).unwrap().as_deref(), Some("linux/amd64"));
        let arm = json!({"os": "linux", "architecture": "arm", "variant": "v7"});
        assert_eq!(of(arm).unwrap().as_deref(), Some("linux/arm/v7"));
        assert_eq!(of(json!({"os": "unknown", "architecture": "unknown"})).unwrap(), None);
        assert_eq!(of(json!({})).unwrap(), None);
        assert!(matches!(of(json!({"os": "l\u{1b}[2J", "architecture": "amd64"})), Err(Fault::OddPlatform)));
    }
}
