//! Pods and workload objects as users write them, with everything that fedcar knows and much that it does not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::strategy::{Json, extend, just, list, map, object, one_of, or_null, some_of, unknown};
use crate::support::{KINDS, wrap};

const TEXTS: [&str; 4] = ["", "x", "a much longer text, with \"quotes\"", "$(OTHER)"];

fn text() -> Json {
    one_of(&TEXTS.map(Value::from))
}

fn env() -> Json {
    let name = || one_of(&["A", "B", "LANG", "OTEL", "SERVICE"].map(Value::from));
    let field = json!({"fieldRef": {"fieldPath": "metadata.name"}, "unknownSource": {"x": 1}});
    let variable = prop_oneof![
        4 => object(vec![("name", 100, name()), ("value", 90, text()), ("unknownInEnv", 10, unknown())]),
        1 => object(vec![("name", 100, name()), ("valueFrom", 100, just(field))]),
    ];
    list(variable.boxed(), 4)
}

fn mounts() -> Json {
    let name = one_of(&["tmp", "data", "cache"].map(Value::from));
    let path = one_of(&["/tmp", "/data", "/etc/x", "/var/cache"].map(Value::from));
    list(
        object(vec![
            ("name", 100, name),
            ("mountPath", 100, path),
            ("readOnly", 30, one_of(&[json!(true), json!(false)])),
            ("unknownInMount", 10, unknown()),
        ]),
        3,
    )
}

fn ports() -> Json {
    let number = one_of(&[json!(80), json!(8080), json!(4317)]);
    list(
        object(vec![
            ("name", 30, just(json!("http"))),
            ("containerPort", 100, number),
            ("protocol", 30, one_of(&[json!("TCP"), json!("UDP")])),
            ("unknownInPort", 10, unknown()),
        ]),
        2,
    )
}

fn resources() -> Json {
    let amount = one_of(&[json!("100m"), json!("0.1"), json!(1), json!("1024Mi"), json!("1e3")]);
    let side = map(&["cpu", "memory", "vendor.example/gpu"], &amount);
    object(vec![("limits", 50, side.clone()), ("requests", 50, side), ("claims", 10, just(json!([{"name": "c"}])))])
}

fn container(name: &'static str, sidecar: bool) -> Json {
    let image = one_of(&[json!("app:1"), json!("registry.example/app@sha256:0")]);
    let probe = json!({"httpGet": {"port": 80, "path": "/"}, "unknownInProbe": {}});
    let context = object(vec![
        ("runAsUser", 50, one_of(&[json!(0), json!(1000)])),
        ("capabilities", 30, just(json!({"drop": ["ALL"], "unknownInCapabilities": []}))),
    ]);
    let lifecycle =
        object(vec![("preStop", 50, just(json!({"sleep": {"seconds": 3}}))), ("unknownHandler", 20, unknown())]);
    let mut fields = vec![
        ("name", 100, just(json!(name))),
        ("image", 95, image),
        ("command", 20, or_null(list(text(), 2))),
        ("args", 20, list(text(), 2)),
        ("env", 50, or_null(env())),
        ("envFrom", 20, or_null(just(json!([{"configMapRef": {"name": "cm"}, "unknownInEnvFrom": 1}])))),
        ("ports", 30, or_null(ports())),
        ("volumeMounts", 40, or_null(mounts())),
        ("resources", 30, or_null(resources())),
        ("securityContext", 30, or_null(context)),
        ("lifecycle", 20, or_null(lifecycle)),
        ("readinessProbe", 20, just(probe)),
        ("unknownInContainer", 40, unknown()),
    ];
    if sidecar {
        fields.push(("restartPolicy", 100, just(json!("Always"))));
    }
    object(fields)
}

