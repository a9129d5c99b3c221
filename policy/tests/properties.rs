//! The promises of the design, held over generated pods and settings.

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

#[path = "properties/bundles.rs"]
mod bundles;
#[path = "properties/foreign.rs"]
mod foreign;
#[path = "properties/pods.rs"]
mod pods;
#[path = "properties/strategy.rs"]
mod strategy;
mod support;

use std::collections::BTreeSet;

use fedcar_policy::protocol::{self, Namespaces};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Map, Value, json};
use support::{admit, answer, containers, patched, pod_mut, pod_of, prepare, request, restore, restored};

/// Lists whose items are known by a key; all others are compared as they are.
fn item_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" | "options" | "sysctls" => {
            Some("name")
        }
        "volumeMounts" => Some("mountPath"),
        "hostAliases" => Some("ip"),
        _ => None,
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The marker of a pod: what is ours, and the places whose values were replaced or taken out.
fn marker(object: &Value) -> (Map<String, Value>, BTreeSet<String>) {
    let annotations = &pod_of(object)["metadata"]["annotations"];
    let Some(marker) = annotations.get("fedcar.dev/injected").and_then(Value::as_str) else { return <_>::default() };
    let marker: Value = serde_json::from_str(marker).unwrap();
    let texts = |key: &str| marker[key].as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned());
    let replaced = texts("replaced").chain(texts("removed"));
    (marker["ours"].as_object().unwrap().clone(), replaced.collect())
}

/// Every leaf of `before` must be in `after`, list items found by name, unless the inverse record says that it was
/// replaced. Items of `before` that are not ours must keep their order.
fn survives(
    before: &Value,
    after: Option<&Value>,
    address: &str,
    key: &str,
    replaced: &BTreeSet<String>,
    lost: &mut Vec<String>,
) {
    if replaced.contains(address) {
        return;
    }
    // What lost its last item to us goes with it, as the API server would have it.
    let emptied = match before {
        Value::Object(map) if !map.is_empty() => Some(json!({})),
        Value::Array(items) if !items.is_empty() => Some(json!([])),
        _ => None,
    };
    match (before, after.or(emptied.as_ref())) {
        (_, None) if before.is_null() => {}
        (Value::Object(before), Some(Value::Object(after))) => {
            for (key, value) in before {
                let below = format!("{address}/{}", key.replace('~', "~0").replace('/', "~1"));
                survives(value, after.get(key), &below, key, replaced, lost);
            }
        }
        (Value::Array(before), Some(Value::Array(after))) => match item_key(key) {
            Some(name) => {
                let mut from = 0;
                for item in before {
                    let label = text(item, name);
                    let below = format!("{address}/{}", label.replace('~', "~0").replace('/', "~1"));
                    if replaced.contains(&below) {
                        continue;
                    }
                    // Duplicates are found one after the other, so this also holds the order.
                    let found = after.iter().skip(from).position(|one| text(one, name) == label);
                    let Some(found) = found else {
                        lost.push(below);
                        continue;
                    };
                    from += found + 1;
                    survives(item, after.get(from - 1), &below, "", replaced, lost);
                }
            }
            None if matches!(key, "tolerations" | "nameservers" | "searches" | "supplementalGroups" | "envFrom") => {
                if after.get(..before.len()) != Some(before) {
                    lost.push(address.to_owned());
                }
            }
            None if before == after => {}
            None => lost.push(address.to_owned()),
        },
        (before, Some(after)) if before == after => {}
        // A null is nothing: filled by us, it becomes something, and the record holds it.
        _ => lost.push(address.to_owned()),
    }
}

/// The object without its pod, which nobody may touch, and the pod itself.
fn assert_survival(before: &Value, after: &Value) {
    let (_, replaced) = marker(after);
    let mut lost = Vec::new();
    survives(pod_of(before), Some(pod_of(after)), "", "", &replaced, &mut lost);
    assert!(lost.is_empty(), "{lost:?}\n{after:#}");
    let outside = |object: &Value| {
        let mut object = object.clone();
        if object["kind"] != "Pod" {
            *pod_mut(&mut object) = Value::Null;
            return object;
        }
        let pod = object.as_object_mut().unwrap();
        pod.retain(|key, _| key != "metadata" && key != "spec");
        object
    };
    assert_eq!(outside(before), outside(after));
}

