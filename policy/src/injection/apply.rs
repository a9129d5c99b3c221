//! Puts what a sidecar brings into the draft, by the conflict rules of its document.
//!
//! Everything is tried, so that one answer names every conflict; the caller takes the sidecar back if there is any.

mod applications;
mod containers;
mod fields;
mod order;
mod overlay;
mod volumes;

pub(super) use self::order::{Placed, stand_well};

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::draft::{Draft, Trace};
use super::marker;
use super::pod::PodView;
use super::reason::{Fault, Reason};
use super::render::{Failure, Rendering};
use super::restore::Removed;
use super::slot::Slot;
use super::{pod_level, pod_security, valid};
use crate::settings::{Piece, Position, Rule, Sidecar};

/// A sidecar on its way into a draft.
pub(super) struct Fitting<'d, 's> {
    draft: &'d mut Draft,
    sidecar: &'s Sidecar,
    /// What was ours before, on a second admission.
    before: &'s Removed,
    /// Volumes of ours that had to take another name: from, to.
    renamed_volumes: Vec<(String, String)>,
    /// Containers that this sidecar has put in: list, name.
    containers: Vec<(&'static str, String)>,
    /// What asks to stand somewhere: of earlier sidecars, and of this one.
    earlier: &'s [Placed],
    placed: Vec<Placed>,
    conflicts: Vec<String>,
    faults: Vec<String>,
    notes: Vec<String>,
}

/// What came of a sidecar that fits.
pub(super) struct Applied {
    /// What was kept of the user's in a place that we wanted, for the report.
    pub(super) notes: Vec<String>,
    /// What asks to stand somewhere.
    pub(super) placed: Vec<Placed>,
}

/// Applies one sidecar; on failure the draft holds half of it and must be undone.
pub(super) fn apply<'s>(
    draft: &mut Draft,
    sidecar: &'s Sidecar,
    rendering: Rendering<'_>,
    before: &'s Removed,
    earlier: &'s [Placed],
    pod_security: Option<pod_security::Level>,
) -> Result<Result<Applied, Failure>, Fault> {
    let mut fitting = Fitting {
        draft,
        sidecar,
        before,
        renamed_volumes: Vec::new(),
        containers: Vec::new(),
        earlier,
        placed: Vec::new(),
        conflicts: Vec::new(),
        faults: Vec::new(),
        notes: Vec::new(),
    };
    fitting.volumes(rendering.volumes)?;
    fitting.containers(rendering.containers)?;
    fitting.entries("labels", "label", sidecar.conflicts.labels, rendering.labels)?;
    fitting.entries("annotations", "annotation", sidecar.conflicts.annotations, rendering.annotations)?;
    fitting.remove("annotations", rendering.removed_annotations)?;
    fitting.remove("labels", rendering.removed_labels)?;
    fitting.pod_fields(rendering.pod)?;
    let places = if rendering.applications.is_empty() { BTreeMap::new() } else { fitting.places() };
    for application in rendering.applications {
        // Too many already, see the check of the result.
        if fitting.draft.edits().len() > marker::PLACES_MAX {
            break;
        }
        fitting.application(application, &places)?;
    }
    fitting.check_result(pod_security);
    Ok(fitting.result())
}

