//! What once broke, each by the name of what broke; and how few operations an injection may take.

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

use fedcar_policy::protocol;
use serde_json::{Value, json};
use support::{admit, parse, patched, prepare, request, restored};

fn pod(spec: Value) -> Value {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "app", "image": "a"}]}});
    pod["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    pod
}

fn sidecar(name: &str, inject: Value, conflicts: Value) -> Value {
    json!({"name": name, "mode": "opt-out", "inject": inject, "conflicts": conflicts})
}

/// Injects, admits again and restores; the injected object.
fn round_trip(sidecars: Value, object: &Value) -> Value {
    support::round_trip(&prepare(&support::settings(sidecars)), object)
}

#[test]
fn what_one_sidecar_put_is_no_original_for_the_next() {
    let label = |value: &str| json!({"labels": {"app": value}});
    let replace = json!({"labels": "replace", "volumes": "replace"});
    let mut object = pod(json!({}));
    let once =
        round_trip(json!([sidecar("a", label("a"), json!({})), sidecar("b", label("b"), replace.clone())]), &object);
    assert_eq!(once["metadata"]["labels"]["app"], "b");
    object["metadata"]["labels"] = json!({"app": "user"});
    round_trip(json!([sidecar("a", label("a"), replace.clone()), sidecar("b", label("b"), replace)]), &object);
}

#[test]
fn a_container_replaced_after_its_variables_comes_back_without_them() {
    let variables = json!({"applications": [{"env": [{"name": "A", "value": "a"}, {"name": "B", "value": "b"}]}]});
    let container = json!({"containers": [{"name": "app", "image": "ours"}]});
    let object = pod(json!({"containers": [{"name": "app", "image": "a", "env": [{"name": "A", "value": "user"}]}]}));
    round_trip(
        json!([
            sidecar("a", variables, json!({"env": "replace"})),
            sidecar("b", container, json!({"containers": "replace"}))
        ]),
        &object,
    );
}

#[test]
fn null_in_settings_brings_nothing() {
    let inject = json!({"pod": {"affinity": null, "priorityClassName": "high", "securityContext": {"fsGroup": null}}, "labels": {"x": null, "y": "z"}});
    let once = round_trip(json!([sidecar("a", inject, json!({}))]), &pod(json!({})));
    assert_eq!(once["metadata"]["labels"], json!({"y": "z"}));
    assert_eq!((once["spec"].get("affinity"), once["spec"].get("securityContext")), (None, None));
}

#[test]
fn what_others_put_beside_ours_in_a_pod_field_stays() {
    let inject = json!({"pod": {"securityContext": {"fsGroup": 1}}});
    let prepared = prepare(&support::settings(json!([sidecar("a", inject, json!({}))])));
    let mut once = patched(&pod(json!({})), &admit(&prepared, &pod(json!({}))));
    once["spec"]["securityContext"]["seccompProfile"] = json!({"type": "RuntimeDefault"});
    assert_eq!(restored(&once), pod(json!({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}})));
}

#[test]
fn empty_values_that_the_api_server_drops_are_no_change() {
    let inject = json!({"containers": [{"name": "log", "image": "l", "args": [], "tty": false, "env": [{"name": "E", "value": ""}]}]});
    let prepared = prepare(&support::settings(json!([sidecar("a", inject, json!({}))])));
    let mut once = patched(&pod(json!({})), &admit(&prepared, &pod(json!({}))));
    once["spec"]["containers"][1] = json!({"name": "log", "image": "l", "env": [{"name": "E"}]});
    let again = admit(&prepared, &once);
    assert_eq!((again.get("patch"), again.get("warnings")), (None, None), "{again:#}");
    assert_eq!(restored(&once), pod(json!({})));
}

