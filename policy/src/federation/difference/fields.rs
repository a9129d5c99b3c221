//! Settings as named things (sidecars, containers, variables, volumes, …) and their fields, each with its value in words.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::known::Known;
use super::known::{read_by, resolve};
use super::selector;
use crate::expression::quantity::Quantity;

/// The names of a thing and of what it is part of, in words; what it is about comes first.
pub(super) type Path = Vec<String>;

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// The value of a field, in words.
    Value(String),
    /// Something with a name, which comes and goes as a whole; what it is, in words.
    Thing(String),
    /// Names whose order means something.
    Order(Vec<String>),
}

/// What one side says.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<Path, Leaf>);

/// Lists whose items have names: the key of the list, that of the name, the word for an item, and whether order counts.
const NAMED: [(&str, &str, &str, bool); 10] = [
    ("containers", "name", "container", true),
    ("env", "name", "env", true),
    ("volumes", "name", "volume", false),
    ("volumeMounts", "mountPath", "mount", false),
    ("ports", "containerPort", "port", false),
    ("overrides", "annotation", "override", false),
    ("optOut", "sidecar", "opt-out of", false),
    ("let", "name", "let", false),
    ("imagePullSecrets", "name", "pull secret", false),
    ("hostAliases", "ip", "host alias", false),
];

/// Lists of texts that are sets.
const SETS: [&str; 27] = [
    "protectedNamespaces",
    "os",
    "architectures",
    "serviceAccounts",
    "users",
    "groups",
    "workloads",
    "required",
    "never",
    "before",
    "after",
    "overridable",
    "include",
    "exclude",
    "oneOf",
    "add",
    "drop",
    "of",
    "kinds",
    "controls",
    "allow",
    "addCapabilities",
    "dropCapabilities",
    "seccompProfiles",
    "rules",
    "sidecars",
    "namespaces",
];

/// Keys below which amounts are quantities.
const AMOUNTS: [&str; 4] = ["resources", "sizing", "overhead", "override"];

/// Keys that are no step of their own: what is below them is said of what they stand in.
const TRANSPARENT: [&str; 2] = ["inject", "match"];

impl Leaf {
    /// It in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Value(words) | Self::Thing(words) => words.clone(),
            Self::Order(names) => names.join(", "),
        }
    }
}

