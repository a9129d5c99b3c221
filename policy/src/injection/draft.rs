//! The object while it is being edited: the one place that changes it.
//!
//! Every edit does four things together: it changes the object, writes its RFC 6902 operation, remembers for the marker
//! what is ours now, and keeps what was there before. So the patch always equals the change, the marker always covers it,
//! and [`Draft::undo_to`] can take back a sidecar that turned out not to fit.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::patch::Patch;
use super::reason::{Fault, FaultCode};
use super::slot::{Last, Slot};

/// An object and everything that was done to it.
#[derive(Debug)]
pub(super) struct Draft {
    object: Value,
    template: &'static [&'static str],
    patch: Patch,
    edits: Vec<Edit>,
}

/// One thing done.
#[derive(Debug)]
pub(super) struct Edit {
    slot: Slot,
    /// What the place held before; `None` where it was empty.
    pub(super) was: Option<Value>,
    /// What the marker says of it.
    pub(super) trace: Trace,
}

/// What the marker says of an edit.
#[derive(Debug)]
pub(super) enum Trace {
    /// The value is ours; the text is its claim.
    Ours(String),
    /// An empty object or list that had to be there first; it goes again when it is empty.
    Made,
    /// A list item or key was taken out.
    Removed(Neighbours),
    /// Nothing: the marker itself.
    Silent,
}

/// The names of the nearest items in front of a list item and behind it that are not ours; none for a key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Neighbours {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<String>,
}

impl Edit {
    /// How the marker names the place.
    pub(super) fn address(&self) -> &str {
        self.slot.address()
    }

    /// What stands in the place now.
    pub(super) fn value<'v>(&self, pod: &'v Value) -> Option<&'v Value> {
        Slot::resolve(pod, self.address())?.find(pod)
    }
}

/// How far a draft had come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) edits: usize,
    patch: usize,
}

