//! Time for one decision: native with settings already read, against Wasm in a fresh instance of the snapshot.
//!
//! A recipe (`just bench`), not a timed test: figures belong to the machine they were taken on and are told as ratios in
//! `docs/performance.md`. Both sides do the same work on the same bytes, and their answers are compared first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fedcar::documents;
use fedcar::engine::{Cache, Engine, Limits, MODULE, Outcome, Policy};
use fedcar_policy::protocol::{self, Prepared};
use fedcar_tests::pods::{pod, request, settings, ten_kilobytes};
use fedcar_tests::workspace;
use serde_json::{Value, json};

/// Rounds for each figure; the fastest round stands, because everything that disturbs only adds.
const ROUNDS: u32 = 15;
/// How long a round lasts at least.
const ROUND: Duration = Duration::from_millis(60);

fn main() {
    println!("{:<28} {:>10} {:>12} {:>12} {:>7}", "request", "bytes", "native µs", "wasm µs", "ratio");
    let engine = Engine::new(Limits::default(), Cache::none()).expect("an engine");
    for sidecars in [1, 10] {
        let settings = settings(sidecars).to_string();
        let native = protocol::prepare(settings.as_bytes()).1.expect("valid settings");
        let wasm = engine.prepare(MODULE, settings.as_bytes()).expect("valid settings");
        let mut by_variables = Vec::new();
        for (name, pod) in [
            ("small pod", pod(3)),
            ("10 KB pod", ten_kilobytes()),
            ("200 variables", pod(200)),
            ("2000 variables", pod(2000)),
        ] {
            let payload = payload(&pod);
            assert_eq!(
                answer(&wasm, &payload),
                protocol::admit(&native, &payload),
                "{name}: both give the same answer"
            );
            let (slow, fast) = measure(&wasm, &native, &payload);
            let ratio = slow.as_secs_f64() / fast.as_secs_f64();
            println!(
                "{:<28} {:>10} {:>12.1} {:>12.1} {ratio:>7.2}",
                format!("{name}, {sidecars} sidecars"),
                payload.len(),
                micros(fast),
                micros(slow)
            );
            by_variables.push(slow);
        }
        if let [.., few, many] = by_variables.as_slice() {
            println!("time(2000 variables) / time(200 variables), wasm: {:.2}", many.as_secs_f64() / few.as_secs_f64());
        }
    }
    bundles(&engine);
    let settings = settings(1).to_string();
    let wasm = engine.prepare(MODULE, settings.as_bytes()).expect("valid settings");
    let nothing = time(|| drop(black_box(wasm.call("protocol_version", b""))));
    println!("fresh instance and an operation that does nothing: {:.1} µs", micros(nothing));
    let begin = Instant::now();
    drop(black_box(engine.prepare(MODULE, settings.as_bytes())));
    println!("settings to ready, compiled anew: {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
}

/// The heaviest bundle beside a simple sidecar, both on the same pods.
fn bundles(engine: &Engine) {
    let parity = workspace().join("policies/parity");
    for (name, pod) in [("small pod", pod(3)), ("10 KB pod", ten_kilobytes())] {
        let mut times = Vec::new();
        for bundle in ["simple", "istio", "linkerd"] {
            let settings = match bundle {
                "simple" => settings(1),
                bundle => {
                    let loaded = documents::load(&parity.join(bundle), documents::today()).expect("a bundle");
                    let member = loaded.federation().members().next().expect("a member");
                    loaded.settings(&member.name).expect("valid settings").0
                }
            };
            let settings = settings.to_string();
            let native = protocol::prepare(settings.as_bytes()).1.expect("valid settings");
            let wasm = engine.prepare(MODULE, settings.as_bytes()).expect("valid settings");
            let payload = payload(&pod);
            let reply = answer(&wasm, &payload);
            assert_eq!(reply, protocol::admit(&native, &payload), "{bundle}: both give the same answer");
            assert!(String::from_utf8_lossy(&reply).contains("\"patch\""), "{bundle} is injected");
            let (slow, fast) = measure(&wasm, &native, &payload);
            times.push(slow);
            let beside_simple = slow.as_secs_f64() / times.first().map_or(1.0, Duration::as_secs_f64);
            println!(
                "{:<28} {:>10} {:>12.1} {:>12.1} {beside_simple:>7.2} of simple",
                format!("{name}, {bundle}"),
                payload.len(),
                micros(fast),
                micros(slow)
            );
        }
    }
}

/// The fastest of each, in turns, so that a slow phase of the machine meets both.
fn measure(wasm: &Policy, native: &Prepared, payload: &[u8]) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        best.0 = best.0.min(round(&mut || drop(black_box(answer(wasm, payload)))));
        best.1 = best.1.min(round(&mut || drop(black_box(protocol::admit(native, payload)))));
    }
    best
}

fn time(mut work: impl FnMut()) -> Duration {
    (0..ROUNDS).map(|_| round(&mut work)).min().unwrap_or_default()
}

fn round(work: &mut dyn FnMut()) -> Duration {
    let begin = Instant::now();
    let mut times = 0;
    while begin.elapsed() < ROUND {
        work();
        times += 1;
    }
    begin.elapsed() / times
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn answer(policy: &Policy, payload: &[u8]) -> Vec<u8> {
    match policy.call("fedcar.admit", payload) {
        Outcome::Answer(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn payload(pod: &Value) -> Vec<u8> {
    json!({"request": request(pod), "namespace": {"metadata": {"name": "shop", "labels": {"team": "shop"}}}})
        .to_string()
        .into_bytes()
}
