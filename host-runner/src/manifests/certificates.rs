//! The certificate of the runner: made and renewed by cert-manager, or brought along with the bundle that signs it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use x509_parser::pem::Pem;

use super::{NAME, TLS_SECRET, metadata};

/// The CA's Certificate, Issuer and Secret.
const CA: &str = "fedcar-ca";
/// The Issuer that signs only the CA.
const SELF_SIGNED: &str = "fedcar-self-signed";

/// The certificates by which the API server knows the runner, as PEM; several while one CA takes over from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CaBundle(String);

/// Why a text is no bundle.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadBundle {
    /// There is nothing in it.
    #[error("expected certificates in PEM form, found none")]
    Empty,
    /// Webhook configurations can be read by everybody.
    #[error("expected certificates only, found a block `{0}`")]
    NotACertificate(String),
    /// The API server would refuse it.
    #[error("certificate {0} cannot be read")]
    Unreadable(usize),
}

impl CaBundle {
    /// Reads a PEM text. Text around the blocks is left out, because the bundle becomes public.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, BadBundle> {
        let mut bundle = String::new();
        for (index, block) in Pem::iter_from_buffer(text).enumerate() {
            let block = block.map_err(|_| BadBundle::Unreadable(index + 1))?;
            if block.label != "CERTIFICATE" {
                return Err(BadBundle::NotACertificate(block.label));
            }
            block.parse_x509().map_err(|_| BadBundle::Unreadable(index + 1))?;
            bundle.push_str(&pem(&block.contents));
        }
        if bundle.is_empty() { Err(BadBundle::Empty) } else { Ok(Self(bundle)) }
    }

    /// As a `caBundle` holds it.
    pub(super) fn base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

/// One certificate as RFC 7468 writes it.
fn pem(der: &[u8]) -> String {
    const LINE: usize = 64;
    let encoded = STANDARD.encode(der);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, further) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        text.push_str(line);
        text.push('\n');
        rest = further;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// The annotation by which cert-manager writes the CA into every webhook of a configuration: the CA that has signed the
/// certificate in use, not the newest one.
pub(super) fn injected_into(namespace: &str) -> (&'static str, String) {
    ("cert-manager.io/inject-ca-from", format!("{namespace}/{NAME}"))
}

/// A CA of the runner's own, and the certificate that it signs.
pub(super) fn cert_manager(namespace: &str) -> Vec<Value> {
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": metadata(name, namespace), "spec": spec});
    // The key stays when the CA's certificate is renewed: then certificates signed before stay valid under the new one,
    // and it does not matter who of API server and runner learns of it first.
    let ca = json!({
        "isCA": true,
        "commonName": CA,
        "secretName": CA,
        "duration": "87600h",
        "renewBefore": "8760h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
        "usages": ["cert sign", "crl sign"],
        "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": SELF_SIGNED},
    });
    let server = json!({
        "secretName": TLS_SECRET,
        "dnsNames": [format!("{NAME}.{namespace}.svc")],
        "duration": "2160h",
        "renewBefore": "720h",
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "usages": ["digital signature", "server auth"],
        "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": CA},
    });
    vec![
        object("Issuer", SELF_SIGNED, json!({"selfSigned": {}})),
        object("Certificate", CA, ca),
        object("Issuer", CA, json!({"ca": {"secretName": CA}})),
        object("Certificate", NAME, server),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(name: &str) -> String {
        let key = rcgen::KeyPair::generate().expect("a key");
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        parameters.self_signed(&key).expect("a certificate").pem().replace("\r\n", "\n")
    }

    #[test]
    fn a_bundle_holds_certificates_and_nothing_else() {
        let (old, new) = (certificate("old"), certificate("new"));
        let both = CaBundle::parse(format!("# the old one\n{old}\nand the new one\n{new}").as_bytes());
        assert_eq!(both, Ok(CaBundle(format!("{old}{new}"))));
        let key = rcgen::KeyPair::generate().expect("a key").serialize_pem();
        let damaged = old.replacen('M', "", 1);
        for (text, expected) in [
            (String::new(), BadBundle::Empty),
            ("just text".to_owned(), BadBundle::Empty),
            (format!("{old}{key}"), BadBundle::NotACertificate("PRIVATE KEY".to_owned())),
            (format!("{new}{damaged}"), BadBundle::Unreadable(2)),
            (old.split_at(100).0.to_owned(), BadBundle::Unreadable(1)),
        ] {
            assert_eq!(CaBundle::parse(text.as_bytes()), Err(expected), "{text}");
        }
    }
}