#[test]
fn quantities_of_pod_fields_may_be_rewritten() {
    let inject = json!({"pod": {"overhead": {"memory": "1024Mi"}, "resources": {"requests": {"cpu": 0.5}}}});
    let prepared = prepare(&support::settings(json!([sidecar("a", inject, json!({}))])));
    let mut once = patched(&pod(json!({})), &admit(&prepared, &pod(json!({}))));
    once["spec"]["overhead"]["memory"] = json!("1Gi");
    once["spec"]["resources"]["requests"]["cpu"] = json!("500m");
    let again = admit(&prepared, &once);
    assert_eq!((again.get("patch"), again.get("warnings")), (None, None), "{again:#}");
    assert_eq!(restored(&once), pod(json!({})));
}

/// Every 24-bit hash has its forgeries: an image that the claim on ours takes for it.
fn image_with_the_hash_of(image: &str) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let step = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let fnv = |text: &str| text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let leaf = |state: u64| (state ^ state >> 24 ^ state >> 48) & 0x00ff_ffff;
    let wanted = leaf(fnv(&format!("/image={image}")));
    let mut tags = vec![("evil:".to_owned(), fnv("/image=evil:"))];
    loop {
        let mut longer = Vec::with_capacity(tags.len() * LETTERS.len());
        for (tag, state) in &tags {
            for letter in LETTERS {
                let state = step(*state, *letter);
                let tag = || format!("{tag}{}", char::from(*letter));
                if leaf(state) == wanted {
                    return tag();
                }
                if tags.len() < 100_000 {
                    longer.push((tag(), state));
                }
            }
        }
        // The last letters are tried without being kept.
        if longer.is_empty() {
            for (tag, state) in &tags {
                let found = LETTERS.iter().flat_map(|one| LETTERS.iter().map(move |two| (*one, *two)));
                for (one, two) in found {
                    if leaf(step(step(*state, one), two)) == wanted {
                        return format!("{tag}{}{}", char::from(one), char::from(two));
                    }
                }
            }
        }
        tags = longer;
    }
}

#[test]
fn an_image_made_for_the_claim_does_not_pass_for_ours() {
    let mut guard = sidecar("guard", json!({"containers": [{"name": "guard", "image": "guard:1"}]}), json!({}));
    guard["mode"] = json!("required");
    let prepared = prepare(&support::settings(json!([guard])));
    let honest = patched(&pod(json!({})), &admit(&prepared, &pod(json!({}))));
    for forge in [
        &(|one: &mut Value| one["image"] = json!(image_with_the_hash_of("guard:1"))) as &dyn Fn(&mut Value),
        &|one| one["command"] = json!(["sleep"]),
        &|one| one["restartPolicy"] = json!("Always"),
    ] {
        let mut forged = honest.clone();
        forge(&mut forged["spec"]["containers"][1]);
        let reply = admit(&prepared, &forged);
        assert_eq!(reply["verdict"], "allowed", "{reply}");
        assert_eq!(patched(&forged, &reply), honest, "{reply}");
    }
}

#[test]
fn a_marker_that_takes_the_pod_apart_is_no_fault() {
    // "{}" and "[]" as claims: satisfied by any object and list.
    for (place, claim, original) in [("/spec", "aHNg", None), ("/spec/containers", "", Some(json!(7)))] {
        let mut guard = sidecar("guard", json!({"containers": [{"name": "guard", "image": "guard:1"}]}), json!({}));
        guard["mode"] = json!("required");
        let mut settings = support::settings(json!([guard]));
        settings["onFault"] = json!("allow");
        let mut object = pod(json!({}));
        let replaced: Vec<&str> = original.iter().map(|_| place).collect();
        let marker = json!({"format": 1, "sidecars": {}, "ours": {place: claim}, "replaced": replaced});
        object["metadata"]["annotations"] = json!({"fedcar.dev/injected": marker.to_string()});
        let reply = admit(&prepare(&settings), &object);
        let once = patched(&object, &reply);
        assert_eq!(once["spec"]["containers"][1]["image"], "guard:1", "{place}: {reply:#}");
    }
}