impl Draft {
    pub(super) fn new(object: Value, template: &'static [&'static str]) -> Self {
        Self { object, template, patch: Patch::default(), edits: Vec::new() }
    }

    /// The pod as it is now: the object itself, or its pod template.
    pub(super) fn pod(&self) -> &Value {
        self.template.iter().try_fold(&self.object, |value, key| value.get(key)).unwrap_or(&Value::Null)
    }

    fn pod_mut(&mut self) -> Option<&mut Value> {
        self.template.iter().try_fold(&mut self.object, |value, key| value.get_mut(key))
    }

    /// The items of a list, where it is there.
    pub(super) fn items(&self, list: &Slot) -> &[Value] {
        list.find(self.pod()).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Puts an item into its place in a list; the list is made where it is missing.
    pub(super) fn insert(
        &mut self,
        list: &Slot,
        slot: Slot,
        index: usize,
        item: Value,
        claim: String,
    ) -> Result<(), Fault> {
        let made = self.make(list, || Value::Array(Vec::new()))?;
        match self.pod_mut().and_then(|pod| list.find_mut(pod)) {
            Some(Value::Array(items)) if index <= items.len() => items.insert(index, item),
            _ => return Err(wrong_shape(list)),
        }
        self.write(made.as_ref(), &slot, false);
        self.edits.push(Edit { slot, was: None, trace: Trace::Ours(claim) });
        Ok(())
    }

    /// Takes an item out of a list.
    pub(super) fn remove(&mut self, list: &Slot, index: usize) -> Result<(), Fault> {
        let items = self.items(list);
        let Some(item) = items.get(index) else { return Err(wrong_shape(list)) };
        let slot = list.item(index, item);
        let added = |address: &str| {
            let added = |edit: &Edit| matches!(edit.trace, Trace::Ours(_)) && edit.was.is_none();
            self.edits.iter().any(|edit| added(edit) && edit.address() == address)
        };
        let theirs = |(index, item): &(usize, &Value)| !added(list.item(*index, item).address());
        let name = |(_, item): (usize, &Value)| item.get("name")?.as_str().map(str::to_owned);
        let neighbours = Neighbours {
            after: items.iter().enumerate().take(index).rfind(theirs).and_then(name),
            before: items.iter().enumerate().skip(index + 1).find(theirs).and_then(name),
        };
        self.take_away(slot, neighbours)
    }

    /// Takes a place out of what it stands in, and that with it where nothing else is in it: the API server drops what is
    /// empty.
    fn take_away(&mut self, slot: Slot, neighbours: Neighbours) -> Result<(), Fault> {
        let Some((around, _)) = slot.parent() else { return Err(wrong_shape(&slot)) };
        let alone = around.find(self.pod()).is_some_and(|around| match around {
            Value::Array(items) => items.len() == 1,
            Value::Object(map) => map.len() == 1,
            _ => false,
        });
        let was = slot.find(self.pod()).cloned();
        let gone = if alone { &around } else { &slot };
        let taken = self.pod_mut().and_then(|pod| put_back(pod, gone, None));
        if was.is_none() || taken.is_none() {
            return Err(wrong_shape(&slot));
        }
        self.patch.remove(&gone.pointer(self.template));
        self.edits.push(Edit { slot, was, trace: Trace::Removed(neighbours) });
        Ok(())
    }

    /// Takes a key out of its object.
    pub(super) fn remove_key(&mut self, slot: Slot) -> Result<(), Fault> {
        self.take_away(slot, Neighbours::default())
    }

    /// Whether any item was taken out of a list.
    pub(super) fn has_removed_from(&self, list: &Slot) -> bool {
        let mut removed = self.edits.iter().filter(|edit| matches!(edit.trace, Trace::Removed(_)));
        removed.any(|edit| edit.slot.parent().is_some_and(|(parent, _)| parent == *list))
    }

    /// Whether what an address names is ours, in a new place or in that of something else.
    pub(super) fn is_ours(&self, address: &str) -> bool {
        self.edits.iter().any(|edit| matches!(edit.trace, Trace::Ours(_)) && edit.address() == address)
    }

    /// Sets a key or replaces a list item; the object around a key is made where it is missing.
    pub(super) fn put(&mut self, slot: Slot, value: Value, trace: Trace) -> Result<(), Fault> {
        let Some((parent, last)) = slot.parent() else { return Err(wrong_shape(&slot)) };
        let made = match last {
            Last::Key(_) => self.make(&parent, || Value::Object(Map::new()))?,
            Last::Index(_) => None,
        };
        let was = match (self.pod_mut().and_then(|pod| parent.find_mut(pod)), last) {
            (Some(Value::Object(map)), Last::Key(key)) => map.insert(key.to_owned(), value),
            (Some(Value::Array(items)), Last::Index(index)) => {
                let Some(item) = items.get_mut(index) else { return Err(wrong_shape(&slot)) };
                Some(std::mem::replace(item, value))
            }
            _ => return Err(wrong_shape(&parent)),
        };
        self.write(made.as_ref(), &slot, was.is_some());
        self.edits.push(Edit { slot, was, trace });
        Ok(())
    }

    /// Makes sure that a place holds a list or an object, and says which place had to be made for that: the topmost one,
    /// and whether it held a `null`, which counts as nothing as it does in Kubernetes.
    fn make(&mut self, slot: &Slot, empty: fn() -> Value) -> Result<Option<(Slot, bool)>, Fault> {
        match (slot.find(self.pod()), empty()) {
            (Some(Value::Array(_)), Value::Array(_)) | (Some(Value::Object(_)), Value::Object(_)) => return Ok(None),
            (None | Some(Value::Null), _) => {}
            _ => return Err(wrong_shape(slot)),
        }
        let Some((parent, Last::Key(key))) = slot.parent() else { return Err(wrong_shape(slot)) };
        let above = self.make(&parent, || Value::Object(Map::new()))?;
        let Some(Value::Object(map)) = self.pod_mut().and_then(|pod| parent.find_mut(pod)) else {
            return Err(wrong_shape(&parent));
        };
        let was = map.insert(key.to_owned(), empty());
        let made = above.unwrap_or_else(|| (slot.clone(), was.is_some()));
        self.edits.push(Edit { slot: slot.clone(), was, trace: Trace::Made });
        Ok(Some(made))
    }

    /// Writes the operation for a place that has just been filled; where places above it had to be made, the topmost of
    /// them is written as a whole.
    fn write(&mut self, made: Option<&(Slot, bool)>, slot: &Slot, existed: bool) {
        let (slot, existed) = made.map_or((slot, existed), |(slot, existed)| (slot, *existed));
        let pointer = slot.pointer(self.template);
        let pod = self.template.iter().try_fold(&self.object, |value, key| value.get(key));
        if let Some(value) = pod.and_then(|pod| slot.find(pod)) {
            self.patch.set(&pointer, value, existed);
        }
    }

    /// The objects that would have to be made before a key could be put in a place, topmost first, each with what it
    /// holds instead.
    pub(super) fn missing_above(&self, slot: &Slot) -> Vec<(String, Option<Value>)> {
        let mut missing = Vec::new();
        let mut place = slot.parent().map(|(above, _)| above);
        while let Some(here) = place {
            let found = here.find(self.pod());
            if matches!(found, None | Some(Value::Null)) {
                missing.insert(0, (here.address().to_owned(), found.cloned()));
            }
            place = here.parent().map(|(above, _)| above);
        }
        missing
    }

    /// How far the draft has come.
    pub(super) fn progress(&self) -> Progress {
        Progress { edits: self.edits.len(), patch: self.patch.len() }
    }

    /// Takes back everything since then.
    pub(super) fn undo_to(&mut self, progress: Progress) {
        self.patch.truncate(progress.patch);
        while self.edits.len() > progress.edits {
            let Some(edit) = self.edits.pop() else { return };
            let Some(pod) = self.pod_mut() else { return };
            match (&edit.trace, edit.slot.parent(), edit.was) {
                (Trace::Removed(_), Some((around, last)), Some(was)) => give_back(pod, &around, last, was),
                (_, _, was) => drop(put_back(pod, &edit.slot, was)),
            }
        }
    }

    /// Everything done, in order.
    pub(super) fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The edited object and the patch that leads to it.
    pub(super) fn finish(self) -> (Value, Patch) {
        (self.object, self.patch)
    }
}

