//! The two annotations that fedcar leaves: what is ours, and what was there before.
//!
//! Both are written by us and can be edited by anyone, so they are evidence to be verified against the pod, never
//! trusted: a marker that does not verify counts as absent, and then the ordinary conflict rules decide.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::draft::{Draft, Neighbours, Trace};
use super::fingerprint::checksum;
use super::reason::Refusal;
use super::restore::take_back;
use super::slot::Slot;
use super::valid::ANNOTATION_BYTES_MAX;

/// The marker: revision, sidecars, and the places that are ours.
pub const INJECTED: &str = "fedcar.dev/injected";
/// The inverse record: what stood in places that we replaced.
pub const ORIGINAL: &str = "fedcar.dev/original";
/// The inverse record is at most this long: annotations share 256 KiB a pod with everybody else's.
pub const RECORD_BYTES_MAX: usize = 32 * 1024;

/// At most so many places are ours in one pod; the largest catalogue entry takes forty in a pod of ten containers.
pub(super) const PLACES_MAX: usize = 4096;
/// Finding every place again looks at so many list items at most.
const LOOKS_MAX: usize = 1 << 22;

const FORMAT: u64 = 1;

/// What `fedcar.dev/injected` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    format: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    revision: String,
    /// Name -> `{version, digest}`, in order of injection.
    sidecars: Map<String, Value>,
    /// Address -> claim, in order of injection; an empty claim is an object or list that we made.
    ours: Map<String, Value>,
    /// The addresses for which the inverse record holds what was there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<String>,
    /// The addresses of the list items and keys that we took out, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
}

/// What `fedcar.dev/original` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    values: Map<String, Value>,
    /// One for each of the marker's `removed`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<RemovedItem>,
    sum: String,
}

/// A list item or the value of a key that we took out.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovedItem {
    #[serde(default)]
    pub(super) neighbours: Neighbours,
    pub(super) value: Value,
}

/// A marker and its record, read and checked against each other, not yet against the pod.
#[derive(Debug)]
pub(super) struct Evidence {
    marker: Marker,
    originals: Map<String, Value>,
    removed: Vec<RemovedItem>,
}

/// The marker and the record of a finished draft, as annotation texts.
pub(super) struct Annotations {
    pub(super) injected: String,
    pub(super) original: Option<String>,
}

/// Writes both annotations for a finished draft.
pub(super) fn write(revision: &str, sidecars: Map<String, Value>, draft: &Draft) -> Annotations {
    let mut ours = Map::new();
    let mut values = Map::new();
    let (mut removed, mut removed_items) = (Vec::new(), Vec::new());
    for edit in draft.edits() {
        let claim = match &edit.trace {
            Trace::Ours(claim) => claim.as_str(),
            Trace::Made => "",
            Trace::Silent => continue,
            Trace::Removed(neighbours) => {
                let was = edit.was.clone().unwrap_or_default();
                let mut value = without_earlier(edit.address(), was, &mut ours, &mut values);
                value.sort_all_objects();
                removed.push(edit.address().to_owned());
                removed_items.push(RemovedItem { neighbours: neighbours.clone(), value });
                continue;
            }
        };
        if let Some(was) = &edit.was {
            let was = without_earlier(edit.address(), was.clone(), &mut ours, &mut values);
            // What an earlier sidecar has put there is no original.
            if !ours.contains_key(edit.address()) {
                values.insert(edit.address().to_owned(), was);
            }
        }
        ours.insert(edit.address().to_owned(), Value::from(claim));
    }
    for (address, was) in draft.missing_above(&annotation(INJECTED)) {
        values.extend(was.map(|was| (address.clone(), was)));
        ours.insert(address, Value::from(""));
    }
    for slot in [annotation(INJECTED), annotation(ORIGINAL)] {
        if let Some(was) = slot.find(draft.pod()) {
            values.insert(slot.address().to_owned(), was.clone());
            ours.insert(slot.address().to_owned(), Value::from(""));
        }
    }
    let replaced = values.keys().cloned().collect();
    let marker = Marker { format: FORMAT, revision: revision.to_owned(), sidecars, ours, replaced, removed };
    let injected = serde_json::to_string(&marker).unwrap_or_default();
    let original = (!values.is_empty() || !removed_items.is_empty()).then(|| {
        // The keys of an object have no order that every host would keep.
        values.values_mut().for_each(Value::sort_all_objects);
        let sum = record_sum(&values, &removed_items);
        serde_json::to_string(&Record { values, removed: removed_items, sum }).unwrap_or_default()
    });
    Annotations { injected, original }
}

/// What stood in a place before an edit replaced it as a whole, without our own earlier edits inside of it: they end with
/// what they were made in.
fn without_earlier(
    address: &str,
    mut was: Value,
    ours: &mut Map<String, Value>,
    values: &mut Map<String, Value>,
) -> Value {
    let inside = |key: &String| key.strip_prefix(address).is_some_and(|rest| rest.starts_with('/'));
    let earlier: Vec<String> = ours.keys().filter(|key| inside(key)).cloned().collect();
    for key in earlier.iter().rev() {
        let claim = ours.shift_remove(key);
        let below = key.get(address.len()..).unwrap_or_default();
        let claim = claim.as_ref().and_then(Value::as_str).unwrap_or_default();
        take_back(&mut was, below, claim, values.shift_remove(key));
    }
    was
}

