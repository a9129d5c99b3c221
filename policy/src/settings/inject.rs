//! What one version of a sidecar brings: containers, volumes, pod fields, and changes in the user's own containers.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Known;
use crate::expression::template::{RenderError, Template};
use crate::expression::{Budget, Scope};
use crate::injection::fingerprint::{self, Context};
use crate::read::{Node, Problems};

/// The variables that a template may use.
pub(super) const NAMES: [&str; 7] = ["cluster", "federation", "vars", "sidecar", "pod", "workload", "namespace"];
/// The variables that a template below `applications` may use.
const APPLICATION_NAMES: [&str; 8] =
    ["cluster", "federation", "vars", "sidecar", "pod", "workload", "namespace", "container"];

/// Everything that one version of a sidecar brings.
#[derive(Debug, Default)]
pub struct Inject {
    /// Containers of any form.
    pub containers: Vec<InjectedContainer>,
    /// Volumes.
    pub volumes: Pieces,
    /// Labels of the pod.
    pub labels: Pieces,
    /// Annotations of the pod.
    pub annotations: Pieces,
    /// Other pod fields, as one object.
    pub pod: Pieces,
    /// Changes in the user's own containers.
    pub applications: Vec<Application>,
}

/// One container and how it is put in.
#[derive(Debug)]
pub struct InjectedContainer {
    /// Where it runs.
    pub form: Form,
    /// What it becomes where native sidecars are missing.
    pub fallback: Fallback,
    /// Where it stands among the others of its list.
    pub position: Position,
    /// The container itself: a list, because `when` and `forEach` make none or several of it.
    pub pieces: Pieces,
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
#[derive(Debug, Default, Clone)]
pub struct Position {
    /// It stands before these.
    pub before: Vec<String>,
    /// It stands after these.
    pub after: Vec<String>,
}

/// Changes in the user's own containers.
#[derive(Debug)]
pub struct Application {
    /// Which containers.
    pub select: ContainerSelect,
    /// Environment variables, by name.
    pub env: Pieces,
    /// Sources of environment variables, appended.
    pub env_from: Pieces,
    /// Mounts, by path.
    pub volume_mounts: Pieces,
    /// Lifecycle handlers, as one object.
    pub lifecycle: Pieces,
}

/// Which of the user's own containers a change is for.
#[derive(Debug, Default)]
pub struct ContainerSelect {
    /// Only these, where given.
    pub include: Vec<String>,
    /// Never these.
    pub exclude: Vec<String>,
    /// Init containers too.
    pub init: bool,
}

impl ContainerSelect {
    /// Whether a container is meant.
    pub fn selects(&self, name: &str, init: bool) -> bool {
        (self.init || !init)
            && (self.include.is_empty() || self.include.iter().any(|one| one == name))
            && !self.exclude.iter().any(|one| one == name)
    }
}

/// A list, or one object, with expressions in it; what is constant is rendered and fingerprinted once.
#[derive(Debug, Default)]
pub struct Pieces {
    template: Option<Template>,
    constant: Vec<(String, Value, String)>,
}

/// One rendered list item or map entry.
#[derive(Debug)]
pub struct Piece<'s> {
    /// The key, where the pieces are those of an object.
    pub key: Cow<'s, str>,
    /// What is injected.
    pub value: Cow<'s, Value>,
    /// Its fingerprint, see [`fingerprint`].
    pub claim: Cow<'s, str>,
}

impl Piece<'_> {
    /// A list item or value that was made for this pod, with its claim.
    pub(crate) fn of(value: Value, context: Context<'_>) -> Self {
        let claim = fingerprint::claim(&value, context);
        Self { key: Cow::Borrowed(""), value: Cow::Owned(value), claim: Cow::Owned(claim) }
    }
}

impl Pieces {
    fn compile(
        value: &Value,
        pointer: &str,
        strip: &str,
        names: &[&str],
        known: &Known,
        problems: &mut Problems,
    ) -> Self {
        let template = match Template::compile(value, names, known) {
            Ok(template) => template,
            Err(found) => {
                for problem in found {
                    let below = problem.path.strip_prefix(strip).unwrap_or(&problem.path);
                    problems.add_with_hint(format!("{pointer}{below}"), problem.message, problem.hint);
                }
                return Self::default();
            }
        };
        match template.constant() {
            Some(value) => Self { constant: split(value.clone()).collect(), template: None },
            None => Self { template: Some(template), constant: Vec::new() },
        }
    }

