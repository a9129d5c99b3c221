//! Real objects: a few of our own that are always there, and the shared corpus where it is at hand.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests: they end a test by panicking, read files and clocks, and take `json!` as it comes"
)]

mod support;
#[path = "../../tests/src/parity/unknown_fields.rs"]
mod unknown_fields;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{KINDS, admit, patched, prepare, restored};
use unknown_fields::{lost, with_unknown_fields};

/// Name and object, from `policy/tests/corpus` and from the shared corpus.
fn corpus() -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> =
        fs::read_dir(root.join("tests/corpus")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut objects: Vec<_> = files
        .iter()
        .map(|path| (path.display().to_string(), serde_json::from_slice(&fs::read(path).unwrap()).unwrap()))
        .collect();
    assert!(objects.len() >= 15, "the committed objects");
    let shared = std::env::var("FEDCAR_CORPUS").unwrap_or_else(|_| "../../shared/corpus".to_owned());
    let shared = root.join(shared).join("workloads.jsonl");
    match fs::read_to_string(&shared) {
        Ok(text) => objects.extend(text.lines().map(|line| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            // Some carry versions of another age; an API server would be asked with the present one.
            let (version, ..) = KINDS.iter().find(|(_, kind, _)| line["object"]["kind"] == *kind).unwrap();
            line["object"]["apiVersion"] = json!(version);
            (line["name"].as_str().unwrap().to_owned(), line["object"].take())
        })),
        Err(error) => println!("NOT TESTED: the shared corpus at {}: {error}", shared.display()),
    }
    objects
}

fn simple() -> Value {
    json!([{"name": "simple", "mode": "opt-out", "allowHostNetwork": true, "inject": {
        "containers": [{"name": "fedcar-simple", "form": "sidecar", "image": "simple:1"}],
    }}])
}

/// Everything that a sidecar can bring.
fn heavy() -> Value {
    json!([
        {"name": "everything", "mode": "opt-out", "allowHostNetwork": true, "inject": {
            "containers": [
                {"name": "fedcar-proxy", "form": "sidecar", "image": "proxy:1", "position": {"before": ["*"]},
                 "ports": [{"containerPort": 15999, "protocol": "TCP"}], "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
                 "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}], "env": [{"name": "WORKLOAD", "value": "${workload.kind}/${workload.name}"}]},
                {"name": "fedcar-setup", "form": "init", "image": "setup:1", "args": [{"forEach": "${pod.spec.containers}", "as": "one", "x": "${one.name}"}]},
                {"name": "fedcar-log", "form": "container", "image": "log:1", "volumeMounts": [{"name": "config", "mountPath": "/etc/log"}]},
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi"}}, {"name": "config", "configMap": {"name": "log"}}],
            "labels": {"app": "ours", "fedcar.example/carried": "yes"}, "annotations": {"fedcar.example/by": "${sidecar.name}"},
            "pod": {
                "terminationGracePeriodSeconds": 77, "tolerations": [{"key": "ours", "operator": "Exists"}],
                "securityContext": {"fsGroup": 4242, "sysctls": [{"name": "net.ours", "value": "1"}]},
                "dnsConfig": {"options": [{"name": "ndots", "value": "3"}], "searches": ["ours.example"]},
                "hostAliases": [{"ip": "10.254.254.254", "hostnames": ["ours"]}], "imagePullSecrets": [{"name": "ours"}],
            },
            "applications": [{"select": {"init": true}, "env": [
                {"name": "FEDCAR", "value": "${container.name}"}, {"name": "PATH", "value": "/ours"},
            ], "envFrom": [{"configMapRef": {"name": "ours"}}], "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}],
        }, "conflicts": {"containers": "rename", "env": "replace", "mounts": "replace", "labels": "replace", "pod": "replace", "ports": "keep"}},
        {"name": "rewriting", "mode": "opt-out", "allowHostNetwork": true,
         "let": [{"name": "probes", "value": "${handlers.map(h, h.container + '/' + h.of)}"}],
         "overrides": [{"annotation": "level", "type": "string", "default": "info", "sets": "containers.fedcar-agent.env.LEVEL.value"}],
         "inject": {
            "containers": [{
                "name": "fedcar-agent", "form": "container", "image": "agent:1", "position": {"before": "${applications.map(c, c.name)}"},
                "sizing": {"cpu": {"percentOfApplications": 5, "min": "1m", "max": "1"}, "podLevel": "omit"}, "overridable": ["*"],
                "fixed": {"env": [{"name": "PROBES", "value": "${toJson(let.probes)}"}]},
            }],
            "remove": {"annotations": "${pod.metadata.?annotations.orValue({}).map(k, k).filter(k, k.startsWith('prometheus'))}", "labels": ["version"]},
            "applications": [{"select": {"init": true}, "when": "${container.name != 'never'}",
                "set": {"terminationMessagePolicy": "FallbackToLogsOnError"},
                "handlers": [{"of": ["livenessProbe", "readinessProbe", "startupProbe", "postStart", "preStop"],
                              "to": {"httpGet": {"path": "/${container.name}/${handler.of}", "port": 15020}}}],
            }],
        }},
        {"name": "lifecycle", "mode": "opt-out", "allowHostNetwork": true, "inject": {
            "labels": {"app": "theirs-and-ours"},
            "applications": [{"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}],
        }, "conflicts": {"labels": "replace"}},
    ])
}

#[test]
fn the_promises_hold_for_every_object_of_the_corpus() {
    let mut counts = BTreeMap::<(String, String), usize>::new();
    for (settings, sidecars) in [("simple", simple()), ("heavy", heavy())] {
        for native in [true, false] {
            let mut document = support::settings(sidecars.clone());
            document["cluster"]["capabilities"]["nativeSidecars"] = json!(native);
            let prepared = prepare(&document);
            for (name, object) in corpus() {
                for object in [with_unknown_fields(&object), object] {
                    let reply = admit(&prepared, &object);
                    let told = reply["report"]["sidecars"].as_array().into_iter().flatten();
                    let codes: Vec<_> = told.map(|one| one["code"].as_str().unwrap()).collect();
                    let what = format!(
                        "{settings}, native: {native}: {} ({})",
                        reply["code"].as_str().unwrap(),
                        codes.join(", ")
                    );
                    *counts.entry((object["kind"].as_str().unwrap().to_owned(), what)).or_default() += 1;
                    assert!(reply["code"] == "injected" || reply["code"] == "skipped", "{name}: {reply:#}");
                    let once = patched(&object, &reply);
                    // What is replaced as a whole takes its inside with it, into the record.
                    let record = support::pod_of(&once)["metadata"]["annotations"]["fedcar.dev/original"].as_str();
                    assert_eq!(lost(&object, &once, record), Vec::<String>::new(), "{name}");
                    let again = admit(&prepared, &once);
                    assert_eq!(again.get("patch"), None, "{name}: {again:#}");
                    if reply["code"] == "injected" {
                        assert_eq!(restored(&once), object, "{name}");
                    }
                }
            }
        }
    }
    for ((kind, what), count) in counts {
        println!("{count:4} {kind}: {what}");
    }
}
