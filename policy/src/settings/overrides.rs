//! `overrides`: annotations by which an application team may adapt a sidecar, each with a type and bounds.
//!
//! After reading, names and annotations are unique, defaults fit their types, and what an override sets is a place in a
//! container of its sidecar.

use serde_json::Value;

use super::duration::nanoseconds;
use super::name::is_qualified_name;
use crate::expression::quantity::Quantity;
use crate::expression::{Budget, JsonError, is_name, read_json};
use crate::injection::fingerprint::merge_key;
use crate::read::{Fields, Node, Problems, clip, describe, did_you_mean};
use crate::schema::Schema;

/// The domain of annotations for one sidecar: `<sidecar>` stands before it.
const DOMAIN: &str = ".sidecar.fedcar.dev/";
/// How long a text may be where its override does not say.
const LENGTH_DEFAULT: u64 = 1024;
/// All annotations of an object together are no longer.
const LENGTH_MAX: u64 = 256 * 1024;
/// How long JSON may be.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// One annotation that an application team may set.
#[derive(Debug)]
pub struct Override {
    /// The whole key of the annotation.
    pub annotation: String,
    /// Its value is `overrides.NAME` in expressions.
    pub name: String,
    /// What the annotation may hold.
    pub kind: OverrideType,
    /// The value where the annotation is absent.
    pub default: Option<Value>,
    /// Where the value goes in a rendered container.
    pub sets: Option<Target>,
}

/// A place in a container.
#[derive(Debug)]
pub struct Target {
    /// The name of the container.
    pub container: String,
    /// Keys from the container down; an item of a list is named by its merge key.
    pub path: Vec<String>,
}

/// What an annotation may hold.
#[derive(Debug)]
pub enum OverrideType {
    /// Any text, or one of a list.
    Text {
        /// Only these, where given.
        one_of: Vec<String>,
        /// At most so many characters.
        max_length: u64,
    },
    /// A whole number of 64 bits.
    Integer(Bounds<i64>),
    /// `true` or `false`.
    Boolean,
    /// A quantity of Kubernetes; its value is the canonical text.
    Quantity(Bounds<Quantity>),
    /// A duration as Go writes it; its value is the text, its bounds are nanoseconds.
    Duration(Bounds<i64>),
    /// JSON; its value is what the text says.
    Json,
}

/// Bounds, both included, with the text by which people know them.
#[derive(Debug)]
pub struct Bounds<T> {
    min: Option<(T, String)>,
    max: Option<(T, String)>,
}

/// The prefix of the annotations that are for one sidecar.
pub(crate) fn domain(sidecar: &str) -> String {
    format!("{sidecar}{DOMAIN}")
}

impl OverrideType {
    /// The value that a text stands for, or what was expected and what was found.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        let found = |expected: &str| format!("expected {expected}, found `{}`", clip(text));
        match self {
            Self::Text { one_of, max_length } => {
                if !one_of.is_empty() && !one_of.iter().any(|one| one == text) {
                    return Err(found(&format!("one of {}", one_of.join(", "))));
                }
                let length = text.chars().count();
                if u64::try_from(length).is_ok_and(|length| length > *max_length) {
                    return Err(format!("expected at most {max_length} characters, found {length}"));
                }
                Ok(Value::from(text))
            }
            Self::Integer(bounds) => {
                let number = text.parse().ok().filter(|number| bounds.admit(number));
                number.map(Value::from).ok_or_else(|| found(&format!("a whole number{bounds}")))
            }
            Self::Boolean => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(found("`true` or `false`")),
            },
            Self::Quantity(bounds) => {
                let quantity = Quantity::parse(text).ok().filter(|quantity| bounds.admit(quantity));
                let quantity = quantity.ok_or_else(|| found(&format!("a quantity such as `64Mi`{bounds}")))?;
                Ok(Value::from(quantity.canonical()))
            }
            Self::Duration(bounds) => match nanoseconds(text).filter(|duration| bounds.admit(duration)) {
                Some(_) => Ok(Value::from(text)),
                None => Err(found(&format!("a duration such as `1h30m`{bounds}"))),
            },
            Self::Json if text.len() > JSON_BYTES_MAX => {
                Err(format!("expected at most {JSON_BYTES_MAX} bytes of JSON, found {}", text.len()))
            }
            // Every value takes a byte of text, so the bound above is also one on their number.
            Self::Json => read_json(text, &mut Budget::new(u64::MAX)).map_err(|error| match error {
                JsonError::Text(reason) => format!("{}: {reason}", found("JSON")),
                JsonError::Cost => found("JSON"),
            }),
        }
    }

    /// The value of a default, which is written with its own type in the settings.
    fn read_default(&self, node: &Node<'_>, problems: &mut Problems) -> Option<Value> {
        let (text, expected) = match (self, node.value) {
            (Self::Json, value) => return Some(value.clone()),
            (Self::Boolean, value) => (value.as_bool().map(|flag| flag.to_string()), "true or false"),
            (Self::Integer(_), value) => (value.as_i64().map(|number| number.to_string()), "a whole number"),
            (Self::Quantity(_), Value::Number(number)) => (Some(number.to_string()), "a quantity"),
            (_, value) => (value.as_str().map(str::to_owned), "text"),
        };
        let read = text.ok_or_else(|| format!("expected {expected}, found {}", describe(node.value)));
        read.and_then(|text| self.read(&text)).map_err(|message| problems.add(&node.pointer, message)).ok()
    }
}

