//! Does what a member gets keep the rules that can be judged before there is any pod?
//!
//! Judged is what the documents say of each container in either version of a sidecar, after everything that is known of
//! the member has been put in: variables, the cluster, the sidecar, and definitions that hang on nothing else. What an
//! expression makes for each pod proves nothing, so a rule about it is not kept. `match` does not narrow these rules.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::super::SourceProblem;
use super::super::date::Date;
use super::super::member::Member;
use super::super::sidecar::Sidecar;
use super::bounds::Fault;
use super::{Guardrail, Rule, exemption};
use crate::expression::Scope;
use crate::expression::template::{Condition, Template};

/// What is wrong with the sidecars of a member by its guardrails, and with the guardrails on a day.
///
/// `settings` are those of the member: they say what is known of it.
pub(in super::super) fn judge(
    guardrails: &[&Guardrail],
    sidecars: &[&Sidecar],
    member: &Member,
    settings: &Value,
    today: Date,
) -> Vec<SourceProblem> {
    let mut problems: Vec<SourceProblem> =
        guardrails.iter().flat_map(|guardrail| exemption::expired(guardrail, today)).collect();
    for sidecar in sidecars {
        let judged = |rule| {
            let chosen = guardrails.iter().filter(move |one| one.rules().any(|own| own == rule));
            chosen.copied().filter(move |guardrail| !guardrail.exempts(rule, &sidecar.name, member))
        };
        for guardrail in judged(Rule::Overrides) {
            problems.extend(override_faults(guardrail, sidecar));
        }
        let images: Vec<&Guardrail> = judged(Rule::Images).collect();
        let floors: Vec<&Guardrail> = judged(Rule::SecurityContext).collect();
        if images.is_empty() && floors.is_empty() {
            continue;
        }
        for version in Version::all(sidecar, settings) {
            for (index, container) in version.containers() {
                let at = format!("{}/inject/containers/{index}", version.pointer);
                for guardrail in &images {
                    problems.extend(image_faults(guardrail, sidecar, &version, &at, container));
                }
                for guardrail in &floors {
                    problems.extend(floor_faults(guardrail, sidecar, &version, &at, container));
                }
            }
        }
        for (guardrails, field, what) in [(&images, "image", "image"), (&floors, "securityContext", "security context")]
        {
            for guardrail in guardrails {
                problems.extend(opened(guardrail, sidecar, field, what));
            }
        }
    }
    problems
}

/// What a document says at a place of a container.
pub(super) enum Leaf<'v> {
    Missing,
    /// The same for every pod.
    Known(Cow<'v, Value>),
    /// An expression makes it for each pod.
    Depends,
}

impl Leaf<'_> {
    /// The texts of a known list.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        let Self::Known(value) = self else { return None };
        value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    }
}

/// One version of a sidecar, with what is known of the member.
struct Version<'v> {
    /// Its place in the document.
    pointer: &'static str,
    inject: Option<&'v Value>,
    known: Constants,
}

impl<'v> Version<'v> {
    fn all(sidecar: &'v Sidecar, settings: &Value) -> Vec<Self> {
        let read = |(pointer, parts): (&'static str, &'v Map<String, Value>)| Self {
            pointer,
            inject: parts.get("inject"),
            known: Constants::new(settings, &sidecar.name, parts),
        };
        sidecar.versions().map(read).collect()
    }

    /// The containers that are not certain to be left out, by their positions.
    fn containers(&self) -> impl Iterator<Item = (usize, &'v Map<String, Value>)> {
        let containers = self.inject.and_then(|inject| inject.get("containers")?.as_array()).into_iter().flatten();
        let objects = containers.enumerate().filter_map(|(index, one)| Some((index, one.as_object()?)));
        objects.filter(|(_, container)| container.get("when").is_none_or(|when| self.known.may_hold(when)))
    }

