//! Who may opt out of a sidecar that is not required.

use serde_json::{Value, json};

use crate::read::{Node, Problems};
use crate::schema::Schema;

/// The right to opt out of one sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// Of this sidecar.
    pub sidecar: String,
    /// Who has it.
    pub by: MayOptOut,
}

/// Who may opt out; each later one leaves fewer who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MayOptOut {
    /// Whoever may write a pod's labels.
    Pods,
    /// Only who may write a namespace's labels.
    Namespaces,
    /// Nobody.
    Nobody,
}

const BY: [(&str, MayOptOut); 3] =
    [("pods", MayOptOut::Pods), ("namespaces", MayOptOut::Namespaces), ("nobody", MayOptOut::Nobody)];

impl OptOut {
    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let sidecar = fields.required("sidecar", problems).and_then(|node| node.filled_text(problems));
        let by = fields.required("by", problems).and_then(|node| node.choice(&BY, problems));
        fields.finish(problems);
        Some(Self { sidecar: sidecar?.to_owned(), by: by? })
    }

    pub(crate) fn schema() -> Schema {
        Schema::object([("sidecar", Schema::filled()), ("by", Schema::choice(&BY))]).requires(&["sidecar", "by"])
    }

    /// As it stands in a document.
    pub(crate) fn to_value(&self) -> Value {
        let by = BY.iter().find(|(_, by)| *by == self.by).map(|(name, _)| *name);
        json!({"sidecar": self.sidecar, "by": by})
    }
}
