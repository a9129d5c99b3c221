//! Certificates on both sides: whether they are demanded, where the own one comes from, and whose are believed.

use super::super::member::texts;
use super::identity::is_trust_domain;
use crate::read::{Node, Problems, clip};
use crate::schema::Schema;

/// Certificates on both sides of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mtls {
    /// Whether callers without a certificate are refused.
    pub mode: Mode,
    /// Where the own certificate comes from.
    pub certificates: Certificates,
    /// The domains whose certificates are believed; empty stands for the federation's own.
    pub trust_domains: Vec<String>,
}

/// Whether callers without a certificate are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Strict,
    /// They are not: for the time in which not every caller has one.
    Permissive,
}

/// Where a workload's own certificate comes from. Keys never stand in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificates {
    /// The socket of the Workload API, which the CSI driver of SPIFFE mounts.
    Spiffe {
        /// Its path in the pod.
        socket: String,
    },
    /// Files that somebody renews, as cert-manager's CSI driver does.
    Files {
        /// The folder with `tls.crt`, `tls.key` and `ca.crt`.
        folder: String,
    },
}

const MODES: [(&str, Mode); 2] = [("strict", Mode::Strict), ("permissive", Mode::Permissive)];
const ABSOLUTE: &str = "^/";

impl Mtls {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mode = fields.required("mode", problems).and_then(|node| node.choice(&MODES, problems));
        let certificates =
            fields.required("certificates", problems).and_then(|node| Certificates::read(&node, problems));
        let domains = fields.optional("trustDomains");
        let trust_domains = domains.as_ref().map(|node| texts(node, problems)).unwrap_or_default();
        for (index, domain) in trust_domains.iter().enumerate().filter(|(_, domain)| !is_trust_domain(domain)) {
            let pointer = format!("{}/trustDomains/{index}", node.pointer);
            problems
                .add(pointer, format!("expected a trust domain such as `retail.example`, found `{}`", clip(domain)));
        }
        fields.finish(problems);
        Some(Self { mode: mode?, certificates: certificates?, trust_domains })
    }

    pub(super) fn schema() -> Schema {
        let domain = Schema::pattern("^[a-z0-9._-]+$");
        Schema::object([
            ("mode", Schema::choice(&MODES).says("strict refuses callers without a certificate.")),
            ("certificates", Certificates::schema().says("Where the own certificate comes from.")),
            ("trustDomains", Schema::list_of(domain).says("Default the federation's own.")),
        ])
        .requires(&["mode", "certificates"])
    }
}

impl Certificates {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut path = |key| fields.optional(key).map(|node| read_absolute(&node, problems).map(str::to_owned));
        let (socket, folder) = (path("spiffeSocket"), path("folder"));
        fields.finish(problems);
        match (socket, folder) {
            (Some(socket), None) => Some(Self::Spiffe { socket: socket? }),
            (None, Some(folder)) => Some(Self::Files { folder: folder? }),
            _ => {
                problems.add(&node.pointer, "expected either `spiffeSocket` or `folder`");
                None
            }
        }
    }

    fn schema() -> Schema {
        Schema::object([
            ("spiffeSocket", Schema::pattern(ABSOLUTE).says("The socket of the Workload API in the pod.")),
            ("folder", Schema::pattern(ABSOLUTE).says("Holds tls.crt, tls.key and ca.crt.")),
        ])
        .one_of(&["spiffeSocket", "folder"])
    }
}

/// A path from the root of a container.
pub(super) fn read_absolute<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.text(problems)?;
    if !text.starts_with('/') {
        problems
            .add(&node.pointer, format!("expected a path from the root such as `/run/tls`, found `{}`", clip(text)));
        return None;
    }
    Some(text)
}