/// Names are unique, and the mounts of our containers have their volumes, where the user's own were so before.
fn assert_valid(before: &Value, after: &Value) {
    let names = |object: &Value, list: &str| -> Vec<String> {
        let items = pod_of(object)["spec"][list].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| text(item, "name").to_owned()).collect()
    };
    let unique = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    let all = |object: &Value| [names(object, "containers"), names(object, "initContainers")].concat();
    assert!(!unique(&all(before)) || unique(&all(after)), "{after:#}");
    assert!(!unique(&names(before, "volumes")) || unique(&names(after, "volumes")), "{after:#}");
    let (ours, _) = marker(after);
    let volumes = names(after, "volumes");
    for container in containers(pod_of(after)) {
        let name = text(container, "name");
        let is_ours =
            ["containers", "initContainers"].iter().any(|list| ours.contains_key(&format!("/spec/{list}/{name}")));
        for mount in container["volumeMounts"].as_array().into_iter().flatten().filter(|_| is_ours) {
            assert!(volumes.contains(&text(mount, "name").to_owned()), "{name}: {mount}\n{after:#}");
        }
    }
}

/// What is not ours, in order: names of the items of the lists that others also write to.
fn not_ours(object: &Value) -> Vec<(String, Vec<String>)> {
    let (ours, _) = marker(object);
    let mut found = Vec::new();
    let mut note = |list: String, items: &Value| {
        let items = items.as_array().into_iter().flatten().map(|item| text(item, "name").to_owned());
        found.push((list.clone(), items.filter(|name| !ours.contains_key(&format!("{list}/{name}"))).collect()));
    };
    let spec = &pod_of(object)["spec"];
    for list in ["containers", "initContainers", "volumes"] {
        note(format!("/spec/{list}"), &spec[list]);
    }
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let address = format!("/spec/{list}/{}", text(container, "name"));
            if !ours.contains_key(&address) {
                note(format!("{address}/env"), &container["env"]);
            }
        }
    }
    found.sort();
    found
}

struct NoNamespaces;

impl Namespaces for NoNamespaces {
    fn get(&self, _: &str) -> Option<Value> {
        None
    }
}

