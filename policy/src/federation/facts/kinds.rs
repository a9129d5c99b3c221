//! The kinds of a cluster's objects that say something about it: what is listed, what rights that takes, what is kept.

/// A kind whose objects become facts.
#[derive(Debug)]
pub struct ProbedKind {
    /// Its name.
    pub name: &'static str,
    /// Its API group, empty for the core group.
    pub group: &'static str,
    /// Its name in paths and in rules of RBAC.
    pub plural: &'static str,
    /// The versions whose form is known, the preferred one first.
    pub versions: &'static [&'static str],
    /// How it is read from an API server.
    pub reading: Reading,
}

/// How a kind is read from an API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// By a list of the objects.
    Objects,
    /// By a list of their metadata, as the rest is large and says nothing.
    Metadata,
    /// By asking which kinds are served, which everybody may: a list of the definitions would hold all their schemas.
    Discovery,
}

impl ProbedKind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::new("Node", "", "nodes", &["v1"], Reading::Objects),
        Self::new("Namespace", "", "namespaces", &["v1"], Reading::Metadata),
        Self::new("Pod", "", "pods", &["v1"], Reading::Metadata),
        Self::new("ResourceQuota", "", "resourcequotas", &["v1"], Reading::Objects),
        Self::new("LimitRange", "", "limitranges", &["v1"], Reading::Objects),
        Self::new("NetworkPolicy", "networking.k8s.io", "networkpolicies", &["v1"], Reading::Objects),
        Self::new(
            "ClusterNetworkPolicy",
            "policy.networking.k8s.io",
            "clusternetworkpolicies",
            &["v1alpha2"],
            Reading::Objects,
        ),
        Self::new(
            "AdminNetworkPolicy",
            "policy.networking.k8s.io",
            "adminnetworkpolicies",
            &["v1alpha1"],
            Reading::Objects,
        ),
        Self::new(
            "BaselineAdminNetworkPolicy",
            "policy.networking.k8s.io",
            "baselineadminnetworkpolicies",
            &["v1alpha1"],
            Reading::Objects,
        ),
        Self::new(
            "MutatingWebhookConfiguration",
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations",
            &["v1"],
            Reading::Objects,
        ),
        Self::new(
            "CustomResourceDefinition",
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            &["v1"],
            Reading::Discovery,
        ),
        Self::new("PolicyServer", KUBEWARDEN_GROUP, "policyservers", &["v1", "v1alpha2"], Reading::Objects),
        Self::new("ClusterProperty", "about.k8s.io", "clusterproperties", &["v1beta1", "v1alpha1"], Reading::Objects),
    ];

    const fn new(
        name: &'static str,
        group: &'static str,
        plural: &'static str,
        versions: &'static [&'static str],
        reading: Reading,
    ) -> Self {
        Self { name, group, plural, versions, reading }
    }

    /// The kind of this name; other groups have kinds of the same name.
    pub(super) fn named(name: &str, api_version: Option<&str>) -> Option<&'static Self> {
        let group = api_version.map(|version| version.split_once('/').map_or("", |(group, _)| group));
        Self::ALL.iter().find(|kind| kind.name == name && group.is_none_or(|group| group == kind.group))
    }
}

/// The group of Kubewarden's definitions, whose versions matter.
pub const KUBEWARDEN_GROUP: &str = "policies.kubewarden.io";
