//! Sizing from the applications' requests to a patch, and pods that have resources of their own.

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

use serde_json::{Value, json};

use support::{admit, patched, prepare, restored, round_trip, settings};

fn sidecar() -> Value {
    json!({
        "name": "mesh", "mode": "opt-out",
        "overrides": [{"annotation": "cpu", "type": "quantity", "min": "1m", "sets": "containers.proxy.resources.requests.cpu"}],
        "inject": {"containers": [{
            "name": "proxy", "form": "container", "image": "proxy:1",
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
            "sizing": {
                "cpu": {"percentOfApplications": 5, "min": "10m", "max": "500m", "limitPercent": 400},
                "memory": {"percentOfApplications": 10, "combine": "max", "min": "32Mi", "max": "1Gi"},
            },
        }]},
    })
}

fn pod(containers: &[(&str, Value)]) -> Value {
    let containers: Vec<Value> = containers
        .iter()
        .map(|(name, requests)| json!({"name": name, "image": "i", "resources": {"requests": requests}}))
        .collect();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": containers}})
}

/// The injected container.
fn injected(sidecar: &Value, object: &Value) -> Value {
    let once = round_trip(&prepare(&settings(json!([sidecar]))), object);
    once["spec"]["containers"].as_array().unwrap().last().unwrap().clone()
}

fn details(sidecar: &Value, object: &Value) -> Value {
    let reply = admit(&prepare(&settings(json!([sidecar]))), object);
    let told = &reply["report"]["sidecars"][0];
    assert_eq!((&told["code"], reply.get("patch")), (&json!("invalid"), None), "{reply:#}");
    told["details"].clone()
}

#[test]
fn a_proxy_is_sized_by_what_it_stands_beside() {
    for (containers, expected) in [
        (
            &[("app", json!({"cpu": "2", "memory": "1Gi"})), ("web", json!({"cpu": "1", "memory": "2Gi"}))][..],
            json!({"requests": {"cpu": "150m", "memory": "214748365"}, "limits": {"cpu": "600m", "memory": "1Gi"}}),
        ),
        (
            &[("app", json!({}))],
            json!({"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "40m", "memory": "1Gi"}}),
        ),
        (
            &[("app", json!({"cpu": "64", "memory": "1Ti"}))],
            json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}),
        ),
    ] {
        assert_eq!(injected(&sidecar(), &pod(containers))["resources"], expected);
    }
}

#[test]
fn only_the_users_own_containers_count() {
    let one = json!({"cpu": "1"});
    let mut object = pod(&[("app", one.clone()), ("linkerd-proxy", one.clone())]);
    object["metadata"]["annotations"] = json!({"linkerd.io/proxy-version": "x"});
    let native = json!({"name": "native", "image": "n", "restartPolicy": "Always", "resources": {"requests": one}});
    object["spec"]["initContainers"] = json!([native]);
    let mut sidecar = sidecar();
    sidecar["inject"]["containers"][0]["sizing"] = json!({"cpu": {"percentOfApplications": 20}});
    assert_eq!(injected(&sidecar, &object)["resources"]["requests"]["cpu"], "200m");
}

#[test]
fn an_override_has_the_last_word() {
    let mut object = pod(&[("app", json!({"cpu": "2"}))]);
    object["metadata"]["annotations"] = json!({"mesh.sidecar.fedcar.dev/cpu": "0.4"});
    assert_eq!(injected(&sidecar(), &object)["resources"]["requests"]["cpu"], "400m");
    object["metadata"]["annotations"] = json!({"mesh.sidecar.fedcar.dev/cpu": "401m"});
    assert_eq!(details(&sidecar(), &object), json!(["container `proxy`: its request of `cpu` is above its limit"]));
}

#[test]
fn sidecars_do_not_size_each_other() {
    let mut second = sidecar();
    second["name"] = json!("other");
    second["inject"]["containers"][0]["name"] = json!("other");
    second["overrides"] = json!([]);
    let object = pod(&[("app", json!({"cpu": "2"}))]);
    let prepared = prepare(&settings(json!([sidecar(), second])));
    let once = patched(&object, &admit(&prepared, &object));
    let requests = |index: usize| once["spec"]["containers"][index]["resources"]["requests"]["cpu"].clone();
    assert_eq!((requests(1), requests(2)), (json!("100m"), json!("100m")));
    assert_eq!(admit(&prepared, &once).get("patch"), None);
    assert_eq!(restored(&once), object);
}

#[test]
fn what_does_not_fit_into_the_pod_is_told() {
    let mut object = pod(&[("app", json!({"cpu": "2"}))]);
    object["spec"]["resources"] = json!({"requests": {"cpu": "2100m"}, "limits": {"cpu": "3"}});
    injected(&sidecar(), &object);
    object["spec"]["resources"]["requests"]["cpu"] = json!("2099m");
    assert_eq!(
        details(&sidecar(), &object),
        json!(["all containers together request 2100m of `cpu`, and the pod has 2099m"])
    );
    object["spec"]["resources"] = json!({"limits": {"cpu": "2"}});
    let mut wide = sidecar();
    wide["inject"]["containers"][0]["sizing"]["cpu"]["limitPercent"] = json!(2001);
    assert_eq!(
        details(&wide, &object),
        json!([
            "all containers together request 2100m of `cpu`, and the pod has 2",
            "container `proxy`: its limit of 2001m of `cpu` is above the pod's, 2",
        ])
    );
    // It was so without us.
    object["spec"]["resources"] = json!({"requests": {"cpu": "1"}});
    injected(&sidecar(), &object);
    // Resources of the pod that we bring have to be enough for all.
    let mut bringing = sidecar();
    bringing["inject"]["pod"] = json!({"resources": {"requests": {"cpu": "1"}}});
    object["spec"].as_object_mut().unwrap().remove("resources");
    assert_eq!(
        details(&bringing, &object),
        json!(["all containers together request 2100m of `cpu`, and the pod has 1"])
    );
}

#[test]
fn where_the_pod_has_resources_a_container_may_do_without() {
    let mut omitting = sidecar();
    omitting["inject"]["containers"][0]["sizing"]["podLevel"] = json!("omit");
    let mut object = pod(&[("app", json!({"cpu": "2"}))]);
    assert_eq!(injected(&omitting, &object)["resources"]["requests"]["cpu"], "100m");
    object["spec"]["resources"] = json!({"requests": {"cpu": "2"}});
    assert_eq!(injected(&omitting, &object).get("resources"), None);
    object["metadata"]["annotations"] = json!({"mesh.sidecar.fedcar.dev/cpu": "1m"});
    assert_eq!(
        details(&omitting, &object),
        json!(["all containers together request 2001m of `cpu`, and the pod has 2"])
    );
}

#[test]
fn problems_stand_with_their_place() {
    let mut wrong = sidecar();
    wrong["inject"]["containers"][0]["sizing"]["cpu"]["percentOfApplications"] = json!("5%");
    wrong["overrides"][0]["sets"] = json!("containers.prxy.image");
    let (reply, prepared) = fedcar_policy::protocol::prepare(settings(json!([wrong])).to_string().as_bytes());
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert!(prepared.is_none());
    let pointers: Vec<&str> =
        reply["problems"].as_array().unwrap().iter().map(|one| one["pointer"].as_str().unwrap()).collect();
    assert_eq!(
        pointers,
        ["/sidecars/0/overrides/0/sets", "/sidecars/0/inject/containers/0/sizing/cpu/percentOfApplications"]
    );
}
