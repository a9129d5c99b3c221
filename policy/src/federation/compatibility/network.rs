//! Which policy of a network blocks which connection of a sidecar, and the companion that would grant it.
//!
//! Kubernetes' rules: policies for the whole cluster with tier Admin come first, the first rule that fits decides; then
//! the namespace's `NetworkPolicy` objects, which together let through what any of them allows, and isolate a pod that any
//! of them selects; then tier Baseline. Every answer has three values: what hangs on labels or addresses that are not
//! known is never taken for allowed.

use serde_json::{Map, Value};

use super::flow::{Destination, Flow};
use crate::federation::facts::{
    Action, Block, ClusterNetworkPolicy, ClusterPeer, ClusterRule, Direction, NetworkPolicy, Peer, Port, Ports,
    Protocol, Tier,
};
use crate::settings::Selector;

/// Labels of which more may be there than are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labels<'l> {
    pub(super) known: &'l Map<String, Value>,
    pub(super) complete: bool,
}

impl Labels<'_> {
    fn fit(self, selector: &Selector) -> Option<bool> {
        selector.fits(self.known, self.complete)
    }
}

/// The pods that carry the sidecar in one namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'l> {
    pub(super) namespace: &'l str,
    pub(super) namespace_labels: Labels<'l>,
    pub(super) labels: Labels<'l>,
}

/// The other end of a connection.
#[derive(Debug)]
pub(super) enum End<'l> {
    /// A destination, and what is known of the namespace of a service.
    To(&'l Flow, Option<Labels<'l>>),
    /// Anybody, as long as somebody gets through.
    Anybody { port: u16, protocol: Protocol, name: Option<&'l str> },
}

/// What becomes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Passage {
    Open,
    /// By these policies of the namespace, for lack of a rule that lets it through.
    Isolated(Vec<String>),
    /// By a policy for the whole cluster, which no policy of a namespace overrides.
    Denied(String),
    /// It hangs on labels or addresses that are not known, with these policies.
    Undecided(Vec<String>),
}

/// All policies that concern a namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policies<'p> {
    pub(super) own: &'p [NetworkPolicy],
    pub(super) cluster: &'p [ClusterNetworkPolicy],
}

impl Policies<'_> {
    /// Whether a connection of the subject is let through.
    pub(super) fn passage(self, subject: Subject<'_>, end: &End<'_>) -> Passage {
        match self.by_tier(Tier::Admin, subject, end) {
            Some(passage) => passage,
            None => match self.by_namespace(subject, end) {
                Some(passage) => passage,
                None => self.by_tier(Tier::Baseline, subject, end).unwrap_or(Passage::Open),
            },
        }
    }

    /// What the policies for the whole cluster decide; `None` where they leave it to others.
    ///
    /// Where it is not known whether a rule fits, both ways are followed. A way that may let the connection through leaves
    /// it to the others all the same, since they must then allow it too.
    fn by_tier(self, tier: Tier, subject: Subject<'_>, end: &End<'_>) -> Option<Passage> {
        let mut policies: Vec<_> = self.cluster.iter().filter(|policy| policy.tier == tier).collect();
        policies.sort_by_key(|policy| policy.priority);
        let rules = policies.iter().flat_map(|policy| {
            let rules = match end {
                End::To(..) => &policy.egress,
                End::Anybody { .. } => &policy.ingress,
            };
            let selected = selects(&policy.subject, subject);
            rules.iter().map(move |rule| (policy.name.as_str(), rule.action, all([selected, rule_fits(rule, end)])))
        });
        let mut denying: Vec<String> = Vec::new();
        let mut last = Action::Pass;
        let mut others = false;
        for (name, action, fits) in rules {
            if fits == Some(false) {
                continue;
            }
            if action == Action::Deny && !denying.iter().any(|one| one == name) {
                denying.push(name.to_owned());
            }
            if fits == Some(true) {
                last = action;
                break;
            }
            others |= action != Action::Deny;
        }
        match (last, denying.as_slice()) {
            (Action::Deny, [only]) if !others => Some(Passage::Denied(only.clone())),
            (_, [_, ..]) => Some(Passage::Undecided(denying)),
            (Action::Accept, []) if !others => Some(Passage::Open),
            (Action::Accept | Action::Deny | Action::Pass, []) => None,
        }
    }

    /// What the namespace's own policies decide; `None` where none of them isolates the pod.
    fn by_namespace(self, subject: Subject<'_>, end: &End<'_>) -> Option<Passage> {
        let direction = match end {
            End::To(..) => Direction::Egress,
            End::Anybody { .. } => Direction::Ingress,
        };
        let mut isolating: Vec<String> = Vec::new();
        let (mut isolated, mut granted) = (Some(false), Some(false));
        for policy in self.own {
            let Some(rules) = policy.rules(direction) else { continue };
            let selected = subject.labels.fit(&policy.pods);
            if selected == Some(false) {
                continue;
            }
            isolating.push(policy.name.clone());
            isolated = any([isolated, selected]);
            let fits = rules.iter().map(|rule| {
                let peers = any_or_all(&rule.peers, |peer| peer_fits(peer, subject, end));
                all([peers, any_or_all(&rule.ports, |port| port_fits(Some(port), end))])
            });
            granted = any([granted, all([selected, any(fits)])]);
        }
        match (isolated, granted) {
            (Some(false), _) => None,
            (_, Some(true)) => Some(Passage::Open),
            (Some(true), Some(false)) => Some(Passage::Isolated(isolating)),
            _ => Some(Passage::Undecided(isolating)),
        }
    }
}

