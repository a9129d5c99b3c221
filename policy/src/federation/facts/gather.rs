//! From the objects of a cluster to its facts: what `fedcar probe` has listed, or what somebody has exported.
//!
//! Only what is judged is kept, so that a large cluster takes little memory, and a lock stays small and changes only where
//! a verdict can.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::kinds::{KUBEWARDEN_GROUP, ProbedKind};
use crate::federation::version::Version;

/// The properties by which a cluster says who it is (KEP-2149); others may say anything.
const IDENTITY: [&str; 2] = ["cluster.clusterset.k8s.io", "clusterset.k8s.io"];

/// What was read of a cluster.
#[derive(Debug, Default)]
pub struct Observation {
    /// The version of its API server, as it calls itself.
    pub kubernetes: Option<String>,
    /// The kinds of which every object was added: of the others nothing is known.
    listed: BTreeSet<&'static str>,
    objects: Vec<Value>,
    /// How many pods there are in each namespace that have not ended.
    pods: BTreeMap<String, u64>,
}

impl Observation {
    /// Says that every object of a kind is added, also where there is none.
    pub fn list(&mut self, kind: &'static ProbedKind) {
        self.listed.insert(kind.name);
    }

    /// The same by the name of the kind; others are passed over.
    pub fn list_named(&mut self, name: &str, api_version: Option<&str>) {
        self.listed.extend(ProbedKind::named(name, api_version).map(|kind| kind.name));
    }

    /// Adds an object, and with it its kind. What says nothing about a cluster is passed over.
    pub fn add(&mut self, mut object: Value) {
        let api_version = object.get("apiVersion").and_then(Value::as_str);
        let kind = object.get("kind").and_then(Value::as_str);
        let Some(kind) = kind.and_then(|kind| ProbedKind::named(kind, api_version)) else { return };
        self.list(kind);
        match kind.name {
            "Pod" => {
                let ended = ["Succeeded", "Failed"].iter().any(|phase| *at(&object, "/status/phase") == *phase);
                if let (Some(namespace), false) = (at(&object, "/metadata/namespace").as_str(), ended) {
                    *self.pods.entry(namespace.to_owned()).or_default() += 1;
                }
                return;
            }
            "CustomResourceDefinition" if *at(&object, "/spec/group") != KUBEWARDEN_GROUP => return,
            // A node lists the images that it holds.
            "Node" => {
                if let Some(Value::Object(status)) = object.get_mut("status") {
                    status.retain(|key, _| key == "nodeInfo");
                }
            }
            _ => {}
        }
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.retain(|key, _| ["name", "namespace", "labels"].contains(&key.as_str()));
        }
        self.objects.push(object);
    }

    /// Whether anything is known.
    pub fn is_empty(&self) -> bool {
        self.kubernetes.is_none() && self.listed.is_empty()
    }

    /// The facts, in the form of a member's `facts`.
    pub fn facts(&self) -> Value {
        let of = |kind: &'static str| self.objects.iter().filter(move |object| object["kind"] == kind);
        let has = |kind: &str| self.listed.contains(kind);
        let mut facts = Map::new();
        let version = self.kubernetes.as_ref().and_then(|text| text.parse::<Version>().ok());
        // What a build calls itself that was not told its version: v0.0.0-master.
        let version = version.filter(|version| version.to_string() != "0.0");
        facts.extend(version.map(|version| ("kubernetes".to_owned(), Value::from(version.to_string()))));
        if has("Node") {
            for (key, values) in nodes(of("Node")) {
                facts.insert(key.to_owned(), Value::from(values));
            }
        }
        if has("Namespace") {
            let inside = by_namespace(&self.objects);
            let pods = |name: &str| has("Pod").then(|| self.pods.get(name).copied().unwrap_or_default());
            let all = of("Namespace").filter_map(|own| {
                let name = name(own)?;
                Some((name.to_owned(), namespace(own, &has, &inside, pods(name))))
            });
            facts.insert("namespaces".to_owned(), sorted(all.collect::<Map<_, _>>()));
        }
        let policies = ["ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy"];
        // A cluster has one generation of the kind or the other; one that is not installed is listed as having none.
        if policies.iter().all(|kind| has(kind)) {
            let mut all: Vec<Value> =
                policies.iter().flat_map(|kind| of(kind).map(|policy| cluster_policy(kind, policy))).collect();
            all.sort_by_key(|policy| policy["name"].to_string());
            facts.insert("clusterNetworkPolicies".to_owned(), Value::from(all));
        }
        if has("MutatingWebhookConfiguration") {
            let mut all: Vec<Value> = of("MutatingWebhookConfiguration").flat_map(webhooks).collect();
            all.sort_by_key(|webhook| webhook["configuration"].to_string());
            facts.insert("mutatingWebhooks".to_owned(), Value::from(all));
        }
        if has("CustomResourceDefinition") {
            let all = of("CustomResourceDefinition").filter_map(served);
            facts.insert("customResources".to_owned(), sorted(all.collect::<Map<_, _>>()));
        }
        if let Some(version) = engine_version(of("PolicyServer")) {
            facts.insert("engineVersion".to_owned(), Value::from(version));
        }
        if has("ClusterProperty") {
            let known = of("ClusterProperty").filter(|one| name(one).is_some_and(|name| IDENTITY.contains(&name)));
            let all = known.filter_map(|one| Some((name(one)?.to_owned(), at(one, "/spec/value").clone())));
            facts.insert("clusterProperties".to_owned(), sorted(all.collect::<Map<_, _>>()));
        }
        sorted(facts)
    }
}

