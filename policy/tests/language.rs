//! What a sidecar's document can say, construct by construct: what comes out, that a second admission changes nothing,
//! and that the original comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests: they end a test by panicking and take `json!` as it comes"
)]

use fedcar_policy::injection::{AdmissionInput, AdmissionRequest, Decision, GroupVersionKind, decide, uninject};
use fedcar_policy::settings::Settings;
use serde_json::{Value, json};

/// Settings with these sidecars, each `{name, inject, …}`, all `opt-out` unless they say otherwise.
fn settings(sidecars: &[Value]) -> Value {
    let mut sidecars = sidecars.to_vec();
    for sidecar in &mut sidecars {
        let fields = sidecar.as_object_mut().unwrap();
        fields.entry("mode").or_insert_with(|| json!("opt-out"));
    }
    json!({
        "schemaVersion": 1,
        "cluster": {"name": "c", "capabilities": {"nativeSidecars": true}},
        "sidecars": sidecars,
    })
}

fn ask(settings: &Value, object: &Value) -> Decision {
    let settings = Settings::read(settings).unwrap();
    let request = AdmissionRequest {
        operation: Some("CREATE".to_owned()),
        kind: Some(GroupVersionKind { group: None, kind: Some("Pod".to_owned()) }),
        namespace: Some("shop".to_owned()),
        object: Some(object.clone()),
        ..AdmissionRequest::default()
    };
    let namespace = json!({"metadata": {"name": "shop", "annotations": {"uid-range": "1000/10"}}});
    decide(&settings, AdmissionInput { request, namespace: Some(namespace), offline: false })
}

/// The injected object, held to the promises that it changes no more and gives the original back.
fn inject(settings: &Value, object: &Value) -> Value {
    let Decision::Allowed(allowed) = ask(settings, object) else { panic!("{:?}", ask(settings, object)) };
    let patch: json_patch::Patch = serde_json::from_value(serde_json::to_value(&allowed.patch).unwrap()).unwrap();
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &patch).unwrap();
    assert_eq!(patched, allowed.object, "the patch leads to the object");
    let injected = allowed.object;
    if injected["metadata"]["annotations"].get("fedcar.dev/injected").is_some() {
        let Decision::Allowed(again) = ask(settings, &injected) else { panic!("second admission") };
        assert!(again.patch.is_empty(), "a second admission changes {:?}", again.patch);
        let (restored, _) = uninject(&injected).unwrap();
        assert_eq!(&restored, object, "the original comes back");
    }
    injected
}

/// Why the only sidecar was left out: code and details.
fn left_out(settings: &Value, object: &Value) -> (String, Vec<String>) {
    let Decision::Allowed(allowed) = ask(settings, object) else { panic!("{:?}", ask(settings, object)) };
    assert_eq!(&allowed.object, object);
    let report = &allowed.report.sidecars[0];
    (report.code.to_owned(), report.details.clone())
}

fn problems(settings: &Value) -> Vec<String> {
    let problems = Settings::read(settings).unwrap_err();
    problems
        .into_iter()
        .map(|one| {
            format!("{} {}{}", one.pointer, one.message, one.hint.map_or_else(String::new, |hint| format!(" ({hint})")))
        })
        .collect()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|one| one["name"].as_str().unwrap()).collect()
}

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
}

fn app() -> Value {
    json!({
        "name": "app", "image": "a", "command": ["run"], "args": ["-v"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"path": "/live", "port": "http", "scheme": "HTTPS"}, "periodSeconds": 3, "x-new": 1},
        "readinessProbe": {"exec": {"command": ["true"]}},
        "startupProbe": {"tcpSocket": {"port": 9090}},
        "lifecycle": {"preStop": {"httpGet": {"path": "/stop", "port": 8080}}},
    })
}

