//! The selection table of DESIGN section 4, row by row, and every stable code with a case that produces it.

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

use std::collections::BTreeSet;

use fedcar_policy::injection::{FaultCode, Pass, Reason, Refusal};
use fedcar_policy::protocol::{self, Namespaces};
use fedcar_policy::settings::Settings;
use serde_json::{Value, json};
use support::{admit, answer, patched, prepare, restore};

/// One row of a table: what makes it differ from the plain case, and what must come of it.
struct Case {
    row: &'static str,
    /// Merged over the plain sidecar.
    sidecar: Value,
    /// Merged over the plain settings.
    settings: Value,
    /// Merged over the plain pod.
    pod: Value,
    /// Merged over the plain payload.
    payload: Value,
    /// `result` and `code` of the sidecar.
    expected: (&'static str, Reason),
}

/// RFC 7386, as far as tables need it.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

fn merged(mut base: Value, over: &Value) -> Value {
    merge(&mut base, over);
    base
}

fn sidecar() -> Value {
    json!({"name": "s", "mode": "opt-out", "inject": {"containers": [{"name": "s", "image": "s:1"}]}})
}

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "app", "image": "a"}]}})
}

fn payload(pod: &Value) -> Value {
    json!({
        "request": {
            "operation": "CREATE", "namespace": "shop", "kind": {"group": "", "kind": "Pod"}, "object": pod,
            "userInfo": {"username": "jo", "groups": ["devs"]},
        },
        "namespace": {"metadata": {"name": "shop", "labels": {"tier": "prod"}}}, "explain": true,
    })
}

impl Case {
    fn new(row: &'static str, expected: (&'static str, Reason)) -> Self {
        Self { row, sidecar: json!({}), settings: json!({}), pod: json!({}), payload: json!({}), expected }
    }

    fn sidecar(self, sidecar: Value) -> Self {
        Self { sidecar, ..self }
    }

    fn settings(self, settings: Value) -> Self {
        Self { settings, ..self }
    }

    fn pod(self, pod: Value) -> Self {
        Self { pod, ..self }
    }

    fn payload(self, payload: Value) -> Self {
        Self { payload, ..self }
    }

    fn run(&self) -> Value {
        let plain = json!({
            "schemaVersion": 1, "cluster": {"name": "eu-1", "capabilities": {"nativeSidecars": true}},
            "sidecars": [merged(sidecar(), &self.sidecar)],
        });
        let prepared = prepare(&merged(plain, &self.settings));
        answer(&prepared, &merged(payload(&merged(pod(), &self.pod)), &self.payload))
    }
}

fn guardrail(list: &str, matching: &Value) -> Value {
    json!({"guardrails": [{"name": "g", list: ["s"], "match": matching, "origin": {"file": "g.yaml", "line": 7}}]})
}

