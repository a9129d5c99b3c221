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

use fedcar::engine::{Cache, Engine, Limits, MODULE, Outcome, PreparedPolicy};
use fedcar_policy::protocol::{self, Prepared};
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
    let settings = settings(1).to_string();
    let wasm = engine.prepare(MODULE, settings.as_bytes()).expect("valid settings");
    let nothing = time(|| drop(black_box(wasm.call("protocol_version", b""))));
    println!("fresh instance and an operation that does nothing: {:.1} µs", micros(nothing));
    let begin = Instant::now();
    drop(black_box(engine.prepare(MODULE, settings.as_bytes())));
    println!("settings to ready, compiled anew: {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
}

/// The fastest of each, in turns, so that a slow phase of the machine meets both.
fn measure(wasm: &PreparedPolicy, native: &Prepared, payload: &[u8]) -> (Duration, Duration) {
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

fn answer(policy: &PreparedPolicy, payload: &[u8]) -> Vec<u8> {
    match policy.call("fedcar.admit", payload) {
        Outcome::Answer(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn payload(pod: &Value) -> Vec<u8> {
    let request = json!({
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": "CREATE", "namespace": "shop",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller", "groups": ["system:authenticated"]},
        "object": pod,
    });
    json!({"request": request, "namespace": {"metadata": {"name": "shop", "labels": {"team": "shop"}}}})
        .to_string()
        .into_bytes()
}

/// A pod as a `ReplicaSet` creates it, with this many variables in its one container.
fn pod(variables: usize) -> Value {
    let env: Vec<Value> = (0..variables)
        .map(|number| json!({"name": format!("VARIABLE_{number}"), "value": format!("value {number}")}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "generateName": "checkout-6d4b75cb6d-", "labels": {"app": "checkout", "pod-template-hash": "6d4b75cb6d"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-6d4b75cb6d", "controller": true}],
        },
        "spec": {
            "serviceAccountName": "checkout",
            "containers": [{
                "name": "app", "image": "registry.example/checkout:1.4.2", "env": env,
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            }],
            "volumes": [{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        },
    })
}

/// Three containers with probes, and managed fields as the API server keeps them: about 10 KB.
fn ten_kilobytes() -> Value {
    let mut pod = pod(30);
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10, "timeoutSeconds": 1});
    for number in 0..2 {
        let mut container = pod["spec"]["containers"][0].clone();
        container["name"] = json!(format!("helper-{number}"));
        container["ports"] = json!([]);
        container["livenessProbe"] = probe.clone();
        container["readinessProbe"] = probe.clone();
        pod["spec"]["containers"].as_array_mut().expect("a list").push(container);
    }
    let fields: Value = (0..60)
        .map(|number| (format!("k:{{\"name\":\"VARIABLE_{number}\"}}"), json!({".": {}, "f:name": {}})))
        .collect();
    pod["metadata"]["managedFields"] =
        json!([{"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": fields}]);
    pod
}

/// Sidecars like the catalogue's: a container with ports, probes and mounts, a volume, a label, and a variable with an
/// expression in each application container.
fn settings(sidecars: usize) -> Value {
    let sidecar = |number: usize| {
        let name = format!("sidecar-{number}");
        let port = 15_000 + number;
        json!({
            "name": name, "version": "1.2.3", "mode": "opt-out",
            "inject": {
                "containers": [{
                    "name": name, "form": "sidecar", "image": "registry.example/sidecar@sha256:0123456789abcdef",
                    "args": ["--config=/etc/sidecar/config.yaml", "--log-level=info"],
                    "ports": [{"containerPort": port}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": port}},
                    "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": format!("{name}-data"), "mountPath": "/data"}],
                }],
                "volumes": [{"name": format!("{name}-data"), "emptyDir": {"sizeLimit": "64Mi"}}],
                "labels": {format!("{name}.example/injected"): "true"},
                "applications": [{"env": [{"name": format!("SIDECAR_{number}_SERVICE"), "value": "${workload.name}.${namespace.name}"}]}],
            },
        })
    };
    let all: Vec<Value> = (0..sidecars).map(sidecar).collect();
    json!({"schemaVersion": 1, "cluster": {"name": "eu-1", "capabilities": {"nativeSidecars": true}}, "sidecars": all})
}
