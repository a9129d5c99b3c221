//! What is known about a member's cluster: from pins in the Federation, from `fedcar.lock`, or from what a live cluster says.
//!
//! Invariant: a fact that is absent is unknown and never taken for the convenient answer, and an empty list means that
//! there is nothing of the kind. [`Facts::over`] lets pins win over the lock field by field. What is read is written back
//! with sorted keys, so that equal facts have equal bytes.

mod cidr;
mod cluster_network_policy;
mod gather;
mod kinds;
mod lock;
mod namespace;
mod network_policy;
mod quantities;
mod webhook;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub(super) use self::cluster_network_policy::{Action, ClusterNetworkPolicy, ClusterPeer, ClusterRule, Tier};
pub use self::gather::Observation;
pub use self::kinds::{KUBEWARDEN_GROUP, ProbedKind, Reading};
pub use self::lock::{Image, LOCK_FILE, Lock};
pub use self::namespace::Namespace;
pub(super) use self::namespace::{Limit, LimitRange, LimitType, Quota, Scope};
pub(super) use self::network_policy::{Block, Direction, NetworkPolicy, Peer, Port, Ports, Protocol};
pub(super) use self::quantities::Amounts;
pub use self::webhook::MutatingWebhook;
use super::member::{Engine, texts};
use super::version::Version;
use crate::read::{Fields, Node, Problems};
use crate::schema::Schema;

/// What is known about a cluster.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// When they were taken, as RFC 3339 in UTC; absent for pins.
    pub taken: Option<String>,
    /// The version of its API server.
    pub kubernetes: Option<Version>,
    /// The versions of its kubelets; empty where they are unknown.
    pub kubelets: Vec<Version>,
    /// The processor architectures of its nodes, as in the label `kubernetes.io/arch`; empty where they are unknown.
    pub architectures: Vec<String>,
    /// The operating systems of its nodes, as in the label `kubernetes.io/os`; empty where they are unknown.
    pub operating_systems: Vec<String>,
    /// Feature gates that are switched on in the API server and every kubelet though they are off by default.
    pub feature_gates: Vec<String>,
    /// The Pod Security level that namespaces enforce unless they say otherwise.
    pub pod_security: Option<PodSecurity>,
    /// The version of the engine, as it calls itself: `1.36.0`.
    pub engine_version: Option<String>,
    /// Its namespaces by name.
    pub namespaces: Option<BTreeMap<String, Namespace>>,
    /// Mutating webhooks of others that see new pods.
    pub mutating_webhooks: Option<Vec<MutatingWebhook>>,
    /// Versions that are served of custom resources, by the name of their definition.
    pub custom_resources: Option<BTreeMap<String, Vec<String>>>,
    /// By which names the cluster knows itself, where somebody has told it: each `ClusterProperty` of `about.k8s.io`.
    pub cluster_properties: Option<BTreeMap<String, String>>,
    pub(super) cluster_network_policies: Option<Vec<ClusterNetworkPolicy>>,
    written: Map<String, Value>,
}

/// A level of the Pod Security Standards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PodSecurity {
    /// Anything goes.
    Privileged,
    /// Known privilege escalations are prevented.
    Baseline,
    /// Hardened as current practice has it.
    Restricted,
}

impl PodSecurity {
    const ALL: [(&str, Self); 3] =
        [("privileged", Self::Privileged), ("baseline", Self::Baseline), ("restricted", Self::Restricted)];

    /// The level of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == name).map(|(_, level)| *level)
    }

    /// Its name in labels.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("", |(word, _)| *word)
    }
}

/// Equal where the same is known.
impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Facts {}

impl Facts {
    /// How many minor versions a kubelet may be behind its API server (Kubernetes' version skew policy, since 1.28).
    const KUBELET_SKEW: u32 = 3;

