//! Documents as tables: what is refused, with whose fault it is, and what each member gets.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::sidecar::SETTINGS_KEYS;
use super::{Compiled, Date, Federation, Source, SourceProblem, read};

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

/// What is wrong for any member, and with what no member selects; each problem once.
fn check(federation: &Federation) -> Vec<SourceProblem> {
    let compiled = federation.members().filter_map(|member| federation.compile_for(member, today()).err()).flatten();
    let mut found = Vec::new();
    for problem in compiled.chain(federation.check_unselected(today())) {
        if !found.contains(&problem) {
            found.push(problem);
        }
    }
    found
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
                 `overhead`, `skew`",
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

/// A sidecar for every member, whose container says what a rule may want to know.
fn agent() -> Value {
    sidecar(
        "agent",
        &json!({
            "version": "2",
            "overrides": [
                {"annotation": "memory", "type": "quantity", "min": "16Mi", "max": "1Gi"},
                {"annotation": "level", "type": "string", "oneOf": ["info", "trace"]},
                {"annotation": "workers", "type": "integer"},
                {"annotation": "tag", "type": "string", "sets": "containers.agent.image"},
            ],
            "inject": {"containers": [
                {"name": "agent", "form": "sidecar", "image": "${vars.registry}/otel/agent:${sidecar.version}",
                 "securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["NET_RAW"], "add": ["NET_ADMIN"]}}},
            ]},
            "rollout": {"salt": "r", "percent": 5, "previous": {"version": "1", "inject": {"containers": [
                {"name": "agent", "image": "${pod.metadata.annotations['image']}"},
            ]}}},
        }),
    )
}

fn guardrail(spec: &Value) -> Value {
    document("Guardrail", "rule", spec)
}

#[test]
fn guardrails_judge_what_the_documents_say_of_each_container() {
    let current = "1 /spec/inject/containers/0";
    let previous = "1 /spec/rollout/previous/inject/containers/0";
    let place = "the rule stands in 2.yaml:3";
    for (case, rules, expected) in [
        (
            "an image for each member, one that is made for each pod, and one that an application team may set",
            json!({"images": {"allow": ["eu.registry.example/**", "registry.example/otel/*"]}}),
            vec![
                format!(
                    "{previous}/image the Guardrail `rule` judges images, and an expression makes this one for each pod \
                     (let it hang on nothing but `vars`, `cluster`, `federation` and `sidecar`; {place})"
                ),
                format!(
                    "1 /spec/overrides/3/sets the Guardrail `rule` judges the image, and this override lets application \
                     teams set it (leave the image to the document; {place})"
                ),
            ],
        ),
        (
            "an image of elsewhere",
            json!({"images": {"allow": ["eu.registry.example/otel/*"]}, "exemptions": [
                {"owner": "a", "reason": "b", "expires": "2026-07-01", "members": {"matchLabels": {"tier": "edge"}}},
            ]}),
            vec![
                format!(
                    "{current}/image the Guardrail `rule` allows images of eu.registry.example/otel/*, found \
                     `registry.example/otel/agent:2` ({place})"
                ),
            ],
        ),
        (
            "a tag",
            json!({"images": {"requireDigests": true}, "members": {"matchLabels": {"fedcar.dev/member": "lab"}}}),
            vec![
                format!(
                    "{current}/image the Guardrail `rule` wants images pinned by digest, found \
                     `registry.example/otel/agent:2` (write registry.example/otel/agent:2@sha256:…; {place})"
                ),
            ],
        ),
        (
            "a security context, each time for both versions",
            json!({"securityContext": {
                "runAsNonRoot": true, "privileged": false, "dropCapabilities": ["NET_RAW"], "addCapabilities": ["CHOWN"],
                "seccompProfiles": ["RuntimeDefault", "Localhost"],
            }}),
            vec![
                format!(
                    "{current}/securityContext/capabilities/add the Guardrail `rule` wants no capabilities to be added \
                     but `CHOWN`, found [NET_ADMIN] ({place})"
                ),
                format!(
                    "{current}/securityContext/seccompProfile/type the Guardrail `rule` wants a seccomp profile of type \
                     `RuntimeDefault` or `Localhost`, found nothing ({place})"
                ),
                format!(
                    "{previous}/securityContext/runAsNonRoot the Guardrail `rule` wants `runAsNonRoot: true`, found \
                     nothing ({place})"
                ),
                format!(
                    "{previous}/securityContext/capabilities/drop the Guardrail `rule` wants `NET_RAW` to be dropped, \
                     found nothing ({place})"
                ),
                format!(
                    "{previous}/securityContext/seccompProfile/type the Guardrail `rule` wants a seccomp profile of type \
                     `RuntimeDefault` or `Localhost`, found nothing ({place})"
                ),
            ],
        ),
        (
            "overrides, within bounds and beyond",
            json!({"overrides": [
                {"sidecar": "agent", "annotation": "memory", "min": "16Mi", "max": "512Mi"},
                {"sidecar": "agent", "annotation": "agent.sidecar.fedcar.dev/level", "oneOf": ["info"]},
                {"sidecar": "agent", "annotation": "workers", "max": 4},
                {"sidecar": "agent", "annotation": "workers", "max": "4Mi"},
                {"sidecar": "agent", "annotation": "tag", "allowed": false},
            ]}),
            vec![
                format!(
                    "1 /spec/overrides/0/max the Guardrail `rule` wants `max` to be at most 512Mi, found text `1Gi` (set \
                     `max: 512Mi`; {place})"
                ),
                format!(
                    "1 /spec/overrides/1/oneOf the Guardrail `rule` wants `oneOf` to hold nothing but info, found \
                     [\"info\",\"trace\"] ({place})"
                ),
                format!(
                    "1 /spec/overrides/2/max the Guardrail `rule` wants `max` to be at most 4, found nothing (set `max: \
                     4`; {place})"
                ),
                "2 /spec/overrides/3/max expected a bound for the type integer, found text `4Mi`".to_owned(),
                format!("1 /spec/overrides/3/annotation the Guardrail `rule` allows no such override ({place})"),
            ],
        ),
        (
            "exemptions, of which one ended yesterday",
            json!({"images": {"requireDigests": true}, "exemptions": [
                {"owner": "payments", "reason": "b", "expires": "2026-07-01", "rules": ["images"], "sidecars": ["agent"]},
                {"owner": "payments", "reason": "b", "expires": "2026-06-30"},
            ]}),
            vec![
                "2 /spec/exemptions/1/expires this exemption ended with 2026-06-30, and today is 2026-07-01 (take it out, \
                 or let its owner payments extend it)"
                    .to_owned(),
            ],
        ),
    ] {
        let mut found = problems(&check(&federation(&[root(), agent(), guardrail(&rules)])));
        if case == "an image of elsewhere" || case == "a tag" {
            found.retain(|line| line.starts_with(&format!("{current}/image")));
        }
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn what_is_fixed_or_defined_for_all_pods_is_known() {
    let agent = sidecar(
        "agent",
        &json!({
            "let": [{"name": "image", "value": "${vars.registry}/agent:1"}, {"name": "pod", "value": "${pod.metadata.name}"}],
            "inject": {"containers": [
                {"name": "one", "image": "${let.image}", "args": ["${let.pod}"],
                 "securityContext": {"runAsNonRoot": "${pod.spec.?hostNetwork.orValue(false)}"},
                 "fixed": {"securityContext": {"runAsNonRoot": true}}},
                {"name": "two", "when": "${cluster.name == 'elsewhere'}", "image": "evil.example/agent"},
            ]},
        }),
    );
    let rules = json!({"images": {"allow": ["*.registry.example/*", "registry.example/*"]},
        "securityContext": {"runAsNonRoot": true}});
    assert_eq!(problems(&check(&federation(&[root(), agent, guardrail(&rules)]))), [""; 0]);
}

#[test]
fn exemptions_take_namespaces_out_of_what_is_required() {
    let exemption = |more: &Value| {
        let mut one = json!({"owner": "a", "reason": "b", "expires": "2026-07-01"});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    let rules = json!({
        "match": {"namespaces": {"matchLabels": {"tier": "prod"}}},
        "required": ["one", "two", "three"],
        "never": ["four"],
        "exemptions": [
            exemption(&json!({"sidecars": ["two"], "namespaces": ["old", "legacy"]})),
            exemption(&json!({"sidecars": ["two"], "namespaces": ["old"], "members": {"matchLabels": {"tier": "prod"}}})),
            exemption(&json!({"rules": ["required"], "sidecars": ["three"]})),
            exemption(&json!({"sidecars": ["one"], "members": {"matchLabels": {"tier": "edge"}}})),
        ],
    });
    let mut documents = vec![root(), guardrail(&rules)];
    documents.extend(["one", "two", "three", "four"].map(|name| sidecar(name, &json!({}))));
    let federation = federation(&documents);
    let guardrails = |cluster| federation.compile(cluster, today()).unwrap().settings["guardrails"].clone();
    let parts = |required: &Value| {
        json!([
            {"name": "rule", "origin": {"file": "1.yaml", "line": 2}, "required": required, "never": ["four"],
             "match": {"namespaces": {"matchLabels": {"tier": "prod"}}}},
            {"name": "rule-exempt-1", "origin": {"file": "1.yaml", "line": 2}, "required": ["two"], "never": [],
             "match": {"namespaces": {"matchLabels": {"tier": "prod"}, "matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["legacy", "old"]}]}}},
        ])
    };
    assert_eq!(guardrails("eu-1"), parts(&json!(["one"])));
    assert_eq!(guardrails("edge-1"), parts(&json!([])));
}

#[test]
fn a_day_changes_nothing_but_what_has_expired() {
    let rules = json!({"required": ["agent"], "exemptions": [
        {"owner": "a", "reason": "b", "expires": "2026-07-01", "namespaces": ["old"]},
    ]});
    let federation = federation(&[root(), sidecar("agent", &json!({})), guardrail(&rules)]);
    let on = |day: &str| federation.compile("eu-1", day.parse().unwrap());
    assert_eq!(on("2026-07-01").unwrap().settings, on("1970-01-01").unwrap().settings);
    assert_eq!(on("2026-07-02").unwrap_err().len(), 1);
}

#[test]
fn each_member_stands_in_one_stage_of_one_rollout() {
    let rollout = |name: &str, spec: &Value| document("Rollout", name, spec);
    let stage = |name: &str, tier: &str| json!({"name": name, "members": {"matchLabels": {"tier": tier}}});
    let rest = |name: &str| json!({"name": name});
    for (case, rollouts, expected) in [
        ("the last stage takes the rest", vec![json!({"stages": [stage("a", "prod"), rest("b")]})], vec![]),
        (
            "members are left out",
            vec![json!({"stages": [stage("a", "prod")]})],
            vec![
                "2 /spec/stages no stage reaches `edge-1`, `lab`, which get its sidecars (add a last stage without \
                 `members`, which takes every member that no other selects)",
            ],
        ),
        (
            "a member that it is not about may be left out",
            vec![json!({"members": {"matchLabels": {"tier": "prod"}}, "stages": [stage("a", "prod")]})],
            vec![],
        ),
        (
            "a member twice, a stage for nobody, and two for the rest",
            vec![json!({"stages": [
                stage("a", "prod"), rest("b"), stage("c", "prod"), stage("d", "nowhere"), rest("e"),
            ]})],
            vec![
                "2 /spec/stages/2/members `eu-1` stands in the stage `a` already (each member stands in one stage; \
                 `percent` has its steps)",
                "2 /spec/stages/3/members selects no member that gets agent (take the stage out, or change what it \
                 selects)",
                "2 /spec/stages/4 expected `members`, because the stage `b` has none (one stage takes what the others \
                 leave)",
            ],
        ),
        (
            "two rollouts for one member",
            vec![
                json!({"stages": [rest("a")]}),
                json!({"members": {"matchLabels": {"tier": "prod"}}, "stages": [rest("a")]}),
            ],
            vec![
                "3 /spec/sidecars/0 the Rollout `r0` in 2.yaml:3 moves `agent` of `eu-1` too (let the `members` of the \
                 two select different clusters, or make one of them)",
            ],
        ),
        (
            "two rollouts for members that have nothing in common",
            vec![
                json!({"members": {"matchLabels": {"tier": "edge"}}, "stages": [rest("a")]}),
                json!({"members": {"matchLabels": {"tier": "prod"}}, "stages": [rest("a")]}),
            ],
            vec![],
        ),
    ] {
        let mut documents = vec![root(), sidecar("agent", &json!({}))];
        for (index, mut spec) in rollouts.into_iter().enumerate() {
            spec["sidecars"] = json!(["agent"]);
            documents.push(rollout(&format!("r{index}"), &spec));
        }
        let found = read(&sources(&documents)).map_or_else(|found| problems(&found), |_| Vec::new());
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn what_no_value_by_itself_is_wrong_about_is_found() {
    let traffic = |services: &Value| document("TrafficPolicy", "p", &json!({"sidecar": "agent", "services": services}));
    let security = |mut spec: Value| {
        spec["sidecar"] = json!("agent");
        document("SecurityPolicy", "p", &spec)
    };
    let rollout = |stage: Value| document("Rollout", "p", &json!({"sidecars": ["agent"], "stages": [stage]}));
    let exempt = |more: Value| {
        let mut one = json!({"owner": "a", "reason": "b", "expires": "2027-01-01"});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        guardrail(&json!({"required": ["agent"], "images": {"requireDigests": true}, "exemptions": [one]}))
    };
    let service = |more: Value| {
        let mut one = json!({"name": "a", "host": "a.shop", "port": 80});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    for (document, expected) in [
        (
            rollout(json!({"name": "a", "percent": [50, 25, 100]})),
            "/spec/stages/0/percent expected percentages that rise to 100, found [50, 25, 100] (say for example [5, 25, \
             100])",
        ),
        (
            rollout(json!({"name": "a", "percent": [5, 25]})),
            "/spec/stages/0/percent expected percentages that rise to 100, found [5, 25] (say for example [5, 25, 100])",
        ),
        (
            rollout(json!({"name": "a", "windows": [{"from": "22:00", "to": "06:00"}]})),
            "/spec/stages/0/windows/0 expected `from` to be before `to`, found 22:00 and 06:00 (say two windows where the \
             night is meant)",
        ),
        (
            rollout(json!({"name": "a", "gates": [{"name": "g", "query": "up"}]})),
            "/spec/stages/0/gates/0 expected `min` or `max`: a query gives a number and no verdict",
        ),
        (
            rollout(json!({"name": "a", "soak": "29d"})),
            "/spec/stages/0/soak expected a duration such as `1h30m` from 0s to 672h, found `29d`",
        ),
        (
            traffic(&json!([service(json!({"protocol": "tcp", "timeout": "1s"}))])),
            "/spec/services/0/timeout tcp knows no requests (say `protocol: http` or `http2`)",
        ),
        (
            traffic(&json!([service(json!({"timeout": "1s", "retries": {"attempts": 2, "perTryTimeout": "1s"}}))])),
            "/spec/services/0 `retries.perTryTimeout` 1s leaves no time for a second try within `timeout` 1s (make the \
             timeout of a try shorter, or leave the retries out)",
        ),
        (
            traffic(&json!([service(json!({"routes": [{"to": [{"service": "b"}]}]}))])),
            "/spec/services/0/routes/0/to/0/service this policy has no service `b`",
        ),
        (
            traffic(&json!([service(json!({"routes": [{"to": [{"service": "a", "weight": 0}]}]}))])),
            "/spec/services/0/routes/0/to expected a weight above 0",
        ),
        (
            traffic(&json!([service(json!({})), service(json!({"name": "b"}))])),
            "/spec/services/1/host a second service at `a.shop:80`",
        ),
        (
            traffic(&json!([service(json!({"failover": ["eu-2"]}))])),
            "/spec/services/0/failover/0 no member is named `eu-2` (did you mean `eu-1`?)",
        ),
        (
            security(json!({"authorization": {"rules": [{"name": "r", "from": {"identities": ["spiffe://a/b"]}}]}})),
            "/spec/authorization/rules/0/from/identities/0 nobody can prove an identity here: this policy has no `mtls` \
             (add `mtls`, or let the rule ask for a token)",
        ),
        (
            security(json!({"authorization": {"rules": [{"name": "r", "from": {"tokens": ["staff"]}}]}})),
            "/spec/authorization/rules/0/from/tokens/0 this policy has no token `staff`",
        ),
        (
            security(json!({"audit": {"log": "all", "headers": ["cookie"]}})),
            "/spec/audit/headers/0 `cookie` holds a secret, which no log may have",
        ),
        (exempt(json!({"rules": ["overhead"]})), "/spec/exemptions/0/rules/0 this guardrail has no `overhead`"),
        (
            exempt(json!({"rules": ["images"], "namespaces": ["a"]})),
            "/spec/exemptions/0/rules/0 `images` holds for a whole member, so `namespaces` cannot narrow it (leave \
             `namespaces` out, and name `members`)",
        ),
        (
            exempt(json!({"sidecars": ["agnet"]})),
            "/spec/exemptions/0/sidecars/0 no Sidecar is named `agnet` (did you mean `agent`?)",
        ),
        (
            guardrail(&json!({"securityContext": {"runAsNonRoot": false}})),
            "/spec/securityContext/runAsNonRoot expected true, found false: a floor demands what is safe (leave the key out \
             where both are allowed)",
        ),
        (
            guardrail(&json!({"images": {"allow": ["nginx"]}})),
            "/spec/images/allow/0 expected a registry and a repository such as `registry.example/*`, found `nginx` (write \
             `docker.io/library/nginx`)",
        ),
        (
            guardrail(&json!({"overrides": [{"sidecar": "agent", "annotation": "memroy", "max": 1}]})),
            "/spec/overrides/0/annotation the Sidecar `agent` has no override `memroy` (did you mean `memory`?)",
        ),
        (
            guardrail(&json!({"never": ["agent"], "members": {"matchLabels": {"fedcar.dev/member": "eu1"}}})),
            "/spec/members/matchLabels/fedcar.dev~1member no member is named `eu1` (did you mean `eu-1`?)",
        ),
    ] {
        let overrides = json!({"overrides": [{"annotation": "memory", "type": "quantity"}]});
        let found = read(&sources(&[root(), sidecar("agent", &overrides), document.clone()])).unwrap_err();
        assert_eq!(problems(&found), [format!("2 {expected}")], "{document}");
    }
}
