//! Changes in the user's own containers.

use super::container::read_names;
use super::definitions::read_condition;
use super::pieces::{self, Pieces, compile, read_list, read_map, read_ordered};
use super::{Known, variables};
use crate::expression::template::{Condition, Template};
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// Changes in the user's own containers.
#[derive(Debug)]
pub struct Application {
    /// Which containers.
    pub select: ContainerSelect,
    /// A further condition on the container.
    pub when: Option<Condition>,
    /// Environment variables, by name.
    pub env: Pieces,
    /// Sources of environment variables, appended.
    pub env_from: Pieces,
    /// Mounts, by path.
    pub volume_mounts: Pieces,
    /// Lifecycle handlers, as one object.
    pub lifecycle: Pieces,
    /// Probes and lifecycle handlers that lead elsewhere; the first that fits counts.
    pub handlers: Vec<HandlerRewrite>,
    /// Fields that are replaced as a whole, as one object.
    pub set: Pieces,
}

/// What takes the place of a probe's or lifecycle event's handler; all else of the probe stays.
#[derive(Debug)]
pub struct HandlerRewrite {
    /// In which probes and events.
    pub of: Vec<HandlerOf>,
    /// Which handlers.
    pub kinds: Vec<&'static str>,
    /// A further condition on the handler.
    pub when: Option<Condition>,
    /// The new handler: an object with its one key.
    pub to: Template,
}

/// The probes and lifecycle events of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerOf {
    /// `livenessProbe`.
    Liveness,
    /// `readinessProbe`.
    Readiness,
    /// `startupProbe`.
    Startup,
    /// `lifecycle.postStart`.
    PostStart,
    /// `lifecycle.preStop`.
    PreStop,
}

/// The handlers of a probe or lifecycle event (kubernetes: `core/v1` `ProbeHandler`, `LifecycleHandler`).
pub const HANDLER_KINDS: [&str; 5] = ["httpGet", "tcpSocket", "grpc", "exec", "sleep"];
/// Those that reach the container over the network.
const NETWORK_KINDS: [&str; 3] = ["httpGet", "tcpSocket", "grpc"];

impl HandlerOf {
    /// Every one, in the order in which they are gone through.
    pub const ALL: [Self; 5] = [Self::Liveness, Self::Readiness, Self::Startup, Self::PostStart, Self::PreStop];

    /// Its keys from the container.
    pub const fn path(self) -> &'static [&'static str] {
        match self {
            Self::Liveness => &["livenessProbe"],
            Self::Readiness => &["readinessProbe"],
            Self::Startup => &["startupProbe"],
            Self::PostStart => &["lifecycle", "postStart"],
            Self::PreStop => &["lifecycle", "preStop"],
        }
    }

    /// Its own name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
            Self::Startup => "startupProbe",
            Self::PostStart => "postStart",
            Self::PreStop => "preStop",
        }
    }
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