/// Gives a place back what it held, and hands out what was there; an empty `was` removes the key or item.
pub(super) fn put_back(pod: &mut Value, slot: &Slot, was: Option<Value>) -> Option<Value> {
    let (parent, last) = slot.parent()?;
    match (parent.find_mut(pod)?, last, was) {
        (Value::Object(map), Last::Key(key), Some(was)) => map.insert(key.to_owned(), was),
        (Value::Object(map), Last::Key(key), None) => map.shift_remove(key),
        (Value::Array(items), Last::Index(index), Some(was)) => {
            items.get_mut(index).map(|item| std::mem::replace(item, was))
        }
        (Value::Array(items), Last::Index(index), None) if index < items.len() => Some(items.remove(index)),
        _ => None,
    }
}

/// Puts something that was taken away into its place again, where the list or object around it may be gone too.
fn give_back(pod: &mut Value, around: &Slot, last: Last<'_>, was: Value) {
    if around.find(pod).is_none() {
        let empty = match last {
            Last::Key(_) => Value::Object(Map::new()),
            Last::Index(_) => Value::Array(Vec::new()),
        };
        put_back(pod, around, Some(empty));
    }
    match (around.find_mut(pod), last) {
        (Some(Value::Array(items)), Last::Index(index)) => items.insert(index.min(items.len()), was),
        (Some(Value::Object(map)), Last::Key(key)) => drop(map.insert(key.to_owned(), was)),
        _ => {}
    }
}

fn wrong_shape(slot: &Slot) -> Fault {
    Fault::new(FaultCode::BadObject, format!("{} is not an object or list", slot.address()))
}