    /// What a container says at a place; what is `fixed` stands whatever else is said.
    fn leaf(&self, container: &'v Map<String, Value>, path: &[&str]) -> Leaf<'v> {
        let fixed = container.get("fixed").filter(|fixed| !fixed.is_null());
        match fixed.map_or(Leaf::Missing, |fixed| self.known.leaf(fixed, path)) {
            Leaf::Missing => match path.split_first() {
                Some((first, rest)) => {
                    container.get(*first).map_or(Leaf::Missing, |value| self.known.leaf(value, rest))
                }
                None => Leaf::Missing,
            },
            found => found,
        }
    }
}

/// Names whose values are the same for every pod of a member.
struct Constants {
    values: Map<String, Value>,
    definitions: Vec<(String, Value)>,
}

/// Every name that any expression of a sidecar may have.
const NAMES: [&str; 13] = [
    "cluster",
    "federation",
    "vars",
    "sidecar",
    "pod",
    "workload",
    "namespace",
    "applications",
    "handlers",
    "let",
    "overrides",
    "container",
    "handler",
];

impl Scope for Constants {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn known_field(&self, name: &str, field: &str) -> Option<&Value> {
        let defined = (name == "let").then(|| self.definitions.iter().find(|(one, _)| one == field));
        defined.flatten().map(|(_, value)| value)
    }
}

impl Constants {
    fn new(settings: &Value, sidecar: &str, parts: &Map<String, Value>) -> Self {
        let mut values = Map::new();
        for (name, key) in [("cluster", "cluster"), ("federation", "federation"), ("vars", "variables")] {
            values.insert(name.to_owned(), settings.get(key).cloned().unwrap_or_else(|| json!({})));
        }
        let version = parts.get("version").and_then(Value::as_str).unwrap_or("0");
        values.insert("sidecar".to_owned(), json!({"name": sidecar, "version": version}));
        let mut known = Self { values, definitions: Vec::new() };
        let lists = [settings.get("let"), parts.get("let")];
        for definition in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let name = definition.get("name").and_then(Value::as_str);
            let value = definition.get("value").and_then(|value| known.constant(value));
            if let (Some(name), Some(value)) = (name, value) {
                known.definitions.push((name.to_owned(), value));
            }
        }
        known
    }

    /// The value of a template that hangs on nothing else.
    fn constant(&self, value: &Value) -> Option<Value> {
        Template::compile(value, &NAMES, self).ok()?.constant().cloned()
    }

    /// Whether a condition is not certain to fail.
    fn may_hold(&self, condition: &Value) -> bool {
        Condition::compile(condition, &NAMES, self).map_or(true, |condition| condition.constant() != Some(false))
    }

    fn leaf<'v>(&self, value: &'v Value, path: &[&str]) -> Leaf<'v> {
        match (value, path.split_first()) {
            (Value::Null, _) => Leaf::Missing,
            (Value::Object(map), Some((key, rest))) => match map.get(*key) {
                Some(value) => self.leaf(value, rest),
                None => Leaf::Missing,
            },
            (Value::String(_), Some(_)) | (_, None) => match self.constant(value) {
                None => Leaf::Depends,
                Some(found) => match found.pointer(&pointer(path)).filter(|found| !found.is_null()) {
                    Some(found) => Leaf::Known(Cow::Owned(found.clone())),
                    None => Leaf::Missing,
                },
            },
            // The settings' own check says that this is no object.
            (_, Some(_)) => Leaf::Missing,
        }
    }
}

fn pointer(path: &[&str]) -> String {
    path.iter().flat_map(|key| ["/", key]).collect()
}

/// A problem of a sidecar, with the way to the rule and out of it.
fn problem(
    guardrail: &Guardrail,
    sidecar: &Sidecar,
    pointer: String,
    what: &str,
    hint: Option<String>,
) -> SourceProblem {
    let message = format!("the Guardrail `{}` {what}", guardrail.name);
    let place = format!("the rule stands in {}:{}", guardrail.file, guardrail.line);
    let hint = hint.map_or_else(|| place.clone(), |hint| format!("{hint}; {place}"));
    SourceProblem::at(sidecar.document, pointer, message, Some(hint))
}