impl Fields {
    pub(super) fn of<'v>(
        engine: &str,
        settings: &Value,
        guardrails: impl Iterator<Item = (&'v str, &'v Value)>,
    ) -> Self {
        let mut fields = Self::default();
        let mut cluster = json!({
            "engine": engine,
            "engineNamespace": settings.get("engineNamespace"),
            "native sidecars": settings.pointer("/cluster/capabilities/nativeSidecars"),
            "onFault": "deny",
            "namespaceLabels": "optional",
        });
        for key in ["onFault", "namespaceLabels", "protectedNamespaces"] {
            if let (Some(value), Value::Object(cluster)) = (settings.get(key), &mut cluster) {
                cluster.insert(key.to_owned(), value.clone());
            }
        }
        fields.walk(vec!["cluster".to_owned()], "", &cluster);
        let sidecars = settings.get("sidecars").and_then(Value::as_array).into_iter().flatten();
        let mut order = Vec::new();
        let mut together = Amounts::default();
        for sidecar in sidecars {
            order.push(text(sidecar, "name").to_owned());
            together.add(&fields.sidecar(settings, sidecar));
        }
        fields.put(vec!["cluster".to_owned(), "order of sidecars".to_owned()], Leaf::Order(order));
        let requests = vec!["all sidecars together".to_owned(), "requests per pod".to_owned()];
        fields.put(requests, Leaf::Value(together.words()));
        for (name, spec) in guardrails {
            let mut spec = spec.clone();
            if let Value::Object(spec) = &mut spec {
                spec.retain(|key, _| key != "members" && key != "reason");
            }
            let path = vec![format!("guardrail {name}")];
            fields.put(path.clone(), Leaf::Thing(in_words(&spec)));
            fields.walk(path, "", &spec);
        }
        fields
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys()
    }

    pub(super) fn get(&self, path: &Path) -> Option<&Leaf> {
        self.0.get(path)
    }

    fn put(&mut self, path: Path, leaf: Leaf) {
        self.0.insert(path, leaf);
    }

    /// A sidecar; what its current version requests for each pod.
    fn sidecar(&mut self, settings: &Value, sidecar: &Value) -> Amounts {
        let name = text(sidecar, "name");
        let path = vec![format!("sidecar {name}")];
        let mut own = json!({
            "version": "0", "mode": "opt-in", "onConflict": "skip", "allowHostNetwork": false, "os": ["linux"],
            "workloads": ["Pod"],
        });
        let mut previous = Value::Null;
        if let (Value::Object(own), Some(said)) = (&mut own, sidecar.as_object()) {
            let said = said.iter().filter(|(_, value)| !value.is_null());
            own.extend(said.map(|(key, value)| (key.clone(), value.clone())));
            own.retain(|key, _| key != "name" && key != "origin");
            if let Some(Value::Object(rollout)) = own.get_mut("rollout") {
                previous = rollout.shift_remove("previous").unwrap_or_default();
            }
            if own.get("match").is_some_and(|matching| matching.get("workloads").is_some()) {
                own.shift_remove("workloads");
            }
        }
        let (own, amounts) = self.version(&path, settings, name, &own);
        let images = containers(&own).map(|container| text(container, "image")).collect::<Vec<_>>().join(", ");
        let summary =
            format!("{} {}, {images}, requests {}", text(&own, "version"), text(&own, "mode"), amounts.words());
        self.put(path.clone(), Leaf::Thing(summary));
        if !previous.is_null() {
            let path = [path, vec!["previous version".to_owned()]].concat();
            self.put(path.clone(), Leaf::Thing(text(&previous, "version").to_owned()));
            self.version(&path, settings, name, &previous);
        }
        amounts
    }

    /// One version with what is known put in, and what it requests for each pod.
    fn version(&mut self, path: &Path, settings: &Value, name: &str, parts: &Value) -> (Value, Amounts) {
        let version = parts.get("version").and_then(Value::as_str).unwrap_or("0");
        let known = Known::new(settings, (name, version), [], parts.get("let"));
        let mut resolved = resolve(&known, parts);
        if let Some(Value::Array(definitions)) = resolved.get_mut("let") {
            // What is the same for every pod stands where it is read.
            definitions.retain(|one| !known.defines(text(one, "name")));
        }
        if let Some(Value::Array(containers)) = resolved.pointer_mut("/inject/containers") {
            for container in containers.iter_mut().filter_map(Value::as_object_mut) {
                with_defaults(container);
            }
        }
        for (name, value) in read_by(&known, &resolved) {
            self.put([path.as_slice(), &[format!("reads {name}")]].concat(), Leaf::Value(in_words(&value)));
        }
        let mut amounts = Amounts::default();
        containers(&resolved).filter(|one| text(one, "form") != "init").for_each(|one| amounts.add_container(one));
        self.put([path.as_slice(), &["requests per pod".to_owned()]].concat(), Leaf::Value(amounts.words()));
        self.walk(path.clone(), "", &resolved);
        (resolved, amounts)
    }

    fn walk(&mut self, path: Path, key: &str, value: &Value) {
        match value {
            Value::Null => {}
            Value::Object(map) => {
                if let Some(labels) = selector::words(value) {
                    for (label, words) in labels {
                        self.put([path.as_slice(), &[label]].concat(), Leaf::Value(words));
                    }
                    return;
                }
                for (key, value) in map {
                    let is_list = NAMED.iter().any(|(list, ..)| list == key) && value.is_array();
                    let step = !is_list && !TRANSPARENT.contains(&key.as_str());
                    let path = if step { [path.as_slice(), std::slice::from_ref(key)].concat() } else { path.clone() };
                    self.walk(path, key, value);
                }
            }
            Value::Array(items) => self.list(path, key, items),
            scalar => {
                let words = if is_amount(&path) { amount(scalar) } else { None };
                self.put(path, Leaf::Value(words.unwrap_or_else(|| in_words(scalar))));
            }
        }
    }

    fn list(&mut self, path: Path, key: &str, items: &[Value]) {
        if SETS.contains(&key) {
            let mut names: Vec<String> = items.iter().map(in_words).collect();
            names.sort();
            names.dedup();
            return self.put(path, Leaf::Value(names.join(", ")));
        }
        let named = NAMED.iter().find(|(list, ..)| *list == key);
        if let Some((names, (_, name, word, ordered))) = named.and_then(|named| Some((names(items, named.1)?, named))) {
            for (value, called) in items.iter().zip(&names) {
                let path = [path.as_slice(), &[format!("{word} {called}")]].concat();
                self.put(path.clone(), Leaf::Thing(summary(value, name)));
                let mut value = value.clone();
                if let Value::Object(value) = &mut value {
                    value.shift_remove(*name);
                }
                self.walk(path, word, &value);
            }
            if *ordered {
                self.put([path.as_slice(), &[format!("order of {key}")]].concat(), Leaf::Order(names));
            }
        } else if key == "applications" {
            for (index, value) in items.iter().enumerate() {
                self.walk([path.as_slice(), &[(index + 1).to_string()]].concat(), "", value);
            }
        } else {
            self.put(path, Leaf::Value(in_words(&items.into())));
        }
    }
}

