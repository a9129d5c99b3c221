//! How an image is called, as container runtimes read it: what names no registry is Docker Hub's.
//!
//! Invariant: a [`Digest`] is SHA-256 in lower case, so it can be compared, and used as the name of a file.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use fedcar_policy::digest::hex;
use fedcar_policy::read::clip;
use sha2::{Digest as _, Sha256};

/// The registry of images that name none, and the host that answers for it.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");
/// Hexadecimal digits of SHA-256.
const DIGEST_DIGITS: usize = 64;

/// The hash of a manifest or of another content: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest(String);

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The registry, with a port where there is one.
    pub(super) registry: String,
    /// The repository in it.
    pub(super) repository: String,
    tag: Option<String>,
    pub(super) digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAReference {
    /// The name is none.
    #[error("expected REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:…, found `{}`", clip(.0))]
    Malformed(String),
    /// The digest is none, or of another algorithm.
    #[error("expected sha256: and 64 hexadecimal digits, found `{}`", clip(.0))]
    Digest(String),
}

impl Digest {
    /// The digest of a content.
    pub(crate) fn of(content: impl AsRef<[u8]>) -> Self {
        Self(format!("sha256:{}", hex(Sha256::digest(content))))
    }

    /// Its hexadecimal digits.
    pub(super) fn hash(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or_default()
    }

    /// With the algorithm.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let is_hash = |hash: &str| {
            hash.len() == DIGEST_DIGITS && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        match text.strip_prefix("sha256:") {
            Some(hash) if is_hash(hash) => Ok(Self(text.to_owned())),
            _ => Err(NotAReference::Digest(text.to_owned())),
        }
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let malformed = || NotAReference::Malformed(text.to_owned());
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (host, path),
            _ => (DOCKER_HUB.0, name),
        };
        let repository =
            if registry == DOCKER_HUB.0 && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        let is_part = |part: &str| {
            part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
                && part.starts_with(|first: char| first.is_ascii_alphanumeric())
        };
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len())
                && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        let is_registry = registry.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
        if !is_registry || !repository.split('/').all(is_part) || !tag.is_none_or(is_tag) {
            return Err(malformed());
        }
        Ok(Self { registry: registry.to_owned(), repository, tag: tag.map(str::to_owned), digest })
    }
}

impl Reference {
    /// The host that answers for the registry.
    pub(super) fn host(&self) -> &str {
        if self.registry == DOCKER_HUB.0 { DOCKER_HUB.1 } else { &self.registry }
    }

    /// What is asked for: the digest, or else the tag, which is `latest` where none is named.
    pub(super) fn wanted(&self) -> &str {
        self.digest.as_ref().map_or_else(|| self.tag.as_deref().unwrap_or("latest"), Digest::as_str)
    }

    /// Registry, repository and tag, with nothing left to be understood.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag.as_deref().unwrap_or("latest"))
    }
}

/// Whether `HOST` or `HOST:PORT` is this machine.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_container_runtimes_do() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        for (text, host, repository, wanted) in [
            ("nginx", "registry-1.docker.io", "library/nginx", "latest"),
            ("otel/collector:0.157.0", "registry-1.docker.io", "otel/collector", "0.157.0"),
            ("docker.io/nginx:1", "registry-1.docker.io", "library/nginx", "1"),
            ("localhost/a", "localhost", "a", "latest"),
            ("registry.example:5000/a/b_c:v1", "registry.example:5000", "a/b_c", "v1"),
            ("[::1]:5000/a", "[::1]:5000", "a", "latest"),
            (&format!("registry.example/a:v1@{digest}"), "registry.example", "a", &digest),
        ] {
            let read: Reference = text.parse().unwrap();
            assert_eq!((read.host(), read.repository.as_str(), read.wanted()), (host, repository, wanted), "{text}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for text in ["", "/a", "r.example/", "r.example/../a", "r.example/A", "r.example/a:", "r.example/a?x:1", "a b"]
        {
            assert_eq!(text.parse::<Reference>(), Err(NotAReference::Malformed(text.to_owned())), "{text}");
        }
        for digest in ["sha512:00", "sha256:00", "sha256:../../etc/passwd"] {
            let found = format!("r.example/a@{digest}").parse::<Reference>();
            assert_eq!(found, Err(NotAReference::Digest(digest.to_owned())));
        }
    }

    #[test]
    fn this_machine_is_known() {
        for (host, expected) in [
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("127.9.9.9:1", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("127.0.0.1.example:80", false),
            ("10.0.0.1:5000", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
