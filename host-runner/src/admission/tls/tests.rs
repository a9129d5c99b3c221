//! Real handshakes with what is served, and files that change as they do under Kubernetes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, SanType, SignatureAlgorithm,
};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, ServerConnection};

use super::*;

const DAY: Duration = Duration::from_hours(24);
const NAME: &str = "fedcar.mesh.svc";

type Ca = CertifiedIssuer<'static, KeyPair>;

/// A certificate with its key, as PEM.
#[derive(Clone)]
struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    /// As a Secret of type `kubernetes.io/tls` names them.
    fn files(&self) -> [(&'static str, String); 2] {
        [("tls.crt", self.cert.clone()), ("tls.key", self.key.clone())]
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn ca(name: &str) -> Ca {
    Ca::self_signed(ca_params(name), KeyPair::generate().expect("a key")).expect("an authority")
}

/// A certificate that `ca` signs, after `change`.
fn pair(ca: &Ca, algorithm: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let key = KeyPair::generate_for(algorithm).expect("a key");
    let mut params = CertificateParams::new([NAME.to_owned()]).expect("a name");
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now - DAY).into(), (now + DAY).into());
    change(&mut params);
    Pair { cert: params.signed_by(&key, ca).expect("a certificate").pem(), key: key.serialize_pem() }
}

fn server(ca: &Ca) -> Pair {
    pair(ca, &PKCS_ECDSA_P256_SHA256, |_| ())
}

fn valid(params: &mut CertificateParams, from: SystemTime, until: SystemTime) {
    (params.not_before, params.not_after) = (from.into(), until.into());
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("PEM")
}

/// A mounted Secret: each file is a link through `..data`, which is swapped by a rename.
struct Mount {
    folder: tempfile::TempDir,
    swaps: std::cell::Cell<u32>,
}

impl Mount {
    fn new(files: &[(&str, String)]) -> Self {
        let mount = Self { folder: tempfile::tempdir().expect("a folder"), swaps: 0.into() };
        for (name, _) in files {
            symlink(Path::new("..data").join(name), mount.path(name)).expect("a link");
        }
        mount.swap(files);
        mount
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As the kubelet does it: a new folder, a new link, the link renamed over the old one, the old folder removed.
    fn swap(&self, files: &[(&str, String)]) {
        let number = self.swaps.replace(self.swaps.get() + 1) + 1;
        let folder = format!("..2026_{number}");
        fs::create_dir(self.path(&folder)).expect("a folder");
        for (name, text) in files {
            fs::write(self.path(&folder).join(name), text).expect("a file");
        }
        symlink(&folder, self.path("..data_tmp")).expect("a link");
        fs::rename(self.path("..data_tmp"), self.path("..data")).expect("renamed");
        let _ = fs::remove_dir_all(self.path(&format!("..2026_{}", number - 1)));
    }

    fn of(pair: &Pair) -> Self {
        Self::new(&pair.files())
    }

    fn swap_to(&self, pair: &Pair) {
        self.swap(&pair.files());
    }

    fn files(&self) -> TlsFiles {
        TlsFiles { cert: self.path("tls.crt"), key: self.path("tls.key"), client_ca: Vec::new() }
    }

    fn load(&self, options: TlsOptions) -> Result<Tls, TlsError> {
        Tls::load(self.files(), options)
    }
}

/// A client that trusts `ca`, speaks these protocols and shows this certificate.
fn client(ca: &str, versions: &[&'static rustls::SupportedProtocolVersion], shows: Option<&Pair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(ca));
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("protocols")
        .with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(certificates(&pair.cert), key).expect("a certificate")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), ALPN.to_vec()];
    config
}

/// A whole handshake in memory, and some bytes to be sure that both sides agree to it.
fn connect(tls: &Tls, config: impl Into<Arc<ClientConfig>>) -> Result<ClientConnection, rustls::Error> {
    let name = ServerName::try_from(NAME).expect("a name");
    let mut client = ClientConnection::new(config.into(), name).expect("a client");
    let mut server = ServerConnection::new(tls.config()).expect("a server");
    for _ in 0..10 {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).expect("memory");
        }
        server.read_tls(&mut flight.as_slice()).expect("memory");
        server.process_new_packets()?;
        flight.clear();
        while server.wants_write() {
            server.write_tls(&mut flight).expect("memory");
        }
        client.read_tls(&mut flight.as_slice()).expect("memory");
        client.process_new_packets()?;
        if !client.is_handshaking() && !server.is_handshaking() && !client.wants_write() {
            return Ok(client);
        }
    }
    panic!("a handshake without end");
}

