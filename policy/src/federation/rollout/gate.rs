//! A gate of a stage: something that is measured, and the bounds that it must keep.

use super::super::span::Span;
use crate::expression::quantity::Quantity;
use crate::read::{Node, Problems, clip, describe};
use crate::schema::Schema;

/// Something that is measured while a stage runs and soaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Its name, unique in the stage.
    pub name: String,
    /// What is asked.
    pub measure: Measure,
    /// The value is at least this.
    pub min: Option<Quantity>,
    /// The value is at most this.
    pub max: Option<Quantity>,
    /// How often it is asked; `None` leaves that to delivery.
    pub interval: Option<Span>,
}

/// Where a gate's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// A query in the language of Prometheus that gives one number.
    Query(String),
    /// A URL that answers 2xx where all is well, or a number where there are bounds.
    Url(String),
}

impl Gate {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let (query, url) = (fields.optional("query"), fields.optional("url"));
        let mut bound = |name| fields.optional(name).and_then(|node| read_number(&node, problems));
        let (min, max) = (bound("min"), bound("max"));
        let interval = fields.optional("interval").and_then(|node| Span::read_some(&node, problems));
        fields.finish(problems);
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            problems.add(&node.pointer, "`min` is above `max`");
        }
        let measure = match (query, url) {
            (Some(query), None) => {
                if min.is_none() && max.is_none() {
                    problems.add(&node.pointer, "expected `min` or `max`: a query gives a number and no verdict");
                }
                Measure::Query(query.filled_text(problems)?.to_owned())
            }
            (None, Some(url)) => Measure::Url(read_url(&url, &["http://", "https://"], problems)?.to_owned()),
            _ => {
                problems.add(&node.pointer, "expected either `query` or `url`");
                return None;
            }
        };
        Some(Self { name: name?.to_owned(), measure, min, max, interval })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("name", Schema::filled()),
            ("query", Schema::filled().says("A query in the language of Prometheus that gives one number.")),
            ("url", Schema::pattern("^https?://.+").says("Answers 2xx where all is well.")),
            ("min", Schema::number()),
            ("max", Schema::number()),
            ("interval", Span::schema().says("How often it is asked.")),
        ])
        .requires(&["name"])
        .one_of(&["query", "url"])
    }
}

/// A URL that begins in one of these ways.
pub(in super::super) fn read_url<'v>(node: &Node<'v>, schemes: &[&str], problems: &mut Problems) -> Option<&'v str> {
    let text = node.text(problems)?;
    let rest = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    if rest.is_none_or(|rest| rest.is_empty() || rest.contains(char::is_whitespace)) {
        let expected = format!("expected a URL that begins with {}", schemes.join(" or "));
        problems.add(&node.pointer, format!("{expected}, found `{}`", clip(text)));
        return None;
    }
    Some(text)
}

fn read_number(node: &Node<'_>, problems: &mut Problems) -> Option<Quantity> {
    let number = node.value.as_number().and_then(|number| Quantity::parse(number.as_str()).ok());
    if number.is_none() {
        problems.add(&node.pointer, format!("expected a number, found {}", describe(node.value)));
    }
    number
}
