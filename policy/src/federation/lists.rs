//! Lists of named things in documents.

use super::member::texts;
use crate::read::{Node, Problems};

/// What each item of a list is read as; without the list nothing.
///
/// Nothing also where one item cannot be read, so that the positions of the others are those of the document.
pub(super) fn each<T>(
    list: Option<Node<'_>>,
    problems: &mut Problems,
    mut read: impl FnMut(&Node<'_>, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let items = list.and_then(|list| list.items(problems)).unwrap_or_default();
    let read: Vec<Option<T>> = items.iter().map(|item| read(item, problems)).collect();
    read.into_iter().collect::<Option<_>>().unwrap_or_default()
}

/// Reports a list that is there and says nothing.
pub(super) fn not_empty<'v>(list: Option<Node<'v>>, problems: &mut Problems) -> Option<Node<'v>> {
    if let Some(list) = list.as_ref().filter(|list| list.value.as_array().is_some_and(Vec::is_empty)) {
        problems.add(&list.pointer, "expected at least one item, found an empty list");
    }
    list
}

/// A list of texts that, where it is there, says something.
pub(super) fn some_texts(list: Option<Node<'_>>, problems: &mut Problems) -> Vec<String> {
    not_empty(list, problems).map(|list| texts(&list, problems)).unwrap_or_default()
}

/// Reports each name that an earlier item of the list at `pointer` has, under the key that holds names.
pub(super) fn unique<'n>(
    names: impl IntoIterator<Item = &'n str>,
    what: &str,
    pointer: &str,
    key: &str,
    problems: &mut Problems,
) {
    let mut seen: Vec<&str> = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        if seen.contains(&name) {
            problems.add(format!("{pointer}/{index}{key}"), format!("a second {what} `{name}`"));
        }
        seen.push(name);
    }
}
