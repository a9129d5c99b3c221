//! The document of kind Guardrail: which sidecars the workloads of which members must carry, or must not.

use serde_json::Value;

use super::Source;
use super::header::Header;
use super::member::texts;
use crate::read::Problems;
use crate::settings::Selector;

/// A guardrail. Its `match` stays as it was written: the settings' own check reads it.
#[derive(Debug, Clone)]
pub(super) struct Guardrail {
    pub(super) document: usize,
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) name: String,
    pub(super) members: Selector,
    pub(super) selection: Option<Value>,
    pub(super) required: Vec<String>,
    pub(super) never: Vec<String>,
}

impl Guardrail {
    pub(super) fn read(document: usize, source: &Source, header: &Header<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = header.spec.fields(problems)?;
        let members = fields.optional("members").and_then(|node| Selector::read(&node, problems));
        let selection = fields.optional("match").map(|node| node.value.clone());
        let required = fields.optional("required").map(|node| texts(&node, problems)).unwrap_or_default();
        let never = fields.optional("never").map(|node| texts(&node, problems)).unwrap_or_default();
        // For the people who review the document: why the rule is there.
        if let Some(reason) = fields.optional("reason") {
            reason.filled_text(problems);
        }
        if required.is_empty() && never.is_empty() {
            problems.add(fields.pointer(), "expected `required` or `never` to name a sidecar");
        }
        fields.finish(problems);
        Some(Self {
            document,
            file: source.file.clone(),
            line: source.line,
            name: header.name.to_owned(),
            members: members.unwrap_or_default(),
            selection,
            required,
            never,
        })
    }
}