    /// The pieces for one request.
    pub fn render(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Vec<Piece<'_>>, RenderError> {
        let Some(template) = &self.template else {
            return Ok(self
                .constant
                .iter()
                .map(|(key, value, claim)| Piece {
                    key: Cow::Borrowed(key),
                    value: Cow::Borrowed(value),
                    claim: Cow::Borrowed(claim),
                })
                .collect());
        };
        Ok(template
            .render(scope, budget)?
            .into_iter()
            .flat_map(split)
            .map(|(key, value, claim)| Piece { key: key.into(), value: Cow::Owned(value), claim: claim.into() })
            .collect())
    }

    /// The values that are the same for every request.
    pub fn constants(&self) -> impl Iterator<Item = &Value> {
        self.constant.iter().map(|(_, value, _)| value)
    }

    fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.template.as_ref().is_some_and(|template| template.any_expression(test))
    }
}

/// The pieces of a list or an object, each with its claim; `null` brings nothing, as in Kubernetes.
fn split(value: Value) -> Box<dyn Iterator<Item = (String, Value, String)>> {
    match value {
        Value::Array(items) => Box::new(items.into_iter().filter(|item| !item.is_null()).map(|item| {
            let claim = fingerprint::claim(&item, Context::default());
            (String::new(), item, claim)
        })),
        // In the order of the keys, not of the settings: some hosts hand settings over with their keys sorted.
        Value::Object(mut map) => {
            map.sort_keys();
            Box::new(map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
                let claim = fingerprint::claim(&value, Context { parent: "", key: &key });
                (key, value, claim)
            }))
        }
        _ => Box::new(std::iter::empty()),
    }
}

impl Inject {
    pub(super) fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut inject = Self::default();
        if let Some(items) = fields.optional("containers").and_then(|list| list.items(problems)) {
            inject.containers =
                items.iter().filter_map(|item| InjectedContainer::read(item, known, problems)).collect();
        }
        inject.volumes = read_list(fields.optional("volumes"), &NAMES, known, problems);
        for volume in inject.volumes.constants() {
            super::sidecar::check_name("volume", volume, node, "volumes", problems);
        }
        inject.labels = read_map(fields.optional("labels"), &NAMES, known, problems);
        inject.annotations = read_map(fields.optional("annotations"), &NAMES, known, problems);
        let pod = fields.optional("pod");
        if let Some(map) = pod.as_ref().and_then(|pod| pod.value.as_object()) {
            for (key, instead) in POD_FIELDS_ELSEWHERE {
                if map.contains_key(key) {
                    problems.add(crate::read::child(&format!("{}/pod", node.pointer), key), instead);
                }
            }
        }
        inject.pod = read_map(pod, &NAMES, known, problems);
        if let Some(items) = fields.optional("applications").and_then(|list| list.items(problems)) {
            inject.applications = items.iter().filter_map(|item| Application::read(item, known, problems)).collect();
        }
        fields.finish(problems);
        Some(inject)
    }

    /// Whether the text of any expression in here passes a test.
    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        let application = |change: &Application| {
            let parts = [&change.env, &change.env_from, &change.volume_mounts, &change.lifecycle];
            parts.iter().any(|part| part.any_expression(test))
        };
        let parts = [&self.volumes, &self.labels, &self.annotations, &self.pod];
        self.containers.iter().any(|container| container.pieces.any_expression(test))
            || parts.iter().any(|part| part.any_expression(test))
            || self.applications.iter().any(application)
    }
}

/// Pod fields that have a place of their own in a sidecar.
const POD_FIELDS_ELSEWHERE: [(&str, &str); 4] = [
    ("containers", "containers belong under `inject.containers`"),
    ("initContainers", "init containers belong under `inject.containers`, with `form: init`"),
    ("ephemeralContainers", "ephemeral containers cannot be injected: the API server refuses them in a new pod"),
    ("volumes", "volumes belong under `inject.volumes`"),
];

