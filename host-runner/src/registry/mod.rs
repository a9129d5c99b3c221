//! What image references stand for: their digests and platforms, from registries and from folders with images.
//!
//! | concept | file |
//! |---|---|
//! | what a reference is | `reference` |
//! | indexes, manifests and configurations | `manifest` |
//! | a policy module | `module` |
//! | a repository of a registry | `remote`, with `challenge` and `credentials` |
//! | requests | `transport` |
//! | a folder with images | `layout` |
//!
//! Invariants: nothing is written anywhere; what is read is bounded in size, in time and in number, and has the digest by
//! which it was asked for. Whatever comes from a registry is taken for hostile, down to the words of a platform.

mod challenge;
mod credentials;
mod error;
mod layout;
mod manifest;
mod module;
mod reference;
mod remote;
mod transport;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use fedcar_policy::federation::Image;
use futures::{StreamExt as _, stream};

use crate::problem::Diagnostic;
use credentials::Credentials;
pub(crate) use error::Fault;
pub(crate) use layout::Layout;
use manifest::{Document, platform_of_config};
pub(crate) use reference::Digest;
use reference::Reference;
use remote::{LARGEST_MANIFEST_BYTES, Repository};
use transport::Transport;

/// Registries are asked for so many references at once.
const AT_ONCE: usize = 8;
/// More documents than an image has whose index does not say the platforms itself.
const MOST_DOCUMENTS: usize = 32;

/// Where references are looked up.
pub(crate) struct Registry {
    transport: Transport,
    credentials: Credentials,
    layouts: Vec<Layout>,
    patience: Duration,
}

/// Where one reference is.
enum Source<'r> {
    Layout(&'r Layout, Digest),
    Remote(Repository<'r>, &'r Reference),
}

impl Registry {
    /// Prepares to ask. Layouts go before registries; `without_tls` are registries that are asked by plain HTTP, and
    /// `patience` is how long one reference may take.
    ///
    /// # Errors
    ///
    /// What is wrong with Docker's configuration.
    pub(crate) fn new(layouts: Vec<Layout>, without_tls: Vec<String>, patience: Duration) -> Result<Self, Diagnostic> {
        Ok(Self { transport: Transport::new(without_tls), credentials: Credentials::of_docker()?, layouts, patience })
    }

    /// What each reference stands for, in their order.
    pub(crate) async fn images<'i>(&self, references: &'i BTreeSet<String>) -> Vec<(&'i str, Result<Image, Fault>)> {
        let asked = references.iter().map(async |one| (one.as_str(), self.image(one).await));
        stream::iter(asked).buffered(AT_ONCE).collect().await
    }

    async fn image(&self, reference: &str) -> Result<Image, Fault> {
        let resolved = async {
            let reference = reference.parse()?;
            let mut source = self.source(&reference)?;
            let (digest, top) = source.top().await?;
            let platforms = source.platforms(top).await?.into_iter().collect();
            Ok(Image { digest: Some(digest.to_string()), platforms })
        };
        self.in_time(resolved).await
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let late = |_| Err(Fault::Slow(self.patience.as_secs()));
        tokio::time::timeout(self.patience, work).await.unwrap_or_else(late)
    }

    fn source<'r>(&'r self, reference: &'r Reference) -> Result<Source<'r>, Fault> {
        for layout in &self.layouts {
            if let Some(digest) = layout.find(reference)? {
                return Ok(Source::Layout(layout, digest));
            }
        }
        Ok(Source::Remote(Repository::new(&self.transport, &self.credentials, reference), reference))
    }
}

impl Source<'_> {
    /// The document that the reference itself names.
    async fn top(&mut self) -> Result<(Digest, Document), Fault> {
        let bytes = match self {
            Self::Layout(layout, digest) => layout.blob(digest, "manifest", LARGEST_MANIFEST_BYTES)?,
            Self::Remote(repository, reference) => repository.manifest(reference.wanted()).await?,
        };
        Ok((Digest::of(&bytes), Document::read(&bytes)?))
    }

    async fn manifest(&mut self, digest: &Digest) -> Result<Bytes, Fault> {
        match self {
            Self::Layout(layout, _) => layout.blob(digest, "manifest", LARGEST_MANIFEST_BYTES),
            Self::Remote(repository, _) => repository.manifest(digest.as_str()).await,
        }
    }

    async fn blob(&mut self, digest: &Digest, what: &'static str, limit: u64) -> Result<Bytes, Fault> {
        match self {
            Self::Layout(layout, _) => layout.blob(digest, what, limit),
            Self::Remote(repository, _) => repository.blob(digest, what, limit).await,
        }
    }

    /// What a document runs on. Where an index does not say it, its manifests and their configurations are read; where
    /// one of them does not say it either, nothing is known about the whole.
    async fn platforms(&mut self, top: Document) -> Result<BTreeSet<String>, Fault> {
        let mut platforms = BTreeSet::new();
        let mut document = top;
        let mut waiting = Vec::new();
        for _ in 0..MOST_DOCUMENTS {
            match &document {
                Document::Index(entries) => {
                    for entry in entries.iter().filter(|entry| !entry.is_attestation()) {
                        match entry.platform()? {
                            Some(platform) => drop(platforms.insert(platform)),
                            None => waiting.push(entry.digest()?),
                        }
                    }
                }
                Document::Manifest(manifest) if manifest.config.is_image_config() => {
                    let config = self.blob(&manifest.config.digest()?, "configuration", LARGEST_MANIFEST_BYTES).await?;
                    match platform_of_config(&config)? {
                        Some(platform) => drop(platforms.insert(platform)),
                        None => return Ok(BTreeSet::new()),
                    }
                }
                Document::Manifest(_) => return Ok(BTreeSet::new()),
            }
            let Some(next) = waiting.pop() else { return Ok(platforms) };
            document = Document::read(&self.manifest(&next).await?)?;
        }
        Err(Fault::TooMany(MOST_DOCUMENTS))
    }
}
