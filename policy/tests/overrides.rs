//! Overrides from annotation to patch: what an application team may say, and what comes of it.

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

use support::{admit, prepare, round_trip, settings, wrap};

const DOMAIN: &str = "otel.sidecar.fedcar.dev";

fn sidecar() -> Value {
    json!({
        "name": "otel", "mode": "opt-out",
        "overrides": [
            {"annotation": "memory", "type": "quantity", "min": "16Mi", "max": "512Mi", "default": "64Mi",
             "sets": "containers.otel.resources.limits.memory"},
            {"annotation": "log-level", "name": "logLevel", "type": "string", "oneOf": ["info", "debug"],
             "sets": "containers.otel.env.LOG_LEVEL.value"},
            {"annotation": "workers", "type": "integer", "min": 1, "max": 8, "sets": "containers.otel.env.WORKERS.value"},
            {"annotation": "tty", "type": "boolean", "sets": "containers.otel.tty"},
            {"annotation": "timeout", "type": "duration", "max": "1m"},
            {"annotation": "company.example/labels", "name": "labels", "type": "json"},
            {"annotation": "note", "type": "string", "maxLength": 50_000},
        ],
        "inject": {
            "containers": [{
                "name": "otel", "form": "sidecar", "image": "otel:1",
                "env": [{"name": "LOG_LEVEL", "value": "warn"}],
            }],
            "annotations": {
                "otel/memory": "${overrides.memory}",
                "otel/all": "${toJson(overrides)}",
                "otel/note": "${overrides.?note}",
            },
            "labels": {"team": "${overrides.?labels.?team}"},
            "applications": [{"env": [{"name": "OTEL_TIMEOUT", "value": "${overrides.?timeout.orValue('10s')}"}]}],
        },
    })
}

fn pod(annotations: &[(&str, &str)]) -> Value {
    let annotations: serde_json::Map<_, _> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "annotations": annotations},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    })
}

fn ours(name: &str) -> String {
    format!("{DOMAIN}/{name}")
}

fn injected(sidecar: Value, object: &Value) -> Value {
    round_trip(&prepare(&settings(json!([sidecar]))), object)
}

