//! The commands around `inject`, and what they all share.

use serde_json::Value;

use crate::support::{Folder, SETTINGS, pod};

#[test]
fn every_command_has_help_with_examples() {
    let folder = Folder::new("every_command_has_help");
    for command in ["inject", "uninject", "explain", "check", "compile", "preview", "init", "module", "completions"] {
        let ran = folder.fedcar(&format!("{command} --help")).ended_with(0);
        assert!(ran.stdout.contains("Examples:\n  "), "{command}");
        assert_eq!(ran.stderr, "");
    }
    let ran = folder.fedcar("--help").ended_with(0);
    assert!(ran.stdout.contains("Exit codes:\n  0  done"));
    folder.fedcar("--version").ended_with(0).printed(&format!("fedcar {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_told_apart() {
    let folder = Folder::new("wrong_usage_is_told_apart");
    for arguments in [
        "",
        "jump",
        "inject x.yaml",
        "inject --federation f x.yaml",
        "inject --cluster c x.yaml",
        "inject --settings s --federation f --cluster c x.yaml",
        "inject --settings s --output xml x.yaml",
        "check",
        "check --settings s --federation f",
        "init",
        "completions tcsh",
    ] {
        let ran = folder.fedcar(arguments).ended_with(2);
        assert_eq!(ran.stdout, "", "{arguments}");
    }
}

#[test]
fn explain_names_the_document_that_decided() {
    let folder = Folder::new("explain_names_the_document");
    folder.write("pod.yaml", format!("{}---\nkind: Service\napiVersion: v1\n", pod("checkout", "")));
    let ran = folder.fedcar("explain --settings settings.yaml pod.yaml").ended_with(0);
    let words: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0][..3], ["pod/checkout", "(shop)", "pod.yaml:1"]);
    assert_eq!(words[1], ["SIDECAR", "VERSION", "RESULT", "REASON", "DECIDED", "BY", "BECAUSE"]);
    assert_eq!(words[2][..5], ["otel", "1.0.0", "injected", "opt-out-default", "sidecars/otel.yaml:3"]);
    assert_eq!(words[3][..4], ["vault", "-", "skipped", "pod-mismatch"]);

    let ran = folder.fedcar("explain --settings settings.yaml -o json pod.yaml").ended_with(0);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["file"], "pod.yaml");
    assert_eq!(lines[0]["report"]["sidecars"][0]["origin"]["line"], 3);
    assert_eq!((&lines[1]["line"], &lines[1]["code"]), (&Value::from(8), &Value::from("not-a-workload")));
}

#[test]
fn check_shows_every_problem_where_it_stands() {
    let folder = Folder::new("check_shows_every_problem");
    folder.fedcar("check --settings settings.yaml").ended_with(0).printed("").said("settings.yaml: no problems\n");
    folder
        .write("bad.yaml", SETTINGS.replace("mode: required", "mode: always").replace("image: \"redis:7\"", "imag: x"));
    let ran = folder.fedcar("check --settings bad.yaml").ended_with(3).said("problems\n");
    assert!(ran.stdout.contains(" --> bad.yaml:14:3\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("14 |   mode: always\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("`imag`") || ran.stdout.contains("imag: x"), "{}", ran.stdout);
    let ran = folder.fedcar("check --settings bad.yaml -o json").ended_with(3);
    let first: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["file"], &first["line"], &first["column"]), (&"bad.yaml".into(), &14.into(), &3.into()));
    folder.fedcar("inject --settings bad.yaml settings.yaml").ended_with(3).printed("").said(" --> bad.yaml:14:3\n");
    folder.write("two.yaml", "a: 1\n---\nb: 2\n");
    folder
        .fedcar("inject --settings two.yaml settings.yaml")
        .ended_with(3)
        .said("expected one document with settings, found 2");
}

#[test]
fn init_makes_a_federation_that_works_and_replaces_nothing() {
    let folder = Folder::new("init_makes_a_federation");
    folder.fedcar("init retail").ended_with(0).said("wrote retail/federation.yaml\n");
    folder.fedcar("check --federation retail").ended_with(0).said("retail: no problems\n");
    let arguments = "inject --federation retail --cluster eu-1 -o patch";
    folder.fedcar_with(arguments, pod("a", "").as_bytes()).ended_with(0).said("pod/a (shop): injected proxy\n");
    folder
        .fedcar_with("inject --federation retail --cluster eu-2", b"")
        .ended_with(3)
        .said("no member is named `eu-2`");
    folder.write("retail/federation.yaml", "mine");
    folder.fedcar("init retail").ended_with(2).said("retail/federation.yaml is there already");
    assert_eq!(folder.read("retail/federation.yaml"), b"mine");
}

#[test]
fn the_module_can_be_taken_out() {
    let folder = Folder::new("the_module_can_be_taken_out");
    let shown = folder.fedcar("module").ended_with(0).stdout;
    assert!(shown.starts_with("digest: sha256:"), "{shown}");
    assert!(shown.contains("\n  protocolVersion: v1\n"), "{shown}");
    let size = shown.lines().find_map(|line| line.strip_prefix("size: ")?.strip_suffix(" bytes")).unwrap();
    folder.fedcar("module -o policy.wasm").ended_with(0).printed("");
    let module = folder.read("policy.wasm");
    assert_eq!(module.len().to_string(), size);
    assert!(module.starts_with(b"\0asm"));
    folder.fedcar("module -o no/such/folder.wasm").ended_with(4).said("cannot write no/such/folder.wasm");
    assert_eq!(folder.files(), ["policy.wasm", "settings.yaml"]);
}

#[test]
fn completions_are_printed_for_each_shell() {
    let folder = Folder::new("completions_are_printed");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = folder.fedcar(&format!("completions {shell}")).ended_with(0);
        assert!(ran.stdout.contains("uninject"), "{shell}");
    }
}

#[test]
fn check_speaks_to_what_shows_problems_beside_the_lines() {
    let folder = Folder::new("check_speaks_to_ci");
    folder.write("settings.yaml", SETTINGS.replace("mode: opt-out", "mode: optout"));
    let github = folder.fedcar("check --settings settings.yaml --format github").ended_with(3);
    let first = github.stdout.lines().next().unwrap();
    let expected = "::error file=settings.yaml,line=8,col=3,title=fedcar::sidecars[0].mode: expected one of required, \
                    opt-out, opt-in, found `optout`%0Ahint: did you mean `opt-out`?";
    assert_eq!(first, expected);
    assert_eq!(github.stdout.lines().count(), 2);

    let sarif = folder.fedcar("check --settings settings.yaml --output sarif").ended_with(3);
    let document: Value = serde_json::from_str(&sarif.stdout).unwrap();
    let places: Vec<&Value> = document["runs"][0]["results"].as_array().unwrap().iter().collect();
    assert_eq!(places.len(), 2);
    assert_eq!(places[0]["locations"][0]["physicalLocation"]["region"]["startLine"], 8);

    folder.write("settings.yaml", SETTINGS);
    folder.fedcar("check --settings settings.yaml --format github").ended_with(0).printed("");
    let sarif = folder.fedcar("check --settings settings.yaml --format sarif").ended_with(0);
    let document: Value = serde_json::from_str(&sarif.stdout).unwrap();
    assert_eq!(document["runs"][0]["results"].as_array().map(Vec::len), Some(0));
}
