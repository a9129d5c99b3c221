//! Harmful clients: each gets an answer or is refused within the limits, and whoever comes next is served as if they had
//! never been there.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::mounted::Mounted;
use crate::reviews::{Asked, MUTATE, VERSION, serves, settings_file};
use crate::support::{Server, beside_others, folder};
use crate::wire::{Heard, deaf, half_closed, head, length, plain, post, tell};

/// Between two pieces of something slow.
const TRICKLE: Duration = Duration::from_millis(100);

/// Something that a client does.
struct Case<'a> {
    name: &'static str,
    done: BoxFuture<'a, Heard>,
    /// The answers that are right, of which none may be one.
    right: &'static [Option<u16>],
}

fn case<'a>(
    name: &'static str,
    done: impl Future<Output = Heard> + Send + 'a,
    right: &'static [Option<u16>],
) -> Case<'a> {
    Case { name, done: done.boxed(), right }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_take_their_time_are_let_go() {
    let _machine = beside_others().await;
    let folder = folder("hostile-time");
    let mounted = Mounted::new(&folder);
    let settings = format!("--settings={}", settings_file(&folder, VERSION).display());
    let limits =
        ["--timeout=20s", "--head-timeout=1s", "--body-timeout=1s", "--idle-timeout=2s", "--handshake-timeout=1s"];
    let flags = [&mounted.flags()[..], &[settings], &limits.map(str::to_owned)].concat();
    let mut server = Server::start(&flags).await;
    let trust = mounted.trust();
    let body = Asked::of_size(4096).body;
    let request = post(&body);
    let whole = head("POST /mutate", &length(body.len()));
    let trickled = |bytes: &[u8]| -> Vec<_> { bytes.iter().map(|byte| (vec![*byte], TRICKLE)).collect() };
    let slow_body = [vec![(whole.clone().into_bytes(), TRICKLE)], trickled(&body)].concat();
    let cases = [
        case("a slow head", tell(&trust, &server, trickled(&request)), &[None, Some(408)]),
        case("a slow body", tell(&trust, &server, slow_body), &[Some(408)]),
        case("no body", tell(&trust, &server, [(whole.clone().into_bytes(), TRICKLE)]), &[Some(408)]),
        case("nothing after the handshake", tell(&trust, &server, []), &[None]),
        case("closed on one side in the head", half_closed(&trust, &server, &request[..20]), &[None, Some(400)]),
        case("closed on one side after the head", half_closed(&trust, &server, whole.as_bytes()), &[None, Some(400)]),
        case("closed on one side in the body", half_closed(&trust, &server, &request[..2000]), &[None, Some(400)]),
        case("closed on one side after the body", half_closed(&trust, &server, &request), &[None, Some(200)]),
        case("answers that are not read", deaf(&trust, &server, &body), &[None]),
        case("nothing at all", plain(&server, b""), &[None]),
        case("half a handshake", plain(&server, b"\x16\x03\x01\x02\x00\x01\x00"), &[None]),
        case("HTTP without TLS", plain(&server, &request), &[None]),
    ];
    let heard = join_all(cases.map(async |Case { name, done, right }| (name, right, done.await))).await;
    let mut wrong = Vec::new();
    for (name, right, Heard { status, closed }) in heard {
        println!("hostile clients: {name}: {status:?}, closed after {closed:.1?}");
        if !right.contains(&status) || closed.is_none() {
            wrong.push(format!("{name}: expected {right:?}, found {status:?}, closed after {closed:?}"));
        }
    }
    wrong.extend(serves(&trust, &server, MUTATE).await.err());
    assert!(server.metric("fedcar_refused_requests_total", &["reason=\"slow-body\""]).await >= 2);
    for reason in ["timeout", "not-tls"] {
        let label = format!("reason=\"{reason}\"");
        assert!(server.metric("fedcar_failed_handshakes_total", &[&label]).await >= 1, "{reason}");
    }
    server.until("all are gone", async || server.metric("fedcar_open_connections", &[]).await == 0).await;
    server.runs();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_connections_pass() {
    let _machine = beside_others().await;
    let folder = folder("hostile-floods");
    let mounted = Mounted::new(&folder);
    let settings = format!("--settings={}", settings_file(&folder, VERSION).display());
    let limits = [
        "--max-connections=8",
        "--max-handshakes=2",
        "--handshake-timeout=500ms",
        "--head-timeout=1s",
        "--timeout=20s",
    ];
    let flags = [&mounted.flags()[..], &[settings], &limits.map(str::to_owned)].concat();
    let mut server = Server::start(&flags).await;
    let trust = mounted.trust();

    // More connections than are accepted, with nothing on them: the server holds what it may and lets them go in time.
    let mut flood = Vec::new();
    for _ in 0..32 {
        flood.push(TcpStream::connect(server.address).await.unwrap());
    }
    let full = async || server.metric("fedcar_open_connections", &[]).await == 8;
    server.until("as many are open as may be", full).await;
    let begin = Instant::now();
    serves(&trust, &server, MUTATE).await.unwrap();
    println!("hostile clients: served {:.1?} after a flood of connections", begin.elapsed());
    drop(flood);

    // Handshakes that are begun and broken off, as fast as two tasks can, while somebody wants to be served.
    let mut flood = JoinSet::new();
    for _ in 0..2 {
        let address = server.address;
        flood.spawn(async move {
            loop {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00").await;
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    let begin = Instant::now();
    for _ in 0..10 {
        serves(&trust, &server, MUTATE).await.unwrap();
    }
    println!("hostile clients: 10 new connections served in {:.1?} in a flood of handshakes", begin.elapsed());
    flood.shutdown().await;

    // Connections that made their handshake and say nothing more: where it is crowded, they are let go long before the
    // idle time of three minutes is over.
    let mut flood = Vec::new();
    for _ in 0..8 {
        flood.push(trust.connect(server.address).await.unwrap());
    }
    let begin = Instant::now();
    serves(&trust, &server, MUTATE).await.unwrap();
    println!("hostile clients: served {:.1?} after a flood of idle connections", begin.elapsed());
    server.runs();
}
