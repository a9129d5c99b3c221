//! Puts what a sidecar brings into the draft, by the conflict rules of its document.
//!
//! Everything is tried, so that one answer names every conflict; the caller takes the sidecar back if there is any.

mod applications;
mod containers;
mod fields;
mod volumes;

pub(super) use self::containers::stands_well;

use serde_json::Value;

use super::draft::{Draft, Trace};
use super::marker;
use super::pod::PodView;
use super::reason::{Fault, Reason};
use super::render::{Failure, Rendering};
use super::restore::Removed;
use super::slot::Slot;
use super::{pod_security, valid};
use crate::settings::{Piece, Rule, Sidecar};

/// A sidecar on its way into a draft.
pub(super) struct Fitting<'d, 's> {
    draft: &'d mut Draft,
    sidecar: &'s Sidecar,
    /// What was ours before, on a second admission.
    before: &'d Removed,
    /// Volumes of ours that had to take another name: from, to.
    renamed_volumes: Vec<(String, String)>,
    /// Containers that this sidecar has put in: list, name.
    placed: Vec<(&'static str, String)>,
    conflicts: Vec<String>,
    faults: Vec<String>,
    notes: Vec<String>,
}

/// Where a container of ours has to stand, for the check of an order that others have made.
pub(super) struct Placed {
    pub(super) list: &'static str,
    pub(super) name: String,
    pub(super) position: crate::settings::Position,
}

/// What came of a sidecar that fits.
pub(super) struct Applied {
    /// What was kept of the user's in a place that we wanted, for the report.
    pub(super) notes: Vec<String>,
    pub(super) placed: Vec<Placed>,
}

/// Applies one sidecar; on failure the draft holds half of it and must be undone.
pub(super) fn apply(
    draft: &mut Draft,
    sidecar: &Sidecar,
    rendering: Rendering<'_>,
    before: &Removed,
    pod_security: Option<pod_security::Level>,
) -> Result<Result<Applied, Failure>, Fault> {
    let mut fitting = Fitting {
        draft,
        sidecar,
        before,
        renamed_volumes: Vec::new(),
        placed: Vec::new(),
        conflicts: Vec::new(),
        faults: Vec::new(),
        notes: Vec::new(),
    };
    fitting.volumes(rendering.volumes)?;
    let placed = fitting.containers(rendering.containers)?;
    fitting.entries("labels", "label", sidecar.conflicts.labels, rendering.labels)?;
    fitting.entries("annotations", "annotation", sidecar.conflicts.annotations, rendering.annotations)?;
    fitting.pod_fields(rendering.pod)?;
    for application in rendering.applications {
        // Too many already, see the check of the result.
        if fitting.draft.edits().len() > marker::PLACES_MAX {
            break;
        }
        fitting.application(application)?;
    }
    fitting.check_result(pod_security);
    Ok(fitting.result(placed))
}

impl Fitting<'_, '_> {
    /// What we add must be valid where it now stands (promise P7).
    fn check_result(&mut self, level: Option<pod_security::Level>) {
        let pod = self.draft.pod();
        let volumes: Vec<&str> =
            PodView(pod).list("volumes").iter().filter_map(|one| one.get("name")?.as_str()).collect();
        for (list, name) in &self.placed {
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

    fn result(self, placed: Vec<Placed>) -> Result<Applied, Failure> {
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
        Ok(Applied { notes: self.notes, placed })
    }

    /// Puts an item into a list, as it had become where it was ours before.
    fn insert(&mut self, list: &Slot, index: usize, piece: &Piece<'_>) -> Result<(), Fault> {
        let slot = list.item(index, &piece.value);
        let item = self.before.same(&slot, &piece.value, &piece.claim).unwrap_or(&piece.value).clone();
        self.draft.insert(list, index, item, &piece.claim)
    }

    /// Sets a key, as it had become where it was ours before.
    fn put(&mut self, slot: Slot, piece: &Piece<'_>) -> Result<(), Fault> {
        let value = self.before.same(&slot, &piece.value, &piece.claim).unwrap_or(&piece.value).clone();
        self.draft.put(slot, value, Trace::Ours(piece.claim.clone().into_owned()))
    }

    /// Settles a place that already holds something else; true where ours shall replace it.
    fn replaces(&mut self, rule: Rule, what: &str) -> bool {
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
