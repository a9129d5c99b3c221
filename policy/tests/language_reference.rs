//! `docs/language.md` says nothing that was not run: its recipes are those below `policies/cookbook`, which are cases with
//! goldens; its variables are asked of the compiler; each row of its feature table names a proof that exists. `BLESS=1` writes
//! recipes and variables anew.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests: they end a test by panicking, read files and clocks, and take `json!` as it comes"
)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use fedcar_policy::settings::{OWN_CONTAINER_KEYS, Settings};
use serde_json::{Value, json};

use support::{admit, answer, patched, prepare, request, restored, settings};

/// How long a line of the reference may be.
const LINE: usize = 120;

/// The source of every name of a variable.
const VARIABLES: &str = include_str!("../src/settings/variables.rs");

/// The sources of every key below `sidecars[]`.
const KEYS: [&str; 10] = [
    include_str!("../src/settings/application.rs"),
    include_str!("../src/settings/container.rs"),
    include_str!("../src/settings/definitions.rs"),
    include_str!("../src/settings/inject.rs"),
    include_str!("../src/settings/overrides.rs"),
    include_str!("../src/settings/rules.rs"),
    include_str!("../src/settings/selector.rs"),
    include_str!("../src/settings/sidecar.rs"),
    include_str!("../src/settings/sizing.rs"),
    include_str!("../src/federation/root.rs"),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn reference() -> String {
    read("docs/language.md")
}

/// Compares a part of the reference with what it should be, between the comments `<!-- NAME -->` and `<!-- end -->`.
fn compare(name: &str, expected: &str) {
    let text = reference();
    let begin = format!("<!-- {name} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("docs/language.md has no {begin}"));
    let (found, after) = rest.split_once("<!-- end -->").unwrap();
    if std::env::var_os("BLESS").is_some() {
        // Whole at every moment: the other tests read it meanwhile.
        let new = workspace().join("docs/.language.md");
        fs::write(&new, format!("{before}{begin}{expected}<!-- end -->{after}")).unwrap();
        fs::rename(new, workspace().join("docs/language.md")).unwrap();
    } else {
        assert_eq!(found, expected, "{name} in docs/language.md; BLESS=1 writes it anew");
    }
}

/// The texts in double quotes behind each occurrence of a call.
fn quoted<'s>(source: &'s str, call: &'s str) -> impl Iterator<Item = &'s str> {
    source.split(call).skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn recipes_variables_and_functions_are_those_of_the_code() {
    recipes();
    compare("variables", &variables());
    compare("functions", &functions());
}

/// The spec of each recipe's document, and that each has cases.
fn recipes() {
    let folders = fs::read_dir(workspace().join("policies/cookbook")).unwrap().map(|entry| entry.unwrap().path());
    let mut there = BTreeSet::new();
    for folder in folders.filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let cases: Vec<PathBuf> =
            fs::read_dir(folder.join("cases")).unwrap().map(|case| case.unwrap().path()).collect();
        assert!(!cases.is_empty(), "{name} has no case");
        for case in cases {
            for file in ["input.yaml", "golden.yaml", "report.txt"] {
                assert!(case.join(file).is_file(), "{} has no {file}", case.display());
            }
        }
        let document = fs::read_to_string(folder.join("sidecar.yaml")).unwrap();
        let (header, spec) = document.split_once("spec:\n").unwrap();
        assert!(header.contains(&format!("name: {name} ")), "{name}: {header}");
        let spec: Vec<&str> = spec.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
        compare(&format!("recipe {name}"), &format!("```yaml\n{}\n```\n", spec.join("\n")));
        there.insert(name);
    }
    let told: BTreeSet<String> =
        reference().split("<!-- recipe ").skip(1).map(|rest| rest.split(" -->").next().unwrap().to_owned()).collect();
    assert_eq!(told, there);
}

/// The names of all macros and functions, of which `docs/expressions.md` has the same.
fn functions() -> String {
    let source = include_str!("../src/expression/functions.rs");
    let macros = include_str!("../src/expression/macros.rs");
    let known = quoted(source, "global(\"").chain(quoted(source, "method(\"")).chain(quoted(macros, "shape(\""));
    let known: BTreeSet<&str> = known.chain(["has", "cel.bind", "or", "orValue"]).collect();
    let text = read("docs/expressions.md");
    let (_, tables) = text.split_once("\n## Macros\n").unwrap();
    let (tables, _) = tables.split_once("\n**Quantities**").unwrap();
    let calls =
        tables.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).flat_map(|cell| cell.split('`'));
    let told: BTreeSet<&str> = calls
        .filter_map(|call| call.split_once('(').map(|(name, _)| name))
        // The value that a method is called on has one letter.
        .map(|name| name.split_once('.').filter(|(value, _)| value.len() == 1).map_or(name, |(_, name)| name))
        .collect();
    assert_eq!(told, known);
    let mut list = String::new();
    let mut width = 0;
    for name in known {
        let gap = match width {
            0 => "",
            _ if width + name.len() + 3 > LINE => "\n",
            _ => " ",
        };
        width = if gap == " " { width + name.len() + 3 } else { name.len() + 2 };
        write!(list, "{gap}`{name}`").unwrap();
    }
    list + "\n"
}

/// A place for expressions, and settings with one there.
type Place = (&'static str, fn(&str) -> Value);

/// Which variables each place knows, asked of the compiler itself.
fn variables() -> String {
    let names: BTreeSet<&str> = VARIABLES.split('"').skip(1).step_by(2).collect();
    let places: [Place; 7] = [
        ("`when` of the sidecar", |text| json!({"sidecars": [{"name": "s", "when": text, "inject": {}}]})),
        ("`let` of the federation", |text| json!({"let": [{"name": "x", "value": text}]})),
        ("`let`", |text| json!({"sidecars": [{"name": "s", "let": [{"name": "x", "value": text}], "inject": {}}]})),
        (
            "`validations`",
            |text| json!({"sidecars": [{"name": "s", "validations": [{"expression": true, "message": text}], "inject": {}}]}),
        ),
        ("`inject`", |text| json!({"sidecars": [{"name": "s", "inject": {"labels": {"x": text}}}]})),
        (
            "`inject.applications`",
            |text| json!({"sidecars": [{"name": "s", "inject": {"applications": [{"set": {"tty": text}}]}}]}),
        ),
        ("`inject.applications[].handlers`", |text| {
            let handlers = json!([{"to": {"httpGet": {"path": text}}}]);
            json!({"sidecars": [{"name": "s", "inject": {"applications": [{"handlers": handlers}]}}]})
        }),
    ];
    let mut table = String::from("| variable |");
    for (place, _) in &places {
        write!(table, " {place} |").unwrap();
    }
    table.push_str("\n|---|---|---|---|---|---|---|---|\n");
    for name in &names {
        write!(table, "| `{name}` |").unwrap();
        for (_, make) in &places {
            // Whether it is true, or what is in it, is not asked here: only whether it is a name.
            let read = if *name == "let" { "let.y" } else { name };
            let mut settings = make(&format!("${{dyn({read}) == null}}"));
            let shared = settings["let"].as_array().cloned().unwrap_or_default();
            settings["let"] = [json!({"name": "y", "value": 1})].into_iter().chain(shared).collect();
            settings["schemaVersion"] = json!(1);
            settings["cluster"] = json!({"name": "c"});
            let problems = Settings::read(&settings).err().unwrap_or_default();
            let unknown = problems.iter().any(|problem| problem.message.contains(&format!("`{name}`")));
            assert!(unknown || problems.is_empty(), "{name}: {problems:?}");
            table.push_str(if unknown { " |" } else { " yes |" });
        }
        table.push('\n');
    }
    table
}

#[test]
fn every_key_is_in_the_reference() {
    let text = read("docs/settings.md") + &read("docs/documents.md") + &reference();
    let calls = ["optional(\"", "required(\"", "field(\""];
    let keys = KEYS.iter().flat_map(|source| calls.iter().flat_map(|call| quoted(source, call)));
    let keys: BTreeSet<&str> = keys.chain(OWN_CONTAINER_KEYS).collect();
    assert!(keys.len() > 60, "{keys:?}");
    let absent: Vec<&str> = keys
        .into_iter()
        .filter(|key| !text.contains(&format!("{key}:")) && !text.contains(&format!("`{key}`")))
        .collect();
    assert!(absent.is_empty(), "no word about {absent:?}");
}

#[test]
fn every_proof_of_the_feature_table_exists() {
    let text = reference();
    let (_, table) = text.split_once("<!-- features -->\n").expect("the feature table");
    let (table, _) = table.split_once("<!-- end -->").unwrap();
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, feature, ours, proofs, _] = cells.as_slice() else { panic!("five cells in {row}") };
        rows += 1;
        let claimed = ours.starts_with("yes") || ours.starts_with("partly");
        assert!(claimed || ours.starts_with("no"), "{number} {feature}: {ours}");
        let named: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
        assert_eq!(claimed, !named.is_empty(), "{number} {feature}: a claim needs a proof, and only a claim");
        for proof in named {
            assert!(exists(proof), "{number} {feature}: `{proof}` is not there");
        }
    }
    assert!(rows > 90, "{rows} rows");
}

