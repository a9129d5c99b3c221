//! Many workloads of one member, added up: each group has a count and its first few names.

use std::collections::BTreeMap;

use fedcar_policy::federation::guardrail::Excess;
use serde::Serialize;

use super::judge::{Fate, Judged, result};
use super::requests::Requests;

/// How many different images or conflicts are told apart; documents have dozens, only an expression can make more.
const MOST_GROUPS: usize = 200;

/// Some workloads of one kind of outcome.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Seen {
    /// How many.
    pub(crate) workloads: u64,
    /// The first of them.
    pub(crate) first: Vec<String>,
}

impl Seen {
    /// One more; so many are named.
    pub(crate) fn add(&mut self, name: &str, listed: usize) {
        self.workloads += 1;
        if self.first.len() < listed {
            self.first.push(name.to_owned());
        }
    }

    /// `shop/pod/a, shop/pod/b and 3 more`.
    pub(crate) fn names(&self) -> String {
        let first = self.first.join(", ");
        let listed = u64::try_from(self.first.len()).unwrap_or(u64::MAX);
        match self.workloads.saturating_sub(listed) {
            0 => first,
            more if first.is_empty() => more.to_string(),
            more => format!("{first} and {more} more"),
        }
    }
}

/// What becomes of one sidecar, and what became of it under the other documents where two are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Row {
    /// The sidecar; `-` for what is not that of one sidecar.
    pub(crate) sidecar: String,
    /// Under the other documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
    /// Under these.
    pub(crate) result: String,
}

/// What becomes of a member's workloads.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The member.
    pub(crate) member: String,
    /// All that were looked at.
    pub(crate) workloads: u64,
    /// The pods that they stand for.
    pub(crate) pods: u64,
    /// Those that are told: all, or where two revisions are compared those that differ.
    pub(crate) told: u64,
    /// By what becomes of them.
    pub(crate) fates: BTreeMap<Fate, Seen>,
    /// By what becomes of each sidecar.
    pub(crate) rows: BTreeMap<Row, Seen>,
    /// What their pods request more.
    pub(crate) added: Requests,
    /// Images that they pull and now do not.
    pub(crate) images: BTreeMap<String, Seen>,
    /// What stood in the way, by sidecar and particulars.
    pub(crate) conflicts: BTreeMap<String, Seen>,
    /// Why they are denied or undecided.
    pub(crate) refusals: BTreeMap<String, Seen>,
    /// Budgets of guardrails that sidecars exceed.
    pub(crate) over: Vec<Excess>,
    listed: usize,
}

impl Tally {
    /// Nothing seen yet; `listed` names are kept in each group.
    pub(crate) fn new(member: &str, listed: usize) -> Self {
        Self {
            member: member.to_owned(),
            workloads: 0,
            pods: 0,
            told: 0,
            fates: BTreeMap::new(),
            rows: BTreeMap::new(),
            added: Requests::NONE,
            images: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            refusals: BTreeMap::new(),
            over: Vec::new(),
            listed,
        }
    }

    /// Adds a workload.
    pub(crate) fn add(&mut self, judged: &Judged) {
        self.look_at(judged);
        let rows = judged
            .sidecars
            .iter()
            .map(|sidecar| Row { sidecar: sidecar.name.clone(), before: None, result: result(sidecar) })
            .collect();
        self.tell(judged, rows, judged.added, judged.images.iter());
    }

    /// Adds a workload as far as it differs from what other documents make of it; true where it does.
    pub(crate) fn add_difference(&mut self, other: &Judged, judged: &Judged) -> bool {
        self.look_at(judged);
        let rows = differences(other, judged);
        if rows.is_empty() {
            return false;
        }
        let added = judged.added.beyond(other.added, 1);
        self.tell(judged, rows, added, judged.images.difference(&other.images));
        true
    }

    fn look_at(&mut self, judged: &Judged) {
        self.workloads += 1;
        self.pods = self.pods.saturating_add(judged.copies);
    }

    fn tell<'i>(&mut self, judged: &Judged, rows: Vec<Row>, added: Requests, images: impl Iterator<Item = &'i String>) {
        let (name, listed) = (judged.name.as_str(), self.listed);
        self.told += 1;
        self.fates.entry(judged.fate).or_default().add(name, listed);
        for row in rows {
            self.rows.entry(row).or_default().add(name, listed);
        }
        self.added = self.added.plus(added);
        for image in images {
            group(&mut self.images, image.clone()).add(name, listed);
        }
        for sidecar in judged.sidecars.iter().filter(|sidecar| sidecar.code == "conflict") {
            let what = format!("{}: {}", sidecar.name, sidecar.details.join("; "));
            group(&mut self.conflicts, what).add(name, listed);
        }
        if let Some(message) = &judged.message {
            group(&mut self.refusals, message.clone()).add(name, listed);
        }
    }
}

/// The group of this key, or beyond the bound the one of all others.
fn group(groups: &mut BTreeMap<String, Seen>, key: String) -> &mut Seen {
    let key = if groups.len() < MOST_GROUPS || groups.contains_key(&key) { key } else { "others".to_owned() };
    groups.entry(key).or_default()
}

/// One row for each sidecar that becomes something else; else one for contents that differ.
pub(crate) fn differences(other: &Judged, judged: &Judged) -> Vec<Row> {
    let names = other.sidecars.iter().chain(&judged.sidecars).map(|sidecar| sidecar.name.as_str());
    let mut rows: Vec<Row> = Vec::new();
    for name in names {
        let absent = || "absent".to_owned();
        let before = other.result_of(name).unwrap_or_else(absent);
        let result = judged.result_of(name).unwrap_or_else(absent);
        let row = Row { sidecar: name.to_owned(), before: Some(before), result };
        if row.before.as_ref() != Some(&row.result) && !rows.contains(&row) {
            rows.push(row);
        }
    }
    if rows.is_empty() && !judged.makes_the_same(other) {
        let (before, result) = match (other.fate, judged.fate) {
            (before, after) if before != after => (before.word().to_owned(), after.word().to_owned()),
            _ => ("the same sidecars".to_owned(), "with other contents".to_owned()),
        };
        rows.push(Row { sidecar: "-".to_owned(), before: Some(before), result });
    }
    rows
}