#[test]
fn definitions_are_worked_out_in_order_and_checked_by_name() {
    let sidecar = |inject: Value| {
        json!({"name": "s", "inject": inject, "let": [
            {"name": "port", "value": "${int(pod.metadata.?annotations['port'].orValue('15020'))}"},
            {"name": "none", "value": "${pod.metadata.?annotations['none']}"},
            {"name": "url", "value": "http://127.0.0.1:${let.port}/"},
        ]})
    };
    let labels = sidecar(
        json!({"annotations": {"url": "${let.url}", "none": "${let.?none}", "uids": "${namespace.annotations['uid-range']}"}}),
    );
    let injected = inject(&settings(&[labels]), &pod(json!({"containers": [app()]})));
    let annotations = &injected["metadata"]["annotations"];
    assert_eq!(annotations["url"], "http://127.0.0.1:15020/");
    assert_eq!(annotations["uids"], "1000/10");
    assert_eq!(annotations.get("none"), None);
    assert_eq!(
        problems(&settings(&[sidecar(json!({"annotations": {"a": "${let.prot}"}}))])),
        ["/sidecars/0/inject/annotations/a `let` has no `prot` at byte 6 (did you mean `port`?)"]
    );
    let early = json!({"name": "s", "inject": {}, "let": [{"name": "first", "value": 1}, {"name": "a", "value": "${let.b}"}, {"name": "b", "value": 1}, {"name": "b-c", "value": 1}]});
    assert_eq!(
        problems(&settings(&[early])),
        [
            "/sidecars/0/let/1/value `let` has no `b` at byte 6 (it has first here)",
            "/sidecars/0/let/3/name expected a name such as `statusPort` (letters, digits, `_`), found `b-c`",
        ]
    );
}

#[test]
fn definitions_can_be_shared_and_cost_only_those_who_read_them() {
    let mut settings = settings(&[
        json!({"name": "one", "inject": {"labels": {"a": "${let.second}"}}}),
        json!({"name": "two", "inject": {"labels": {"b": "fine"}}}),
    ]);
    settings["let"] = json!([
        {"name": "first", "value": "${pod.metadata.name}"},
        {"name": "second", "value": "${let.first}-2"},
        {"name": "broken", "value": "${pod.spec.nothing}"},
    ]);
    let injected = inject(&settings, &pod(json!({"containers": [app()]})));
    assert_eq!(injected["metadata"]["labels"], json!({"a": "p-2", "b": "fine"}));
    let digests = |injected: &Value| {
        let marker: Value =
            serde_json::from_str(injected["metadata"]["annotations"]["fedcar.dev/injected"].as_str().unwrap()).unwrap();
        [&marker["sidecars"]["one"]["digest"], &marker["sidecars"]["two"]["digest"]].map(Value::to_string)
    };
    let before = digests(&injected);
    settings["let"][0]["value"] = json!("${workload.name}");
    let after = digests(&inject(&settings, &pod(json!({"containers": [app()]}))));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    settings["sidecars"][0]["let"] = json!([{"name": "first", "value": 1}]);
    settings["let"][2]["value"] = json!("${sidecar.name} ${overrides.x}");
    assert_eq!(problems(&settings).len(), 3, "{:?}", problems(&settings));
}

#[test]
fn validations_say_why_a_sidecar_is_left_out() {
    let sidecar = json!({"name": "s", "inject": {"labels": {"a": "b"}}, "validations": [
        {"expression": "${!applications.exists(c, c.?securityContext.?runAsUser.orValue(0) == 1337)}",
         "message": "user 1337 is the proxy's own"},
        {"expression": "${applications.size() < 1}", "message": "${applications.size()}"},
    ]});
    let object = pod(json!({"containers": [{"name": "app", "image": "a", "securityContext": {"runAsUser": 1337}}]}));
    assert_eq!(
        left_out(&settings(&[sidecar]), &object),
        ("validation-failed".to_owned(), vec!["user 1337 is the proxy's own".to_owned(), "1".to_owned()])
    );
}

#[test]
fn handlers_lead_elsewhere_and_come_back() {
    let sidecar = json!({"name": "s", "inject": {
        "annotations": {"was": "${toJson(handlers.filter(h, h.kind != 'exec').map(h, [h.of, h.port]))}"},
        "applications": [{"handlers": [
            {"of": ["livenessProbe", "readinessProbe", "startupProbe"], "when": "${handler.port == 8080}",
             "to": {"httpGet": {"path": "/probe/${container.name}/${handler.of}", "port": 15020}}},
            {"of": ["preStop"], "kinds": ["httpGet"], "to": {"exec": {"command": ["drain", "${handler.action.path}"]}}},
        ]}],
    }});
    let injected = inject(&settings(&[sidecar]), &pod(json!({"containers": [app()]})));
    let container = &injected["spec"]["containers"][0];
    assert_eq!(
        container["livenessProbe"],
        json!({"httpGet": {"path": "/probe/app/livenessProbe", "port": 15020}, "periodSeconds": 3, "x-new": 1})
    );
    assert_eq!(container["readinessProbe"], app()["readinessProbe"]);
    assert_eq!(container["startupProbe"], app()["startupProbe"], "its port is another one");
    assert_eq!(container["lifecycle"], json!({"preStop": {"exec": {"command": ["drain", "/stop"]}}}));
    let was: Value = serde_json::from_str(injected["metadata"]["annotations"]["was"].as_str().unwrap()).unwrap();
    assert_eq!(was, json!([["livenessProbe", 8080], ["startupProbe", 9090], ["preStop", 8080]]));
}