/// The names of the items of a list, each its own.
fn names(items: &[Value], key: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for item in items {
        let name = item.get(key).map(in_words)?;
        if names.contains(&name) || item.get("forEach").is_some() {
            return None;
        }
        names.push(name);
    }
    Some(names)
}

/// What an item is, for one that comes or goes.
fn summary(item: &Value, name: &str) -> String {
    let telling = ["image", "value"].into_iter().find_map(|key| item.get(key));
    telling.map_or_else(
        || {
            let mut rest = item.clone();
            if let Value::Object(rest) = &mut rest {
                rest.shift_remove(name);
            }
            in_words(&rest)
        },
        in_words,
    )
}

fn with_defaults(container: &mut Map<String, Value>) {
    let form = container.entry("form").or_insert_with(|| json!("container"));
    if form == "sidecar" {
        let fallback = container.entry("fallback").or_insert_with(|| json!({}));
        if let Value::Object(fallback) = fallback {
            fallback.entry("form").or_insert_with(|| json!("container"));
            fallback.entry("jobs").or_insert_with(|| json!("skip"));
        }
    }
}

fn containers(version: &Value) -> impl Iterator<Item = &Value> {
    version.pointer("/inject/containers").and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is_amount(path: &Path) -> bool {
    path.iter().any(|step| AMOUNTS.iter().any(|key| step == key || step.split(' ').next() == Some(key)))
}

fn amount(value: &Value) -> Option<String> {
    Quantity::of(value).map(|quantity| quantity.canonical())
}

/// A value as people read it: text without quotes, everything else as JSON with its keys sorted.
fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => {
            let mut sorted = other.clone();
            sorted.sort_all_objects();
            sorted.to_string()
        }
    }
}

/// CPU and memory that containers request; what has a limit only requests its limit.
#[derive(Debug, Clone, Copy)]
struct Amounts([Quantity; 2]);

const RESOURCES: [&str; 2] = ["cpu", "memory"];

impl Default for Amounts {
    fn default() -> Self {
        Self([Quantity::from_units(0); 2])
    }
}

impl Amounts {
    fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
    }

    fn add_container(&mut self, container: &Value) {
        let said = |kind: &str, resource: &str| container.get("resources")?.get(kind)?.get(resource);
        let amount = |resource| said("requests", resource).or_else(|| said("limits", resource)).and_then(Quantity::of);
        self.add(&Self(RESOURCES.map(|resource| amount(resource).unwrap_or(Quantity::from_units(0)))));
    }

    fn words(&self) -> String {
        let parts = RESOURCES.iter().zip(self.0).map(|(name, sum)| format!("{name} {}", sum.canonical()));
        parts.collect::<Vec<_>>().join(", ")
    }
}