/// True if all are, false if one is false, else not known.
fn all(answers: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    let mut sum = Some(true);
    for one in answers {
        match one {
            Some(false) => return Some(false),
            Some(true) => {}
            None => sum = None,
        }
    }
    sum
}

/// True if one is, false if all are false, else not known.
fn any(answers: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
    all(answers.into_iter().map(|one| one.map(|one| !one))).map(|none| !none)
}

/// As in rules: an empty list stands for everything.
fn any_or_all<T>(items: &[T], test: impl Fn(&T) -> Option<bool>) -> Option<bool> {
    if items.is_empty() { Some(true) } else { any(items.iter().map(test)) }
}

fn selects(peer: &ClusterPeer, subject: Subject<'_>) -> Option<bool> {
    match peer {
        ClusterPeer::Pods { namespaces, pods } => {
            all([subject.namespace_labels.fit(namespaces), subject.labels.fit(pods)])
        }
        ClusterPeer::Networks(_) | ClusterPeer::Other => None,
    }
}

fn rule_fits(rule: &ClusterRule, end: &End<'_>) -> Option<bool> {
    let ports = any_or_all(&rule.ports, |port| port_fits(port.as_ref(), end));
    all([any(rule.peers.iter().map(|peer| cluster_peer_fits(peer, end))), ports])
}

fn cluster_peer_fits(peer: &ClusterPeer, end: &End<'_>) -> Option<bool> {
    let End::To(flow, namespace) = end else {
        // Anybody is let through or stopped only by a rule about all pods of all namespaces.
        return match peer {
            ClusterPeer::Pods { namespaces, pods } if namespaces.is_empty() && pods.is_empty() => Some(true),
            _ => None,
        };
    };
    match (peer, &flow.to) {
        (ClusterPeer::Pods { namespaces, pods }, Destination::Service { labels, .. }) => {
            let pods = Labels { known: labels, complete: false }.fit(pods);
            all([namespace.map_or(fit_unknown(namespaces), |labels| labels.fit(namespaces)), pods])
        }
        (ClusterPeer::Pods { .. }, Destination::Name) => Some(false),
        (ClusterPeer::Networks(ranges), Destination::Address(address)) => {
            Some(ranges.iter().any(|range| range.contains(*address)))
        }
        // Unlike blocks of a NetworkPolicy, networks hold the addresses of pods too.
        (ClusterPeer::Networks(ranges), _) if ranges.iter().any(|range| range.is_everything()) => Some(true),
        _ => None,
    }
}

fn fit_unknown(selector: &Selector) -> Option<bool> {
    selector.fits(&Map::new(), false)
}

fn peer_fits(peer: &Peer, subject: Subject<'_>, end: &End<'_>) -> Option<bool> {
    let End::To(flow, namespace) = end else { return Some(true) };
    match (peer, &flow.to) {
        (Peer::Pods { namespaces, pods }, Destination::Service { namespace: named, labels }) => {
            let namespace = match (namespaces, named) {
                // A peer without namespaces is about the policy's own.
                (None, Some(named)) => Some(named == subject.namespace),
                (None, None) => Some(true),
                (Some(selector), None) => subject.namespace_labels.fit(selector),
                (Some(selector), Some(_)) => namespace.map_or(fit_unknown(selector), |labels| labels.fit(selector)),
            };
            let labels = Labels { known: labels, complete: false };
            all([namespace, pods.as_ref().map_or(Some(true), |pods| labels.fit(pods))])
        }
        // A name outside of the cluster leads to no pod.
        (Peer::Pods { .. }, Destination::Name) => Some(false),
        (Peer::Block(block), Destination::Address(address)) => {
            let excepted = block.except.iter().any(|range| range.contains(*address));
            Some(block.range.contains(*address) && !excepted)
        }
        (Peer::Block(Block { range, except }), Destination::Name | Destination::Anywhere)
            if range.is_everything() && except.is_empty() =>
        {
            Some(true)
        }
        // An address may be a pod's, and whether blocks are about pods is left to the network plugin.
        (Peer::Pods { .. } | Peer::Block(_), _) => None,
    }
}

