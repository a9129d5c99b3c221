//! Makes certificates: an authority, and what it signs. All keys are ECDSA with P-256.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData as _, SanType,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

use super::identity::parse;
use super::validity::Validity;

/// How far the clocks of two machines are apart at most, or a certificate that was just made has not begun yet.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// The dates of X.509 end with the year 9999; nobody who asks for more than a century means it.
const MAX_VALID: Duration = Duration::from_hours(100 * 366 * 24);

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// A server without a name.
    #[error("expected a name for the server, found none")]
    NoName,
    /// Something that no client can ask for.
    #[error("expected a DNS name or an IP address, found {0:?}")]
    Name(String),
    /// A time that certificates cannot express.
    #[error("expected at most a century, found {} days", .0.as_secs() / 86_400)]
    TooLong(Duration),
    /// A certificate and a key that are no authority together.
    #[error("expected the certificate of an authority with its key, found {0}")]
    NoAuthority(&'static str),
    /// The library could not.
    #[error("cannot sign")]
    Sign(#[from] rcgen::Error),
}

/// Signs the certificates of servers.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cert: String,
    validity: Validity,
}

/// A certificate with its key, both as PEM.
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its key, PKCS #8.
    pub key: String,
    /// When it ends.
    pub not_after: SystemTime,
}