    /// The oldest part on which a feature depends that needs both API server and kubelets, and what it is called.
    ///
    /// A kubelet is never newer than its API server, so the kubelets alone are enough where only they are known. Where
    /// they are not, they may be as old as the API server allows.
    pub fn oldest(&self) -> Option<(&'static str, Version)> {
        let server = self.kubernetes.map(|version| ("Kubernetes", version));
        let kubelets = self.kubelets.iter().map(|version| ("kubelet", *version));
        let oldest_allowed = self.kubernetes.filter(|_| self.kubelets.is_empty());
        let assumed = oldest_allowed.map(|version| ("an unknown kubelet, perhaps", version.before(Self::KUBELET_SKEW)));
        server.into_iter().chain(kubelets).chain(assumed).min_by_key(|(_, version)| *version)
    }

    /// Does the cluster run sidecar containers? False also where that is unknown.
    pub fn native_sidecars(&self) -> bool {
        self.oldest().is_some_and(|(_, version)| {
            version >= Version::NATIVE_SIDECARS
                || (version >= Version::NATIVE_SIDECARS_BY_GATE && self.has_gate("SidecarContainers"))
        })
    }

    /// Whether a feature gate is known to be switched on.
    pub(super) fn has_gate(&self, name: &str) -> bool {
        self.feature_gates.iter().any(|gate| gate == name)
    }

