//! Requests that are none: each is refused with a status that says why, and whoever comes next is served.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::client::NAME;
use crate::mounted::Mounted;
use crate::reviews::{Asked, BODY, MUTATE, VERSION, serves, settings_file};
use crate::support::{Server, beside_others, folder};
use crate::wire::{Heard, chunked, head, json, length, post, tell};

/// What is sent, and the statuses that are right; none where the connection should end without a word.
fn requests() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let review = Asked::new().body;
    let text = String::from_utf8(review.to_vec()).unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_object = text.replace("\"usual\"", &deep);
    let smallest = text.replace("\"usual\"", &format!("[{{}}{}]", ",{}".repeat((BODY - text.len()) / 3)));
    let line = |line: &str, fields: &str| [head(line, fields).as_bytes(), &review].concat();
    let of_length = length(review.len());
    let many = |count: usize, bytes: usize| {
        (0..count).fold(of_length.clone(), |mut fields, number| {
            let _ = write!(fields, "x-{number}: {}\r\n", "x".repeat(bytes));
            fields
        })
    };
    vec![
        ("a good request", post(&review), &[200]),
        ("the same in pieces", chunked(&review), &[200]),
        ("an empty body", post(b""), &[400]),
        ("no JSON", post(b"apiVersion: admission.k8s.io/v1"), &[400]),
        ("JSON that is cut off", post(&review[..review.len() - 3]), &[400]),
        ("another kind", post(&text.replace("AdmissionReview", "Pod").into_bytes()), &[400]),
        ("no uid", post(&text.replace("\"uid\"", "\"id\"").into_bytes()), &[400]),
        ("not UTF-8", post(b"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"\xff\xfe\"}"), &[400]),
        (
            "not UTF-8 in the object",
            post(&[&review[..review.len() - 30], b"\xc3", &review[review.len() - 30..]].concat()),
            &[400],
        ),
        ("100,000 lists in the object", post(deep_object.as_bytes()), &[400]),
        ("100,000 lists", post(deep.as_bytes()), &[400]),
        ("100,000 objects, never closed", post("{\"a\":".repeat(100_000).as_bytes()), &[400]),
        ("another content type", line("POST /mutate", &of_length.replace("json", "yaml")), &[415]),
        ("no content type", line("POST /mutate", &of_length.replace("content-type", "x-type")), &[415]),
        ("GET", head("GET /mutate", "").into_bytes(), &[405]),
        ("PUT", line("PUT /mutate", &of_length), &[405]),
        ("an unknown path", line("POST /", &of_length), &[404]),
        ("an unknown policy", line("POST /validate/other", &of_length), &[404]),
        ("a path out of the way", line("POST /validate/../../etc/passwd", &of_length), &[404]),
        ("a path of 100,000 bytes", line(&format!("POST /{}", "x".repeat(100_000)), &of_length), &[404, 414, 431]),
        ("200 headers", line("POST /mutate", &many(200, 1)), &[431]),
        ("a head of 1 MiB", line("POST /mutate", &many(64, 16 << 10)), &[431]),
        ("no host", without_host(&post(&review)), &[200, 400]),
        ("two lengths", line("POST /mutate", &format!("{of_length}content-length: 7\r\n")), &[400]),
        ("a length that is no number", line("POST /mutate", &json("content-length: many\r\n")), &[400]),
        ("a negative length", line("POST /mutate", &json("content-length: -1\r\n")), &[400]),
        (
            "a length beyond 64 bits",
            line("POST /mutate", &json("content-length: 99999999999999999999\r\n")),
            &[400, 413],
        ),
        (
            "a piece without a size",
            [head("POST /mutate", &json("transfer-encoding: chunked\r\n")).as_bytes(), b"xyz\r\n{}"].concat(),
            &[400],
        ),
        (
            "a piece beyond 64 bits",
            [head("POST /mutate", &json("transfer-encoding: chunked\r\n")).as_bytes(), b"fffffffffffffffff\r\n{}"]
                .concat(),
            &[400],
        ),
        ("no HTTP", b"\0\x01\x02\x03\r\n\r\n\r\n".to_vec(), &[400]),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), &[]),
        ("8 MiB", post(&Asked::of_size(BODY).body), &[200]),
        ("8 MiB in pieces", chunked(&Asked::of_size(BODY).body), &[200]),
        // As a tree it is many times as large: the module may run out of memory.
        ("8 MiB of the smallest objects", post(smallest.as_bytes()), &[200, 400, 500]),
        ("more than 8 MiB, announced", head("POST /mutate", &length(BODY + 1)).into_bytes(), &[413]),
        ("much more, announced", head("POST /mutate", &length(usize::MAX >> 1)).into_bytes(), &[413]),
    ]
}

fn without_host(request: &[u8]) -> Vec<u8> {
    let host = format!("host: {NAME}\r\n");
    let at = request.windows(host.len()).position(|window| window == host.as_bytes()).unwrap();
    [&request[..at], &request[at + host.len()..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_none_are_refused() {
    let _machine = beside_others().await;
    let folder = folder("hostile-requests");
    let mounted = Mounted::new(&folder);
    let settings = format!("--settings={}", settings_file(&folder, VERSION).display());
    let mut server = Server::start(mounted.flags().iter().chain([&settings, &"--timeout=20s".to_owned()])).await;
    let trust = mounted.trust();
    let mut wrong = Vec::new();
    for (name, request, expected) in requests() {
        let begin = Instant::now();
        let Heard { status, closed } = tell(&trust, &server, [(request, Duration::ZERO)]).await;
        if status.map_or(!expected.is_empty(), |status| !expected.contains(&status)) || closed.is_none() {
            wrong.push(format!("{name}: expected {expected:?}, found {status:?}, closed after {closed:?}"));
        }
        if begin.elapsed() > Duration::from_secs(1) || name.starts_with("8 MiB") {
            println!("hostile requests: {name}: {status:?} after {:.1?}", begin.elapsed());
        }
        wrong.extend(serves(&trust, &server, MUTATE).await.err().map(|error| format!("after {name}: {error}")));
    }
    // Too much, and it goes on sending: the answer may be lost with the connection, but the end is quick.
    for request in [post(&vec![b' '; 2 * BODY]), chunked(&vec![b' '; 2 * BODY])] {
        let heard = tell(&trust, &server, [(request, Duration::ZERO)]).await;
        if !matches!(heard, Heard { status: Some(413) | None, closed: Some(_) }) {
            wrong
                .push(format!("a body that is too large and sent nevertheless: {:?} {:?}", heard.status, heard.closed));
        }
        wrong.extend(serves(&trust, &server, MUTATE).await.err());
    }
    assert!(server.metric("fedcar_refused_requests_total", &["reason=\"too-large\""]).await >= 4);
    assert!(server.metric("fedcar_refused_requests_total", &["reason=\"too-deep\""]).await >= 3);
    server.runs();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
