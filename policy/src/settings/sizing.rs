//! `sizing`: requests of an injected container that follow those of the applications.

use serde_json::Value;

use crate::expression::quantity::Quantity;
use crate::read::{Node, Problems, describe};
use crate::schema::Schema;

/// The resources that can be sized, in the order in which they are written.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// The largest percentages: far beyond what anybody means, and within exact arithmetic.
const PERCENT_MAX: i64 = 1_000;
const LIMIT_PERCENT_MAX: i64 = 1_000_000;

/// How an injected container is sized.
#[derive(Debug, Default)]
pub struct Sizing {
    /// By name of the resource.
    pub shares: Vec<(&'static str, Share)>,
    /// Whether the container has no resources of its own where the pod as a whole has some.
    pub omit_at_pod_level: bool,
}

/// One resource of a container as a share of what the applications request.
#[derive(Debug)]
pub struct Share {
    /// Hundredths of it, above 0.
    pub percent: Quantity,
    /// How the requests of several applications become one.
    pub combine: Combine,
    /// The request is at least this.
    pub min: Option<Quantity>,
    /// The request is at most this.
    pub max: Option<Quantity>,
    /// The limit in hundredths of the request, at least 100; `None` leaves the limit as the document says it.
    pub limit_percent: Option<Quantity>,
}

/// How the requests of several applications become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// All together.
    Sum,
    /// The largest alone.
    Max,
}

/// Whether the container loses its resources where the pod has some as a whole.
const LEVELS: [(&str, bool); 2] = [("keep", false), ("omit", true)];
const COMBINE: [(&str, Combine); 2] = [("sum", Combine::Sum), ("max", Combine::Max)];

impl Sizing {
    pub(super) fn schema() -> Schema {
        Schema::object(RESOURCES.map(|resource| (resource, Share::schema())))
            .and([("podLevel", Schema::choice(&LEVELS).says("Default keep."))])
    }

    pub(crate) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut sizing = Self::default();
        for resource in RESOURCES {
            let share = fields.optional(resource).and_then(|node| Share::read(&node, problems));
            sizing.shares.extend(share.map(|share| (resource, share)));
        }
        sizing.omit_at_pod_level =
            fields.optional("podLevel").and_then(|node| node.choice(&LEVELS, problems)).unwrap_or_default();
        fields.finish(problems);
        Some(sizing)
    }
}

impl Share {
    fn schema() -> Schema {
        let percent = Schema::number().with("exclusiveMinimum", 0.into()).with("maximum", PERCENT_MAX.into());
        let limit = Schema::number().with("minimum", 100.into()).with("maximum", LIMIT_PERCENT_MAX.into());
        Schema::object([
            ("percentOfApplications", percent),
            ("combine", Schema::choice(&COMBINE).says("Default sum.")),
            ("min", Schema::quantity()),
            ("max", Schema::quantity()),
            ("limitPercent", limit.says("The limit as percent of the request.")),
        ])
        .requires(&["percentOfApplications"])
    }

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let percent = fields.required("percentOfApplications", problems).and_then(|node| {
            let fits = |percent: &Quantity| percent.sign() > 0 && *percent <= Quantity::from_units(PERCENT_MAX);
            expect(&node, number(node.value).filter(fits), "a number above 0, at most 1000", problems)
        });
        let combine = fields.optional("combine").map_or(Some(Combine::Sum), |node| node.choice(&COMBINE, problems));
        let mut bound = |name| {
            let node = fields.optional(name)?;
            let found = Quantity::of(node.value).filter(|found| found.sign() >= 0);
            expect(&node, found, "a quantity such as `64Mi`, not below 0", problems)
        };
        let (min, max) = (bound("min"), bound("max"));
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            problems.add(&node.pointer, "`min` is above `max`");
        }
        let limit_percent = fields.optional("limitPercent").and_then(|node| {
            let range = Quantity::from_units(100)..=Quantity::from_units(LIMIT_PERCENT_MAX);
            let found = number(node.value).filter(|percent| range.contains(percent));
            expect(&node, found, "a number from 100 to 1000000", problems)
        });
        fields.finish(problems);
        Some(Self { percent: percent?, combine: combine?, min, max, limit_percent })
    }
}

/// A JSON number, exact to nine digits behind the point.
fn number(value: &Value) -> Option<Quantity> {
    if value.is_number() { Quantity::of(value) } else { None }
}

fn expect<T>(node: &Node<'_>, found: Option<T>, expected: &str, problems: &mut Problems) -> Option<T> {
    if found.is_none() {
        problems.add(&node.pointer, format!("expected {expected}, found {}", describe(node.value)));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(value: &Value) -> Vec<String> {
        let mut problems = Problems::default();
        Sizing::read(&Node::root(value), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn sizing_is_read() {
        let value = json!({
            "cpu": {"percentOfApplications": 2.5, "combine": "max", "min": "10m", "max": 1, "limitPercent": 150.5},
            "memory": {"percentOfApplications": 1000},
            "podLevel": "omit",
        });
        let mut problems = Problems::default();
        let sizing = Sizing::read(&Node::root(&value), &mut problems).unwrap();
        assert!(problems.is_empty() && sizing.omit_at_pod_level);
        let [("cpu", cpu), ("memory", memory)] = sizing.shares.as_slice() else { panic!("{sizing:?}") };
        assert_eq!((cpu.percent.canonical(), cpu.combine), ("2500m".to_owned(), Combine::Max));
        assert_eq!(cpu.limit_percent.map(|percent| percent.canonical()), Some("150500m".to_owned()));
        assert_eq!((memory.combine, memory.min, memory.max), (Combine::Sum, None, None));
    }

    #[test]
    fn what_cannot_be_meant_is_a_problem() {
        let percent = "percentOfApplications";
        for (value, expected) in [
            (json!([]), "expected an object, found a list of 0"),
            (json!({"cpu": {}}), "cpu: `percentOfApplications` is missing"),
            (
                json!({"cpu": {percent: 0}}),
                "cpu.percentOfApplications: expected a number above 0, at most 1000, found `0`",
            ),
            (
                json!({"cpu": {percent: 1000.5}}),
                "cpu.percentOfApplications: expected a number above 0, at most 1000, found `1000.5`",
            ),
            (
                json!({"cpu": {percent: "5"}}),
                "cpu.percentOfApplications: expected a number above 0, at most 1000, found text `5`",
            ),
            (
                json!({"cpu": {percent: -1}}),
                "cpu.percentOfApplications: expected a number above 0, at most 1000, found `-1`",
            ),
            (json!({"cpu": {percent: 5, "min": "2", "max": "500m"}}), "cpu: `min` is above `max`"),
            (
                json!({"cpu": {percent: 5, "min": "lots"}}),
                "cpu.min: expected a quantity such as `64Mi`, not below 0, found text `lots`",
            ),
            (
                json!({"cpu": {percent: 5, "max": "-1"}}),
                "cpu.max: expected a quantity such as `64Mi`, not below 0, found text `-1`",
            ),
            (
                json!({"cpu": {percent: 5, "limitPercent": 99}}),
                "cpu.limitPercent: expected a number from 100 to 1000000, found `99`",
            ),
            (json!({"cpu": {percent: 5, "combine": "avg"}}), "cpu.combine: expected one of sum, max, found `avg`"),
            (json!({"podLevel": "drop"}), "podLevel: expected one of keep, omit, found `drop`"),
            (json!({"cpus": {}}), "cpus: unknown key (did you mean `cpu`?)"),
        ] {
            assert_eq!(problems(&value), [expected], "{value}");
        }
    }
}