impl Application {
    pub(super) fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        let names = &variables::APPLICATION;
        let mut fields = node.fields(problems)?;
        let select = fields.optional("select").and_then(|select| ContainerSelect::read(&select, problems));
        let when = fields.optional("when").and_then(|node| read_condition(&node, names, known, problems));
        let rewrites = fields.optional("handlers").and_then(|list| list.items(problems)).unwrap_or_default();
        let set = fields.optional("set");
        if set.as_ref().is_some_and(|set| set.value.get("name").is_some()) {
            problems.add(format!("{}/set/name", node.pointer), "a container keeps its name");
        }
        let application = Self {
            select: select.unwrap_or_default(),
            when,
            env: read_ordered(fields.optional("env"), names, known, problems),
            env_from: read_list(fields.optional("envFrom"), names, known, problems),
            volume_mounts: read_list(fields.optional("volumeMounts"), names, known, problems),
            lifecycle: read_map(fields.optional("lifecycle"), names, known, problems),
            handlers: rewrites.iter().filter_map(|node| HandlerRewrite::read(node, known, problems)).collect(),
            set: read_map(set, names, known, problems),
        };
        fields.finish(problems);
        Some(application)
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("select", ContainerSelect::schema().says("Default all containers, and no init containers.")),
            ("when", Schema::condition()),
            ("env", pieces::list_schema()),
            ("envFrom", pieces::list_schema()),
            ("volumeMounts", pieces::list_schema()),
            ("lifecycle", pieces::map_schema()),
            ("handlers", Schema::list_of(HandlerRewrite::schema()).says("Probes and events that lead elsewhere.")),
            ("set", pieces::map_schema().says("Fields that are replaced as a whole.")),
        ])
    }

    /// Whether the text of any expression in here passes a test.
    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        let parts = [&self.env, &self.env_from, &self.volume_mounts, &self.lifecycle, &self.set];
        let rewrites = self.handlers.iter();
        parts.iter().any(|part| part.any_expression(test))
            || self
                .when
                .iter()
                .chain(rewrites.clone().filter_map(|one| one.when.as_ref()))
                .any(|one| one.any_expression(test))
            || rewrites.clone().any(|one| one.to.any_expression(test))
    }
}

impl HandlerRewrite {
    fn schema() -> Schema {
        let handler = Schema::object(HANDLER_KINDS.map(|kind| (kind, Schema::any())));
        let handler = handler.with("minProperties", 1.into()).with("maxProperties", 1.into());
        Schema::object([
            ("of", Schema::list_of(Schema::word(HandlerOf::ALL.map(HandlerOf::name))).says("Default the probes.")),
            ("kinds", Schema::list_of(Schema::word(HANDLER_KINDS)).says("Default httpGet, tcpSocket and grpc.")),
            ("when", Schema::condition()),
            ("to", handler.says("The handler that takes its place.")),
        ])
        .requires(&["to"])
    }

    fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        let names = &variables::HANDLER;
        let mut fields = node.fields(problems)?;
        let places = HandlerOf::ALL.map(|of| (of.name(), of));
        let of = fields.optional("of").and_then(|list| list.items(problems));
        let of = of.map(|items| items.iter().filter_map(|item| item.choice(&places, problems)).collect());
        let choices = HANDLER_KINDS.map(|kind| (kind, kind));
        let kinds = fields.optional("kinds").and_then(|list| list.items(problems));
        let kinds = kinds.map(|items| items.iter().filter_map(|item| item.choice(&choices, problems)).collect());
        let when = fields.optional("when").and_then(|node| read_condition(&node, names, known, problems));
        let to = fields.required("to", problems).and_then(|node| {
            let keys: Vec<&str> = node.entries(problems)?.into_iter().map(|(key, _)| key).collect();
            if !matches!(keys.as_slice(), [key] if HANDLER_KINDS.contains(key)) {
                let message =
                    format!("expected one handler of {}, found {}", HANDLER_KINDS.join(", "), keys.join(", "));
                problems.add(&node.pointer, message);
                return None;
            }
            compile(node.value, &node.pointer, "", names, known, problems)
        });
        fields.finish(problems);
        let probes = vec![HandlerOf::Liveness, HandlerOf::Readiness, HandlerOf::Startup];
        Some(Self { of: of.unwrap_or(probes), kinds: kinds.unwrap_or_else(|| NETWORK_KINDS.to_vec()), when, to: to? })
    }
}

impl ContainerSelect {
    fn schema() -> Schema {
        let names = || Schema::list_of(Schema::filled());
        Schema::object([("include", names()), ("exclude", names()), ("init", Schema::flag())])
    }

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let include = read_names(fields.optional("include"), problems);
        let exclude = read_names(fields.optional("exclude"), problems);
        let init = fields.optional("init").and_then(|flag| flag.flag(problems)).unwrap_or(false);
        fields.finish(problems);
        Some(Self { include, exclude, init })
    }
}
