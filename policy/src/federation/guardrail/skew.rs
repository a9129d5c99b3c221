//! How far the versions of a sidecar may be apart across members.

use super::super::compatibility::{Alignment, Verdict, VersionPart, Window, rule};
use super::super::member::Member;
use super::super::{Federation, SourceProblem};
use super::{Guardrail, Rule};
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// A window for one sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skew {
    /// The sidecar.
    pub sidecar: String,
    /// How far its versions may be apart.
    pub window: Window,
}

const PARTS: [(&str, VersionPart); 3] =
    [("major", VersionPart::Major), ("minor", VersionPart::Minor), ("patch", VersionPart::Patch)];

/// More steps than any release policy counts.
const STEPS_MAX: u64 = 1000;

/// How many members a message names.
const NAMED: usize = 5;

impl Skew {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let sidecar = fields.required("sidecar", problems).and_then(|node| node.filled_text(problems));
        let mut windows = Vec::new();
        let mut said = 0;
        for (key, part) in PARTS {
            let Some(node) = fields.optional(key) else { continue };
            said += 1;
            windows.extend(node.integer(0, STEPS_MAX, problems).map(|at_most| Window { part, at_most }));
        }
        fields.finish(problems);
        if said != 1 {
            problems.add(&node.pointer, "expected one of `major`, `minor` and `patch`: how many steps of it at most");
        }
        Some(Self { sidecar: sidecar?.to_owned(), window: windows.pop()? })
    }

    pub(super) fn schema() -> Schema {
        let steps = PARTS.map(|(key, _)| (key, Schema::integer(0, STEPS_MAX)));
        let one = PARTS.map(|(key, _)| serde_json::json!({"required": [key]}));
        Schema::object([("sidecar", Schema::filled())])
            .and(steps)
            .requires(&["sidecar"])
            .with("oneOf", one.into_iter().collect())
    }
}

/// A window that is not kept: the members that are too far behind, and why.
pub(in super::super) struct Apart<'f> {
    pub(in super::super) guardrail: &'f Guardrail,
    pub(in super::super) sidecar: &'f str,
    pub(in super::super) members: Vec<String>,
    pub(in super::super) problem: SourceProblem,
}

impl Federation {
    /// A problem for each window of a guardrail that the members do not keep. `rows` say what every member gets
    /// ([`super::super::compatibility::align`]); while a version is rolled out, a member has both.
    pub fn skew(&self, rows: &[Alignment]) -> Vec<SourceProblem> {
        self.apart(rows).map(|apart| apart.problem).collect()
    }

    pub(in super::super) fn apart<'f>(&'f self, rows: &'f [Alignment]) -> impl Iterator<Item = Apart<'f>> {
        let rules = self
            .guardrails
            .iter()
            .flat_map(|guardrail| guardrail.skew.iter().enumerate().map(move |(index, skew)| (guardrail, index, skew)));
        rules.filter_map(|(guardrail, index, skew)| {
            let row = rows.iter().find(|row| row.sidecar == skew.sidecar)?;
            let held =
                |name: &String| self.members().any(|member| member.name == *name && holds(guardrail, skew, member));
            let members = row.members.iter().filter(|(name, _)| held(name));
            let members = members.map(|(name, intent)| (name.clone(), intent.clone())).collect();
            let row = Alignment { sidecar: row.sidecar.clone(), members };
            let mut findings = row.judge(skew.window, rule("version-skew")?);
            findings.retain(|finding| finding.verdict != Verdict::Compatible);
            let mut members: Vec<String> = findings.iter().map(|finding| finding.member.clone()).collect();
            members.dedup();
            let named = findings.iter().take(NAMED).map(|finding| format!("`{}` {}", finding.member, finding.sentence));
            let named = named.collect::<Vec<_>>().join("; ");
            let more = findings.len().checked_sub(NAMED + 1).map(|more| format!("; and {} more", more + 1));
            let fix = findings.into_iter().next()?.fix;
            let message =
                format!("versions of `{}` are too far apart: {named}{}", skew.sidecar, more.unwrap_or_default());
            let pointer = format!("/spec/skew/{index}");
            let problem = SourceProblem::at(guardrail.document, pointer, message, fix);
            Some(Apart { guardrail, sidecar: &skew.sidecar, members, problem })
        })
    }
}

fn holds(guardrail: &Guardrail, skew: &Skew, member: &Member) -> bool {
    member.selected_by(&guardrail.members) && !guardrail.exempts(Rule::Skew, skew.sidecar.as_str(), member)
}