/// A proof is a folder with goldens, or `FILE::FUNCTION` of a test.
fn exists(proof: &str) -> bool {
    let Some((file, function)) = proof.split_once("::") else {
        return workspace().join(proof).join("golden.yaml").is_file();
    };
    let source = fs::read_to_string(workspace().join(file)).unwrap_or_default();
    let (_, body) = source.split_once(&format!("fn {function}(")).unwrap_or_default();
    let before = source.len() - body.len();
    !body.is_empty()
        && source[..before].lines().rev().skip(1).take(3).any(|line| line.contains("#[test]") || line.contains("#["))
}

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "app", "image": "a"}]}})
}

#[test]
fn an_older_injection_is_brought_up_to_date() {
    let sidecar = |version: &str, mounts: Value| {
        let container = json!({"name": "agent", "image": format!("agent:{version}"), "volumeMounts": mounts});
        json!({"name": "s", "mode": "opt-out", "version": version, "inject": {
            "containers": [container], "volumes": mounts.as_array().unwrap().iter().map(|one| json!({"name": one["name"], "emptyDir": {}})).collect::<Vec<_>>(),
        }})
    };
    let old = prepare(&settings(json!([sidecar("1", json!([{"name": "old", "mountPath": "/old"}]))])));
    let new = prepare(&settings(json!([sidecar("2", json!([{"name": "new", "mountPath": "/new"}]))])));
    let gone = prepare(&settings(json!([])));
    let once = patched(&pod(), &admit(&old, &pod()));
    let twice = patched(&once, &admit(&new, &once));
    assert_eq!(twice, patched(&pod(), &admit(&new, &pod())), "nothing of the older one is left");
    assert_eq!(restored(&twice), pod());
    assert_eq!(patched(&twice, &admit(&gone, &twice)), pod(), "without a sidecar nothing is left at all");
}