fn served(tls: &Tls, ca: &Ca) -> Vec<CertificateDer<'static>> {
    let client = connect(tls, client(&ca.pem(), &[&TLS13], None)).expect("a connection");
    client.peer_certificates().expect("certificates").iter().map(|der| der.clone().into_owned()).collect()
}

/// The text with its causes.
fn whole_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[test]
fn the_whole_chain_is_served_and_the_first_end_counts() {
    let (root, now) = (ca("root"), SystemTime::now());
    let mut params = ca_params("intermediate");
    valid(&mut params, now - DAY, now + Duration::from_hours(2));
    let intermediate = Ca::signed_by(params, KeyPair::generate().expect("a key"), &root).expect("an authority");
    let mut leaf = server(&intermediate);
    leaf.cert += &intermediate.pem();
    let tls = Mount::of(&leaf).load(TlsOptions::default()).expect("a chain");
    assert_eq!(served(&tls, &root), certificates(&leaf.cert));
    for (hours, expired) in [(0, false), (1, false), (3, true)] {
        assert_eq!(tls.expired(now + Duration::from_hours(hours)), expired, "after {hours} hours");
    }
}

#[test]
fn every_kind_of_key_signs() {
    let ca = ca("ca");
    for algorithm in [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519, &PKCS_RSA_SHA256] {
        let pair = pair(&ca, algorithm, |_| ());
        let tls = Mount::of(&pair).load(TlsOptions::default()).expect("a certificate");
        assert_eq!(served(&tls, &ca), certificates(&pair.cert), "{algorithm:?}");
    }
}

#[test]
fn tls_1_2_is_spoken_where_it_is_asked_for() {
    let ca = ca("ca");
    let mount = Mount::of(&server(&ca));
    let (old, new) = (ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3);
    for (min_version, spoken, found) in [
        (MinVersion::Tls13, &[&TLS12][..], None),
        (MinVersion::Tls13, &[&TLS13, &TLS12], Some(new)),
        (MinVersion::Tls12, &[&TLS12], Some(old)),
        (MinVersion::Tls12, &[&TLS13, &TLS12], Some(new)),
    ] {
        let tls = mount.load(TlsOptions { min_version, ..TlsOptions::default() }).expect("a certificate");
        let connected = connect(&tls, client(&ca.pem(), spoken, None));
        assert_eq!(connected.ok().and_then(|client| client.protocol_version()), found, "{min_version:?}, {spoken:?}");
    }
}

#[test]
fn http_1_is_agreed_on_and_no_session_is_kept() {
    let ca = ca("ca");
    let options = TlsOptions { min_version: MinVersion::Tls12, ..TlsOptions::default() };
    let tls = Mount::of(&server(&ca)).load(options).expect("a certificate");
    for version in [&TLS12, &TLS13] {
        let mut config = client(&ca.pem(), &[version], None);
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        for _ in 0..2 {
            let client = connect(&tls, Arc::clone(&config)).expect("a connection");
            assert_eq!(client.alpn_protocol(), Some(ALPN));
            assert_eq!(client.tls13_tickets_received(), 0);
            assert_eq!(client.handshake_kind(), Some(rustls::HandshakeKind::Full), "{version:?}");
        }
    }
    let mut only_h2 = client(&ca.pem(), &[&TLS13], None);
    only_h2.alpn_protocols = vec![b"h2".to_vec()];
    assert_eq!(connect(&tls, only_h2).err(), Some(rustls::Error::NoApplicationProtocol));
}

/// The name that is wanted of clients, as each kind of name.
const CLIENTS: [&str; 3] = ["kube-apiserver", "apiserver.mesh", "spiffe://mesh/apiserver"];

#[derive(Clone, Copy, PartialEq)]
enum Clients {
    AnyName,
    OurNames,
}

