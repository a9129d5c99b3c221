//! What expressions see at the time of a request (docs/expressions.md).

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::pod::PodView;
use super::workload::Workload;
use super::{foreign, handlers};
use crate::expression::template::RenderError;
use crate::expression::{Budget, Scope};
use crate::settings::{Definition, Settings};

/// The lists that hold the user's own containers, and whether they are init containers.
pub(super) const LISTS: [(&str, bool); 2] = [("containers", false), ("initContainers", true)];

/// The names that exist for every sidecar.
pub(super) struct RequestScope<'a> {
    pod: Cow<'a, Value>,
    workload: Value,
    namespace: Value,
    /// Containers that are nobody's application: other injectors', and those that stand for one of ours.
    others: BTreeSet<String>,
    applications: OnceCell<Value>,
    handlers: OnceCell<Value>,
}

impl<'a> RequestScope<'a> {
    pub(super) fn new(
        settings: &Settings,
        pod: &'a Value,
        workload: &Workload,
        namespace: &str,
        namespace_object: Option<&Value>,
        namespace_labels: Option<&Map<String, Value>>,
    ) -> Self {
        let mut fields = Map::new();
        fields.insert("name".to_owned(), Value::from(namespace));
        fields.extend(namespace_labels.map(|labels| ("labels".to_owned(), Value::Object(labels.clone()))));
        let annotations = namespace_object.map(|object| object.get("metadata").and_then(|all| all.get("annotations")));
        let annotations = match annotations {
            // A null says that they are not known.
            None | Some(Some(Value::Null)) => None,
            Some(annotations) => Some(annotations.and_then(Value::as_object).cloned().unwrap_or_default()),
        };
        fields.extend(annotations.map(|annotations| ("annotations".to_owned(), Value::Object(annotations))));
        // A template may come without metadata; the pod that it makes never does.
        let pod = if pod.get("metadata").is_some_and(Value::is_object) {
            Cow::Borrowed(pod)
        } else {
            let mut made = pod.clone();
            if let Value::Object(made) = &mut made {
                made.insert("metadata".to_owned(), Value::Object(Map::new()));
            }
            Cow::Owned(made)
        };
        let mut others = foreign::containers(&pod);
        others.extend(settings.overridable_containers().map(str::to_owned));
        Self {
            pod,
            workload: workload.to_value(),
            namespace: Value::Object(fields),
            others,
            applications: OnceCell::new(),
            handlers: OnceCell::new(),
        }
    }

    pub(super) fn pod(&self) -> PodView<'_> {
        PodView(&self.pod)
    }

    /// The user's own containers of one list, each with its name; of two of one name the one that counts.
    pub(super) fn own(&self, list: &str) -> impl Iterator<Item = (&str, &Value)> {
        let mut seen = BTreeSet::new();
        let from_the_end = PodView(&self.pod).list(list).iter().rev().filter_map(move |container| {
            let name = container.get("name")?.as_str()?;
            (seen.insert(name) && !self.others.contains(name)).then_some((name, container))
        });
        let mut own: Vec<_> = from_the_end.collect();
        own.reverse();
        own.into_iter()
    }

    /// The records of the probes and lifecycle handlers of the user's own containers.
    fn handlers(&self) -> &Value {
        self.handlers.get_or_init(|| {
            let own = |(list, init)| {
                self.own(list)
                    .flat_map(move |(name, one)| handlers::of_container(name, one, init).map(|one| one.record))
            };
            Value::Array(LISTS.into_iter().flat_map(own).collect())
        })
    }

    fn applications(&self) -> &Value {
        let own = || self.own("containers").map(|(_, container)| container.clone());
        self.applications.get_or_init(|| Value::Array(own().collect()))
    }
}

impl Scope for RequestScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "pod" => Some(&self.pod),
            "workload" => Some(&self.workload),
            "namespace" => Some(&self.namespace),
            "applications" => Some(self.applications()),
            "handlers" => Some(self.handlers()),
            _ => None,
        }
    }
}

/// One name more than the scope around it has.
pub(super) struct With<'a> {
    pub(super) outer: &'a dyn Scope,
    pub(super) name: &'static str,
    pub(super) value: &'a Value,
}

impl Scope for With<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        if name == self.name { Some(self.value) } else { self.outer.get(name) }
    }

    fn field(&self, name: &str, field: &str, budget: &mut Budget) -> Option<Result<Option<&Value>, RenderError>> {
        if name == self.name { None } else { self.outer.field(name, field, budget) }
    }
}

/// `let`: each definition is worked out when it is first read, with those before it.
pub(super) struct Definitions<'a> {
    outer: &'a dyn Scope,
    known: &'a [Definition],
    values: Vec<OnceCell<Result<Option<Value>, RenderError>>>,
}

impl<'a> Definitions<'a> {
    pub(super) fn new(outer: &'a dyn Scope, definitions: &'a [Definition]) -> Self {
        Self { outer, known: definitions, values: definitions.iter().map(|_| OnceCell::new()).collect() }
    }
}

impl Scope for Definitions<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.outer.get(name)
    }

    fn field(&self, name: &str, field: &str, budget: &mut Budget) -> Option<Result<Option<&Value>, RenderError>> {
        if name != "let" {
            return self.outer.field(name, field, budget);
        }
        let found = self.known.iter().zip(&self.values).find(|(one, _)| one.name == field);
        let Some((definition, value)) = found else { return Some(Ok(None)) };
        // Settings refuse a definition that reads one behind it, so this ends.
        let value = value.get_or_init(|| definition.value.render(self, budget));
        Some(value.as_ref().map(Option::as_ref).map_err(Clone::clone))
    }
}