    /// What nobody has said that a probe could find out, by the keys of facts.
    ///
    /// A key of namespaces counts where any of them lacks it. Of the engine's version only Kubewarden's is a fact.
    pub fn unknown(&self, engine: Engine) -> Vec<&'static str> {
        const NODES: [&str; 3] = ["architectures", "kubelets", "operatingSystems"];
        const OBJECTS: [&str; 4] = ["clusterNetworkPolicies", "kubernetes", "mutatingWebhooks", "namespaces"];
        const KUBEWARDEN: [&str; 2] = ["customResources", "engineVersion"];
        const IN_NAMESPACES: [&str; 5] = ["labels", "limitRanges", "networkPolicies", "pods", "resourceQuotas"];
        let said = |key: &str| self.written.get(key);
        let no_nodes = |key: &&str| said(key).and_then(Value::as_array).is_none_or(Vec::is_empty);
        let namespaces = said("namespaces").and_then(Value::as_object);
        let lacking = |key: &&str| namespaces.is_some_and(|all| all.values().any(|one| one.get(key).is_none()));
        let of_engine = KUBEWARDEN.into_iter().filter(|_| engine == Engine::Kubewarden);
        let unsaid = OBJECTS.into_iter().chain(of_engine).filter(|key| said(key).is_none());
        let nodes = NODES.into_iter().filter(no_nodes);
        let mut unknown: Vec<_> = unsaid.chain(nodes).chain(IN_NAMESPACES.into_iter().filter(lacking)).collect();
        unknown.sort_unstable();
        unknown
    }

    /// The facts as they stand in a document or a lock, with sorted keys.
    pub fn to_value(&self) -> Value {
        Value::Object(self.written.clone())
    }

    /// Facts where these are known, else the others'; namespaces of the same name field by field.
    #[must_use]
    pub fn over(&self, others: &Self) -> Self {
        let mut merged = others.written.clone();
        for (key, value) in &self.written {
            match (key.as_str(), merged.get_mut(key), value) {
                ("namespaces", Some(Value::Object(theirs)), Value::Object(ours)) => merge_namespaces(theirs, ours),
                _ => drop(merged.insert(key.clone(), value.clone())),
            }
        }
        // Each side has been read, and no field is judged by another one.
        Self::read(&Node::root(&Value::Object(merged)), &mut Problems::default()).unwrap_or_default()
    }

    /// The namespaces, policies and webhooks are written by `fedcar probe`, and only outlined.
    pub(super) fn schema() -> Schema {
        Schema::object([
            (
                "taken",
                Schema::pattern("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")
                    .says("When they were taken, in UTC."),
            ),
            ("kubernetes", Version::schema().says("The version of its API server, in quotes.")),
            ("kubelets", Schema::list_of(Version::schema())),
            ("architectures", Schema::list_of(Schema::filled())),
            ("operatingSystems", Schema::list_of(Schema::filled())),
            ("featureGates", Schema::list_of(Schema::filled())),
            ("podSecurity", Schema::choice(&PodSecurity::ALL)),
            ("engineVersion", Schema::filled()),
            ("namespaces", Schema::map_of(Schema::any())),
            ("clusterNetworkPolicies", Schema::list_of(Schema::any())),
            ("mutatingWebhooks", Schema::list_of(Schema::any())),
            ("customResources", Schema::map_of(Schema::list_of(Schema::filled()))),
            ("clusterProperties", Schema::map_of(Schema::filled())),
        ])
    }

    /// Reads facts; the keys are those of `facts` in a Federation.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut facts = Self {
            taken: fields.optional("taken").and_then(|node| read_time(&node, problems)),
            kubernetes: fields.optional("kubernetes").and_then(|node| Version::read(&node, problems)),
            kubelets: each(fields.optional("kubelets"), problems, Version::read),
            architectures: fields.optional("architectures").map(|node| texts(&node, problems)).unwrap_or_default(),
            operating_systems: fields
                .optional("operatingSystems")
                .map(|node| texts(&node, problems))
                .unwrap_or_default(),
            feature_gates: fields.optional("featureGates").map(|node| texts(&node, problems)).unwrap_or_default(),
            pod_security: fields.optional("podSecurity").and_then(|node| node.choice(&PodSecurity::ALL, problems)),
            ..Self::default()
        };
        facts.read_objects(&mut fields, problems);
        fields.finish(problems);
        if let Value::Object(written) = node.value {
            let known = written.iter().filter(|(_, value)| !value.is_null());
            facts.written = known.map(|(key, value)| (key.clone(), value.clone())).collect();
            facts.written.values_mut().for_each(Value::sort_all_objects);
            facts.written.sort_keys();
        }
        Some(facts)
    }

    /// Reads what is made of the cluster's objects.
    fn read_objects(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) {
        let engine = fields.optional("engineVersion").and_then(|node| node.filled_text(problems));
        self.engine_version = engine.map(str::to_owned);
        self.namespaces = fields.optional("namespaces").and_then(|node| {
            let entries = node.entries(problems)?;
            let read = |(name, node): (&str, Node<'_>)| Some((name.to_owned(), Namespace::read(&node, problems)?));
            Some(entries.into_iter().filter_map(read).collect())
        });
        self.cluster_network_policies = fields
            .optional("clusterNetworkPolicies")
            .map(|node| each(Some(node), problems, ClusterNetworkPolicy::read));
        self.mutating_webhooks =
            fields.optional("mutatingWebhooks").map(|node| each(Some(node), problems, MutatingWebhook::read));
        self.custom_resources = fields.optional("customResources").and_then(|node| {
            let entries = node.entries(problems)?;
            Some(entries.into_iter().map(|(name, node)| (name.to_owned(), texts(&node, problems))).collect())
        });
        self.cluster_properties = fields.optional("clusterProperties").and_then(|node| {
            let entries = node.entries(problems)?;
            let read = |(name, node): (&str, Node<'_>)| Some((name.to_owned(), node.filled_text(problems)?.to_owned()));
            Some(entries.into_iter().filter_map(read).collect())
        });
    }
}

fn merge_namespaces(theirs: &mut Map<String, Value>, ours: &Map<String, Value>) {
    for (name, pinned) in ours {
        match (theirs.get_mut(name), pinned) {
            (Some(Value::Object(found)), Value::Object(pinned)) => found.extend(pinned.clone()),
            _ => drop(theirs.insert(name.clone(), pinned.clone())),
        }
    }
}

/// Reads each item of a list.
fn each<T>(
    node: Option<Node<'_>>,
    problems: &mut Problems,
    read: impl Fn(&Node<'_>, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let items = node.and_then(|node| node.items(problems)).unwrap_or_default();
    items.iter().filter_map(|item| read(item, problems)).collect()
}

/// A time such as `2026-09-01T10:00:00Z`: text that sorts as the times do.
fn read_time(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?;
    let shape: String = text.chars().map(|one| if one.is_ascii_digit() { '0' } else { one }).collect();
    if shape != "0000-00-00T00:00:00Z" {
        problems.add(
            &node.pointer,
            format!("expected a time in UTC such as \"2026-09-01T10:00:00Z\", found `{}`", crate::read::clip(text)),
        );
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests;
