//! "Did you mean": the nearest known name.

/// Names farther away than this are no typing errors.
const LARGEST_DISTANCE: usize = 2;

/// Longer texts are not names that somebody mistyped.
const LONGEST_NAME: usize = 64;

/// The candidate nearest to `name`, the first of several; `None` if none is near.
pub(super) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let near = candidates.into_iter().filter_map(|candidate| {
        let distance = distance(name, candidate);
        // Three letters that differ in two are another word.
        (distance <= LARGEST_DISTANCE && distance < candidate.len().min(name.len())).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above_left, byte) in a.bytes().enumerate() {
        let mut diagonal = above_left;
        let mut left = above_left + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, other) in cells.zip(b.bytes()) {
            let substitute = diagonal + usize::from(byte != other);
            diagonal = *cell;
            left = substitute.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_near_names_are_suggested() {
        let names = ["pod", "namespace", "vars", "item"];
        let cases = [
            ("podd", Some("pod")),
            ("pdo", Some("pod")),
            ("namespaec", Some("namespace")),
            ("var", Some("vars")),
            ("items", Some("item")),
            ("HOME", None),
            ("x", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, names), expected, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(1000), names), None);
    }
}
