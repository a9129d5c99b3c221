//! The document of kind Rollout: in which order the members get a new version of sidecars, and what must hold on the way.
//!
//! Nothing compiles from it yet: delivery will take it as a whole. What is certain after reading: every member that it is
//! about stands in exactly one stage, and no other rollout moves the same sidecar there ([`coverage`]).

pub(super) mod coverage;
mod gate;
mod stage;
mod window;

use super::date::Date;
use super::header::Header;
use super::lists::{each, not_empty, some_texts, unique};
use crate::read::{Node, Problems};
use crate::schema::Schema;
use crate::settings::Selector;

pub(super) use gate::read_url;
pub use gate::{Gate, Measure};
pub use stage::Stage;
pub use window::{Day, Time, Window};

/// How sidecars reach the members.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// Its name.
    pub name: String,
    /// The sidecars that it moves.
    pub sidecars: Vec<String>,
    /// What follows where a stage fails.
    pub on_failure: OnFailure,
    /// Days on which nothing begins.
    pub freezes: Vec<Freeze>,
    /// The stages, one after the other.
    pub stages: Vec<Stage>,
    pub(super) document: usize,
    pub(super) members: Selector,
}

/// What follows where a stage fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// The last good artifact returns.
    Rollback,
    /// Everything stays as it is until somebody decides.
    Pause,
}

/// Days on which nothing begins, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// The first.
    pub from: Date,
    /// The last.
    pub to: Date,
    /// Why, for people.
    pub reason: String,
}

const ON_FAILURE: [(&str, OnFailure); 2] = [("rollback", OnFailure::Rollback), ("pause", OnFailure::Pause)];

impl Rollout {
    pub(super) fn read(document: usize, header: &Header<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = header.spec.fields(problems)?;
        let sidecars = some_texts(fields.required("sidecars", problems), problems);
        let at = &header.spec.pointer;
        unique(sidecars.iter().map(String::as_str), "sidecar", &format!("{at}/sidecars"), "", problems);
        let members = fields.optional("members").and_then(|node| Selector::read(&node, problems)).unwrap_or_default();
        let on_failure = fields.optional("onFailure").and_then(|node| node.choice(&ON_FAILURE, problems));
        let freezes = each(fields.optional("freezes"), problems, Freeze::read);
        let stages = each(not_empty(fields.required("stages", problems), problems), problems, Stage::read);
        fields.finish(problems);
        // Stages that cannot be read are no reason to say that their members are left out.
        if stages.is_empty() {
            return None;
        }
        unique(stages.iter().map(|stage| stage.name.as_str()), "stage", &format!("{at}/stages"), "/name", problems);
        Some(Self {
            name: header.name.to_owned(),
            sidecars,
            on_failure: on_failure.unwrap_or(OnFailure::Rollback),
            freezes,
            stages,
            document,
            members,
        })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("sidecars", Schema::some_of(Schema::filled()).says("The Sidecars that it moves.")),
            ("members", Selector::schema().says("The members that it is about; default all that get the sidecars.")),
            ("onFailure", Schema::choice(&ON_FAILURE).says("What follows where a stage fails; default rollback.")),
            ("freezes", Schema::list_of(Freeze::schema()).says("Days on which nothing begins.")),
            ("stages", Schema::some_of(Stage::schema()).says("One after the other.")),
        ])
        .requires(&["sidecars", "stages"])
    }
}

impl Freeze {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let from = fields.required("from", problems).and_then(|node| Date::read(&node, problems));
        let to = fields.required("to", problems).and_then(|node| Date::read(&node, problems));
        let reason = fields.required("reason", problems).and_then(|node| node.filled_text(problems));
        fields.finish(problems);
        let (from, to) = (from?, to?);
        if from > to {
            problems.add(&node.pointer, format!("expected `from` to be no later than `to`, found {from} and {to}"));
        }
        Some(Self { from, to, reason: reason?.to_owned() })
    }

    fn schema() -> Schema {
        Schema::object([("from", Date::schema()), ("to", Date::schema()), ("reason", Schema::filled())])
            .requires(&["from", "to", "reason"])
    }
}
