//! Fragments as tables: what the Kubernetes API knows, what it does not, and what only a request can tell.

use serde_json::{Value, json};

use super::check;

fn problems(inject: &Value) -> Vec<String> {
    let found = check(&json!({"spec": {"inject": inject}}));
    let line = |problem: &super::Problem| {
        let place = problem.pointer.strip_prefix("/spec/inject/").unwrap_or(&problem.pointer);
        let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{place}: {}{hint}", problem.message)
    };
    found.iter().map(line).collect()
}

#[test]
fn what_kubernetes_does_not_know_is_a_problem_at_its_place() {
    for (inject, expected) in [
        (
            json!({"containers": [{"name": "a", "image": "b", "imagePullPolcy": "Always"}]}),
            vec!["containers/0/imagePullPolcy: unknown field of Container (did you mean `imagePullPolicy`?)"],
        ),
        (
            json!({"containers": [{"name": "a", "volumeMount": []}, {"name": "b", "sidecar": true}]}),
            vec![
                "containers/0/volumeMount: unknown field of Container (did you mean `volumeMounts`?)",
                "containers/1/sidecar: unknown field of Container (fedcar knows the fields of Kubernetes 1.37)",
            ],
        ),
        (
            json!({"containers": [{"name": "a", "securityContext": {"capabilites": {"drop": ["ALL"]}}}]}),
            vec![
                "containers/0/securityContext/capabilites: unknown field of SecurityContext (did you mean \
                  `capabilities`?)",
            ],
        ),
        (
            json!({"containers": [{"name": "a", "ports": [{"containerPort": "http"}, {"containerPort": "80"}, {}]}]}),
            vec![
                "containers/0/ports/0/containerPort: expected a whole number, found text `http`",
                "containers/0/ports/1/containerPort: expected a whole number, found text `80` (leave out the quotes)",
                "containers/0/ports/2: `containerPort` is missing",
            ],
        ),
        (
            json!({"containers": [{"name": "a", "env": [{"name": "PORT", "value": 8080}], "args": "--verbose"}]}),
            vec![
                "containers/0/env/0/value: expected text, found `8080` (put it in quotes: \"8080\")",
                "containers/0/args: expected a list, found text `--verbose`",
            ],
        ),
        (
            json!({"containers": [{"name": "a", "securityContext": "restricted", "livenessProbe": {"httpget": {}}}]}),
            vec![
                "containers/0/securityContext: expected an object (SecurityContext), found text `restricted`",
                "containers/0/livenessProbe/httpget: unknown field of Probe (did you mean `httpGet`?)",
            ],
        ),
        (
            json!({"volumes": [{"name": "a", "emptydir": {}}, {"name": "b", "secret": {"secretName": ["s"]}}]}),
            vec![
                "volumes/0/emptydir: unknown field of Volume (did you mean `emptyDir`?)",
                "volumes/1/secret/secretName: expected text, found a list of 1",
            ],
        ),
        (
            json!({"labels": {"a": true}, "annotations": {"b": 1}}),
            vec![
                "labels/a: expected text, found `true` (put it in quotes: \"true\")",
                "annotations/b: expected text, found `1` (put it in quotes: \"1\")",
            ],
        ),
        (
            json!({"pod": {"dnsConfig": {"options": [{"nam": "ndots"}]}, "terminationGracePeriodSecond": 5}}),
            vec![
                "pod/dnsConfig/options/0/nam: unknown field of PodDNSConfigOption (did you mean `name`?)",
                "pod/terminationGracePeriodSecond: unknown field of PodSpec (did you mean \
                 `terminationGracePeriodSeconds`?)",
            ],
        ),
        (
            json!({"applications": [{
                "env": [{"name": "A", "valuefrom": {}}],
                "envFrom": [{"configMap": {"name": "c"}}],
                "volumeMounts": [{"name": "v", "readonly": true}],
                "lifecycle": {"preStop": {"sleep": {"seconds": "5s"}}},
            }]}),
            vec![
                "applications/0/env/0/valuefrom: unknown field of EnvVar (did you mean `valueFrom`?)",
                "applications/0/envFrom/0/configMap: unknown field of EnvFromSource (fedcar knows the fields of \
                 Kubernetes 1.37)",
                "applications/0/volumeMounts/0/readonly: unknown field of VolumeMount (did you mean `readOnly`?)",
                "applications/0/volumeMounts/0: `mountPath` is missing",
                "applications/0/lifecycle/preStop/sleep/seconds: expected a whole number, found text `5s`",
            ],
        ),
    ] {
        assert_eq!(problems(&inject), expected, "{inject}");
    }
}

#[test]
fn expressions_may_stand_for_any_type() {
    let inject = json!({
        "containers": [{
            "name": "agent",
            "form": "sidecar",
            "fallback": {"form": "container", "jobs": "skip"},
            "position": {"before": ["istio-proxy"]},
            "image": "${vars.registry}/agent:1",
            "when": "${workload.kind != 'Job'}",
            "args": "${vars.args}",
            "ports": [
                {"containerPort": "${vars.port}"},
                "${vars.extraPort}",
                {"forEach": "${vars.ports}", "as": "port", "containerPort": "${port.number}", "name": "x"},
            ],
            "securityContext": {"runAsNonRoot": "${vars.nonRoot}", "capabilities": "${vars.capabilities}"},
            "resources": {"requests": {"cpu": 1, "memory": "${vars.memory}"}, "limits": {"cpu": 0.50}},
        }],
        "volumes": ["${vars.volume}", {"name": "v", "emptyDir": {}, "when": "${vars.volumes}"}],
        "labels": {"version": "${vars.version}"},
        "pod": {"hostAliases": "${vars.aliases}", "terminationGracePeriodSeconds": "${vars.grace}"},
    });
    assert_eq!(problems(&inject), [""; 0]);
}

#[test]
fn a_place_with_an_expression_does_not_hide_what_is_wrong_elsewhere() {
    let inject = json!({"containers": [{
        "name": "a",
        "ports": ["${vars.port}", {"containerPort": "${vars.number}", "hostport": 1}, {"name": "late"}],
    }]});
    assert_eq!(
        problems(&inject),
        [
            "containers/0/ports/1/hostport: unknown field of ContainerPort (did you mean `hostPort`?)",
            "containers/0/ports/2: `containerPort` is missing",
        ]
    );
}

#[test]
fn the_version_that_a_rollout_replaces_is_checked_too() {
    let previous = json!({"version": "0", "inject": {"containers": [{"name": "a", "tt": true}]}});
    let found = check(&json!({"spec": {"rollout": {"previous": previous}}}));
    let places: Vec<&str> = found.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(places, ["/spec/rollout/previous/inject/containers/0/tt"]);
}

#[test]
fn nulls_and_empty_collections_are_as_good_as_missing() {
    let inject = json!({"containers": [{"name": "a", "tty": null, "args": [], "resources": {}, "env": []}]});
    assert_eq!(problems(&inject), [""; 0]);
}