/// The value in a place, or null.
fn at<'v>(object: &'v Value, pointer: &str) -> &'v Value {
    static NOTHING: Value = Value::Null;
    object.pointer(pointer).unwrap_or(&NOTHING)
}

fn sorted(map: Map<String, Value>) -> Value {
    let mut value = Value::Object(map);
    value.sort_all_objects();
    value
}

fn name(object: &Value) -> Option<&str> {
    at(object, "/metadata/name").as_str()
}

/// What nodes say about themselves, each value once.
fn nodes<'v>(nodes: impl Iterator<Item = &'v Value>) -> [(&'static str, Vec<String>); 3] {
    let mut kubelets = BTreeSet::new();
    let (mut architectures, mut systems) = (BTreeSet::new(), BTreeSet::new());
    for node in nodes {
        let info = |key: &str| at(node, &format!("/status/nodeInfo/{key}")).as_str();
        kubelets.extend(info("kubeletVersion").and_then(|text| text.parse::<Version>().ok()));
        architectures.extend(info("architecture").map(str::to_owned));
        systems.extend(info("operatingSystem").map(str::to_owned));
    }
    [
        ("kubelets", kubelets.iter().map(ToString::to_string).collect()),
        ("architectures", architectures.into_iter().collect()),
        ("operatingSystems", systems.into_iter().collect()),
    ]
}

/// The objects of each namespace and kind, in their order.
type Inside<'v> = BTreeMap<(&'v str, &'v str), Vec<&'v Value>>;

fn by_namespace(objects: &[Value]) -> Inside<'_> {
    let mut inside = Inside::new();
    for object in objects {
        if let (Some(namespace), Some(kind)) = (at(object, "/metadata/namespace").as_str(), object["kind"].as_str()) {
            inside.entry((namespace, kind)).or_default().push(object);
        }
    }
    inside
}

