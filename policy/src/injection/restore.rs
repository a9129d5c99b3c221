//! Undoing an injection from the object alone (promise P3).

use serde_json::{Map, Value};

use super::draft::{Neighbours, put_back};
use super::fingerprint;
use super::marker::{Evidence, INJECTED, ORIGINAL, RemovedItem, annotation};
use super::reason::Refusal;
use super::slot::{Last, Slot};
use crate::read::unescaped;

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
        let again = Slot::resolve(pod, address).is_some() && !evidence.places().any(|(ours, _)| ours == address);
        if again || !around(address).is_some_and(|around| around.holds(pod)) {
            return Err(Refused { code: Refusal::Changed, place: Some(address.to_owned()) });
        }
    }
    Ok(())
}

fn take_out(pod: &mut Value, evidence: &Evidence) -> Removed {
    let neighbours: Vec<Neighbours> =
        evidence.removed().map(|(address, item)| neighbours(pod, evidence, address, item)).collect();
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
    for ((address, item), neighbours) in evidence.removed().rev().zip(neighbours.iter().rev()) {
        if let Some(around) = around(address) {
            around.put_in(pod, &item.value, neighbours);
        }
    }
    Removed(removed)
}

/// Between which items something that was taken out belongs; where it stood alone, where ours stands in its stead.
fn neighbours(pod: &Value, evidence: &Evidence, address: &str, item: &RemovedItem) -> Neighbours {
    let known = &item.neighbours;
    let ours = Slot::resolve(pod, address).filter(|_| known.after.is_none() && known.before.is_none());
    let Some((list, Last::Index(index))) = ours.as_ref().and_then(Slot::parent) else { return known.clone() };
    let items = list.find(pod).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let name = |(index, one): (usize, &Value)| {
        let address = list.item(index, one).address().to_owned();
        let theirs = !evidence.places().any(|(ours, _)| ours == address);
        one.get("name").and_then(Value::as_str).filter(|_| theirs).map(str::to_owned)
    };
    Neighbours {
        after: items.iter().enumerate().take(index).rev().find_map(name),
        before: items.iter().enumerate().skip(index + 1).find_map(name),
    }
}

/// What an item or key was taken out of: a list of the spec, or the labels or annotations.
struct Around<'a> {
    parent: Slot,
    /// The key of the list or object in its parent.
    key: &'a str,
    is_list: bool,
    /// The last token of the address.
    item: String,
}

fn around(address: &str) -> Option<Around<'_>> {
    let mut tokens = address.split('/').skip(1);
    let (top, key, item) = (tokens.next()?, tokens.next()?, tokens.next()?);
    if tokens.next().is_some() {
        return None;
    }
    Some(Around { parent: Slot::of(&[top]), key, is_list: top == "spec", item: unescaped(item) })
}

impl Around<'_> {
    /// Whether it can be put in again; an empty list or object may have been dropped by the API server.
    fn holds(&self, pod: &Value) -> bool {
        let Some(Value::Object(parent)) = self.parent.find(pod) else { return false };
        parent
            .get(self.key)
            .is_none_or(|there| there.is_null() || if self.is_list { there.is_array() } else { there.is_object() })
    }

    fn put_in(&self, pod: &mut Value, item: &Value, Neighbours { after, before }: &Neighbours) {
        let Some(Value::Object(parent)) = self.parent.find_mut(pod) else { return };
        let there = parent.entry(self.key).or_insert(Value::Null);
        if there.is_null() {
            *there = if self.is_list { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        }
        match there {
            Value::Object(map) => drop(map.insert(self.item.clone(), item.clone())),
            Value::Array(items) => {
                let find = |name: &Option<String>| {
                    let name = name.as_deref()?;
                    items.iter().rposition(|one| one.get("name").is_some_and(|found| found == name))
                };
                let index = find(before).or_else(|| find(after).map(|index| index + 1)).unwrap_or(0);
                items.insert(index, item.clone());
            }
            _ => {}
        }
    }
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
