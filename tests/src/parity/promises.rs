//! What must hold for every object, whatever it is compared with: promises P1, P2, P3 and P7.

use std::collections::BTreeSet;

use fedcar::input::Namespaces;
use fedcar_policy::injection::uninject;
use fedcar_policy::settings::Settings;
use serde_json::Value;

use super::inject::{inject, pod, record};
use super::unknown_fields::{lost, with_unknown_fields};

/// Every promise that is broken for an object.
pub(super) fn broken(settings: &Settings, namespaces: (&Namespaces, &str), object: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    for (what, object) in [("", object.clone()), (" with unknown fields", with_unknown_fields(object))] {
        let once = inject(settings, namespaces, &object);
        for place in lost(&object, &once.object, record(&once.object)) {
            broken.push(format!("P1{what}: the field of {place} is lost"));
        }
        if !once.changed {
            continue;
        }
        let twice = inject(settings, namespaces, &once.object);
        if twice.changed {
            broken.push(format!("P2{what}: a second injection changes something: {}", twice.told.join("; ")));
        }
        match uninject(&once.object) {
            Ok((restored, _)) if restored == object => {}
            Ok(_) => broken.push(format!("P3{what}: taking it back gives another object")),
            Err(refused) => {
                let place = refused.place.unwrap_or_default();
                broken.push(format!("P3{what}: cannot be taken back: {} {place}", refused.code.code()));
            }
        }
        let before = faults(&object);
        for fault in faults(&once.object).difference(&before) {
            broken.push(format!("P7{what}: {fault}"));
        }
    }
    broken
}

/// What an API server would say of a pod, as far as an injector can be at fault.
fn faults(object: &Value) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    let Some(spec) = pod(object).and_then(|pod| pod.get("spec")) else { return faults };
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut twice = |what: String, names: Vec<String>| {
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|earlier| earlier == name) {
                faults.insert(format!("{what} `{name}` is there twice"));
            }
        }
    };
    let (plain, init) = (list(spec, "containers"), list(spec, "initContainers"));
    let volumes: Vec<String> = list(spec, "volumes").iter().map(|volume| text(volume, "name")).collect();
    twice("container".to_owned(), plain.iter().chain(&init).map(|one| text(one, "name")).collect());
    twice("volume".to_owned(), volumes.clone());
    for container in plain.iter().chain(&init) {
        let mounts = list(container, "volumeMounts");
        let name = text(container, "name");
        twice(format!("container {name}: mount path"), mounts.iter().map(|mount| text(mount, "mountPath")).collect());
        twice(
            format!("container {name}: variable"),
            list(container, "env").iter().map(|one| text(one, "name")).collect(),
        );
    }
    for container in plain.iter().chain(&init) {
        let name = text(container, "name");
        for mount in list(container, "volumeMounts") {
            let volume = text(&mount, "name");
            if !volumes.contains(&volume) {
                faults.insert(format!("container {name}: mounts `{volume}`, which is no volume"));
            }
        }
        if text(container, "image").is_empty() {
            faults.insert(format!("container {name}: has no image"));
        }
    }
    for container in init.iter().filter(|one| text(one, "restartPolicy") != "Always") {
        for probe in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
            if container.get(probe).is_some() {
                faults.insert(format!("init container {}: has a {probe}", text(container, "name")));
            }
        }
    }
    if plain.is_empty() {
        faults.insert("no container is left".to_owned());
    }
    faults
}