fn namespace(own: &Value, has: &impl Fn(&str) -> bool, inside: &Inside<'_>, pods: Option<u64>) -> Value {
    let of = name(own).unwrap_or_default();
    let inside = |kind| inside.get(&(of, kind)).into_iter().flatten().copied();
    let named = |object: &Value, parts: &[(&str, &Value)]| {
        let mut value = Map::from_iter([("name".to_owned(), at(object, "/metadata/name").clone())]);
        let present = parts.iter().filter(|(_, part)| !part.is_null());
        value.extend(present.map(|(key, part)| ((*key).to_owned(), (*part).clone())));
        Value::Object(value)
    };
    let list = |mut items: Vec<Value>| {
        items.sort_by_key(|item| item["name"].to_string());
        Value::from(items)
    };
    let mut namespace = Map::new();
    let labels = own["metadata"].get("labels").cloned().unwrap_or_else(|| json!({}));
    namespace.insert("labels".to_owned(), labels);
    namespace.extend(pods.map(|pods| ("pods".to_owned(), Value::from(pods))));
    if has("ResourceQuota") {
        // What the quota controller goes by is the status, which follows the spec.
        let quota = |quota: &Value| {
            let hard = quota["status"].get("hard").unwrap_or(at(quota, "/spec/hard"));
            let spec = &quota["spec"];
            let parts = [
                ("hard", hard),
                ("used", at(quota, "/status/used")),
                ("scopes", &spec["scopes"]),
                ("scopeSelector", &spec["scopeSelector"]),
            ];
            named(quota, &parts)
        };
        namespace.insert("resourceQuotas".to_owned(), list(inside("ResourceQuota").map(quota).collect()));
    }
    if has("LimitRange") {
        let range = |range: &Value| named(range, &[("limits", at(range, "/spec/limits"))]);
        namespace.insert("limitRanges".to_owned(), list(inside("LimitRange").map(range).collect()));
    }
    if has("NetworkPolicy") {
        let policy = |policy: &Value| {
            let parts = ["podSelector", "policyTypes", "ingress", "egress"]
                .map(|key| (key, at(policy, &format!("/spec/{key}"))));
            named(policy, &parts)
        };
        namespace.insert("networkPolicies".to_owned(), list(inside("NetworkPolicy").map(policy).collect()));
    }
    Value::Object(namespace)
}

/// A policy for the whole cluster, in the form of the youngest kind.
fn cluster_policy(kind: &str, policy: &Value) -> Value {
    let mut value = Map::from_iter([("name".to_owned(), at(policy, "/metadata/name").clone())]);
    let spec = policy["spec"].as_object().into_iter().flatten();
    let kept = ["tier", "priority", "subject", "ingress", "egress"];
    value.extend(spec.filter(|(key, _)| kept.contains(&key.as_str())).map(|(key, part)| (key.clone(), part.clone())));
    let tier = match kind {
        "AdminNetworkPolicy" => Some("Admin"),
        "BaselineAdminNetworkPolicy" => Some("Baseline"),
        _ => None,
    };
    value.extend(tier.map(|tier| ("tier".to_owned(), Value::from(tier))));
    Value::Object(value)
}

/// The webhooks of a configuration that are called for new pods.
fn webhooks(configuration: &Value) -> Vec<Value> {
    let lists = |rule: &Value, key: &str, wanted: &[&str]| {
        let items = rule[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        items.into_iter().any(|item| wanted.contains(&item))
    };
    let sees_pods = |webhook: &&Value| {
        webhook["rules"].as_array().into_iter().flatten().any(|rule| {
            lists(rule, "apiGroups", &["", "*"])
                && lists(rule, "resources", &["pods", "*", "*/*"])
                && lists(rule, "operations", &["CREATE", "*"])
        })
    };
    let all = configuration["webhooks"].as_array().into_iter().flatten().filter(sees_pods);
    all.map(|webhook| {
        let policy = webhook["reinvocationPolicy"].as_str().unwrap_or("Never");
        json!({
            "configuration": at(configuration, "/metadata/name"),
            "name": webhook["name"],
            "reinvocationPolicy": policy,
        })
    })
    .collect()
}

/// The versions of a definition that the API server serves.
fn served(definition: &Value) -> Option<(String, Value)> {
    let versions = at(definition, "/spec/versions").as_array().into_iter().flatten();
    let served: BTreeSet<&str> =
        versions.filter(|version| version["served"] == true).filter_map(|version| version["name"].as_str()).collect();
    Some((name(definition)?.to_owned(), json!(served)))
}

/// The oldest version of the policy servers, by the tags of their images; unknown where one has none that says it.
fn engine_version<'v>(servers: impl Iterator<Item = &'v Value>) -> Option<String> {
    let tag = |server: &Value| {
        let image = at(server, "/spec/image").as_str()?;
        let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
        let text = tag.strip_prefix('v').unwrap_or(tag).to_owned();
        Some((text.parse::<Version>().ok()?, text))
    };
    let all: Option<Vec<_>> = servers.map(tag).collect();
    all?.into_iter().min().map(|(_, text)| text)
}
