//! The arguments of get and list, as Kubewarden's SDKs write them.
//!
//! An argument that is not known is refused: a policy that asks for something would otherwise get something else. What
//! becomes part of an address is checked, as `a/../../secrets/b` is not a name.

use std::collections::BTreeSet;

use fedcar_policy::read::clip;
use serde::Deserialize;

use super::mask::Mask;

use super::super::refusal::Refusal;

/// The longest selector.
const SELECTOR_BYTES: usize = 1024;

/// `get_resource`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Get {
    pub(in super::super) api_version: String,
    pub(in super::super) kind: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) disable_cache: bool,
    #[serde(default)]
    field_masks: Option<BTreeSet<String>>,
}

/// `list_resources_all` and, where there is a namespace, `list_resources_by_namespace`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct List {
    pub(in super::super) api_version: String,
    pub(in super::super) kind: String,
    #[serde(default)]
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) label_selector: Option<String>,
    #[serde(default)]
    pub(super) field_selector: Option<String>,
    #[serde(default)]
    disable_cache: bool,
    #[serde(default)]
    field_masks: Option<BTreeSet<String>>,
}

impl Get {
    /// Reads and checks the arguments.
    pub(in super::super) fn read(payload: &[u8]) -> Result<Self, Refusal> {
        let get: Self = serde_json::from_slice(payload).map_err(|error| Refusal::Arguments(error.to_string()))?;
        check_name("name", &get.name)?;
        if let Some(namespace) = &get.namespace {
            check_name("namespace", namespace)?;
        }
        Ok(get)
    }

    /// The fields that are asked for; none where all are.
    pub(super) fn mask(&self) -> Result<Option<Mask>, Refusal> {
        Mask::new(self.field_masks.as_ref())
    }
}

impl List {
    /// Reads and checks the arguments of a list of one namespace or of all.
    pub(in super::super) fn read(payload: &[u8], in_namespace: bool) -> Result<Self, Refusal> {
        let mut list: Self = serde_json::from_slice(payload).map_err(|error| Refusal::Arguments(error.to_string()))?;
        match (&list.namespace, in_namespace) {
            (Some(namespace), true) => check_name("namespace", namespace)?,
            (None, false) => {}
            (None, true) => return Err(Refusal::Arguments("expected a `namespace`".to_owned())),
            (Some(_), false) => {
                return Err(Refusal::Arguments(
                    "expected no `namespace`; use `list_resources_by_namespace`".to_owned(),
                ));
            }
        }
        if list.disable_cache {
            return Err(Refusal::Arguments("`disable_cache` is not supported for lists".to_owned()));
        }
        for selector in [&mut list.label_selector, &mut list.field_selector] {
            *selector = selector.take().filter(|selector| !selector.is_empty());
            if selector.as_ref().is_some_and(|selector| selector.len() > SELECTOR_BYTES) {
                return Err(Refusal::Arguments(format!("expected a selector of at most {SELECTOR_BYTES} bytes")));
            }
        }
        Ok(list)
    }

    /// The fields that are asked for; none where all are.
    pub(super) fn mask(&self) -> Result<Option<Mask>, Refusal> {
        Mask::new(self.field_masks.as_ref())
    }
}

/// What may be the name of an object: one segment of a path, of the characters that Kubernetes lets names have (RBAC
/// objects have colons and capital letters in theirs).
fn check_name(argument: &str, name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~@+=".contains(&byte);
    if name.is_empty() || name.len() > 253 || name == "." || name == ".." || !name.bytes().all(allowed) {
        let found = clip(name);
        return Err(Refusal::Arguments(format!("expected the name of an object as `{argument}`, found `{found}`")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_segment_of_a_path() {
        let get = |name: &str, namespace: &str| {
            let payload = serde_json::json!({"api_version": "v1", "kind": "Pod", "name": name, "namespace": namespace});
            Get::read(payload.to_string().as_bytes()).is_ok()
        };
        assert!(get("a", "b") && get("system:node-x.y", "b") && get("ip-10-0-0-1", "b"));
        let hostile =
            ["", ".", "..", "a/log", "a/../../secrets/b", "a?x=1", "a%2flog", "a#b", "a b", "é", "a\nb", "a\\b"];
        for name in hostile {
            assert!(!get(name, "b"), "{name}");
            assert!(!get("a", name), "{name}");
        }
        assert!(!get(&"a".repeat(254), "b"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused =
            |payload: &str, in_namespace| List::read(payload.as_bytes(), in_namespace).unwrap_err().to_string();
        let not_valid = |reason: &str| format!("the arguments of the host call are not valid: {reason}");
        assert_eq!(refused(r#"{"api_version":"v1","kind":"Pod"}"#, true), not_valid("expected a `namespace`"));
        assert_eq!(
            refused(r#"{"api_version":"v1","kind":"Pod","namespace":"x"}"#, false),
            not_valid("expected no `namespace`; use `list_resources_by_namespace`")
        );
        assert_eq!(
            refused(r#"{"api_version":"v1","kind":"Pod","disable_cache":true}"#, false),
            not_valid("`disable_cache` is not supported for lists")
        );
        assert!(refused(r#"{"api_version":"v1","kind":"Pod","limit":1}"#, false).contains("unknown field `limit`"));
        assert!(refused(r#"{"api_version":"v1"}"#, false).contains("missing field `kind`"));
        assert!(refused("null", false).contains("invalid type"));
        assert!(refused("", false).contains("EOF"));
        let long = format!(r#"{{"api_version":"v1","kind":"Pod","label_selector":"{}"}}"#, "a".repeat(1025));
        assert_eq!(refused(&long, false), not_valid("expected a selector of at most 1024 bytes"));
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        let payload = br#"{"api_version":"v1","kind":"Pod","label_selector":"","field_selector":null}"#;
        let list = List::read(payload, false).expect("valid arguments");
        assert_eq!((list.label_selector, list.field_selector), (None, None));
    }
}
