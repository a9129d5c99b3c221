//! Large bodies on many connections at once: what the server holds stays below a bound that can be worked out.

use tokio::task::JoinSet;

use crate::client::Client;
use crate::guests::{GOOD, guest, policies};
use crate::mounted::Mounted;
use crate::reviews::{Asked, BODY, serves};
use crate::support::{Server, beside_others, folder};

const MIB: usize = 1 << 20;

/// Bodies that are held, what the module may use for each call, copies of what runs, and what the allocator keeps.
const BODIES: usize = 16 * MIB;
const CALLS: usize = 2;
const GUEST_MEMORY: usize = 64 * MIB;
const SLACK: usize = 32 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_bounded_under_large_bodies() {
    let _machine = beside_others().await;
    let folder = folder("hostile-memory");
    let mounted = Mounted::new(&folder);
    let policies = format!("--policies={}", policies(&folder, &[("frugal", guest(""))]).display());
    let limits = ["--max-bodies=16Mi", "--max-calls=2", "--timeout=20s", "--body-timeout=20s"];
    let flags = [&mounted.flags()[..], &[policies], &limits.map(str::to_owned)].concat();
    let mut server = Server::start(&flags).await;
    let trust = mounted.trust();
    // The first one copies nothing into its memory, so that a budget for bodies that does not hold would be seen.
    for (path, modules) in [("/validate/frugal?timeout=20s", 0), (GOOD, CALLS * GUEST_MEMORY)] {
        server.forget_peak();
        let (before, _) = server.memory();
        let mut clients = JoinSet::new();
        for _ in 0..16 {
            let mut client = Client::new(&trust, server.address);
            clients.spawn(async move {
                let body = Asked::of_size(BODY).body;
                let mut statuses = Vec::new();
                for _ in 0..4 {
                    statuses.push(client.post(path, body.clone()).await.map(|reply| reply.status));
                }
                statuses
            });
        }
        let (mut answered, mut refused, mut lost) = (0, 0, 0);
        while let Some(statuses) = clients.join_next().await {
            for status in statuses.unwrap() {
                match status {
                    Ok(200 | 500) => answered += 1,
                    Ok(503) => refused += 1,
                    // Refused before it was sent as a whole: the connection ends, and the answer may be lost with it.
                    Err(_) => lost += 1,
                    other => panic!("{path}: {other:?}"),
                }
            }
        }
        let (after, peak) = server.memory();
        let bound = before + BODIES + CALLS * 2 * BODY + modules + SLACK;
        println!(
            "memory: 8 MiB on 16 connections to {path}: {answered} answered, {refused} refused, {lost} lost; {} -> {} -> {} MiB, bound {} MiB",
            before / MIB,
            peak / MIB,
            after / MIB,
            bound / MIB
        );
        assert!(answered >= 4 && refused + lost > 0, "{answered} answered, {refused} refused, {lost} lost");
        assert!(peak < bound, "{path}: {} MiB", peak / MIB);
        serves(&trust, &server, GOOD).await.unwrap();
    }
    server.runs();
}
