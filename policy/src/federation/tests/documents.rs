//! Documents that are refused, with whose fault it is.

use serde_json::{Value, json};

use super::{document, guardrail, problems, root, sidecar, sources};
use crate::federation::read;

#[test]
fn documents_that_are_not_valid_say_where_and_why() {
    for (case, documents, expected) in [
        (
            "nothing there",
            vec![],
            vec![
                "none of the documents is a Federation (add one: apiVersion: fedcar.dev/v1alpha1, kind: Federation, \
                 with `spec.members`)",
            ],
        ),
        (
            "a Federation that is not valid is not a missing one",
            vec![json!({"apiVersion": "fedcar.dev/v1alpha1", "kind": "Federation", "metadata": {}})],
            vec!["0 /metadata `name` is missing", "0  `spec` is missing"],
        ),
        (
            "two of them",
            vec![root(), root()],
            vec![
                "1 /kind a second Federation: the first is `retail` in 0.yaml:1 (a folder holds one federation; its \
                 clusters are `spec.members`)",
            ],
        ),
        (
            "kinds",
            vec![root(), document("Sidcar", "a", &json!({}))],
            vec![
                "1 /kind expected one of Federation, Sidecar, Guardrail, Rollout, TrafficPolicy, SecurityPolicy, found \
                 `Sidcar` (did you mean `Sidecar`?)",
            ],
        ),
        (
            "another version",
            vec![
                root(),
                json!({"apiVersion": "fedcar.dev/v1", "kind": "Sidecar", "metadata": {"name": "a"}, "spec": {}}),
            ],
            vec!["1 /apiVersion expected one of fedcar.dev/v1alpha1, found `fedcar.dev/v1`"],
        ),
        (
            "unknown keys on every level",
            vec![
                document(
                    "Federation",
                    "retail",
                    &json!({"member": [], "members": [
                        {"name": "a", "engine": "kubewarden", "fact": {}, "facts": {"kubelet": ["1.31"]}},
                    ]}),
                ),
                sidecar("agent", &json!({"modes": "opt-in", "requires": {"kubernets": ">=1.27"}})),
            ],
            vec![
                "0 /spec/members/0/facts/kubelet unknown key (did you mean `kubelets`?)",
                "0 /spec/members/0/fact unknown key (did you mean `facts`?)",
                "0 /spec/member unknown key (did you mean `members`?)",
                "1 /spec/requires/kubernets unknown key (did you mean `kubernetes`?)",
                "1 /spec/modes unknown key (did you mean `mode`?)",
            ],
        ),
    ] {
        assert_eq!(problems(&read(&sources(&documents)).unwrap_err()), expected, "{case}");
    }
}

#[test]
fn documents_that_do_not_fit_together_say_which() {
    for (case, documents, expected) in [
        (
            "names that stand twice",
            vec![root(), sidecar("agent", &json!({})), sidecar("agent", &json!({}))],
            vec!["2 /metadata/name a second Sidecar `agent`: the first is in 1.yaml:2"],
        ),
        (
            "members that stand twice, and versions that YAML reads as numbers",
            vec![document(
                "Federation",
                "retail",
                &json!({"members": [
                    {"name": "a", "engine": "kubewarden", "facts": {"kubernetes": 1.3, "kubelets": ["one"]}},
                    {"name": "a", "engine": "kubwarden"},
                    {"name": "a", "engine": "host-runner"},
                ]}),
            )],
            vec![
                "0 /spec/members/0/facts/kubernetes expected text such as \"1.33\", found the number 1.3 (put it in \
                 quotes: the number 1.30 is 1.3)",
                "0 /spec/members/0/facts/kubelets/0 expected a version of Kubernetes such as \"1.33\", found `one`",
                "0 /spec/members/1/engine expected one of kubewarden, host-runner, found `kubwarden` (did you mean \
                 `kubewarden`?)",
                "0 /spec/members/2/name a second member `a`",
            ],
        ),
        (
            "guardrails",
            vec![
                root(),
                document("Guardrail", "telemetry", &json!({"required": ["otel-agnet"], "never": ["debug"]})),
                document("Guardrail", "nothing", &json!({"reason": "none"})),
                sidecar("otel-agent", &json!({})),
            ],
            vec![
                "1 /spec/required/0 no Sidecar is named `otel-agnet` (did you mean `otel-agent`?)",
                "1 /spec/never/0 no Sidecar is named `debug`",
                "2 /spec expected a rule: one of `required`, `never`, `optOut`, `overrides`, `images`, `securityContext`, \
                 `overhead`, `skew`",
            ],
        ),
        (
            "architectures that are said twice",
            vec![root(), sidecar("a", &json!({"architectures": ["amd64"], "requires": {"architectures": ["arm64"]}}))],
            vec!["1 /spec/architectures `requires.architectures` says this already (keep one of the two)"],
        ),
    ] {
        assert_eq!(problems(&read(&sources(&documents)).unwrap_err()), expected, "{case}");
    }
}

