//! Why a reference could not be resolved, and what to do about it.

use std::io;
use std::path::PathBuf;

use fedcar_policy::read::clip;
use hyper::StatusCode;

use super::reference::{Digest, NotAReference};
use crate::problem::{Diagnostic, in_full};

/// Why a reference could not be resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The reference, or a digest in a document, is none.
    #[error(transparent)]
    NotAReference(#[from] NotAReference),
    /// There is nothing to ask the registry with.
    #[error("cannot use TLS: {0}")]
    Tls(String),
    /// The address of something to ask is none that is asked.
    #[error("expected an address with https://, found `{0}`")]
    Insecure(String),
    /// There was no answer.
    #[error("no answer from {host}: {why}")]
    Unreachable {
        /// Who was asked.
        host: String,
        /// Why.
        why: String,
    },
    /// It took too long.
    #[error("no whole answer within {0} seconds")]
    Slow(u64),
    /// The answer leads from place to place.
    #[error("more than {0} redirections")]
    Redirections(u8),
    /// The answer leads to no place.
    #[error("a redirection that leads nowhere")]
    Redirection,
    /// The answer is larger than what it should be.
    #[error("expected at most {limit} bytes of a {what}, found more")]
    TooLarge {
        /// What was read.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// There is no such image, or nobody may know.
    #[error("not found at {host}")]
    NotFound {
        /// Who was asked.
        host: String,
    },
    /// The credentials are missing or do not suffice.
    #[error("{host} gives no access with {with}")]
    Denied {
        /// Who was asked.
        host: String,
        /// Which credentials there were.
        with: &'static str,
    },
    /// Another answer than a content.
    #[error("expected a {what} from {host}, found status {status}")]
    Status {
        /// What was asked for.
        what: &'static str,
        /// Who was asked.
        host: String,
        /// What was answered.
        status: StatusCode,
    },
    /// What was sent is not what was asked for.
    #[error("expected a {what} with {expected}, found {found}")]
    WrongDigest {
        /// What was read.
        what: &'static str,
        /// What was asked for, or what the registry called it.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The answer to credentials, or to none, is no token.
    #[error("expected a token from {host}, found another answer")]
    NoToken {
        /// Who was asked.
        host: String,
    },
    /// A text that is no such document.
    #[error("expected an index, a manifest or the configuration of an image")]
    NotADocument(#[source] serde_json::Error),
    /// A manifest of the form before digests.
    #[error("expected an index or a manifest, found one of Docker's first form")]
    OldManifest,
    /// A document that is both or neither.
    #[error("expected an index or a manifest, found both or neither in one document")]
    Ambiguous,
    /// A platform that is no word.
    #[error("expected a platform such as linux/amd64, found other characters")]
    OddPlatform,
    /// Documents that lead to documents.
    #[error("more than {0} documents behind one reference")]
    TooMany(usize),
    /// A layout that cannot be read.
    #[error("cannot read {}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A layout of another version.
    #[error("expected an image layout 1.0.0, found `{}`", clip(.0))]
    LayoutVersion(String),
    /// Two images of a layout have the name.
    #[error("found two images of this name in {}", .0.display())]
    TwoOfThem(PathBuf),
    /// What is there is no Wasm module.
    #[error("expected a Wasm module as `kwctl push` uploads it, found {0}")]
    NotAModule(String),
}

impl Fault {
    /// The problem with what somebody named.
    pub(crate) fn about(&self, named: &str) -> Diagnostic {
        Diagnostic { hint: self.hint().map(str::to_owned), ..Diagnostic::of_file(named, in_full(self)) }
    }

    /// What to try.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Tls(_) => "install the package ca-certificates, or name a file of authorities in SSL_CERT_FILE",
            Self::Insecure(_) => {
                "plain HTTP is used for this machine only, and for registries that `--plain-http HOST` names"
            }
            Self::Unreachable { .. } => {
                "look at the name, at HTTPS_PROXY and NO_PROXY; a registry without TLS is named by `--plain-http HOST`, \
                 and an authority of your own by SSL_CERT_FILE"
            }
            Self::Slow(_) => "`--registry-timeout` gives it more time",
            Self::NotFound { .. } => {
                "look at the repository and the tag; some registries say so too where one has to log in"
            }
            Self::Denied { .. } => {
                "`docker login` writes credentials into config.json of DOCKER_CONFIG or ~/.docker; those of a credential \
                 helper are not used"
            }
            Self::Status { status, .. } if status.as_u16() == 429 => {
                "the registry wants fewer requests: wait, or log in"
            }
            Self::WrongDigest { .. } => {
                "somebody between you and the registry, or the registry itself, changes contents"
            }
            Self::OldManifest => "push it anew with a tool of today",
            Self::NotAModule(_) => {
                "`fedcar module -o policy.wasm` writes the module, and `kwctl push` uploads it in the form that policy \
                 servers read"
            }
            Self::Layout { .. } => "expected a folder with oci-layout, index.json and blobs/sha256",
            _ => return None,
        })
    }
}
