//! Where policy servers fetch the module: a registry, and never without a digest, because a tag can mean another module
//! tomorrow.

use std::str::FromStr;

use crate::registry::Digest;

/// How Kubewarden calls a registry.
const REGISTRY: &str = "registry://";

/// A module in a registry, pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModuleReference(String);

/// Why a text is no pinned module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPinned {
    /// Another scheme, which no digest can be given for.
    #[error("expected registry://HOST/REPOSITORY@sha256:…, found the scheme `{0}://`")]
    Scheme(String),
    /// There is no repository.
    #[error("expected registry://HOST/REPOSITORY@sha256:…, found `{0}`")]
    Malformed(String),
    /// There is no digest.
    #[error("expected a digest behind `{0}`, found none")]
    NoDigest(String),
    /// The digest is not one.
    #[error("expected sha256: and 64 hexadecimal digits, found `{0}`")]
    BadDigest(String),
}

impl NotPinned {
    /// What to try instead.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::NoDigest(found) => format!(
                "`--resolve` asks for it, `kwctl digest {found}` prints it; a tag can mean another module tomorrow, and \
                 policy servers fetch it anew at each start"
            ),
            Self::Scheme(_) | Self::Malformed(_) | Self::BadDigest(_) => {
                "`fedcar module -o policy.wasm` writes the module, `kwctl push` uploads it and prints the reference with \
                 its digest"
                    .to_owned()
            }
        }
    }
}

impl ModuleReference {
    /// As `spec.module` holds it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModuleReference {
    type Err = NotPinned;

    fn from_str(text: &str) -> Result<Self, NotPinned> {
        let bare = match text.split_once("://") {
            Some(("registry", bare)) => bare,
            Some((scheme, _)) => return Err(NotPinned::Scheme(scheme.to_owned())),
            None => text,
        };
        let (repository, digest) = match bare.split_once('@') {
            Some((repository, digest)) => (repository, Some(digest)),
            None => (bare, None),
        };
        let plain = |character: char| character.is_ascii_alphanumeric() || "./:_-".contains(character);
        match repository.split_once('/') {
            Some((host, path)) if !host.is_empty() && !path.is_empty() && repository.chars().all(plain) => {}
            _ => return Err(NotPinned::Malformed(text.to_owned())),
        }
        let digest = digest.ok_or_else(|| NotPinned::NoDigest(format!("{REGISTRY}{repository}")))?;
        let digest: Digest = digest.parse().map_err(|_| NotPinned::BadDigest(digest.to_owned()))?;
        Ok(Self(format!("{REGISTRY}{repository}@{digest}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_pinned_or_refused() {
        let digest = format!("sha256:{}", "0f".repeat(32));
        for text in [format!("r.example:5000/a/b@{digest}"), format!("registry://r.example:5000/a/b@{digest}")] {
            let read: ModuleReference = text.parse().unwrap();
            assert_eq!(read.as_str(), format!("registry://r.example:5000/a/b@{digest}"));
        }
        let tagged: ModuleReference = format!("registry://r/m:v1@{digest}").parse().unwrap();
        assert_eq!(tagged.as_str(), format!("registry://r/m:v1@{digest}"));
        let owned = str::to_owned;
        for (text, expected) in [
            ("registry://r/m:v1", NotPinned::NoDigest(owned("registry://r/m:v1"))),
            ("r/m", NotPinned::NoDigest(owned("registry://r/m"))),
            ("registry://r/m@sha256:12", NotPinned::BadDigest(owned("sha256:12"))),
            ("registry://r/m@sha512:00", NotPinned::BadDigest(owned("sha512:00"))),
            ("https://r/m.wasm", NotPinned::Scheme(owned("https"))),
            ("file:///m.wasm", NotPinned::Scheme(owned("file"))),
            ("m", NotPinned::Malformed(owned("m"))),
            ("/m", NotPinned::Malformed(owned("/m"))),
            ("r/m x", NotPinned::Malformed(owned("r/m x"))),
        ] {
            assert_eq!(text.parse::<ModuleReference>(), Err(expected), "{text}");
        }
    }
}
