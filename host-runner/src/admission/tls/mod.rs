//! TLS of the server: certificates that are checked before they are served, and swapped while it runs.
//!
//! Invariant: what is served has been whole and good when it was taken, and a failed change leaves it as it is.
//!
//! | concept | file |
//! |---|---|
//! | what is on the disk | `files` |
//! | a chain with its key | `identity` |
//! | who may connect | `client` |
//! | when a certificate counts | `validity` |
//! | making certificates | `issue` |
//! | what of a folder's certificates is due | `renew` |

mod client;
mod files;
mod identity;
mod issue;
mod renew;
#[cfg(test)]
mod tests;
mod validity;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};

pub use client::ClientAuth;
pub use files::TlsFiles;
pub use issue::{Authority, IssueError, Issued, server_name};
pub use renew::{Reason, Renewal, Stored, Wanted, renew};
pub use validity::{Validity, rfc3339};

pub(crate) use files::read_bounded;
use files::{Contents, Fingerprint, PemFile, fingerprint};
use identity::Identity;

/// What API servers speak to webhooks.
const ALPN: &[u8] = b"http/1.1";

/// Trials end sooner, and a server that runs for a year without a restart has real certificates.
const SELF_SIGNED_VALID: Duration = Duration::from_hours(365 * 24);

/// The oldest protocol that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// TLS 1.3, which every API server of a supported Kubernetes offers.
    #[default]
    Tls13,
    /// TLS 1.2 also, for something older in between.
    Tls12,
}

/// How connections are made.
#[derive(Debug, Clone, Default)]
pub struct TlsOptions {
    /// The oldest protocol.
    pub min_version: MinVersion,
    /// Whether clients are asked for a certificate.
    pub client_auth: ClientAuth,
    /// The clients that may call: a common name, or a DNS name or URI among the alternative names, compared letter by
    /// letter. Where the list is empty, everybody may whom the authority signed.
    pub client_names: Vec<String>,
}

