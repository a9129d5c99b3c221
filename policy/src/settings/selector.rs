//! Label selectors, as `k8s.io/apimachinery/pkg/labels` reads them.

use serde_json::{Map, Value};

use super::name::{is_label_value, is_qualified_name};
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// The label that every namespace carries with its own name; it is known also where the other labels are not.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A label selector; every requirement must hold. An empty selector fits everything.
#[derive(Debug, Default, Clone)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

const OPERATORS: [(&str, Operator); 4] = [
    ("In", Operator::In),
    ("NotIn", Operator::NotIn),
    ("Exists", Operator::Exists),
    ("DoesNotExist", Operator::DoesNotExist),
];

impl Selector {
    /// Reads `{matchLabels, matchExpressions}`.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut requirements = Vec::new();
        if let Some(entries) = fields.optional("matchLabels").and_then(|labels| labels.entries(problems)) {
            for (key, value) in entries {
                if let Some(text) = value.text(problems) {
                    requirements.push(Requirement {
                        key: key.to_owned(),
                        operator: Operator::In,
                        values: vec![text.to_owned()],
                    });
                }
                check_key(key, &value.pointer, problems);
            }
        }
        if let Some(items) = fields.optional("matchExpressions").and_then(|list| list.items(problems)) {
            requirements.extend(items.iter().filter_map(|item| Requirement::read(item, problems)));
        }
        fields.finish(problems);
        Some(Self(requirements))
    }

    pub(crate) fn schema() -> Schema {
        let requirement = Schema::object([
            ("key", Schema::filled()),
            ("operator", Schema::choice(&OPERATORS)),
            ("values", Schema::list_of(Schema::text())),
        ]);
        Schema::object([
            ("matchLabels", Schema::map_of(Schema::text())),
            ("matchExpressions", Schema::list_of(requirement.requires(&["key", "operator"]))),
        ])
    }

    /// Whether labels fit. Values that are not text never fit a value.
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        self.0.iter().all(|requirement| {
            let value = labels.and_then(|labels| labels.get(&requirement.key));
            let listed =
                || value.and_then(Value::as_str).is_some_and(|text| requirement.values.iter().any(|v| v == text));
            match requirement.operator {
                Operator::In => listed(),
                Operator::NotIn => value.is_none() || !listed(),
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
    }

    /// Whether labels fit of which there may be more than are known, unless `complete`; `None` where it hangs on those.
    pub(crate) fn fits(&self, known: &Map<String, Value>, complete: bool) -> Option<bool> {
        let open = |requirement: &Requirement| !complete && !known.contains_key(&requirement.key);
        let settled = self.0.iter().filter(|requirement| !open(requirement));
        let holds = Self(settled.cloned().collect()).matches(Some(known));
        if holds && self.0.iter().any(open) { None } else { Some(holds) }
    }

    /// The labels that whatever fits must have with one value only.
    pub(crate) fn implied(&self) -> Map<String, Value> {
        let single = |requirement: &Requirement| match (requirement.operator, requirement.values.as_slice()) {
            (Operator::In, [value]) => Some((requirement.key.clone(), Value::from(value.as_str()))),
            _ => None,
        };
        self.0.iter().filter_map(single).collect()
    }

    /// Whether no labels can fit both.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.0.iter().any(|one| other.0.iter().any(|other| one.excludes(other)))
    }

    /// Whether it fits everything.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether nothing but the namespace's own name is asked for.
    pub fn asks_only_for_name(&self) -> bool {
        self.0.iter().all(|requirement| requirement.key == NAMESPACE_NAME_LABEL)
    }
}

impl Requirement {
    /// Whether no value of the label, nor its absence, fits both.
    fn excludes(&self, other: &Self) -> bool {
        let both =
            |one, two| (self.operator, other.operator) == (one, two) || (other.operator, self.operator) == (one, two);
        let shared = |one: &Self, two: &Self| one.values.iter().filter(|value| two.values.contains(value)).count();
        let inside = |one: &Self, two: &Self| shared(one, two) == one.values.len();
        self.key == other.key
            && match (self.operator, other.operator) {
                (Operator::In, Operator::In) => shared(self, other) == 0,
                (Operator::In, Operator::NotIn) => inside(self, other),
                (Operator::NotIn, Operator::In) => inside(other, self),
                _ => both(Operator::In, Operator::DoesNotExist) || both(Operator::Exists, Operator::DoesNotExist),
            }
    }

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let key = fields.required("key", problems).and_then(|key| key.filled_text(problems));
        let operator = fields.required("operator", problems).and_then(|node| node.choice(&OPERATORS, problems));
        let mut values = Vec::new();
        if let Some(items) = fields.optional("values").and_then(|list| list.items(problems)) {
            for item in items {
                if let Some(text) = item.text(problems) {
                    if !is_label_value(text) {
                        problems.add(&item.pointer, format!("expected a label value, found `{text}`"));
                    }
                    values.push(text.to_owned());
                }
            }
        }
        let pointer = fields.pointer().to_owned();
        fields.finish(problems);
        let (key, operator) = (key?, operator?);
        check_key(key, &pointer, problems);
        match (operator, values.is_empty()) {
            (Operator::In | Operator::NotIn, true) => {
                problems.add(&pointer, "`values` is missing: In and NotIn need at least one");
            }
            (Operator::Exists | Operator::DoesNotExist, false) => {
                problems.add(&pointer, "`values` must be left out with Exists and DoesNotExist");
            }
            _ => {}
        }
        Some(Self { key: key.to_owned(), operator, values })
    }
}

