//! The labels of namespaces, which some sidecars choose by: from Namespace objects in the input, and from flags.
//!
//! A namespace that neither names is unknown, which is not the same as one without labels.

use std::collections::HashMap;
use std::str::FromStr;

use serde_json::{Map, Value, json};

/// The namespaces that are known.
#[derive(Debug, Default)]
pub struct Namespaces {
    by_name: HashMap<String, Value>,
    from_flags: HashMap<String, Value>,
}

/// `NAME:key=value,key=value`, as a flag gives it.
#[derive(Debug, Clone)]
pub struct NamespaceLabels {
    name: String,
    labels: Map<String, Value>,
}

impl FromStr for NamespaceLabels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("expected NAME:key=value,key=value, found `{text}`");
        let (name, pairs) = text.split_once(':').ok_or_else(expected)?;
        if name.is_empty() {
            return Err(expected());
        }
        let mut labels = Map::new();
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(expected)?;
            labels.insert(key.to_owned(), Value::from(value));
        }
        Ok(Self { name: name.to_owned(), labels })
    }
}

impl Namespaces {
    /// Those that flags give; they win over the input. Their annotations are not known.
    pub fn from_flags(flags: &[NamespaceLabels]) -> Self {
        let object = |flag: &NamespaceLabels| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": flag.name, "labels": flag.labels, "annotations": null}});
        let from_flags = flags.iter().map(|flag| (flag.name.clone(), object(flag))).collect();
        Self { by_name: HashMap::new(), from_flags }
    }

    /// Whether an object is a Namespace.
    pub fn is_one(object: &Value) -> bool {
        object.get("kind").is_some_and(|kind| kind == "Namespace")
            && object.get("apiVersion").is_some_and(|version| version == "v1")
    }

    /// Remembers a Namespace; anything else is none.
    pub fn note(&mut self, object: &Value) {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        if let (true, Some(name)) = (Self::is_one(object), name) {
            self.by_name.insert(name.to_owned(), object.clone());
        }
    }

    /// The Namespace of a name, where it is known.
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.from_flags.get(name).or_else(|| self.by_name.get(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_what_was_expected() {
        for text in ["", "shop", ":a=b", "shop:a", "shop:=b"] {
            let error = text.parse::<NamespaceLabels>().unwrap_err();
            assert_eq!(error, format!("expected NAME:key=value,key=value, found `{text}`"));
        }
    }

    #[test]
    fn flags_win_over_objects() {
        let mut namespaces = Namespaces::from_flags(&["shop:tier=prod,team=".parse().unwrap()]);
        for name in ["shop", "lab"] {
            namespaces.note(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        namespaces.note(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other"}}));
        assert_eq!(namespaces.find("shop").unwrap()["metadata"]["labels"], json!({"tier": "prod", "team": ""}));
        assert!(namespaces.find("lab").unwrap()["metadata"].get("labels").is_none());
        assert!(namespaces.find("other").is_none());
    }
}
