//! One version of a sidecar as a cluster gets it, with every value that is known before there is a pod.
//!
//! What hangs on a pod stays an expression in the text, and a rule that meets one says that it does not know. What an
//! application team may override counts as its default.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::expression::Scope;
use crate::expression::template::Template;
use crate::settings::{Computable, Form, Inject, JobFallback, OWN_CONTAINER_KEYS, Settings, Sidecar, VARIABLES};

/// A version of a sidecar.
#[derive(Debug)]
pub(super) struct Candidate<'s> {
    pub(super) sidecar: &'s Sidecar,
    pub(super) version: &'s str,
    pub(super) containers: Vec<Container>,
    /// What it brings, like the spec of a pod: `containers` of every form, `volumes`, other fields, and under
    /// `applications` what it changes in the pod's own containers.
    pub(super) spec: Value,
    /// Labels that every pod with it has.
    pub(super) labels: Map<String, Value>,
    /// Destinations that its document declares.
    pub(super) egress: Vec<String>,
    /// Whether what other webhooks put into the pod matters to it: it changes every container, or asks for a place.
    pub(super) looks_at_others: bool,
}

/// A container that it brings.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) name: String,
    /// Its form in the document; `None` where an expression says it.
    pub(super) form: Option<Form>,
    /// What it runs as in this cluster.
    pub(super) stands_as: Option<Form>,
    pub(super) fallback: Form,
    pub(super) jobs: JobFallback,
    /// Whether its requests follow those of the applications.
    pub(super) sized: bool,
    pub(super) value: Value,
}

impl<'s> Candidate<'s> {
    /// The current version of a sidecar and, while a rollout goes on, the one before. `source` is what the sidecar was
    /// read from, `settings` all of it.
    pub(super) fn every(
        settings: (&'s Settings, &Value),
        sidecar: &'s Sidecar,
        source: &Value,
        egress: &[Value],
    ) -> Vec<Self> {
        let mut versions = vec![(&sidecar.versions.current, source)];
        let previous = sidecar.versions.rollout.as_ref().and_then(|rollout| rollout.previous.as_ref());
        versions.extend(previous.zip(source.pointer("/rollout/previous")));
        let native = settings.0.cluster.native_sidecars;
        let candidate = |(version, source): (&'s crate::settings::Version, &Value)| {
            let known = Known::new(settings.1, sidecar, source, &version.version);
            let inject = known.resolve(source.get("inject").unwrap_or(&Value::Null));
            let egress = egress.iter().map(|one| known.resolve(one)).filter_map(|one| one.as_str().map(str::to_owned));
            Self {
                sidecar,
                version: &version.version,
                containers: containers(&inject, native),
                spec: spec(&inject),
                labels: inject.get("labels").and_then(Value::as_object).cloned().unwrap_or_default(),
                egress: egress.collect(),
                looks_at_others: looks_at_others(&version.inject),
            }
        };
        versions.into_iter().map(candidate).collect()
    }

    /// The sidecar's name.
    pub(super) fn name(&self) -> &str {
        &self.sidecar.name
    }

    /// The names of the containers that pass a test, for a sentence.
    pub(super) fn names(&self, test: impl Fn(&Container) -> bool) -> Vec<&str> {
        self.containers.iter().filter(|one| test(one)).map(|one| one.name.as_str()).collect()
    }
}

fn looks_at_others(inject: &Inject) -> bool {
    let placed = |position: &Computable<crate::settings::Position>| match position {
        Computable::Fixed(position) => !position.is_any(),
        Computable::Computed(_) => true,
    };
    !inject.applications.is_empty() || inject.containers.iter().any(|one| placed(&one.position))
}

fn containers(resolved: &Value, native: bool) -> Vec<Container> {
    let sources = resolved.get("containers").and_then(Value::as_array).into_iter().flatten();
    let read = |source: &Value| {
        let word = |pointer: &str| source.pointer(pointer).and_then(Value::as_str);
        let form = match word("/form") {
            None => Some(Form::Container),
            Some(name) => Form::named(name),
        };
        let fallback = word("/fallback/form").and_then(Form::named).unwrap_or(Form::Container);
        let jobs = match word("/fallback/jobs") {
            Some("container") => JobFallback::Container,
            Some("reject") => JobFallback::Reject,
            _ => JobFallback::Skip,
        };
        let mut value = source.clone();
        if let Value::Object(value) = &mut value {
            if let Some(fixed) = value.shift_remove("fixed") {
                lay_over(value, fixed);
            }
            value.retain(|key, _| !OWN_CONTAINER_KEYS.contains(&key.as_str()));
        }
        Container {
            name: source["name"].as_str().unwrap_or_default().to_owned(),
            form,
            stands_as: form.map(|form| if form == Form::Sidecar && !native { fallback } else { form }),
            fallback,
            jobs,
            sized: source.get("sizing").is_some_and(|sizing| !sizing.is_null()),
            value,
        }
    };
    sources.map(read).collect()
}

/// Puts values over those that are there, object by object.
fn lay_over(under: &mut Map<String, Value>, over: Value) {
    let Value::Object(over) = over else { return };
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), value @ Value::Object(_)) => lay_over(under, value),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