#[test]
fn two_sidecars_cannot_rewrite_one_handler() {
    let sidecar = |name: &str, port: u16| json!({"name": name, "inject": {"applications": [{"handlers": [{"to": {"tcpSocket": {"port": port}}}]}]}});
    let settings = settings(&[sidecar("first", 1), sidecar("second", 2)]);
    let Decision::Allowed(allowed) = ask(&settings, &pod(json!({"containers": [app()]}))) else { panic!() };
    assert_eq!(allowed.report.sidecars[1].code, "conflict");
    assert_eq!(allowed.report.sidecars[1].details[0], "`livenessProbe` of `app` was changed by another sidecar");
    assert_eq!(allowed.object["spec"]["containers"][0]["startupProbe"], json!({"tcpSocket": {"port": 1}}));
}

#[test]
fn a_command_is_wrapped_where_it_is_known() {
    let sidecar = json!({"name": "s", "inject": {"applications": [
        {"when": "${has(container.command)}", "set": {"command": "${['/wrap', '--'] + container.command}", "tty": true}},
    ]}});
    let object = pod(json!({"containers": [app(), {"name": "other", "image": "o"}]}));
    let injected = inject(&settings(&[sidecar]), &object);
    assert_eq!(injected["spec"]["containers"][0]["command"], json!(["/wrap", "--", "run"]));
    assert_eq!(injected["spec"]["containers"][0]["args"], json!(["-v"]));
    assert_eq!(injected["spec"]["containers"][0]["tty"], true);
    assert_eq!(injected["spec"]["containers"][1], json!({"name": "other", "image": "o"}));
}

#[test]
fn positions_hold_on_both_sides() {
    let container =
        |name: &str, position: Value| json!({"name": name, "image": "i", "form": "init", "position": position});
    let first = json!({"name": "first", "inject": {
        "containers": [container("net", json!({"before": ["*"]})), container("late", json!({"after": ["mid"]}))],
        "volumes": [{"name": "v1", "emptyDir": {}, "position": {"before": ["*"]}}, {"name": "v2", "emptyDir": {}, "position": {"before": ["*"]}}],
    }});
    let second = json!({"name": "second", "inject": {
        "containers": [container("proxy", json!({"before": ["*"], "after": ["net"]})), container("mid", json!({}))],
        "applications": [{"env": [{"name": "B", "value": "$(A)"}, {"name": "A", "value": "1", "position": {"before": ["*"]}}]}],
    }});
    let object = pod(json!({"containers": [{"name": "app", "image": "a", "env": [{"name": "X", "value": "$(A)"}]}],
                            "initContainers": [{"name": "mine", "image": "m"}], "volumes": [{"name": "mine"}]}));
    let injected = inject(&settings(&[first.clone(), second]), &object);
    assert_eq!(names(&injected["spec"]["initContainers"]), ["net", "proxy", "mine", "mid", "late"]);
    assert_eq!(names(&injected["spec"]["volumes"]), ["v1", "v2", "mine"]);
    assert_eq!(names(&injected["spec"]["containers"][0]["env"]), ["A", "X", "B"]);
    let clash = json!({"name": "clash", "inject": {"containers": [container("x", json!({"before": ["net"], "after": ["mine"]}))]}});
    let Decision::Allowed(allowed) = ask(&settings(&[first, clash]), &object) else { panic!() };
    assert_eq!(
        allowed.report.sidecars[1].details,
        ["container `x`: no place satisfies its position and those of the others"]
    );
}

fn proxy(overridable: Value) -> Value {
    json!({"name": "s", "inject": {
        "containers": [{
            "name": "proxy", "image": "registry/proxy:1", "form": "sidecar", "position": {"before": ["*"]}, "overridable": overridable,
            "env": [{"name": "LEVEL", "value": "info"}], "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            "securityContext": {"runAsUser": 1337, "readOnlyRootFilesystem": true}, "ports": [{"containerPort": 15021}],
        }],
        "annotations": {"apps": "${applications.map(c, c.name).join(',')}"},
        "applications": [{"env": [{"name": "PROXY", "value": "yes"}]}],
    }})
}

