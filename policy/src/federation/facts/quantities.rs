//! Amounts of resources by name: `cpu`, `memory`, `requests.cpu`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::expression::quantity::Quantity;
use crate::read::{Node, Problems, clip};

/// Amounts by the name of the resource.
pub(in crate::federation) type Amounts = BTreeMap<String, Quantity>;

/// Reads amounts; a number counts as its text, as it does in Kubernetes.
pub(super) fn read(node: Option<Node<'_>>, problems: &mut Problems) -> Amounts {
    let entries = node.and_then(|node| node.entries(problems)).unwrap_or_default();
    entries.into_iter().filter_map(|(name, node)| Some((name.to_owned(), read_one(&node, problems)?))).collect()
}

fn read_one(node: &Node<'_>, problems: &mut Problems) -> Option<Quantity> {
    let text = match node.value {
        Value::Number(number) => number.to_string(),
        _ => node.text(problems)?.to_owned(),
    };
    match Quantity::parse(&text) {
        Ok(amount) => Some(amount),
        Err(error) => {
            problems.add(&node.pointer, format!("{error}, found `{}`", clip(&text)));
            None
        }
    }
}