/// Why certificates cannot be served. No text holds a part of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is too large.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A section of a file has no end, or is not Base64.
    #[error("expected PEM in {path}, found a section that is cut short or damaged")]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// A file without certificates; an empty one is one of them.
    #[error("expected a certificate in {path}, found none")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Which key would be the server's?
    #[error("expected one private key in {path}, found {found}")]
    Keys {
        /// The file.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// A certificate is not X.509 version 3.
    #[error("cannot read certificate {number} of {path}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Its number in the file, from 1.
        number: usize,
    },
    /// The server's certificate fits no server.
    #[error("expected a DNS name or IP address as alternative name of the first certificate of {path}, found none")]
    NoName {
        /// The file.
        path: PathBuf,
    },
    /// A certificate has ended, or has not begun.
    #[error(
        "certificate {number} of {path} counts from {} until {}, and it is {}",
        rfc3339(validity.not_before), rfc3339(validity.not_after), rfc3339(*now)
    )]
    OutOfDate {
        /// The file.
        path: PathBuf,
        /// Its number in the file, from 1.
        number: usize,
        /// When it counts.
        validity: Validity,
        /// When it was looked at.
        now: SystemTime,
    },
    /// A key that cannot sign.
    #[error("cannot use the key in {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// Two files that do not belong together; during a swap, for a moment.
    #[error("expected the key of the first certificate of {cert} in {key}, found another")]
    Mismatch {
        /// The file with the certificate.
        cert: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
    /// Clients are asked for certificates that nobody could have signed.
    #[error("expected the authority of client certificates, found none")]
    NoClientCa,
    /// An authority that cannot be used.
    #[error("cannot use an authority in {path}")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The cryptography of this build does not do what is asked.
    #[error("cannot configure TLS")]
    Config(#[source] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Issue(#[from] IssueError),
}

/// What a look at the files did.
#[derive(Debug)]
#[must_use]
pub enum Refresh {
    /// The files are as they were at the last look, whether or not they are served.
    Unchanged,
    /// What the files hold is served to new connections.
    Swapped {
        /// When the certificate that ends first ends.
        not_after: SystemTime,
    },
    /// The files changed, but what was served before is better. Said once for each change.
    Kept(TlsError),
}

/// The server's side of TLS.
#[derive(Debug)]
pub struct Tls {
    serving: RwLock<Serving>,
    /// Nothing to look at where the certificate was made in memory.
    watched: Option<Watched>,
}

#[derive(Debug, Clone)]
struct Serving {
    config: Arc<ServerConfig>,
    not_after: SystemTime,
}

#[derive(Debug)]
struct Watched {
    files: TlsFiles,
    options: TlsOptions,
    seen: Mutex<Seen>,
}

/// The outcome of the last look.
#[derive(Debug)]
struct Seen {
    fingerprint: Fingerprint,
    /// Where only the clock spoke against the files: when to look at the same bytes again.
    good_in: Option<Validity>,
}

impl Tls {
    /// Reads and checks the files.
    pub fn load(files: TlsFiles, options: TlsOptions) -> Result<Self, TlsError> {
        Self::load_at(files, options, SystemTime::now())
    }

    fn load_at(mut files: TlsFiles, options: TlsOptions, now: SystemTime) -> Result<Self, TlsError> {
        if options.client_auth == ClientAuth::Off {
            files.client_ca.clear();
        }
        let look = files.read();
        let fingerprint = fingerprint(&look);
        let serving = Serving::new(&look?, &options, now)?;
        let seen = Mutex::new(Seen { fingerprint, good_in: None });
        Ok(Self { serving: RwLock::new(serving), watched: Some(Watched { files, options, seen }) })
    }

    /// A certificate for trials, in memory and signed by an authority of its own, and what clients must trust.
    pub fn self_signed(names: &[String]) -> Result<(Self, String), TlsError> {
        let now = SystemTime::now();
        let authority = Authority::new("fedcar trial authority", SELF_SIGNED_VALID, now)?;
        let issued = authority.issue_server(names, SELF_SIGNED_VALID, now)?;
        let made = |what: &str, pem: String| PemFile { path: PathBuf::from(what), bytes: pem.into_bytes() };
        let contents = Contents {
            cert: made("the self-signed certificate", issued.cert),
            key: made("the key of the self-signed certificate", issued.key),
            client_ca: Vec::new(),
        };
        let serving = Serving::new(&contents, &TlsOptions::default(), now)?;
        Ok((Self { serving: RwLock::new(serving), watched: None }, authority.cert_pem().to_owned()))
    }

    /// For one connection; the next one asks again.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.serving().config
    }

    /// When the served certificate that ends first ends.
    pub fn not_after(&self) -> SystemTime {
        self.serving().not_after
    }

    /// Whether clients refuse what is served.
    pub fn expired(&self, now: SystemTime) -> bool {
        now > self.not_after()
    }

    /// Looks at the files, which blocks for as long as the disk does. Meant to be called each second.
    ///
    /// *Guarantees*: the new is served whole (chain, key, client authorities) or not at all; connections that are open
    /// stay open. A pair that is good except for the clock is taken as soon as the clock allows.
    pub fn refresh(&self) -> Refresh {
        self.refresh_at(SystemTime::now())
    }

    fn refresh_at(&self, now: SystemTime) -> Refresh {
        let Some(Watched { files, options, seen }) = &self.watched else {
            return Refresh::Unchanged;
        };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let look = files.read();
        let fingerprint = fingerprint(&look);
        if fingerprint == seen.fingerprint && !seen.good_in.is_some_and(|validity| validity.contains(now)) {
            return Refresh::Unchanged;
        }
        let (good_in, refresh) = match look.and_then(|contents| Serving::new(&contents, options, now)) {
            Ok(serving) => {
                let not_after = serving.not_after;
                *self.serving.write().unwrap_or_else(PoisonError::into_inner) = serving;
                (None, Refresh::Swapped { not_after })
            }
            Err(error) => (error.good_in(), Refresh::Kept(error)),
        };
        *seen = Seen { fingerprint, good_in };
        refresh
    }

    fn serving(&self) -> Serving {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Serving {
    fn new(contents: &Contents, options: &TlsOptions, now: SystemTime) -> Result<Self, TlsError> {
        // Named here, so that no other user of rustls in this program decides which one is the default.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let Identity { key, not_after } = Identity::load(&contents.cert, &contents.key, &provider, now)?;
        let verifier = client::verifier(options, &contents.client_ca, Arc::clone(&provider))?;
        let versions: &[_] = match options.min_version {
            MinVersion::Tls13 => &[&TLS13],
            MinVersion::Tls12 => &[&TLS13, &TLS12],
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(TlsError::Config)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Every connection is a full handshake. The API server keeps no sessions (client-go sets no
        // `ClientSessionCache`), so tickets would be made and sent for nobody; and whoever resumes a session does not
        // show its certificate again, so would outlive an authority that has been taken away.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), not_after })
    }
}

impl TlsError {
    /// When the same bytes would be no error.
    fn good_in(&self) -> Option<Validity> {
        if let Self::OutOfDate { validity, .. } = self { Some(*validity) } else { None }
    }
}
