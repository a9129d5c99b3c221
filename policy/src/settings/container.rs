//! An injected container: its form, where it stands, and who may override it.

use serde_json::{Map, Value};

use super::pieces::{Pieces, compile};
use super::{Known, Sizing, variables};
use crate::expression::template::Template;
use crate::read::{Node, Problems, describe};
use crate::schema::Schema;

/// One container and how it is put in.
#[derive(Debug)]
pub struct InjectedContainer {
    /// Where it runs.
    pub form: Computable<Form>,
    /// What it becomes where native sidecars are missing.
    pub fallback: Fallback,
    /// Where it stands among the others of its list.
    pub position: Computable<Position>,
    /// What a container of this name that the user has written may override.
    pub overridable: Option<Overridable>,
    /// Requests that follow those of the applications.
    pub sizing: Option<Sizing>,
    /// What stands whatever an override says: part of a container, laid over the rest.
    pub fixed: Option<Template>,
    /// The container itself: a list, because `when` and `forEach` make none or several of it.
    pub pieces: Pieces,
}

/// Something that is said in the document, or worked out for each pod.
#[derive(Debug)]
pub enum Computable<T> {
    /// As the document says.
    Fixed(T),
    /// An expression, or an object with expressions in it.
    Computed(Template),
}

/// Where an injected container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A native sidecar: an init container with `restartPolicy: Always`.
    Sidecar,
    /// An init container that ends before the application starts.
    Init,
    /// A container beside the application.
    Container,
}

/// What a native sidecar becomes on a cluster that has none.
#[derive(Debug, Clone, Copy)]
pub struct Fallback {
    /// The form outside Jobs: [`Form::Container`] or [`Form::Init`].
    pub form: Form,
    /// What happens in a Job, which a second container would never let complete.
    pub jobs: JobFallback,
}

/// What a native sidecar becomes in a Job on a cluster that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFallback {
    /// The sidecar is left out.
    Skip,
    /// It runs as a container all the same: the sidecar promises to end by itself.
    Container,
    /// The Job is refused.
    Reject,
}

impl Default for Fallback {
    fn default() -> Self {
        Self { form: Form::Container, jobs: JobFallback::Skip }
    }
}

/// Named containers of the same list that must stand behind or before an injected one; `*` is every other one.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Position {
    /// It stands before these.
    pub before: Vec<String>,
    /// It stands after these.
    pub after: Vec<String>,
}

/// The keys of an injected container that say how it is put in; all others are Kubernetes'.
pub const OWN_CONTAINER_KEYS: [&str; 6] = ["form", "fallback", "position", "overridable", "fixed", "sizing"];

/// Whether any text in a value may be an expression.
fn holds_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(map) => map.values().any(holds_expression),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The forms by name.
const FORMS: [(&str, Form); 3] = [("sidecar", Form::Sidecar), ("init", Form::Init), ("container", Form::Container)];

const FALLBACK_FORMS: [(&str, Form); 2] = [("container", Form::Container), ("init", Form::Init)];
const FALLBACK_JOBS: [(&str, JobFallback); 3] =
    [("skip", JobFallback::Skip), ("container", JobFallback::Container), ("reject", JobFallback::Reject)];

impl Form {
    /// The form of this name.
    pub fn named(name: &str) -> Option<Self> {
        FORMS.iter().find(|(one, _)| *one == name).map(|(_, form)| *form)
    }
}

impl<T> Computable<T> {
    fn read(
        node: &Node<'_>,
        known: &Known,
        problems: &mut Problems,
        read: impl FnOnce(&Node<'_>, &mut Problems) -> Option<T>,
    ) -> Option<Self> {
        if holds_expression(node.value) {
            let template = compile(node.value, &node.pointer, "", &variables::VERSION, known, problems);
            return template.map(Self::Computed);
        }
        read(node, problems).map(Self::Fixed)
    }

    /// Whether the text of its expressions passes a test.
    fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        matches!(self, Self::Computed(template) if template.any_expression(test))
    }
}

