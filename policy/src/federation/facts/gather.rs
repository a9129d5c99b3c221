//! From the objects of a cluster to its facts: what `fedcar probe` has listed, or what somebody has exported.
//!
//! Only what is judged is kept, so that a lock stays small and changes only where a verdict can.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::federation::version::Version;

/// The group of Kubewarden's definitions, whose versions matter.
const KUBEWARDEN_GROUP: &str = "policies.kubewarden.io";

/// Facts from the version of an API server and from the objects that it has; in the form of a member's `facts`.
///
/// `listed` are the kinds of which `objects` holds every one: of the others nothing is known. Kinds that say nothing
/// about compatibility are passed over.
pub fn gather(kubernetes: Option<&str>, listed: &[&str], objects: &[Value]) -> Value {
    let of = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let has = |kind: &str| listed.contains(&kind);
    let mut facts = Map::new();
    let version = kubernetes.and_then(|text| text.parse::<Version>().ok());
    facts.extend(version.map(|version| ("kubernetes".to_owned(), Value::from(version.to_string()))));
    if has("Node") {
        for (key, values) in nodes(of("Node")) {
            facts.insert(key.to_owned(), Value::from(values));
        }
    }
    if has("Namespace") {
        let inside = by_namespace(objects);
        let all = of("Namespace").filter_map(|own| Some((name(own)?.to_owned(), namespace(own, &has, &inside))));
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
        let all = of("CustomResourceDefinition").filter(|one| *at(one, "/spec/group") == KUBEWARDEN_GROUP);
        facts.insert("customResources".to_owned(), sorted(all.filter_map(served).collect::<Map<_, _>>()));
    }
    sorted(facts)
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

fn namespace(own: &Value, has: &impl Fn(&str) -> bool, inside: &Inside<'_>) -> Value {
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
    if has("Pod") {
        let ended = |pod: &&Value| ["Succeeded", "Failed"].iter().any(|phase| *at(pod, "/status/phase") == *phase);
        namespace.insert("pods".to_owned(), Value::from(inside("Pod").filter(|pod| !ended(pod)).count()));
    }
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
