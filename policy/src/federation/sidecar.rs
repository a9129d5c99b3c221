//! The document of kind Sidecar: which members get it, what it asks of them, and what the settings say about it.

use serde_json::{Map, Value};

use super::Source;
use super::header::Header;
use super::member::texts;
use super::version::Requirement;
use crate::read::{Node, Problems};
use crate::settings::Selector;

/// A sidecar. What it does to a pod stays as it was written: the settings' own check reads it.
#[derive(Debug, Clone)]
pub(super) struct Sidecar {
    pub(super) document: usize,
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) members: Selector,
    pub(super) requires: Requires,
    /// The keys of [`SETTINGS_KEYS`] that are there.
    pub(super) settings: Map<String, Value>,
}

/// What a sidecar asks of a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Requires {
    pub(super) kubernetes: Option<Requirement>,
    pub(super) architectures: Vec<String>,
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
        let mut settings = Map::new();
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
        Some(Self {
            document,
            file: source.file.clone(),
            line: source.line,
            name: header.name.to_owned(),
            members: members.unwrap_or_default(),
            requires,
            settings,
        })
    }
}

impl Requires {
    /// `egress` is checked for its shape only: what a cluster's network policies allow is not known here.
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let kubernetes = fields.optional("kubernetes").and_then(|node| Requirement::read(&node, problems));
        let architectures = fields.optional("architectures").map(|node| texts(&node, problems)).unwrap_or_default();
        if let Some(egress) = fields.optional("egress") {
            texts(&egress, problems);
        }
        fields.finish(problems);
        Some(Self { kubernetes, architectures })
    }
}