#[test]
fn a_fallback_carries_no_restart_policy() {
    let mut settings = support::settings(json!([sidecar(
        "a",
        json!({"containers": [{"name": "log", "image": "l", "form": "sidecar", "restartPolicy": "Always"}]}),
        json!({}),
    )]));
    for (native, list, policy) in [(true, "initContainers", Some("Always")), (false, "containers", None)] {
        settings["cluster"]["capabilities"]["nativeSidecars"] = json!(native);
        let once = patched(&pod(json!({})), &admit(&prepare(&settings), &pod(json!({}))));
        let found = once["spec"][list].as_array().unwrap().last().unwrap();
        assert_eq!(found.get("restartPolicy").and_then(Value::as_str), policy, "{once}");
    }
    // What it falls back to must be valid in this cluster.
    let container = &mut settings["sidecars"][0]["inject"]["containers"][0];
    container["fallback"] = json!({"form": "init"});
    container["readinessProbe"] = json!({});
    assert!(protocol::prepare(settings.to_string().as_bytes()).1.is_none());
}

#[test]
fn the_record_stays_below_its_limit() {
    for count in [10, 100, 300, 600, 1000] {
        let names: Vec<_> = (0..count).map(|one| format!("A_VARIABLE_WITH_A_LONG_NAME_{one}")).collect();
        let env = |value: &str| names.iter().map(|name| json!({"name": name, "value": value})).collect::<Vec<_>>();
        let object = pod(json!({"containers": [{"name": "app", "image": "a", "env": env("u")}]}));
        let inject = json!({"applications": [{"env": env("o")}]});
        let prepared = prepare(&support::settings(json!([sidecar("a", inject, json!({"env": "replace"}))])));
        let reply = admit(&prepared, &object);
        let once = patched(&object, &reply);
        let record = once["metadata"]["annotations"]["fedcar.dev/original"].as_str().unwrap_or_default();
        assert!(record.len() <= 32 * 1024, "{count}: {}", record.len());
        assert_eq!(
            record.is_empty(),
            reply["report"]["sidecars"][0]["code"] == "too-large",
            "{count}: {}",
            reply["code"]
        );
    }
}

#[test]
fn a_long_marker_that_means_nothing_is_too_much_to_keep() {
    let mut object = pod(json!({}));
    object["metadata"]["annotations"] = json!({"fedcar.dev/injected": "x".repeat(100_000)});
    let prepared = prepare(&support::settings(json!([sidecar("a", json!({"labels": {"x": "y"}}), json!({}))])));
    assert_eq!(admit(&prepared, &object)["report"]["sidecars"][0]["code"], "too-large");
}

#[test]
fn of_two_variables_of_one_name_the_one_that_counts_is_replaced() {
    let object = pod(
        json!({"containers": [{"name": "app", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]}),
    );
    let inject = json!({"applications": [{"env": [{"name": "A", "value": "ours"}]}]});
    let once = round_trip(json!([sidecar("a", inject, json!({"env": "replace"}))]), &object);
    assert_eq!(
        once["spec"]["containers"][0]["env"],
        json!([{"name": "A", "value": "1"}, {"name": "A", "value": "ours"}])
    );
}

struct No;

impl protocol::Namespaces for No {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }
}

#[test]
fn numbers_come_through_digit_for_digit() {
    let text = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"n"},"spec":{"containers":[],"x":123456789012345678901234567890,"y":1.10,"z":1e400}}"#;
    let object = parse(text);
    let settings = support::settings(json!([sidecar("a", json!({"labels": {"a": "b"}}), json!({}))]));
    let payload = json!({"request": request(&object), "settings": settings}).to_string();
    let reply = String::from_utf8(protocol::validate(payload.as_bytes(), &No)).unwrap();
    for number in ["123456789012345678901234567890", ":1.10,", "1e+400"] {
        assert!(reply.contains(number), "{number} in {reply}");
    }
}

