//! The document of kind Sidecar: which members get it, what it asks of them, and what the settings say about it.

use serde_json::{Map, Value, json};

use super::Source;
use super::compile::hash;
use super::header::Header;
use super::member::texts;
use super::version::Requirement;
use crate::read::{Node, Problems};
use crate::schema::Schema;
use crate::settings::{self, Selector, override_domain};

/// A sidecar. What it does to a pod stays as it was written: the settings' own check reads it.
#[derive(Debug, Clone)]
pub(super) struct Sidecar {
    pub(super) document: usize,
    pub(super) name: String,
    pub(super) members: Selector,
    pub(super) requires: Requires,
    /// What the settings of every member that has it say: name, origin, and the keys of [`SETTINGS_KEYS`] that are there.
    pub(super) settings: Map<String, Value>,
    /// The hash of that without the origin.
    pub(super) digest: String,
}

/// What a sidecar asks of a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Requires {
    pub(super) kubernetes: Option<Requirement>,
    pub(super) architectures: Vec<String>,
    /// Destinations, with variables in them.
    pub(super) egress: Vec<Value>,
}

/// The keys of `spec` that mean in a document what they mean in the settings (docs/settings.md).
pub(super) const SETTINGS_KEYS: [&str; 14] = [
    "version",
    "mode",
    "onConflict",
    "allowHostNetwork",
    "os",
    "architectures",
    "match",
    "when",
    "let",
    "validations",
    "rollout",
    "overrides",
    "inject",
    "conflicts",
];

impl Sidecar {
    pub(super) fn read(document: usize, source: &Source, header: &Header<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = header.spec.fields(problems)?;
        let members = fields.optional("members").and_then(|node| Selector::read(&node, problems));
        let requires = fields.optional("requires").and_then(|node| Requires::read(&node, problems)).unwrap_or_default();
        let mut settings = Map::from_iter([("name".to_owned(), Value::from(header.name))]);
        for key in SETTINGS_KEYS {
            settings.extend(fields.optional(key).map(|node| (key.to_owned(), node.value.clone())));
        }
        if settings.contains_key("architectures") && !requires.architectures.is_empty() {
            problems.add_with_hint(
                format!("{}/architectures", header.spec.pointer),
                "`requires.architectures` says this already",
                Some("keep one of the two"),
            );
        }
        fields.finish(problems);
        if !requires.architectures.is_empty() {
            settings.insert("architectures".to_owned(), json!(requires.architectures));
        }
        let digest = hash(&Value::Object(settings.clone()));
        settings.insert("origin".to_owned(), source.origin());
        let members = members.unwrap_or_default();
        Some(Self { document, name: header.name.to_owned(), members, requires, settings, digest })
    }
}

impl Sidecar {
    pub(super) fn schema() -> Schema {
        let texts = || Schema::list_of(Schema::filled());
        let requires = Schema::object([
            ("kubernetes", Requirement::schema().says("Comparisons such as >=1.27, <1.40 that must all hold.")),
            ("architectures", texts().says("Those of its image.")),
            ("egress", texts().says("What it connects to.")),
        ]);
        settings::Sidecar::schema().and([
            ("members", Selector::schema().says("Which clusters; default all.")),
            ("requires", requires.says("What it asks of a cluster.")),
        ])
    }

    /// What its versions bring, each with its place in the document: the current one, then the one before.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&'static str, &Map<String, Value>)> {
        let previous = self.settings.get("rollout").and_then(|rollout| rollout.get("previous")?.as_object());
        let previous = previous.map(|previous| ("/spec/rollout/previous", previous));
        [("/spec", &self.settings)].into_iter().chain(previous)
    }

    /// The overrides that it declares, with their positions.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (usize, &Map<String, Value>)> + Clone {
        let overrides = self.settings.get("overrides").and_then(Value::as_array).into_iter().flatten();
        overrides.enumerate().filter_map(|(index, one)| Some((index, one.as_object()?)))
    }

    /// Whether an override of it is meant by the key of an annotation, short or whole.
    pub(super) fn is_annotation(&self, found: &Map<String, Value>, annotation: &str) -> bool {
        let own = found.get("annotation").and_then(Value::as_str).unwrap_or_default();
        own == annotation || annotation.strip_prefix(&override_domain(&self.name)) == Some(own)
    }
}

impl Requires {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let kubernetes = fields.optional("kubernetes").and_then(|node| Requirement::read(&node, problems));
        let architectures = fields.optional("architectures").map(|node| texts(&node, problems)).unwrap_or_default();
        let egress = fields.optional("egress").map(|node| texts(&node, problems)).unwrap_or_default();
        fields.finish(problems);
        Some(Self { kubernetes, architectures, egress: egress.into_iter().map(Value::from).collect() })
    }
}
