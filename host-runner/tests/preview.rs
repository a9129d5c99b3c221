//! What `fedcar preview` tells: against goldens, and against what `fedcar inject` does.
//!
//! `BLESS=1 cargo test -p fedcar --test preview` writes `tests/preview` anew; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

#[path = "support/example.rs"]
mod example;
#[cfg(target_os = "linux")]
mod export;
#[path = "support/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use example::{copy, replace};
use program::{Ran, program, run};

const DONE: i32 = 0;
const DENIED: i32 = 1;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 3;

impl Ran {
    fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn fedcar(folder: &Path, arguments: &[&str], stdin: &str) -> Ran {
    run(&mut program(folder, arguments), stdin)
}

/// A folder with the example federation in `old` and in `new`, and its workloads in `workloads`.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preview").join(test);
    let _ = fs::remove_dir_all(&folder);
    for (example, to) in [("retail", "old"), ("retail", "new"), ("retail-workloads", "workloads")] {
        copy(example, &folder.join(to));
    }
    folder
}

/// Another revision: one sidecar is no longer there by itself, another one gets more memory in one cluster.
fn revise(folder: &Path) {
    replace(&folder.join("new/sidecars/otel-collector.yaml"), "mode: opt-out", "mode: opt-in");
    replace(&folder.join("new/federation.yaml"), "redisCacheMemory: 256Mi", "redisCacheMemory: 1Gi");
}

#[test]
fn goldens() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preview");
    let folder = folder("goldens");
    revise(&folder);
    for (golden, arguments) in [
        ("all.txt", &["preview", "old", "--workloads", "workloads"][..]),
        ("all.md", &["preview", "old", "--workloads", "workloads", "--output", "markdown", "--list", "2"]),
        ("one.jsonl", &["preview", "old", "--workloads", "workloads", "--output", "json", "--cluster", "edge-1"]),
        ("against.txt", &["preview", "new", "--workloads", "workloads", "--against", "old"]),
        ("against.md", &["preview", "new", "--workloads", "workloads", "--against", "old", "--output", "markdown"]),
        ("against-itself.txt", &["preview", "old", "--workloads", "workloads", "--against", "old"]),
    ] {
        let ran = fedcar(&folder, arguments, "");
        assert_eq!((ran.code, ran.stderr.as_str()), (DONE, ""), "{golden}");
        let path = goldens.join(golden);
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(&goldens).unwrap();
            fs::write(&path, &ran.stdout).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(expected, ran.stdout, "{golden} differs; BLESS=1 writes it anew");
    }
}

/// Budgets are told in every form, whatever is compared, and what is exempt or not meant does not count.
#[test]
fn budgets_that_are_exceeded_are_told() {
    let folder = folder("budgets");
    // What hangs on the pod is known here only.
    let cpu = "cpu: \"${workload.name == 'checkout' ? '70m' : '25m'}\"";
    replace(&folder.join("new/sidecars/otel-collector.yaml"), "cpu: 25m", cpu);
    let guardrail = "apiVersion: fedcar.dev/v1alpha1\nkind: Guardrail\nmetadata: { name: budgets }\nspec:\n  \
        match: { namespaces: { matchExpressions: [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [payments] }] } }\n  \
        overhead:\n    pod: { cpu: 80m }\n    namespace: { memory: 500Mi }\n    member: { cpu: 100m, memory: 100Gi }\n  \
        exemptions:\n    - { owner: analytics, reason: They pay for it., expires: 9999-12-31, namespaces: [analytics] }\n    \
        - { owner: edge, reason: It is small., expires: 9999-12-31, members: { matchLabels: { fedcar.dev/member: edge-1 } } }\n";
    fs::write(folder.join("new/guardrails/budgets.yaml"), guardrail).unwrap();
    let preview = |more: &[&str]| {
        fedcar(&folder, &[&["preview", "new", "--workloads", "workloads", "--list", "2"], more].concat(), "")
    };
    for (golden, arguments) in [
        ("budgets.txt", &[][..]),
        ("budgets-against.txt", &["--against", "old"]),
        ("budgets.md", &["--against", "old", "--output", "markdown"]),
    ] {
        let ran = preview(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (DENIED, ""), "{golden}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preview").join(golden);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &ran.stdout).unwrap();
        }
        assert_eq!(
            fs::read_to_string(&path).unwrap_or_default(),
            ran.stdout,
            "{golden} differs; BLESS=1 writes it anew"
        );
    }
    // What is injected already counts as much as what will be.
    let over = |ran: &Ran| {
        let sums = ran.lines().into_iter().filter(|line| line.get("groups").is_some());
        sums.map(|line| line["overBudget"].clone()).collect::<Vec<_>>()
    };
    let fresh = over(&preview(&["--output", "json", "--cluster", "eu-1"]));
    let injected = fedcar(
        &folder,
        &["inject", "--quiet", "--federation", "new", "--cluster", "eu-1", "--output", "json", "workloads"],
        "",
    );
    fs::write(folder.join("injected.json"), injected.stdout).unwrap();
    let again =
        ["preview", "new", "--workloads", "injected.json", "--list", "2", "--output", "json", "--cluster", "eu-1"];
    let again = over(&fedcar(&folder, &again, ""));
    assert!(fresh[0].is_array(), "{fresh:?}");
    assert_eq!(fresh[0][0]["requested"], again[0][0]["requested"], "{fresh:?} {again:?}");
}

