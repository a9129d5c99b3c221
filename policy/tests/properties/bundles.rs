//! Settings: one to four sidecars that share names with each other and with the generated pods.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::strategy::{Json, extend, just, map, object, one_of, some_of};

fn texts() -> Json {
    one_of(&[
        json!("x"),
        json!(""),
        json!("${workload.name}"),
        json!("v-${pod.spec.?serviceAccountName.orValue('default')}"),
        json!("${sidecar.name}"),
    ])
}

fn container(name: &'static str) -> Json {
    let computed = "${has(pod.spec.tolerations) ? 'sidecar' : 'container'}";
    let form = one_of(&["sidecar", "init", "container", "sidecar", "init", "container", computed].map(Value::from));
    let form = object(vec![
        ("form", 80, form),
        (
            "position",
            40,
            one_of(&[
                json!({"before": ["*"]}),
                json!({"before": ["mesh"], "after": ["setup"]}),
                json!({"after": ["app"]}),
                json!({"before": ["web", "proxy"]}),
                json!({"before": ["*"], "after": ["setup"]}),
                json!({"after": ["*"]}),
                json!({"before": "${applications.map(c, c.name)}"}),
            ]),
        ),
        ("overridable", 40, one_of(&[json!(["*"]), json!(["resources", "env", "ports"]), json!([])])),
        ("fixed", 15, just(json!({"env": [{"name": "FIXED", "value": "${let.name}"}], "tty": true}))),
        (
            "fallback",
            20,
            one_of(&[json!({"form": "container", "jobs": "container"}), json!({"form": "init", "jobs": "container"})]),
        ),
        ("when", 20, one_of(&[json!("${size(pod.spec.containers) > 1}"), json!(true)])),
        (
            "args",
            40,
            one_of(&[
                json!([]),
                json!(["--port=1", "${workload.kind}"]),
                json!([{"forEach": "${pod.spec.containers}", "as": "one", "when": "${one.name != 'web'}", "x": "${one.name}"}]),
            ]),
        ),
        (
            "sizing",
            30,
            one_of(&[
                json!({"cpu": {"percentOfApplications": 7.5, "max": "1", "limitPercent": 150}, "podLevel": "omit"}),
                json!({"memory": {"percentOfApplications": 10, "combine": "max", "min": "1Mi", "max": "512Mi"}}),
            ]),
        ),
        ("ports", 20, one_of(&[json!([{"containerPort": 4317}]), json!([{"containerPort": 9000, "name": "m"}])])),
        (
            "resources",
            40,
            one_of(&[
                json!({"limits": {"cpu": 0.5, "memory": "1024Mi"}}),
                json!({"requests": {"cpu": "250m"}}),
                json!({}),
            ]),
        ),
        (
            "env",
            50,
            one_of(&[
                json!([{"name": "MODE", "value": "${workload.name}"}, {"name": "EMPTY", "value": ""}]),
                json!([{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
            ]),
        ),
        (
            "volumeMounts",
            50,
            one_of(&[
                json!([{"name": "tmp", "mountPath": "/tmp"}]),
                json!([{"name": "shared", "mountPath": "/s", "readOnly": false}]),
            ]),
        ),
        (
            "securityContext",
            40,
            one_of(&[
                json!({"runAsUser": 0, "allowPrivilegeEscalation": false}),
                json!({"capabilities": {"add": [], "drop": ["ALL"]}}),
            ]),
        ),
        ("tty", 20, just(json!(false))),
        ("unknownInOurs", 20, just(json!({"x": 1.10, "empty": [], "nothing": null}))),
    ]);
    form.prop_map(move |fields| extend(json!({"name": name, "image": "ours:1"}), fields)).boxed()
}

fn volumes() -> Json {
    some_of(
        85,
        vec![
            one_of(&[
                json!({"name": "tmp", "emptyDir": {}}),
                json!({"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi", "medium": ""}}),
            ]),
            just(json!({"name": "shared", "configMap": {"name": "${workload.name}"}})),
            just(
                json!({"name": "data", "emptyDir": {}, "when": "${has(pod.spec.tolerations)}", "position": {"before": ["*"]}}),
            ),
        ],
    )
}

fn pod_fields() -> Json {
    object(vec![
        ("terminationGracePeriodSeconds", 30, just(json!(40))),
        (
            "tolerations",
            30,
            just(json!([{"key": "spot", "operator": "Exists"}, {"key": "ours", "operator": "Exists"}])),
        ),
        (
            "hostAliases",
            20,
            one_of(&[
                json!([{"ip": "10.1.1.1", "hostnames": ["ours"]}]),
                json!([{"ip": "10.9.9.9", "hostnames": ["ours"]}]),
            ]),
        ),
        ("imagePullSecrets", 30, just(json!([{"name": "own"}, {"name": "ours"}]))),
        (
            "dnsConfig",
            30,
            just(
                json!({"nameservers": ["10.0.0.10", "1.1.1.1"], "options": [{"name": "ndots", "value": "5"}, {"name": "edns0"}], "searches": []}),
            ),
        ),
        (
            "securityContext",
            40,
            one_of(&[
                json!({"fsGroup": 7, "supplementalGroups": [1, 2]}),
                json!({"sysctls": [{"name": "a", "value": "1"}]}),
                json!({}),
            ]),
        ),
        ("affinity", 20, just(json!({"podAntiAffinity": {"x": [{"weight": 1}]}, "nodeAffinity": {"ours": true}}))),
        ("overhead", 10, just(json!({"memory": "1024Mi"}))),
        ("priorityClassName", 20, one_of(&[json!("${pod.spec.?nothing}"), json!("high"), Value::Null])),
        ("shareProcessNamespace", 20, just(json!(false))),
    ])
}

fn handlers() -> Json {
    let rewrite = |of: Value| json!({"of": of, "when": "${handler.?port.orValue(80) == 80}", "to": {"httpGet": {"path": "/${container.name}/${handler.of}", "port": 15020}}});
    one_of(&[
        json!([rewrite(json!(["readinessProbe", "livenessProbe"]))]),
        json!([{"of": ["preStop"], "kinds": ["sleep", "httpGet"], "to": {"exec": {"command": ["drain"]}}}]),
    ])
}

fn applications() -> Json {
    let select = one_of(&[
        json!({}),
        json!({"init": true}),
        json!({"exclude": ["web"]}),
        json!({"include": ["app", "setup"], "init": true}),
    ]);
    object(vec![
        ("select", 50, select),
        (
            "env",
            70,
            some_of(
                60,
                vec![
                    just(json!({"name": "OTEL", "value": "http://127.0.0.1:4317"})),
                    just(json!({"name": "SERVICE", "value": "${workload.name}/${container.name}"})),
                    just(json!({"name": "LANG", "value": "", "position": {"before": ["*"]}})),
                    just(
                        json!({"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1000m"}}}),
                    ),
                ],
            ),
        ),
        ("envFrom", 30, just(json!([{"configMapRef": {"name": "ours"}}]))),
        (
            "volumeMounts",
            30,
            one_of(&[json!([{"name": "tmp", "mountPath": "/tmp"}]), json!([{"name": "shared", "mountPath": "/ours"}])]),
        ),
        ("lifecycle", 30, just(json!({"preStop": {"sleep": {"seconds": 9}}, "stopSignal": "SIGTERM"}))),
        ("when", 20, just(json!("${!has(container.command) || size(container.name) > 3}"))),
        ("handlers", 30, handlers()),
        (
            "set",
            30,
            one_of(&[
                json!({"command": "${['/wrap'] + (container.?command == optional.of(null) ? [] : container.?command.orValue([]))}"}),
                json!({"tty": true, "resources": {"limits": {"cpu": 0.5}}}),
            ]),
        ),
    ])
}

