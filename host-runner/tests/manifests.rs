//! What `fedcar manifests` prints: against goldens, against the types of Kubernetes, and against the module's decisions.
//!
//! Each case is a folder: `settings.yaml` and `args` go in, `golden.yaml` is what comes out and `report.txt` what is
//! said. `BLESS=1 cargo test -p fedcar --test manifests` writes both anew; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use fedcar_policy::injection::WorkloadKind;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ResourceQuota, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[path = "manifests/decisions.rs"]
mod decisions;
#[path = "support/program.rs"]
mod program;

use program::{Ran, program, run};

const DONE: i32 = 0;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 3;

const IMAGE: &str = "registry.example/fedcar@sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn fedcar(folder: &Path, arguments: &[&str]) -> Ran {
    run(&mut program(folder, arguments), "")
}

fn manifests(folder: &Path, arguments: &[&str]) -> Ran {
    fedcar(folder, &[&["manifests", "--settings", "settings.yaml", "--image", IMAGE], arguments].concat())
}

/// Every case with its arguments.
fn cases() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(tests().join("manifests")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 8, "only {} cases were found", folders.len());
    folders.into_iter().map(|folder| (folder.clone(), fs::read_to_string(folder.join("args")).unwrap())).collect()
}

/// The objects of a case, as JSON.
fn objects(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let ran = manifests(folder, &[arguments, &["--output", "json"]].concat());
    assert_eq!(ran.code, DONE, "{}", ran.stderr);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn compare(path: &Path, found: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, found).unwrap();
    }
    let golden = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(golden, found, "{} differs; BLESS=1 writes it anew", path.display());
}

#[test]
fn goldens() {
    for (folder, arguments) in cases() {
        let ran = manifests(&folder, &arguments.split_whitespace().collect::<Vec<_>>());
        assert_eq!(ran.code, DONE, "{}: {}", folder.display(), ran.stderr);
        compare(&folder.join("golden.yaml"), &ran.stdout);
        compare(&folder.join("report.txt"), &ran.stderr);
    }
}

/// A field that the type does not know is lost on the way.
fn same_as_typed<T: DeserializeOwned + Serialize>(object: &Value) {
    let typed: T = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"));
    assert_eq!(&serde_json::to_value(typed).unwrap(), object);
}

#[test]
fn every_field_is_one_of_kubernetes() {
    for (folder, arguments) in cases() {
        for object in objects(&folder, &arguments.split_whitespace().collect::<Vec<_>>()) {
            match (text(&object, "/apiVersion"), text(&object, "/kind")) {
                ("v1", "Namespace") => same_as_typed::<Namespace>(&object),
                ("v1", "ResourceQuota") => same_as_typed::<ResourceQuota>(&object),
                ("v1", "ServiceAccount") => same_as_typed::<ServiceAccount>(&object),
                ("v1", "ConfigMap") => same_as_typed::<ConfigMap>(&object),
                ("v1", "Service") => same_as_typed::<Service>(&object),
                ("apps/v1", "Deployment") => same_as_typed::<Deployment>(&object),
                ("policy/v1", "PodDisruptionBudget") => same_as_typed::<PodDisruptionBudget>(&object),
                ("networking.k8s.io/v1", "NetworkPolicy") => same_as_typed::<NetworkPolicy>(&object),
                ("rbac.authorization.k8s.io/v1", "ClusterRole") => same_as_typed::<ClusterRole>(&object),
                ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => same_as_typed::<ClusterRoleBinding>(&object),
                ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration") => {
                    same_as_typed::<MutatingWebhookConfiguration>(&object);
                }
                ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy") => {
                    same_as_typed::<ValidatingAdmissionPolicy>(&object);
                }
                ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding") => {
                    same_as_typed::<ValidatingAdmissionPolicyBinding>(&object);
                }
                ("cert-manager.io/v1", "Issuer" | "Certificate") => {}
                (api, kind) => panic!("{api} {kind} is compared with no type"),
            }
        }
    }
}

#[test]
fn every_kind_that_the_module_looks_at_is_sent() {
    let case = tests().join("manifests/required");
    let objects = objects(&case, &[]);
    let webhooks = objects.iter().find(|object| text(object, "/kind") == "MutatingWebhookConfiguration").unwrap();
    let mut sent = Vec::new();
    for webhook in webhooks["webhooks"].as_array().unwrap() {
        for rule in webhook["rules"].as_array().unwrap() {
            for resource in rule["resources"].as_array().unwrap() {
                for operation in rule["operations"].as_array().unwrap() {
                    let of = |value: &Value| value.as_str().unwrap().to_owned();
                    sent.push((of(&rule["apiGroups"][0]), of(resource), of(operation), of(&webhook["failurePolicy"])));
                }
            }
        }
    }
    sent.sort();
    let mut expected = Vec::new();
    for kind in WorkloadKind::ALL {
        let resource = format!("{}s", kind.name().to_lowercase());
        // The groups that are served today, the present one of a kind first.
        let group = ["apps.openshift.io", "", "apps", "batch"]
            .into_iter()
            .find(|group| WorkloadKind::find(group, kind.name()).is_some());
        for operation in ["CREATE", "UPDATE"] {
            let decides = kind == WorkloadKind::Pod && operation == "CREATE";
            let policy = if decides { "Fail" } else { "Ignore" };
            expected.push((group.unwrap().to_owned(), resource.clone(), operation.to_owned(), policy.to_owned()));
        }
    }
    expected.sort();
    assert_eq!(sent, expected);
}

