//! Pods on which a difference shows: for every `match` of the settings one that fits, with and without the labels by
//! which application teams opt in and out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::settings::NAMESPACE_NAME_LABEL;

/// An object to ask the module about.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What it is, in words.
    pub words: String,
    /// Its Namespace.
    pub namespace: Value,
    /// Itself.
    pub object: Value,
}

/// What it is called, and the namespace of what asks for none.
const NAME: &str = "sample";

const KINDS: [&str; 3] = ["Deployment", "Job", "Pod"];

/// Where something matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    namespace: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    service_account: Option<String>,
}

/// The samples for what is `touched`, as in [`super::Change::about`], in the settings of both sides; for everything where the
/// cluster is.
pub fn samples(sides: &[&Value], touched: &BTreeSet<&str>) -> Vec<Sample> {
    let everything = touched.contains("cluster");
    let mut fits: BTreeSet<(Fit, &str)> = BTreeSet::new();
    for settings in sides {
        let list = |key: &str| settings.get(key).and_then(Value::as_array).into_iter().flatten();
        for sidecar in list("sidecars") {
            let name = text(sidecar, "name");
            if everything || touched.contains(format!("sidecar {name}").as_str()) {
                fits.insert((Fit::of(sidecar), name));
                fits.insert((Fit::default(), name));
            }
        }
        for guardrail in list("guardrails") {
            let name = text(guardrail, "name");
            let is_touched = |one: &&str| {
                one.strip_prefix("guardrail ").is_some_and(|one| {
                    name.strip_prefix(one).is_some_and(|rest| rest.is_empty() || rest.starts_with("-exempt-"))
                })
            };
            let ruled = ["required", "never"].into_iter().filter_map(|key| guardrail.get(key)?.as_array()).flatten();
            for sidecar in ruled.filter_map(Value::as_str) {
                if everything
                    || touched.iter().any(is_touched)
                    || touched.contains(format!("sidecar {sidecar}").as_str())
                {
                    fits.insert((Fit::of(guardrail), sidecar));
                }
            }
        }
    }
    let mut samples = BTreeMap::new();
    for (fit, sidecar) in fits {
        for asked in [None, Some("enabled"), Some("disabled")] {
            let mut fit = fit.clone();
            fit.labels.extend(asked.map(|word| (format!("sidecar.fedcar.dev/{sidecar}"), word.to_owned())));
            for kind in KINDS {
                let sample = fit.sample(kind);
                samples.insert(sample.words.clone(), sample);
            }
        }
    }
    samples.into_values().collect()
}

impl Fit {
    /// What fits the `match` of a sidecar or guardrail.
    fn of(part: &Value) -> Self {
        let matching = part.get("match").unwrap_or(&Value::Null);
        let accounts = matching.get("serviceAccounts").and_then(Value::as_array);
        let account = accounts.and_then(|names| names.first()?.as_str());
        Self {
            namespace: labels(matching.get("namespaces")),
            labels: labels(matching.get("pods")),
            service_account: account.map(str::to_owned),
        }
    }

    fn sample(&self, kind: &str) -> Sample {
        let name = self.namespace.get(NAMESPACE_NAME_LABEL).map_or(NAME, String::as_str);
        let mut namespace_labels = self.namespace.clone();
        namespace_labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.to_owned());
        let mut spec = json!({"containers": [{
            "name": "app", "image": "registry.example/sample:1",
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        }]});
        if let (Some(account), Value::Object(spec)) = (&self.service_account, &mut spec) {
            spec.insert("serviceAccountName".to_owned(), account.as_str().into());
        }
        let mut metadata = Map::new();
        if !self.labels.is_empty() {
            metadata.insert("labels".to_owned(), json!(self.labels));
        }
        let template = json!({"metadata": metadata, "spec": spec});
        let place = json!({"name": NAME, "namespace": name});
        let object = match kind {
            "Pod" => {
                metadata.insert("name".to_owned(), NAME.into());
                metadata.insert("namespace".to_owned(), name.into());
                json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec})
            }
            "Job" => json!({"apiVersion": "batch/v1", "kind": kind, "metadata": place, "spec": {"template": template}}),
            _ => json!({"apiVersion": "apps/v1", "kind": kind, "metadata": place, "spec": {"template": template}}),
        };
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": namespace_labels},
        });
        Sample { words: self.words(kind), namespace, object }
    }

    /// `Job (namespace: tier=prod; pod: app=shop)`.
    fn words(&self, kind: &str) -> String {
        let with = |labels: &BTreeMap<String, String>| {
            labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
        };
        let account = self.service_account.clone().unwrap_or_default();
        let parts = [("namespace", with(&self.namespace)), ("pod", with(&self.labels)), ("service account", account)];
        let parts = parts.iter().filter(|(_, part)| !part.is_empty()).map(|(name, part)| format!("{name}: {part}"));
        let parts = parts.collect::<Vec<_>>().join("; ");
        if parts.is_empty() { kind.to_owned() } else { format!("{kind} ({parts})") }
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Labels that fit a selector.
fn labels(selector: Option<&Value>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let part = |key: &str| selector.and_then(|selector| selector.get(key));
    for (key, value) in part("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        labels.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    let requirements = || part("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let values = |one: &Value| {
        let values = one.get("values").and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let excluded = |key: &str, value: &String| {
        requirements()
            .any(|one| text(one, "key") == key && text(one, "operator") == "NotIn" && values(one).contains(value))
    };
    for requirement in requirements() {
        let key = text(requirement, "key");
        let value = match text(requirement, "operator") {
            "In" => values(requirement).into_iter().find(|value| !excluded(key, value)),
            "Exists" => Some("any".to_owned()),
            _ => None,
        };
        if let Some(value) = value {
            labels.entry(key.to_owned()).or_insert(value);
        }
    }
    labels
}