/// What a user-written container of the same name as an injected one may say otherwise.
#[derive(Debug)]
pub struct Overridable {
    /// The name.
    pub name: String,
    /// Fields of a container, or `*` for every one.
    fields: Vec<String>,
}

impl Overridable {
    /// Whether it may say something else for a field.
    pub fn allows(&self, field: &str) -> bool {
        self.fields.iter().any(|one| one == field || one == EVERY)
    }

    fn read(node: Node<'_>, container: &Map<String, Value>, problems: &mut Problems) -> Option<Self> {
        let name = container.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.contains("${") {
            problems.add(&node.pointer, "only a container whose name is fixed can be overridden");
            return None;
        }
        Some(Self { name: name.to_owned(), fields: read_names(Some(node), problems) })
    }
}

impl InjectedContainer {
    pub(super) fn schema() -> Schema {
        let names = || Schema::list_of(Schema::filled()).or_expression();
        let position = Schema::object([("before", names()), ("after", names())]).or_expression();
        let fallback =
            Schema::object([("form", Schema::choice(&FALLBACK_FORMS)), ("jobs", Schema::choice(&FALLBACK_JOBS))]);
        let form = Schema::choice(&FORMS).or_expression();
        let own = Schema::object([
            ("form", form.says("Where it runs; default container.")),
            ("fallback", fallback.says("What a native sidecar becomes where the cluster has none.")),
            ("position", position.says("Where it stands in its list.")),
            (
                "overridable",
                Schema::list_of(Schema::filled()).says("What a container of the user of this name may say."),
            ),
            ("fixed", Schema::map_of(Schema::any()).says("What stands whatever an override says.")),
            ("sizing", Sizing::schema().says("Requests that follow those of the applications.")),
            ("name", Schema::text()),
            ("image", Schema::text()),
        ]);
        own.requires(&["name", "image"]).open().says("Every other key is one of a container of Kubernetes.")
    }

    /// Whether the text of any expression in here passes a test.
    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.pieces.any_expression(test)
            || self.fixed.as_ref().is_some_and(|fixed| fixed.any_expression(test))
            || self.form.any_expression(test)
            || self.position.any_expression(test)
    }

    pub(super) fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        let Some(map) = node.value.as_object() else {
            node.fields(problems);
            return None;
        };
        let field = |name: &str| {
            let value = map.get(name).filter(|value| !value.is_null())?;
            Some(Node { value, pointer: format!("{}/{name}", node.pointer) })
        };
        let form = match field("form") {
            None => Some(Computable::Fixed(Form::Container)),
            Some(node) => Computable::read(&node, known, problems, |node, problems| node.choice(&FORMS, problems)),
        };
        let fallback = field("fallback").and_then(|node| Fallback::read(&node, problems)).unwrap_or_default();
        let position = field("position").and_then(|node| {
            if !node.value.is_string() {
                let mut fields = node.fields(problems)?;
                for side in SIDES {
                    fields.optional(side);
                }
                fields.finish(problems);
            }
            Computable::read(&node, known, problems, Position::read)
        });
        let sizing = field("sizing").and_then(|node| Sizing::read(&node, problems));
        let fixed = field("fixed").and_then(|node| {
            node.entries(problems)?;
            compile(node.value, &node.pointer, "", &variables::VERSION, known, problems)
        });
        let overridable = field("overridable").and_then(|node| Overridable::read(node, map, problems));
        let mut container: Map<String, Value> = map
            .iter()
            .filter(|(key, _)| !OWN_CONTAINER_KEYS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for required in ["name", "image"] {
            if container.get(required).is_none_or(Value::is_null) {
                problems.add(&node.pointer, format!("`{required}` is missing"));
            }
        }
        // What it runs as in this cluster, which is also what it must be valid as.
        let fixed_form = if let Some(Computable::Fixed(form)) = &form { Some(*form) } else { None };
        let mut stands_as = fixed_form;
        if fixed_form == Some(Form::Sidecar) {
            let always = container.get("restartPolicy").is_none_or(|policy| policy.is_null() || policy == "Always");
            match (known.native_sidecars(), always) {
                (true, true) => drop(container.insert("restartPolicy".to_owned(), Value::from("Always"))),
                (false, true) => drop(container.shift_remove("restartPolicy")),
                (_, false) => {}
            }
            if !known.native_sidecars() {
                stands_as = Some(fallback.form);
            }
        }
        let pieces = Pieces::of_one(Value::Object(container), &node.pointer, &variables::VERSION, known, problems);
        for (value, form) in pieces.constants().filter_map(|value| Some((value, stands_as?))) {
            for fault in crate::injection::container_faults(value, form) {
                problems.add(&node.pointer, fault);
            }
        }
        let position = position.unwrap_or(Computable::Fixed(Position::default()));
        Some(Self { form: form?, fallback, position, overridable, sizing, fixed, pieces })
    }
}

