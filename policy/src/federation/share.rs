//! So many of a set, or a part of it.

use crate::read::{Node, Problems, describe};
use crate::schema::Schema;

/// A number of members, or a percentage of those that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Count(u64),
    /// A percentage from 0 to 100.
    Percent(u64),
}

/// More members than anybody has.
const COUNT_MAX: u64 = 100_000;

impl Share {
    /// A number from `least` on, or a text such as `25%`.
    pub(super) fn read(node: &Node<'_>, least: u64, problems: &mut Problems) -> Option<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|percent| digits && (least..=100).contains(percent))
        };
        let found = match node.value.as_str() {
            Some(text) => text.strip_suffix('%').and_then(number).map(Self::Percent),
            None => node.value.as_u64().filter(|count| (least..=COUNT_MAX).contains(count)).map(Self::Count),
        };
        if found.is_none() {
            let expected = format!("expected a number from {least} to {COUNT_MAX}, or a percentage such as \"25%\"");
            problems.add(&node.pointer, format!("{expected}, found {}", describe(node.value)));
        }
        found
    }

    pub(super) fn schema(least: u64) -> Schema {
        Schema::either([Schema::integer(least, COUNT_MAX), Schema::pattern("^0*([0-9]{1,2}|100)%$")])
    }
}