/// How many cases each property gets; the promises must hold for `PROPTEST_CASES` as well.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100);
    let rng_seed = proptest::test_runner::RngSeed::Fixed(if cases == 100 { 7 } else { u64::from(cases) });
    ProptestConfig { cases, rng_seed, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lossless_what_was_there_is_still_there(object in pods::objects(), settings in bundles::settings()) {
        let reply = admit(&prepare(&settings), &object);
        let after = patched(&object, &reply);
        assert_survival(&object, &after);
        assert_valid(&object, &after);
    }

    #[test]
    fn idempotent_an_unchanged_answer_changes_nothing(object in pods::objects(), settings in bundles::settings()) {
        let prepared = prepare(&settings);
        let reply = admit(&prepared, &object);
        if reply["verdict"] == "allowed" {
            let once = patched(&object, &reply);
            let again = admit(&prepared, &once);
            prop_assert_eq!(again.get("patch"), None, "{:#}\n{:#}", once, again);
        }
    }

    #[test]
    fn idempotent_after_others_one_call_settles_it(
        object in pods::objects(), settings in bundles::settings(), deeds in foreign::deeds(),
    ) {
        let prepared = prepare(&settings);
        let mut current = patched(&object, &admit(&prepared, &object));
        for deed in &deeds {
            deed.apply(&mut current);
        }
        let reply = admit(&prepared, &current);
        if reply["verdict"] != "allowed" {
            return Ok(());
        }
        let second = patched(&current, &reply);
        prop_assert!(!reply["warnings"].to_string().contains("an earlier injection counts as absent"), "{:#}\n{:#}", reply, current);
        let third = admit(&prepared, &second);
        prop_assert_eq!(third.get("patch"), None, "{:#}\n{:#}", second, third);
        // A user's own item may be replaced by us, or come back, as the rules and the others' deeds decide.
        let (_, replaced) = marker(&second);
        let (_, before) = marker(&current);
        if replaced == before && marker(&current).0.keys().eq(marker(&second).0.keys()) {
            prop_assert_eq!(not_ours(&current), not_ours(&second), "{:#}", reply);
        }
        assert_valid(&current, &second);
    }

    #[test]
    fn idempotent_defaults_of_the_api_server_are_no_change(object in pods::objects(), settings in bundles::settings()) {
        let prepared = prepare(&settings);
        let mut object = object;
        foreign::Deed::ApiServer.apply(&mut object);
        let mut once = patched(&object, &admit(&prepared, &object));
        foreign::Deed::ApiServer.apply(&mut once);
        let again = admit(&prepared, &once);
        if again["verdict"] == "allowed" {
            let operations = again.get("patch").map(Value::to_string).unwrap_or_default();
            prop_assert!(operations.is_empty(), "{}\n{:#}\n{:#}", operations, once, again);
        }
    }

    #[test]
    fn reversible_what_was_injected_comes_out_again(object in pods::objects(), settings in bundles::settings()) {
        let reply = admit(&prepare(&settings), &object);
        if reply.get("patch").is_some() {
            let once = patched(&object, &reply);
            prop_assert_eq!(&restored(&once), &object, "{:#}", once);
        }
    }

    #[test]
    fn reversible_what_others_added_stays(
        object in pods::objects(), settings in bundles::settings(), deeds in foreign::additions(),
    ) {
        let reply = admit(&prepare(&settings), &object);
        if reply.get("patch").is_none() {
            return Ok(());
        }
        let mut once = patched(&object, &reply);
        let mut expected = object;
        for deed in &deeds {
            deed.apply(&mut once);
            deed.apply(&mut expected);
        }
        let restored = restored(&once);
        let [mut restored, mut expected] = [without_empty(&restored), without_empty(&expected)];
        // Where the only item of a list was taken out, nothing tells on which side of it others have put theirs.
        if only_item_was_taken(&once) {
            for object in [&mut restored, &mut expected] {
                sort_init_containers(pod_mut(object));
            }
        }
        prop_assert_eq!(restored, expected, "{:#}", once);
    }

    #[test]
    fn required_a_forged_marker_hides_nothing(
        object in pods::objects(), settings in bundles::settings(), forger in 0..9_u8, pick in any::<prop::sample::Index>(),
    ) {
        let mut settings = settings;
        settings["sidecars"].as_array_mut().unwrap().push(json!({
            "name": "guard", "mode": "required", "allowHostNetwork": true, "onConflict": "deny",
            "inject": {"containers": [{"name": "guard", "image": "guard:1"}], "labels": {"guarded": "yes"}},
            "conflicts": {"containers": "reject", "labels": "replace"},
        }));
        let prepared = prepare(&settings);
        let mut object = object;
        let annotations = pod_of(&object).pointer("/metadata/annotations").cloned();
        let honest = admit(&prepared, &object);
        if honest["verdict"] == "allowed" {
            object = patched(&object, &honest);
        }
        forge(&mut object, forger, pick);
        for on_fault in ["allow", "deny"] {
            settings["onFault"] = json!(on_fault);
            let payload = json!({"request": request(&object), "settings": settings});
            let reply = protocol::validate(payload.to_string().as_bytes(), &NoNamespaces);
            let reply: Value = serde_json::from_slice(&reply).unwrap();
            if reply["accepted"] == true && object["kind"] == "Pod" {
                let result = reply.get("mutated_object").unwrap_or(&object);
                let guards: Vec<_> = containers(pod_of(result)).filter(|one| one["name"] == "guard").collect();
                prop_assert!(
                    matches!(guards.as_slice(), [one] if one["image"] == "guard:1" && one.get("command").is_none()),
                    "{:?} {:#}\n{:#}", annotations, object, reply
                );
            }
        }
    }

    #[test]
    fn reversible_what_does_not_verify_is_refused(
        object in pods::objects(), settings in bundles::settings(), forger in 0..5_u8, pick in any::<prop::sample::Index>(),
    ) {
        let reply = admit(&prepare(&settings), &object);
        if reply["code"] != "injected" {
            return Ok(());
        }
        let mut once = patched(&object, &reply);
        let honest = once.clone();
        if forge(&mut once, forger, pick) && once != honest {
            prop_assert!(restore(&once).get("refused").is_some(), "{:#}\n{:#}", once, restore(&once));
        }
    }

    #[test]
    fn deterministic_same_bytes_same_answer(object in pods::objects(), settings in bundles::settings()) {
        let payload = json!({"request": request(&object), "offline": true, "explain": true}).to_string();
        let first = protocol::admit(&prepare(&settings), payload.as_bytes());
        prop_assert_eq!(&first, &protocol::admit(&prepare(&settings), payload.as_bytes()));
        // The order of keys is no part of what objects and settings say: some hosts hand both over sorted.
        let data = |reply: &[u8]| {
            let reply: Value = serde_json::from_slice(reply).unwrap();
            (reply["verdict"].clone(), reply["report"].clone(), patched(&object, &reply))
        };
        let other = json!({"request": reversed(&request(&object)), "offline": true, "explain": true}).to_string();
        let other = protocol::admit(&prepare(&reversed(&settings)), other.as_bytes());
        prop_assert_eq!(data(&first), data(&other));
    }

    #[test]
    fn one_truth_the_patch_leads_to_the_mutated_object(object in pods::pods(), settings in bundles::settings()) {
        let reply = answer(&prepare(&settings), &json!({"request": request(&object)}));
        let payload = json!({"request": request(&object), "settings": settings});
        let validation = protocol::validate(payload.to_string().as_bytes(), &NoNamespaces);
        let validation: Value = serde_json::from_slice(&validation).unwrap();
        prop_assert_eq!(&validation["accepted"], &json!(reply["verdict"] == "allowed"));
        let mutated = validation.get("mutated_object");
        prop_assert_eq!(mutated.is_some(), reply.get("patch").is_some());
        prop_assert_eq!(mutated.unwrap_or(&object), &patched(&object, &reply));
        prop_assert_eq!(validation.get("warnings"), reply.get("warnings"));
        prop_assert_eq!(validation.get("audit_annotations"), reply.get("auditAnnotations"));
    }
}