impl Fallback {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut fallback = Self::default();
        if let Some(form) = fields.optional("form") {
            fallback.form = form.choice(&FALLBACK_FORMS, problems)?;
        }
        if let Some(jobs) = fields.optional("jobs") {
            fallback.jobs = jobs.choice(&FALLBACK_JOBS, problems)?;
        }
        fields.finish(problems);
        Some(fallback)
    }
}

/// Stands for every other item in a [`Position`], and for every field in an [`Overridable`].
const EVERY: &str = "*";

/// The keys of a position.
const SIDES: [&str; 2] = ["before", "after"];

impl Position {
    /// Whether the item `own`, which has this position, asks to stand before another one, whose position may be known.
    ///
    /// A name counts for more than `*`; of two that both ask to stand before all others neither asks it of the other.
    pub fn precedes(&self, own: &str, other: &str, theirs: Option<&Self>) -> bool {
        asks(own, (&self.before, &self.after), other, theirs.map(|theirs| theirs.before.as_slice()))
    }

    /// The same for after.
    pub fn follows(&self, own: &str, other: &str, theirs: Option<&Self>) -> bool {
        asks(own, (&self.after, &self.before), other, theirs.map(|theirs| theirs.after.as_slice()))
    }

    /// Whether it asks for nothing.
    pub fn is_any(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// A position from what expressions gave, or from what [`Self::read`] has checked.
    ///
    /// # Errors
    ///
    /// What was expected, where a side is no list of names.
    pub(crate) fn of(value: &Value) -> Result<Self, String> {
        let names = |side: &str| match value.get(side) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
                Ok(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Some(other) => Err(format!("`position.{side}`: expected a list of names, found {}", describe(other))),
        };
        if !value.is_object() && !value.is_null() {
            return Err(format!("`position`: expected an object, found {}", describe(value)));
        }
        let [before, after] = SIDES.map(names);
        Ok(Self { before: before?, after: after? })
    }

    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let before = read_names(fields.optional("before"), problems);
        let after = read_names(fields.optional("after"), problems);
        if let Some(both) = before.iter().find(|name| after.contains(name)) {
            problems.add(&node.pointer, format!("`{both}` stands in `before` and in `after`"));
        }
        fields.finish(problems);
        Some(Self { before, after })
    }
}

fn asks(own: &str, (side, other_side): (&[String], &[String]), other: &str, theirs: Option<&[String]>) -> bool {
    let holds = |names: &[String], name: &str| names.iter().any(|one| one == name);
    let asked_of_us = |theirs: &[String]| holds(theirs, EVERY) || holds(theirs, own);
    holds(side, other) || (holds(side, EVERY) && !holds(other_side, other) && !theirs.is_some_and(asked_of_us))
}

/// A list of names.
pub(super) fn read_names(node: Option<Node<'_>>, problems: &mut Problems) -> Vec<String> {
    let items = node.and_then(|node| node.items(problems)).unwrap_or_default();
    items.iter().filter_map(|item| item.filled_text(problems)).map(str::to_owned).collect()
}
