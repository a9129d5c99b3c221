//! One version of a sidecar as a cluster gets it, with every value that is known before there is a pod.
//!
//! What hangs on a pod stays an expression in the text, and a rule that meets one says that it does not know. What an
//! application team may override counts as its default.

use serde_json::{Map, Value, json};

use crate::federation::known::Known;
use crate::settings::{Computable, Form, Inject, JobFallback, OWN_CONTAINER_KEYS, Settings, Sidecar};

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
            let defaults = sidecar.overrides.iter().filter_map(|one| Some((one.name.clone(), one.default.clone()?)));
            let known = Known::new(settings.1, (&sidecar.name, &version.version), defaults, source.get("let"));
            let inject = resolve(&known, source.get("inject").unwrap_or(&Value::Null));
            let egress =
                egress.iter().map(|one| resolve(&known, one)).filter_map(|one| one.as_str().map(str::to_owned));
            Self {
                sidecar,
                version: &version.version,
                containers: containers(&inject, native),
                labels: inject.get("labels").and_then(Value::as_object).cloned().unwrap_or_default(),
                spec: spec(inject),
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

fn spec(inject: Value) -> Value {
    let Value::Object(mut inject) = inject else { return json!({}) };
    let mut take = |key: &str| inject.shift_remove(key).unwrap_or_default();
    let (pod, applications) = (take("pod"), take("applications"));
    let lists = ["containers", "volumes"].map(|key| (key, take(key)));
    let mut spec = if let Value::Object(pod) = pod { pod } else { Map::new() };
    for (key, list) in lists {
        spec.insert(key.to_owned(), if list.is_array() { list } else { json!([]) });
    }
    let as_container = |mut change: Value| {
        if let Value::Object(change) = &mut change
            && let Some(Value::Object(set)) = change.shift_remove("set")
        {
            change.extend(set);
        }
        change
    };
    let changes = if let Value::Array(changes) = applications { changes } else { Vec::new() };
    spec.insert("applications".to_owned(), changes.into_iter().map(as_container).collect());
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

/// The value with everything worked out that can be.
fn resolve(known: &Known<'_>, value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("${") => known.constant(value).unwrap_or_else(|| value.clone()),
        Value::Array(items) => items.iter().flat_map(|item| resolve_item(known, item)).collect(),
        Value::Object(map) => {
            let resolve = |key: &str, value: &Value| {
                if NOT_JUDGED.contains(&key) { value.clone() } else { resolve(known, value) }
            };
            map.iter().map(|(key, value)| (key.clone(), resolve(key, value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// What becomes of a list item; one of which it is not known whether it will be there counts as being there.
fn resolve_item(known: &Known<'_>, item: &Value) -> Vec<Value> {
    let conditional = ["when", "forEach"].iter().any(|key| item.get(key).is_some_and(|value| !value.is_null()));
    if !conditional {
        return vec![resolve(known, item)];
    }
    if let Some(Value::Array(items)) = known.constant(&json!([item])) {
        return items;
    }
    let mut item = item.clone();
    if let Value::Object(map) = &mut item {
        for key in ["when", "forEach", "as"] {
            map.shift_remove(key);
        }
    }
    vec![resolve(known, &item)]
}