#[test]
fn the_generators_reach_what_the_promises_are_about() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..400 {
        let object = pods::objects().new_tree(&mut runner).unwrap().current();
        let settings = bundles::settings().new_tree(&mut runner).unwrap().current();
        let reply = admit(&prepare(&settings), &object);
        let once = patched(&object, &reply);
        let told = reply["report"]["sidecars"].as_array().into_iter().flatten().map(|one| one["code"].to_string());
        let record = if marker(&once).1.is_empty() { "nothing replaced" } else { "something replaced" };
        for word in told.chain([reply["verdict"].to_string(), reply["code"].to_string(), record.to_owned()]) {
            *counts.entry(word).or_default() += 1;
        }
    }
    println!("{counts:#?}");
    for (word, least) in [
        ("\"injected\"", 150),
        ("\"denied\"", 20),
        ("\"skipped\"", 10),
        ("\"conflict\"", 50),
        ("\"invalid\"", 20),
        ("\"opt-out-default\"", 200),
        ("\"required\"", 25),
        ("\"condition-false\"", 5),
        ("something replaced", 60),
    ] {
        assert!(counts.get(word).is_some_and(|count| *count >= least), "{word}: {counts:#?}");
    }
}

fn only_item_was_taken(object: &Value) -> bool {
    let original = &pod_of(object)["metadata"]["annotations"]["fedcar.dev/original"];
    let record: Value = original.as_str().map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
    record["removed"].as_array().into_iter().flatten().any(|item| item["neighbours"] == json!({}))
}

fn sort_init_containers(pod: &mut Value) {
    if let Some(items) = pod.pointer_mut("/spec/initContainers").and_then(Value::as_array_mut) {
        items.sort_by_key(|item| text(item, "name").to_owned());
    }
}

/// Empty objects, empty lists and nulls say nothing: whether one stays behind is nobody's loss.
fn without_empty(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let full = map.iter().map(|(key, value)| (key.clone(), without_empty(value)));
            Value::Object(
                full.filter(|(_, value)| !matches!(value, Value::Null) && *value != json!({}) && *value != json!([]))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.iter().map(without_empty).collect()),
        other => other.clone(),
    }
}

/// The same settings with the keys of every map the other way round, but for those whose order means something.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().rev().map(|(key, value)| (key.clone(), reversed(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(reversed).collect()),
        other => other.clone(),
    }
}

