//! The two annotations that fedcar leaves: what is ours, and what was there before.
//!
//! Both are written by us and can be edited by anyone, so they are evidence to be verified against the pod, never
//! trusted: a marker that does not verify counts as absent, and then the ordinary conflict rules decide.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::draft::{Draft, Edit, Trace};
use super::fingerprint::checksum;
use super::reason::Refusal;
use super::slot::Slot;

/// The marker: revision, sidecars, and the places that are ours.
pub const INJECTED: &str = "fedcar.dev/injected";
/// The inverse record: what stood in places that we replaced.
pub const ORIGINAL: &str = "fedcar.dev/original";
/// The inverse record is at most this long: annotations share 256 KiB a pod with everybody else's.
pub const RECORD_BYTES_MAX: usize = 32 * 1024;

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
}

/// What `fedcar.dev/original` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    values: Map<String, Value>,
    sum: String,
}

/// A marker and its record, read and checked against each other, not yet against the pod.
#[derive(Debug)]
pub(super) struct Evidence {
    marker: Marker,
    originals: Map<String, Value>,
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
    for edit in draft.edits() {
        let claim = match &edit.trace {
            Trace::Ours(claim) => claim.as_str(),
            Trace::Made => "",
            Trace::Silent => continue,
        };
        ours.insert(edit.address().to_owned(), Value::from(claim));
        if let Some(was) = &edit.was {
            values.insert(edit.address().to_owned(), was.clone());
        }
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
    let marker = Marker { format: FORMAT, revision: revision.to_owned(), sidecars, ours, replaced };
    let injected = serde_json::to_string(&marker).unwrap_or_default();
    let original = (!values.is_empty()).then(|| {
        let sum = record_sum(&values);
        serde_json::to_string(&Record { values, sum }).unwrap_or_default()
    });
    Annotations { injected, original }
}

/// The bytes that the inverse record would take.
pub(super) fn record_bytes(edits: &[Edit]) -> usize {
    let values = edits.iter().filter(|edit| !matches!(edit.trace, Trace::Silent)).filter_map(|edit| edit.was.as_ref());
    values.map(|value| serde_json::to_string(value).map_or(0, |text| text.len())).sum()
}

/// About how many bytes both annotations will take.
pub(super) fn bytes(edits: &[Edit]) -> usize {
    const FRAME: usize = 256;
    const PER_PLACE: usize = 8;
    let places = edits.iter().map(|edit| match &edit.trace {
        Trace::Ours(claim) => edit.address().len() + claim.len() + PER_PLACE,
        Trace::Made => edit.address().len() + PER_PLACE,
        Trace::Silent => 0,
    });
    places.sum::<usize>() + record_bytes(edits) + FRAME
}

impl Evidence {
    /// Reads the annotations of a pod; `None` where it carries no marker.
    pub(super) fn read(pod: &Value) -> Option<Result<Self, Refusal>> {
        let annotations = pod.get("metadata")?.get("annotations")?;
        let text = annotations.get(INJECTED)?;
        Some(Self::parse(text, annotations.get(ORIGINAL)))
    }

    fn parse(injected: &Value, original: Option<&Value>) -> Result<Self, Refusal> {
        let text = injected.as_str().ok_or(Refusal::BadMarker)?;
        let marker: Marker = serde_json::from_str(text).map_err(|_| Refusal::BadMarker)?;
        if marker.format != FORMAT || !marker.ours.values().all(Value::is_string) {
            return Err(Refusal::BadMarker);
        }
        let originals = match original {
            None => Map::new(),
            Some(text) => {
                let text = text.as_str().ok_or(Refusal::BadRecord)?;
                let record: Record = serde_json::from_str(text).map_err(|_| Refusal::BadRecord)?;
                if record.sum != record_sum(&record.values) {
                    return Err(Refusal::BadRecord);
                }
                record.values
            }
        };
        let complete = marker.replaced.len() == originals.len()
            && marker.replaced.iter().all(|address| originals.contains_key(address) && marker.ours.contains_key(address));
        if !complete {
            return Err(Refusal::BadRecord);
        }
        Ok(Self { marker, originals })
    }

    /// The places that are ours, in order of injection, each with its claim.
    pub(super) fn places(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.marker.ours.iter().map(|(address, claim)| (address.as_str(), claim.as_str().unwrap_or_default()))
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

/// The place of an annotation.
pub(super) fn annotation(key: &str) -> Slot {
    Slot::of(&["metadata", "annotations", key])
}

fn record_sum(values: &Map<String, Value>) -> String {
    checksum(&serde_json::to_string(values).unwrap_or_default())
}
