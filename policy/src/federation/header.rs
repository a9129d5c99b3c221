//! What every document begins with: `apiVersion`, `kind`, `metadata`, `spec`.

use serde_json::Value;

use super::API_VERSION;
use crate::read::{Node, Problems, did_you_mean};

/// The kinds that this version reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Federation,
    Sidecar,
    Guardrail,
}

impl Kind {
    const ALL: [(&str, Self); 3] =
        [("Federation", Self::Federation), ("Sidecar", Self::Sidecar), ("Guardrail", Self::Guardrail)];

    /// Kinds of `fedcar.dev` that a later version brings, so that the message need not guess at a typing error.
    const LATER: [&str; 3] = ["TrafficPolicy", "SecurityPolicy", "Rollout"];

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems)?;
        let found = Self::ALL.iter().find(|(word, _)| *word == text).map(|(_, kind)| *kind);
        if found.is_none() {
            let words = Self::ALL.map(|(word, _)| word);
            let known = words.join(", ");
            if Self::LATER.contains(&text) {
                problems.add_with_hint(
                    &node.pointer,
                    format!("this version of fedcar does not know the kind {text} yet"),
                    Some(format!("it reads {known}; move the document out of the folder")),
                );
            } else {
                problems.add_with_hint(
                    &node.pointer,
                    format!("expected one of {known}, found `{}`", crate::read::clip(text)),
                    did_you_mean(text, words),
                );
            }
        }
        found
    }
}

/// The kind, the name and the still unread body of a document.
#[derive(Debug)]
pub(super) struct Header<'v> {
    pub(super) kind: Kind,
    pub(super) name: &'v str,
    pub(super) spec: Node<'v>,
}

impl<'v> Header<'v> {
    pub(super) fn read(document: &'v Value, problems: &mut Problems) -> Option<Self> {
        let mut fields = Node::root(document).fields(problems)?;
        let version = fields.required("apiVersion", problems);
        let version = version.and_then(|node| node.choice(&[(API_VERSION, ())], problems));
        let kind = fields.required("kind", problems).and_then(|node| Kind::read(&node, problems));
        let name = fields.required("metadata", problems).and_then(|node| name(&node, problems));
        let spec = fields.required("spec", problems);
        fields.finish(problems);
        version?;
        Some(Self { kind: kind?, name: name?, spec: spec? })
    }
}

/// `metadata.name`; labels and annotations belong to the team's own tools.
fn name<'v>(metadata: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let mut fields = metadata.fields(problems)?;
    let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
    for map in ["labels", "annotations"] {
        for (_, value) in fields.optional(map).and_then(|node| node.entries(problems)).into_iter().flatten() {
            value.text(problems);
        }
    }
    fields.finish(problems);
    name
}