/// A List, JSON lines and YAML of the same objects, from files and from standard input.
#[test]
fn every_form_of_an_export_gives_the_same() {
    let folder = folder("forms");
    let objects = fedcar(&folder, &["uninject", "--quiet", "--output", "json", "workloads"], "");
    let mut lines: Vec<&str> = objects.stdout.lines().collect();
    // On standard input a Namespace counts for what is behind it.
    lines.sort_by_key(|line| !line.contains("\"kind\":\"Namespace\""));
    let stream = lines.join("\n");
    let items: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items, "metadata": {"resourceVersion": ""}});
    let preview = |workloads: &str, stdin: &str| {
        let arguments = ["preview", "old", "--cluster", "eu-1", "--list", "0", "--workloads", workloads];
        let ran = fedcar(&folder, &arguments, stdin);
        assert_eq!((ran.code, ran.stderr.as_str()), (DONE, ""), "{workloads}");
        ran.stdout
    };
    let yaml = preview("workloads", "");
    assert!(yaml.starts_with("eu-1: 9 workloads (15 pods): "), "{yaml}");
    assert_eq!(preview("-", &stream), yaml);
    assert_eq!(preview("-", &format!("{list:#}")), yaml);
    fs::write(folder.join("export.json"), list.to_string()).unwrap();
    assert_eq!(preview("export.json", ""), yaml);
}

#[test]
fn what_a_preview_says_is_what_inject_does() {
    let folder = folder("inject");
    let preview = fedcar(&folder, &["preview", "old", "--workloads", "workloads", "--output", "json"], "").lines();
    for cluster in ["eu-1", "us-1", "edge-1"] {
        let from = ["--federation", "old", "--cluster", cluster, "--output", "json", "workloads"];
        let explained = fedcar(&folder, &[&["explain"], &from[..]].concat(), "").lines();
        let reports: Vec<&Value> = explained.iter().map(|line| &line["report"]).collect();
        let told: Vec<&Value> =
            preview.iter().filter(|line| line["cluster"] == cluster && line.get("workload").is_some()).collect();
        assert_eq!(told.len(), 9, "{cluster}");
        for line in told {
            let (rest, name) = line["workload"].as_str().unwrap().rsplit_once('/').unwrap();
            let kind = rest.rsplit_once('/').unwrap().1;
            let is_it = |report: &&&Value| {
                report["name"] == name && report["kind"].as_str().is_some_and(|one| one.eq_ignore_ascii_case(kind))
            };
            let report = reports.iter().find(is_it).unwrap();
            assert_eq!(line["sidecars"], report["sidecars"], "{cluster} {name}");
            let gets = line["sidecars"].as_array().unwrap().iter().any(|one| one["result"] == "injected");
            assert_eq!(line["fate"] == "injected", gets, "{cluster} {name}: {}", line["fate"]);
        }
    }
}

#[test]
fn a_cluster_that_has_it_already_keeps_it() {
    let folder = folder("again");
    let from = ["--federation", "old", "--cluster", "eu-1", "workloads"];
    let injected = fedcar(&folder, &[&["inject", "--quiet", "--output", "json"], &from[..]].concat(), "").stdout;
    fs::write(folder.join("live.jsonl"), injected).unwrap();
    let preview = |documents: &str| {
        let arguments = ["preview", documents, "--cluster", "eu-1", "--output", "json", "--workloads", "live.jsonl"];
        let ran = fedcar(&folder, &arguments, "");
        assert_eq!(ran.code, DONE, "{}", ran.stderr);
        ran.lines().pop().unwrap()
    };
    let same = preview("old");
    assert!(same["fates"].get("injected").is_none() && same["fates"].get("changed").is_none(), "{same}");
    assert!(same["fates"]["kept"].as_u64().unwrap() > 3);
    assert_eq!(same["added"], json!({"cpu": "0", "memory": "0"}));

    // Another revision that comes to the same is no change, and one that takes a sidecar away is.
    replace(&folder.join("new/federation.yaml"), "tier: edge", "tier: shop");
    assert_eq!(preview("new")["fates"], same["fates"]);
    revise(&folder);
    let revised = preview("new");
    let lose = ["removed", "changed"].map(|fate| revised["fates"][fate].as_u64().unwrap_or_default());
    assert!(lose[0] > 0 && lose[0] + lose[1] == 3, "{revised}");
    assert!(revised["added"]["memory"].as_str().unwrap().starts_with('-'), "{revised}");
}