impl<T: PartialOrd> Bounds<T> {
    fn admit(&self, value: &T) -> bool {
        self.min.as_ref().is_none_or(|(min, _)| value >= min) && self.max.as_ref().is_none_or(|(max, _)| value <= max)
    }

    fn read(
        limits: &mut Limits<'_>,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
        problems: &mut Problems,
    ) -> Self {
        let mut bound = |node: Option<Node<'_>>| {
            let node = node?;
            let Some(value) = parse(node.value) else {
                problems.add(&node.pointer, format!("expected {expected}, found {}", describe(node.value)));
                return None;
            };
            let text = node.value.as_str().map_or_else(|| node.value.to_string(), str::to_owned);
            Some((value, text))
        };
        let (min, max) = (bound(limits.min.take()), bound(limits.max.take()));
        if let (Some((min, low)), Some((max, high))) = (&min, &max)
            && min > max
        {
            problems.add(&limits.pointer, format!("`min` {low} is above `max` {high}"));
        }
        Self { min, max }
    }
}

/// As it stands behind what is bounded: ` from 1 to 5`.
impl<T> std::fmt::Display for Bounds<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.min, &self.max) {
            (Some((_, min)), Some((_, max))) => write!(f, " from {min} to {max}"),
            (Some((_, min)), None) => write!(f, " of at least {min}"),
            (None, Some((_, max))) => write!(f, " of at most {max}"),
            (None, None) => Ok(()),
        }
    }
}

/// The keys that bound a value; each type takes some of them.
struct Limits<'v> {
    pointer: String,
    min: Option<Node<'v>>,
    max: Option<Node<'v>>,
    one_of: Option<Node<'v>>,
    max_length: Option<Node<'v>>,
}

impl<'v> Limits<'v> {
    fn read(fields: &mut Fields<'v>) -> Self {
        Self {
            pointer: fields.pointer().to_owned(),
            min: fields.optional("min"),
            max: fields.optional("max"),
            one_of: fields.optional("oneOf"),
            max_length: fields.optional("maxLength"),
        }
    }

    /// The type of that name with its own bounds; every other bound is a problem.
    fn kind(mut self, name: &str, problems: &mut Problems) -> OverrideType {
        let kind = match name {
            "integer" => OverrideType::Integer(Bounds::read(&mut self, "a whole number", Value::as_i64, problems)),
            "boolean" => OverrideType::Boolean,
            "quantity" => OverrideType::Quantity(Bounds::read(&mut self, "a quantity", Quantity::of, problems)),
            "duration" => {
                let parse = |value: &Value| value.as_str().and_then(nanoseconds);
                OverrideType::Duration(Bounds::read(&mut self, "a duration such as `1h30m`", parse, problems))
            }
            "json" => OverrideType::Json,
            _ => {
                let max_length = self.max_length.take().and_then(|node| node.integer(1, LENGTH_MAX, problems));
                let one_of = self.one_of.take().map(|node| read_choices(&node, problems)).unwrap_or_default();
                OverrideType::Text { one_of, max_length: max_length.unwrap_or(LENGTH_DEFAULT) }
            }
        };
        for bound in [self.min, self.max, self.one_of, self.max_length].into_iter().flatten() {
            problems.add(&bound.pointer, format!("a value of type {name} has no such bound"));
        }
        kind
    }
}

