//! The policies that are made for required sidecars, judged on many pods and compared with the module.
//!
//! The judge is fedcar's own evaluator: the expressions keep to what it shares with the one of the API server, except
//! for `matches`, which only a `CronJob` needs and which is left out here.

use fedcar_policy::expression::{Budget, Expression, Scope};
use serde_json::{Map, Value, json};

use super::{DONE, fedcar, objects, tests, text};

const DENIED: i32 = 1;

const NAMESPACES: [(&str, &[(&str, &str)]); 6] = [
    ("prod", &[("tier", "prod")]),
    ("lab", &[("tier", "prod"), ("team", "lab")]),
    ("shop", &[("kind", "shop")]),
    ("team-shop", &[("kind", "shop"), ("team", "x")]),
    ("plain", &[]),
    ("guarded", &[("tier", "prod")]),
];

struct Names(Map<String, Value>);

impl Scope for Names {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl Names {
    fn evaluate(&self, expression: &Value) -> Value {
        let source = expression.as_str().unwrap();
        let parsed = Expression::parse(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let value = parsed.evaluate(self, &mut Budget::new(100_000));
        value.unwrap_or_else(|error| panic!("{source}: {error}")).expect("a value")
    }

    fn holds(&self, expression: &Value) -> bool {
        self.evaluate(expression).as_bool().expect("a bool")
    }
}

/// One pod on its way into a cluster.
struct Case {
    namespace: (&'static str, Value),
    user: Value,
    pod: Value,
}

/// The policies that deny this object.
fn denied_by<'p>(policies: &'p [Value], case: &Case, object: &Value) -> Vec<&'p str> {
    let denies = |policy: &&Value| {
        let spec = &policy["spec"];
        let left_out = &spec["matchConstraints"]["namespaceSelector"]["matchExpressions"][0]["values"];
        if left_out.as_array().unwrap().iter().any(|name| name == case.namespace.0) {
            return false;
        }
        let namespace = json!({"metadata": {"name": case.namespace.0, "labels": case.namespace.1}});
        let mut names = Names(Map::new());
        for (name, value) in [
            ("object", object.clone()),
            ("request", json!({"userInfo": case.user})),
            ("namespaceObject", namespace),
            ("variables", json!({})),
        ] {
            names.0.insert(name.to_owned(), value);
        }
        let list = |key: &str| spec[key].as_array().into_iter().flatten();
        if !list("matchConditions").all(|condition| names.holds(&condition["expression"])) {
            return false;
        }
        for variable in list("variables") {
            let value = names.evaluate(&variable["expression"]);
            names.0["variables"][text(variable, "/name")] = value;
        }
        !list("validations").all(|validation| names.holds(&validation["expression"]))
    };
    policies.iter().filter(denies).map(|policy| text(policy, "/metadata/name")).collect()
}

fn cases() -> Vec<Case> {
    let label_sets = [
        json!({}),
        json!({"app": "web"}),
        json!({"app": "api", "legacy": "1"}),
        json!({"app": "web", "data": "cards"}),
        json!({"app": "api", "renamed": "", "replacing": "1"}),
        json!({"app": "web", "pod-template-hash": "6d4"}),
    ];
    let owners = [None, Some(("ReplicaSet", "web-6d4")), Some(("DaemonSet", "d")), Some(("StatefulSet", "s"))];
    let users = [
        json!({"username": "alice"}),
        json!({"username": "system:node:n", "groups": ["system:nodes"]}),
        json!({"username": "bob", "groups": ["deployers", "system:authenticated"]}),
    ];
    let mut cases = Vec::new();
    for (name, labels) in NAMESPACES {
        for pod_labels in &label_sets {
            for owner in owners {
                for user in &users {
                    // What varies without being multiplied.
                    let number = cases.len();
                    let mut pod = json!({
                        "apiVersion": "v1",
                        "kind": "Pod",
                        "metadata": {"name": format!("p{number}"), "namespace": name},
                        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
                    });
                    if number % 5 != 0 {
                        pod["metadata"]["labels"] = pod_labels.clone();
                    }
                    if let Some((kind, owner)) = owner {
                        pod["metadata"]["ownerReferences"] = json!([{"kind": kind, "name": owner, "controller": true}]);
                    }
                    if number % 7 == 0 {
                        pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
                    }
                    match number % 4 {
                        0 => pod["spec"]["serviceAccountName"] = json!("checkout"),
                        1 => pod["spec"]["serviceAccountName"] = json!("other"),
                        _ => {}
                    }
                    if number % 11 == 0 {
                        pod["spec"]["hostNetwork"] = json!(true);
                    }
                    let helper = json!({"name": "helper", "image": "user:1"});
                    if number % 3 == 0 {
                        pod["spec"]["containers"].as_array_mut().unwrap().push(helper);
                    }
                    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
                    cases.push(Case { namespace: (name, Value::Object(labels)), user: user.clone(), pod });
                }
            }
        }
    }
    cases
}

#[test]
fn policies_deny_what_lacks_a_required_sidecar_and_nothing_else() {
    let folder = tests().join("manifests-decisions");
    let policies: Vec<Value> = objects(&folder, &["--kubernetes", "1.30"])
        .into_iter()
        .filter(|object| text(object, "/kind") == "ValidatingAdmissionPolicy")
        .filter(|object| text(object, "/metadata/name").starts_with("fedcar-required-"))
        .collect();
    assert_eq!(policies.len(), 5);
    let cases = cases();

    let reviews = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifests-reviews.jsonl");
    let review = |case: &Case| {
        let request = json!({
            "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE",
            "namespace": case.namespace.0, "userInfo": case.user, "object": case.pod,
        });
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).to_string()
    };
    std::fs::write(&reviews, cases.iter().map(review).collect::<Vec<_>>().join("\n")).unwrap();
    let mut arguments = vec!["--settings".to_owned(), "settings.yaml".to_owned(), "--output=json".to_owned()];
    for (name, labels) in NAMESPACES {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        arguments.push(format!("--namespace-labels={name}:{}", labels.join(",")));
    }
    arguments.push(reviews.to_str().unwrap().to_owned());
    let run = |command: &'static str| {
        let arguments: Vec<&str> = std::iter::once(command).chain(arguments.iter().map(String::as_str)).collect();
        let ran = fedcar(&folder, &arguments);
        assert!([DONE, DENIED].contains(&ran.code), "{}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let injected = run("inject");
    let explained = run("explain");
    assert_eq!(explained.len(), cases.len());

    let (mut carried, mut missed, mut free) = (0, 0, 0);
    for (case, explained) in cases.iter().zip(explained) {
        let name = text(&case.pod, "/metadata/name");
        let sidecars = explained["report"]["sidecars"].as_array().unwrap();
        let code = |sidecar: &&Value| ["required", "required-by-guardrail"].contains(&text(sidecar, "/code"));
        let required: Vec<String> =
            sidecars.iter().filter(code).map(|one| format!("fedcar-required-{}", text(one, "/name"))).collect();
        let denied = denied_by(&policies, case, &case.pod);
        if let Some(object) = injected.iter().find(|object| text(object, "/metadata/name") == name) {
            let wrongly = denied_by(&policies, case, object);
            assert!(wrongly.is_empty(), "{wrongly:?} would deny what the module admits: {object}");
            carried += usize::from(!required.is_empty());
            assert_eq!(denied, required, "of the pod as it was sent: {}", case.pod);
            free += usize::from(required.is_empty());
        } else {
            assert!(!denied.is_empty(), "the module denies what no policy would: {}", case.pod);
            missed += 1;
        }
    }
    assert!(carried > 100 && missed > 10 && free > 50, "{carried} carried, {missed} missed, {free} free");
}