#[test]
fn audit_annotations_tell_each_sidecar() {
    let sidecar = |name: &str, mode: &str| json!({"name": name, "mode": mode, "inject": {"labels": {name: "x"}}});
    let reply = admit(&prepare(&settings(json!([sidecar("in", "opt-out"), sidecar("out", "opt-in")]))), &pod());
    assert_eq!(reply["auditAnnotations"], json!({"injected": "in=0", "skipped": "out=opt-in-default"}));
}

/// A pod in which every place is taken, and a sidecar that wants each of them.
fn taken() -> (Value, Value) {
    let hook = |command: &str| json!({"preStop": {"exec": {"command": [command]}}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "labels": {"l": "theirs"}, "annotations": {"a": "theirs"}},
        "spec": {
            "priorityClassName": "theirs",
            "containers": [
                {"name": "app", "image": "a", "env": [{"name": "E", "value": "theirs"}], "lifecycle": hook("theirs"),
                 "volumeMounts": [{"name": "v", "mountPath": "/m", "subPath": "theirs"}], "ports": [{"containerPort": 80}]},
                {"name": "c", "image": "theirs"},
            ],
            "volumes": [{"name": "v", "configMap": {"name": "theirs"}}],
        },
    });
    let inject = json!({
        "containers": [{"name": "c", "image": "ours"}, {"name": "port", "image": "p", "ports": [{"containerPort": 80}]}],
        "volumes": [{"name": "v", "configMap": {"name": "ours"}}],
        "labels": {"l": "ours"}, "annotations": {"a": "ours"}, "pod": {"priorityClassName": "ours"},
        "applications": [{
            "select": {"include": ["app"]}, "env": [{"name": "E", "value": "ours"}], "lifecycle": hook("ours"),
            "volumeMounts": [{"name": "v", "mountPath": "/m", "subPath": "ours"}],
        }],
    });
    (pod, json!({"name": "s", "mode": "opt-out", "inject": inject}))
}