/// The texts of `oneOf`; none at all would forbid every value.
fn read_choices(node: &Node<'_>, problems: &mut Problems) -> Vec<String> {
    let Some(items) = node.items(problems) else { return Vec::new() };
    if items.is_empty() {
        problems.add(&node.pointer, "expected at least one text, found an empty list");
    }
    items.iter().filter_map(|item| item.text(problems)).map(str::to_owned).collect()
}

/// What an annotation may hold, by name.
const TYPES: [&str; 6] = ["string", "integer", "boolean", "quantity", "duration", "json"];

pub(super) fn schema() -> Schema {
    let bound = || Schema::either([Schema::number(), Schema::text()]);
    let one = Schema::object([
        ("annotation", Schema::filled().says("Short for <sidecar>.sidecar.fedcar.dev/…, or a whole key.")),
        ("name", Schema::filled().says("`overrides.NAME` in expressions; default the annotation.")),
        ("type", Schema::word(TYPES)),
        ("min", bound()),
        ("max", bound()),
        ("oneOf", Schema::some_of(Schema::text())),
        ("maxLength", Schema::integer(1, LENGTH_MAX)),
        ("default", Schema::any().says("The value where the annotation is absent, written with its own type.")),
        ("sets", Schema::filled().says("containers.NAME.… : where the value goes.")),
    ]);
    Schema::list_of(one.requires(&["annotation", "type"]))
}

/// Reads the `overrides` of the sidecar that `document` is.
pub(super) fn read(node: Option<Node<'_>>, document: &Value, problems: &mut Problems) -> Vec<Override> {
    let sidecar = document.get("name").and_then(Value::as_str).unwrap_or_default();
    let containers = container_names(document);
    let mut overrides: Vec<Override> = Vec::new();
    for item in node.and_then(|node| node.items(problems)).unwrap_or_default() {
        let Some(one) = Override::read(&item, sidecar, containers.as_deref(), problems) else { continue };
        if overrides.iter().any(|earlier| earlier.annotation == one.annotation) {
            problems.add(&item.pointer, format!("the annotation `{}` is there twice", one.annotation));
        }
        if overrides.iter().any(|earlier| earlier.name == one.name) {
            problems.add(&item.pointer, format!("the name `{}` is there twice", one.name));
        }
        overrides.push(one);
    }
    overrides
}

impl Override {
    fn read(node: &Node<'_>, sidecar: &str, containers: Option<&[&str]>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let annotation = fields.required("annotation", problems).and_then(|node| read_annotation(&node, problems));
        let name = match fields.optional("name") {
            Some(node) => read_name(&node, problems),
            None => annotation.and_then(|short| {
                if !is_name(short) {
                    problems.add(&node.pointer, format!("`name` is missing: `{short}` is no name for an expression"));
                }
                is_name(short).then_some(short)
            }),
        };
        let kind = fields.required("type", problems);
        let kind = kind.and_then(|node| node.choice(&TYPES.map(|name| (name, name)), problems));
        let limits = Limits::read(&mut fields);
        let kind = kind.map(|name| limits.kind(name, problems));
        let default = fields.optional("default");
        let default = default.zip(kind.as_ref()).and_then(|(node, kind)| kind.read_default(&node, problems));
        let sets = fields.optional("sets").and_then(|node| Target::read(&node, containers, problems));
        fields.finish(problems);
        let annotation = annotation?;
        let annotation = if annotation.contains('/') { annotation.to_owned() } else { domain(sidecar) + annotation };
        Some(Self { annotation, name: name?.to_owned(), kind: kind?, default, sets })
    }
}

fn read_annotation<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.filled_text(problems)?;
    if !is_qualified_name(text) {
        problems.add(&node.pointer, format!("expected the key of an annotation, found `{}`", clip(text)));
        return None;
    }
    Some(text)
}

fn read_name<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.filled_text(problems)?;
    if !is_name(text) {
        problems.add(&node.pointer, format!("expected a name such as `logLevel`, found `{}`", clip(text)));
        return None;
    }
    Some(text)
}

