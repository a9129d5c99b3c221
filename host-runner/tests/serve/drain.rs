//! The end of a server: asked to stop, it finishes what it has begun and nobody notices; killed, it costs its own
//! requests and no others.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::client::Client;
use crate::guests::{GOOD, LARGE, busy, guest, policies};
use crate::mounted::Mounted;
use crate::reviews::{Asked, VERSION, settings_file};
use crate::service::Service;
use crate::support::{Server, beside_others, folder};

const WORKERS: usize = 6;

/// Longer than the server lingers.
const ROUNDS: u64 = 4_000_000_000;
const LINGER: Duration = Duration::from_secs(1);

/// How long what a stopping server is given may take, on a machine that is busy.
const BOUND: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_fails_no_request() {
    let _machine = beside_others().await;
    let folder = folder("drain");
    let mounted = Mounted::new(&folder);
    let policies = format!("--policies={}", policies(&folder, &[("busy", guest(&busy(ROUNDS)))]).display());
    let flags = [format!("--linger={}ms", LINGER.as_millis()), "--timeout=20s".to_owned()];
    let mut server = Server::start(mounted.flags().iter().chain([&policies]).chain(&flags)).await;
    let trust = mounted.trust();
    let client = || Client::new(&trust, server.address);

    // A connection that is in use, one that is idle, and a request that takes longer than the server lingers.
    let right = async |client: &mut Client| {
        let asked = Asked::new();
        let reply = client.post(GOOD, asked.body.clone()).await.unwrap();
        asked.proven(&reply, &[VERSION.to_owned()]).unwrap();
        reply
    };
    let (mut used, mut idle, mut slow) = (client(), client(), client());
    for client in [&mut used, &mut idle, &mut slow] {
        assert!(!right(client).await.headers.contains_key("connection"), "connections are kept");
    }
    let slow = tokio::spawn(async move {
        let asked = Asked::of_size(LARGE);
        let reply = slow.post("/validate/busy?timeout=20s", asked.body.clone()).await.unwrap();
        asked.allowed(&reply).unwrap();
        (reply, Instant::now())
    });
    let in_flight = async || server.metric("fedcar_requests_in_flight", &[]).await > 0;
    server.until("the slow request has begun", in_flight).await;

    let begin = Instant::now();
    server.terminate();
    // At once: before the linger is over, at the latest.
    server.until("it is not ready any more", async || server.ready().await == Ok(false)).await;
    let not_ready = begin.elapsed();
    assert_eq!(right(&mut used).await.headers["connection"], "close", "a connection that is in use");
    assert_eq!(right(&mut client()).await.headers["connection"], "close", "a new connection while it lingers");
    println!("drain: not ready after {not_ready:.0?}, two requests answered after {:.0?}", begin.elapsed());

    let (reply, answered) = slow.await.unwrap();
    assert_eq!(reply.headers["connection"], "close");
    let after = answered.saturating_duration_since(begin);
    assert!(after > LINGER, "answered {after:?} after the signal: nothing was shown");
    let status = server.ended(BOUND).await;
    assert_eq!(status.code(), Some(0), "{}", server.log());
    println!("drain: the slow request was answered after {after:.0?}, all ended after {:.0?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_servers_stops_or_dies_under_load() {
    let _machine = beside_others().await;
    let folder = folder("stop-or-die");
    let mounted = Mounted::new(&folder);
    let settings = format!("--settings={}", settings_file(&folder, VERSION).display());
    let start = async || Server::start(mounted.flags().iter().chain([&settings, &"--linger=1s".to_owned()])).await;
    let mut service = Service::new(mounted.trust(), WORKERS);
    service.expect(VERSION);

    let mut stopping = start().await;
    service.join(&stopping).await;
    let mut dying = start().await;
    service.join(&dying).await;
    sleep(Duration::from_millis(500)).await;
    stopping.terminate();
    assert_eq!(stopping.ended(BOUND).await.code(), Some(0), "{}", stopping.log());
    service.seen().without_failure();

    let staying = start().await;
    service.join(&staying).await;
    let (killed, before) = (Instant::now(), service.seen().requests());
    dying.kill();
    dying.ended(BOUND).await;
    staying.until("the other one serves", async || service.seen().requests() > before + 100).await;
    let seen = service.stop().await;
    for (address, at, failure) in &seen.failures {
        assert_eq!(*address, dying.address, "{failure}");
        assert!(at.saturating_duration_since(killed) < Duration::from_secs(5), "it still gets requests: {failure}");
    }
    // Each worker has one request on its way, and one more before the death is known.
    println!("drain: {} requests, {} failed with the server that was killed", seen.requests(), seen.failures.len());
    assert!(seen.failures.len() <= 4 * WORKERS, "{} failures", seen.failures.len());
    assert_eq!(seen.nobody, 0, "times at which no server was ready");
}
