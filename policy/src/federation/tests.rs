//! Documents as tables: what is refused, with whose fault it is, and what each member gets.

use serde_json::{Value, json};

use super::sidecar::SETTINGS_KEYS;
use super::{Date, Federation, Source, SourceProblem, read};

fn sources(documents: &[Value]) -> Vec<Source> {
    let source = |(index, value): (usize, &Value)| Source {
        file: format!("{index}.yaml"),
        line: u32::try_from(index).unwrap() + 1,
        value: value.clone(),
    };
    documents.iter().enumerate().map(source).collect()
}

fn federation(documents: &[Value]) -> Federation {
    read(&sources(documents)).unwrap()
}

/// The day on which everything is compiled here.
fn today() -> Date {
    "2026-07-01".parse().unwrap()
}

fn problems(found: &[SourceProblem]) -> Vec<String> {
    let line = |found: &SourceProblem| match found.document {
        Some(document) => format!("{document} {} {}", found.problem.pointer, sentence(found)),
        None => sentence(found),
    };
    found.iter().map(line).collect()
}

fn sentence(found: &SourceProblem) -> String {
    match &found.problem.hint {
        Some(hint) => format!("{} ({hint})", found.problem.message),
        None => found.problem.message.clone(),
    }
}

fn document(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "fedcar.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Three members: a current one, one with an old kubelet, one of which nothing is known.
fn root() -> Value {
    document(
        "Federation",
        "retail",
        &json!({
            "trustDomain": "retail.example",
            "variables": {"registry": "registry.example", "otlp": "gateway:4317"},
            "onFault": "deny",
            "namespaceLabels": "required",
            "protectedNamespaces": ["payments-infra"],
            "members": [
                {"name": "eu-1", "engine": "kubewarden", "labels": {"tier": "prod"},
                 "kubeconfig": {"context": "eu"}, "variables": {"registry": "eu.registry.example"},
                 "facts": {"kubernetes": "1.33", "kubelets": ["1.31", "1.33"], "architectures": ["amd64", "arm64"],
                           "podSecurity": "restricted"}},
                {"name": "edge-1", "engine": "host-runner", "labels": {"tier": "edge"},
                 "facts": {"kubernetes": "1.29", "kubelets": ["1.29", "1.28"], "architectures": ["arm64"]}},
                {"name": "lab", "engine": "host-runner", "engineNamespace": "policies", "labels": {"tier": "test"}},
            ],
        }),
    )
}

fn sidecar(name: &str, extra: &Value) -> Value {
    let mut spec = json!({
        "mode": "opt-out",
        "inject": {"containers": [{"name": name, "form": "sidecar", "image": "registry.example/agent:1"}]},
    });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    document("Sidecar", name, &spec)
}

#[test]
fn documents_that_are_not_valid_say_where_and_why() {
    for (case, documents, expected) in [
        (
            "nothing there",
            vec![],
            vec![
                "none of the documents is a Federation (add one: apiVersion: fedcar.dev/v1alpha1, kind: Federation, \
                 with `spec.members`)",
            ],
        ),
        (
            "a Federation that is not valid is not a missing one",
            vec![json!({"apiVersion": "fedcar.dev/v1alpha1", "kind": "Federation", "metadata": {}})],
            vec!["0 /metadata `name` is missing", "0  `spec` is missing"],
        ),
        (
            "two of them",
            vec![root(), root()],
            vec![
                "1 /kind a second Federation: the first is `retail` in 0.yaml:1 (a folder holds one federation; its \
                 clusters are `spec.members`)",
            ],
        ),
        (
            "kinds",
            vec![root(), document("Sidcar", "a", &json!({}))],
            vec![
                "1 /kind expected one of Federation, Sidecar, Guardrail, Rollout, TrafficPolicy, SecurityPolicy, found \
                 `Sidcar` (did you mean `Sidecar`?)",
            ],
        ),
        (
            "another version",
            vec![
                root(),
                json!({"apiVersion": "fedcar.dev/v1", "kind": "Sidecar", "metadata": {"name": "a"}, "spec": {}}),
            ],
            vec!["1 /apiVersion expected one of fedcar.dev/v1alpha1, found `fedcar.dev/v1`"],
        ),
        (
            "unknown keys on every level",
            vec![
                document(
                    "Federation",
                    "retail",
                    &json!({"member": [], "members": [
                        {"name": "a", "engine": "kubewarden", "fact": {}, "facts": {"kubelet": ["1.31"]}},
                    ]}),
                ),
                sidecar("agent", &json!({"modes": "opt-in", "requires": {"kubernets": ">=1.27"}})),
            ],
            vec![
                "0 /spec/members/0/facts/kubelet unknown key (did you mean `kubelets`?)",
                "0 /spec/members/0/fact unknown key (did you mean `facts`?)",
                "0 /spec/member unknown key (did you mean `members`?)",
                "1 /spec/requires/kubernets unknown key (did you mean `kubernetes`?)",
                "1 /spec/modes unknown key (did you mean `mode`?)",
            ],
        ),
    ] {
        assert_eq!(problems(&read(&sources(&documents)).unwrap_err()), expected, "{case}");
    }
}

#[test]
fn documents_that_do_not_fit_together_say_which() {
    for (case, documents, expected) in [
        (
            "names that stand twice",
            vec![root(), sidecar("agent", &json!({})), sidecar("agent", &json!({}))],
            vec!["2 /metadata/name a second Sidecar `agent`: the first is in 1.yaml:2"],
        ),
        (
            "members that stand twice, and versions that YAML reads as numbers",
            vec![document(
                "Federation",
                "retail",
                &json!({"members": [
                    {"name": "a", "engine": "kubewarden", "facts": {"kubernetes": 1.3, "kubelets": ["one"]}},
                    {"name": "a", "engine": "kubwarden"},
                    {"name": "a", "engine": "host-runner"},
                ]}),
            )],
            vec![
                "0 /spec/members/0/facts/kubernetes expected text such as \"1.33\", found the number 1.3 (put it in \
                 quotes: the number 1.30 is 1.3)",
                "0 /spec/members/0/facts/kubelets/0 expected a version of Kubernetes such as \"1.33\", found `one`",
                "0 /spec/members/1/engine expected one of kubewarden, host-runner, found `kubwarden` (did you mean \
                 `kubewarden`?)",
                "0 /spec/members/2/name a second member `a`",
            ],
        ),
        (
            "guardrails",
            vec![
                root(),
                document("Guardrail", "telemetry", &json!({"required": ["otel-agnet"], "never": ["debug"]})),
                document("Guardrail", "nothing", &json!({"reason": "none"})),
                sidecar("otel-agent", &json!({})),
            ],
            vec![
                "1 /spec/required/0 no Sidecar is named `otel-agnet` (did you mean `otel-agent`?)",
                "1 /spec/never/0 no Sidecar is named `debug`",
                "2 /spec expected a rule: one of `required`, `never`, `optOut`, `overrides`, `images`, `securityContext`, \
                 `overhead`",
            ],
        ),
        (
            "architectures that are said twice",
            vec![root(), sidecar("a", &json!({"architectures": ["amd64"], "requires": {"architectures": ["arm64"]}}))],
            vec!["1 /spec/architectures `requires.architectures` says this already (keep one of the two)"],
        ),
    ] {
        assert_eq!(problems(&read(&sources(&documents)).unwrap_err()), expected, "{case}");
    }
}

#[test]
fn settings_are_those_of_one_cluster() {
    let compiled = federation(&[
        root(),
        sidecar(
            "agent",
            &json!({"members": {"matchLabels": {"tier": "prod"}}, "requires": {"architectures": ["amd64"]}}),
        ),
        sidecar("edge-agent", &json!({"members": {"matchLabels": {"tier": "edge"}}})),
        document(
            "Guardrail",
            "always",
            &json!({
                "members": {"matchLabels": {"fedcar.dev/member": "eu-1"}},
                "match": {"pods": {"matchLabels": {"app": "web"}}},
                "required": ["agent"],
                "never": ["edge-agent"],
            }),
        ),
        document("Guardrail", "elsewhere", &json!({"never": ["edge-agent"]})),
    ])
    .compile("eu-1", today())
    .unwrap();
    let mut settings = compiled.settings;
    let revision = settings["federation"]["revision"].take();
    assert!(revision.as_str().unwrap().starts_with("sha256:"), "{revision}");
    assert_eq!(
        settings,
        json!({
            "schemaVersion": 1,
            "cluster": {"name": "eu-1", "labels": {"tier": "prod"}, "capabilities": {"nativeSidecars": true}},
            "federation": {"name": "retail", "revision": null, "trustDomain": "retail.example"},
            "onFault": "deny",
            "namespaceLabels": "required",
            "protectedNamespaces": ["payments-infra"],
            "engineNamespace": "kubewarden",
            "variables": {"otlp": "gateway:4317", "registry": "eu.registry.example"},
            "sidecars": [{
                "name": "agent",
                "origin": {"file": "1.yaml", "line": 2},
                "mode": "opt-out",
                "inject": {"containers": [{"name": "agent", "form": "sidecar", "image": "registry.example/agent:1"}]},
                "architectures": ["amd64"],
            }],
            "guardrails": [
                {
                    "name": "always",
                    "origin": {"file": "3.yaml", "line": 4},
                    "match": {"pods": {"matchLabels": {"app": "web"}}},
                    "required": ["agent"],
                    "never": [],
                },
                {"name": "elsewhere", "origin": {"file": "4.yaml", "line": 5}, "required": [], "never": []},
            ],
        })
    );
    assert_eq!(compiled.notes, [""; 0]);
}

#[test]
fn every_place_of_the_settings_leads_back_to_a_document() {
    let compiled = federation(&[
        root(),
        document("Guardrail", "first", &json!({"required": ["agent"], "reason": "because"})),
        sidecar("agent", &json!({"requires": {"architectures": ["amd64", "arm64"]}})),
    ])
    .compile("eu-1", today())
    .unwrap();
    for (settings, document, pointer) in [
        ("", 0, ""),
        ("/schemaVersion", 0, "/schemaVersion"),
        ("/cluster/name", 0, "/spec/members/0/name"),
        ("/federation/name", 0, "/metadata/name"),
        ("/federation/trustDomain", 0, "/spec/trustDomain"),
        ("/onFault", 0, "/spec/onFault"),
        ("/protectedNamespaces/0", 0, "/spec/protectedNamespaces/0"),
        ("/engineNamespace", 0, "/spec/members/0/engineNamespace"),
        ("/variables/otlp", 0, "/spec/variables/otlp"),
        ("/variables/registry", 0, "/spec/members/0/variables/registry"),
        ("/sidecars/0/name", 2, "/metadata/name"),
        ("/sidecars/0/inject/containers/0/form", 2, "/spec/inject/containers/0/form"),
        ("/sidecars/0/architectures/1", 2, "/spec/requires/architectures/1"),
        ("/guardrails/0/required/0", 1, "/spec/required/0"),
    ] {
        assert_eq!(compiled.source_of(settings), (document, pointer.to_owned()), "{settings}");
    }
}

#[test]
fn members_without_native_sidecars_are_told_what_falls_back() {
    let documents = [
        root(),
        sidecar("agent", &json!({})),
        sidecar(
            "x86-only",
            &json!({"requires": {"architectures": ["amd64"]}, "inject": {"containers": [
                {"name": "proxy", "form": "sidecar", "image": "registry.example/proxy:1", "fallback": {"jobs": "reject"}},
                {"name": "init", "form": "init", "image": "registry.example/proxy:1"},
            ]}}),
        ),
    ];
    let federation = federation(&documents);
    for (cluster, native, notes) in [
        ("eu-1", true, vec![]),
        (
            "edge-1",
            false,
            vec![
                "edge-1: kubelet 1.28 has no native sidecars: agent falls back to container, and Jobs go without, \
                 proxy falls back to container, and Jobs are a conflict",
                "edge-1: x86-only runs on amd64, and every node is arm64",
            ],
        ),
        (
            "lab",
            false,
            vec![
                "lab: no fact says which Kubernetes it runs, so native sidecars count as missing: agent falls back to \
                 container, and Jobs go without, proxy falls back to container, and Jobs are a conflict",
            ],
        ),
    ] {
        let compiled = federation.compile(cluster, today()).unwrap();
        assert_eq!(compiled.settings["cluster"]["capabilities"]["nativeSidecars"], native, "{cluster}");
        assert_eq!(compiled.notes, notes, "{cluster}");
    }
}

#[test]
fn what_a_cluster_cannot_do_is_a_problem_of_the_document_that_asks() {
    let federation = federation(&[
        root(),
        sidecar("agent", &json!({"requires": {"kubernetes": ">=1.30"}, "members": {"matchLabels": {"tier": "edge"}}})),
        sidecar("other", &json!({"requires": {"kubernetes": ">=1.30"}, "members": {"matchLabels": {"tier": "test"}}})),
        document("Guardrail", "always", &json!({"required": ["agent"]})),
    ]);
    let version = "/spec/requires/kubernetes requires Kubernetes >=1.30, and member";
    assert_eq!(
        problems(&federation.check(today())),
        [
            "3 /spec/required/0 required here, but the Sidecar `agent` does not select member `eu-1` (let the `members` \
             of both select the same clusters)"
                .to_owned(),
            format!("1 {version} `edge-1` runs 1.29 (leave the member out with `spec.members`)"),
            format!(
                "2 {version} `lab` does not say what it runs (`facts.kubernetes`) (leave the member out with \
                 `spec.members`)"
            ),
            "3 /spec/required/0 required here, but the Sidecar `agent` does not select member `lab` (let the `members` \
             of both select the same clusters)"
                .to_owned(),
        ]
    );
    assert_eq!(
        problems(&federation.compile("eu1", today()).unwrap_err()),
        ["0 /spec/members no member is named `eu1` (did you mean `eu-1`?)"]
    );
}

#[test]
fn the_settings_check_speaks_of_the_document_once_for_all_members() {
    let wrong = json!({"inject": {"containers": [{"name": "agent", "image": "a:1", "form": "sidcar"}]}});
    let nowhere = json!({"mode": "optin", "members": {"matchLabels": {"tier": "none"}}});
    let unselected =
        json!({"match": {"pod": {}}, "required": ["nowhere"], "members": {"matchLabels": {"tier": "none"}}});
    let federation = federation(&[
        root(),
        sidecar("agent", &wrong),
        sidecar("nowhere", &nowhere),
        document("Guardrail", "unselected", &unselected),
    ]);
    assert_eq!(
        problems(&federation.check(today())),
        [
            "1 /spec/inject/containers/0/form expected one of sidecar, init, container, found `sidcar` (did you mean \
             `sidecar`?)",
            "2 /spec/mode expected one of required, opt-out, opt-in, found `optin` (did you mean `opt-in`?)",
            "3 /spec/match/pod unknown key (did you mean `pods`?)",
        ]
    );
}

#[test]
fn each_key_that_is_passed_on_is_one_that_the_settings_know() {
    let spec = json!({
        "version": "1.2.3",
        "mode": "opt-in",
        "onConflict": "deny",
        "allowHostNetwork": true,
        "os": ["linux"],
        "architectures": ["amd64"],
        "match": {"namespaces": {"matchLabels": {"team": "shop"}}},
        "when": "${workload.kind != 'Job'}",
        "let": [{"name": "team", "value": "${namespace.name}"}],
        "validations": [{"expression": "${let.team != ''}", "message": "a team"}],
        "rollout": {"salt": "r1", "percent": 20},
        "overrides": [{"annotation": "team", "type": "string", "default": "none"}],
        "inject": {"labels": {"agent": "${overrides.team}"}},
        "conflicts": {"labels": "replace"},
    });
    assert!(SETTINGS_KEYS.iter().all(|key| spec.get(key).is_some()));
    let federation = federation(&[root(), document("Sidecar", "agent", &spec)]);
    assert_eq!(problems(&federation.check(today())), [""; 0]);
}

#[test]
fn the_revision_is_of_the_content_alone() {
    let revision = |documents: &[Source]| read(documents).unwrap().revision().to_owned();
    let written = sources(&[root(), sidecar("agent", &json!({}))]);
    let mut moved = written.clone();
    moved[1].file = "elsewhere.yaml".to_owned();
    moved[1].line = 40;
    moved[1].value.sort_all_objects();
    assert_eq!(revision(&moved), revision(&written));
    moved[1].value["spec"]["mode"] = json!("opt-in");
    assert_ne!(revision(&moved), revision(&written));
}

#[test]
fn settings_that_no_policy_server_could_hold_name_the_largest_parts() {
    let large = json!({"inject": {"annotations": {"text": "x".repeat(600 * 1024)}}});
    let federation = federation(&[root(), sidecar("small", &json!({})), sidecar("large", &large)]);
    let found = problems(&federation.compile("eu-1", today()).unwrap_err());
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("0  the compiled settings are 615"), "{}", found[0]);
    assert!(found[0].contains("the largest sidecars, in bytes: large 614"), "{}", found[0]);
}