fn spec(inject: &Value) -> Value {
    let mut spec = inject.get("pod").and_then(Value::as_object).cloned().unwrap_or_default();
    let list = |key: &str| inject.get(key).filter(|list| list.is_array()).cloned().unwrap_or_else(|| json!([]));
    spec.insert("containers".to_owned(), list("containers"));
    spec.insert("volumes".to_owned(), list("volumes"));
    let changes = inject.get("applications").and_then(Value::as_array).into_iter().flatten().cloned();
    let as_container = |mut change: Value| {
        if let Value::Object(change) = &mut change
            && let Some(Value::Object(set)) = change.shift_remove("set")
        {
            change.extend(set);
        }
        change
    };
    spec.insert("applications".to_owned(), changes.map(as_container).collect());
    Value::Object(spec)
}

/// Whether an expression is left in a value, whose result hangs on the pod.
pub(super) fn is_open(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(is_open),
        Value::Object(map) => map.values().any(is_open),
        _ => false,
    }
}

/// Keys below which there is most text, of which no rule asks more than which fields there are.
const NOT_JUDGED: [&str; 4] = ["annotations", "args", "command", "env"];

/// What is known before any request.
struct Known {
    values: Map<String, Value>,
    /// Fields of `let` and `overrides`, of which the others are not known.
    fields: BTreeMap<(&'static str, String), Value>,
}

impl Scope for Known {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn known_field(&self, name: &str, field: &str) -> Option<&Value> {
        let name = ["let", "overrides"].into_iter().find(|one| *one == name)?;
        self.fields.get(&(name, field.to_owned()))
    }
}

impl Known {
    fn new(settings: &Value, sidecar: &Sidecar, source: &Value, version: &str) -> Self {
        let part = |key: &str| settings.get(key).filter(|part| !part.is_null()).cloned().unwrap_or_else(|| json!({}));
        let mut values = Map::new();
        for (name, key) in [("cluster", "cluster"), ("federation", "federation"), ("vars", "variables")] {
            values.insert(name.to_owned(), part(key));
        }
        values.insert("sidecar".to_owned(), json!({"name": sidecar.name, "version": version}));
        let defaults = sidecar.overrides.iter();
        let fields = defaults.filter_map(|one| Some((("overrides", one.name.clone()), one.default.clone()?))).collect();
        let mut known = Self { values, fields };
        for list in [settings.get("let"), source.get("let")] {
            for definition in list.and_then(Value::as_array).into_iter().flatten() {
                let value = definition.get("value").map(|value| known.resolve(value)).filter(|value| !is_open(value));
                if let (Some(name), Some(value)) = (definition["name"].as_str(), value) {
                    known.fields.insert(("let", name.to_owned()), value);
                }
            }
        }
        known
    }

    /// The value with everything worked out that can be.
    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text.contains("${") => self.constant(value).unwrap_or_else(|| value.clone()),
            Value::Array(items) => items.iter().flat_map(|item| self.resolve_item(item)).collect(),
            Value::Object(map) => {
                let resolve = |key: &str, value: &Value| {
                    if NOT_JUDGED.contains(&key) { value.clone() } else { self.resolve(value) }
                };
                map.iter().map(|(key, value)| (key.clone(), resolve(key, value))).collect::<Map<_, _>>().into()
            }
            other => other.clone(),
        }
    }

    /// What becomes of a list item; one of which it is not known whether it will be there counts as being there.
    fn resolve_item(&self, item: &Value) -> Vec<Value> {
        let conditional = ["when", "forEach"].iter().any(|key| item.get(key).is_some_and(|value| !value.is_null()));
        if !conditional {
            return vec![self.resolve(item)];
        }
        if let Some(Value::Array(items)) = self.constant(&json!([item])) {
            return items;
        }
        let mut item = item.clone();
        if let Value::Object(map) = &mut item {
            for key in ["when", "forEach", "as"] {
                map.shift_remove(key);
            }
        }
        vec![self.resolve(&item)]
    }

    fn constant(&self, value: &Value) -> Option<Value> {
        Template::compile(value, &VARIABLES, self).ok()?.constant().cloned()
    }
}
