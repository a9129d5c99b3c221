//! A namespace: its labels, how many pods it holds, and the objects in it that judge or limit a pod.

use serde_json::{Map, Value};

use super::network_policy::NetworkPolicy;
use super::quantities::{self, Amounts};
use super::{PodSecurity, each};
use crate::federation::version::Version;
use crate::read::{Node, Problems};
use crate::settings::NAMESPACE_NAME_LABEL;

/// What is known about a namespace.
#[derive(Debug, Clone, Default)]
pub struct Namespace {
    /// Its labels, each of them text.
    pub labels: Option<Map<String, Value>>,
    /// How many pods it holds.
    pub pods: Option<u64>,
    pub(in crate::federation) quotas: Option<Vec<Quota>>,
    pub(in crate::federation) limit_ranges: Option<Vec<LimitRange>>,
    pub(in crate::federation) network_policies: Option<Vec<NetworkPolicy>>,
}

/// A `ResourceQuota`.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Quota {
    pub(in crate::federation) name: String,
    pub(in crate::federation) hard: Amounts,
    pub(in crate::federation) used: Amounts,
    /// Which pods it counts; every one of them must hold.
    pub(in crate::federation) scopes: Vec<Scope>,
}

/// Which pods a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum Scope {
    /// Pods without requests and limits for cpu and memory.
    BestEffort,
    /// All others.
    NotBestEffort,
    /// Something that a sidecar does not decide: a deadline, a priority class, an affinity.
    OfThePod,
}

/// A `LimitRange`.
#[derive(Debug, Clone)]
pub(in crate::federation) struct LimitRange {
    pub(in crate::federation) name: String,
    pub(in crate::federation) limits: Vec<Limit>,
}

/// One entry of a `LimitRange`.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Limit {
    pub(in crate::federation) of: LimitType,
    pub(in crate::federation) min: Amounts,
    pub(in crate::federation) max: Amounts,
    pub(in crate::federation) default: Amounts,
    pub(in crate::federation) default_request: Amounts,
    pub(in crate::federation) ratio: Amounts,
}

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum LimitType {
    Container,
    Pod,
    /// Claims for storage and whatever else does not concern pods.
    Other,
}

impl Namespace {
    /// The level that it enforces by its labels and the version of the rules, `None` standing for `latest`. The whole is
    /// `None` where it does not say.
    pub(in crate::federation) fn pod_security(&self) -> Option<(PodSecurity, Option<Version>)> {
        let label = |key: &str| self.labels.as_ref()?.get(key)?.as_str();
        let level = PodSecurity::named(label("pod-security.kubernetes.io/enforce")?)?;
        Some((level, label("pod-security.kubernetes.io/enforce-version").and_then(|text| text.parse().ok())))
    }

    /// Its labels as far as they are known, with the one that holds its name.
    pub(in crate::federation) fn known_labels(&self, name: &str) -> Map<String, Value> {
        let mut labels = self.labels.clone().unwrap_or_default();
        labels.insert(NAMESPACE_NAME_LABEL.to_owned(), Value::from(name));
        labels
    }

    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let labels = fields.optional("labels").and_then(|node| {
            let entries = node.entries(problems)?;
            let texts =
                entries.into_iter().filter_map(|(key, node)| Some((key.to_owned(), node.text(problems)?.into())));
            Some(texts.collect())
        });
        let pods = fields.optional("pods").and_then(|node| node.integer(0, u64::from(u32::MAX), problems));
        let quotas = fields.optional("resourceQuotas").map(|node| each(Some(node), problems, Quota::read));
        let limit_ranges = fields.optional("limitRanges").map(|node| each(Some(node), problems, LimitRange::read));
        let policies = fields.optional("networkPolicies").map(|node| each(Some(node), problems, NetworkPolicy::read));
        fields.finish(problems);
        Some(Self { labels, pods, quotas, limit_ranges, network_policies: policies })
    }
}

impl Quota {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let hard = quantities::read(fields.required("hard", problems), problems);
        let used = quantities::read(fields.optional("used"), problems);
        let mut scopes = each(fields.optional("scopes"), problems, |node, problems| node.text(problems).map(Scope::of));
        if let Some(mut selector) = fields.optional("scopeSelector").and_then(|node| node.fields(problems)) {
            scopes.extend(each(selector.optional("matchExpressions"), problems, Scope::read_requirement));
            selector.finish(problems);
        }
        fields.finish(problems);
        Some(Self { name: name?.to_owned(), hard, used, scopes })
    }
}

impl Scope {
    fn of(name: &str) -> Self {
        match name {
            "BestEffort" => Self::BestEffort,
            "NotBestEffort" => Self::NotBestEffort,
            _ => Self::OfThePod,
        }
    }

    fn read_requirement(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("scopeName", problems).and_then(|node| node.filled_text(problems));
        // Which classes it selects is for the pod to say, whatever they are.
        for key in ["operator", "values"] {
            fields.optional(key);
        }
        fields.finish(problems);
        name.map(Self::of)
    }
}

impl LimitRange {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let limits = each(fields.required("limits", problems), problems, Limit::read);
        fields.finish(problems);
        Some(Self { name: name?.to_owned(), limits })
    }
}

impl Limit {
    /// Reads an entry and fills it in as the API server does when it stores one (`SetDefaults_LimitRangeItem`).
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let of = fields.required("type", problems).and_then(|node| node.filled_text(problems))?;
        let mut amounts = |key| quantities::read(fields.optional(key), problems);
        let (min, max, ratio) = (amounts("min"), amounts("max"), amounts("maxLimitRequestRatio"));
        let (mut default, mut default_request) = (amounts("default"), amounts("defaultRequest"));
        fields.finish(problems);
        let of = match of {
            "Container" => LimitType::Container,
            "Pod" => LimitType::Pod,
            _ => LimitType::Other,
        };
        if of == LimitType::Container {
            fill(&mut default, &max);
            fill(&mut default_request, &default);
            fill(&mut default_request, &min);
        }
        Some(Self { of, min, max, default, default_request, ratio })
    }
}

/// Adds what is missing.
fn fill(amounts: &mut Amounts, from: &Amounts) {
    for (name, amount) in from {
        amounts.entry(name.clone()).or_insert(*amount);
    }
}