fn inject() -> Json {
    object(vec![
        ("containers", 80, some_of(50, ["agent", "proxy", "setup", "log"].into_iter().map(container).collect())),
        ("volumes", 85, volumes()),
        (
            "labels",
            50,
            map(&["otel", "app", "ours.example/label"], &one_of(&[json!("yes"), json!(""), json!("${workload.kind}")])),
        ),
        ("annotations", 50, map(&["note", "ours.example/a~b", "seen"], &texts())),
        ("pod", 60, pod_fields()),
        (
            "remove",
            25,
            one_of(&[
                json!({"annotations": ["note", "a.example/with~tilde"], "labels": ["tier", "otel"]}),
                json!({"annotations": "${pod.metadata.?annotations == optional.of(null) ? [] : pod.metadata.?annotations.orValue({}).map(k, k)}"}),
            ]),
        ),
        ("applications", 60, some_of(70, vec![applications(), applications()])),
    ])
}

/// One value for labels, and two that are set in a container where the sidecar has it.
fn overrides() -> Json {
    just(json!([
        {"annotation": "level", "type": "string", "maxLength": 8},
        {"annotation": "cpu", "type": "quantity", "max": "2", "sets": "containers.agent.resources.requests.cpu"},
        {"annotation": "workers", "type": "integer", "default": 2, "sets": "containers.agent.env.WORKERS.value"},
    ]))
}

