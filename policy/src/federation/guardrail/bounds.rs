//! How far the overrides of a sidecar may go.

use serde_json::{Map, Value};

use crate::expression::quantity::Quantity;
use crate::read::{Node, Problems, describe};
use crate::schema::Schema;
use crate::settings::nanoseconds;

/// Bounds within which an override of a sidecar must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideBound {
    /// The sidecar.
    pub sidecar: String,
    /// The annotation, as the sidecar's `overrides` have it.
    pub annotation: String,
    /// Whether there may be such an override at all.
    pub allowed: bool,
    /// As they are written: their type is that of the override.
    limits: Limits,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Limits {
    min: Option<Value>,
    max: Option<Value>,
    one_of: Option<Vec<String>>,
    max_length: Option<u64>,
}

/// A fault of an override, or of the guardrail itself.
pub(super) enum Fault {
    /// At this key of the override.
    Override(&'static str, String, Option<String>),
    /// At this key of the bound.
    Bound(&'static str, String),
}

/// What the longest text of an override may be set to.
const LENGTH_MAX: u64 = 256 * 1024;

impl OverrideBound {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let sidecar = fields.required("sidecar", problems).and_then(|node| node.filled_text(problems));
        let annotation = fields.required("annotation", problems).and_then(|node| node.filled_text(problems));
        let allowed = fields.optional("allowed").and_then(|node| node.flag(problems)).unwrap_or(true);
        let mut limit = |key| {
            let node: Node<'_> = fields.optional(key)?;
            let fits = node.value.is_number() || node.value.is_string();
            if !fits {
                let found = describe(node.value);
                problems.add(&node.pointer, format!("expected a number, a quantity or a duration, found {found}"));
            }
            fits.then(|| node.value.clone())
        };
        let (min, max) = (limit("min"), limit("max"));
        let one_of = fields.optional("oneOf").and_then(|node| {
            let items = node.items(problems)?;
            Some(items.iter().filter_map(|item| item.text(problems)).map(str::to_owned).collect())
        });
        let max_length = fields.optional("maxLength").and_then(|node| node.integer(1, LENGTH_MAX, problems));
        fields.finish(problems);
        let limits = Limits { min, max, one_of, max_length };
        if problems.is_empty() && allowed == (limits == Limits::default()) {
            let message = if allowed {
                "expected a bound: `min`, `max`, `oneOf`, `maxLength` or `allowed: false`"
            } else {
                "expected no bounds for an override that is not allowed"
            };
            problems.add(&node.pointer, message);
        }
        Some(Self { sidecar: sidecar?.to_owned(), annotation: annotation?.to_owned(), allowed, limits })
    }

    pub(super) fn schema() -> Schema {
        let limit = || Schema::any().with("type", serde_json::json!(["number", "string"]));
        Schema::object([
            ("sidecar", Schema::filled()),
            ("annotation", Schema::filled().says("As the sidecar's `overrides` have it.")),
            ("allowed", Schema::flag().says("false: there may be no such override. Default true.")),
            ("min", limit().says("The `min` of the override is at least this.")),
            ("max", limit().says("The `max` of the override is at most this.")),
            ("oneOf", Schema::list_of(Schema::text()).says("The override takes nothing else.")),
            ("maxLength", Schema::integer(1, LENGTH_MAX)),
        ])
        .requires(&["sidecar", "annotation"])
    }

    /// What is wrong with an override of that annotation.
    pub(super) fn faults(&self, found: &Map<String, Value>) -> Vec<Fault> {
        if !self.allowed {
            return vec![Fault::Override("annotation", "allows no such override".to_owned(), None)];
        }
        let kind = found.get("type").and_then(Value::as_str).unwrap_or_default();
        let mut faults = Vec::new();
        for (key, limit) in [("min", &self.limits.min), ("max", &self.limits.max)] {
            let Some(limit) = limit else { continue };
            let Some(bound) = Amount::of(kind, limit) else {
                let message = format!("expected a bound for the type {kind}, found {}", describe(limit));
                faults.push(Fault::Bound(key, message));
                continue;
            };
            let shown = limit.as_str().map_or_else(|| limit.to_string(), str::to_owned);
            let (least, own) = (key == "min", found.get(key).filter(|own| !own.is_null()));
            let fits = own
                .and_then(|own| Amount::of(kind, own))
                .is_some_and(|own| if least { own.at_least(&bound) } else { bound.at_least(&own) });
            if !fits {
                let most = if least { "at least" } else { "at most" };
                let own = own.map_or_else(|| "nothing".to_owned(), describe);
                let message = format!("wants `{key}` to be {most} {shown}, found {own}");
                faults.push(Fault::Override(key, message, Some(format!("set `{key}: {shown}`"))));
            }
        }
        if let Some(allowed) = &self.limits.one_of {
            let own = found.get("oneOf").and_then(Value::as_array);
            let is_allowed = |value: &Value| value.as_str().is_some_and(|text| allowed.iter().any(|one| one == text));
            if own.is_none_or(|own| !own.iter().all(is_allowed)) {
                let own = own.map_or_else(|| "any text".to_owned(), |own| Value::Array(own.clone()).to_string());
                let message = format!("wants `oneOf` to hold nothing but {}, found {own}", allowed.join(", "));
                faults.push(Fault::Override("oneOf", message, None));
            }
        }
        if let Some(most) = self.limits.max_length {
            let own = found.get("maxLength").and_then(Value::as_u64);
            if found.get("oneOf").is_none() && own.is_none_or(|own| own > most) {
                let own = own.map_or_else(|| "nothing".to_owned(), |own| own.to_string());
                let message = format!("wants `maxLength` to be at most {most}, found {own}");
                faults.push(Fault::Override("maxLength", message, Some(format!("set `maxLength: {most}`"))));
            }
        }
        faults
    }
}

/// What an override of a type is bounded by.
enum Amount {
    Number(i64),
    Quantity(Quantity),
}

impl Amount {
    /// The amount that a bound of this type stands for.
    fn of(kind: &str, value: &Value) -> Option<Self> {
        match kind {
            "integer" => value.as_i64().map(Self::Number),
            "duration" => value.as_str().and_then(nanoseconds).map(Self::Number),
            "quantity" => Quantity::of(value).map(Self::Quantity),
            _ => None,
        }
    }

    fn at_least(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one >= other,
            (Self::Quantity(one), Self::Quantity(other)) => one >= other,
            _ => false,
        }
    }
}