#[test]
fn an_injection_takes_no_more_operations_than_places() {
    let container = json!({"name": "log", "image": "l"});
    for (inject, spec, paths) in [
        (json!({"containers": [container]}), json!({}), vec!["/spec/containers/1"]),
        (
            json!({"containers": [{"name": "log", "image": "l", "form": "sidecar"}]}),
            json!({}),
            vec!["/spec/initContainers"],
        ),
        (
            json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
            json!({"volumes": [{"name": "u"}]}),
            vec!["/spec/volumes/1"],
        ),
        (json!({"labels": {"a/b": "c"}}), json!({}), vec!["/metadata/labels"]),
        (json!({"pod": {"tolerations": [{"key": "a"}]}}), json!({}), vec!["/spec/tolerations"]),
        (
            json!({"pod": {"securityContext": {"fsGroup": 1}}}),
            json!({"securityContext": {"x": 1}}),
            vec!["/spec/securityContext/fsGroup"],
        ),
        (json!({"applications": [{"env": [{"name": "A", "value": "a"}]}]}), json!({}), vec!["/spec/containers/0/env"]),
    ] {
        let prepared = prepare(&support::settings(json!([sidecar("a", inject, json!({}))])));
        let reply = admit(&prepared, &pod(spec));
        let found: Vec<_> =
            reply["patch"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
        assert_eq!(found, [paths, vec!["/metadata/annotations"]].concat(), "{reply:#}");
    }
}

#[test]
fn a_template_without_metadata_has_metadata_in_expressions() {
    let settings = support::settings(json!([{
        "name": "a", "mode": "required", "when": "${!('x' in pod.metadata.?annotations.orValue({}))}",
        "inject": {"labels": {"seen": "${string(size(pod.metadata))}"}},
    }]));
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
                        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "i"}]}}}});
    let injected = patched(&object, &admit(&prepare(&settings), &object));
    assert_eq!(injected["spec"]["template"]["metadata"]["labels"]["seen"], "0");
    assert_eq!(restored(&injected), object);
}

#[test]
fn a_container_of_our_name_in_the_other_list_is_settled_by_the_rule() {
    let container = |form: &str| json!({"containers": [{"name": "telemetry", "form": form, "image": "ours"}]});
    for (form, list) in [("sidecar", "containers"), ("container", "initContainers")] {
        let mut object = pod(json!({}));
        let theirs = json!({"name": "telemetry", "image": "theirs"});
        match object["spec"][list].as_array_mut() {
            Some(containers) => containers.push(theirs),
            None => object["spec"][list] = json!([theirs]),
        }
        let settings = |mode: &str, rule: &str| {
            let mut sidecar = sidecar("telemetry", container(form), json!({"containers": rule}));
            sidecar["mode"] = json!(mode);
            prepare(&support::settings(json!([sidecar])))
        };
        assert_eq!(admit(&settings("required", "reject"), &object)["verdict"], "denied", "{form}");
        assert_eq!(admit(&settings("opt-out", "reject"), &object)["code"], "skipped", "{form}");
        for (rule, containers) in [("rename", 3), ("replace", 2)] {
            let injected = patched(&object, &admit(&settings("required", rule), &object));
            let spec = &injected["spec"];
            let all = [&spec["containers"], &spec["initContainers"]].map(|list| list.as_array().map_or(0, Vec::len));
            assert_eq!(all.iter().sum::<usize>(), containers, "{form} {rule}");
            assert_eq!(restored(&injected), object, "{form} {rule}");
        }
    }
}

#[test]
fn managed_fields_come_through_both_ways_of_asking() {
    let mut object = pod(json!({}));
    object["metadata"]["managedFields"] = json!([{"manager": "kubectl", "fieldsV1": {"f:spec": {"k:{\"a\":1}": {}}}}]);
    let settings = support::settings(json!([sidecar(
        "a",
        json!({"labels": {"x": "seen-${has(pod.metadata.managedFields)}"}}),
        json!({})
    )]));
    let injected = patched(&object, &admit(&prepare(&settings), &object));
    let payload = json!({"request": request(&object), "settings": settings}).to_string();
    let reply = protocol::validate(payload.as_bytes(), &No);
    let response: Value = serde_json::from_slice(&reply).unwrap();
    assert_eq!(response["mutated_object"], injected);
    assert_eq!(injected["metadata"]["managedFields"], object["metadata"]["managedFields"]);
    assert_eq!(injected["metadata"]["labels"]["x"], "seen-false", "no expression sees them");
}
