//! The server under load, over TLS as an API server connects: an echo, the decision compiled natively, the decision in
//! Wasm, and Kubewarden's policy-server with the same module where `POLICY_SERVER` names it.
//!
//! A recipe (`just bench-serve`), not a timed test. Each server is a process of its own on one processor, the load comes from
//! another one, and the subjects take turns; what counts are the ratios, which `docs/performance.md` tells. Every answer is compared
//! with the first one, and the first ones of all subjects lead to the same pod.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "helpers of tests: they end a test by panicking"
)]

mod load;
mod process;
mod subject;

use std::time::Duration;

use fedcar::admission::tls::Authority;
use fedcar_tests::pods::{pod, request, ten_kilobytes};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use serde_json::{Value, json};

use load::{Client, Load};
use process::Process;
use subject::{ROLE, Subject};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long each figure is taken.
const TIME: Duration = Duration::from_secs(4);
/// Connections that are kept open.
const CONNECTIONS: [usize; 4] = [1, 8, 64, 200];
/// The part of the saturation at which latency is told.
const PART: f64 = 0.7;

fn main() {
    if let Ok(role) = std::env::var(ROLE) {
        pin(0);
        return subject::serve(&role);
    }
    pin(1);
    let folder = tempfile::tempdir().expect("a folder");
    let authority = authority(folder.path());
    let subjects = Subject::all();
    for (name, pod) in [("small pod", pod(3)), ("10 KB pod", ten_kilobytes())] {
        let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request(&pod)});
        compare(&subjects, folder.path(), &authority, &pod, &body);
        println!("\n{name}: {} bytes", body.to_string().len());
        println!(
            "{:<14} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8} {:>8}",
            "server", "connections", "req/s", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs", "faults", "MB"
        );
        for subject in &subjects {
            let process = subject.start(folder.path());
            let client = Client::new(process.address, &authority, subject::PATH, &body);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(Load::Closed { connections: 8 }.run(&client, TIME / 4));
            let mut peak: f64 = 0.0;
            for connections in CONNECTIONS {
                peak = peak.max(figure(&runtime, &client, &process, subject, Load::Closed { connections }));
            }
            figure(&runtime, &client, &process, subject, Load::Open { rate: peak * PART, connections: 64 });
            figure(&runtime, &client, &process, subject, Load::NewConnections { at_once: 8 });
        }
    }
}

/// Takes one figure and prints it; requests per second.
fn figure(runtime: &tokio::runtime::Runtime, client: &Client, process: &Process, subject: &Subject, load: Load) -> f64 {
    let before = process.usage();
    let mut taken = runtime.block_on(load.run(client, TIME));
    let used = process.usage().since(&before);
    let requests = taken.latencies.len() as f64;
    let rate = requests / taken.time.as_secs_f64();
    println!(
        "{:<14} {:>11} {rate:>9.0} {:>9.0} {:>9.0} {:>9.0} {:>9.1} {:>8.1} {:>8.1}",
        subject.name(),
        load.name(),
        taken.percentile(0.5),
        taken.percentile(0.99),
        taken.percentile(0.999),
        used.cpu.as_secs_f64() * 1e6 / requests,
        used.minor_faults as f64 / requests,
        process.resident_bytes() as f64 / 1e6,
    );
    assert_eq!(taken.failed, 0, "{}: failed requests", subject.name());
    rate
}

/// All subjects have to lead to the same pod, or their figures mean nothing.
fn compare(subjects: &[Subject], folder: &std::path::Path, authority: &Authority, pod: &Value, body: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut first: Option<Value> = None;
    for subject in subjects.iter().filter(|subject| subject.decides()) {
        let process = subject.start(folder);
        let client = Client::new(process.address, authority, subject::PATH, body);
        let answer: Value = serde_json::from_slice(&runtime.block_on(client.once())).expect("JSON");
        let patched = subject::patched(pod, &answer);
        assert_ne!(&patched, pod, "{}: nothing was injected", subject.name());
        let expected = first.get_or_insert_with(|| patched.clone());
        assert_eq!(expected, &patched, "{}: another pod", subject.name());
    }
}

/// Writes a certificate into `folder` that the authority has signed.
fn authority(folder: &std::path::Path) -> Authority {
    let (now, day) = (std::time::SystemTime::now(), Duration::from_hours(24));
    let authority = Authority::new("bench", day * 20, now).expect("an authority");
    let issued = authority.issue_server(&["localhost".to_owned()], day, now).expect("a certificate");
    // policy-server takes one certificate and no chain.
    let leaf = issued.cert.split_inclusive("-----END CERTIFICATE-----").next().expect("a certificate").to_owned();
    std::fs::write(folder.join("tls.crt"), leaf).expect("a file");
    std::fs::write(folder.join("tls.key"), issued.key).expect("a file");
    authority
}

/// Keeps this process on one processor, if there is more than one.
fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    // On a machine with one processor everything shares it, and the figures say less.
    let _ = sched_setaffinity(Pid::from_raw(0), &set);
}
