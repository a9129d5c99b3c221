//! The connections of a sidecar: what it declares to reach, and the ports on which it listens.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Case;
use super::flow::{Destination, Flow};
use super::network::{End, Labels, Passage, Policies, Subject};
use super::outcome::Outcomes;
use super::ports::{Port, ports};
use crate::federation::facts::{Namespace, Protocol};
use crate::settings::{NAMESPACE_NAME_LABEL, is_dns_label};

/// What it connects to.
pub(super) fn egress(case: &Case<'_>, outcomes: &mut Outcomes) {
    let is_namespace = |name: &str| case.facts.namespaces.as_ref().is_some_and(|all| all.contains_key(name));
    let mut flows = Vec::new();
    for text in &case.candidate.egress {
        match Flow::read(text, is_namespace) {
            Some(flow) if flow.is_local() => {}
            Some(flow) => flows.push(flow),
            None => outcomes.unknown(
                format!("`{text}` under `requires.egress` is not known before there is a pod"),
                "write it with variables of the member",
            ),
        }
    }
    if flows.iter().any(Flow::needs_dns) {
        flows.extend([Protocol::Udp, Protocol::Tcp].map(Flow::dns));
    }
    if flows.is_empty() {
        return;
    }
    each_namespace(case, outcomes, |subject, policies, outcomes| {
        let mut blocked: Vec<(&Flow, Vec<String>)> = Vec::new();
        for flow in &flows {
            let namespace = match &flow.to {
                Destination::Service { namespace, .. } => namespace.as_deref().unwrap_or(subject.namespace),
                _ => "",
            };
            let labels = known_labels(case, namespace);
            let complete = knows_labels(case, namespace);
            let end = End::To(flow, Some(Labels { known: &labels, complete }));
            match policies.passage(subject, &end) {
                Passage::Open => outcomes.compatible("nothing keeps it from what it connects to"),
                Passage::Isolated(by) => blocked.push((flow, by)),
                Passage::Denied(by) => outcomes.incompatible(
                    format!("`{}` is denied by the policy `{by}` for the whole cluster", flow.text),
                    "let whoever owns that policy accept the connection: no policy of a namespace can",
                ),
                Passage::Undecided(by) => outcomes.unknown(
                    format!(
                        "whether `{}` is let through hangs on pods that {} selects or allows",
                        flow.text,
                        list(&by)
                    ),
                    "preview it with the workloads, or allow the connection by a policy for all pods of the namespace",
                ),
            }
        }
        if blocked.is_empty() {
            return;
        }
        let names: BTreeSet<&String> = blocked.iter().flat_map(|(_, by)| by).collect();
        let by = list(&names.into_iter().cloned().collect::<Vec<_>>());
        let texts: Vec<String> = blocked.iter().map(|(flow, _)| format!("`{}`", flow.text)).collect();
        let texts = texts.join(", ");
        if let Some(flow) = blocked.iter().map(|(flow, _)| flow).find(|flow| flow.port.is_none()) {
            outcomes.incompatible(
                format!("{by} blocks {texts}"),
                format!("say the port of `{}` under `requires.egress`, so that it can be granted", flow.text),
            );
            return;
        }
        let rules: Vec<Value> = blocked.iter().map(|(flow, _)| grant(flow, subject.namespace)).collect();
        outcomes.adapted_with(
            format!("{by} blocks {texts}, which a companion NetworkPolicy grants"),
            companion(case, subject.namespace, "egress", &Value::from(rules)),
        );
    });
}

/// The ports on which its containers listen. Whether anybody must reach them is said nowhere, so a blocked one is not
/// granted.
pub(super) fn ingress(case: &Case<'_>, outcomes: &mut Outcomes) {
    let ports: Vec<Port<'_>> = case.candidate.containers.iter().flat_map(ports).collect();
    if ports.is_empty() {
        return;
    }
    each_namespace(case, outcomes, |subject, policies, outcomes| {
        for &Port { number, protocol, name } in &ports {
            let end = End::Anybody { port: number, protocol, name };
            let shown = name.map_or_else(|| number.to_string(), |name| format!("`{name}` {number}"));
            match policies.passage(subject, &end) {
                Passage::Open => outcomes.compatible("nothing keeps others from its ports"),
                Passage::Denied(by) => outcomes.unknown(
                    format!("nothing but the pod and its node reaches port {shown}: the policy `{by}` denies it"),
                    "where others must reach it, let whoever owns that policy accept it",
                ),
                Passage::Isolated(by) => outcomes.unknown(
                    format!("nothing but the pod and its node reaches port {shown}: {} lets nobody through", list(&by)),
                    "where others must reach it, allow it by a NetworkPolicy of the namespace",
                ),
                Passage::Undecided(by) => outcomes.unknown(
                    format!("whether others reach port {shown} hangs on what {} selects", list(&by)),
                    "preview it with the workloads",
                ),
            }
        }
    });
}