impl Authority {
    /// A new one, that signs servers only: what it signs cannot sign further.
    pub fn new(name: &str, valid: Duration, now: SystemTime) -> Result<Self, IssueError> {
        let mut params = params(name, validity(valid, now)?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = CertifiedIssuer::self_signed(params, new_key()?)?;
        Self::from_pem(&made.pem(), &made.key().serialize_pem())
    }

    /// One that was made before, perhaps by something else. Whether it counts now is not asked.
    pub fn from_pem(cert: &str, key: &str) -> Result<Self, IssueError> {
        let der = CertificateDer::from_pem_slice(cert.as_bytes()).map_err(|_| IssueError::NoAuthority("no PEM"))?;
        let certificate = parse(&der).ok_or(IssueError::NoAuthority("a certificate that cannot be read"))?;
        let signs = certificate.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
        if !(certificate.is_ca() && signs) {
            return Err(IssueError::NoAuthority("a certificate that may not sign"));
        }
        let key = KeyPair::from_pem(key).map_err(|_| IssueError::NoAuthority("a key that cannot be read"))?;
        if key.subject_public_key_info() != certificate.public_key().raw {
            return Err(IssueError::NoAuthority("the key of another certificate"));
        }
        let validity = Validity::of(&certificate);
        let issuer = Issuer::from_ca_cert_der(&der, key)?;
        Ok(Self { issuer, cert: cert.to_owned(), validity })
    }

    /// The certificate, as PEM.
    pub fn cert_pem(&self) -> &str {
        &self.cert
    }

    /// The key, as PEM.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// When it counts.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// A certificate with a new key, for a server with these DNS names or IP addresses. It ends with the authority at
    /// the latest: after that nobody would take it.
    pub fn issue_server(&self, names: &[String], valid: Duration, now: SystemTime) -> Result<Issued, IssueError> {
        let mut validity = validity(valid, now)?;
        validity.not_after = validity.not_after.min(self.validity.not_after);
        // Clients look at the alternative names only, and this one has no room for long DNS names.
        let mut params = params("fedcar", validity);
        params.subject_alt_names = names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
        if params.subject_alt_names.is_empty() {
            return Err(IssueError::NoName);
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Two authorities in a row have one name; this tells clients which of them it was.
        params.use_authority_key_identifier_extension = true;
        let key = new_key()?;
        let cert = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { cert, key: key.serialize_pem(), not_after: validity.not_after })
    }
}

/// A name as it stands in certificates: a DNS name in small letters, or an IP address in its usual form.
pub fn server_name(name: &str) -> Result<String, IssueError> {
    match ServerName::try_from(name) {
        Ok(ServerName::DnsName(name)) => Ok(name.to_lowercase_owned().as_ref().to_owned()),
        Ok(ServerName::IpAddress(address)) => Ok(IpAddr::from(address).to_string()),
        _ => Err(IssueError::Name(name.to_owned())),
    }
}

fn alternative(name: &str) -> Result<SanType, IssueError> {
    let name = server_name(name)?;
    Ok(match name.parse() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}

fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = validity.not_before.into();
    params.not_after = validity.not_after.into();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn validity(valid: Duration, now: SystemTime) -> Result<Validity, IssueError> {
    if valid > MAX_VALID {
        return Err(IssueError::TooLong(valid));
    }
    // X.509 knows whole seconds; so that what is said here is what stands in the certificate.
    let now = UNIX_EPOCH + Duration::from_secs(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    Ok(Validity { not_before: now - CLOCK_SKEW, not_after: now + valid })
}

#[cfg(test)]
mod tests {
    use x509_parser::certificate::X509Certificate;
    use x509_parser::extensions::{GeneralName, ParsedExtension};
    use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn looked_at<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        look(&parse(&der).expect("a certificate"))
    }

    fn is_p256(certificate: &X509Certificate<'_>) -> bool {
        let algorithm = &certificate.public_key().algorithm;
        let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256)
    }

    #[test]
    fn an_authority_signs_servers_only() {
        let now = SystemTime::now();
        let authority = Authority::new("fedcar authority", DAY, now).expect("an authority");
        looked_at(authority.cert_pem(), |certificate| {
            let constraints = certificate.basic_constraints().expect("readable").expect("there").value;
            assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
            assert!(certificate.key_usage().expect("readable").expect("there").value.key_cert_sign());
            assert!(is_p256(certificate));
            assert_eq!(certificate.subject().to_string(), "CN=fedcar authority");
        });
        assert!(authority.validity().contains(now));
        assert!(authority.validity().contains(now - CLOCK_SKEW + Duration::from_secs(1)));
        assert!(!authority.validity().contains(now + DAY + Duration::from_secs(1)));
    }

    #[test]
    fn a_server_has_its_names_and_may_do_nothing_else() {
        let now = SystemTime::now();
        let authority = Authority::new("fedcar authority", 10 * DAY, now).expect("an authority");
        let wanted = names(&["Fedcar.Mesh.svc", "192.0.2.1", "2001:db8:0::1"]);
        let issued = authority.issue_server(&wanted, DAY, now).expect("a certificate");
        looked_at(&issued.cert, |certificate| {
            assert!(is_p256(certificate));
            assert!(!certificate.is_ca());
            let usage = certificate.extended_key_usage().expect("readable").expect("there").value;
            assert!(usage.server_auth && !usage.client_auth && !usage.any);
            let found = &certificate.subject_alternative_name().expect("readable").expect("there").value.general_names;
            assert_eq!(
                *found,
                [
                    GeneralName::DNSName("fedcar.mesh.svc"),
                    GeneralName::IPAddress(&[192, 0, 2, 1]),
                    GeneralName::IPAddress(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
                ]
            );
        });
    }

    #[test]
    fn a_server_does_not_outlive_its_authority() {
        let now = SystemTime::now();
        let authority = Authority::new("fedcar authority", DAY, now).expect("an authority");
        let issued = authority.issue_server(&names(&["fedcar"]), 10 * DAY, now).expect("a certificate");
        looked_at(&issued.cert, |certificate| {
            assert_eq!(Validity::of(certificate).not_after, authority.validity().not_after);
            assert_eq!(Validity::of(certificate).not_after, issued.not_after);
        });
    }

    #[test]
    fn an_authority_comes_back_from_its_files() {
        let now = SystemTime::now();
        let authority = Authority::new("fedcar authority", DAY, now).expect("an authority");
        let again = Authority::from_pem(authority.cert_pem(), &authority.key_pem()).expect("the same");
        assert_eq!(again.validity(), authority.validity());
        let issued = again.issue_server(&names(&["fedcar"]), DAY, now).expect("a certificate");
        looked_at(&issued.cert, |server| {
            looked_at(authority.cert_pem(), |certificate| {
                assert_eq!(server.issuer(), certificate.subject());
                let signed_by = server.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::AuthorityKeyIdentifier(found) => found.key_identifier.clone(),
                    _ => None,
                });
                let own = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(found) => Some(found.clone()),
                    _ => None,
                });
                assert!(own.is_some() && signed_by == own);
            });
        });
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let now = SystemTime::now();
        let [one, other] = [(); 2].map(|()| Authority::new("fedcar authority", DAY, now).expect("an authority"));
        let server = one.issue_server(&names(&["fedcar"]), DAY, now).expect("a certificate");
        for (cert, key, why) in [
            ("", one.key_pem(), "no PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", one.key_pem(), "cannot be read"),
            (one.cert_pem(), String::new(), "a key that cannot be read"),
            (one.cert_pem(), other.key_pem(), "the key of another certificate"),
            (&server.cert, server.key, "may not sign"),
        ] {
            let refused = Authority::from_pem(cert, &key).err().expect("refused").to_string();
            assert!(refused.ends_with(why), "{refused}");
        }
    }

    #[test]
    fn names_are_what_clients_can_ask_for() {
        for (name, found) in [
            ("fedcar.mesh.svc", Some("fedcar.mesh.svc")),
            ("FEDCAR", Some("fedcar")),
            ("2001:DB8:0:0::1", Some("2001:db8::1")),
            ("", None),
            ("two words", None),
            ("https://fedcar", None),
            ("fedcar:443", None),
            ("*.mesh.svc", None),
            ("a..b", None),
        ] {
            assert_eq!(server_name(name).ok().as_deref(), found, "{name:?}");
        }
        let authority = Authority::new("fedcar authority", DAY, SystemTime::now()).expect("an authority");
        assert!(matches!(authority.issue_server(&[], DAY, SystemTime::now()), Err(IssueError::NoName)));
    }

    #[test]
    fn more_than_a_century_is_refused() {
        let now = SystemTime::now();
        assert!(matches!(Authority::new("a", Duration::MAX, now), Err(IssueError::TooLong(_))));
        assert!(Authority::new("a", MAX_VALID, now).is_ok());
    }
}
