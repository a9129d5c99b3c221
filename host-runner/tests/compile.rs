//! What `fedcar compile` writes: against golden folders, against `fedcar manifests`, and against the module.
//!
//! `tests/compile/<carrier>` is what the example federation compiles to for a carrier; the members' folders stand in
//! `tests/compile/members`, because they are the same for all. `BLESS=1 cargo test -p fedcar --test compile` writes all of
//! it anew; read the difference.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

#[path = "support/example.rs"]
mod example;
#[path = "support/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fedcar::engine::{Cache, Engine, Limits, MODULE as MODULE_BYTES, Outcome};
use serde_json::{Value, json};
use walkdir::WalkDir;

use example::{copy, replace};
use program::{Ran, program, run};

const DONE: i32 = 0;
const DIFFERENT: i32 = 1;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 3;

const MODULE: &str =
    "registry://registry.example/fedcar/policy@sha256:1111111111111111111111111111111111111111111111111111111111111111";
const POLICY_SERVER: &str =
    "registry.example/policy-server@sha256:2222222222222222222222222222222222222222222222222222222222222222";
const RUNNER: &str = "registry.example/fedcar@sha256:3333333333333333333333333333333333333333333333333333333333333333";
const REPOSITORY: &str = "https://git.example/clusters.git";

/// The files of a folder.
type Files = BTreeMap<String, String>;

fn fedcar(folder: &Path, arguments: &[&str]) -> Ran {
    run(&mut program(folder, arguments), "")
}

fn compile(folder: &Path, arguments: &[&str]) -> Ran {
    let usual = ["compile", "retail", "--out", "out", "--module", MODULE];
    let images = ["--policy-server-image", POLICY_SERVER, "--image", RUNNER];
    fedcar(folder, &[&usual, &images[..], arguments].concat())
}

/// A folder with the example federation in `retail`.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile").join(test);
    let _ = fs::remove_dir_all(&folder);
    copy("retail", &folder.join("retail"));
    folder
}

fn read(folder: &Path) -> Files {
    let entries = WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    entries
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The objects of a step.
fn objects(files: &Files, step: &str) -> Vec<Value> {
    let text = files.get(&format!("{step}/objects.yaml")).unwrap_or_else(|| panic!("no {step}"));
    fedcar::yaml::read(text).unwrap().into_iter().map(|document| document.value).collect()
}

fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Compares a folder with its golden; what the module's own bytes decide is replaced by a word.
fn compare(golden: &Path, files: &Files) {
    if std::env::var_os("BLESS").is_some() {
        let _ = fs::remove_dir_all(golden);
        for (name, text) in files {
            write(&golden.join(name), text);
        }
    }
    let expected = read(golden);
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&expected), names(files), "{}; BLESS=1 writes it anew", golden.display());
    for (name, text) in files {
        assert_eq!(&expected[name], text, "{}/{name} differs; BLESS=1 writes it anew", golden.display());
    }
}

/// Without what hangs on the module's bytes and on the version of this program.
fn stable(manifest: &str) -> String {
    let mut manifest: Value = serde_json::from_str(manifest).unwrap();
    let digest = manifest.pointer_mut("/module/digest").unwrap();
    assert!(digest.as_str().unwrap().starts_with("sha256:"));
    *digest = json!("MODULE");
    manifest["compiler"]["version"] = json!("VERSION");
    format!("{manifest:#}\n")
}

#[test]
fn goldens() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile");
    let folder = folder("goldens");
    let mut members: Option<Files> = None;
    for (carrier, arguments) in [
        ("none", &[][..]),
        ("kustomize", &["--for", "kustomize"]),
        ("argo", &["--for", "argo", "--repository", REPOSITORY, "--path", "clusters"]),
        ("flux", &["--for", "flux", "--repository", REPOSITORY, "--branch", "production"]),
        ("karmada", &["--for", "karmada"]),
    ] {
        let ran = compile(&folder, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (DONE, ""), "{carrier}: {}", ran.stderr);
        let all = read(&folder.join("out"));
        let (own, mut beside): (Files, Files) =
            all.into_iter().partition(|(name, _)| !name.starts_with('_') && name.contains('/'));
        let manifest = beside.get_mut("MANIFEST.json").unwrap();
        *manifest = stable(manifest);
        beside.insert("report.txt".to_owned(), ran.stderr);
        if carrier != "none" {
            // What it says about the members is in the first one.
            beside.remove("MANIFEST.json");
        }
        // The same federation in the same bytes, for whomever.
        assert_eq!(members.get_or_insert_with(|| own.clone()), &own, "{carrier}");
        compare(&goldens.join(carrier), &beside);
    }
    compare(&goldens.join("members"), &members.unwrap());
}

