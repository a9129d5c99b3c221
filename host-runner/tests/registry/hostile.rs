//! Registries that mean no good, and the flow of tokens, which Docker's registry gives to others.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::federation::Federation;
use crate::registry::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, SHOP, descriptor, digest, entry, index, manifest};
use crate::server::{Message, reply, serve};

const CONFIG: &str = r#"{"os":"linux","architecture":"amd64"}"#;

/// What is said about an image of such a server.
fn said(test: &str, answer: impl Fn(&Message, &mut TcpStream) + Send + Sync + 'static) -> String {
    let federation = Federation::new(test);
    let at = serve(answer);
    federation.images("host-runner", &[&format!("{at}/a:1")]);
    let started = Instant::now();
    let (report, said) = federation.probe(3, " --registry-timeout 3", &[]);
    assert!(started.elapsed() < Duration::from_secs(20), "{test} took {:?}", started.elapsed());
    assert_eq!(report["images"][0]["status"], "unresolved");
    assert!(said.contains(&format!("--> {at}/a:1")), "{said}");
    said
}

#[test]
fn hostile_answers_end() {
    let endless = said("endless", |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 8192]).is_ok() {}
    });
    assert!(endless.contains("expected at most 4194304 bytes of a manifest, found more"), "{endless}");

    let silent = said("silent", |_, _| std::thread::sleep(Duration::from_mins(1)));
    assert!(silent.contains("no whole answer within 3 seconds") && silent.contains("--registry-timeout"), "{silent}");

    let dripping = said("dripping", |_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(dripping.contains("no whole answer within 3 seconds"), "{dripping}");

    let circle = said("circle", |request, stream| {
        let path = request.start.split(' ').nth(1).unwrap();
        reply(stream, "307 Temporary Redirect", &[("Location", path)], b"");
    });
    assert!(circle.contains("more than 5 redirections"), "{circle}");

    let inward = said("inward", |_, stream| {
        reply(stream, "307 Temporary Redirect", &[("Location", "http://10.0.0.1/latest/meta-data")], b"");
    });
    assert!(inward.contains("expected an address with https://, found `http://10.0.0.1/latest/meta-data`"), "{inward}");
}

#[test]
fn hostile_documents_are_refused() {
    let renamed = said("renamed", |_, stream| {
        let name = digest(b"another");
        reply(stream, "200 OK", &[("Docker-Content-Digest", &name)], b"{\"manifests\": []}");
    });
    assert!(renamed.contains(&format!("expected a manifest with {}", digest(b"another"))), "{renamed}");

    let both = said("both", |_, stream| {
        let config = descriptor(OCI_CONFIG, b"{}");
        let both = json!({"manifests": [], "config": config, "layers": []});
        reply(stream, "200 OK", &[], both.to_string().as_bytes());
    });
    assert!(both.contains("found both or neither in one document"), "{both}");

    let text = said("text", |_, stream| reply(stream, "200 OK", &[], b"<html>"));
    assert!(text.contains("expected an index, a manifest or the configuration of an image: expected value"), "{text}");

    let config = descriptor(OCI_CONFIG, CONFIG.as_bytes());
    let image = |number: u32| manifest(OCI_MANIFEST, &config, &[json!({"digest": number.to_string()})]).to_string();
    let images: Vec<String> = (0..100).map(image).collect();
    let crowd = said("crowd", move |request, stream| {
        let asked = images.iter().find(|one| request.start.contains(&digest(one.as_bytes())));
        let entries = || images.iter().map(|one| descriptor(OCI_MANIFEST, one.as_bytes())).collect::<Vec<_>>();
        let body = match asked {
            _ if request.start.contains("/blobs/") => CONFIG.to_owned(),
            Some(image) => image.clone(),
            None => index(OCI_INDEX, &entries()).to_string(),
        };
        reply(stream, "200 OK", &[], body.as_bytes());
    });
    assert!(crowd.contains("more than 32 documents"), "{crowd}");

    let platform = said("platform", |_, stream| {
        let image =
            entry(descriptor(OCI_MANIFEST, b"{}"), &json!({"os": "linux\u{1b}]0;x\u{7}", "architecture": "amd64"}));
        reply(stream, "200 OK", &[], index(OCI_INDEX, &[image]).to_string().as_bytes());
    });
    assert!(platform.contains("expected a platform such as linux/amd64") && !platform.contains('\u{1b}'), "{platform}");

    let escape = said("escape", |_, stream| {
        let mut image = descriptor(OCI_MANIFEST, b"{}");
        image["digest"] = json!("sha256:../../../v2/other/manifests/1");
        reply(stream, "200 OK", &[], index(OCI_INDEX, &[image]).to_string().as_bytes());
    });
    assert!(escape.contains("expected sha256: and 64 hexadecimal digits"), "{escape}");
}

