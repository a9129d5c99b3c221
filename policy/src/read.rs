//! Reading JSON values by hand, so that one pass reports every problem, each with its path and a hint.
//!
//! serde stops at the first problem and its derived code is a third of a small module; this reader does neither. A
//! reader method returns `None` only after it has noted why in [`Problems`].

use std::fmt;

use serde_json::{Map, Value};

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Where, as a JSON pointer from the root of what was read (RFC 6901).
    pub pointer: String,
    /// What was expected and what was found, without the place.
    pub message: String,
    /// What to try instead.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", dotted(&self.pointer))?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Every problem found so far.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a problem at a place.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { pointer: pointer.into(), message: message.into(), hint: None });
    }

    /// Notes a problem and what to try instead.
    pub fn add_with_hint(
        &mut self,
        pointer: impl Into<String>,
        message: impl Into<String>,
        hint: Option<impl Into<String>>,
    ) {
        self.0.push(Problem { pointer: pointer.into(), message: message.into(), hint: hint.map(Into::into) });
    }

    /// True while nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems in the order of the document.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// The problems in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node<'v> {
    /// The value itself.
    pub value: &'v Value,
    /// Its JSON pointer from the root.
    pub pointer: String,
}

impl<'v> Node<'v> {
    /// The root of a document.
    pub fn root(value: &'v Value) -> Self {
        Self { value, pointer: String::new() }
    }

    /// An object, whose fields are then taken one by one.
    pub fn fields(&self, problems: &mut Problems) -> Option<Fields<'v>> {
        match self.value {
            Value::Object(map) => Some(Fields { map, pointer: self.pointer.clone(), known: Vec::new() }),
            other => self.mismatch("an object", other, problems),
        }
    }

    /// The items of a list.
    pub fn items(&self, problems: &mut Problems) -> Option<Vec<Node<'v>>> {
        match self.value {
            Value::Array(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, value)| Node { value, pointer: format!("{}/{index}", self.pointer) })
                    .collect(),
            ),
            other => self.mismatch("a list", other, problems),
        }
    }

    /// A map with keys of the user's choice, in their order.
    pub fn entries(&self, problems: &mut Problems) -> Option<Vec<(&'v str, Node<'v>)>> {
        match self.value {
            Value::Object(map) => Some(
                map.iter()
                    .map(|(key, value)| (key.as_str(), Node { value, pointer: child(&self.pointer, key) }))
                    .collect(),
            ),
            other => self.mismatch("an object", other, problems),
        }
    }

    /// A string.
    pub fn text(&self, problems: &mut Problems) -> Option<&'v str> {
        match self.value {
            Value::String(text) => Some(text),
            other => self.mismatch("text", other, problems),
        }
    }

    /// A string that is not empty.
    pub fn filled_text(&self, problems: &mut Problems) -> Option<&'v str> {
        let text = self.text(problems)?;
        if text.is_empty() {
            problems.add(&self.pointer, "expected text, found an empty string");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn flag(&self, problems: &mut Problems) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(*flag),
            other => self.mismatch("true or false", other, problems),
        }
    }

    /// A whole number between two bounds, both included.
    pub fn integer(&self, low: u64, high: u64, problems: &mut Problems) -> Option<u64> {
        match self.value.as_u64() {
            Some(number) if (low..=high).contains(&number) => Some(number),
            _ => self.mismatch(&format!("a whole number from {low} to {high}"), self.value, problems),
        }
    }

    /// One of a closed list of words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let text = self.text(problems)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            problems.add_with_hint(
                &self.pointer,
                format!("expected one of {}, found `{}`", words.join(", "), clip(text)),
                did_you_mean(text, words),
            );
        }
        found.map(|(_, value)| *value)
    }

    fn mismatch<T>(&self, expected: &str, found: &Value, problems: &mut Problems) -> Option<T> {
        problems.add(&self.pointer, format!("expected {expected}, found {}", describe(found)));
        None
    }
}

/// The fields of an object, taken by name; what is left at the end is unknown.
#[derive(Debug)]
pub struct Fields<'v> {
    map: &'v Map<String, Value>,
    pointer: String,
    known: Vec<&'static str>,
}