#[test]
fn a_place_that_is_taken_is_settled_by_its_rule() {
    let app = "/spec/containers/0";
    let places = [
        ("containers", "/spec/containers/1/image".to_owned(), Some(("/spec/containers/2/name", "c-2"))),
        ("volumes", "/spec/volumes/0/configMap/name".to_owned(), Some(("/spec/volumes/1/name", "v-2"))),
        ("env", format!("{app}/env/0/value"), None),
        ("mounts", format!("{app}/volumeMounts/0/subPath"), None),
        ("labels", "/metadata/labels/l".to_owned(), None),
        ("annotations", "/metadata/annotations/a".to_owned(), None),
        ("pod", "/spec/priorityClassName".to_owned(), None),
        ("lifecycle", format!("{app}/lifecycle/preStop/exec/command/0"), None),
    ];
    let (pod, sidecar) = taken();
    let all_but = |place: &str, rule: &str| {
        let kept = places.iter().map(|(name, ..)| (*name, "keep")).chain([("ports", "keep"), (place, rule)]);
        let mut sidecar = sidecar.clone();
        sidecar["conflicts"] = kept.map(|(name, rule)| (name.to_owned(), json!(rule))).collect();
        admit(&prepare(&settings(json!([sidecar]))), &pod)
    };
    for (place, pointer, renamed) in &places {
        for (rule, expected) in [("keep", "theirs"), ("replace", "ours")] {
            let injected = patched(&pod, &all_but(place, rule));
            assert_eq!(injected.pointer(pointer), Some(&json!(expected)), "{place}: {rule}");
            assert_eq!(restored(&injected), pod, "{place}: {rule}");
        }
        assert_eq!(all_but(place, "reject")["report"]["sidecars"][0]["code"], "conflict", "{place}: reject");
        if let Some((place_of_name, name)) = renamed {
            let injected = patched(&pod, &all_but(place, "rename"));
            assert_eq!(injected.pointer(place_of_name), Some(&json!(name)), "{place}: rename");
            assert_eq!(injected.pointer(pointer), Some(&json!("theirs")), "{place}: rename");
        }
    }
    let told = |rule: &str| all_but("ports", rule)["report"]["sidecars"][0].clone();
    assert_eq!((&told("keep")["result"], &told("reject")["code"]), (&json!("injected"), &json!("conflict")));
}

#[test]
fn a_template_is_injected_in_the_cluster_where_its_kind_is_listed() {
    let template = json!({"metadata": {}, "spec": {"containers": [{"name": "app", "image": "a"}]}});
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": template}});
    for (kinds, injected) in [(json!(["Deployment"]), true), (json!(["Pod"]), false)] {
        let sidecar =
            json!({"name": "s", "mode": "opt-out", "match": {"workloads": kinds}, "inject": {"labels": {"a": "b"}}});
        let reply = answer(&prepare(&settings(json!([sidecar]))), &json!({"request": request(&object)}));
        assert_eq!(
            patched(&object, &reply).pointer("/spec/template/metadata/labels/a").is_some(),
            injected,
            "{reply:#}"
        );
    }
}
