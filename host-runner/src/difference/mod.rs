//! What two revisions of documents, or two members, do differently: in what they say, and to pods.
//!
//! What is said differently is found by `fedcar_policy::federation::difference`; here the members that share a change are
//! put together, and the pods that come out otherwise. Invariant: the memory hangs on documents and members, not on the
//! number of workloads.

mod markdown;
mod pods;
mod text;

use std::collections::BTreeMap;

use fedcar_policy::federation::difference::Change;
use serde::Serialize;

pub(crate) use markdown::markdown;
pub(crate) use pods::{Group, Pods};
pub(crate) use text::text;

/// All of it.
#[derive(Serialize)]
pub(crate) struct Difference {
    /// The federation's name.
    pub(crate) federation: String,
    /// What was compared: members, or `OLD -> NEW` for two of them.
    pub(crate) compared: Vec<String>,
    /// Members that are new.
    pub(crate) come: Vec<String>,
    /// Members that are gone.
    pub(crate) gone: Vec<String>,
    /// What is said otherwise.
    pub(crate) changes: Vec<Shared>,
    /// Pods that come out otherwise.
    pub(crate) pods: Vec<Group>,
}

/// A change with those that have it.
#[derive(Serialize)]
pub(crate) struct Shared {
    #[serde(flatten)]
    pub(crate) change: Change,
    /// Of what was compared.
    pub(crate) members: Vec<String>,
}

impl Difference {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.come.is_empty() && self.gone.is_empty() && self.changes.is_empty() && self.pods.is_empty()
    }

    /// Those that share something, in words.
    fn members(&self, members: &[String]) -> String {
        if members == self.compared && members.len() > 1 { "all".to_owned() } else { members.join(", ") }
    }
}

/// Each change once, with those that have it in their order.
pub(crate) fn share(changes: Vec<(String, Vec<Change>)>) -> Vec<Shared> {
    let mut shared: BTreeMap<Change, Vec<String>> = BTreeMap::new();
    for (member, changes) in changes {
        for change in changes {
            shared.entry(change).or_default().push(member.clone());
        }
    }
    shared.into_iter().map(|(change, members)| Shared { change, members }).collect()
}

/// How much of a long value is shown, in characters.
const SHOWN: usize = 60;

/// Both sides of a change in words, on one line, long ones around the place where they part.
fn sides(change: &Change) -> String {
    let line = |side: &Option<String>| -> Option<Vec<char>> {
        let side = side.as_ref()?;
        Some(side.chars().map(|one| if one.is_control() { ' ' } else { one }).collect())
    };
    let (before, after) = (line(&change.before), line(&change.after));
    let same = match (&before, &after) {
        (Some(before), Some(after)) => before.iter().zip(after).take_while(|(one, other)| one == other).count(),
        _ => 0,
    };
    let shown = |side: Vec<char>| -> String {
        if side.len() <= SHOWN {
            return side.into_iter().collect();
        }
        let skipped = same.saturating_sub(SHOWN / 3);
        let middle: String = side.iter().skip(skipped).take(SHOWN).collect();
        let (head, tail) = (skipped > 0, side.len() > skipped + SHOWN);
        format!("{}{middle}{}", if head { "…" } else { "" }, if tail { "…" } else { "" })
    };
    match (before.map(shown), after.map(shown)) {
        (Some(before), Some(after)) => format!("{before} -> {after}"),
        (None, Some(after)) => format!("new: {after}"),
        (Some(before), None) => format!("gone: {before}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shown_where_they_part() {
        let change = |before: Option<&str>, after: Option<&str>| Change {
            about: "cluster".to_owned(),
            field: "x".to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        assert_eq!(sides(&change(Some("a\nb"), Some("c"))), "a b -> c");
        assert_eq!(sides(&change(None, Some("c"))), "new: c");
        assert_eq!(sides(&change(Some("c"), None)), "gone: c");
        let long = |middle: &str| format!("{}{middle}{}", "x".repeat(100), "y".repeat(100));
        let shown = sides(&change(Some(&long("A")), Some(&long("B"))));
        assert!(shown.starts_with("…x") && shown.contains("xAy") && shown.contains("xBy"), "{shown}");
        assert!(shown.chars().count() < 2 * SHOWN + 10, "{shown}");
    }
}
