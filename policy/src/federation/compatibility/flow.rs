//! Where a sidecar connects to, as its document declares it: `host:port`, a URL, an address, `*:port`.

use core::net::IpAddr;

use serde_json::{Map, Value, json};

use super::candidate::is_open;
use crate::federation::facts::Protocol;

/// A connection out of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flow {
    /// As people know it.
    pub(super) text: String,
    pub(super) to: Destination,
    /// `None` where neither a number nor a scheme says it.
    pub(super) port: Option<u16>,
    pub(super) protocol: Protocol,
}

/// The other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// Anything.
    Anywhere,
    /// A host outside of the cluster, of which the addresses are not known.
    Name,
    Address(IpAddr),
    /// Pods behind a service of a namespace (`None`: the pod's own), with the labels that are known of them.
    Service {
        namespace: Option<String>,
        labels: Map<String, Value>,
    },
}

/// Schemes with a port of their own.
const SCHEMES: [(&str, u16, Protocol); 6] = [
    ("http", 80, Protocol::Tcp),
    ("https", 443, Protocol::Tcp),
    ("ws", 80, Protocol::Tcp),
    ("wss", 443, Protocol::Tcp),
    ("ldaps", 636, Protocol::Tcp),
    ("dns", 53, Protocol::Udp),
];

impl Flow {
    /// Reads a destination; `None` where an expression is left in it. `is_namespace` tells which names are namespaces.
    pub(super) fn read(text: &str, is_namespace: impl Fn(&str) -> bool) -> Option<Self> {
        if is_open(&Value::from(text)) {
            return None;
        }
        let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let (host, port) = split_port(rest);
        let usual = SCHEMES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(scheme));
        let protocol = Protocol::named(&scheme.to_uppercase()).or(usual.map(|(.., protocol)| *protocol));
        let port = port.and_then(|port| port.parse().ok()).or(usual.map(|(_, port, _)| *port));
        let to = Destination::of(host, is_namespace);
        Some(Self { text: text.to_owned(), to, port, protocol: protocol.unwrap_or(Protocol::Tcp) })
    }

    /// Looking up names, by UDP or, for long answers, by TCP.
    pub(super) fn dns(protocol: Protocol) -> Self {
        let labels = json!({"k8s-app": "kube-dns"}).as_object().cloned().unwrap_or_default();
        let to = Destination::Service { namespace: Some(DNS_NAMESPACE.to_owned()), labels };
        Self { text: format!("DNS by {}", protocol.name()), to, port: Some(DNS_PORT), protocol }
    }

    /// Whether it stays in the pod.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.to, Destination::Address(address) if address.is_loopback())
    }

    /// Whether its name has to be looked up first.
    pub(super) const fn needs_dns(&self) -> bool {
        matches!(self.to, Destination::Name | Destination::Service { .. })
    }
}

/// Where the cluster's DNS is, in nearly every distribution.
const DNS_NAMESPACE: &str = "kube-system";
const DNS_PORT: u16 = 53;

impl Destination {
    fn of(host: &str, is_namespace: impl Fn(&str) -> bool) -> Self {
        if host == "*" || host.is_empty() {
            return Self::Anywhere;
        }
        if host == "localhost" {
            return Self::Address(IpAddr::from([127, 0, 0, 1]));
        }
        if let Ok(address) = host.parse() {
            return Self::Address(address);
        }
        let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
        let service =
            |namespace: Option<&str>| Self::Service { namespace: namespace.map(str::to_owned), labels: Map::new() };
        match labels.as_slice() {
            [_] => service(None),
            [.., namespace, "svc"] | [.., namespace, "svc", "cluster", "local"] => service(Some(namespace)),
            [_, namespace] if is_namespace(namespace) => service(Some(namespace)),
            _ => Self::Name,
        }
    }
}

/// Host and port of `host:port`, `[::1]:port` or an address alone.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_people_write_them() {
        let service = |namespace: Option<&str>| Destination::Service {
            namespace: namespace.map(str::to_owned),
            labels: Map::new(),
        };
        for (text, to, port, protocol) in [
            ("gateway.observability.svc:4317", service(Some("observability")), Some(4317), Protocol::Tcp),
            ("https://vault.vault.svc.cluster.local:8200/v1", service(Some("vault")), Some(8200), Protocol::Tcp),
            ("gateway.shop:80", service(Some("shop")), Some(80), Protocol::Tcp),
            ("example.com:80", Destination::Name, Some(80), Protocol::Tcp),
            ("https://login.example/realms", Destination::Name, Some(443), Protocol::Tcp),
            ("udp://statsd:8125", service(None), Some(8125), Protocol::Udp),
            ("login.example", Destination::Name, None, Protocol::Tcp),
            ("*:3307", Destination::Anywhere, Some(3307), Protocol::Tcp),
            ("10.1.2.3:9000", Destination::Address([10, 1, 2, 3].into()), Some(9000), Protocol::Tcp),
            ("[fd00::1]:443", Destination::Address("fd00::1".parse().unwrap()), Some(443), Protocol::Tcp),
        ] {
            let found = Flow::read(text, |name| name == "shop").unwrap();
            assert_eq!((found.to, found.port, found.protocol), (to, port, protocol), "{text}");
        }
        assert!(Flow::read("http://127.0.0.1:4318", |_| false).unwrap().is_local());
        assert!(Flow::read("localhost:4318", |_| false).unwrap().is_local());
        assert_eq!(Flow::read("${pod.x}:4318", |_| false), None);
    }
}
