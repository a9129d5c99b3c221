//! Undoing an injection from the object alone (promise P3).

use serde_json::Value;

use super::draft::put_back;
use super::fingerprint;
use super::marker::{Evidence, INJECTED, ORIGINAL, annotation};
use super::reason::Refusal;
use super::slot::Slot;

/// What was taken out, so that it can be put in again as others had changed it inside.
#[derive(Debug, Default)]
pub(super) struct Removed(Vec<Taken>);

#[derive(Debug)]
struct Taken {
    address: String,
    claim: String,
    value: Value,
}

impl Removed {
    /// What stood in this place, where exactly the same was claimed of it as is claimed now.
    pub(super) fn same(&self, address: &str, claim: &str) -> Option<&Value> {
        let taken = self.0.iter().find(|taken| taken.address == address && taken.claim == claim)?;
        Some(&taken.value)
    }
}

/// Why a pod cannot be restored, and the place that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The stable code.
    pub code: Refusal,
    /// The address of the place, where it is one.
    pub place: Option<String>,
}

/// Takes out of a pod what is ours and puts back what was there; what others added stays.
///
/// Nothing is changed unless everything verifies.
pub(super) fn restore(pod: &mut Value) -> Result<Removed, Refused> {
    let refuse = |code| Refused { code, place: None };
    let evidence =
        Evidence::read(pod).ok_or_else(|| refuse(Refusal::NotInjected))?.map_err(refuse)?;
    verify(pod, &evidence)?;
    Ok(take_out(pod, &evidence))
}

/// Whether everything that is still there is as we left it.
///
/// An item that somebody removed is no obstacle; a value that somebody changed is, and so is a place that should hold
/// a replacement of ours and holds nothing.
pub(super) fn verify(pod: &Value, evidence: &Evidence) -> Result<(), Refused> {
    for (address, claim) in evidence.places().filter(|(_, claim)| !claim.is_empty()) {
        let satisfied = match Slot::resolve(pod, address).and_then(|slot| slot.find(pod)) {
            Some(value) => fingerprint::satisfies(value, claim),
            None => evidence.original(address).is_none(),
        };
        if !satisfied {
            return Err(Refused { code: Refusal::Changed, place: Some(address.to_owned()) });
        }
    }
    Ok(())
}

fn take_out(pod: &mut Value, evidence: &Evidence) -> Removed {
    let mut removed = Vec::new();
    for slot in [annotation(INJECTED), annotation(ORIGINAL)] {
        if slot.find(pod).is_some() {
            put_back(pod, &slot, evidence.original(slot.address()).cloned());
        }
    }
    for (address, claim) in evidence.places().rev() {
        let Some(slot) = Slot::resolve(pod, address) else { continue };
        let made = claim.is_empty();
        if made && !slot.find(pod).is_some_and(is_empty) {
            continue;
        }
        let taken = put_back(pod, &slot, evidence.original(address).cloned());
        if let (false, Some(value)) = (made, taken) {
            removed.push(Taken { address: address.to_owned(), claim: claim.to_owned(), value });
        }
    }
    Removed(removed)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