#[test]
fn a_container_of_the_users_overrides_ours() {
    let written = json!({"name": "proxy", "image": "auto", "env": [{"name": "LEVEL", "value": "debug"}, {"name": "MORE", "value": "1"}],
                         "resources": {"requests": {"cpu": "1"}}, "securityContext": {}, "ports": [{"containerPort": 15021}]});
    let object =
        pod(json!({"containers": [{"name": "proxy-of-mine", "image": "b"}, written, app()], "initContainers": []}));
    let injected = inject(&settings(&[proxy(json!(["env", "resources", "ports"]))]), &object);
    assert_eq!(names(&injected["spec"]["containers"]), ["proxy-of-mine", "app"]);
    let merged = &injected["spec"]["initContainers"][0];
    assert_eq!(merged["image"], "registry/proxy:1");
    assert_eq!(merged["restartPolicy"], "Always");
    assert_eq!(merged["env"], json!([{"name": "LEVEL", "value": "debug"}, {"name": "MORE", "value": "1"}]));
    assert_eq!(merged["resources"], json!({"requests": {"cpu": "1", "memory": "64Mi"}}));
    assert_eq!(merged["securityContext"], json!({"runAsUser": 1337, "readOnlyRootFilesystem": true}));
    assert_eq!(injected["metadata"]["annotations"]["apps"], "proxy-of-mine,app");
    assert_eq!(names(&injected["spec"]["containers"][1]["env"]), ["PROXY"]);
    // What others have put in front of it by then is no obstacle to the way back.
    let mut more = injected;
    more["spec"]["containers"].as_array_mut().unwrap().insert(0, json!({"name": "theirs", "image": "t"}));
    let (restored, _) = uninject(&more).unwrap();
    assert_eq!(names(&restored["spec"]["containers"]), ["theirs", "proxy-of-mine", "proxy", "app"]);
}

#[test]
fn an_override_goes_no_further_than_the_document_lets_it() {
    let object = pod(
        json!({"containers": [app(), {"name": "proxy", "image": "evil", "securityContext": {"runAsUser": 0}, "env": []}]}),
    );
    let (code, details) = left_out(&settings(&[proxy(json!(["env"]))]), &object);
    assert_eq!(code, "conflict");
    assert_eq!(
        details,
        [
            "container `proxy`: `image` of it may not be overridden",
            "container `proxy`: `securityContext` of it may not be overridden"
        ]
    );
    let injected = inject(&settings(&[proxy(json!(["*"]))]), &object);
    assert_eq!(injected["spec"]["initContainers"][0]["image"], "evil");
    let alone = pod(json!({"containers": [{"name": "proxy", "image": "auto"}]}));
    let (code, details) = left_out(&settings(&[proxy(json!(["*"]))]), &alone);
    assert_eq!((code.as_str(), details.as_slice()), ("invalid", &["no container would be left".to_owned()][..]));
}

#[test]
fn what_is_fixed_stands_whatever_an_override_says() {
    let mut sidecar = proxy(json!(["*"]));
    let container = &mut sidecar["inject"]["containers"][0];
    container["fixed"] = json!({"securityContext": {"runAsUser": "${1000 + 337}"}, "env": [{"name": "LAST", "value": "${pod.metadata.name}"}]});
    let object = pod(
        json!({"containers": [app(), {"name": "proxy", "image": "auto", "tty": true, "securityContext": {"runAsUser": 0},
                            "env": [{"name": "LAST", "value": "mine"}, {"name": "FIRST", "value": "1"}, {"name": "LEVEL", "value": "debug"}]}]}),
    );
    let injected = inject(&settings(std::slice::from_ref(&sidecar)), &object);
    let merged = &injected["spec"]["initContainers"][0];
    assert_eq!((&merged["tty"], &merged["securityContext"]["runAsUser"]), (&json!(true), &json!(1337)));
    assert_eq!(names(&merged["env"]), ["LAST", "FIRST", "LEVEL"]);
    assert_eq!(merged["env"][0]["value"], "p");
    let alone = inject(&settings(&[sidecar]), &pod(json!({"containers": [app()]})));
    assert_eq!(names(&alone["spec"]["initContainers"][0]["env"]), ["LEVEL", "LAST"]);
}

