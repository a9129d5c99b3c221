//! What happens where the pod already has something else in the place of what a sidecar brings.

use crate::read::{Node, Problems};
use crate::schema::Schema;

/// A rule for one kind of conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Neither: the sidecar is not injected, or the pod is denied where it is required.
    Reject,
    /// Theirs stands.
    Keep,
    /// Ours stands; theirs goes into the inverse record.
    Replace,
    /// Ours gets a free name and the references to it follow.
    Rename,
}

/// The rules of one sidecar, by kind of conflict.
#[derive(Debug, Clone, Copy)]
pub struct ConflictRules {
    /// A container or init container of the same name.
    pub containers: Rule,
    /// A volume of the same name.
    pub volumes: Rule,
    /// An environment variable of the same name.
    pub env: Rule,
    /// A mount at the same path.
    pub mounts: Rule,
    /// A label with another value.
    pub labels: Rule,
    /// An annotation with another value.
    pub annotations: Rule,
    /// Another pod field with another value.
    pub pod: Rule,
    /// A lifecycle handler of the same event.
    pub lifecycle: Rule,
    /// A port that another container of the pod already declares.
    pub ports: Rule,
}

impl Default for ConflictRules {
    fn default() -> Self {
        Self {
            containers: Rule::Reject,
            volumes: Rule::Rename,
            env: Rule::Keep,
            mounts: Rule::Reject,
            labels: Rule::Keep,
            annotations: Rule::Keep,
            pod: Rule::Reject,
            lifecycle: Rule::Keep,
            ports: Rule::Reject,
        }
    }
}

const NAMED: &[(&str, Rule)] =
    &[("reject", Rule::Reject), ("keep", Rule::Keep), ("replace", Rule::Replace), ("rename", Rule::Rename)];
const UNNAMED: &[(&str, Rule)] = &[("reject", Rule::Reject), ("keep", Rule::Keep), ("replace", Rule::Replace)];
const UNMOVABLE: &[(&str, Rule)] = &[("reject", Rule::Reject), ("keep", Rule::Keep)];

impl ConflictRules {
    pub(super) fn schema() -> Schema {
        Schema::object([
            ("containers", Schema::choice(NAMED).says("Default reject.")),
            ("volumes", Schema::choice(NAMED).says("Default rename.")),
            ("env", Schema::choice(UNNAMED).says("Default keep.")),
            ("mounts", Schema::choice(UNNAMED).says("Default reject.")),
            ("labels", Schema::choice(UNNAMED).says("Default keep.")),
            ("annotations", Schema::choice(UNNAMED).says("Default keep.")),
            ("pod", Schema::choice(UNNAMED).says("Default reject.")),
            ("lifecycle", Schema::choice(UNNAMED).says("Default keep.")),
            ("ports", Schema::choice(UNMOVABLE).says("Default reject.")),
        ])
    }

    /// Reads `conflicts`; what is not said keeps its default.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut rules = Self::default();
        for (name, choices, rule) in [
            ("containers", NAMED, &mut rules.containers),
            ("volumes", NAMED, &mut rules.volumes),
            ("env", UNNAMED, &mut rules.env),
            ("mounts", UNNAMED, &mut rules.mounts),
            ("labels", UNNAMED, &mut rules.labels),
            ("annotations", UNNAMED, &mut rules.annotations),
            ("pod", UNNAMED, &mut rules.pod),
            ("lifecycle", UNNAMED, &mut rules.lifecycle),
            ("ports", UNMOVABLE, &mut rules.ports),
        ] {
            if let Some(chosen) = fields.optional(name).and_then(|node| node.choice(choices, problems)) {
                *rule = chosen;
            }
        }
        fields.finish(problems);
        Some(rules)
    }
}