fn cases() -> Vec<Case> {
    use Reason as R;
    let (required, opt_in) = (json!({"mode": "required"}), json!({"mode": "opt-in"}));
    let windows = json!({"spec": {"os": {"name": "windows"}}});
    let host_network = json!({"spec": {"hostNetwork": true}});
    let on = |key: &str| json!({"metadata": {"labels": {key: "enabled"}}});
    let off = |key: &str| json!({"metadata": {"labels": {key: "disabled"}}});
    let (one, all) = ("sidecar.fedcar.dev/s", "fedcar.dev/inject");
    let in_namespace = |labels: Value| json!({"namespace": {"metadata": {"labels": labels}}});
    let at = |namespace: &str| json!({"request": {"namespace": namespace}});
    let nodes = json!({"request": {"userInfo": {"username": "system:node:n", "groups": ["system:nodes"]}}});
    let mirror = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}}});
    let matching = |matching: Value| json!({"match": matching});
    let volume = json!({"inject": {"volumes": [{"name": "v", "emptyDir": {}}]}, "conflicts": {"volumes": "reject"}});
    let job = json!({"metadata": {"ownerReferences": [{"kind": "Job", "name": "j", "controller": true}]}});
    let old_cluster = json!({"cluster": {"capabilities": {"nativeSidecars": false}}});
    let native = |jobs: &str| json!({"inject": {"containers": [{"name": "s", "image": "s:1", "form": "sidecar", "fallback": {"jobs": jobs}}]}});
    let skipped = |reason| ("skipped", reason);
    let injected = |reason| ("injected", reason);
    let denied = |reason| ("denied", reason);
    let broken = |extra: &Value| merged(json!({"inject": {"labels": {"x": "${pod.metadata.labels.gone}"}}}), extra);
    vec![
        Case::new("2 system", skipped(R::SystemNamespace)).payload(at("kube-system")).sidecar(required.clone()),
        Case::new("2 public", skipped(R::SystemNamespace)).payload(at("kube-public")),
        Case::new("2 leases", skipped(R::SystemNamespace)).payload(at("kube-node-lease")),
        Case::new("2 engine", skipped(R::SystemNamespace)).payload(at("kubewarden")),
        Case::new("2 protected", skipped(R::SystemNamespace)).payload(at("vault")).settings(json!({"protectedNamespaces": ["vault"]})),
        Case::new("3 mirror", skipped(R::MirrorPod)).pod(mirror.clone()).payload(nodes).sidecar(required.clone()),
        Case::new("3 mirror by somebody else", denied(R::HostNetwork))
            .pod(merged(mirror, &host_network)).sidecar(required.clone()),
        Case::new("4 never", skipped(R::ForbiddenByGuardrail)).settings(guardrail("never", &json!({}))).pod(on(one)),
        Case::new("4 never, elsewhere", injected(R::OptOutDefault))
            .settings(guardrail("never", &json!({"serviceAccounts": ["other"]}))),
        Case::new("5 namespaces", skipped(R::NamespaceMismatch))
            .sidecar(matching(json!({"namespaces": {"matchLabels": {"tier": "test"}}}))).pod(on(one)),
        Case::new("5 namespaces fit", injected(R::OptOutDefault))
            .sidecar(matching(json!({"namespaces": {"matchLabels": {"tier": "prod"}}}))),
        Case::new("5 namespaces by name alone", skipped(R::NamespaceMismatch))
            .sidecar(matching(json!({"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}})))
            .payload(json!({"namespace": null})),
        Case::new("5 pods", skipped(R::PodMismatch)).sidecar(matching(json!({"pods": {"matchLabels": {"app": "x"}}}))),
        Case::new("5 accounts", skipped(R::ServiceAccountMismatch)).sidecar(matching(json!({"serviceAccounts": ["x"]}))),
        Case::new("5 default account", injected(R::OptOutDefault)).sidecar(matching(json!({"serviceAccounts": ["default"]}))),
        Case::new("5 callers", skipped(R::CallerMismatch)).sidecar(matching(json!({"callers": {"users": ["x"], "groups": ["y"]}}))),
        Case::new("5 callers fit", injected(R::OptOutDefault)).sidecar(matching(json!({"callers": {"users": ["x"], "groups": ["devs"]}}))),
        Case::new("5 workloads", skipped(R::WorkloadMismatch)).sidecar(matching(json!({"workloads": ["Deployment"]}))),
        Case::new("5 before 6", skipped(R::PodMismatch))
            .sidecar(merged(matching(json!({"pods": {"matchLabels": {"app": "x"}}})), &required)),
        Case::new("6 guardrail", injected(R::RequiredByGuardrail))
            .settings(guardrail("required", &json!({}))).sidecar(opt_in.clone()).pod(off(one)),
        Case::new("6 mode", injected(R::RequiredByMode)).sidecar(required.clone()).pod(off(all)),
        Case::new("6 host network", denied(R::HostNetwork)).sidecar(required.clone()).pod(host_network.clone()),
        Case::new("6 host network allowed", injected(R::RequiredByMode))
            .sidecar(merged(required.clone(), &json!({"allowHostNetwork": true}))).pod(host_network.clone()),
        Case::new("6 other system", denied(R::OtherOs)).sidecar(required.clone()).pod(windows.clone()),
        Case::new("6 invalid", denied(R::Invalid)).sidecar(merged(
            json!({"inject": {"containers": [{"name": "s", "image": "s:1", "volumeMounts": [{"name": "gone", "mountPath": "/x"}]}]}}),
            &required,
        )),
        Case::new("7 host network", skipped(R::HostNetwork)).pod(merged(host_network.clone(), &on(one))),
        Case::new("7 host network allowed", injected(R::EnabledByPod))
            .pod(merged(host_network, &on(one))).sidecar(json!({"allowHostNetwork": true})),
        Case::new("7 other system", skipped(R::OtherOs)).pod(windows),
        Case::new("7 other system by selector", skipped(R::OtherOs))
            .pod(json!({"spec": {"nodeSelector": {"kubernetes.io/os": "windows"}}})),
        Case::new("7 other architecture", skipped(R::OtherArchitecture))
            .sidecar(json!({"architectures": ["amd64"]})).pod(json!({"spec": {"nodeSelector": {"kubernetes.io/arch": "arm64"}}})),
        Case::new("8 label, this one", injected(R::EnabledByPod)).sidecar(opt_in.clone()).pod(on(one)),
        Case::new("8 label, all", skipped(R::DisabledByPod)).pod(off(all)),
        Case::new("8 annotation", skipped(R::DisabledByPod)).pod(json!({"metadata": {"annotations": {one: "disabled"}}})),
        Case::new("8 label before annotation", injected(R::EnabledByPod))
            .pod(merged(on(one), &json!({"metadata": {"annotations": {one: "disabled"}}}))),
        Case::new("8 this one before all", injected(R::EnabledByPod))
            .pod(json!({"metadata": {"labels": {all: "disabled"}, "annotations": {one: "enabled"}}})),
        Case::new("8 another value is absent", injected(R::OptOutDefault)).pod(json!({"metadata": {"labels": {one: "false", all: "Enabled"}}})),
        Case::new("8 before 9", injected(R::EnabledByPod)).pod(on(all)).payload(in_namespace(json!({one: "disabled"}))),
        Case::new("9 yes", injected(R::EnabledByNamespace)).sidecar(opt_in.clone()).payload(in_namespace(json!({all: "enabled"}))),
        Case::new("9 no", skipped(R::DisabledByNamespace)).payload(in_namespace(json!({one: "disabled", all: "enabled"}))),
        Case::new("10 opt-out", injected(R::OptOutDefault)),
        Case::new("10 opt-in", skipped(R::OptInDefault)).sidecar(opt_in),
        Case::new("then when", skipped(R::ConditionFalse)).sidecar(json!({"when": "${size(pod.spec.containers) > 1}"})),
        Case::new("then when, required", skipped(R::ConditionFalse)).sidecar(merged(json!({"when": false}), &required)),
        Case::new("then rollout", skipped(R::NotInRollout)).sidecar(json!({"rollout": {"salt": "r", "percent": 0}})),
        Case::new("then rollout, everywhere", injected(R::OptOutDefault)).sidecar(json!({"rollout": {"salt": "r", "percent": 100}})),
        Case::new("then jobs", skipped(R::JobWithoutNativeSidecars)).settings(old_cluster.clone()).sidecar(native("skip")).pod(job.clone()),
        Case::new("then jobs, rejected", denied(R::JobWithoutNativeSidecars)).settings(old_cluster.clone()).sidecar(native("reject")).pod(job.clone()),
        Case::new("then jobs, all the same", injected(R::OptOutDefault)).settings(old_cluster).sidecar(native("container")).pod(job),
        Case::new("conflict", skipped(R::Conflict)).sidecar(volume.clone()).pod(json!({"spec": {"volumes": [{"name": "v"}]}})),
        Case::new("conflict, required", denied(R::Conflict))
            .sidecar(merged(volume.clone(), &required)).pod(json!({"spec": {"volumes": [{"name": "v"}]}})),
        Case::new("conflict, by document", denied(R::Conflict))
            .sidecar(merged(volume, &json!({"onConflict": "deny"}))).pod(json!({"spec": {"volumes": [{"name": "v"}]}})),
        Case::new("nothing to inject", skipped(R::NothingToInject)).sidecar(json!({"inject": {"containers": [], "labels": {"a": "${pod.?nothing}"}}})),
        Case::new("validation", skipped(R::ValidationFailed))
            .sidecar(json!({"validations": [{"expression": false, "message": "never"}]})),
        Case::new("expression", skipped(R::ExpressionFailed)).sidecar(broken(&json!({}))).pod(json!({"metadata": {"labels": {}}})),
        Case::new("expression, required", denied(R::ExpressionFailed)).sidecar(broken(&required)).pod(json!({"metadata": {"labels": {}}})),
        Case::new("too large", skipped(R::TooLarge))
            .sidecar(json!({"inject": {"pod": {"affinity": 1}}, "conflicts": {"pod": "replace"}}))
            .pod(json!({"spec": {"affinity": "x".repeat(33 * 1024)}})),
    ]
}

/// What an application team asks for comes behind everything that decides whether a sidecar is for the pod at all.
fn override_cases() -> Vec<Case> {
    let case = |row, expected, more: Value| {
        let declared = json!({"overrides": [{"annotation": "n", "type": "integer"}]});
        let asked = json!({"metadata": {"annotations": {"s.sidecar.fedcar.dev/n": "1.5"}}});
        Case::new(row, expected).sidecar(merged(declared, &more)).pod(asked)
    };
    vec![
        case("override", ("skipped", Reason::OverrideInvalid), json!({})),
        case("override, required", ("denied", Reason::OverrideInvalid), json!({"mode": "required"})),
        case("override, by document", ("denied", Reason::OverrideInvalid), json!({"onConflict": "deny"})),
        case("override, behind when", ("skipped", Reason::ConditionFalse), json!({"mode": "required", "when": false})),
    ]
}

/// A "no" that has no right counts as absent: rows 8 and 9.
fn opt_out_cases() -> Vec<Case> {
    use Reason as R;
    let (one, all) = ("sidecar.fedcar.dev/s", "fedcar.dev/inject");
    let right =
        |by: &str, matching: Value| json!({"name": by, "match": matching, "optOut": [{"sidecar": "s", "by": by}]});
    let rights = |guardrails: Value| json!({"guardrails": guardrails});
    let by = |by: &str| rights(json!([right(by, json!({}))]));
    let labels = |labels: Value| json!({"metadata": {"labels": labels}});
    let off = || labels(json!({one: "disabled"}));
    let in_namespace = |labels: Value| json!({"namespace": {"metadata": {"labels": labels}}});
    let opt_in = || json!({"mode": "opt-in"});
    let (injected, skipped) = (|reason| ("injected", reason), |reason| ("skipped", reason));
    vec![
        Case::new("8 pods may", skipped(R::DisabledByPod)).settings(by("pods")).pod(off()),
        Case::new("8 only namespaces may", injected(R::OptOutDefault)).settings(by("namespaces")).pod(off()),
        Case::new("8 nobody may", injected(R::OptOutDefault))
            .settings(by("nobody"))
            .pod(labels(json!({all: "disabled"}))),
        Case::new("8 nobody may, by annotation", injected(R::OptOutDefault))
            .settings(by("nobody"))
            .pod(json!({"metadata": {"annotations": {one: "disabled"}}})),
        Case::new("8 absent, so the key for all counts", injected(R::EnabledByPod))
            .settings(by("namespaces"))
            .pod(labels(json!({one: "disabled", all: "enabled"})))
            .sidecar(opt_in()),
        Case::new("8 yes needs no right", injected(R::EnabledByPod))
            .settings(by("nobody"))
            .pod(labels(json!({one: "enabled"})))
            .sidecar(opt_in()),
        Case::new("8 absent, so 9 counts", injected(R::EnabledByNamespace))
            .settings(by("namespaces"))
            .pod(off())
            .payload(in_namespace(json!({one: "enabled"})))
            .sidecar(opt_in()),
        Case::new("8 absent, and not asked for", skipped(R::OptInDefault))
            .settings(by("nobody"))
            .pod(off())
            .sidecar(opt_in()),
        Case::new("8 the strictest counts", injected(R::OptOutDefault))
            .settings(rights(json!([right("pods", json!({})), right("nobody", json!({}))])))
            .pod(off()),
        Case::new("8 of those that are about the pod", skipped(R::DisabledByPod))
            .settings(rights(json!([right("nobody", json!({"namespaces": {"matchLabels": {"tier": "test"}}}))])))
            .pod(off()),
        Case::new("9 namespaces may", skipped(R::DisabledByNamespace))
            .settings(by("namespaces"))
            .payload(in_namespace(json!({one: "disabled"}))),
        Case::new("9 nobody may", injected(R::OptOutDefault))
            .settings(by("nobody"))
            .payload(in_namespace(json!({all: "disabled"}))),
    ]
}

#[test]
fn an_opt_out_without_a_right_is_a_warning_that_names_the_guardrail() {
    for case in opt_out_cases() {
        let warned = case.run()["warnings"].to_string().contains("no right to opt out of `s`");
        let rows = ["only", "nobody", "absent", "strictest"];
        assert_eq!(warned, rows.iter().any(|row| case.row.contains(row)), "{}", case.row);
    }
}

#[test]
fn rights_are_those_of_sidecars_that_are_there() {
    let settings = |right: Value| {
        let guardrail = json!({"name": "g", "optOut": [right]});
        json!({"schemaVersion": 1, "cluster": {"name": "eu-1"}, "sidecars": [sidecar()], "guardrails": [guardrail]})
    };
    for (right, pointer) in [
        (json!({"sidecar": "t", "by": "pods"}), "/guardrails/0/optOut"),
        (json!({"sidecar": "s", "by": "teams"}), "/guardrails/0/optOut/0/by"),
        (json!({"sidecar": "s"}), "/guardrails/0/optOut/0"),
    ] {
        let problems = Settings::read(&settings(right)).unwrap_err();
        assert_eq!(problems.iter().map(|one| one.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
    }
    assert!(Settings::read(&settings(json!({"sidecar": "s", "by": "nobody"}))).is_ok());
}

#[test]
fn the_table_holds_row_by_row() {
    let mut seen = BTreeSet::new();
    for case in cases().into_iter().chain(override_cases()).chain(opt_out_cases()) {
        let reply = case.run();
        let told = &reply["report"]["sidecars"][0];
        let (result, reason) = case.expected;
        assert_eq!(
            (&told["result"], &told["code"]),
            (&json!(result), &json!(reason.code())),
            "{}: {reply:#}",
            case.row
        );
        assert_eq!(reply["verdict"] == "denied", result == "denied", "{}", case.row);
        assert_eq!(reply.get("patch").is_some(), result == "injected", "{}", case.row);
        assert_eq!(told["sentence"], reason.sentence(), "{}", case.row);
        seen.insert(reason.code());
    }
    let all: BTreeSet<_> = Reason::ALL.iter().map(|one| one.code()).collect();
    assert_eq!(seen, all, "each reason has a case");
}

#[test]
fn another_value_of_a_switch_is_a_warning() {
    let reply = Case::new("8", ("injected", Reason::OptOutDefault))
        .pod(json!({"metadata": {"labels": {"fedcar.dev/inject": "false"}}}))
        .run();
    assert!(reply["warnings"][0].as_str().unwrap().contains("fedcar.dev/inject"), "{reply:#}");
}

#[test]
fn the_guardrail_that_decided_is_the_place_that_is_told() {
    let reply =
        Case::new("6", ("injected", Reason::RequiredByGuardrail)).settings(guardrail("required", &json!({}))).run();
    assert_eq!(reply["report"]["sidecars"][0]["origin"], json!({"file": "g.yaml", "line": 7}));
}

#[test]
fn row_1_passes_what_holds_no_pod() {
    let prepared = prepare(&support::settings(json!([sidecar()])));
    let deployment =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": []}}}});
    let mut seen = BTreeSet::new();
    for (over, pass) in [
        (json!({"operation": "DELETE"}), Pass::Operation),
        (json!({"operation": "CONNECT", "subResource": "exec"}), Pass::Operation),
        (json!({"operation": null}), Pass::Operation),
        (json!({"subResource": "status"}), Pass::Subresource),
        (json!({"kind": {"group": "", "kind": "ConfigMap"}}), Pass::NotAWorkload),
        (json!({"kind": {"group": "example.com", "kind": "Pod"}}), Pass::NotAWorkload),
        (json!({"object": null}), Pass::NoObject),
        (json!({"operation": "UPDATE"}), Pass::Verified),
        (json!({"kind": {"group": "apps", "kind": "Deployment"}, "object": deployment}), Pass::TemplateLeftAlone),
    ] {
        let mut payload = payload(&pod());
        for (key, value) in over.as_object().unwrap() {
            payload["request"][key] = value.clone();
        }
        let reply = answer(&prepared, &payload);
        assert_eq!((&reply["verdict"], &reply["code"]), (&json!("allowed"), &json!(pass.code())), "{over}: {reply}");
        assert_eq!(reply.get("patch"), None);
        seen.insert(pass.code());
    }
    assert_eq!(seen, Pass::ALL.iter().map(|one| one.code()).collect(), "each pass has a case");
}

struct Unknown;

impl Namespaces for Unknown {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }
}

#[test]
fn faults_are_no_decisions_and_follow_the_settings() {
    let selecting =
        json!({"name": "s", "mode": "opt-out", "inject": {}, "match": {"namespaces": {"matchLabels": {"tier": "x"}}}});
    let settings = |on_fault: &str| json!({"schemaVersion": 1, "cluster": {"name": "c"}, "onFault": on_fault, "sidecars": [selecting]});
    let request = payload(&pod())["request"].clone();
    let mut specless = request.clone();
    specless["object"] = json!({"spec": []});
    let mut seen = BTreeSet::new();
    for (request, broken, code) in [
        (request.clone(), false, FaultCode::NamespaceUnknown),
        (specless, false, FaultCode::BadObject),
        (json!({"kind": 3}), false, FaultCode::BadRequest),
        (request, true, FaultCode::BadSettings),
    ] {
        for on_fault in ["deny", "allow"] {
            let mut settings = settings(on_fault);
            if broken {
                settings["nonsense"] = json!(1);
            }
            let reply =
                protocol::validate(json!({"request": request, "settings": settings}).to_string().as_bytes(), &Unknown);
            let reply: Value = serde_json::from_slice(&reply).unwrap();
            // Settings that cannot be read cannot say `allow`.
            let accepted = on_fault == "allow" && !broken;
            assert_eq!(reply["accepted"], accepted, "{code:?}: {reply}");
            let said = if accepted { &reply["warnings"][0] } else { &reply["message"] };
            assert!(said.as_str().unwrap().contains(code.sentence()), "{code:?}: {reply}");
            if !broken {
                let reply = answer(&prepare(&settings), &json!({"request": request}));
                assert_eq!((&reply["verdict"], &reply["code"]), (&json!("fault"), &json!(code.code())), "{reply}");
            }
        }
        seen.insert(code.code());
    }
    assert_eq!(seen, FaultCode::ALL.iter().map(|one| one.code()).collect(), "each fault has a case");
}

#[test]
fn what_cannot_be_taken_back_says_why() {
    let sidecar =
        merged(sidecar(), &json!({"inject": {"labels": {"app": "ours"}}, "conflicts": {"labels": "replace"}}));
    let prepared = prepare(&support::settings(json!([sidecar])));
    let object = merged(pod(), &json!({"metadata": {"labels": {"app": "web"}}}));
    let injected = patched(&object, &admit(&prepared, &object));
    let with = |pointer: &str, value: Value| {
        let mut object = injected.clone();
        *object.pointer_mut(pointer).unwrap() = value;
        object
    };
    let mut seen = BTreeSet::new();
    for (object, refusal) in [
        (pod(), Refusal::NotInjected),
        (json!({"apiVersion": "v1", "kind": "ConfigMap"}), Refusal::NotInjected),
        (with("/metadata/annotations/fedcar.dev~1injected", json!("{")), Refusal::BadMarker),
        (with("/metadata/annotations/fedcar.dev~1injected", json!(7)), Refusal::BadMarker),
        (with("/metadata/annotations/fedcar.dev~1original", json!("{}")), Refusal::BadRecord),
        (with("/metadata/annotations/fedcar.dev~1original", Value::Null), Refusal::BadRecord),
        (with("/metadata/labels/app", json!("other")), Refusal::Changed),
        (with("/spec/containers/1/image", json!("other")), Refusal::Changed),
    ] {
        let reply = restore(&object);
        assert_eq!(reply["refused"]["code"], refusal.code(), "{reply}");
        seen.insert(refusal.code());
    }
    let reply: Value = serde_json::from_slice(&protocol::restore(b"{")).unwrap();
    assert_eq!(reply["refused"]["code"], Refusal::RequestUnreadable.code());
    seen.insert(Refusal::RequestUnreadable.code());
    assert_eq!(seen, Refusal::ALL.iter().map(|one| one.code()).collect(), "each refusal has a case");
}

#[test]
fn an_update_of_a_pod_is_told_what_is_wrong_and_never_denied() {
    let prepared = prepare(&support::settings(json!([merged(sidecar(), &json!({"mode": "required"}))])));
    let injected = patched(&pod(), &admit(&prepared, &pod()));
    let mut tampered = injected.clone();
    tampered["spec"]["containers"][1]["image"] = json!("other");
    for (object, warnings) in [(&injected, 0), (&tampered, 1), (&pod(), 1)] {
        let mut payload = payload(object);
        payload["request"]["operation"] = json!("UPDATE");
        let reply = answer(&prepared, &payload);
        assert_eq!((&reply["verdict"], &reply["code"]), (&json!("allowed"), &json!("verified")));
        assert_eq!(reply["warnings"].as_array().map_or(0, Vec::len), warnings, "{reply}");
    }
}

#[test]
fn a_growing_rollout_never_takes_a_workload_back() {
    for workload in ["checkout", "cart", "search", "mail"] {
        let mut reached = false;
        for percent in (0..=100).step_by(10) {
            let rollout = json!({"rollout": {"salt": "r", "percent": percent, "previous": {"version": "old", "inject": {}}}, "version": "new"});
            let reply = Case::new("10", ("injected", Reason::OptOutDefault))
                .sidecar(rollout)
                .pod(json!({"metadata": {"name": workload}}))
                .run();
            let new = reply["report"]["sidecars"][0]["version"] == "new";
            assert!(new || !reached, "{workload} at {percent}");
            reached = new;
        }
        assert!(reached, "{workload}");
    }
}