fn port_fits(port: Option<&Port>, end: &End<'_>) -> Option<bool> {
    let port = port?;
    let (number, protocol) = match end {
        End::To(flow, _) => (flow.port, flow.protocol),
        End::Anybody { port, protocol, .. } => (Some(*port), *protocol),
    };
    if port.protocol != protocol {
        return Some(false);
    }
    match &port.ports {
        Ports::All => Some(true),
        Ports::Range(first, last) => number.map(|number| (*first..=*last).contains(&number)),
        // The name is one of the container at the receiving end.
        Ports::Named(wanted) => match end {
            End::To(..) => None,
            End::Anybody { name, .. } => Some(*name == Some(wanted.as_str())),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::federation::facts::Facts;
    use crate::read::{Node, Problems};
    use crate::settings::NAMESPACE_NAME_LABEL;

    /// What becomes of a connection from namespace `shop`, whose pods have `app: web` and perhaps more labels.
    fn passage(own: &Value, cluster: &Value, end: &str) -> Passage {
        let facts = json!({"namespaces": {"shop": {"networkPolicies": own}}, "clusterNetworkPolicies": cluster});
        let mut problems = Problems::default();
        let facts = Facts::read(&Node::root(&facts), &mut problems).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        let map = |value: Value| value.as_object().cloned().unwrap();
        let (shop, web) = (map(json!({NAMESPACE_NAME_LABEL: "shop", "team": "shop"})), map(json!({"app": "web"})));
        let subject = Subject {
            namespace: "shop",
            namespace_labels: Labels { known: &shop, complete: true },
            labels: Labels { known: &web, complete: false },
        };
        let namespaces = facts.namespaces.unwrap();
        let policies = Policies {
            own: namespaces["shop"].network_policies.as_ref().unwrap(),
            cluster: facts.cluster_network_policies.as_ref().unwrap(),
        };
        if let Some(port) = end.strip_prefix("in ") {
            let end = End::Anybody { port: port.parse().unwrap(), protocol: Protocol::Tcp, name: Some("proxy") };
            return policies.passage(subject, &end);
        }
        let flow = Flow::read(end, |_| false).unwrap();
        let there = map(json!({NAMESPACE_NAME_LABEL: "observability", "team": "platform"}));
        let in_cluster = matches!(flow.to, Destination::Service { .. });
        policies.passage(subject, &End::To(&flow, in_cluster.then_some(Labels { known: &there, complete: true })))
    }

    #[test]
    fn namespaces_let_through_what_any_policy_allows() {
        let isolated = || Passage::Isolated(vec!["p".to_owned()]);
        let undecided = || Passage::Undecided(vec!["p".to_owned()]);
        let (service, name, address) = ("otel.observability.svc:4317", "https://api.example", "10.1.2.3:443");
        let rule = |rule: Value| json!({"name": "p", "podSelector": {}, "policyTypes": ["Egress"], "egress": [rule]});
        for (case, policy, end, expected) in [
            ("deny all", json!({"name": "p", "policyTypes": ["Egress"]}), service, isolated()),
            ("ingress alone", json!({"name": "p", "policyTypes": ["Ingress"]}), service, Passage::Open),
            ("types by rules", json!({"name": "p", "egress": [{}]}), service, Passage::Open),
            (
                "other pods",
                json!({"name": "p", "podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Egress"]}),
                service,
                Passage::Open,
            ),
            (
                "perhaps these pods",
                json!({"name": "p", "podSelector": {"matchLabels": {"tier": "x"}}, "policyTypes": ["Egress"]}),
                service,
                undecided(),
            ),
            ("everything", rule(json!({})), name, Passage::Open),
            ("the port", rule(json!({"ports": [{"port": 4317}]})), service, Passage::Open),
            ("another port", rule(json!({"ports": [{"port": 4318}]})), service, isolated()),
            ("first of a range", rule(json!({"ports": [{"port": 4317, "endPort": 4320}]})), service, Passage::Open),
            ("after a range", rule(json!({"ports": [{"port": 4310, "endPort": 4316}]})), service, isolated()),
            ("another protocol", rule(json!({"ports": [{"port": 4317, "protocol": "UDP"}]})), service, isolated()),
            ("a port by name", rule(json!({"ports": [{"port": "grpc"}]})), service, undecided()),
            (
                "the namespace",
                rule(json!({"to": [{"namespaceSelector": {"matchLabels": {"team": "platform"}}}]})),
                service,
                Passage::Open,
            ),
            (
                "another namespace",
                rule(json!({"to": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}]})),
                service,
                isolated(),
            ),
            ("its own pods", rule(json!({"to": [{"podSelector": {}}]})), service, isolated()),
            (
                "pods by labels",
                rule(json!({"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "otel"}}}]})),
                service,
                undecided(),
            ),
            ("a block for pods", rule(json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]})), service, undecided()),
            ("a block for a name", rule(json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]})), name, Passage::Open),
            (
                "with a hole",
                rule(json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]})),
                name,
                undecided(),
            ),
            (
                "an address in a hole",
                rule(json!({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]})),
                address,
                isolated(),
            ),
            ("an address", rule(json!({"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]})), address, Passage::Open),
            ("pods for a name", rule(json!({"to": [{"namespaceSelector": {}}]})), name, isolated()),
            ("nobody comes in", json!({"name": "p"}), "in 4180", isolated()),
            (
                "somebody comes in",
                json!({"name": "p", "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 4180}]}]}),
                "in 4180",
                Passage::Open,
            ),
            ("by name", json!({"name": "p", "ingress": [{"ports": [{"port": "proxy"}]}]}), "in 4180", Passage::Open),
            ("by another name", json!({"name": "p", "ingress": [{"ports": [{"port": "web"}]}]}), "in 4180", isolated()),
        ] {
            assert_eq!(passage(&json!([policy]), &json!([]), end), expected, "{case}");
        }
    }

    #[test]
    fn the_first_rule_for_the_whole_cluster_decides() {
        let policy = |name: &str, tier: &str, priority: u32, action: &str, to: Value| {
            json!({"name": name, "tier": tier, "priority": priority, "subject": {"namespaces": {}},
                   "egress": [{"action": action, "to": [to]}]})
        };
        let all = || json!({"networks": ["0.0.0.0/0"]});
        let nodes = || json!({"nodes": {}});
        let denied = |name: &str| Passage::Denied(name.to_owned());
        let undecided = |name: &str| Passage::Undecided(vec![name.to_owned()]);
        let isolated = || Passage::Isolated(vec!["p".to_owned()]);
        let own = json!([{"name": "p", "policyTypes": ["Egress"]}]);
        for (case, own, cluster, expected) in [
            ("accept", &own, json!([policy("a", "Admin", 1, "Accept", all())]), Passage::Open),
            ("deny", &json!([]), json!([policy("a", "Admin", 1, "Deny", all())]), denied("a")),
            (
                "pass",
                &own,
                json!([policy("a", "Admin", 1, "Pass", all()), policy("b", "Admin", 2, "Deny", all())]),
                isolated(),
            ),
            (
                "by priority",
                &json!([]),
                json!([policy("b", "Admin", 2, "Deny", all()), policy("a", "Admin", 1, "Accept", all())]),
                Passage::Open,
            ),
            ("perhaps denied", &json!([]), json!([policy("a", "Admin", 1, "Deny", nodes())]), undecided("a")),
            ("perhaps accepted", &own, json!([policy("a", "Admin", 1, "Accept", nodes())]), isolated()),
            (
                "perhaps accepted, then denied",
                &json!([]),
                json!([policy("a", "Admin", 1, "Accept", nodes()), policy("b", "Admin", 2, "Deny", all())]),
                undecided("b"),
            ),
            (
                "the namespace before the baseline",
                &json!([{"name": "p", "egress": [{}]}]),
                json!([policy("a", "Baseline", 0, "Deny", all())]),
                Passage::Open,
            ),
            ("the baseline", &json!([]), json!([policy("a", "Baseline", 0, "Deny", all())]), denied("a")),
        ] {
            assert_eq!(passage(own, &cluster, "https://api.example"), expected, "{case}");
        }
    }

    #[test]
    fn ports_of_either_version_count() {
        let cluster = |key: &str, ports: Value| {
            json!([{"name": "a", "tier": "Admin", "subject": {"namespaces": {}},
            "egress": [{"action": "Deny", "to": [{"networks": ["0.0.0.0/0"]}], key: ports}]}])
        };
        for (key, ports, blocked) in [
            ("protocols", json!([{"tcp": {"destinationPort": {"number": 443}}}]), true),
            ("protocols", json!([{"tcp": {"destinationPort": {"range": {"start": 444, "end": 500}}}}]), false),
            ("protocols", json!([{"tcp": {}}]), true),
            ("protocols", json!([{"udp": {}}]), false),
            ("ports", json!([{"portNumber": {"protocol": "TCP", "port": 443}}]), true),
            ("ports", json!([{"portRange": {"protocol": "TCP", "start": 1, "end": 442}}]), false),
        ] {
            let found = passage(&json!([]), &cluster(key, ports.clone()), "https://api.example");
            assert_eq!(found == Passage::Denied("a".to_owned()), blocked, "{ports}");
        }
    }
}