fn each_namespace(case: &Case<'_>, outcomes: &mut Outcomes, judge: impl Fn(Subject<'_>, Policies<'_>, &mut Outcomes)) {
    let unknown = |outcomes: &mut Outcomes| {
        outcomes.unknown(
            "no fact says which network policies there are",
            "probe the cluster, or pin `facts.namespaces.*.networkPolicies` and `facts.clusterNetworkPolicies`",
        );
    };
    let (Some(namespaces), Some(cluster)) = (case.namespaces(), &case.facts.cluster_network_policies) else {
        unknown(outcomes);
        return;
    };
    let selected = case.candidate.sidecar.matching.pods.as_ref();
    let mut labels = selected.map(crate::settings::Selector::implied).unwrap_or_default();
    labels.extend(case.candidate.labels.clone());
    for (name, namespace) in namespaces {
        outcomes.enter(name);
        let Some(own) = &namespace.network_policies else {
            unknown(outcomes);
            continue;
        };
        let namespace_labels = namespace.known_labels(name);
        let subject = Subject {
            namespace: name,
            namespace_labels: Labels { known: &namespace_labels, complete: namespace.labels.is_some() },
            labels: Labels { known: &labels, complete: false },
        };
        judge(subject, Policies { own, cluster }, outcomes);
    }
}

fn namespace<'c>(case: &'c Case<'_>, name: &str) -> Option<&'c Namespace> {
    case.facts.namespaces.as_ref()?.get(name)
}

fn known_labels(case: &Case<'_>, name: &str) -> Map<String, Value> {
    namespace(case, name).cloned().unwrap_or_default().known_labels(name)
}

fn knows_labels(case: &Case<'_>, name: &str) -> bool {
    namespace(case, name).is_some_and(|namespace| namespace.labels.is_some())
}

fn list(policies: &[String]) -> String {
    let names: Vec<String> = policies.iter().map(|name| format!("`{name}`")).collect();
    let word = if names.len() == 1 { "NetworkPolicy" } else { "one of the NetworkPolicies" };
    format!("{word} {}", names.join(", "))
}

/// The egress rule that lets one connection through, and no more than that where the other end can be named.
fn grant(flow: &Flow, own: &str) -> Value {
    let ports = json!([{"protocol": flow.protocol.name(), "port": flow.port}]);
    let named = |name: &str| json!({"matchLabels": {NAMESPACE_NAME_LABEL: name}});
    match &flow.to {
        // Of a name outside of the cluster no policy of Kubernetes knows the addresses.
        Destination::Anywhere | Destination::Name => json!({"ports": ports}),
        Destination::Address(address) => {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            json!({"to": [{"ipBlock": {"cidr": format!("{address}/{bits}")}}], "ports": ports})
        }
        Destination::Service { namespace, labels } => {
            let namespace = namespace.as_deref().unwrap_or(own);
            let mut peer = json!({"namespaceSelector": named(namespace)});
            if let (Value::Object(peer), false) = (&mut peer, labels.is_empty()) {
                peer.insert("podSelector".to_owned(), json!({"matchLabels": labels}));
            }
            json!({"to": [peer], "ports": ports})
        }
    }
}

/// A policy that adds rules for the pods with the sidecar: those with a label that it injects, else those that it is for.
fn companion(case: &Case<'_>, namespace: &str, direction: &str, rules: &Value) -> Value {
    let constant = |labels: &Map<String, Value>| {
        let mut labels = labels.clone();
        labels.retain(|_, value| value.is_string() && !super::candidate::is_open(value));
        labels
    };
    let injected = constant(&case.candidate.labels);
    let selected = case.candidate.sidecar.matching.pods.as_ref().map(crate::settings::Selector::implied);
    let labels = if injected.is_empty() { selected.unwrap_or_default() } else { injected };
    let selector = if labels.is_empty() { json!({}) } else { json!({"matchLabels": labels}) };
    let name = format!("fedcar-{}", case.candidate.name());
    // The name of a sidecar may be as long as a name can be.
    let name = if is_dns_label(&name) { name } else { case.candidate.name().to_owned() };
    let type_of = if direction == "egress" { "Egress" } else { "Ingress" };
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "fedcar"}},
        "spec": {"podSelector": selector, "policyTypes": [type_of], direction: rules},
    })
}