#[test]
fn each_member_stands_in_one_stage_of_one_rollout() {
    let rollout = |name: &str, spec: &Value| document("Rollout", name, spec);
    let stage = |name: &str, tier: &str| json!({"name": name, "members": {"matchLabels": {"tier": tier}}});
    let rest = |name: &str| json!({"name": name});
    for (case, rollouts, expected) in [
        ("the last stage takes the rest", vec![json!({"stages": [stage("a", "prod"), rest("b")]})], vec![]),
        (
            "members are left out",
            vec![json!({"stages": [stage("a", "prod")]})],
            vec![
                "2 /spec/stages no stage reaches `edge-1`, `lab`, which get its sidecars (add a last stage without \
                 `members`, which takes every member that no other selects)",
            ],
        ),
        (
            "a member that it is not about may be left out",
            vec![json!({"members": {"matchLabels": {"tier": "prod"}}, "stages": [stage("a", "prod")]})],
            vec![],
        ),
        (
            "a member twice, a stage for nobody, and two for the rest",
            vec![json!({"stages": [
                stage("a", "prod"), rest("b"), stage("c", "prod"), stage("d", "nowhere"), rest("e"),
            ]})],
            vec![
                "2 /spec/stages/2/members `eu-1` stands in the stage `a` already (each member stands in one stage; \
                 `percent` has its steps)",
                "2 /spec/stages/3/members selects no member that gets agent (take the stage out, or change what it \
                 selects)",
                "2 /spec/stages/4 expected `members`, because the stage `b` has none (one stage takes what the others \
                 leave)",
            ],
        ),
        (
            "two rollouts for one member",
            vec![
                json!({"stages": [rest("a")]}),
                json!({"members": {"matchLabels": {"tier": "prod"}}, "stages": [rest("a")]}),
            ],
            vec![
                "3 /spec/sidecars/0 the Rollout `r0` in 2.yaml:3 moves `agent` of `eu-1` too (let the `members` of the \
                 two select different clusters, or make one of them)",
            ],
        ),
        (
            "two rollouts for members that have nothing in common",
            vec![
                json!({"members": {"matchLabels": {"tier": "edge"}}, "stages": [rest("a")]}),
                json!({"members": {"matchLabels": {"tier": "prod"}}, "stages": [rest("a")]}),
            ],
            vec![],
        ),
    ] {
        let mut documents = vec![root(), sidecar("agent", &json!({}))];
        for (index, mut spec) in rollouts.into_iter().enumerate() {
            spec["sidecars"] = json!(["agent"]);
            documents.push(rollout(&format!("r{index}"), &spec));
        }
        let found = read(&sources(&documents)).map_or_else(|found| problems(&found), |_| Vec::new());
        assert_eq!(found, expected, "{case}");
    }
}

