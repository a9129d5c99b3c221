//! The document of kind Federation: the members, and what holds for all of them.

use serde_json::{Map, Value};

use super::header::Header;
use super::member::{self, Member};
use crate::read::Problems;
use crate::schema::Schema;
use crate::settings::Settings;

/// What the Federation says.
#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) document: usize,
    pub(super) name: String,
    pub(super) members: Vec<Member>,
    pub(super) variables: Map<String, Value>,
    pub(super) trust_domain: Option<Value>,
    /// `onFault`, `namespaceLabels`, `protectedNamespaces` and `let`: the settings take them as they are and judge them.
    pub(super) settings: Map<String, Value>,
}

impl Root {
    pub(super) fn schema() -> Schema {
        Settings::shared_schema()
            .and([
                ("trustDomain", Schema::filled()),
                ("variables", Schema::map_of(Schema::any()).says("`vars.NAME` in expressions.")),
                ("members", Schema::some_of(Member::schema()).says("The clusters.")),
            ])
            .requires(&["members"])
    }

    pub(super) fn read(document: usize, header: &Header<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = header.spec.fields(problems)?;
        let trust_domain = fields.optional("trustDomain").map(|node| node.value.clone());
        let variables = fields.optional("variables").and_then(|node| member::variables(&node, problems));
        let mut settings = Map::new();
        for key in ["onFault", "namespaceLabels", "protectedNamespaces", "let"] {
            settings.extend(fields.optional(key).map(|node| (key.to_owned(), node.value.clone())));
        }
        let mut members: Vec<Member> = Vec::new();
        let listed = fields.required("members", problems);
        let items = listed.as_ref().and_then(|node| node.items(problems));
        if items.as_ref().is_some_and(Vec::is_empty) {
            problems.add(format!("{}/members", header.spec.pointer), "expected at least one member");
        }
        for node in items.into_iter().flatten() {
            if let Some(member) = Member::read(&node, problems) {
                if members.iter().any(|other| other.name == member.name) {
                    problems.add(format!("{}/name", node.pointer), format!("a second member `{}`", member.name));
                }
                members.push(member);
            }
        }
        fields.finish(problems);
        let variables = variables.unwrap_or_default();
        Some(Self { document, name: header.name.to_owned(), members, variables, trust_domain, settings })
    }
}
