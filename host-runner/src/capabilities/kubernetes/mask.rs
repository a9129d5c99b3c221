//! Field masks: which fields of an object a policy wants to see.
//!
//! A mask is a path with dots; lists on its way are passed through, so `spec.containers.image` is the image of each
//! container. `apiVersion`, `kind` and `metadata` are always shown. Of two masks the wider one wins.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::refusal::Refusal;

/// The most masks of a call, and the most segments of a mask. Nothing in Kubernetes is deeper.
const MASKS: usize = 256;
const SEGMENTS: usize = 64;

/// What is shown whatever the masks say.
const ALWAYS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// The fields to show.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// All.
    Whole,
    /// These, each with what of it.
    Fields(BTreeMap<String, Mask>),
}

impl Mask {
    /// Reads masks; no masks and an empty list of masks show everything.
    pub(super) fn new(paths: Option<&BTreeSet<String>>) -> Result<Option<Self>, Refusal> {
        let Some(paths) = paths.filter(|paths| !paths.is_empty()) else { return Ok(None) };
        if paths.len() > MASKS || paths.iter().any(|path| path.split('.').count() > SEGMENTS) {
            let most = format!("expected at most {MASKS} field masks of at most {SEGMENTS} segments");
            return Err(Refusal::Arguments(most));
        }
        let mut mask = Self::Fields(BTreeMap::new());
        for path in paths.iter().map(String::as_str).chain(ALWAYS) {
            mask.add(path);
        }
        Ok(Some(mask))
    }

    fn add(&mut self, path: &str) {
        let mut mask = self;
        for segment in path.split('.') {
            match mask {
                Self::Whole => return,
                Self::Fields(fields) => {
                    mask = fields.entry(segment.to_owned()).or_insert_with(|| Self::Fields(BTreeMap::new()));
                }
            }
        }
        *mask = Self::Whole;
    }

    /// Removes what is not to be shown.
    pub(super) fn apply(&self, value: &mut Value) {
        let Self::Fields(fields) = self else { return };
        match value {
            Value::Object(map) => map.retain(|key, value| {
                let mask = fields.get(key);
                if let Some(mask) = mask {
                    mask.apply(value);
                }
                mask.is_some()
            }),
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(masks: &[&str]) -> Value {
        let mut value = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "a", "labels": {"x": "y"}},
            "spec": {
                "containers": [{"name": "a", "image": "i", "env": [{"name": "E"}]}, {"name": "b", "image": "j"}],
                "nodeName": "n",
            },
            "status": {"phase": "Running"},
        });
        let masks = masks.iter().map(|&mask| mask.to_owned()).collect();
        if let Some(mask) = Mask::new(Some(&masks)).expect("few masks") {
            mask.apply(&mut value);
        }
        let always = [value["apiVersion"].take(), value["kind"].take(), value["metadata"].take()];
        assert_eq!(always, [json!("v1"), json!("Pod"), json!({"name": "a", "labels": {"x": "y"}})]);
        value.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        value
    }

    #[test]
    fn masks_show_what_they_name() {
        let status = json!({"phase": "Running"});
        assert_eq!(masked(&["status"]), json!({"status": status}));
        assert_eq!(masked(&["metadata.name"]), json!({}));
        assert_eq!(
            masked(&["spec.containers.image", "status.phase"]),
            json!({"spec": {"containers": [{"image": "i"}, {"image": "j"}]}, "status": status})
        );
        assert_eq!(
            masked(&["spec.containers.env.name"]),
            json!({"spec": {"containers": [{"env": [{"name": "E"}]}, {}]}})
        );
        assert_eq!(masked(&["status.phase.deeper", "none"]), json!({"status": status}));
        assert_eq!(masked(&["spec.containers.0"]), json!({"spec": {"containers": [{}, {}]}}));
        assert_eq!(masked(&["", "."]), json!({}));
    }

    #[test]
    fn the_wider_mask_wins() {
        assert_eq!(masked(&["spec", "spec.nodeName"]), masked(&["spec"]));
        assert_eq!(masked(&["spec.nodeName", "spec"]), masked(&["spec"]));
    }

    #[test]
    fn no_mask_shows_everything() {
        assert_eq!(Mask::new(None), Ok(None));
        assert_eq!(Mask::new(Some(&BTreeSet::new())), Ok(None));
    }

    #[test]
    fn masks_are_bounded() {
        let one = |mask: String| Mask::new(Some(&BTreeSet::from([mask])));
        assert!(one("a.".repeat(63)).is_ok());
        assert!(one("a.".repeat(1_000_000)).is_err());
        let many = (0..257).map(|number| number.to_string()).collect();
        assert!(Mask::new(Some(&many)).is_err());
    }
}
