//! `ClusterNetworkPolicy` (`policy.networking.k8s.io/v1alpha2`) and what went before it: rules that no namespace overrides.
//!
//! The kinds are young, so what is not known here is no fault: it is a peer or port of which nothing can be said.

use serde_json::Value;

use super::cidr::Cidr;
use super::each;
use super::network_policy::{Port, Ports, Protocol, read_number};
use crate::read::{Node, Problems};
use crate::settings::Selector;

/// A policy for the whole cluster.
#[derive(Debug, Clone)]
pub(in crate::federation) struct ClusterNetworkPolicy {
    pub(in crate::federation) name: String,
    pub(in crate::federation) tier: Tier,
    /// Lower comes first.
    pub(in crate::federation) priority: u64,
    pub(in crate::federation) subject: ClusterPeer,
    pub(in crate::federation) ingress: Vec<ClusterRule>,
    pub(in crate::federation) egress: Vec<ClusterRule>,
}

/// When it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum Tier {
    /// Before the policies of namespaces.
    Admin,
    /// For what no policy of a namespace isolates.
    Baseline,
}

/// One rule; the first that fits decides.
#[derive(Debug, Clone)]
pub(in crate::federation) struct ClusterRule {
    pub(in crate::federation) action: Action,
    pub(in crate::federation) peers: Vec<ClusterPeer>,
    /// `None` in a port of which nothing can be said; an empty list means every port.
    pub(in crate::federation) ports: Vec<Option<Port>>,
}

/// What a rule does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum Action {
    Accept,
    Deny,
    /// Leaves it to the next tier.
    Pass,
}

/// Pods, or who is at the other end.
#[derive(Debug, Clone)]
pub(in crate::federation) enum ClusterPeer {
    Pods {
        namespaces: Selector,
        pods: Selector,
    },
    Networks(Vec<Cidr>),
    /// Nodes, domain names, or a kind that is not known here.
    Other,
}

impl ClusterNetworkPolicy {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let tiers = [("Admin", Tier::Admin), ("Baseline", Tier::Baseline)];
        let tier = fields.required("tier", problems).and_then(|node| node.choice(&tiers, problems));
        let priority = fields.optional("priority").map_or(Some(0), |node| node.integer(0, 1000, problems));
        let subject = fields.required("subject", problems).and_then(|node| ClusterPeer::read(&node, problems));
        let rule = |peers| move |node: &Node<'_>, problems: &mut Problems| ClusterRule::read(node, peers, problems);
        let ingress = each(fields.optional("ingress"), problems, rule("from"));
        let egress = each(fields.optional("egress"), problems, rule("to"));
        fields.finish(problems);
        Some(Self { name: name?.to_owned(), tier: tier?, priority: priority?, subject: subject?, ingress, egress })
    }
}

impl ClusterRule {
    fn read(node: &Node<'_>, peers: &'static str, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        fields.optional("name");
        let actions =
            [("Accept", Action::Accept), ("Allow", Action::Accept), ("Deny", Action::Deny), ("Pass", Action::Pass)];
        let action = fields.required("action", problems).and_then(|node| node.choice(&actions, problems));
        let peers = each(fields.required(peers, problems), problems, ClusterPeer::read);
        let mut ports = each(fields.optional("protocols"), problems, |node, _| Some(port(node.value)));
        ports.extend(each(fields.optional("ports"), problems, |node, _| Some(old_port(node.value))));
        fields.finish(problems);
        Some(Self { action: action?, peers, ports })
    }
}

impl ClusterPeer {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        node.fields(problems)?;
        let part = |key: &str| {
            let value = node.value.get(key).filter(|value| !value.is_null())?;
            Some(Node { value, pointer: crate::read::child(&node.pointer, key) })
        };
        if let Some(namespaces) = part("namespaces") {
            return Some(Self::Pods { namespaces: Selector::read(&namespaces, problems)?, pods: Selector::default() });
        }
        if let Some(mut fields) = part("pods").and_then(|node| node.fields(problems)) {
            let namespaces = fields.optional("namespaceSelector").and_then(|node| Selector::read(&node, problems));
            let pods = fields.optional("podSelector").and_then(|node| Selector::read(&node, problems));
            fields.finish(problems);
            let (namespaces, pods) = (namespaces.unwrap_or_default(), pods.unwrap_or_default());
            return Some(Self::Pods { namespaces, pods });
        }
        match part("networks") {
            Some(networks) => Some(Self::Networks(each(Some(networks), problems, Cidr::read))),
            None => Some(Self::Other),
        }
    }
}

/// `{tcp: {destinationPort: {number: 443}}}`, of `v1alpha2`.
fn port(value: &Value) -> Option<Port> {
    let (name, inner) = value.as_object()?.iter().next()?;
    let protocol = Protocol::named(&name.to_uppercase())?;
    let ports = match inner.get("destinationPort") {
        None => Ports::All,
        Some(port) => range(port, "number", "range")?,
    };
    Some(Port { protocol, ports })
}

/// `{portNumber: {protocol: TCP, port: 443}}`, of `v1alpha1`.
fn old_port(value: &Value) -> Option<Port> {
    let inner = value.get("portNumber").or_else(|| value.get("portRange"))?;
    let protocol = Protocol::named(inner.get("protocol").and_then(Value::as_str).unwrap_or("TCP"))?;
    let ports = match inner.get("port") {
        Some(port) => single(port)?,
        None => ends(inner)?,
    };
    Some(Port { protocol, ports })
}

fn range(value: &Value, number: &str, range: &str) -> Option<Ports> {
    match value.get(number) {
        Some(number) => single(number),
        None => ends(value.get(range)?),
    }
}

fn single(value: &Value) -> Option<Ports> {
    let number = number(value)?;
    Some(Ports::Range(number, number))
}

fn ends(value: &Value) -> Option<Ports> {
    Some(Ports::Range(number(value.get("start")?)?, number(value.get("end")?)?))
}

fn number(value: &Value) -> Option<u16> {
    read_number(&Node::root(value), &mut Problems::default())
}