#[test]
fn pods_of_a_controller_count_only_where_they_are_asked_for() {
    let folder = folder("pods");
    let pod = |name: &str, owned: bool| {
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "plain"},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]},
        });
        if owned {
            pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4b75cb6d", "controller": true, "uid": "u"}]);
        }
        pod.to_string()
    };
    let export = [pod("a", true), pod("b", true), pod("c", false)].join("\n");
    let arguments = ["preview", "old", "--cluster", "eu-1", "--namespace-labels", "plain:x=y", "--workloads", "-"];
    let alone = fedcar(&folder, &arguments, &export);
    assert!(alone.stdout.starts_with("eu-1: 1 workload (1 pod): 1 injected\n"), "{}{}", alone.stdout, alone.stderr);
    let pods = fedcar(&folder, &[&arguments[..], &["--pods"]].concat(), &export);
    assert!(pods.stdout.starts_with("eu-1: 3 workloads (3 pods): 3 injected\n"), "{}", pods.stdout);
    let owned = fedcar(&folder, &arguments, &pod("a", true));
    assert!(owned.stderr.contains("count with `--pods`"), "{}", owned.stderr);
}

#[test]
fn denials_and_faults_are_told_and_counted() {
    let folder = folder("denials");
    let pod = |namespace: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": namespace},
            "spec": {"hostNetwork": true, "containers": [{"name": "app", "image": "app:1"}]},
        })
        .to_string()
    };
    let arguments = ["preview", "old", "--cluster", "eu-1", "--workloads", "-"];
    let labelled = [&arguments[..], &["--namespace-labels", "shop:tier=prod"]].concat();
    let denied = fedcar(&folder, &labelled, &pod("shop"));
    assert_eq!(denied.code, DENIED, "{}{}", denied.stdout, denied.stderr);
    assert!(denied.stdout.contains("1 denied"), "{}", denied.stdout);
    assert!(denied.stdout.contains("refused: denied by fedcar: sidecar `otel-collector`"), "{}", denied.stdout);
    let otel = folder.join("old/sidecars/otel-collector.yaml");
    replace(&otel, "mode: opt-out", "match: { namespaces: { matchLabels: { tier: prod } } }\n  mode: opt-out");
    let undecided = fedcar(&folder, &arguments, &pod("nobody-knows"));
    assert_eq!(undecided.code, BAD_INPUT, "{}", undecided.stdout);
    assert!(undecided.stdout.contains("1 undecided"), "{}", undecided.stdout);
}

#[test]
fn wrong_usage_and_bad_documents_are_told() {
    let folder = folder("errors");
    for (arguments, code, message) in [
        (&["preview", "old"][..], USAGE, "--workloads"),
        (&["preview", "--workloads", "workloads"], USAGE, "<DIR>"),
        (&["preview", "old", "--workloads", "nowhere.yaml"], BAD_INPUT, "nowhere.yaml"),
        (&["preview", "old", "--workloads", "workloads", "--cluster", "eu-2"], BAD_INPUT, "no member is named `eu-2`"),
        (&["preview", "nowhere", "--workloads", "workloads"], BAD_INPUT, "nowhere"),
        (&["preview", "old", "--workloads", "workloads", "--against", "nowhere"], BAD_INPUT, "nowhere"),
    ] {
        let ran = fedcar(&folder, arguments, "");
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
    }
}

/// Nearly all of them are pods of a controller, which count nothing and cost no decision: it is about memory.
#[cfg(target_os = "linux")]
#[test]
fn a_long_list_passes_in_bounded_memory() {
    const OBJECTS: u32 = 200_000;
    const COUNTED_OF: u32 = 100;
    const MOST_KILOBYTES: u64 = 160 * 1024;
    let folder = folder("memory");
    let items = (0..OBJECTS).map(|number| match number % COUNTED_OF {
        0 => export::deployment(number),
        _ => json!({
            "apiVersion": "v1", "kind": "Pod", "spec": {"containers": []},
            "metadata": {"name": format!("p-{number}"), "ownerReferences": [{"controller": true, "name": "r"}]},
        }),
    });
    let taken = export::preview(&folder, &["old", "--cluster", "eu-1", "--list", "3"], items);
    assert!(taken.stdout.starts_with("eu-1: 2000 workloads (0 pods): "), "{}", taken.stdout);
    assert!(taken.peak_kilobytes < MOST_KILOBYTES, "{} kB", taken.peak_kilobytes);
}
