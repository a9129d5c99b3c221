//! What each member gets.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{check, document, federation, problems, root, sidecar, sources, today};
use crate::federation::sidecar::SETTINGS_KEYS;
use crate::federation::{Compiled, Source, read};

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
    let mut settings = compiled.settings.clone();
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
    assert_eq!(compiled.notes(), [""; 0]);
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
    let fall_back = |cluster: &str, why: &str| {
        let note = |sidecar: &str, container: &str, jobs: &str| {
            let fallback =
                format!("`{container}` falls back to an ordinary container, init containers start before it");
            format!("{cluster}: {sidecar}: {why}: {fallback}, and {jobs}")
        };
        vec![note("agent", "agent", "Jobs go without it"), note("x86-only", "proxy", "Jobs are refused")]
    };
    let landing = "runs on amd64, and there are arm64 nodes, where a pod that names no architecture may land (build its images for \
                   arm64, or keep its pods away from there with `inject.pod.nodeSelector`)";
    for (cluster, native, notes, objections) in [
        ("eu-1", true, vec![], vec![landing]),
        (
            "edge-1",
            false,
            fall_back("edge-1", "kubelet 1.28 has sidecar containers only behind the gate SidecarContainers"),
            vec![
                "runs on amd64, and every node is arm64 (build its images for arm64, or leave the member out with `spec.members`)",
            ],
        ),
        ("lab", false, fall_back("lab", "no fact says which Kubernetes it runs"), vec![]),
    ] {
        let compiled = federation.compile(cluster, today()).unwrap();
        assert_eq!(compiled.settings["cluster"]["capabilities"]["nativeSidecars"], native, "{cluster}");
        assert_eq!(compiled.notes(), notes, "{cluster}");
        let about_architectures = compiled.findings.iter().filter(|finding| finding.rule == "architectures");
        let found = problems(&federation.objections(about_architectures));
        let place = format!("2 /spec/requires/architectures does not work in member `{cluster}` (architectures): ");
        let found: Vec<&str> = found.iter().map(|problem| problem.strip_prefix(&place).unwrap()).collect();
        assert_eq!(found, objections, "{cluster}");
    }
}

#[test]
fn what_is_the_same_in_several_members_is_objected_to_once() {
    let root = |members: &[&str]| {
        let member = |name: &&str| json!({"name": name, "engine": "host-runner", "facts": {"kubernetes": "1.29"}});
        document("Federation", "retail", &json!({"members": members.iter().map(member).collect::<Vec<_>>()}))
    };
    let spec = json!({"inject": {"containers": [{"name": "agent", "image": "agent:1", "lifecycle": {"stopSignal": "SIGUSR1"}}]}});
    for (members, said) in [
        (&["a", "b"][..], "members `a`, `b` ("),
        (&["a", "b", "c", "d", "e"][..], "members `a`, `b`, `c` and 2 more ("),
    ] {
        let federation = federation(&[root(members), document("Sidecar", "agent", &spec)]);
        let compiled: Vec<Compiled> =
            members.iter().map(|member| federation.compile(member, today()).unwrap()).collect();
        let found = problems(&federation.objections(compiled.iter().flat_map(|one| &one.findings)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(said), "{found:?}");
    }
}

fn json_values() -> impl Strategy<Value = Vec<Value>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        "[a-z]{1,3}".prop_map(|key| json!({ key: [true, null] })),
    ];
    prop::collection::vec(value, 0..4)
}

#[test]
fn positions_that_no_order_meets_are_told_once() {
    let placed = |name: &str, position: Value, tier: Value| {
        let container = json!({"name": name, "form": "sidecar", "image": "agent:1", "position": position});
        document(
            "Sidecar",
            name,
            &json!({"match": {"pods": {"matchLabels": tier}}, "inject": {"containers": [container]}}),
        )
    };
    let before = |name: &str| json!({"before": [name]});
    let any = || json!({});
    for (documents, said) in [
        (vec![placed("a", before("b"), any()), placed("b", before("c"), any())], vec![]),
        (
            vec![
                placed("a", before("b"), any()),
                placed("b", json!({"before": ["c"]}), any()),
                placed("c", before("a"), any()),
            ],
            vec![
                "1 /spec/inject/containers/0/position each is to stand before the next, and no order does that: `a` before `b` before `c` before `a`",
            ],
        ),
        (
            vec![placed("a", before("b"), any()), placed("b", json!({"before": ["a"], "after": ["x"]}), any())],
            vec![
                "1 /spec/inject/containers/0/position each is to stand before the next, and no order does that: `a` before `b` before `a`",
            ],
        ),
        // No pod has both.
        (vec![placed("a", before("b"), json!({"t": "1"})), placed("b", before("a"), json!({"t": "2"}))], vec![]),
    ] {
        let root = document("Federation", "retail", &json!({"members": [{"name": "eu-1", "engine": "host-runner"}]}));
        let documents = [vec![root], documents].concat();
        assert_eq!(problems(&check(&federation(&documents))), said);
    }
}

/// What a member gets hangs on what the documents say to it, and on nothing else.
#[test]
fn what_other_members_are_told_changes_nothing() {
    let spec = json!({"inject": {"containers": [{"name": "agent", "image": "agent:1"}]}});
    proptest!(|(theirs in json_values(), ours in json_values())| {
        let root = |theirs: &[Value], ours: &[Value]| {
            let variables = |values: &[Value]| -> Value {
                values.iter().enumerate().map(|(index, value)| (format!("v{index}"), value.clone())).collect::<Map<_, _>>().into()
            };
            document("Federation", "retail", &json!({"members": [
                {"name": "eu-1", "engine": "kubewarden", "variables": variables(ours)},
                {"name": "us-1", "engine": "kubewarden", "variables": variables(theirs)},
            ]}))
        };
        let compiled = |theirs: &[Value], ours: &[Value]| {
            let documents = [root(theirs, ours), document("Sidecar", "agent", &spec)];
            let federation = read(&sources(&documents)).unwrap();
            (federation.revision().to_owned(), federation.compile("eu-1", today()).unwrap().settings)
        };
        let (revision, settings) = compiled(&[], &ours);
        let (other_revision, other_settings) = compiled(&theirs, &ours);
        prop_assert_eq!(&settings, &other_settings);
        prop_assert_eq!(theirs.is_empty(), revision == other_revision);
        prop_assert_eq!(ours.is_empty(), compiled(&theirs, &[]).1 == settings);
    });
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
        problems(&check(&federation)),
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
        problems(&check(&federation)),
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
    assert_eq!(problems(&check(&federation)), [""; 0]);
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