impl InjectedContainer {
    fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        const OURS: [&str; 3] = ["form", "fallback", "position"];
        let Some(map) = node.value.as_object() else {
            node.fields(problems);
            return None;
        };
        let forms = [("sidecar", Form::Sidecar), ("init", Form::Init), ("container", Form::Container)];
        let field = |name: &str| {
            let value = map.get(name).filter(|value| !value.is_null())?;
            Some(Node { value, pointer: format!("{}/{name}", node.pointer) })
        };
        let form = field("form").map_or(Some(Form::Container), |form| form.choice(&forms, problems));
        let fallback = field("fallback").and_then(|node| Fallback::read(&node, problems)).unwrap_or_default();
        let position = field("position").and_then(|node| Position::read(&node, problems)).unwrap_or_default();
        let mut container: Map<String, Value> = map
            .iter()
            .filter(|(key, _)| !OURS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        for required in ["name", "image"] {
            if container.get(required).is_none_or(Value::is_null) {
                problems.add(&node.pointer, format!("`{required}` is missing"));
            }
        }
        // What it runs as in this cluster, which is also what it must be valid as.
        let mut stands_as = form.unwrap_or(Form::Container);
        if form == Some(Form::Sidecar) {
            let always = container.get("restartPolicy").is_none_or(|policy| policy.is_null() || policy == "Always");
            match (known.native_sidecars(), always) {
                (true, true) => drop(container.insert("restartPolicy".to_owned(), Value::from("Always"))),
                (false, true) => drop(container.shift_remove("restartPolicy")),
                (_, false) => {}
            }
            if !known.native_sidecars() {
                stands_as = fallback.form;
            }
        }
        let list = Value::Array(vec![Value::Object(container)]);
        let pieces = Pieces::compile(&list, &node.pointer, "/0", &NAMES, known, problems);
        for value in pieces.constants() {
            for fault in crate::injection::container_faults(value, stands_as) {
                problems.add(&node.pointer, fault);
            }
        }
        Some(Self { form: form?, fallback, position, pieces })
    }
}

impl Fallback {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut fallback = Self::default();
        if let Some(form) = fields.optional("form") {
            fallback.form = form.choice(&[("container", Form::Container), ("init", Form::Init)], problems)?;
        }
        if let Some(jobs) = fields.optional("jobs") {
            let choices =
                [("skip", JobFallback::Skip), ("container", JobFallback::Container), ("reject", JobFallback::Reject)];
            fallback.jobs = jobs.choice(&choices, problems)?;
        }
        fields.finish(problems);
        Some(fallback)
    }
}

impl Position {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
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

impl Application {
    fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let select = fields.optional("select").and_then(|select| ContainerSelect::read(&select, problems));
        let application = Self {
            select: select.unwrap_or_default(),
            env: read_list(fields.optional("env"), &APPLICATION_NAMES, known, problems),
            env_from: read_list(fields.optional("envFrom"), &APPLICATION_NAMES, known, problems),
            volume_mounts: read_list(fields.optional("volumeMounts"), &APPLICATION_NAMES, known, problems),
            lifecycle: read_map(fields.optional("lifecycle"), &APPLICATION_NAMES, known, problems),
        };
        fields.finish(problems);
        Some(application)
    }
}

impl ContainerSelect {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let include = read_names(fields.optional("include"), problems);
        let exclude = read_names(fields.optional("exclude"), problems);
        let init = fields.optional("init").and_then(|flag| flag.flag(problems)).unwrap_or(false);
        fields.finish(problems);
        Some(Self { include, exclude, init })
    }
}

/// A list of names.
pub(super) fn read_names(node: Option<Node<'_>>, problems: &mut Problems) -> Vec<String> {
    let items = node.and_then(|node| node.items(problems)).unwrap_or_default();
    items.iter().filter_map(|item| item.filled_text(problems)).map(str::to_owned).collect()
}

fn read_list(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if node.items(problems).is_none() {
        return Pieces::default();
    }
    Pieces::compile(node.value, &node.pointer, "", names, known, problems)
}

fn read_map(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if node.entries(problems).is_none() {
        return Pieces::default();
    }
    Pieces::compile(node.value, &node.pointer, "", names, known, problems)
}
