//! What every document begins with: `apiVersion`, `kind`, `metadata`, `spec`.

use serde_json::Value;

use super::API_VERSION;
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Federation,
    Sidecar,
    Guardrail,
    Rollout,
    TrafficPolicy,
    SecurityPolicy,
}

impl Kind {
    pub(super) const ALL: [(&str, Self); 6] = [
        ("Federation", Self::Federation),
        ("Sidecar", Self::Sidecar),
        ("Guardrail", Self::Guardrail),
        ("Rollout", Self::Rollout),
        ("TrafficPolicy", Self::TrafficPolicy),
        ("SecurityPolicy", Self::SecurityPolicy),
    ];
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
        let kind = fields.required("kind", problems).and_then(|node| node.choice(&Kind::ALL, problems));
        let name = fields.required("metadata", problems).and_then(|node| name(&node, problems));
        let spec = fields.required("spec", problems);
        fields.finish(problems);
        version?;
        Some(Self { kind: kind?, name: name?, spec: spec? })
    }
}

/// The schema of a whole document, from that of its `spec`.
pub(super) fn schema(kind: Kind, name: &str, spec: Schema) -> Schema {
    let texts = || Schema::map_of(Schema::text());
    let own = match kind {
        // They stand in the settings, where each is part of a label's key.
        Kind::Sidecar | Kind::Guardrail => Schema::label(),
        Kind::Federation | Kind::Rollout | Kind::TrafficPolicy | Kind::SecurityPolicy => Schema::filled(),
    };
    let metadata = Schema::object([("name", own), ("labels", texts()), ("annotations", texts())]);
    Schema::object([
        ("apiVersion", Schema::only(&API_VERSION.into())),
        ("kind", Schema::only(&name.into())),
        ("metadata", metadata.requires(&["name"])),
        ("spec", spec),
    ])
    .requires(&["apiVersion", "kind", "metadata", "spec"])
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