#[test]
fn what_gives_no_access_is_told() {
    let busy = said("busy", |_, stream| reply(stream, "429 Too Many Requests", &[], b""));
    assert!(busy.contains("found status 429") && busy.contains("fewer requests"), "{busy}");

    let realm = said("realm", |_, stream| {
        let challenge = "Bearer realm=\"http://auth.invalid/token\",service=\"s\"";
        reply(stream, "401 Unauthorized", &[("WWW-Authenticate", challenge)], b"");
    });
    assert!(realm.contains("expected an address with https://, found `http://auth.invalid/token`"), "{realm}");

    let never = said("never", |request, stream| {
        if request.start.contains("/token") {
            return reply(stream, "200 OK", &[], b"{\"token\": \"x\"}");
        }
        let challenge = format!("Bearer realm=\"http://{}/token\"", request.header("host").unwrap());
        reply(stream, "401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
    });
    assert!(never.contains("gives no access with no credentials"), "{never}");
}

/// The content of another digest than the one that was asked for.
#[test]
fn a_pinned_image_is_that_image_or_none() {
    let federation = Federation::new("pinned");
    let at = serve(|_, stream| reply(stream, "200 OK", &[], b"{\"manifests\": []}"));
    federation.images("host-runner", &[&format!("{at}/a@{}", digest(b"wanted"))]);
    let (_, said) = federation.probe(3, "", &[]);
    let expected = format!("expected a manifest with {}, found {}", digest(b"wanted"), digest(b"{\"manifests\": []}"));
    assert!(said.contains(&expected), "{said}");
}

/// A token is asked for this repository only, with credentials where there are some, and shown to the registry alone: the
/// store that it leads to gets none.
#[test]
fn tokens_are_asked_for_and_go_nowhere_else() {
    let federation = Federation::new("tokens");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = |seen: &Arc<Mutex<Vec<String>>>, request: &Message| {
        let authorization = request.header("authorization").unwrap_or("nothing").to_owned();
        let path = request.start.split(' ').nth(1).unwrap();
        seen.lock().unwrap().push(format!("{path} with {authorization}"));
    };
    let config = br#"{"os":"linux","architecture":"riscv64"}"#;
    let document = manifest(OCI_MANIFEST, &descriptor(OCI_CONFIG, config), &[]).to_string();
    let store = {
        let seen = Arc::clone(&seen);
        serve(move |request, stream| {
            log(&seen, request);
            reply(stream, "200 OK", &[], config);
        })
    };
    let at = {
        let seen = Arc::clone(&seen);
        serve(move |request, stream| {
            log(&seen, request);
            if request.start.contains("/token") {
                return reply(stream, "200 OK", &[], b"{\"access_token\": \"given\"}");
            }
            if request.header("authorization") != Some("Bearer given") {
                let host = request.header("host").unwrap();
                let challenge =
                    format!("Bearer realm=\"http://{host}/token\",service=\"a b\",scope=\"repository:*:push\"");
                return reply(stream, "401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"");
            }
            if request.start.contains("/blobs/") {
                return reply(
                    stream,
                    "307 Temporary Redirect",
                    &[("Location", &format!("http://{store}/stored"))],
                    b"",
                );
            }
            reply(stream, "200 OK", &[], document.as_bytes());
        })
    };
    federation.images("host-runner", &[&format!("{at}/team/a:1")]);
    for (credentials, shown) in
        [("{}".to_owned(), "nothing"), (json!({&*at: {"auth": SHOP}}).to_string(), "Basic c2hvcDpVKlU=")]
    {
        federation.write("config.json", format!("{{\"auths\": {credentials}}}"));
        let (report, _) = federation.probe(0, "", &[]);
        assert_eq!(report["images"][0]["platforms"], json!(["linux/riscv64"]));
        let expected = [
            "/v2/team/a/manifests/1 with nothing".to_owned(),
            format!("/token?service=a%20b&scope=repository:team/a:pull with {shown}"),
            "/v2/team/a/manifests/1 with Bearer given".to_owned(),
            format!("/v2/team/a/blobs/{} with Bearer given", digest(config)),
            "/stored with nothing".to_owned(),
        ];
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), expected);
    }
}