#[test]
fn without_annotations_only_defaults_have_values() {
    let once = injected(sidecar(), &pod(&[]));
    assert_eq!(
        once["spec"]["initContainers"][0],
        json!({
            "name": "otel", "image": "otel:1", "restartPolicy": "Always",
            "env": [{"name": "LOG_LEVEL", "value": "warn"}], "resources": {"limits": {"memory": "64Mi"}},
        })
    );
    assert_eq!(once["metadata"]["annotations"]["otel/all"], r#"{"memory":"64Mi"}"#);
    assert_eq!(once["metadata"]["annotations"].get("otel/note"), None);
    assert_eq!(once["spec"]["containers"][0]["env"][0]["value"], "10s");
}

#[test]
fn annotations_set_what_the_document_allows() {
    let (memory, level, workers) = (ours("memory"), ours("log-level"), ours("workers"));
    let (tty, timeout) = (ours("tty"), ours("timeout"));
    let object = pod(&[
        (&memory, "0.125Gi"),
        (&level, "debug"),
        (&workers, "8"),
        (&tty, "true"),
        (&timeout, "1m"),
        ("company.example/labels", r#"{"team": "shop"}"#),
    ]);
    let once = injected(sidecar(), &object);
    assert_eq!(
        once["spec"]["initContainers"][0],
        json!({
            "name": "otel", "image": "otel:1", "restartPolicy": "Always", "tty": true,
            "env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "WORKERS", "value": "8"}],
            "resources": {"limits": {"memory": "128Mi"}},
        })
    );
    assert_eq!(once["metadata"]["labels"], json!({"team": "shop"}));
    assert_eq!(
        once["metadata"]["annotations"]["otel/all"],
        r#"{"labels":{"team":"shop"},"logLevel":"debug","memory":"128Mi","timeout":"1m","tty":true,"workers":8}"#
    );
    assert_eq!(once["spec"]["containers"][0]["env"][0]["value"], "1m");
}

#[test]
fn bounds_are_part_of_what_is_allowed() {
    for (name, text, fits) in [
        ("memory", "16Mi", true),
        ("memory", "512Mi", true),
        ("memory", "16777215", false),
        ("memory", "513Mi", false),
        ("memory", "0", false),
        ("workers", "1", true),
        ("workers", "8", true),
        ("workers", "0", false),
        ("workers", "9", false),
        ("workers", "8.0", false),
        ("log-level", "info", true),
        ("log-level", "trace", false),
        ("tty", "false", true),
        ("tty", "no", false),
        ("timeout", "60000ms", true),
        ("timeout", "60001ms", false),
    ] {
        let object = pod(&[(&ours(name), text)]);
        if fits {
            injected(sidecar(), &object);
            continue;
        }
        let told = admit(&prepare(&settings(json!([sidecar()]))), &object);
        let report = &told["report"]["sidecars"][0];
        assert_eq!(
            (&told["verdict"], &report["code"]),
            (&json!("allowed"), &json!("override-invalid")),
            "{name} {text}"
        );
        let detail = report["details"][0].as_str().unwrap();
        assert!(detail.starts_with(&format!("annotation `{DOMAIN}/{name}`: expected ")), "{detail}");
        assert!(told["warnings"][0].as_str().unwrap().contains(detail), "{told:#}");
        assert_eq!(told.get("patch"), None);
    }
}

#[test]
fn every_annotation_that_does_not_fit_is_told_at_once() {
    let mut required = sidecar();
    required["mode"] = json!("required");
    let mut asking = sidecar();
    asking["onConflict"] = json!("deny");
    let (memory, workers) = (ours("memory"), ours("workers"));
    let mut object = pod(&[(&memory, "1Gi"), (&workers, "many")]);
    object["metadata"]["annotations"][ours("tty")] = json!(true);
    for sidecar in [required, asking] {
        let told = admit(&prepare(&settings(json!([sidecar]))), &object);
        assert_eq!((&told["verdict"], &told["code"]), (&json!("denied"), &json!("denied")));
        assert_eq!(
            told["report"]["sidecars"][0]["details"],
            json!([
                format!("annotation `{memory}`: expected a quantity such as `64Mi` from 16Mi to 512Mi, found `1Gi`"),
                format!("annotation `{workers}`: expected a whole number from 1 to 8, found `many`"),
                format!("annotation `{DOMAIN}/tty`: expected text, found `true`"),
            ])
        );
    }
}

#[test]
fn an_annotation_that_no_override_declares_is_a_warning() {
    let prepared = prepare(&settings(json!([sidecar()])));
    for (key, warning) in [
        (
            ours("memroy"),
            Some(
                "annotation `otel.sidecar.fedcar.dev/memroy` counts as absent: the sidecar has no such override (did \
                 you mean `memory`?)",
            ),
        ),
        (
            ours("completely-else"),
            Some(
                "annotation `otel.sidecar.fedcar.dev/completely-else` counts as absent: the sidecar has no such override",
            ),
        ),
        (ours("memory"), None),
        ("sidecar.fedcar.dev/memory".to_owned(), None),
        ("other.sidecar.fedcar.dev/memory".to_owned(), None),
    ] {
        let told = admit(&prepared, &pod(&[(&key, "128Mi")]));
        assert_eq!(told["code"], "injected", "{told:#}");
        assert_eq!(told.get("warnings"), warning.map(|warning| json!([warning])).as_ref(), "{key}");
    }
    let mut elsewhere = sidecar();
    elsewhere["match"] = json!({"serviceAccounts": ["other"]});
    let told = admit(&prepare(&settings(json!([elsewhere]))), &pod(&[(&ours("memroy"), "1")]));
    assert_eq!(told.get("warnings"), None, "a sidecar that is not for this pod says nothing");
}

#[test]
fn hostile_texts_are_values_and_nothing_else() {
    let long = "x".repeat(50_000);
    let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let layered = (0..12).fold("1".to_owned(), |text, _| json!({"$serde_json::private::RawValue": text}).to_string());
    for text in [
        "${pod.metadata.name}",
        "$${x}",
        "$(HOME)",
        "\u{0}\n\r\"\\",
        "\u{202e}abc",
        "{{ .Values }}",
        "../../etc/passwd",
        "",
        &long,
    ] {
        let note = ours("note");
        let once = injected(sidecar(), &pod(&[(&note, text)]));
        assert_eq!(once["metadata"]["annotations"]["otel/note"], *text);
    }
    let more = "x".repeat(50_001);
    for (name, text) in [
        (ours("note"), more.as_str()),
        ("company.example/labels".to_owned(), &nested),
        ("company.example/labels".to_owned(), r#"{"$serde_json::private::Number": "[1]"}"#),
        (ours("workers"), &long),
        (ours("memory"), &"9".repeat(200_000)),
        (ours("timeout"), &"1h".repeat(100_000)),
        (ours("memory"), "１６Mi"),
        (ours("workers"), "0x1"),
        (ours("tty"), "true\n"),
    ] {
        let told = admit(&prepare(&settings(json!([sidecar()]))), &pod(&[(&name, text)]));
        assert_eq!(told["report"]["sidecars"][0]["code"], "override-invalid", "{name}");
        let bytes = told["warnings"].to_string().len() + told["report"].to_string().len();
        assert!(bytes < 2_000, "{name}: {bytes} bytes of explanation");
    }
    let once = injected(sidecar(), &pod(&[("company.example/labels", &layered)]));
    assert!(once["metadata"]["annotations"]["otel/all"].as_str().unwrap().contains("RawValue"));
}

#[test]
fn what_makes_a_container_invalid_is_told_before_the_api_server_does() {
    let mut sidecar = sidecar();
    sidecar["inject"]["containers"][0]["resources"] = json!({"requests": {"memory": "64Mi"}});
    let memory = ours("memory");
    injected(sidecar.clone(), &pod(&[(&memory, "64Mi")]));
    let told = admit(&prepare(&settings(json!([sidecar.clone()]))), &pod(&[(&memory, "63Mi")]));
    assert_eq!(
        told["report"]["sidecars"][0]["details"],
        json!(["container `otel`: its request of `memory` is above its limit"])
    );

    sidecar["overrides"][0]["sets"] = json!("containers.otel.image.limits");
    let told = admit(&prepare(&settings(json!([sidecar]))), &pod(&[]));
    let report = &told["report"]["sidecars"][0];
    assert_eq!(
        (&report["code"], &report["details"]),
        (
            &json!("invalid"),
            &json!(["what `overrides.memory` sets, containers.image.limits: `limits` has no place in text `otel:1`"])
        )
    );
}

#[test]
fn templates_carry_the_annotations_of_their_pods() {
    let (memory, level) = (ours("memory"), ours("log-level"));
    let object = pod(&[(&memory, "32Mi"), (&level, "info")]);
    for kind in 0..support::KINDS.len() {
        let mut template = object.clone();
        if kind != 0 {
            template.as_object_mut().unwrap().retain(|key, _| key == "metadata" || key == "spec");
        }
        let once = injected(sidecar(), &wrap(kind, &template));
        let container = &support::pod_of(&once)["spec"]["initContainers"][0];
        assert_eq!(container["resources"]["limits"]["memory"], "32Mi", "{kind}");
        assert_eq!(container["env"][0]["value"], "info", "{kind}");
    }
}

#[test]
fn both_versions_of_a_rollout_take_the_overrides() {
    let mut sidecar = sidecar();
    sidecar["rollout"] = json!({"salt": "s", "percent": 0, "previous": {"version": "0.9", "inject": {
        "containers": [{"name": "old", "image": "otel:0", "args": ["${overrides.memory}"]}]}}});
    sidecar["overrides"][2]["sets"] = json!("containers.old.env.WORKERS.value");
    let once = injected(sidecar, &pod(&[(&ours("workers"), "3")]));
    assert_eq!(
        once["spec"]["containers"][1],
        json!({"name": "old", "image": "otel:0", "args": ["64Mi"], "env": [{"name": "WORKERS", "value": "3"}]})
    );
}

#[test]
fn the_condition_of_a_sidecar_comes_before_its_overrides() {
    let mut sidecar = sidecar();
    sidecar["when"] = json!("${overrides.memory == '64Mi'}");
    let (reply, prepared) = fedcar_policy::protocol::prepare(settings(json!([sidecar])).to_string().as_bytes());
    assert!(prepared.is_none());
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.contains("/sidecars/0/when") && reply.contains("overrides"), "{reply}");
}