fn check_key(key: &str, pointer: &str, problems: &mut Problems) {
    if !is_qualified_name(key) {
        problems.add(pointer, format!("expected a label key such as `app.kubernetes.io/name`, found `{key}`"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selector(value: &Value) -> Selector {
        let mut problems = Problems::default();
        let selector = Selector::read(&Node::root(value), &mut problems).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        selector
    }

    #[test]
    fn requirements_are_those_of_kubernetes() {
        let labels = json!({"app": "web", "tier": "prod"});
        for (requirement, fits) in [
            (json!({"key": "app", "operator": "In", "values": ["web", "api"]}), true),
            (json!({"key": "app", "operator": "NotIn", "values": ["web"]}), false),
            (json!({"key": "gone", "operator": "NotIn", "values": ["web"]}), true),
            (json!({"key": "gone", "operator": "In", "values": ["web"]}), false),
            (json!({"key": "tier", "operator": "Exists"}), true),
            (json!({"key": "gone", "operator": "DoesNotExist"}), true),
            (json!({"key": "tier", "operator": "DoesNotExist"}), false),
        ] {
            let selector = selector(&json!({"matchExpressions": [requirement]}));
            assert_eq!(selector.matches(labels.as_object()), fits, "{requirement}");
        }
    }

    #[test]
    fn selectors_exclude_each_other_where_no_label_fits_both() {
        let of = |operator: &str, values: Value| {
            let mut requirement = json!({"key": "app", "operator": operator});
            if !values.is_null() {
                requirement["values"] = values;
            }
            selector(&json!({"matchExpressions": [requirement]}))
        };
        for (one, other, excluded) in [
            (of("In", json!(["a", "b"])), of("In", json!(["b", "c"])), false),
            (of("In", json!(["a"])), of("In", json!(["b"])), true),
            (of("In", json!(["a"])), of("NotIn", json!(["a", "b"])), true),
            (of("In", json!(["a", "c"])), of("NotIn", json!(["a", "b"])), false),
            (of("NotIn", json!(["a"])), of("NotIn", json!(["b"])), false),
            (of("In", json!(["a"])), of("DoesNotExist", Value::Null), true),
            (of("Exists", Value::Null), of("DoesNotExist", Value::Null), true),
            (of("Exists", Value::Null), of("In", json!(["a"])), false),
            (of("In", json!(["a"])), selector(&json!({"matchLabels": {"tier": "b"}})), false),
        ] {
            assert_eq!(one.excludes(&other), excluded, "{one:?} {other:?}");
            assert_eq!(other.excludes(&one), excluded, "{other:?} {one:?}");
        }
    }

    #[test]
    fn labels_that_are_not_known_leave_it_open() {
        let known = json!({"app": "web"});
        let known = known.as_object().unwrap();
        for (requirement, open, complete) in [
            (json!({"key": "app", "operator": "In", "values": ["web"]}), Some(true), Some(true)),
            (json!({"key": "app", "operator": "DoesNotExist"}), Some(false), Some(false)),
            (json!({"key": "tier", "operator": "In", "values": ["x"]}), None, Some(false)),
            (json!({"key": "tier", "operator": "DoesNotExist"}), None, Some(true)),
        ] {
            let selector = selector(&json!({"matchExpressions": [requirement]}));
            assert_eq!(selector.fits(known, false), open, "{requirement}");
            assert_eq!(selector.fits(known, true), complete, "{requirement}");
        }
        let both = json!({"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]});
        assert_eq!(selector(&both).fits(known, false), Some(false));
        assert_eq!(Value::Object(selector(&both).implied()), json!({"app": "db"}));
    }

    #[test]
    fn an_empty_selector_fits_everything() {
        assert!(selector(&json!({})).matches(None));
    }

    #[test]
    fn a_selector_that_cannot_be_meant_is_a_problem() {
        for value in [
            json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
            json!({"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}),
            json!({"matchLabels": {"a b": "c"}}),
            json!({"matchlabels": {}}),
        ] {
            let mut problems = Problems::default();
            Selector::read(&Node::root(&value), &mut problems);
            assert!(!problems.is_empty(), "{value}");
        }
    }
}
