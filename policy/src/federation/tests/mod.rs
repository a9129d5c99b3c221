//! Documents as tables: what is refused, with whose fault it is, and what each member gets.

mod documents;
mod guardrails;
mod members;

use serde_json::{Value, json};

use super::{Date, Federation, Source, SourceProblem, read};

fn sources(documents: &[Value]) -> Vec<Source> {
    let source = |(index, value): (usize, &Value)| Source {
        file: format!("{index}.yaml"),
        line: u32::try_from(index).unwrap() + 1,
        value: value.clone(),
    };
    documents.iter().enumerate().map(source).collect()
}

fn federation(documents: &[Value]) -> Federation {
    read(&sources(documents)).unwrap()
}

/// The day on which everything is compiled here.
fn today() -> Date {
    "2026-07-01".parse().unwrap()
}

/// What is wrong for any member, and with what no member selects; each problem once.
fn check(federation: &Federation) -> Vec<SourceProblem> {
    let compiled = federation.members().filter_map(|member| federation.compile_for(member, today()).err()).flatten();
    let mut found = Vec::new();
    for problem in compiled.chain(federation.check_unselected(today())) {
        if !found.contains(&problem) {
            found.push(problem);
        }
    }
    found
}

fn problems(found: &[SourceProblem]) -> Vec<String> {
    let line = |found: &SourceProblem| match found.document {
        Some(document) => format!("{document} {} {}", found.problem.pointer, sentence(found)),
        None => sentence(found),
    };
    found.iter().map(line).collect()
}

fn sentence(found: &SourceProblem) -> String {
    match &found.problem.hint {
        Some(hint) => format!("{} ({hint})", found.problem.message),
        None => found.problem.message.clone(),
    }
}

fn document(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "fedcar.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Three members: a current one, one with an old kubelet, one of which nothing is known.
fn root() -> Value {
    document(
        "Federation",
        "retail",
        &json!({
            "trustDomain": "retail.example",
            "variables": {"registry": "registry.example", "otlp": "gateway:4317"},
            "onFault": "deny",
            "namespaceLabels": "required",
            "protectedNamespaces": ["payments-infra"],
            "members": [
                {"name": "eu-1", "engine": "kubewarden", "labels": {"tier": "prod"},
                 "kubeconfig": {"context": "eu"}, "variables": {"registry": "eu.registry.example"},
                 "facts": {"kubernetes": "1.33", "kubelets": ["1.31", "1.33"], "architectures": ["amd64", "arm64"],
                           "podSecurity": "restricted"}},
                {"name": "edge-1", "engine": "host-runner", "labels": {"tier": "edge"},
                 "facts": {"kubernetes": "1.29", "kubelets": ["1.29", "1.28"], "architectures": ["arm64"]}},
                {"name": "lab", "engine": "host-runner", "engineNamespace": "policies", "labels": {"tier": "test"}},
            ],
        }),
    )
}

fn sidecar(name: &str, extra: &Value) -> Value {
    let mut spec = json!({
        "mode": "opt-out",
        "inject": {"containers": [{"name": name, "form": "sidecar", "image": "registry.example/agent:1"}]},
    });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    document("Sidecar", name, &spec)
}

fn guardrail(spec: &Value) -> Value {
    document("Guardrail", "rule", spec)
}