#[test]
fn the_runner_never_waits_for_itself() {
    for (folder, arguments) in cases() {
        let objects = objects(&folder, &arguments.split_whitespace().collect::<Vec<_>>());
        let own = text(objects.iter().find(|object| text(object, "/kind") == "Namespace").unwrap(), "/metadata/name");
        let mut selectors = Vec::new();
        for object in &objects {
            selectors.extend(object.pointer("/spec/matchConstraints/namespaceSelector"));
            selectors.extend(object["webhooks"].as_array().into_iter().flatten().map(|one| &one["namespaceSelector"]));
        }
        assert!(selectors.len() >= 3);
        for selector in selectors {
            let left_out = selector["matchExpressions"][0]["values"].as_array().unwrap();
            for namespace in ["kube-system", "kube-public", "kube-node-lease", own] {
                assert!(left_out.iter().any(|name| name == namespace), "{namespace}: {selector}");
            }
        }
    }
}

#[test]
fn a_folder_holds_two_steps_and_nothing_less() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifests-out");
    let _ = fs::remove_dir_all(&folder);
    let case = tests().join("manifests/required");
    let ran = manifests(&case, &["--out", folder.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (DONE, ""), "{}", ran.stderr);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let body = |text: &str| text.lines().skip_while(|line| line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let (runner, admission) = (read("runner.yaml"), read("admission.yaml"));
    let whole = manifests(&case, &[]).stdout;
    assert_eq!(format!("{}\n---\n{}", body(&runner), body(&admission)), body(&whole));
    assert!(!runner.contains("kind: MutatingWebhookConfiguration"));
    assert!(admission.contains("\nkind: MutatingWebhookConfiguration\n"));
    assert!(read("kustomization.yaml").contains("- runner.yaml\n- admission.yaml\n"));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let case = tests().join("manifests/secret");
    let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifests-key.pem");
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n").unwrap();
    let key = key.to_str().unwrap();
    for (arguments, code, message) in [
        (&["--tls", "secret"][..], USAGE, "needs `--ca-bundle FILE`"),
        (&["--ca-bundle", "ca-bundle.crt"], USAGE, "goes with `--tls secret`"),
        (&["--tls", "secret", "--ca-bundle", "settings.yaml"], BAD_INPUT, "expected certificates in PEM form"),
        (&["--tls", "secret", "--ca-bundle", key], BAD_INPUT, "found a block `PRIVATE KEY`"),
        (&["--tls", "secret", "--ca-bundle", "missing.crt"], BAD_INPUT, "missing.crt"),
        (&["--namespace", "Not_A_Name"], USAGE, "fedcar-system"),
        (&["--timeout-seconds", "31"], USAGE, "1..=30"),
        (&["--replicas", "0"], USAGE, "1..=100"),
        (&["--kubernetes", "latest"], USAGE, "such as 1.33"),
    ] {
        let ran = manifests(&case, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{arguments:?}: {}", ran.stderr);
        assert!(!ran.stderr.contains("c2VjcmV0"));
    }
    let needs_labels = manifests(&tests().join("manifests/guardrail"), &["--namespace-labels", "none"]);
    assert_eq!(needs_labels.code, USAGE, "{}", needs_labels.stderr);
}

#[test]
fn what_a_federation_knows_of_its_cluster_counts() {
    let retail = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples/retail");
    let made =
        |cluster: &str| fedcar(&retail, &["manifests", "--federation", ".", "--cluster", cluster, "--image", IMAGE]);
    // 1.33 and 1.28, by their facts.
    let (new, old) = (made("eu-1"), made("edge-1"));
    assert_eq!((new.code, old.code), (DONE, DONE), "{}{}", new.stderr, old.stderr);
    assert!(new.stdout.contains("kind: ValidatingAdmissionPolicy\n"));
    assert!(!old.stdout.contains("kind: ValidatingAdmissionPolicy\n"));
    assert!(old.stderr.contains("ValidatingAdmissionPolicy needs Kubernetes 1.30"), "{}", old.stderr);
}
