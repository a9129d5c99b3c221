//! What every document begins with: `apiVersion`, `kind`, `metadata`, `spec`.

use serde_json::Value;

use super::API_VERSION;
use crate::read::{Node, Problems, clip};
use crate::schema::Schema;
use crate::settings::is_dns_label;

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
        let name = fields.required("metadata", problems).and_then(|node| name(&node, kind, problems));
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
        Kind::Federation => Schema::filled(),
        Kind::Sidecar | Kind::Guardrail | Kind::Rollout | Kind::TrafficPolicy | Kind::SecurityPolicy => Schema::label(),
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
fn name<'v>(metadata: &Node<'v>, kind: Option<Kind>, problems: &mut Problems) -> Option<&'v str> {
    let mut fields = metadata.fields(problems)?;
    let node = fields.required("name", problems);
    let name = node.as_ref().and_then(|node| node.filled_text(problems));
    // It becomes part of the names of objects, and for sidecars of labels' keys.
    if let (Some(node), Some(name), Some(kind)) = (node, name, kind)
        && kind != Kind::Federation
        && !is_dns_label(name)
    {
        let expected = "expected a name such as `otel-agent` (RFC 1123 label)";
        problems.add(&node.pointer, format!("{expected}, found `{}`", clip(name)));
    }
    for map in ["labels", "annotations"] {
        for (_, value) in fields.optional(map).and_then(|node| node.entries(problems)).into_iter().flatten() {
            value.text(problems);
        }
    }
    fields.finish(problems);
    name
}
