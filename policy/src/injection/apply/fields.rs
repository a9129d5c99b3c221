//! Labels, annotations and every other pod field, each by its merge rule.
//!
//! Which lists have a merge key and which are appended to is written down in `docs/settings.md`, from the `patchStrategy`
//! tags in `k8s.io/api/core/v1/types.go`.

use std::fmt;

use serde_json::Value;

use super::Fitting;
use crate::injection::fingerprint;
use crate::injection::marker;
use crate::injection::reason::Fault;
use crate::injection::slot::{Slot, label};
use crate::injection::valid;
use crate::settings::{Piece, Rule};

/// Lists that are sets in meaning: ours are added where they are not there already.
const APPENDED: [&str; 7] =
    ["tolerations", "nameservers", "searches", "supplementalGroups", "topologySpreadConstraints", "envFrom", "options"];

impl Fitting<'_, '_> {
    /// Labels or annotations of the pod.
    pub(super) fn entries(&mut self, map: &str, kind: &str, rule: Rule, pieces: Vec<Piece<'_>>) -> Result<(), Fault> {
        for piece in pieces {
            if let Some(fault) = valid::entry_fault(kind, &piece.key, &piece.value) {
                self.faults.push(fault);
                continue;
            }
            let slot = Slot::of(&["metadata", map, &piece.key]);
            let key = piece.key.clone();
            self.settle(slot, piece, rule, format_args!("{kind} `{key}`"))?;
        }
        Ok(())
    }

    /// Takes labels or annotations of the user's away.
    pub(super) fn remove(&mut self, map: &str, keys: Vec<Piece<'_>>) -> Result<(), Fault> {
        for key in keys {
            let Some(key) = key.value.as_str() else {
                self.faults.push(format!("`remove.{map}`: expected keys"));
                continue;
            };
            let slot = Slot::of(&["metadata", map, key]);
            let theirs = slot.find(self.draft.pod()).is_some() && !self.draft.is_ours(slot.address());
            if theirs && key != marker::INJECTED && key != marker::ORIGINAL {
                self.draft.remove_key(slot)?;
            }
        }
        Ok(())
    }

    /// Other pod fields.
    pub(super) fn pod_fields(&mut self, pieces: Vec<Piece<'_>>) -> Result<(), Fault> {
        for piece in pieces {
            let slot = Slot::of(&["spec", &piece.key]);
            let key = piece.key.clone();
            self.merge(slot, &key, piece)?;
        }
        Ok(())
    }

    /// Puts a value in a place: an equal one is left alone, another one settled by the rule.
    pub(super) fn settle(
        &mut self,
        slot: Slot,
        piece: Piece<'_>,
        rule: Rule,
        what: fmt::Arguments<'_>,
    ) -> Result<(), Fault> {
        let theirs = slot.find(self.draft.pod()).filter(|theirs| !theirs.is_null());
        let equal = theirs.is_some_and(|theirs| fingerprint::same(theirs, &piece.value, slot.context()));
        if theirs.is_none() || (!equal && self.replaces(rule, what)) {
            return self.put(slot, piece);
        }
        Ok(())
    }

    fn merge(&mut self, slot: Slot, key: &str, piece: Piece<'_>) -> Result<(), Fault> {
        let list_of_items = fingerprint::merge_key(key).is_some() || APPENDED.contains(&key);
        match (slot.find(self.draft.pod()), piece.value.as_ref()) {
            (_, Value::Null) => Ok(()),
            // Key by key also where there is nothing yet: then what others add beside ours stays theirs.
            (None | Some(Value::Null | Value::Object(_)), Value::Object(_)) => {
                let Value::Object(mut ours) = piece.value.into_owned() else { return Ok(()) };
                ours.sort_keys();
                for (key, value) in ours {
                    let below = slot.key(&key);
                    let piece = Piece::of(value);
                    self.merge(below, &key, piece)?;
                }
                Ok(())
            }
            (None | Some(Value::Null | Value::Array(_)), Value::Array(_)) if list_of_items => {
                let Value::Array(ours) = piece.value.into_owned() else { return Ok(()) };
                for item in ours {
                    self.merge_item(&slot, key, item)?;
                }
                Ok(())
            }
            _ => self.settle(slot, piece, self.sidecar.conflicts.pod, format_args!("pod field `{key}`")),
        }
    }

    /// One item of a list that is merged item by item.
    fn merge_item(&mut self, list: &Slot, key: &str, item: Value) -> Result<(), Fault> {
        let ours = label(key, &item);
        let piece = Piece::of(item);
        let items = self.draft.items(list);
        match items.iter().enumerate().rfind(|(_, theirs)| label(key, theirs) == ours) {
            None => self.insert(list, items.len(), piece),
            Some((index, theirs)) => {
                let slot = list.item(index, theirs);
                self.settle(slot, piece, self.sidecar.conflicts.pod, format_args!("`{ours}` in pod field `{key}`"))
            }
        }
    }
}
