//! `NetworkPolicy` objects: which pods they isolate, and what they let through.

use super::cidr::Cidr;
use super::each;
use crate::read::{Node, Problems, describe};
use crate::settings::Selector;

/// A `NetworkPolicy` of one namespace.
#[derive(Debug, Clone)]
pub(in crate::federation) struct NetworkPolicy {
    pub(in crate::federation) name: String,
    pub(in crate::federation) pods: Selector,
    ingress: Option<Vec<Rule>>,
    egress: Option<Vec<Rule>>,
}

/// Which way a connection goes, seen from the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum Direction {
    Ingress,
    Egress,
}

/// What a policy lets through; an empty list of peers or ports means all of them.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Rule {
    pub(in crate::federation) peers: Vec<Peer>,
    pub(in crate::federation) ports: Vec<Port>,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(in crate::federation) enum Peer {
    /// Pods; of the policy's own namespace where none are selected.
    Pods { namespaces: Option<Selector>, pods: Option<Selector> },
    /// Addresses.
    Block(Block),
}

/// A range of addresses with holes in it.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Block {
    pub(in crate::federation) range: Cidr,
    pub(in crate::federation) except: Vec<Cidr>,
}

/// A port of a transport protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::federation) struct Port {
    pub(in crate::federation) protocol: Protocol,
    pub(in crate::federation) ports: Ports,
}

/// Which ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::federation) enum Ports {
    All,
    Range(u16, u16),
    /// The port that the container at the other end gives this name.
    Named(String),
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::federation) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    const ALL: [(&str, Self); 3] = [("TCP", Self::Tcp), ("UDP", Self::Udp), ("SCTP", Self::Sctp)];

    /// Its name in a port of a container or policy.
    pub(in crate::federation) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, one)| *one == self).map_or("", |(name, _)| *name)
    }

    /// The protocol of this name.
    pub(in crate::federation) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(one, _)| *one == name).map(|(_, one)| *one)
    }

    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        node.choice(&Self::ALL, problems)
    }
}

impl NetworkPolicy {
    /// What it lets through; `None` where it isolates no pod in this direction.
    pub(in crate::federation) fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }

    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let pods = fields.optional("podSelector").and_then(|node| Selector::read(&node, problems));
        let directions = [("Ingress", Direction::Ingress), ("Egress", Direction::Egress)];
        let types = each(fields.optional("policyTypes"), problems, |node, problems| node.choice(&directions, problems));
        let ingress = each(fields.optional("ingress"), problems, |node, problems| Rule::read(node, "from", problems));
        let egress = each(fields.optional("egress"), problems, |node, problems| Rule::read(node, "to", problems));
        fields.finish(problems);
        // As the API server fills `policyTypes` in where it is empty.
        let isolates = |direction| types.contains(&direction) || (types.is_empty() && direction == Direction::Ingress);
        let isolates_egress = isolates(Direction::Egress) || (types.is_empty() && !egress.is_empty());
        Some(Self {
            name: name?.to_owned(),
            pods: pods.unwrap_or_default(),
            ingress: isolates(Direction::Ingress).then_some(ingress),
            egress: isolates_egress.then_some(egress),
        })
    }
}

impl Rule {
    fn read(node: &Node<'_>, peers: &'static str, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let peers = each(fields.optional(peers), problems, Peer::read);
        let ports = each(fields.optional("ports"), problems, Port::read);
        fields.finish(problems);
        Some(Self { peers, ports })
    }
}

impl Peer {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let block = fields.optional("ipBlock").map(|node| Block::read(&node, problems));
        let namespaces = fields.optional("namespaceSelector").and_then(|node| Selector::read(&node, problems));
        let pods = fields.optional("podSelector").and_then(|node| Selector::read(&node, problems));
        let pointer = fields.pointer().to_owned();
        fields.finish(problems);
        match block {
            Some(block) => block.map(Self::Block),
            None if namespaces.is_none() && pods.is_none() => {
                problems.add(pointer, "expected `podSelector`, `namespaceSelector` or `ipBlock`");
                None
            }
            None => Some(Self::Pods { namespaces, pods }),
        }
    }
}

impl Block {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let range = fields.required("cidr", problems).and_then(|node| Cidr::read(&node, problems));
        let except = each(fields.optional("except"), problems, Cidr::read);
        fields.finish(problems);
        Some(Self { range: range?, except })
    }
}

impl Port {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let protocol = fields.optional("protocol").map_or(Some(Protocol::Tcp), |node| Protocol::read(&node, problems));
        let port = fields.optional("port");
        let end = fields.optional("endPort").and_then(|node| read_number(&node, problems));
        let ports = match &port {
            None => Some(Ports::All),
            Some(node) if node.value.is_string() => {
                node.filled_text(problems).map(|name| Ports::Named(name.to_owned()))
            }
            Some(node) => read_number(node, problems).map(|first| Ports::Range(first, end.unwrap_or(first))),
        };
        fields.finish(problems);
        Some(Self { protocol: protocol?, ports: ports? })
    }
}

/// The number of a port.
pub(super) fn read_number(node: &Node<'_>, problems: &mut Problems) -> Option<u16> {
    let number = node.value.as_u64().and_then(|number| u16::try_from(number).ok());
    if number.is_none() {
        problems.add(&node.pointer, format!("expected a port from 0 to 65535, found {}", describe(node.value)));
    }
    number
}