#[test]
fn form_and_position_can_be_worked_out_for_a_pod() {
    let sidecar = json!({"name": "s", "let": [{"name": "native", "value": "${pod.metadata.?annotations['native'].orValue('true') == 'true'}"}],
    "inject": {"containers": [{
        "name": "proxy", "image": "p", "form": "${let.native ? 'sidecar' : 'container'}",
        "position": {"before": "${let.native ? ['*'] : []}"},
    }]}});
    let native = inject(
        &settings(std::slice::from_ref(&sidecar)),
        &pod(json!({"containers": [app()], "initContainers": [{"name": "i", "image": "i"}]})),
    );
    assert_eq!(names(&native["spec"]["initContainers"]), ["proxy", "i"]);
    assert_eq!(native["spec"]["initContainers"][0]["restartPolicy"], "Always");
    let mut object = pod(json!({"containers": [app()]}));
    object["metadata"]["annotations"] = json!({"native": "false"});
    let beside = inject(&settings(&[sidecar]), &object);
    assert_eq!(names(&beside["spec"]["containers"]), ["app", "proxy"]);
    assert_eq!(beside["spec"]["containers"][1].get("restartPolicy"), None);
    let wrong = json!({"name": "s", "inject": {"containers": [{"name": "proxy", "image": "p", "form": "${pod.metadata.name}"}]}});
    assert_eq!(
        left_out(&settings(&[wrong]), &pod(json!({"containers": [app()]}))),
        (
            "expression-failed".to_owned(),
            vec!["`form`: expected sidecar, init or container, found text `p`".to_owned()]
        )
    );
}

#[test]
fn labels_and_annotations_are_taken_away_and_come_back() {
    let sidecar = json!({"name": "s", "inject": {
        "annotations": {"moved": "${pod.metadata.annotations['a/scrape']}"},
        "remove": {"annotations": ["a/scrape", "absent"], "labels": "${['old']}"},
    }});
    let mut object = pod(json!({"containers": [app()]}));
    object["metadata"]["annotations"] = json!({"a/scrape": "8080", "b": "1"});
    object["metadata"]["labels"] = json!({"old": "1"});
    let injected = inject(&settings(&[sidecar]), &object);
    let annotations = injected["metadata"]["annotations"].as_object().unwrap();
    assert_eq!(
        (annotations.get("a/scrape"), &annotations["moved"], &annotations["b"]),
        (None, &json!("8080"), &json!("1"))
    );
    assert_eq!(injected["metadata"].get("labels"), None, "an empty map goes, as the API server would have it");
}

#[test]
fn positions_that_mean_nothing_are_problems() {
    let container = |position: Value| json!({"name": "s", "inject": {"containers": [{"name": "x", "image": "i", "position": position}]}});
    let mount = json!({"name": "tmp", "mountPath": "/tmp", "position": {"before": ["*"]}});
    let mounts = json!({"name": "s", "inject": {"applications": [{"volumeMounts": [mount]}]}});
    for (sidecar, problem) in [
        (
            container(json!({"befor": "${['*']}"})),
            "/sidecars/0/inject/containers/0/position/befor unknown key (did you mean `before`?)",
        ),
        (mounts, "/sidecars/0/inject/applications/0/volumeMounts/0/position the items of this list have no position"),
    ] {
        assert_eq!(problems(&settings(&[sidecar])), [problem]);
    }
    let object = pod(json!({"containers": [app()]}));
    let whole = container(json!("${{'before': applications.map(c, c.name)}}"));
    assert_eq!(names(&inject(&settings(&[whole]), &object)["spec"]["containers"]), ["x", "app"]);
    let (code, details) = left_out(&settings(&[container(json!({"before": "${pod.metadata.name}"}))]), &object);
    assert_eq!(
        (code.as_str(), details[0].as_str()),
        ("expression-failed", "`position.before`: expected a list of names, found text `p`")
    );
    let injected = inject(&settings(&[container(json!({"before": ["${applications[0].name}"]}))]), &object);
    assert_eq!(names(&injected["spec"]["containers"]), ["x", "app"]);
}

#[test]
fn a_whole_list_can_come_from_an_expression() {
    let sidecar = |volumes: Value| json!({"name": "s", "inject": {"volumes": volumes}});
    let object = pod(json!({"containers": [app()]}));
    let injected =
        inject(&settings(&[sidecar(json!("${applications.map(c, {'name': c.name, 'emptyDir': {}})}"))]), &object);
    assert_eq!(injected["spec"]["volumes"], json!([{"name": "app", "emptyDir": {}}]));
    let (code, details) = left_out(&settings(&[sidecar(json!("${pod.metadata.name}"))]), &object);
    assert_eq!((code.as_str(), details.len()), ("expression-failed", 1), "{details:?}");
}

#[test]
fn a_forged_removal_is_refused() {
    let object = pod(json!({"containers": [app(), {"name": "proxy", "image": "auto"}]}));
    let mut injected = inject(&settings(&[proxy(json!(["*"]))]), &object);
    injected["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": "again"}));
    assert_eq!(uninject(&injected).unwrap_err().place.as_deref(), Some("/spec/containers/proxy"));
}