#[test]
fn clients_are_taken_by_authority_time_purpose_and_name() {
    let (server_ca, client_ca, other_ca) = (ca("server"), ca("client"), ca("other"));
    let (now, mount) = (SystemTime::now(), Mount::of(&server(&server_ca)));
    fs::write(mount.path("client-ca.crt"), client_ca.pem()).expect("a file");
    let made = |ca: &Ca, common_name: &str, change: &dyn Fn(&mut CertificateParams)| {
        Some(pair(ca, &PKCS_ECDSA_P256_SHA256, |params| {
            params.subject_alt_names.clear();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.distinguished_name.push(DnType::CommonName, common_name);
            change(params);
        }))
    };
    let ours = |change: &dyn Fn(&mut CertificateParams)| made(&client_ca, CLIENTS[0], change);
    let named = |name: SanType| made(&client_ca, "kubelet", &|params| params.subject_alt_names = vec![name.clone()]);
    let [dns, uri] = [CLIENTS[1], CLIENTS[2]].map(|name| rcgen::string::Ia5String::try_from(name).expect("a name"));
    // What the server says against it, where any name will do and where it must be one of ours.
    let cases = [
        ("the right one", ours(&|_| ()), None, None),
        ("no certificate", None, Some("no certificate"), Some("no certificate")),
        ("another authority", made(&other_ca, CLIENTS[0], &|_| ()), Some("UnknownIssuer"), Some("UnknownIssuer")),
        ("over", ours(&|params| valid(params, now - 3 * DAY, now - DAY)), Some("expired"), Some("expired")),
        (
            "too early",
            ours(&|params| valid(params, now + DAY, now + 3 * DAY)),
            Some("not valid yet"),
            Some("not valid"),
        ),
        (
            "a server's",
            ours(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            Some("extended key usage"),
            Some("extended key usage"),
        ),
        ("another name", made(&client_ca, "kubelet", &|_| ()), None, Some(r#"found: ["kubelet"]"#)),
        ("a part of the name", made(&client_ca, "kube-api", &|_| ()), None, Some(r#"found: ["kube-api"]"#)),
        ("the DNS name", named(SanType::DnsName(dns.clone())), None, None),
        ("the URI", named(SanType::URI(uri)), None, None),
        ("the name as e-mail", named(SanType::Rfc822Name(dns)), None, Some(r#"found: ["kubelet"]"#)),
    ];
    for client_auth in [ClientAuth::Off, ClientAuth::Optional, ClientAuth::Required] {
        for clients in [Clients::AnyName, Clients::OurNames] {
            let client_names = if clients == Clients::AnyName { Vec::new() } else { CLIENTS.map(str::to_owned).into() };
            let options = TlsOptions { min_version: MinVersion::Tls12, client_auth, client_names };
            let files = TlsFiles { client_ca: vec![mount.path("client-ca.crt")], ..mount.files() };
            let tls = Tls::load(files, options).expect("files");
            for (what, shown, any_name, our_names) in &cases {
                let free = client_auth == ClientAuth::Off || client_auth == ClientAuth::Optional && shown.is_none();
                let against = if clients == Clients::AnyName { any_name } else { our_names };
                for version in [&TLS12, &TLS13] {
                    let connected = connect(&tls, client(&server_ca.pem(), &[version], shown.as_ref()));
                    let found = connected.err().map(|error| error.to_string());
                    let fits = match (against, &found) {
                        (Some(text), Some(found)) => !free && found.contains(text),
                        (None, found) => found.is_none(),
                        (Some(_), None) => free,
                    };
                    assert!(fits, "{what}, {client_auth:?}, {version:?}: expected {against:?}, found {found:?}");
                }
            }
        }
    }
}

#[test]
fn clients_cannot_be_asked_without_an_authority() {
    let mount = Mount::of(&server(&ca("ca")));
    for client_auth in [ClientAuth::Optional, ClientAuth::Required] {
        let refused = mount.load(TlsOptions { client_auth, ..TlsOptions::default() });
        assert!(matches!(refused, Err(TlsError::NoClientCa)));
    }
    let files = TlsFiles { client_ca: vec![mount.path("not there")], ..mount.files() };
    assert!(Tls::load(files, TlsOptions::default()).is_ok(), "what is not needed is not read");
}

#[test]
fn every_swap_of_a_mounted_secret_is_taken() {
    let ca = ca("ca");
    let mount = Mount::of(&server(&ca));
    let tls = mount.load(TlsOptions::default()).expect("a certificate");
    for swap in 1..=20 {
        let next = server(&ca);
        mount.swap_to(&next);
        assert!(matches!(tls.refresh(), Refresh::Swapped { not_after } if not_after == tls.not_after()), "{swap}");
        assert!(matches!(tls.refresh(), Refresh::Unchanged), "{swap}");
        assert_eq!(served(&tls, &ca), certificates(&next.cert), "{swap}");
    }
}

#[test]
fn a_file_of_the_same_size_and_time_is_taken() {
    let ca = ca("ca");
    let (one, other) = {
        let one = server(&ca);
        let other = std::iter::repeat_with(|| server(&ca)).find(|other| other.cert.len() == one.cert.len());
        (one, other.expect("signatures have few lengths"))
    };
    let mount = Mount::of(&one);
    let tls = mount.load(TlsOptions::default()).expect("a certificate");
    for (name, text) in [("tls.crt", &other.cert), ("tls.key", &other.key)] {
        let before = fs::metadata(mount.path(name)).expect("a file");
        fs::write(mount.path(name), text).expect("a file");
        let file = fs::File::options().write(true).open(mount.path(name)).expect("a file");
        file.set_modified(before.modified().expect("a time")).expect("our own file");
        assert_eq!(fs::metadata(mount.path(name)).expect("a file").len(), before.len());
    }
    assert!(matches!(tls.refresh(), Refresh::Swapped { .. }));
    assert_eq!(served(&tls, &ca), certificates(&other.cert));
}

#[test]
fn a_bad_change_keeps_the_good_and_is_said_once() {
    let (ca, now) = (ca("ca"), SystemTime::now());
    let (good, next) = (server(&ca), server(&ca));
    let at = |from, until| pair(&ca, &PKCS_ECDSA_P256_SHA256, |params| valid(params, from, until));
    let (over, early) = (at(now - 3 * DAY, now - DAY), at(now + DAY, now + 3 * DAY));
    let nameless = pair(&ca, &PKCS_ECDSA_P256_SHA256, |params| params.subject_alt_names.clear());
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let one_line = next.key.replace('\n', "");
    let huge = "x".repeat((1 << 20) + 1);
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    let garbage_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned();
    let cases = [
        ("the new key with the old certificate", &good.cert, &next.key, "expected the key of the first certificate"),
        ("the old key with the new certificate", &next.cert, &good.key, "expected the key of the first certificate"),
        ("an authority in front", &(ca.pem() + &next.cert), &next.key, "expected a DNS name or IP address"),
        ("no certificate", &String::new(), &next.key, "expected a certificate"),
        ("no key", &next.cert, &String::new(), "found 0"),
        ("two keys", &next.cert, &(next.key.clone() + &good.key), "found 2"),
        ("text", &"certificate".to_owned(), &next.key, "expected a certificate"),
        ("half a certificate", &half(&next.cert), &next.key, "cut short or damaged"),
        ("half a key", &next.cert, &half(&next.key), "cut short or damaged"),
        ("a key without line ends", &next.cert, &one_line, "cut short or damaged"),
        ("no X.509", &garbage, &next.key, "cannot read certificate 1"),
        ("no X.509 behind it", &(next.cert.clone() + &garbage), &next.key, "cannot read certificate 2"),
        ("no PKCS #8", &next.cert, &garbage_key, "cannot use the key"),
        ("over", &over.cert, &over.key, "counts from"),
        ("too early", &early.cert, &early.key, "counts from"),
        ("over behind it", &(next.cert.clone() + &over.cert), &next.key, "certificate 2 of"),
        ("without names", &nameless.cert, &nameless.key, "expected a DNS name or IP address"),
        ("too large", &huge, &next.key, "at most 1 MiB"),
    ];
    for (what, cert, key, expected) in cases {
        let mount = Mount::of(&good);
        let tls = mount.load(TlsOptions::default()).expect("a certificate");
        mount.swap_to(&Pair { cert: cert.clone(), key: key.clone() });
        let Refresh::Kept(error) = tls.refresh() else { panic!("{what} was taken") };
        let text = whole_text(&error);
        assert!(text.contains(expected), "{what}: {text}");
        for line in next.key.lines().chain(good.key.lines()).filter(|line| line.len() > 20) {
            let hidden = !format!("{error:?} {text}").contains(line) || line.starts_with("-----");
            assert!(hidden, "{what} shows a key");
        }
        assert!(matches!(tls.refresh(), Refresh::Unchanged), "{what} is said twice");
        assert_eq!(served(&tls, &ca), certificates(&good.cert), "{what}");
        let at_start = mount.load(TlsOptions::default()).expect_err("bad at the start too");
        assert!(whole_text(&at_start).contains(expected), "{what}");
        mount.swap_to(&next);
        assert!(matches!(tls.refresh(), Refresh::Swapped { .. }), "after {what}");
        assert_eq!(served(&tls, &ca), certificates(&next.cert), "after {what}");
    }
}

#[test]
fn files_that_are_gone_keep_the_good_until_they_are_back() {
    let ca = ca("ca");
    let good = server(&ca);
    let mount = Mount::of(&good);
    let tls = mount.load(TlsOptions::default()).expect("a certificate");
    fs::rename(mount.path("..data"), mount.path("..gone")).expect("a link");
    assert!(matches!(tls.refresh(), Refresh::Kept(TlsError::Read { .. })));
    assert!(matches!(tls.refresh(), Refresh::Unchanged));
    assert_eq!(served(&tls, &ca), certificates(&good.cert));
    fs::rename(mount.path("..gone"), mount.path("..data")).expect("a link");
    assert!(matches!(tls.refresh(), Refresh::Swapped { .. }), "what was complained about is good again");
}

#[test]
fn a_certificate_that_has_not_begun_is_taken_when_it_begins() {
    let (ca, now) = (ca("ca"), SystemTime::now());
    let good = server(&ca);
    let mount = Mount::of(&good);
    let tls = mount.load(TlsOptions::default()).expect("a certificate");
    let next = pair(&ca, &PKCS_ECDSA_P256_SHA256, |params| valid(params, now + DAY, now + 3 * DAY));
    mount.swap_to(&next);
    assert!(matches!(tls.refresh_at(now), Refresh::Kept(TlsError::OutOfDate { number: 1, .. })));
    assert!(matches!(tls.refresh_at(now + DAY / 2), Refresh::Unchanged));
    assert!(matches!(tls.refresh_at(now + DAY), Refresh::Swapped { .. }));
    assert!(matches!(tls.refresh_at(now + DAY), Refresh::Unchanged));
    assert!(!tls.expired(now + 2 * DAY) && tls.expired(now + 4 * DAY));
}

#[test]
fn a_certificate_that_ended_while_it_was_served_is_no_change() {
    let (ca, now) = (ca("ca"), SystemTime::now());
    let mount = Mount::of(&server(&ca));
    let tls = mount.load(TlsOptions::default()).expect("a certificate");
    assert!(matches!(tls.refresh_at(now + 2 * DAY), Refresh::Unchanged));
    assert!(!tls.expired(now) && tls.expired(now + 2 * DAY));
}

#[test]
fn the_authority_of_clients_is_swapped_too() {
    let (server_ca, [one, other]) = (ca("server"), ["one", "other"].map(ca));
    let [of_one, of_other] = [&one, &other].map(server);
    let good = server(&server_ca);
    let with = |ca: &str| [("tls.crt", good.cert.clone()), ("tls.key", good.key.clone()), ("ca.crt", ca.to_owned())];
    let mount = Mount::new(&with(&one.pem()));
    let files = TlsFiles { client_ca: vec![mount.path("ca.crt")], ..mount.files() };
    let options = TlsOptions { client_auth: ClientAuth::Required, ..TlsOptions::default() };
    let tls = Tls::load(files, options).expect("files");
    let taken = |pair: &Pair| connect(&tls, client(&server_ca.pem(), &[&TLS13], Some(pair))).is_ok();
    assert_eq!([&of_one, &of_other].map(taken), [true, false]);
    for (what, ca, swapped, expected) in [
        ("both", one.pem() + &other.pem(), true, [true, true]),
        ("none", String::new(), false, [true, true]),
        ("half", other.pem()[..100].to_owned(), false, [true, true]),
        ("the other", other.pem(), true, [false, true]),
    ] {
        mount.swap(&with(&ca));
        assert_eq!(matches!(tls.refresh(), Refresh::Swapped { .. }), swapped, "{what}");
        assert_eq!([&of_one, &of_other].map(taken), expected, "{what}");
    }
}

#[test]
fn a_certificate_for_trials_serves_at_once() {
    let (tls, bundle) = Tls::self_signed(&[NAME.to_owned(), "127.0.0.1".to_owned()]).expect("a certificate");
    assert!(connect(&tls, client(&bundle, &[&TLS13], None)).is_ok());
    assert!(connect(&tls, client(&ca("other").pem(), &[&TLS13], None)).is_err());
    assert!(matches!(tls.refresh(), Refresh::Unchanged));
    assert!(!tls.expired(SystemTime::now() + 300 * DAY) && tls.expired(SystemTime::now() + 366 * DAY));
    for names in [vec![], vec!["two words".to_owned()]] {
        assert!(matches!(Tls::self_signed(&names), Err(TlsError::Issue(_))), "{names:?}");
    }
}

#[test]
fn half_written_files_are_refused_or_whole() {
    let ca = ca("ca");
    let Pair { cert, key } = server(&ca);
    let provider = aws_lc_rs::default_provider();
    let file = |bytes: &str| PemFile { path: PathBuf::from("file"), bytes: bytes.into() };
    let whole = |cert: &str, key: &str| Identity::load(&file(cert), &file(key), &provider, SystemTime::now()).is_ok();
    for length in 0..cert.trim_end().len() {
        assert!(!whole(&cert[..length], &key), "{length} bytes of the certificate");
    }
    for length in 0..key.trim_end().len() {
        assert!(!whole(&cert, &key[..length]), "{length} bytes of the key");
    }
    assert!(whole(cert.trim_end(), key.trim_end()));
}
