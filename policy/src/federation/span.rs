//! Lengths of time in documents, in the notation of Go, which Kubernetes and Envoy's operators know.

use std::fmt;

use crate::read::{Node, Problems, clip};
use crate::schema::Schema;
use crate::settings::nanoseconds;

/// A length of time, not below nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    nanoseconds: i64,
    text: String,
}

/// The longest that anybody waits: four weeks.
const LONGEST: &str = "672h";
const LONGEST_NANOSECONDS: i64 = 672 * 3_600 * 1_000_000_000;

impl Span {
    /// The length in nanoseconds.
    pub fn nanoseconds(&self) -> i64 {
        self.nanoseconds
    }

    /// A length that may be nothing.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        Self::read_from(node, 0, "0s", problems)
    }

    /// A length that is more than nothing.
    pub(super) fn read_some(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        Self::read_from(node, 1, "1ns", problems)
    }

    fn read_from(node: &Node<'_>, least: i64, shown: &str, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems)?;
        let found = nanoseconds(text).filter(|length| (least..=LONGEST_NANOSECONDS).contains(length));
        if found.is_none() {
            let expected = format!("expected a duration such as `1h30m` from {shown} to {LONGEST}");
            problems.add(&node.pointer, format!("{expected}, found `{}`", clip(text)));
        }
        Some(Self { nanoseconds: found?, text: text.to_owned() })
    }

    pub(super) fn schema() -> Schema {
        Schema::duration()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
