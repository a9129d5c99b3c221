//! Pods that come out otherwise, those of them together that do so in the same way.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::preview::{Judged, Row, Seen, differences};

/// Workloads that become something else in the same way and in the same members.
#[derive(Serialize)]
pub(crate) struct Group {
    /// What each sidecar becomes.
    pub(crate) sidecars: Vec<Row>,
    /// Where.
    pub(crate) members: Vec<String>,
    /// Which, and how many.
    #[serde(flatten)]
    pub(crate) seen: Seen,
    /// The pods of the first of them, as a unified diff.
    pub(crate) difference: String,
}

/// What a workload becomes; with the lines of its pods that differ where workloads are few.
type Outcome = (Vec<Row>, String);

/// All of them.
pub(crate) struct Pods {
    /// Whether each difference between pods is a group of its own: with names in them there would be no end of groups.
    apart: bool,
    listed: usize,
    /// Of the workload that is being told.
    open: BTreeMap<Outcome, (Vec<String>, String)>,
    groups: BTreeMap<(Outcome, Vec<String>), (Seen, String)>,
}

impl Pods {
    /// None yet; so many are named in each group.
    pub(crate) fn new(apart: bool, listed: usize) -> Self {
        Self { apart, listed, open: BTreeMap::new(), groups: BTreeMap::new() }
    }

    /// Adds what a workload becomes in one member.
    pub(crate) fn add(&mut self, member: &str, before: &Judged, now: &Judged) {
        let rows = differences(before, now);
        if rows.is_empty() {
            return;
        }
        let difference = now.difference_since(before);
        let lines = difference.lines().filter(|line| self.apart && line.starts_with(['+', '-']));
        let key = lines.map(|line| line.replace(' ', "")).collect();
        self.open.entry((rows, key)).or_insert_with(|| (Vec::new(), difference)).0.push(member.to_owned());
    }

    /// Ends a workload, after all members.
    pub(crate) fn end(&mut self, name: &str) {
        for (outcome, (members, difference)) in std::mem::take(&mut self.open) {
            let (seen, _) = self.groups.entry((outcome, members)).or_insert_with(|| (Seen::default(), difference));
            seen.add(name, self.listed);
        }
    }

    /// The groups.
    pub(crate) fn into_groups(self) -> Vec<Group> {
        let group = |(((sidecars, _), members), (seen, difference))| Group { sidecars, members, seen, difference };
        self.groups.into_iter().map(group).collect()
    }
}