#[test]
fn the_same_documents_give_the_same_bytes() {
    let (one, other) = (folder("same-one"), folder("same-other"));
    for folder in [&one, &other] {
        assert_eq!(compile(folder, &["--for", "karmada"]).code, DONE);
    }
    let first = read(&one.join("out"));
    assert_eq!(first, read(&other.join("out")));
    // Comments and the order of flags do not count.
    let federation = other.join("retail/federation.yaml");
    fs::write(&federation, fs::read_to_string(&federation).unwrap() + "# a word\n").unwrap();
    let ran = compile(&other, &["--for", "karmada", "--output", "json"]);
    let summary: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&summary["status"], &summary["changes"]), (&json!("unchanged"), &json!([])));
    let member = &summary["members"][2];
    assert_eq!((&member["name"], &member["engine"]), (&json!("edge-1"), &json!("host-runner")));
    assert!(summary["warnings"].as_array().unwrap().iter().all(|one| one.as_str().unwrap().starts_with("karmada: ")));
}

#[test]
fn a_manifest_tells_where_each_value_was_said() {
    let folder = folder("provenance");
    compile(&folder, &[]);
    let files = read(&folder.join("out"));
    let manifest: Value = serde_json::from_str(&files["MANIFEST.json"]).unwrap();
    let listed: Vec<&String> = manifest["files"].as_object().unwrap().keys().collect();
    assert_eq!(listed, files.keys().filter(|name| *name != "MANIFEST.json").collect::<Vec<_>>());
    let mut checked = 0;
    for (name, member) in manifest["members"].as_object().unwrap() {
        for (pointer, place) in member["provenance"].as_object().unwrap() {
            let (file, line) = place.as_str().unwrap().rsplit_once(':').unwrap();
            let text = fs::read_to_string(folder.join("retail").join(file)).unwrap();
            let line = text.lines().nth(line.parse::<usize>().unwrap() - 1).unwrap();
            let key = pointer.rsplit('/').next().unwrap();
            // What a document says in so many words stands on the line of its key.
            if pointer.starts_with("/variables/") || pointer.ends_with("/version") {
                assert!(line.contains(&format!("{key}:")), "{name} {pointer}: {line}");
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
    let facts = |member: &str| manifest["members"][member]["facts"].as_str().unwrap().to_owned();
    assert_ne!(facts("eu-1"), facts("us-1"));
}

#[test]
fn the_settings_of_each_member_are_those_that_inject_uses() {
    let folder = folder("settings");
    compile(&folder, &[]);
    let files = read(&folder.join("out"));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/examples/retail-workloads");
    for member in ["eu-1", "us-1", "edge-1"] {
        let settings = if member == "edge-1" {
            let engine = objects(&files, "edge-1/engine");
            let map = of_kind(&engine, "ConfigMap")[0].clone();
            fedcar::yaml::read(map["data"]["settings.yaml"].as_str().unwrap()).unwrap().remove(0).value
        } else {
            let admission = objects(&files, &format!("{member}/admission"));
            let policies = of_kind(&admission, "ClusterAdmissionPolicy");
            assert_eq!(policies.len(), 2);
            assert_eq!(policies[0]["spec"]["settings"], policies[1]["spec"]["settings"]);
            policies[0]["spec"]["settings"].clone()
        };
        fs::write(folder.join("settings.yaml"), fedcar::yaml::write(&settings)).unwrap();
        let checked = fedcar(&folder, &["check", "--settings", "settings.yaml"]);
        assert_eq!(checked.code, DONE, "{member}: {}", checked.stdout);
        let inject = |from: &[&str]| {
            let common = ["inject", "--quiet", "--output", "json", examples.to_str().unwrap()];
            let ran = fedcar(&folder, &[&common, from].concat());
            assert!([DONE, DIFFERENT].contains(&ran.code), "{}", ran.stderr);
            ran.stdout
        };
        let compiled = inject(&["--settings", "settings.yaml"]);
        assert!(compiled.contains("fedcar.dev/injected"));
        assert_eq!(compiled, inject(&["--federation", "retail", "--cluster", member]), "{member}");
    }
}

#[test]
fn the_host_runner_is_the_one_of_manifests() {
    let folder = folder("runner");
    let install = ["--replicas", "3", "--failure-policy", "ignore", "--network-policy", "--prove", "name"];
    compile(&folder, &install);
    let files = read(&folder.join("out"));
    let mut ours: Vec<Value> =
        ["engine", "admission"].into_iter().flat_map(|step| objects(&files, &format!("edge-1/{step}"))).collect();
    // What sidecars need to get out of a namespace is not the engine's.
    ours.retain(|object| object["kind"] != "NetworkPolicy" || object["metadata"]["namespace"] != "shop");
    let from = ["manifests", "--federation", "retail", "--cluster", "edge-1", "--image", RUNNER, "--output", "json"];
    let theirs = fedcar(&folder, &[&from, &install[..]].concat());
    let theirs: Vec<Value> = theirs.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn a_policy_keeps_clear_of_what_kubewarden_does_with_it() {
    let folder = folder("kubewarden");
    compile(&folder, &[]);
    let files = read(&folder.join("out"));
    let admission = objects(&files, "eu-1/admission");
    let policies = of_kind(&admission, "ClusterAdmissionPolicy");
    let engine = Engine::new(Limits::default(), Cache::none()).unwrap();
    let module = engine.load(MODULE_BYTES).unwrap();
    for policy in &policies {
        let spec = &policy["spec"];
        let Outcome::Answer(reply) = module.call("validate_settings", spec["settings"].to_string().as_bytes()) else {
            panic!("no answer")
        };
        let reply: Value = serde_json::from_slice(&reply).unwrap();
        assert_eq!((&reply["valid"], reply.get("message").unwrap_or(&Value::Null)), (&json!(true), &Value::Null));
        // It drops `matchLabels` without a word.
        assert!(!spec["namespaceSelector"].to_string().contains("matchLabels"));
        assert!(spec.get("objectSelector").is_none(), "a pod could choose itself away");
        assert_eq!((&spec["mutating"], &spec["backgroundAudit"]), (&json!(true), &json!(false)));
        assert!(spec.get("contextAwareResources").is_none(), "nothing hangs on labels of namespaces");
        assert_eq!((&spec["module"], &spec["mode"]), (&json!(MODULE), &json!("protect")));
        assert!(spec["timeoutSeconds"].as_u64().unwrap() >= 2);
        assert!(spec["matchConditions"].as_array().unwrap().len() <= 64);
    }
    // A pod that must carry a sidecar rather does not start; nothing else hangs on the policy server.
    let rule = |index: usize| &policies[index]["spec"]["rules"];
    assert_eq!(policies[0]["spec"]["failurePolicy"], "Fail");
    assert_eq!(rule(0).as_array().unwrap().len(), 1);
    assert_eq!((&rule(0)[0]["operations"], &rule(0)[0]["resources"]), (&json!(["CREATE"]), &json!(["pods"])));
    assert_eq!(policies[1]["spec"]["failurePolicy"], "Ignore");
    let proof = objects(&files, "eu-1/proof");
    let names: Vec<&str> = of_kind(&proof, "ValidatingAdmissionPolicy")
        .iter()
        .map(|one| one["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["fedcar-marks", "fedcar-required-oauth2-proxy", "fedcar-required-otel-collector"]);
    let engine = objects(&files, "eu-1/engine");
    let server = of_kind(&engine, "PolicyServer")[0];
    assert_eq!(server["spec"]["image"], POLICY_SERVER);
    assert_eq!(of_kind(&engine, "ServiceAccount")[0]["metadata"]["namespace"], "kubewarden");
}

/// Only the revision, which names all documents, and the names that are hashes of it.
#[test]
fn another_members_variables_change_nothing_else() {
    let (one, other) = (folder("private-one"), folder("private-other"));
    replace(&other.join("retail/federation.yaml"), "redisCacheMemory: 256Mi", "redisCacheMemory: 512Mi");
    let compiled = |folder: &Path| {
        assert_eq!(compile(folder, &[]).code, DONE);
        let files = read(&folder.join("out"));
        let manifest: Value = serde_json::from_str(&files["MANIFEST.json"]).unwrap();
        let revision = manifest["revision"].as_str().unwrap().to_owned();
        let admission = objects(&files, "eu-1/admission");
        let mut names: Vec<String> =
            admission.iter().map(|one| one["metadata"]["name"].as_str().unwrap().to_owned()).collect();
        names.push(revision);
        let own = files.into_iter().filter(|(name, _)| name.starts_with("eu-1/") || name.starts_with("edge-1/"));
        let plain = |text: String| names.iter().fold(text, |text, name| text.replace(name.as_str(), "NAME"));
        own.map(|(name, text)| (name, plain(text))).collect::<Files>()
    };
    assert_eq!(compiled(&one), compiled(&other));
}

#[test]
fn a_folder_can_be_compared() {
    let folder = folder("check");
    let missing = compile(&folder, &["--check"]);
    assert_eq!(missing.code, DIFFERENT, "{}", missing.stderr);
    assert!(missing.stdout.contains("out/MANIFEST.json: would be added\n"), "{}", missing.stdout);
    assert!(!folder.join("out").exists());
    assert_eq!(compile(&folder, &[]).code, DONE);
    assert_eq!(compile(&folder, &["--check"]).code, DONE);

    let edited = folder.join("out/eu-1/engine/objects.yaml");
    replace(&edited, "replicas: 2", "replicas: 1");
    fs::write(folder.join("out/eu-1/more.yaml"), "").unwrap();
    fs::remove_file(folder.join("out/us-1/kustomization.yaml")).unwrap();
    let different = compile(&folder, &["--check"]);
    assert_eq!(different.code, DIFFERENT);
    let said: Vec<&str> = different.stdout.lines().collect();
    assert_eq!(
        said,
        [
            "out/eu-1/engine/objects.yaml: would be changed",
            "out/eu-1/more.yaml: would be removed",
            "out/us-1/kustomization.yaml: would be added"
        ]
    );
    let different = compile(&folder, &["--check", "--output", "json"]);
    let summary: Value = serde_json::from_str(&different.stdout).unwrap();
    assert_eq!((different.code, &summary["status"]), (DIFFERENT, &json!("different")));
    assert_eq!(summary["changes"][1], json!({"path": "eu-1/more.yaml", "change": "removed"}));
    assert!(fs::read_to_string(&edited).unwrap().contains("replicas: 1"), "--check writes nothing");
}

#[test]
fn what_vanishes_is_removed_and_what_is_not_ours_stays() {
    let folder = folder("vanishing");
    assert_eq!(compile(&folder, &[]).code, DONE);
    let federation = folder.join("retail/federation.yaml");
    let text = fs::read_to_string(&federation).unwrap();
    fs::write(&federation, text.split("    # In the shops").next().unwrap()).unwrap();
    fs::remove_file(folder.join("retail/sidecars/fluent-bit.yaml")).unwrap();
    let redis = folder.join("retail/sidecars/redis-cache.yaml");
    replace(&redis, "operator: NotIn, values: [edge-1]", "operator: In, values: [eu-1, us-1]");
    let ran = compile(&folder, &[]);
    assert_eq!(ran.code, DONE, "{}", ran.stderr);
    assert!(!folder.join("out/edge-1").exists() && folder.join("out/eu-1").exists());

    let notes = folder.join("out/eu-1/notes.txt");
    fs::write(&notes, "mine").unwrap();
    fs::write(&federation, &text).unwrap();
    let before = read(&folder.join("out"));
    let refused = compile(&folder, &[]);
    assert_eq!(refused.code, USAGE);
    assert!(
        refused.stderr.contains("holds `eu-1/notes.txt`, which `fedcar compile` has not written"),
        "{}",
        refused.stderr
    );
    assert_eq!(read(&folder.join("out")), before);
    assert_eq!(compile(&folder, &["--force"]).code, DONE);
    assert!(!notes.exists() && folder.join("out/edge-1").exists());
}

#[test]
fn what_is_missing_or_wrong_is_said_and_nothing_is_written() {
    let folder = folder("errors");
    fs::write(folder.join("policy.wasm"), "\0asm").unwrap();
    fs::write(folder.join("file"), "").unwrap();
    let bare = |arguments: &[&str]| fedcar(&folder, &[&["compile", "retail", "-o", "out"], arguments].concat());
    let kubewarden = ["--policy-server-image", POLICY_SERVER, "--image", RUNNER];
    let with_module = |module| bare(&[&["--module", module], &kubewarden[..]].concat());
    for (ran, code, message) in [
        (bare(&[]), USAGE, "`--module`, because member `eu-1` runs kubewarden"),
        (bare(&[]), USAGE, "`--image`, because member `edge-1` runs host-runner"),
        (
            with_module("registry://registry.example/policy:v1"),
            BAD_INPUT,
            "`kwctl digest registry://registry.example/policy:v1`",
        ),
        (with_module("https://example.com/policy.wasm"), BAD_INPUT, "found the scheme `https://`"),
        (
            with_module("policy.wasm"),
            BAD_INPUT,
            "found a file (sha256:cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f, not the module of this program)",
        ),
        (compile(&folder, &["--for", "argo"]), USAGE, "need `--repository URL`"),
        (compile(&folder, &["--check", "--force"]), USAGE, "cannot be used with"),
        (compile(&folder, &["--tls", "secret"]), USAGE, "needs `--ca-bundle FILE`"),
    ] {
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{message}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{message}: {}", ran.stderr);
    }
    let into_file = fedcar(
        &folder,
        &[
            "compile",
            "retail",
            "-o",
            "file",
            "--module",
            MODULE,
            "--policy-server-image",
            POLICY_SERVER,
            "--image",
            RUNNER,
        ],
    );
    assert_eq!(into_file.code, USAGE);
    assert!(into_file.stderr.contains("expected a folder or nothing at file, found a file"), "{}", into_file.stderr);

    let otel = folder.join("retail/sidecars/otel-collector.yaml");
    replace(&otel, "mode: opt-out", "match: { namespaces: { matchLabels: { tier: prod } } }\n  mode: opt-out");
    let without_labels = compile(&folder, &["--namespace-labels", "none"]);
    assert_eq!(without_labels.code, BAD_INPUT, "{}", without_labels.stderr);
    assert!(without_labels.stderr.contains("(member edge-1)"), "{}", without_labels.stderr);

    replace(&folder.join("retail/federation.yaml"), "name: us-1", "name: ../us-1");
    replace(
        &folder.join("retail/federation.yaml"),
        "engine: host-runner",
        "engine: host-runner\n      engineNamespace: A",
    );
    replace(&folder.join("retail/sidecars/redis-cache.yaml"), "mode:", "mod:");
    let unreadable = compile(&folder, &[]);
    assert_eq!(unreadable.code, BAD_INPUT);
    assert!(unreadable.stderr.contains("retail/sidecars/redis-cache.yaml:"), "{}", unreadable.stderr);
    replace(&folder.join("retail/sidecars/redis-cache.yaml"), "mod:", "mode:");
    let bad_names = compile(&folder, &[]);
    assert_eq!(bad_names.code, BAD_INPUT);
    for message in ["found `../us-1`", "found engineNamespace `A`"] {
        assert!(bad_names.stderr.contains(message), "{message}: {}", bad_names.stderr);
    }
    assert!(!folder.join("out").exists());
}
