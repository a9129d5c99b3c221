//! Who may connect: the certificates of clients.
//!
//! An API server shows a certificate only where its administrator gave it one for webhooks, which managed clusters
//! often do not allow; so nobody is asked by default.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use x509_parser::extensions::GeneralName;

use super::files::PemFile;
use super::identity::parse;
use super::{TlsError, TlsOptions};

/// Whether clients are asked for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// They are not asked, and whoever reaches the port may call.
    #[default]
    Off,
    /// They may come without one; one that is shown must be good.
    Optional,
    /// They must show one that is good.
    Required,
}

/// The verifier for these options. An authority counts for as long as it stands in a file, also past its own end:
/// nobody reads the dates of trust anchors.
pub(super) fn verifier(
    options: &TlsOptions,
    authorities: &[PemFile],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mandatory = match options.client_auth {
        ClientAuth::Off => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Optional => false,
        ClientAuth::Required => true,
    };
    let mut roots = RootCertStore::empty();
    for file in authorities {
        for certificate in file.certificates()? {
            roots.add(certificate).map_err(|source| TlsError::ClientCa { path: file.path.clone(), source })?;
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoClientCa);
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
    // There are roots and no revocation lists, and nothing else is built here.
    let signed = builder.build().map_err(|_| TlsError::NoClientCa)?;
    if options.client_names.is_empty() {
        return Ok(signed);
    }
    Ok(Arc::new(NamedClients { signed, accepted: options.client_names.clone() }))
}

/// Takes of the certificates that `signed` takes those with a name in the list. Names must be equal to the letter.
#[derive(Debug)]
struct NamedClients {
    signed: Arc<dyn ClientCertVerifier>,
    accepted: Vec<String>,
}

/// A good certificate of somebody else. rustls shows the `Debug` form, so the fields are named for people.
#[derive(Debug, thiserror::Error)]
#[error("expected a client with one of the names {expected:?}, found {found:?}")]
struct UnexpectedClient {
    expected: Vec<String>,
    found: Vec<String>,
}

impl ClientCertVerifier for NamedClients {
    fn offer_client_auth(&self) -> bool {
        self.signed.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.signed.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // First, so that only bytes that a trusted authority has signed are looked at below.
        let verified = self.signed.verify_client_cert(end_entity, intermediates, now)?;
        let found = names(end_entity).ok_or(CertificateError::BadEncoding)?;
        if found.iter().any(|name| self.accepted.contains(name)) {
            return Ok(verified);
        }
        // Not `ApplicationVerificationFailure`, whose alert fits better but which cannot carry the reason to our log.
        let unexpected = UnexpectedClient { expected: self.accepted.clone(), found };
        Err(CertificateError::Other(OtherError(Arc::new(unexpected))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

/// The common names of the subject, and its alternative names that are DNS names or URIs.
fn names(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let certificate = parse(certificate)?;
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    let alternative = certificate.subject_alternative_name().ok()?;
    let alternative = alternative.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) => Some(*name),
        _ => None,
    });
    Some(common.chain(alternative).map(str::to_owned).collect())
}
