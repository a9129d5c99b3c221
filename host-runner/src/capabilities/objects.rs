//! Objects by namespace and name, each as the JSON text that is handed out.
//!
//! Texts take a fraction of what decoded objects take, and handing one out is a copy.

use std::collections::BTreeMap;

use bytes::Bytes;

/// What an entry takes besides its texts, roughly: nodes, pointers and the headers of allocations.
const ENTRY_BYTES: usize = 128;

/// One object; those of the cluster are in the namespace without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
    pub(super) json: Bytes,
}

/// Objects in the order in which Kubernetes lists them.
#[derive(Debug, Default)]
pub(super) struct Objects {
    by_namespace: BTreeMap<Box<str>, BTreeMap<Box<str>, Bytes>>,
    bytes: usize,
}

impl Objects {
    /// The text of an object.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<&Bytes> {
        self.by_namespace.get(namespace)?.get(name)
    }

    /// The texts of all objects, or of those in one namespace.
    pub(super) fn list(&self, namespace: Option<&str>) -> Vec<Bytes> {
        match namespace {
            Some(namespace) => {
                self.by_namespace.get(namespace).into_iter().flat_map(BTreeMap::values).cloned().collect()
            }
            None => self.by_namespace.values().flat_map(BTreeMap::values).cloned().collect(),
        }
    }

    /// Adds an object, or replaces it.
    pub(super) fn insert(&mut self, object: Rendered) {
        self.remove(&object.namespace, &object.name);
        self.bytes += cost(&object.namespace, &object.name, &object.json);
        self.by_namespace.entry(object.namespace).or_default().insert(object.name, object.json);
    }

    /// Forgets an object.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) {
        let Some(objects) = self.by_namespace.get_mut(namespace) else { return };
        if let Some(json) = objects.remove(name) {
            self.bytes -= cost(namespace, name, &json);
        }
        if objects.is_empty() {
            self.by_namespace.remove(namespace);
        }
    }

    /// Roughly how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn cost(namespace: &str, name: &str, json: &Bytes) -> usize {
    ENTRY_BYTES + namespace.len() + name.len() + json.len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever happens to them, they are those of a plain map, and nothing is left when all are gone.
        #[test]
        fn objects_are_those_of_a_plain_map(steps in proptest::collection::vec((0_u8..3, 0_u8..3, 0_usize..4), 0..40)) {
            let mut objects = Objects::default();
            let mut model = BTreeMap::new();
            for (namespace, name, length) in steps {
                let (namespace, name) = (namespace.to_string(), name.to_string());
                if length == 0 {
                    objects.remove(&namespace, &name);
                    model.remove(&(namespace, name));
                } else {
                    let json = Bytes::from("x".repeat(length));
                    let (namespace_box, name_box) = ((*namespace).into(), (*name).into());
                    objects.insert(Rendered { namespace: namespace_box, name: name_box, json: json.clone() });
                    model.insert((namespace, name), json);
                }
                prop_assert_eq!(objects.list(None), model.values().cloned().collect::<Vec<_>>());
                let expected: usize = model.iter().map(|((namespace, name), json)| cost(namespace, name, json)).sum();
                prop_assert_eq!(objects.bytes(), expected);
            }
            for (namespace, name) in model.keys() {
                prop_assert!(objects.get(namespace, name).is_some());
                objects.remove(namespace, name);
            }
            prop_assert_eq!((objects.bytes(), objects.by_namespace.len()), (0, 0));
        }
    }
}