impl<'v> Fields<'v> {
    /// A field that may be missing. `null` counts as missing, as it does in Kubernetes.
    pub fn optional(&mut self, name: &'static str) -> Option<Node<'v>> {
        self.known.push(name);
        let value = self.map.get(name).filter(|value| !value.is_null())?;
        Some(Node { value, pointer: child(&self.pointer, name) })
    }

    /// A field that must be there.
    pub fn required(&mut self, name: &'static str, problems: &mut Problems) -> Option<Node<'v>> {
        let found = self.optional(name);
        if found.is_none() {
            problems.add(&self.pointer, format!("`{name}` is missing"));
        }
        found
    }

    /// The pointer of the object itself.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Reports every key that nobody has asked for.
    pub fn finish(self, problems: &mut Problems) {
        for key in self.map.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let hint = did_you_mean(key, self.known.iter().copied())
                .unwrap_or_else(|| format!("expected one of {}", self.known.join(", ")));
            problems.add_with_hint(child(&self.pointer, key), "unknown key", Some(hint));
        }
    }
}

/// The pointer of a child, with the key escaped (RFC 6901).
pub fn child(parent: &str, key: &str) -> String {
    let mut pointer = String::with_capacity(parent.len() + key.len() + 1);
    pointer.push_str(parent);
    pointer.push('/');
    for character in key.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
    pointer
}

/// The key that a token of a JSON pointer stands for (RFC 6901).
pub(crate) fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// A JSON pointer as people write paths: `sidecars[0].inject.labels["a/b"]`.
pub fn dotted(pointer: &str) -> String {
    let mut path = String::with_capacity(pointer.len());
    for token in pointer.split('/').skip(1) {
        let key = unescaped(token);
        if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) {
            path.extend(["[", &key, "]"]);
        } else if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_$".contains(&byte)) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&key);
        } else {
            path.extend(["[\"", &key, "\"]"]);
        }
    }
    path
}

/// What a value is, for a message: its kind, and itself where it is short.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => format!("`{flag}`"),
        Value::Number(number) => format!("`{}`", clip(&number.to_string())),
        Value::String(text) => format!("text `{}`", clip(text)),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(map) => format!("an object with {} keys", map.len()),
    }
}

/// The text, or its first 60 characters.
pub fn clip(text: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `did you mean ...`, for the nearest candidate within two edits.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    const FARTHEST_EDITS: usize = 2;
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= FARTHEST_EDITS && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

/// Levenshtein distance over characters; words longer than 64 characters count as far apart.
fn edit_distance(left: &str, right: &str) -> usize {
    const LONGEST_CHARS: usize = 64;
    let right: Vec<char> = right.chars().take(LONGEST_CHARS + 1).collect();
    if left.chars().nth(LONGEST_CHARS).is_some() || right.len() > LONGEST_CHARS {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, character) in left.chars().enumerate() {
        let mut diagonal = above;
        let mut previous = above + 1;
        let mut next = vec![previous];
        for (other, old) in right.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(character != *other);
            previous = cost.min(previous + 1).min(old + 1);
            diagonal = *old;
            next.push(previous);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_read_like_paths() {
        for (pointer, path) in [
            ("", ""),
            ("/sidecars/0/name", "sidecars[0].name"),
            ("/labels/app.kubernetes.io~1name", "labels[\"app.kubernetes.io/name\"]"),
            ("/a~01", "[\"a~1\"]"),
        ] {
            assert_eq!(dotted(pointer), path);
        }
    }

    #[test]
    fn all_problems_come_at_once() {
        let value = json!({"nam": "x", "percent": 101, "mode": "optin", "list": {}});
        let mut problems = Problems::default();
        let mut fields = Node::root(&value).fields(&mut problems).unwrap();
        fields.required("name", &mut problems);
        fields.optional("percent").unwrap().integer(0, 100, &mut problems);
        fields.optional("mode").unwrap().choice(&[("opt-in", 1), ("opt-out", 2)], &mut problems);
        fields.optional("list").unwrap().items(&mut problems);
        fields.finish(&mut problems);
        let found: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "`name` is missing",
                "percent: expected a whole number from 0 to 100, found `101`",
                "mode: expected one of opt-in, opt-out, found `optin` (did you mean `opt-in`?)",
                "list: expected a list, found an object with 0 keys",
                "nam: unknown key (did you mean `name`?)",
            ]
        );
    }

    #[test]
    fn distance_is_levenshtein() {
        for (left, right, distance) in [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("form", "from", 2)] {
            assert_eq!(edit_distance(left, right), distance, "{left} {right}");
        }
    }
}