/// Tampers with what we left in a pod; false where there is nothing to tamper with. The first five break it for certain.
fn forge(object: &mut Value, how: u8, pick: prop::sample::Index) -> bool {
    let (ours, replaced) = marker(object);
    let pod = pod_mut(object);
    let annotations = pod.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let Some(annotations) = annotations.filter(|annotations| annotations.contains_key("fedcar.dev/injected")) else {
        let forged = json!({"format": 1, "sidecars": {"guard": {"version": "0"}}, "ours": {}});
        pod["metadata"] = json!({"annotations": {"fedcar.dev/injected": forged.to_string()}});
        return false;
    };
    let injected = annotations["fedcar.dev/injected"].as_str().unwrap().to_owned();
    if replaced.is_empty() && matches!(how, 1 | 2) {
        return false;
    }
    let mut set = |key: &str, value: &str| annotations.insert(key.to_owned(), json!(value));
    match how {
        // Truncated JSON.
        0 => drop(set("fedcar.dev/injected", &injected[..pick.index(injected.len())])),
        // A record that was lost or whose checksum is wrong.
        1 => drop(annotations.remove("fedcar.dev/original")),
        2 => {
            let text = annotations["fedcar.dev/original"].as_str().unwrap().replace("\"sum\":\"", "\"sum\":\"0");
            annotations.insert("fedcar.dev/original".to_owned(), json!(text));
        }
        // A value of one of our containers was edited.
        3 => {
            let container = ["containers", "initContainers"].into_iter().find_map(|list| {
                let items = pod["spec"][list].as_array()?;
                let found = |one: &Value| ours.contains_key(&format!("/spec/{list}/{}", text(one, "name")));
                Some((list, items.iter().position(found)?))
            });
            let Some((list, index)) = container else { return false };
            pod["spec"][list][index]["image"] = json!("evil:1");
        }
        // A claim was edited.
        4 => {
            let claimed: Vec<_> = ours.iter().filter(|(_, claim)| *claim != "").collect();
            if claimed.is_empty() {
                return false;
            }
            let (address, claim) = claimed[pick.index(claimed.len())];
            // A place that holds nothing any more is no obstacle, and claims nothing.
            let mut marker: Value = serde_json::from_str(&injected).unwrap();
            marker["ours"][address] = json!(format!("AAAA{}", claim.as_str().unwrap()));
            set("fedcar.dev/injected", &marker.to_string());
        }
        // The marker and its pod are honest, but a container does something else now.
        5 => {
            for list in ["containers", "initContainers"] {
                for container in pod["spec"][list].as_array_mut().into_iter().flatten() {
                    container["command"] = json!(["evil"]);
                }
            }
        }
        // Everything is said to be ours, or to have been something else.
        6 | 7 => {
            let places =
                ["/spec", "/spec/containers", "/metadata", "", "/spec/containers/app", "/spec/containers/app/env"];
            let place = places[pick.index(places.len())];
            let found = resolve(pod, place).cloned().unwrap_or_default();
            let values = json!({place: 7});
            let mut marker: Value = serde_json::from_str(&injected).unwrap();
            marker["ours"] = json!({place: claim_on_presence(&found)});
            if how == 7 {
                marker["replaced"] = json!([place]);
                let record = json!({"values": values, "sum": checksum(&values.to_string())});
                pod["metadata"]["annotations"]["fedcar.dev/original"] = json!(record.to_string());
            } else {
                marker["replaced"] = json!([]);
                pod["metadata"]["annotations"].as_object_mut().unwrap().remove("fedcar.dev/original");
            }
            pod["metadata"]["annotations"]["fedcar.dev/injected"] = json!(marker.to_string());
        }
        // The marker moves to a pod without what it claims.
        _ => {
            for list in ["containers", "initContainers", "volumes"] {
                if let Some(items) = pod["spec"][list].as_array_mut() {
                    items.retain(|item| !ours.contains_key(&format!("/spec/{list}/{}", text(item, "name"))));
                }
            }
        }
    }
    true
}

fn resolve<'v>(pod: &'v Value, address: &str) -> Option<&'v Value> {
    address.split('/').skip(1).try_fold(pod, |value, token| match value {
        Value::Array(items) => items.iter().find(|item| item["name"] == token),
        value => value.get(token),
    })
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// The checksum of a record, as anybody could compute it.
fn checksum(text: &str) -> String {
    format!("{:016x}", fnv(text))
}

/// A claim that any object or list satisfies.
fn claim_on_presence(value: &Value) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let state = fnv(if value.is_array() { "[]" } else { "{}" });
    let leaf = (state ^ state >> 24 ^ state >> 48) & 0x00ff_ffff;
    [18, 12, 6, 0].iter().map(|shift| char::from(ALPHABET[usize::try_from(leaf >> shift & 63).unwrap()])).collect()
}
