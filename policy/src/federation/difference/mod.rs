//! What is different between two revisions of documents for one member, or between two members: as meaning, not as text.
//!
//! | concept | file |
//! |---|---|
//! | values in which all that is known before any pod has been put in | `known` |
//! | settings as named things and their fields | `fields` |
//! | selectors in words | `selector` |
//! | pods on which a difference shows | `samples` |
//!
//! Invariant: what decides nothing is no difference: the order of names in a set, `matchLabels` or `matchExpressions`,
//! a default that is written out, `1000m` or `1`, where a document stands, and the revision.

mod fields;
mod known;
mod samples;
mod selector;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::{Federation, Source};
use fields::{Fields, Leaf, Path};
pub use samples::{Sample, samples};

/// One thing that is said otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// `cluster`, `all sidecars together`, `sidecar NAME` or `guardrail NAME`.
    pub about: String,
    /// The field in words, such as `container proxy, image`; empty where the thing as a whole comes or goes.
    pub field: String,
    /// What was said; absent where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What is said; absent where there is nothing any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What documents say for one member.
#[derive(Debug)]
pub struct Described(Fields);

impl Federation {
    /// What these documents say for a member, whose settings were compiled from them; `sources` are what was read.
    pub fn describe(&self, sources: &[Source], cluster: &str, settings: &Value) -> Option<Described> {
        let member = self.members().find(|member| member.name == cluster)?;
        let guardrails = self.guardrails_of(member).into_iter().filter_map(|guardrail| {
            Some((guardrail.name.as_str(), sources.get(guardrail.document)?.value.get("spec")?))
        });
        // The revision names what the settings say, and says nothing itself.
        let mut settings = settings.clone();
        if let Some(federation) = settings.get_mut("federation").and_then(Value::as_object_mut) {
            federation.shift_remove("revision");
        }
        Some(Described(Fields::of(member.engine.name(), &settings, guardrails)))
    }
}

impl Described {
    /// What is different now, by thing and field.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let (before, after) = (&before.0, &self.0);
        let mut whole: Vec<&Path> = Vec::new();
        let mut changes = Vec::new();
        let paths: BTreeSet<&Path> = before.paths().chain(after.paths()).collect();
        // A thing stands before its fields.
        for path in paths {
            if whole.iter().any(|thing| path.starts_with(thing)) {
                continue;
            }
            let sides = (before.get(path), after.get(path));
            if matches!(sides, (Some(Leaf::Thing(_)), None) | (None, Some(Leaf::Thing(_)))) {
                whole.push(path);
            }
            changes.extend(change(path, sides));
        }
        changes
    }
}

fn change(path: &Path, sides: (Option<&Leaf>, Option<&Leaf>)) -> Option<Change> {
    let (before, after) = match sides {
        // The order of what both have: that of the others came or went with them.
        (Some(Leaf::Order(before)), Some(Leaf::Order(after))) => {
            let common = |names: &[String], others: &[String]| {
                names.iter().filter(|name| others.contains(name)).cloned().collect::<Vec<_>>().join(", ")
            };
            (Some(common(before, after)), Some(common(after, before)))
        }
        // Their fields tell it.
        (Some(Leaf::Thing(_)), Some(Leaf::Thing(_))) | (Some(Leaf::Order(_)), None) | (None, Some(Leaf::Order(_))) => {
            return None;
        }
        (before, after) => (before.map(Leaf::words), after.map(Leaf::words)),
    };
    let (about, field) = path.split_first()?;
    (before != after).then(|| Change { about: about.clone(), field: field.join(", "), before, after })
}