/// The names of all containers that a sidecar brings, in either version; `None` where an expression makes one of them.
fn container_names(document: &Value) -> Option<Vec<&str>> {
    let injects = ["/inject/containers", "/rollout/previous/inject/containers"];
    let containers = injects.into_iter().filter_map(|list| document.pointer(list)?.as_array()).flatten();
    let names: Vec<&str> = containers.filter_map(|container| container.get("name")?.as_str()).collect();
    (!names.iter().any(|name| name.contains("${"))).then_some(names)
}

impl Target {
    fn read(node: &Node<'_>, containers: Option<&[&str]>, problems: &mut Problems) -> Option<Self> {
        let text = node.filled_text(problems)?;
        let mut keys = text.split('.').map(str::to_owned);
        let (list, container, path) = (keys.next(), keys.next(), keys.collect::<Vec<_>>());
        let container = container.filter(|_| list.as_deref() == Some("containers"));
        let Some(container) = container.filter(|_| !path.is_empty() && !path.iter().any(String::is_empty)) else {
            let expected = "expected a path such as `containers.otel-agent.resources.limits.memory`";
            problems.add(&node.pointer, format!("{expected}, found `{}`", clip(text)));
            return None;
        };
        if let Some(names) = containers.filter(|names| !names.contains(&container.as_str())) {
            problems.add_with_hint(
                &node.pointer,
                format!("this sidecar has no container `{}`", clip(&container)),
                did_you_mean(&container, names.iter().copied()),
            );
            return None;
        }
        if path.first().is_some_and(|key| key == "name") {
            problems.add(&node.pointer, "the name of a container stays as it is");
            return None;
        }
        if let Some(list) = list_of_last(&path) {
            problems.add(&node.pointer, format!("expected a field of an item of `{list}`, found the item itself"));
            return None;
        }
        Some(Self { container, path })
    }
}

