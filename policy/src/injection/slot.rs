//! A place in a pod, under two names: where it stands now, and how it is found again when lists have moved.
//!
//! The position (`/spec/containers/2/env/0`) goes into patches; the address (`/spec/containers/app/env/HTTP_PORT`), which
//! names list items by their merge key, goes into the marker. Atomic lists name their items by checksum.

use serde_json::Value;

use super::fingerprint::{Context, checksum, merge_key};
use crate::read::{child, unescaped};

/// A place, relative to the pod (the object itself, or its pod template).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Slot {
    steps: Vec<Step>,
    address: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Slot {
    /// The place of a key below an object, from the root of the pod.
    pub(super) fn of(keys: &[&str]) -> Self {
        let steps = keys.iter().map(|key| Step::Key((*key).to_owned())).collect();
        Self { steps, address: keys.iter().fold(String::new(), |address, key| child(&address, key)) }
    }

    /// A key of the object in this place.
    pub(super) fn key(&self, key: &str) -> Self {
        let mut steps = self.steps.clone();
        steps.push(Step::Key(key.to_owned()));
        Self { steps, address: child(&self.address, key) }
    }

    /// An item of the list in this place.
    pub(super) fn item(&self, index: usize, item: &Value) -> Self {
        let mut steps = self.steps.clone();
        steps.push(Step::Index(index));
        Self { steps, address: child(&self.address, &label(self.last_key(), item)) }
    }

    /// How the marker names this place.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The JSON pointer of this place (RFC 6901), below `prefix`.
    pub(super) fn pointer(&self, prefix: &[&str]) -> String {
        let prefix = prefix.iter().fold(String::new(), |pointer, key| child(&pointer, key));
        self.steps.iter().fold(prefix, |pointer, step| match step {
            Step::Key(key) => child(&pointer, key),
            Step::Index(index) => format!("{pointer}/{index}"),
        })
    }

    /// The key of the nearest object above.
    fn last_key(&self) -> &str {
        match self.steps.last() {
            Some(Step::Key(key)) => key,
            _ => "",
        }
    }

    /// The keys that lead to this place, for its claim.
    pub(super) fn context(&self) -> Context<'_> {
        match self.steps.as_slice() {
            [.., Step::Key(parent), Step::Key(key)] => Context { parent, key },
            [.., Step::Key(key)] => Context { parent: "", key },
            _ => Context::default(),
        }
    }

    /// The value in this place.
    pub(super) fn find<'v>(&self, pod: &'v Value) -> Option<&'v Value> {
        self.steps.iter().try_fold(pod, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }

    /// The value in this place, to be changed.
    pub(super) fn find_mut<'v>(&self, pod: &'v mut Value) -> Option<&'v mut Value> {
        self.steps.iter().try_fold(pod, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        })
    }

    /// The place that an address names in a pod now; `None` where nothing is there.
    pub(super) fn resolve(pod: &Value, address: &str) -> Option<Self> {
        let mut slot = Self::default();
        let mut value = pod;
        for token in address.split('/').skip(1) {
            let token = unescaped(token);
            (slot, value) = match value {
                Value::Object(map) => {
                    let value = map.get(&token)?;
                    (slot.key(&token), value)
                }
                Value::Array(items) => {
                    let list = slot.last_key();
                    // Of two of one name the later one counts, as it does for the kubelet.
                    let (index, item) = items.iter().enumerate().rfind(|(_, item)| is_labelled(list, item, &token))?;
                    (slot.item(index, item), item)
                }
                _ => return None,
            };
        }
        Some(slot)
    }

    /// The place above, and whether this one is an item of a list there.
    pub(super) fn parent(&self) -> Option<(Self, Last<'_>)> {
        let (last, above) = self.steps.split_last()?;
        let address = self.address.rsplit_once('/').map_or("", |(address, _)| address).to_owned();
        let last = match last {
            Step::Key(key) => Last::Key(key),
            Step::Index(index) => Last::Index(*index),
        };
        Some((Self { steps: above.to_vec(), address }, last))
    }
}

/// The last step to a place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Last<'s> {
    /// A key of an object.
    Key(&'s str),
    /// An item of a list.
    Index(usize),
}

/// How the marker names an item of a list.
///
/// A topology spread constraint is known by two keys, of which both must be told; items without a merge key by checksum.
pub(super) fn label(list: &str, item: &Value) -> String {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    if list == "topologySpreadConstraints"
        && let (Some(key), Some(unsatisfiable)) = (text("topologyKey"), text("whenUnsatisfiable"))
    {
        return format!("{key} {unsatisfiable}");
    }
    if let Some(name) = merge_key(list).and_then(text) {
        return name.to_owned();
    }
    // Sorted, so that equal data has equal text.
    let mut item = item.clone();
    item.sort_all_objects();
    checksum(&item.to_string())
}

/// Whether an item has a label; without making the label where the item has a merge key.
fn is_labelled(list: &str, item: &Value, wanted: &str) -> bool {
    match merge_key(list).and_then(|key| item.get(key)).and_then(Value::as_str) {
        Some(name) => name == wanted,
        None => label(list, item) == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_finds_its_item_where_the_list_has_moved() {
        let before = json!({"spec": {"containers": [{"name": "app", "env": [{"name": "A/B"}]}]}});
        let after = json!({"spec": {"containers": [{"name": "new"}, {"name": "app", "env": [{"name": "x"}, {"name": "A/B"}]}]}});
        let container = &before["spec"]["containers"][0];
        let slot = Slot::of(&["spec", "containers"]).item(0, container).key("env").item(0, &container["env"][0]);
        assert_eq!(slot.address(), "/spec/containers/app/env/A~1B");
        assert_eq!(slot.pointer(&["spec", "template"]), "/spec/template/spec/containers/0/env/0");
        let found = Slot::resolve(&after, slot.address()).unwrap();
        assert_eq!(found.pointer(&[]), "/spec/containers/1/env/1");
        assert_eq!(found.find(&after), Some(&json!({"name": "A/B"})));
    }

    #[test]
    fn items_of_atomic_lists_are_known_by_content() {
        let pod = json!({"spec": {"tolerations": [{"key": "a"}, {"operator": "Exists", "key": "b"}]}});
        let slot = Slot::of(&["spec", "tolerations"]).item(0, &json!({"key": "b", "operator": "Exists"}));
        let found = Slot::resolve(&pod, slot.address()).unwrap();
        assert_eq!(found.pointer(&[]), "/spec/tolerations/1");
        assert_eq!(Slot::resolve(&pod, "/spec/tolerations/nothing"), None);
    }
}
