//! A stage of a rollout: which members, in which steps, and what must hold before the next stage begins.

use super::super::lists::{each, unique};
use super::super::share::Share;
use super::super::span::Span;
use super::gate::Gate;
use super::window::Window;
use crate::read::{Node, Problems};
use crate::schema::Schema;
use crate::settings::Selector;

/// One step of the way.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name, unique in the rollout.
    pub name: String,
    /// The percentages of workloads that get the new version one after the other: rising, the last is 100.
    pub percents: Vec<u64>,
    /// How many members are changed at a time.
    pub max_concurrency: Share,
    /// How long everything must stay well before the next percentage, and before the next stage.
    pub soak: Option<Span>,
    /// A member that is not done after so long counts as failed.
    pub deadline: Option<Span>,
    /// How many people must agree before the stage begins.
    pub approvals: u64,
    /// How many members may fail before the stage does.
    pub failure_budget: Share,
    /// When members are changed; at any time where there is none.
    pub windows: Vec<Window>,
    /// What is measured.
    pub gates: Vec<Gate>,
    /// Which members; `None` stands for those that no other stage selects.
    pub(in super::super) members: Option<Selector>,
}

/// A change that so many people must agree to never happens.
const APPROVALS_MAX: u64 = 16;

impl Stage {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let members = fields.optional("members").map(|node| Selector::read(&node, problems));
        let percents = fields.optional("percent").map_or(Some(vec![100]), |node| read_percents(&node, problems));
        let concurrency =
            fields.optional("maxConcurrency").map_or(Some(Share::Count(1)), |node| Share::read(&node, 1, problems));
        let soak = fields.optional("soak").and_then(|node| Span::read(&node, problems));
        let deadline = fields.optional("deadline").and_then(|node| Span::read_some(&node, problems));
        let approvals = fields.optional("approvals").and_then(|node| node.integer(0, APPROVALS_MAX, problems));
        let budget =
            fields.optional("failureBudget").map_or(Some(Share::Count(0)), |node| Share::read(&node, 0, problems));
        let windows = each(fields.optional("windows"), problems, Window::read);
        let gates = each(fields.optional("gates"), problems, Gate::read);
        let names = gates.iter().map(|gate| gate.name.as_str());
        unique(names, "gate", &format!("{}/gates", node.pointer), "/name", problems);
        fields.finish(problems);
        Some(Self {
            name: name?.to_owned(),
            percents: percents?,
            max_concurrency: concurrency?,
            soak,
            deadline,
            approvals: approvals.unwrap_or_default(),
            failure_budget: budget?,
            windows,
            gates,
            members: match members {
                Some(members) => Some(members?),
                None => None,
            },
        })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("name", Schema::filled()),
            ("members", Selector::schema().says("Without it: every member that no other stage selects.")),
            (
                "percent",
                Schema::some_of(Schema::integer(1, 100))
                    .says("Of the workloads, rising; the last is 100, as is the default."),
            ),
            ("maxConcurrency", Share::schema(1).says("How many members at a time, or a percentage; default 1.")),
            ("soak", Span::schema().says("How long all must stay well before the next percentage or stage.")),
            ("deadline", Span::schema().says("A member that is not done after so long counts as failed.")),
            ("approvals", Schema::integer(0, APPROVALS_MAX).says("How many people must agree first; default 0.")),
            ("failureBudget", Share::schema(0).says("How many members may fail, or a percentage; default 0.")),
            ("windows", Schema::list_of(Window::schema()).says("When members are changed; default at any time.")),
            ("gates", Schema::list_of(Gate::schema()).says("What is measured.")),
        ])
        .requires(&["name"])
    }
}

/// Percentages that rise and end with everything.
fn read_percents(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<u64>> {
    let items = node.items(problems)?;
    let percents: Vec<u64> = items.iter().filter_map(|item| item.integer(1, 100, problems)).collect();
    if percents.len() != items.len() {
        return None;
    }
    if percents.last() != Some(&100) || !percents.is_sorted_by(|one, next| one < next) {
        let shown: Vec<String> = percents.iter().map(u64::to_string).collect();
        problems.add_with_hint(
            &node.pointer,
            format!("expected percentages that rise to 100, found [{}]", shown.join(", ")),
            Some("say for example [5, 25, 100]"),
        );
        return None;
    }
    Some(percents)
}