/// The list of which the last key names an item, if it does.
fn list_of_last(path: &[String]) -> Option<&str> {
    path.iter()
        .fold((None, None), |(above, _): (Option<&str>, _), key| {
            let list = above.filter(|above| merge_key(above).is_some());
            (list.is_none().then_some(key.as_str()), list)
        })
        .1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sidecar(overrides: &Value) -> Value {
        json!({"name": "otel", "overrides": overrides, "inject": {"containers": [{"name": "agent"}]},
               "rollout": {"previous": {"inject": {"containers": [{"name": "collector"}]}}}})
    }

    fn read_all(document: &Value) -> (Vec<Override>, Vec<String>) {
        let mut problems = Problems::default();
        let node = Node { value: &document["overrides"], pointer: String::new() };
        let overrides = read(Some(node), document, &mut problems);
        (overrides, problems.iter().map(ToString::to_string).collect())
    }

    fn kind(kind: &Value) -> OverrideType {
        let mut one = json!({"annotation": "x"});
        one.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        let (mut overrides, problems) = read_all(&sidecar(&json!([one])));
        assert!(problems.is_empty(), "{problems:?}");
        overrides.remove(0).kind
    }

    #[test]
    fn short_annotations_are_in_the_domain_of_the_sidecar() {
        let (overrides, problems) = read_all(&sidecar(&json!([
            {"annotation": "memory", "type": "quantity", "default": 1, "sets": "containers.agent.resources.limits.memory"},
            {"annotation": "log-level", "name": "logLevel", "type": "string", "sets": "containers.collector.env.LOG.value"},
            {"annotation": "env", "type": "string", "sets": "containers.agent.env.env.value"},
            {"annotation": "proxy.example/config", "name": "config", "type": "json", "default": {"a": [1.10]}},
        ])));
        assert_eq!(problems, [""; 0]);
        let found: Vec<_> =
            overrides.iter().map(|one| (one.annotation.as_str(), one.name.as_str(), one.default.clone())).collect();
        assert_eq!(
            found,
            [
                ("otel.sidecar.fedcar.dev/memory", "memory", Some(json!("1"))),
                ("otel.sidecar.fedcar.dev/log-level", "logLevel", None),
                ("otel.sidecar.fedcar.dev/env", "env", None),
                ("proxy.example/config", "config", Some(json!({"a": [1.10]}))),
            ]
        );
        assert_eq!(overrides[1].sets.as_ref().unwrap().path, ["env", "LOG", "value"]);
    }

    #[test]
    fn texts_are_read_as_their_type() {
        let all = json!({"type": "string"});
        let words = json!({"type": "string", "oneOf": ["a", "b c", ""], "maxLength": 3});
        let short = json!({"type": "string", "maxLength": 3});
        let (integer, bounded) = (json!({"type": "integer"}), json!({"type": "integer", "min": -2, "max": 5}));
        let memory = json!({"type": "quantity", "min": "16Mi", "max": "512Mi"});
        let time = json!({"type": "duration", "min": "100ms", "max": "1h"});
        for (of, text, value) in [
            (&all, "", Some(json!(""))),
            (&all, "${pod}", Some(json!("${pod}"))),
            (&all, &"ä".repeat(1024), Some(json!("ä".repeat(1024)))),
            (&all, &"ä".repeat(1025), None),
            (&words, "b c", Some(json!("b c"))),
            (&words, "", Some(json!(""))),
            (&words, "c", None),
            (&short, "äöü", Some(json!("äöü"))),
            (&short, "abcd", None),
            (&integer, "9223372036854775807", Some(json!(i64::MAX))),
            (&integer, "9223372036854775808", None),
            (&integer, "1.0", None),
            (&integer, " 1", None),
            (&integer, "", None),
            (&bounded, "-2", Some(json!(-2))),
            (&bounded, "5", Some(json!(5))),
            (&bounded, "-3", None),
            (&bounded, "6", None),
            (&json!({"type": "boolean"}), "true", Some(json!(true))),
            (&json!({"type": "boolean"}), "True", None),
            (&json!({"type": "boolean"}), "1", None),
            (&memory, "16Mi", Some(json!("16Mi"))),
            (&memory, "524288Ki", Some(json!("512Mi"))),
            (&memory, "0.25Gi", Some(json!("256Mi"))),
            (&memory, "536870913", None),
            (&memory, "16777215", None),
            (&memory, "64mb", None),
            (&memory, "-64Mi", None),
            (&time, "100ms", Some(json!("100ms"))),
            (&time, "60m", Some(json!("60m"))),
            (&time, "60m1ns", None),
            (&time, "99ms", None),
            (&time, "1", None),
            (&json!({"type": "json"}), r#"{"b": [1.5], "a": null}"#, Some(json!({"b": [1.5], "a": null}))),
            (&json!({"type": "json"}), "{", None),
            (&json!({"type": "json"}), "", None),
            (&json!({"type": "json"}), &"[".repeat(200_000), None),
            (&json!({"type": "json"}), &format!("\"{}\"", "x".repeat(65_534)), Some(json!("x".repeat(65_534)))),
            (&json!({"type": "json"}), &format!("\"{}\"", "x".repeat(65_535)), None),
        ] {
            assert_eq!(kind(of).read(text).ok(), value, "{of} {}", clip(text));
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_told_with_what_was_expected() {
        for (of, text, message) in [
            (json!({"type": "string", "oneOf": ["a", "b"]}), "c", "expected one of a, b, found `c`"),
            (json!({"type": "string", "maxLength": 2}), "abc", "expected at most 2 characters, found 3"),
            (json!({"type": "integer", "min": 1}), "0", "expected a whole number of at least 1, found `0`"),
            (json!({"type": "boolean"}), "yes", "expected `true` or `false`, found `yes`"),
            (
                json!({"type": "quantity", "min": "16Mi", "max": "512Mi"}),
                "1Gi",
                "expected a quantity such as `64Mi` from 16Mi to 512Mi, found `1Gi`",
            ),
            (
                json!({"type": "duration", "max": "1h"}),
                "2h",
                "expected a duration such as `1h30m` of at most 1h, found `2h`",
            ),
            (json!({"type": "json"}), "x", "expected JSON, found `x`: expected value at line 1 column 1"),
        ] {
            assert_eq!(kind(&of).read(text), Err(message.to_owned()));
        }
        let long = kind(&json!({"type": "boolean"})).read(&"x".repeat(10_000)).unwrap_err();
        assert!(long.len() < 120, "{long}");
    }

    #[test]
    fn what_cannot_be_meant_is_a_problem() {
        let with = |more: Value| {
            let mut one = json!({"annotation": "x", "type": "integer"});
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        for (more, expected) in [
            (json!({"annotation": null}), "[0]: `annotation` is missing"),
            (json!({"annotation": "a b"}), "[0].annotation: expected the key of an annotation, found `a b`"),
            (json!({"annotation": "a-b"}), "[0]: `name` is missing: `a-b` is no name for an expression"),
            (json!({"annotation": "a/b"}), "[0]: `name` is missing: `a/b` is no name for an expression"),
            (json!({"name": "1a"}), "[0].name: expected a name such as `logLevel`, found `1a`"),
            (json!({"type": null}), "[0]: `type` is missing"),
            (
                json!({"type": "int"}),
                "[0].type: expected one of string, integer, boolean, quantity, duration, json, found `int`",
            ),
            (json!({"min": 6, "max": 5}), "[0]: `min` 6 is above `max` 5"),
            (json!({"min": "1"}), "[0].min: expected a whole number, found text `1`"),
            (json!({"oneOf": ["1"]}), "[0].oneOf: a value of type integer has no such bound"),
            (json!({"type": "boolean", "max": 1}), "[0].max: a value of type boolean has no such bound"),
            (json!({"type": "string", "min": 1}), "[0].min: a value of type string has no such bound"),
            (json!({"type": "json", "maxLength": 1}), "[0].maxLength: a value of type json has no such bound"),
            (json!({"type": "string", "oneOf": []}), "[0].oneOf: expected at least one text, found an empty list"),
            (
                json!({"type": "string", "maxLength": 0}),
                "[0].maxLength: expected a whole number from 1 to 262144, found `0`",
            ),
            (json!({"type": "quantity", "min": "x"}), "[0].min: expected a quantity, found text `x`"),
            (json!({"type": "duration", "min": 5}), "[0].min: expected a duration such as `1h30m`, found `5`"),
            (json!({"max": 5, "default": 6}), "[0].default: expected a whole number of at most 5, found `6`"),
            (json!({"default": "5"}), "[0].default: expected a whole number, found text `5`"),
            (json!({"type": "string", "oneOf": ["a"], "default": "b"}), "[0].default: expected one of a, found `b`"),
            (json!({"type": "boolean", "default": "true"}), "[0].default: expected true or false, found text `true`"),
            (
                json!({"sets": "resources.limits"}),
                "[0].sets: expected a path such as `containers.otel-agent.resources.limits.memory`, found \
                 `resources.limits`",
            ),
            (
                json!({"sets": "containers.agent"}),
                "[0].sets: expected a path such as `containers.otel-agent.resources.limits.memory`, found \
                 `containers.agent`",
            ),
            (
                json!({"sets": "containers.agent.a..b"}),
                "[0].sets: expected a path such as `containers.otel-agent.resources.limits.memory`, found \
                 `containers.agent.a..b`",
            ),
            (
                json!({"sets": "containers.agnt.image"}),
                "[0].sets: this sidecar has no container `agnt` (did you mean `agent`?)",
            ),
            (json!({"sets": "containers.agent.name"}), "[0].sets: the name of a container stays as it is"),
            (
                json!({"sets": "containers.agent.env.A"}),
                "[0].sets: expected a field of an item of `env`, found the item itself",
            ),
            (json!({"annotatoin": "x"}), "[0].annotatoin: unknown key (did you mean `annotation`?)"),
        ] {
            assert_eq!(read_all(&sidecar(&json!([with(more.clone())]))).1, [expected], "{more}");
        }
        let twice = json!([
            with(json!({})),
            with(json!({"annotation": "otel.sidecar.fedcar.dev/x", "name": "y"})),
            with(json!({"annotation": "z", "name": "x"})),
        ]);
        assert_eq!(
            read_all(&sidecar(&twice)).1,
            ["[1]: the annotation `otel.sidecar.fedcar.dev/x` is there twice", "[2]: the name `x` is there twice"]
        );
    }

    #[test]
    fn where_an_expression_names_a_container_any_name_may_be_set() {
        let mut document = sidecar(&json!([{"annotation": "x", "type": "string", "sets": "containers.any.image"}]));
        assert_eq!(read_all(&document).1, ["[0].sets: this sidecar has no container `any`"]);
        document["inject"]["containers"][0]["name"] = json!("${workload.name}-agent");
        assert_eq!(read_all(&document).1, [""; 0]);
    }
}
