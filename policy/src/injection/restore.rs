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
    /// What stood in this place, where the same was claimed of it as is claimed now and it still is what we would put
    /// there.
    pub(super) fn same(&self, slot: &Slot, ours: &Value, claim: &str) -> Option<&Value> {
        let taken = self.0.iter().find(|taken| taken.address == slot.address() && taken.claim == claim)?;
        fingerprint::keeps(&taken.value, ours, slot.context()).then_some(&taken.value)
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
    let evidence = Evidence::read(pod).ok_or_else(|| refuse(Refusal::NotInjected))?.map_err(refuse)?;
    verify(pod, &evidence)?;
    Ok(take_out(pod, &evidence))
}

/// Whether everything that is still there is as we left it.
///
/// An item that somebody removed is no obstacle; a value that somebody changed is, and so is a place that should hold
/// a replacement of ours and holds nothing.
pub(super) fn verify(pod: &Value, evidence: &Evidence) -> Result<(), Refused> {
    for (address, claim) in evidence.places().filter(|(_, claim)| !claim.is_empty()) {
        let slot = Slot::resolve(pod, address);
        let satisfied = match slot.as_ref().and_then(|slot| Some((slot, slot.find(pod)?))) {
            Some((slot, value)) => fingerprint::satisfies(value, slot.context(), claim),
            None => evidence.original(address).is_none(),
        };
        if !satisfied {
            return Err(Refused { code: Refusal::Changed, place: Some(address.to_owned()) });
        }
    }
    for (address, _) in evidence.removed() {
        let list = address.rsplit_once('/').map_or("", |(list, _)| list);
        let around = Slot::resolve(pod, list);
        let there = around.is_some_and(|list| list.find(pod).is_some_and(|one| one.is_array() || one.is_object()));
        let again = Slot::resolve(pod, address).is_some() && !evidence.places().any(|(ours, _)| ours == address);
        if !there || again {
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
        let taken = take_back(pod, address, claim, evidence.original(address).cloned());
        if let (false, Some(value)) = (claim.is_empty(), taken) {
            removed.push(Taken { address: address.to_owned(), claim: claim.to_owned(), value });
        }
    }
    for (address, item) in evidence.removed().rev() {
        let list = address.rsplit_once('/').map_or("", |(list, _)| list);
        let items = match Slot::resolve(pod, list).and_then(|list| list.find_mut(pod)) {
            Some(Value::Array(items)) => items,
            Some(Value::Object(map)) => {
                let key = address.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
                map.insert(key, item.value.clone());
                continue;
            }
            _ => continue,
        };
        let name = |one: &Value| one.get("name").and_then(Value::as_str).map(str::to_owned);
        let before =
            item.after.as_ref().and_then(|after| items.iter().rposition(|one| name(one).as_ref() == Some(after)));
        items.insert(before.map_or(0, |index| index + 1), item.value.clone());
    }
    Removed(removed)
}

/// Undoes one edit, as the marker names it, and hands out what stood there; what we made stays while it holds something.
pub(super) fn take_back(root: &mut Value, address: &str, claim: &str, was: Option<Value>) -> Option<Value> {
    let slot = Slot::resolve(root, address)?;
    if claim.is_empty() && !slot.find(root).is_some_and(is_empty) {
        return None;
    }
    put_back(root, &slot, was)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