fn with_fitting_overrides(mut sidecar: Value) -> Value {
    let containers = sidecar["inject"]["containers"].as_array().into_iter().flatten();
    let has_agent = containers.filter(|one| one["name"] == "agent").count() > 0;
    for one in sidecar.get_mut("overrides").and_then(Value::as_array_mut).into_iter().flatten() {
        if !has_agent {
            one.as_object_mut().unwrap().remove("sets");
        }
    }
    sidecar
}

fn conflicts() -> Json {
    let named = || one_of(&["reject", "keep", "replace", "rename"].map(Value::from));
    let unnamed = || one_of(&["reject", "keep", "replace", "replace"].map(Value::from));
    let mut fields: Vec<_> =
        ["env", "mounts", "labels", "annotations", "pod", "lifecycle"].map(|key| (key, 70, unnamed())).into();
    fields.extend([
        ("containers", 80, named()),
        ("volumes", 60, named()),
        ("ports", 80, one_of(&["reject", "keep", "keep"].map(Value::from))),
    ]);
    object(fields)
}

fn sidecar(name: &'static str) -> Json {
    object(vec![
        ("name", 100, just(json!(name))),
        ("version", 50, just(json!("1.2.3"))),
        (
            "mode",
            100,
            one_of(&["opt-out", "opt-out", "opt-out", "opt-out", "opt-out", "opt-out", "required"].map(Value::from)),
        ),
        ("onConflict", 10, one_of(&["skip", "deny"].map(Value::from))),
        ("allowHostNetwork", 50, just(json!(true))),
        (
            "when",
            20,
            one_of(&[json!("${workload.kind != 'DaemonSet'}"), json!("${pod.metadata.?labels.orValue({}) != {}}")]),
        ),
        (
            "let",
            100,
            one_of(&[
                json!([{"name": "name", "value": "${workload.name}"}]),
                json!([{"name": "all", "value": "${handlers.map(h, h.of)}"}, {"name": "name", "value": "${let.all.size()}-${workload.kind}"}]),
            ]),
        ),
        ("validations", 10, just(json!([{"expression": "${applications.size() > 1}", "message": "${let.name}"}]))),
        ("inject", 100, inject()),
        ("overrides", 40, overrides()),
        ("conflicts", 90, conflicts()),
    ])
    .prop_map(with_fitting_overrides)
    .boxed()
}

/// Valid settings.
pub(crate) fn settings() -> Json {
    let sidecars = some_of(60, ["one", "two", "three", "four"].into_iter().map(sidecar).collect());
    (sidecars, any::<bool>())
        .prop_map(|(sidecars, native)| {
            json!({
                "schemaVersion": 1, "sidecars": sidecars, "federation": {"revision": "r1"},
                "cluster": {"name": "eu-1", "capabilities": {"nativeSidecars": native}},
            })
        })
        .boxed()
}
