//! Images of every form in Docker's registry: with and without credentials, TLS and a proxy.

use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::federation::Federation;
use crate::registry::{
    DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, HTPASSWD, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Registry, SHOP, entry,
    index,
};
use crate::server::serve;

const AMD64: (&str, &str) = ("linux", "amd64");
const ARM64: (&str, &str) = ("linux", "arm64");
const OCI: (&str, &str) = (OCI_MANIFEST, OCI_CONFIG);
const DOCKER: (&str, &str) = (DOCKER_MANIFEST, DOCKER_CONFIG);

fn two_platforms(registry: &Registry, repository: &str) -> Value {
    let amd = registry.image(repository, None, OCI, AMD64);
    let arm = registry.image(repository, None, OCI, ARM64);
    let mut attestation = entry(
        registry.artifact(repository, "application/vnd.empty", "text/plain", b"x"),
        &json!({"os": "unknown", "architecture": "unknown"}),
    );
    attestation["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let entries = [
        entry(arm, &json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
        entry(amd, &json!({"os": "linux", "architecture": "amd64"})),
        attestation,
    ];
    registry.manifest(repository, Some("1.0"), &index(OCI_INDEX, &entries))
}

#[test]
fn every_form_of_image_is_resolved_and_kept() {
    let federation = Federation::new("every_form");
    let registry = Registry::plain(federation.path());
    let at = &registry.authority;
    let oci_index = two_platforms(&registry, "team/index");
    let arm = registry.image("list", None, DOCKER, ("linux", "arm"));
    let entries = [entry(arm, &json!({"os": "linux", "architecture": "arm", "variant": "v7"}))];
    let list = registry.manifest("list", Some("1.0"), &index(DOCKER_LIST, &entries));
    let single = registry.image("single", Some("latest"), OCI, ("linux", "s390x"));
    let docker = registry.image("docker", Some("1.0"), DOCKER, AMD64);
    let silent_entries = [registry.image("silent", None, OCI, AMD64), registry.image("silent", None, DOCKER, ARM64)];
    let silent = registry.manifest("silent", Some("1.0"), &index(OCI_INDEX, &silent_entries));
    let artifact = registry.artifact("artifact", "application/vnd.other", "text/plain", b"x");
    let pinned = format!("{at}/docker:other@{}", docker["digest"].as_str().unwrap());
    let expected = [
        (format!("{at}/team/index:1.0"), &oci_index, json!(["linux/amd64", "linux/arm64/v8"])),
        (format!("{at}/list:1.0"), &list, json!(["linux/arm/v7"])),
        (format!("{at}/single"), &single, json!(["linux/s390x"])),
        (format!("{at}/docker:1.0"), &docker, json!(["linux/amd64"])),
        (pinned, &docker, json!(["linux/amd64"])),
        // The index does not say it, so the configurations do.
        (format!("{at}/silent:1.0"), &silent, json!(["linux/amd64", "linux/arm64"])),
        (format!("{at}/artifact:v1"), &artifact, json!([])),
    ];
    let images: Vec<&str> = expected.iter().map(|(image, ..)| image.as_str()).collect();
    federation.images("host-runner", &images);

    let (report, said) = federation.probe(0, "", &[]);
    for (image, descriptor, platforms) in &expected {
        let found = report["images"].as_array().unwrap().iter().find(|one| one["reference"] == **image).unwrap();
        assert_eq!((&found["digest"], &found["platforms"]), (&descriptor["digest"], platforms), "{image}");
        assert_eq!(found["status"], "new");
    }
    assert!(said.contains("/artifact:v1: new, sha256:") && said.contains("platforms unknown"), "{said}");
    let lock = federation.lock();
    let (report, said) = federation.probe(0, "", &[]);
    assert!(report["images"].as_array().unwrap().iter().all(|one| one["status"] == "unchanged"), "{report}");
    assert!(!said.contains("written"), "{said}");
    assert_eq!(federation.lock(), lock);

    // The rule about architectures reads it, and what nobody uses any more is dropped.
    assert_eq!(federation.fedcar("check --federation retail", &[]).code, 0);
    let moved = registry.image("single", Some("latest"), OCI, AMD64);
    federation.images("host-runner", &[images[2]]);
    let (report, said) = federation.probe(0, "", &[]);
    assert_eq!(report["dropped"].as_array().unwrap().len(), expected.len() - 1);
    assert_eq!(report["images"][0]["status"], "changed");
    let change =
        format!("changed from {} to {}", single["digest"].as_str().unwrap(), moved["digest"].as_str().unwrap());
    assert!(said.contains(&change), "{said}");
    assert!(!federation.lock().contains("artifact"));
}

#[test]
fn what_cannot_be_reached_keeps_what_was_known() {
    let federation = Federation::new("unreachable");
    let registry = Registry::plain(federation.path());
    let [kept, gone, nobody] = ["a:1", "b:1", "c:1"].map(|name| format!("{}/{name}", registry.authority));
    registry.image("a", Some("1"), OCI, AMD64);
    registry.image("b", Some("1"), OCI, AMD64);
    federation.images("host-runner", &[&kept, &gone, &nobody]);
    let (report, said) = federation.probe(3, "", &[]);
    assert_eq!(report["images"][2]["status"], "unresolved");
    assert!(said.contains(&format!("not found at {}", registry.authority)) && said.contains(&nobody), "{said}");
    let lock = federation.lock();
    assert!(lock.contains(&gone) && !lock.contains(&nobody));
    drop(registry);
    let (report, said) = federation.probe(3, "", &[]);
    assert_eq!(federation.lock(), lock);
    assert_eq!(report["images"][0]["platforms"], json!(["linux/amd64"]));
    assert!(said.contains("no answer from 127.0.0.1:") && said.contains("Connection refused"), "{said}");
}

#[test]
fn credentials_are_those_of_docker() {
    let federation = Federation::new("credentials");
    federation.write("htpasswd", HTPASSWD);
    let auth = json!({"htpasswd": {"realm": "shop", "path": federation.path().join("htpasswd")}});
    let registry = Registry::start(federation.path(), &json!({}), &auth);
    registry.image("team/a", Some("1"), OCI, AMD64);
    federation.images("host-runner", &[&format!("{}/team/a:1", registry.authority)]);
    let (_, said) = federation.probe(3, "", &[]);
    assert!(said.contains("gives no access with no credentials") && said.contains("docker login"), "{said}");
    federation.write("config.json", json!({"auths": {&*registry.authority: {"auth": "c2hvcDp3cm9uZw=="}}}).to_string());
    let (_, said) = federation.probe(3, "", &[]);
    assert!(said.contains("gives no access with the credentials of Docker's configuration"), "{said}");
    assert!(!said.contains("c2hvcDp3cm9uZw") && !said.contains("wrong"), "{said}");
    federation.write("config.json", json!({"auths": {&*registry.authority: {"auth": SHOP}}}).to_string());
    let (report, _) = federation.probe(0, "", &[]);
    assert_eq!(report["images"][0]["platforms"], json!(["linux/amd64"]));
    federation.write("config.json", "{");
    let ran = federation.fedcar("probe retail --images", &[]);
    assert!(ran.code == 3 && ran.stderr.contains("config.json"), "{}", ran.stderr);
}

/// A registry with TLS under a name that nobody can look up, behind a proxy that leads everything to it.
#[test]
fn tls_goes_through_the_proxy_and_trusts_only_known_authorities() {
    let federation = Federation::new("tls");
    let pushed = Registry::plain(federation.path());
    pushed.image("a", Some("1"), OCI, ARM64);
    drop(pushed);
    let (certificate, key, authority) = certificates(federation.path());
    let registry =
        Registry::start(federation.path(), &json!({"tls": {"certificate": certificate, "key": key}}), &json!({}));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let proxy = {
        let (seen, to) = (Arc::clone(&seen), registry.authority.clone());
        serve(move |request, stream| {
            seen.lock().unwrap().push(request.start.clone());
            tunnel(stream, &to);
        })
    };
    federation.images("host-runner", &["registry.invalid/a:1"]);
    let proxy = format!("http://{proxy}");
    let (report, _) = federation.probe(0, "", &[("HTTPS_PROXY", &proxy), ("SSL_CERT_FILE", &authority)]);
    assert_eq!(report["images"][0]["platforms"], json!(["linux/arm64"]));
    assert!(seen.lock().unwrap().iter().all(|one| one.starts_with("CONNECT registry.invalid:443 ")));
    let (_, other, _) = certificates(&federation.path().join("other"));
    let other = other.replace("server.key", "ca.crt");
    let (_, said) = federation.probe(3, "", &[("HTTPS_PROXY", &proxy), ("SSL_CERT_FILE", &other)]);
    assert!(said.contains("no answer from registry.invalid: ") && said.contains("certificate"), "{said}");
}

fn tunnel(stream: &mut TcpStream, to: &str) {
    use io::Write as _;
    let mut inner = TcpStream::connect(to).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut read, mut write) = (stream.try_clone().unwrap(), inner.try_clone().unwrap());
    std::thread::spawn(move || io::copy(&mut read, &mut write));
    let _ = io::copy(&mut inner, stream);
}

/// The files of a certificate, of its key, and of the authority that signed it.
fn certificates(folder: &Path) -> (String, String, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["registry.invalid".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    std::fs::create_dir_all(folder).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    (file("server.crt", server.pem()), file("server.key", key.serialize_pem()), file("ca.crt", authority.pem()))
}
