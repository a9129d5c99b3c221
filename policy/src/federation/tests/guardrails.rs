//! What guardrails judge where documents are compiled, and their exemptions.

use serde_json::{Value, json};

use super::{check, federation, guardrail, problems, root, sidecar, today};

/// A sidecar for every member, whose container says what a rule may want to know.
fn agent() -> Value {
    sidecar(
        "agent",
        &json!({
            "version": "2",
            "overrides": [
                {"annotation": "memory", "type": "quantity", "min": "16Mi", "max": "1Gi"},
                {"annotation": "level", "type": "string", "oneOf": ["info", "trace"]},
                {"annotation": "workers", "type": "integer"},
                {"annotation": "tag", "type": "string", "sets": "containers.agent.image"},
            ],
            "inject": {"containers": [
                {"name": "agent", "form": "sidecar", "image": "${vars.registry}/otel/agent:${sidecar.version}",
                 "securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["NET_RAW"], "add": ["NET_ADMIN"]}}},
            ]},
            "rollout": {"salt": "r", "percent": 5, "previous": {"version": "1", "inject": {"containers": [
                {"name": "agent", "image": "${pod.metadata.annotations['image']}"},
            ]}}},
        }),
    )
}

#[test]
fn guardrails_judge_what_the_documents_say_of_each_container() {
    let current = "1 /spec/inject/containers/0";
    let previous = "1 /spec/rollout/previous/inject/containers/0";
    let place = "the rule stands in 2.yaml:3";
    for (case, rules, expected) in [
        (
            "an image for each member, one that is made for each pod, and one that an application team may set",
            json!({"images": {"allow": ["eu.registry.example/**", "registry.example/otel/*"]}}),
            vec![
                format!(
                    "{previous}/image the Guardrail `rule` judges images, and an expression makes this one for each pod \
                     (let it hang on nothing but `vars`, `cluster`, `federation` and `sidecar`; {place})"
                ),
                format!(
                    "1 /spec/overrides/3/sets the Guardrail `rule` judges the image, and this override lets application \
                     teams set it (leave the image to the document; {place})"
                ),
            ],
        ),
        (
            "an image of elsewhere",
            json!({"images": {"allow": ["eu.registry.example/otel/*"]}, "exemptions": [
                {"owner": "a", "reason": "b", "expires": "2026-07-01", "members": {"matchLabels": {"tier": "edge"}}},
            ]}),
            vec![
                format!(
                    "{current}/image the Guardrail `rule` allows images of eu.registry.example/otel/*, found \
                     `registry.example/otel/agent:2` ({place})"
                ),
            ],
        ),
        (
            "a tag",
            json!({"images": {"requireDigests": true}, "members": {"matchLabels": {"fedcar.dev/member": "lab"}}}),
            vec![
                format!(
                    "{current}/image the Guardrail `rule` wants images pinned by digest, found \
                     `registry.example/otel/agent:2` (write registry.example/otel/agent:2@sha256:…; {place})"
                ),
            ],
        ),
        (
            "a security context, each time for both versions",
            json!({"securityContext": {
                "runAsNonRoot": true, "privileged": false, "dropCapabilities": ["NET_RAW"], "addCapabilities": ["CHOWN"],
                "seccompProfiles": ["RuntimeDefault", "Localhost"],
            }}),
            vec![
                format!(
                    "{current}/securityContext/capabilities/add the Guardrail `rule` wants no capabilities to be added \
                     but `CHOWN`, found [NET_ADMIN] ({place})"
                ),
                format!(
                    "{current}/securityContext/seccompProfile/type the Guardrail `rule` wants a seccomp profile of type \
                     `RuntimeDefault` or `Localhost`, found nothing ({place})"
                ),
                format!(
                    "{previous}/securityContext/runAsNonRoot the Guardrail `rule` wants `runAsNonRoot: true`, found \
                     nothing ({place})"
                ),
                format!(
                    "{previous}/securityContext/capabilities/drop the Guardrail `rule` wants `NET_RAW` to be dropped, \
                     found nothing ({place})"
                ),
                format!(
                    "{previous}/securityContext/seccompProfile/type the Guardrail `rule` wants a seccomp profile of type \
                     `RuntimeDefault` or `Localhost`, found nothing ({place})"
                ),
            ],
        ),
        (
            "overrides, within bounds and beyond",
            json!({"overrides": [
                {"sidecar": "agent", "annotation": "memory", "min": "16Mi", "max": "512Mi"},
                {"sidecar": "agent", "annotation": "agent.sidecar.fedcar.dev/level", "oneOf": ["info"]},
                {"sidecar": "agent", "annotation": "workers", "max": 4},
                {"sidecar": "agent", "annotation": "workers", "max": "4Mi"},
                {"sidecar": "agent", "annotation": "tag", "allowed": false},
            ]}),
            vec![
                format!(
                    "1 /spec/overrides/0/max the Guardrail `rule` wants `max` to be at most 512Mi, found text `1Gi` (set \
                     `max: 512Mi`; {place})"
                ),
                format!(
                    "1 /spec/overrides/1/oneOf the Guardrail `rule` wants `oneOf` to hold nothing but info, found \
                     [\"info\",\"trace\"] ({place})"
                ),
                format!(
                    "1 /spec/overrides/2/max the Guardrail `rule` wants `max` to be at most 4, found nothing (set `max: \
                     4`; {place})"
                ),
                "2 /spec/overrides/3/max expected a bound for the type integer, found text `4Mi`".to_owned(),
                format!("1 /spec/overrides/3/annotation the Guardrail `rule` allows no such override ({place})"),
            ],
        ),
        (
            "exemptions, of which one ended yesterday",
            json!({"images": {"requireDigests": true}, "exemptions": [
                {"owner": "payments", "reason": "b", "expires": "2026-07-01", "rules": ["images"], "sidecars": ["agent"]},
                {"owner": "payments", "reason": "b", "expires": "2026-06-30"},
            ]}),
            vec![
                "2 /spec/exemptions/1/expires this exemption ended with 2026-06-30, and today is 2026-07-01 (take it out, \
                 or let its owner payments extend it)"
                    .to_owned(),
            ],
        ),
    ] {
        let mut found = problems(&check(&federation(&[root(), agent(), guardrail(&rules)])));
        if case == "an image of elsewhere" || case == "a tag" {
            found.retain(|line| line.starts_with(&format!("{current}/image")));
        }
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn what_is_fixed_or_defined_for_all_pods_is_known() {
    let agent = sidecar(
        "agent",
        &json!({
            "let": [{"name": "image", "value": "${vars.registry}/agent:1"}, {"name": "pod", "value": "${pod.metadata.name}"}],
            "inject": {"containers": [
                {"name": "one", "image": "${let.image}", "args": ["${let.pod}"],
                 "securityContext": {"runAsNonRoot": "${pod.spec.?hostNetwork.orValue(false)}"},
                 "fixed": {"securityContext": {"runAsNonRoot": true}}},
                {"name": "two", "when": "${cluster.name == 'elsewhere'}", "image": "evil.example/agent"},
            ]},
        }),
    );
    let rules = json!({"images": {"allow": ["*.registry.example/*", "registry.example/*"]},
        "securityContext": {"runAsNonRoot": true}});
    assert_eq!(problems(&check(&federation(&[root(), agent, guardrail(&rules)]))), [""; 0]);
}

#[test]
fn exemptions_take_namespaces_out_of_what_is_required() {
    let exemption = |more: &Value| {
        let mut one = json!({"owner": "a", "reason": "b", "expires": "2026-07-01"});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    let rules = json!({
        "match": {"namespaces": {"matchLabels": {"tier": "prod"}}},
        "required": ["one", "two", "three"],
        "never": ["four"],
        "exemptions": [
            exemption(&json!({"sidecars": ["two"], "namespaces": ["old", "legacy"]})),
            exemption(&json!({"sidecars": ["two"], "namespaces": ["old"], "members": {"matchLabels": {"tier": "prod"}}})),
            exemption(&json!({"rules": ["required"], "sidecars": ["three"]})),
            exemption(&json!({"sidecars": ["one"], "members": {"matchLabels": {"tier": "edge"}}})),
        ],
    });
    let mut documents = vec![root(), guardrail(&rules)];
    documents.extend(["one", "two", "three", "four"].map(|name| sidecar(name, &json!({}))));
    let federation = federation(&documents);
    let guardrails = |cluster| federation.compile(cluster, today()).unwrap().settings["guardrails"].clone();
    let parts = |required: &Value| {
        json!([
            {"name": "rule", "origin": {"file": "1.yaml", "line": 2}, "required": required, "never": ["four"],
             "match": {"namespaces": {"matchLabels": {"tier": "prod"}}}},
            {"name": "rule-exempt-1", "origin": {"file": "1.yaml", "line": 2}, "required": ["two"], "never": [],
             "match": {"namespaces": {"matchLabels": {"tier": "prod"}, "matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["legacy", "old"]}]}}},
        ])
    };
    assert_eq!(guardrails("eu-1"), parts(&json!(["one"])));
    assert_eq!(guardrails("edge-1"), parts(&json!([])));
}

#[test]
fn a_day_changes_nothing_but_what_has_expired() {
    let rules = json!({"required": ["agent"], "exemptions": [
        {"owner": "a", "reason": "b", "expires": "2026-07-01", "namespaces": ["old"]},
    ]});
    let federation = federation(&[root(), sidecar("agent", &json!({})), guardrail(&rules)]);
    let on = |day: &str| federation.compile("eu-1", day.parse().unwrap());
    assert_eq!(on("2026-07-01").unwrap().settings, on("1970-01-01").unwrap().settings);
    assert_eq!(on("2026-07-02").unwrap_err().len(), 1);
}
