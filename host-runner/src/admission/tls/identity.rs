//! The server's certificate chain with its key, which are one thing or none.
//!
//! Invariant: an [`Identity`] can be served: the key is the first certificate's, and every certificate counts now.

use std::time::SystemTime;

use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::TlsError;
use super::files::PemFile;
use super::validity::Validity;

/// A chain and its key, ready to be served.
pub(super) struct Identity {
    pub(super) key: CertifiedKey,
    /// Of the certificate that ends first.
    pub(super) not_after: SystemTime,
}

impl Identity {
    /// Every certificate of the chain must count, not only the first: a client cannot be told to leave one out, and
    /// [`not_after`](Self::not_after) would lie in the past from the start.
    pub(super) fn load(
        cert: &PemFile,
        key: &PemFile,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, TlsError> {
        let chain = cert.certificates()?;
        let mut not_after = None;
        for (number, der) in (1..).zip(&chain) {
            let unreadable = || TlsError::Certificate { path: cert.path.clone(), number };
            let certificate = parse(der).ok_or_else(unreadable)?;
            if number == 1 && !names_a_server(&certificate) {
                return Err(TlsError::NoName { path: cert.path.clone() });
            }
            let validity = Validity::of(&certificate);
            if !validity.contains(now) {
                return Err(TlsError::OutOfDate { path: cert.path.clone(), number, validity, now });
            }
            not_after = Some(not_after.map_or(validity.not_after, |end: SystemTime| end.min(validity.not_after)));
        }
        let not_after = not_after.ok_or_else(|| TlsError::NoCertificate { path: cert.path.clone() })?;
        let signing = provider
            .key_provider
            .load_private_key(key.key()?)
            .map_err(|source| TlsError::Key { path: key.path.clone(), source })?;
        let key_of_chain = CertifiedKey::new(chain, signing);
        key_of_chain.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { cert: cert.path.clone(), key: key.path.clone() },
            _ => TlsError::Certificate { path: cert.path.clone(), number: 1 },
        })?;
        Ok(Self { key: key_of_chain, not_after })
    }
}

/// A certificate and nothing after it.
pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().and_then(|(rest, certificate)| rest.is_empty().then_some(certificate))
}

/// Go, in which API servers are written, takes the name of a server from the alternative names only.
fn names_a_server(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject_alternative_name().ok().flatten().is_some_and(|names| {
        names.value.general_names.iter().any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
    })
}
