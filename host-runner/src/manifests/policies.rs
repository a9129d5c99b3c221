//! `ValidatingAdmissionPolicy` objects: what the API server itself holds to, whether or not the runner answers.
//!
//! They are judged after every mutating webhook, on the pod as it will be stored. Nothing here may deny a pod that the
//! module would admit, so a sidecar whose scope CEL cannot repeat is left out with a warning.

use std::collections::BTreeMap;

use fedcar_policy::federation::Version;
use serde_json::{Value, json};

use super::required::{self, Required};
use super::{FailurePolicy, Ground, Proof, cel, cluster_metadata, matching, read};

/// `ValidatingAdmissionPolicy` is `v1` since 1.30; `v1beta1` was never on by default, so it is not made.
const SINCE: &str = "1.30";

/// What fedcar leaves on a pod (docs/settings.md): `uninject`, drift and audits rest on both.
const MARKS: [&str; 2] = ["fedcar.dev/injected", "fedcar.dev/original"];

/// Each policy, followed by its binding; none where the API server has no such kind.
pub(super) fn build(ground: &Ground<'_>, warnings: &mut Vec<String>) -> Vec<Value> {
    if ground.lacks(SINCE) {
        let gap = match (required::any(ground.settings), ground.failure_policy) {
            (true, FailurePolicy::Ignore) => {
                "; a pod that misses a required sidecar while the engine does not answer is admitted"
            }
            _ => "",
        };
        warnings.push(format!("ValidatingAdmissionPolicy needs Kubernetes {SINCE}, so there is none{gap}"));
        return Vec::new();
    }
    let mut objects = policy(ground, marks());
    if ground.proof == Proof::Nothing {
        return objects;
    }
    for (sidecar, source) in ground.settings.sidecars.iter().zip(required::sources(ground, "sidecars")) {
        if !required::is_required(ground.settings, sidecar) {
            continue;
        }
        match required::read(ground, sidecar, source) {
            Ok(required) => objects.extend(policy(ground, presence(&required))),
            Err(required::Unprovable(why)) => warnings
                .push(format!("no ValidatingAdmissionPolicy proves the required sidecar `{}`: {why}", sidecar.name)),
        }
    }
    objects
}

/// The name of the policy that proves each required sidecar, where there is one.
pub(crate) fn proofs(settings: &Value, kubernetes: Option<Version>) -> BTreeMap<String, String> {
    let Ok(read) = read(settings) else { return BTreeMap::new() };
    let ground = Ground::new((settings, &read), "", None, kubernetes, Proof::Image);
    if ground.lacks(SINCE) {
        return BTreeMap::new();
    }
    let pairs = ground.settings.sidecars.iter().zip(required::sources(&ground, "sidecars"));
    let proven = pairs.filter(|(sidecar, source)| {
        required::is_required(ground.settings, sidecar) && required::read(&ground, sidecar, source).is_ok()
    });
    proven.map(|(sidecar, _)| (sidecar.name.clone(), policy_name(&sidecar.name))).collect()
}

fn policy_name(sidecar: &str) -> String {
    format!("fedcar-required-{sidecar}")
}

/// What differs between policies.
struct Policy {
    name: String,
    operation: &'static str,
    resources: &'static [&'static str],
    conditions: Vec<Value>,
    variables: Vec<Value>,
    validations: Vec<Value>,
}

fn policy(ground: &Ground<'_>, policy: Policy) -> Vec<Value> {
    let Policy { name, operation, resources, conditions, variables, validations } = policy;
    let rule = json!({
        "apiGroups": [""], "apiVersions": ["v1"], "operations": [operation], "resources": resources, "scope": "Namespaced",
    });
    let mut spec = json!({
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "namespaceSelector": ground.namespace_selector(),
            "resourceRules": [rule],
        },
    });
    for (key, list) in [("matchConditions", conditions), ("variables", variables), ("validations", validations)] {
        if let (Some(spec), false) = (spec.as_object_mut(), list.is_empty()) {
            spec.insert(key.to_owned(), Value::Array(list));
        }
    }
    let api = "admissionregistration.k8s.io/v1";
    let metadata = cluster_metadata(&name);
    vec![
        json!({"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec}),
        json!({
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        }),
    ]
}

/// A new pod in the scope of a required sidecar carries it.
fn presence(required: &Required) -> Policy {
    let mut variables = matching::variables(&required.scope);
    variables.push(json!({"name": "carried", "expression": required.carried}));
    let expression = if required.scope == "true" {
        "variables.carried".to_owned()
    } else {
        variables.push(json!({"name": "required", "expression": required.scope}));
        "!variables.required || variables.carried".to_owned()
    };
    Policy {
        name: policy_name(&required.name),
        operation: "CREATE",
        resources: &["pods"],
        conditions: vec![cel::not_a_mirror_pod()],
        variables,
        validations: vec![json!({"expression": expression, "message": required.message, "reason": "Forbidden"})],
    }
}

/// A pod keeps its marks for life: the module changes a pod only while it is created. `pods/status` is there because the
/// API server lets metadata through with a status.
fn marks() -> Policy {
    let validations = MARKS.map(|mark| {
        let mark = cel::text(mark);
        let of = |object: &str| {
            let annotations = format!("{object}.metadata.annotations");
            format!("(has({annotations}) && {mark} in {annotations} ? [{annotations}[{mark}]] : [])")
        };
        json!({
            "expression": format!("{}\n== {}", of("object"), of("oldObject")),
            "message": format!("annotation {mark} is written by fedcar when a pod is created and cannot be changed later"),
            "reason": "Forbidden",
        })
    });
    Policy {
        name: "fedcar-marks".to_owned(),
        operation: "UPDATE",
        resources: &["pods", "pods/status"],
        conditions: Vec::new(),
        variables: Vec::new(),
        validations: validations.to_vec(),
    }
}