fn image_faults(
    guardrail: &Guardrail,
    sidecar: &Sidecar,
    version: &Version<'_>,
    at: &str,
    container: &Map<String, Value>,
) -> Option<SourceProblem> {
    let rule = guardrail.images.as_ref()?;
    let (what, hint) = match version.leaf(container, &["image"]) {
        Leaf::Missing => return None,
        Leaf::Known(image) => rule.fault(image.as_str()?)?,
        Leaf::Depends => {
            let hint = "let it hang on nothing but `vars`, `cluster`, `federation` and `sidecar`";
            ("judges images, and an expression makes this one for each pod".to_owned(), Some(hint.to_owned()))
        }
    };
    Some(problem(guardrail, sidecar, format!("{at}/image"), &what, hint))
}

fn floor_faults(
    guardrail: &Guardrail,
    sidecar: &Sidecar,
    version: &Version<'_>,
    at: &str,
    container: &Map<String, Value>,
) -> Vec<SourceProblem> {
    let faults = guardrail.security_context.as_ref().map(|floor| floor.faults(|path| version.leaf(container, path)));
    let faults = faults.into_iter().flatten();
    faults.map(|(below, what)| problem(guardrail, sidecar, format!("{at}{below}"), &what, None)).collect()
}

fn override_faults(guardrail: &Guardrail, sidecar: &Sidecar) -> Vec<SourceProblem> {
    let declared = sidecar.overrides();
    let mut problems = Vec::new();
    for (position, bound) in guardrail.overrides.iter().enumerate().filter(|(_, one)| one.sidecar == sidecar.name) {
        for (index, found) in declared.clone().filter(|(_, one)| sidecar.is_annotation(one, &bound.annotation)) {
            problems.extend(bound.faults(found).into_iter().map(|fault| match fault {
                Fault::Override(key, what, hint) => {
                    problem(guardrail, sidecar, format!("/spec/overrides/{index}/{key}"), &what, hint)
                }
                Fault::Bound(key, message) => {
                    SourceProblem::at(guardrail.document, format!("/spec/overrides/{position}/{key}"), message, None)
                }
            }));
        }
    }
    problems
}

/// The places where a sidecar lets others say what a rule is about.
fn opened(guardrail: &Guardrail, sidecar: &Sidecar, field: &str, what: &str) -> Vec<SourceProblem> {
    let mut problems = Vec::new();
    let leave = format!("leave the {what} to the document");
    for (index, one) in sidecar.overrides() {
        let path = one.get("sets").and_then(Value::as_str).unwrap_or_default();
        if path.split('.').nth(2) == Some(field) {
            let message = format!("judges the {what}, and this override lets application teams set it");
            problems.push(problem(
                guardrail,
                sidecar,
                format!("/spec/overrides/{index}/sets"),
                &message,
                Some(leave.clone()),
            ));
        }
    }
    for (at, parts) in sidecar.versions() {
        let containers = parts.get("inject").and_then(|inject| inject.get("containers")?.as_array());
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let fields = container.get("overridable").and_then(Value::as_array).into_iter().flatten();
            // An image that is fixed stands as a whole; of a security context only what is said there does.
            if field == "image" && container.pointer("/fixed/image").is_some() {
                continue;
            }
            let named = |one: &Value| one.as_str().is_some_and(|one| one == field || one == "*");
            if let Some((position, _)) = fields.enumerate().find(|(_, one)| named(one)) {
                let message = format!("judges the {what}, and a container of the user may set it here");
                let pointer = format!("{at}/inject/containers/{index}/overridable/{position}");
                problems.push(problem(guardrail, sidecar, pointer, &message, Some(leave.clone())));
            }
        }
    }
    problems
}
