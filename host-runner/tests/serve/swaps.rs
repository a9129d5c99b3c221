//! A load test while certificates, settings and the process itself are swapped: no failed request, no wrong answer.
//!
//! `FEDCAR_SOAK_SECONDS=180 just soak` does it for minutes; then each swap of settings brings some that were never
//! compiled before.

use std::time::{Duration, Instant};

use crate::mounted::Mounted;
use crate::reviews::{settings_file, write_at_once};
use crate::service::Service;
use crate::support::{Server, alone, folder, soak};

const WORKERS: usize = 8;

/// Within which a stopped server has to be gone: its linger, its requests, and a busy machine.
const BOUND: Duration = Duration::from_secs(30);

/// How often each thing was swapped.
#[derive(Debug, Default)]
struct Swaps {
    certificates: usize,
    broken_certificates: usize,
    settings: usize,
    broken_settings: usize,
    processes: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_fail_no_request() {
    let _machine = alone().await;
    let soak = soak();
    let folder = folder("swaps");
    let mut mounted = Mounted::new(&folder);
    let settings = settings_file(&folder, "0");
    let flag = format!("--settings={}", settings.display());
    let flags = [&mounted.flags()[..], &[flag, "--linger=1s".to_owned()]].concat();

    let mut service = Service::new(mounted.trust(), WORKERS);
    service.expect("0");
    let mut server = Server::start(&flags).await;
    service.join(&server).await;
    let (begin, mut swaps) = (Instant::now(), Swaps::default());
    // Twice in any case: the second swap of a link is the one that a watch on files misses.
    while swaps.processes < 2 || begin.elapsed() < soak.unwrap_or_default() {
        for broken in [false, true, false] {
            if broken {
                let rejected = reloads(&server, "certificate", "rejected").await;
                mounted.swap_for_broken();
                let is_rejected = async || reloads(&server, "certificate", "rejected").await > rejected;
                server.until("the broken certificate is rejected", is_rejected).await;
                swaps.broken_certificates += 1;
            } else {
                let leaf = mounted.swap();
                server.until("clients see the certificate", async || service.seen().leaves.contains(&leaf)).await;
                swaps.certificates += 1;
            }
        }
        for broken in [false, true, false] {
            if broken {
                let rejected = reloads(&server, "settings", "rejected").await;
                write_at_once(&settings, "schemaVersion: 1\nsidecars: [{name: proxy, mode: sometimes}]\n");
                let is_rejected = async || reloads(&server, "settings", "rejected").await > rejected;
                server.until("the broken settings are rejected", is_rejected).await;
                swaps.broken_settings += 1;
            } else {
                swaps.settings += 1;
                let version =
                    if soak.is_some() { soaked(begin, swaps.settings) } else { (swaps.settings % 2).to_string() };
                service.expect(&version);
                settings_file(&folder, &version);
                let address = server.address;
                let is_served = async || service.seen().version.get(&address) == Some(&version);
                server.until("the settings are served", is_served).await;
            }
        }
        let next = Server::start(&flags).await;
        service.join(&next).await;
        server.terminate();
        assert_eq!(server.ended(BOUND).await.code(), Some(0), "{}", server.log());
        server = next;
        swaps.processes += 1;
    }
    let took = begin.elapsed();
    let seen = service.stop().await;
    println!(
        "swaps: {} requests in {took:.0?}, {} failed; slowest {:.0?}; {swaps:?}",
        seen.requests(),
        seen.failures.len(),
        seen.slowest
    );
    seen.without_failure();
    server.runs();
}

/// A version that no cache of compiled code knows from an earlier run.
fn soaked(begin: Instant, number: usize) -> String {
    format!("{}-{}-{number}", std::process::id(), begin.elapsed().as_nanos())
}

async fn reloads(server: &Server, what: &str, result: &str) -> u64 {
    let labels = [format!("what=\"{what}\""), format!("result=\"{result}\"")];
    server.metric("fedcar_reloads_total", &labels.each_ref().map(String::as_str)).await
}