#[test]
fn what_no_value_by_itself_is_wrong_about_is_found() {
    let traffic = |services: &Value| document("TrafficPolicy", "p", &json!({"sidecar": "agent", "services": services}));
    let security = |mut spec: Value| {
        spec["sidecar"] = json!("agent");
        document("SecurityPolicy", "p", &spec)
    };
    let rollout = |stage: Value| document("Rollout", "p", &json!({"sidecars": ["agent"], "stages": [stage]}));
    let exempt = |more: Value| {
        let mut one = json!({"owner": "a", "reason": "b", "expires": "2027-01-01"});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        guardrail(&json!({"required": ["agent"], "images": {"requireDigests": true}, "exemptions": [one]}))
    };
    let service = |more: Value| {
        let mut one = json!({"name": "a", "host": "a.shop", "port": 80});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    for (document, expected) in [
        (
            rollout(json!({"name": "a", "percent": [50, 25, 100]})),
            "/spec/stages/0/percent expected percentages that rise to 100, found [50, 25, 100] (say for example [5, 25, \
             100])",
        ),
        (
            rollout(json!({"name": "a", "percent": [5, 25]})),
            "/spec/stages/0/percent expected percentages that rise to 100, found [5, 25] (say for example [5, 25, 100])",
        ),
        (
            rollout(json!({"name": "a", "windows": [{"from": "22:00", "to": "06:00"}]})),
            "/spec/stages/0/windows/0 expected `from` to be before `to`, found 22:00 and 06:00 (say two windows where the \
             night is meant)",
        ),
        (
            rollout(json!({"name": "a", "gates": [{"name": "g", "query": "up"}]})),
            "/spec/stages/0/gates/0 expected `min` or `max`: a query gives a number and no verdict",
        ),
        (
            rollout(json!({"name": "a", "soak": "29d"})),
            "/spec/stages/0/soak expected a duration such as `1h30m` from 0s to 672h, found `29d`",
        ),
        (
            traffic(&json!([service(json!({"protocol": "tcp", "timeout": "1s"}))])),
            "/spec/services/0/timeout tcp knows no requests (say `protocol: http` or `http2`)",
        ),
        (
            traffic(&json!([service(json!({"timeout": "1s", "retries": {"attempts": 2, "perTryTimeout": "1s"}}))])),
            "/spec/services/0 `retries.perTryTimeout` 1s leaves no time for a second try within `timeout` 1s (make the \
             timeout of a try shorter, or leave the retries out)",
        ),
        (
            traffic(&json!([service(json!({"routes": [{"to": [{"service": "b"}]}]}))])),
            "/spec/services/0/routes/0/to/0/service this policy has no service `b`",
        ),
        (
            traffic(&json!([service(json!({"routes": [{"to": [{"service": "a", "weight": 0}]}]}))])),
            "/spec/services/0/routes/0/to expected a weight above 0",
        ),
        (
            traffic(&json!([service(json!({})), service(json!({"name": "b"}))])),
            "/spec/services/1/host a second service at `a.shop:80`",
        ),
        (
            traffic(&json!([service(json!({"failover": ["eu-2"]}))])),
            "/spec/services/0/failover/0 no member is named `eu-2` (did you mean `eu-1`?)",
        ),
        (
            security(json!({"authorization": {"rules": [{"name": "r", "from": {"identities": ["spiffe://a/b"]}}]}})),
            "/spec/authorization/rules/0/from/identities/0 nobody can prove an identity here: this policy has no `mtls` \
             (add `mtls`, or let the rule ask for a token)",
        ),
        (
            security(json!({"authorization": {"rules": [{"name": "r", "from": {"tokens": ["staff"]}}]}})),
            "/spec/authorization/rules/0/from/tokens/0 this policy has no token `staff`",
        ),
        (
            security(json!({"audit": {"log": "all", "headers": ["cookie"]}})),
            "/spec/audit/headers/0 `cookie` holds a secret, which no log may have",
        ),
        (exempt(json!({"rules": ["overhead"]})), "/spec/exemptions/0/rules/0 this guardrail has no `overhead`"),
        (
            exempt(json!({"rules": ["images"], "namespaces": ["a"]})),
            "/spec/exemptions/0/rules/0 `images` holds for a whole member, so `namespaces` cannot narrow it (leave \
             `namespaces` out, and name `members`)",
        ),
        (
            exempt(json!({"sidecars": ["agnet"]})),
            "/spec/exemptions/0/sidecars/0 no Sidecar is named `agnet` (did you mean `agent`?)",
        ),
        (
            guardrail(&json!({"securityContext": {"runAsNonRoot": false}})),
            "/spec/securityContext/runAsNonRoot expected true, found false: a floor demands what is safe (leave the key out \
             where both are allowed)",
        ),
        (
            guardrail(&json!({"images": {"allow": ["nginx"]}})),
            "/spec/images/allow/0 expected a registry and a repository such as `registry.example/*`, found `nginx` (write \
             `docker.io/library/nginx`)",
        ),
        (
            guardrail(&json!({"overrides": [{"sidecar": "agent", "annotation": "memroy", "max": 1}]})),
            "/spec/overrides/0/annotation the Sidecar `agent` has no override `memroy` (did you mean `memory`?)",
        ),
        (
            guardrail(&json!({"never": ["agent"], "members": {"matchLabels": {"fedcar.dev/member": "eu1"}}})),
            "/spec/members/matchLabels/fedcar.dev~1member no member is named `eu1` (did you mean `eu-1`?)",
        ),
    ] {
        let overrides = json!({"overrides": [{"annotation": "memory", "type": "quantity"}]});
        let found = read(&sources(&[root(), sidecar("agent", &overrides), document.clone()])).unwrap_err();
        assert_eq!(problems(&found), [format!("2 {expected}")], "{document}");
    }
}