impl Fitting<'_, '_> {
    /// What we add must be valid where it now stands (promise P7).
    fn check_result(&mut self, level: Option<pod_security::Level>) {
        let pod = self.draft.pod();
        let volumes: Vec<&str> =
            PodView(pod).list("volumes").iter().filter_map(|one| one.get("name")?.as_str()).collect();
        for (list, name) in &self.containers {
            let container =
                PodView(pod).list(list).iter().find(|one| one.get("name").is_some_and(|found| found == name));
            let Some(container) = container.and_then(Value::as_object) else { continue };
            for volume in valid::texts(container, "volumeMounts", "name").filter(|name| !volumes.contains(name)) {
                self.faults.push(format!("container `{name}`: it mounts `{volume}`, and there is no such volume"));
            }
            if let Some(level) = level {
                self.faults.extend(pod_security::container_faults(level, name, container, PodView(pod)));
            }
        }
        if PodView(pod).list("containers").is_empty() && self.draft.has_removed_from(&Slot::of(&["spec", "containers"]))
        {
            self.faults.push("no container would be left".to_owned());
        }
        self.faults.extend(pod_level::faults(self.draft, &self.containers));
        if let Some(level) = level {
            self.faults.extend(pod_security::pod_faults(level, self.draft));
        }
        if marker::is_too_much(self.draft.edits().len(), pod) {
            self.faults.push("it would change too many places of so large a pod".to_owned());
        }
        let annotations = PodView(pod).annotations();
        let bytes: usize = annotations.into_iter().flatten().map(|(key, value)| key.len() + text_bytes(value)).sum();
        if bytes + marker::bytes(self.draft) > valid::ANNOTATION_BYTES_MAX {
            self.faults.push(format!("all annotations together would be above {} bytes", valid::ANNOTATION_BYTES_MAX));
        }
    }

    fn result(self) -> Result<Applied, Failure> {
        if !self.conflicts.is_empty() {
            return Err(Failure::new(Reason::Conflict, self.conflicts));
        }
        if !self.faults.is_empty() {
            return Err(Failure::new(Reason::Invalid, self.faults));
        }
        let record = marker::record_bytes(self.draft);
        if record > marker::RECORD_BYTES_MAX {
            let detail = format!("{record} bytes of replaced values, at most {}", marker::RECORD_BYTES_MAX);
            return Err(Failure::new(Reason::TooLarge, vec![detail]));
        }
        Ok(Applied { notes: self.notes, placed: self.placed })
    }

    /// Puts a named item where its position wants it, or at the end of its list.
    fn stand(
        &mut self,
        list: &Slot,
        piece: Piece<'_>,
        position: &Position,
        what: fmt::Arguments<'_>,
    ) -> Result<bool, Fault> {
        let name = piece.value.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some(room) = order::room_for(self.draft.items(list), name, position, &self.placed_in(list)) else {
            self.conflicts.push(format!("{what}: no place satisfies its position and those of the others"));
            return Ok(false);
        };
        self.note_position(list, name, position);
        self.insert(list, *room.end(), piece)?;
        Ok(true)
    }

    /// What asks to stand somewhere in a list.
    fn placed_in(&self, list: &Slot) -> Vec<&Placed> {
        self.earlier.iter().chain(&self.placed).filter(|one| one.list == list.address()).collect()
    }

    /// Remembers where something asks to stand, for those that come after it.
    fn note_position(&mut self, list: &Slot, name: &str, position: &Position) {
        if !position.is_any() {
            let list = list.address().to_owned();
            self.placed.push(Placed { list, name: name.to_owned(), position: position.clone() });
        }
    }

    /// Puts an item into a list, as it had become where it was ours before.
    fn insert(&mut self, list: &Slot, index: usize, piece: Piece<'_>) -> Result<(), Fault> {
        let slot = list.item(index, &piece.value);
        let (item, claim) = piece.into_parts(slot.context());
        let item = self.before.same(&slot, &item, &claim).cloned().unwrap_or(item);
        self.draft.insert(list, slot, index, item, claim)
    }

    /// Sets a key, as it had become where it was ours before.
    fn put(&mut self, slot: Slot, piece: Piece<'_>) -> Result<(), Fault> {
        let (value, claim) = piece.into_parts(slot.context());
        let value = self.before.same(&slot, &value, &claim).cloned().unwrap_or(value);
        self.draft.put(slot, value, Trace::Ours(claim))
    }

    /// Settles a place that already holds something else; true where ours shall replace it.
    fn replaces(&mut self, rule: Rule, what: fmt::Arguments<'_>) -> bool {
        match rule {
            Rule::Replace => true,
            Rule::Keep => {
                self.notes.push(format!("{what} is already there and stands"));
                false
            }
            Rule::Reject | Rule::Rename => {
                self.conflicts.push(format!("{what} is already there, with another value"));
                false
            }
        }
    }
}

fn text_bytes(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}