/// JSON punctuation around one address with its value, and around the whole.
const PER_PLACE: usize = 8;
const FRAME: usize = 64;

/// The bytes that the inverse record would take, at most.
pub(super) fn record_bytes(draft: &Draft) -> usize {
    let length = |address: &str, value: &Value| {
        address.len() + PER_PLACE + serde_json::to_string(value).map_or(0, |text| text.len())
    };
    let edits = draft.edits().iter().filter(|edit| !matches!(edit.trace, Trace::Silent));
    let replaced = edits.filter_map(|edit| Some(length(edit.address(), edit.was.as_ref()?)));
    // A marker that counts as absent is replaced too.
    let stale = [INJECTED, ORIGINAL].map(annotation);
    let stale = stale.iter().filter_map(|slot| Some(length(slot.address(), slot.find(draft.pod())?)));
    let bytes: usize = replaced.chain(stale).sum();
    if bytes == 0 { 0 } else { bytes + FRAME }
}

/// About how many bytes both annotations will take.
pub(super) fn bytes(draft: &Draft) -> usize {
    let places = draft.edits().iter().map(|edit| match (&edit.trace, &edit.was) {
        (Trace::Silent, _) => 0,
        // With its place in `replaced`.
        (trace, was) => claim_bytes(trace) + (edit.address().len() + PER_PLACE) * if was.is_some() { 2 } else { 1 },
    });
    places.sum::<usize>() + record_bytes(draft) + FRAME
}

fn claim_bytes(trace: &Trace) -> usize {
    match trace {
        Trace::Ours(claim) => claim.len(),
        Trace::Made | Trace::Silent | Trace::Removed(_) => 0,
    }
}

impl Evidence {
    /// Reads the annotations of a pod; `None` where it carries no marker.
    pub(super) fn read(pod: &Value) -> Option<Result<Self, Refusal>> {
        let annotations = pod.get("metadata")?.get("annotations")?;
        let text = annotations.get(INJECTED)?;
        let evidence = Self::parse(text, annotations.get(ORIGINAL));
        Some(evidence.and_then(|evidence| {
            if is_too_much(evidence.marker.ours.len() + evidence.removed.len(), pod) {
                Err(Refusal::BadMarker)
            } else {
                Ok(evidence)
            }
        }))
    }

    fn parse(injected: &Value, original: Option<&Value>) -> Result<Self, Refusal> {
        let text = injected.as_str().ok_or(Refusal::BadMarker)?;
        let bytes = text.len() + original.and_then(Value::as_str).map_or(0, str::len);
        if bytes > ANNOTATION_BYTES_MAX {
            return Err(Refusal::BadMarker);
        }
        let marker: Marker = serde_json::from_slice(text.as_bytes()).map_err(|_| Refusal::BadMarker)?;
        if marker.format != FORMAT || !marker.ours.values().all(Value::is_string) {
            return Err(Refusal::BadMarker);
        }
        let (originals, removed) = match original {
            None => (Map::new(), Vec::new()),
            Some(text) => {
                let text = text.as_str().ok_or(Refusal::BadRecord)?;
                let record: Record = serde_json::from_slice(text.as_bytes()).map_err(|_| Refusal::BadRecord)?;
                if record.sum != record_sum(&record.values, &record.removed) {
                    return Err(Refusal::BadRecord);
                }
                (record.values, record.removed)
            }
        };
        let complete = marker.replaced.len() == originals.len()
            && marker.removed.len() == removed.len()
            && marker
                .replaced
                .iter()
                .all(|address| originals.contains_key(address) && marker.ours.contains_key(address));
        if !complete {
            return Err(Refusal::BadRecord);
        }
        Ok(Self { marker, originals, removed })
    }

    /// The places that are ours, in order of injection, each with its claim.
    pub(super) fn places(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.marker.ours.iter().map(|(address, claim)| (address.as_str(), claim.as_str().unwrap_or_default()))
    }

    /// The list items and keys that we took out, in that order, each with the address that it had.
    pub(super) fn removed(&self) -> impl DoubleEndedIterator<Item = (&str, &RemovedItem)> {
        self.marker.removed.iter().map(String::as_str).zip(&self.removed)
    }

    /// What stood in a place before.
    pub(super) fn original(&self, address: &str) -> Option<&Value> {
        self.originals.get(address)
    }

    /// The names of the sidecars that the marker speaks of.
    pub(super) fn sidecars(&self) -> impl Iterator<Item = &str> {
        self.marker.sidecars.keys().map(String::as_str)
    }
}

/// Whether so many places could not be found again in this pod in reasonable time.
pub(super) fn is_too_much(places: usize, pod: &Value) -> bool {
    places > PLACES_MAX || places.saturating_mul(items(pod)) > LOOKS_MAX
}

fn items(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().fold(list.len(), |sum, item| sum + items(item)),
        Value::Object(map) => map.values().map(items).sum(),
        _ => 0,
    }
}

/// The place of an annotation.
pub(super) fn annotation(key: &str) -> Slot {
    Slot::of(&["metadata", "annotations", key])
}

fn record_sum(values: &Map<String, Value>, removed: &[RemovedItem]) -> String {
    let values = serde_json::to_string(values).unwrap_or_default();
    checksum(&if removed.is_empty() { values } else { values + &serde_json::to_string(removed).unwrap_or_default() })
}