fn metadata() -> Json {
    let labels = map(&["app", "tier", "otel", "pod-template-hash", "sidecar.fedcar.dev/nobody"], &text());
    let annotations = map(&["note", "linkerd.io/proxy-version", "a.example/with~tilde", "seen"], &text());
    let asked = one_of(&["1", "3", "250m", "info"].map(Value::from));
    let asked =
        map(&["one.sidecar.fedcar.dev/cpu", "one.sidecar.fedcar.dev/workers", "two.sidecar.fedcar.dev/lvl"], &asked);
    let annotations = (annotations, prop_oneof![3 => just(json!({})), 1 => asked]);
    let annotations = annotations.prop_map(|(annotations, asked)| extend(annotations, asked)).boxed();
    let owner = |kind: &str, name: &str| json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": "u", "controller": true, "unknownInOwner": 1}]);
    let owners = one_of(&[
        owner("ReplicaSet", "web-x"),
        owner("Job", "report-29231490"),
        owner("StatefulSet", "db"),
        owner("Workflow", "w"),
        json!([]),
        Value::Null,
    ]);
    object(vec![
        ("name", 60, just(json!("web-x-1"))),
        ("generateName", 40, just(json!("web-x-"))),
        ("labels", 60, or_null(labels)),
        ("annotations", 60, or_null(annotations)),
        ("ownerReferences", 30, owners),
        ("creationTimestamp", 30, just(Value::Null)),
        ("unknownInMetadata", 30, unknown()),
    ])
}

fn volumes() -> Json {
    let source = one_of(&[
        json!({"emptyDir": {}}),
        json!({"hostPath": {"path": "/x"}}),
        json!({"emptyDir": {"sizeLimit": "1024Mi"}, "unknownInVolume": 1}),
    ]);
    let named = |name: &'static str| {
        source.clone().prop_map(move |source| super::strategy::extend(json!({"name": name}), source)).boxed()
    };
    some_of(50, vec![named("tmp"), named("data"), named("cache"), named("certs")])
}

fn spec() -> Json {
    let containers = some_of(
        60,
        vec![
            container("app", false),
            container("web", false),
            container("agent", false),
            container("linkerd-proxy", false),
        ],
    );
    let containers = containers.prop_filter("a pod has a container", |list| list != &json!([])).boxed();
    let init = some_of(40, vec![container("setup", false), container("mesh", true), container("proxy", true)]);
    let tolerations =
        json!([{"key": "spot", "operator": "Exists"}, {"operator": "Exists", "key": "own", "unknownInToleration": 1}]);
    let dns = object(vec![
        ("nameservers", 50, just(json!(["10.0.0.10"]))),
        ("options", 50, just(json!([{"name": "ndots", "value": "2"}]))),
        ("unknownInDns", 20, unknown()),
    ]);
    object(vec![
        ("containers", 100, containers),
        ("initContainers", 50, or_null(init)),
        ("volumes", 60, or_null(volumes())),
        ("tolerations", 30, or_null(just(tolerations))),
        (
            "securityContext",
            40,
            or_null(object(vec![
                ("fsGroup", 50, just(json!(1))),
                ("supplementalGroups", 30, just(json!([1]))),
                ("unknownInContext", 30, unknown()),
            ])),
        ),
        ("dnsConfig", 30, or_null(dns)),
        ("hostAliases", 20, just(json!([{"ip": "10.1.1.1", "hostnames": ["own"], "unknownInAlias": {}}]))),
        ("imagePullSecrets", 30, or_null(just(json!([{"name": "own"}])))),
        ("terminationGracePeriodSeconds", 30, one_of(&[json!(5), json!(40)])),
        ("hostNetwork", 5, just(json!(true))),
        ("serviceAccountName", 30, just(json!("checkout"))),
        ("affinity", 20, or_null(just(json!({"nodeAffinity": {"unknownInAffinity": [1]}})))),
        ("unknownInSpec", 40, unknown()),
    ])
}

/// A pod, or an object that holds one.
pub(crate) fn objects() -> Json {
    let pod =
        object(vec![("metadata", 85, or_null(metadata())), ("spec", 100, spec()), ("unknownInPod", 30, unknown())]);
    (0..KINDS.len() + 4, pod).prop_map(|(kind, pod)| wrap(if kind < KINDS.len() { kind } else { 0 }, &pod)).boxed()
}

/// A pod.
pub(crate) fn pods() -> Json {
    let pod =
        object(vec![("metadata", 85, or_null(metadata())), ("spec", 100, spec()), ("unknownInPod", 30, unknown())]);
    pod.prop_map(|pod| wrap(0, &pod)).boxed()
}
