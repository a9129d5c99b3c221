//! Lists and objects with expressions in them, taken apart into what is put into a pod one by one.

use std::borrow::Cow;

use serde_json::Value;

use super::Known;
use super::container::Position;
use crate::expression::template::{RenderError, Template};
use crate::expression::{Budget, Scope};
use crate::injection::fingerprint::{self, Context};
use crate::read::{Node, Problems, child, describe};

/// A list, or one object, with expressions in it; what is constant is rendered and fingerprinted once.
#[derive(Debug, Default)]
pub struct Pieces(Vec<Part>);

/// One item or entry, or the whole where an expression makes it.
#[derive(Debug)]
enum Part {
    Constant(Piece<'static>),
    Computed(Computed),
}

#[derive(Debug)]
struct Computed {
    template: Template,
    /// Where it stands below the whole, as a JSON pointer, and what its own paths begin with instead.
    at: String,
    strip: &'static str,
    /// The key, where it is an entry of an object.
    key: Option<String>,
}

/// One rendered list item or map entry.
#[derive(Debug)]
pub struct Piece<'s> {
    /// The key, where the pieces are those of an object.
    pub key: Cow<'s, str>,
    /// What is injected.
    pub value: Cow<'s, Value>,
    /// Its fingerprint, see [`fingerprint`], where that does not hang on the pod.
    claim: Option<Cow<'s, str>>,
    /// Where it asks to stand in its list.
    pub position: Option<Cow<'s, Position>>,
}

impl Piece<'_> {
    /// A list item or value that was made for this pod.
    pub(crate) fn of(value: Value) -> Self {
        Self { key: Cow::Borrowed(""), value: Cow::Owned(value), claim: None, position: None }
    }

    /// The value and its claim in a place with these keys.
    pub(crate) fn into_parts(self, context: Context<'_>) -> (Value, String) {
        let claim = self.claim.map_or_else(|| fingerprint::claim(&self.value, context), Cow::into_owned);
        (self.value.into_owned(), claim)
    }

    /// To be called after a change in its value.
    pub(crate) fn forget_claim(&mut self) {
        self.claim = None;
    }

    /// The same piece with a change in its value.
    pub(crate) fn change(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut value = self.value.into_owned();
        change(&mut value);
        Self { value: Cow::Owned(value), claim: None, ..self }
    }

    /// Where it asks to stand; without a wish anywhere.
    pub(crate) fn place(&self) -> &Position {
        static ANYWHERE: Position = Position { before: Vec::new(), after: Vec::new() };
        self.position.as_deref().unwrap_or(&ANYWHERE)
    }
}

impl Pieces {
    /// The pieces of a single item, which stands at `pointer`.
    pub(super) fn of_one(item: Value, pointer: &str, names: &[&str], known: &Known, problems: &mut Problems) -> Self {
        let Some(template) = compile(&Value::Array(vec![item]), pointer, "/0", names, known, problems) else {
            return Self::default();
        };
        match template.constant() {
            Some(value) => Self(split(value.clone(), None).into_iter().map(claimed).map(Part::Constant).collect()),
            None => Self(vec![Part::Computed(Computed { template, at: String::new(), strip: "/0", key: None })]),
        }
    }

    fn compile(value: &Value, pointer: &str, names: &[&str], known: &Known, problems: &mut Problems) -> Self {
        let mut parts = Vec::new();
        let mut add = |value: &Value, at: String, strip: &'static str, key: Option<String>| {
            let Some(template) = compile(value, &format!("{pointer}{at}"), strip, names, known, problems) else {
                return;
            };
            let Some(value) = template.constant() else {
                return parts.push(Part::Computed(Computed { template, at, strip, key }));
            };
            let pieces = split(value.clone(), key);
            parts.extend(pieces.into_iter().map(claimed).map(Part::Constant));
        };
        match value {
            // As lists of one, because `when` and `forEach` make none or several of an item.
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    add(&Value::Array(vec![item.clone()]), format!("/{index}"), "/0", None);
                }
            }
            // In the order of the keys, not of the settings: some hosts hand settings over with their keys sorted.
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                for (key, value) in entries {
                    add(value, child("", key), "", Some(key.clone()));
                }
            }
            whole => add(whole, String::new(), "", None),
        }
        Self(parts)
    }

    /// The pieces for one request.
    pub fn render(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Vec<Piece<'_>>, RenderError> {
        let mut pieces = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            match part {
                Part::Constant(piece) => pieces.push(Piece {
                    key: Cow::Borrowed(&*piece.key),
                    value: Cow::Borrowed(&*piece.value),
                    claim: piece.claim.as_deref().map(Cow::Borrowed),
                    position: piece.position.as_deref().map(Cow::Borrowed),
                }),
                Part::Computed(part) => pieces.extend(part.render(scope, budget)?),
            }
        }
        Ok(pieces)
    }

    /// The values that are the same for every request.
    pub fn constants(&self) -> impl Iterator<Item = &Value> {
        self.0.iter().filter_map(|part| match part {
            Part::Constant(piece) => Some(&*piece.value),
            Part::Computed(_) => None,
        })
    }

    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Computed(part) if part.template.any_expression(test)))
    }
}

impl Computed {
    fn render(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Vec<Piece<'static>>, RenderError> {
        let rendered = self.template.render(scope, budget).map_err(|error| {
            let below = error.path.strip_prefix(self.strip).unwrap_or(&error.path);
            RenderError { path: format!("{}{below}", self.at), ..error }
        })?;
        match rendered {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(value) if self.key.is_some() || value.is_array() || value.is_object() => {
                Ok(split(value, self.key.clone()))
            }
            Some(other) => Err(RenderError {
                path: self.at.clone(),
                message: format!("expected a list or an object, found {}", describe(&other)),
                expression: String::new(),
                offset: 0,
            }),
        }
    }
}

/// Compiles a template that stands at `pointer`; `strip` is what its own paths begin with and the settings' do not.
pub(super) fn compile(
    value: &Value,
    pointer: &str,
    strip: &str,
    names: &[&str],
    known: &Known,
    problems: &mut Problems,
) -> Option<Template> {
    match Template::compile(value, names, known) {
        Ok(template) => Some(template),
        Err(found) => {
            for problem in found {
                let below = problem.path.strip_prefix(strip).unwrap_or(&problem.path);
                problems.add_with_hint(format!("{pointer}{below}"), problem.message, problem.hint);
            }
            None
        }
    }
}

/// A piece with its claim worked out once and for all.
fn claimed(piece: Piece<'static>) -> Piece<'static> {
    let claim = fingerprint::claim(&piece.value, Context { parent: "", key: &piece.key });
    Piece { claim: Some(Cow::Owned(claim)), ..piece }
}

/// The pieces of a list or an object, or of the value of one key; `null` brings nothing, as in Kubernetes.
fn split(value: Value, key: Option<String>) -> Vec<Piece<'static>> {
    let entry = |(key, value): (String, Value)| Piece { key: Cow::Owned(key), ..Piece::of(value) };
    match (value, key) {
        (Value::Null, _) => Vec::new(),
        (value, Some(key)) => vec![entry((key, value))],
        (Value::Array(items), None) => items.into_iter().filter(|item| !item.is_null()).map(item).collect(),
        (Value::Object(mut map), None) => {
            map.sort_keys();
            map.into_iter().filter(|(_, value)| !value.is_null()).map(entry).collect()
        }
        (_, None) => Vec::new(),
    }
}

/// Whether the whole of a list or object is made by an expression.
fn is_expression(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("${") && text.ends_with('}'))
}

/// A list item without its `position`, which no item of a list in Kubernetes has.
fn item(mut item: Value) -> Piece<'static> {
    let position = item.as_object_mut().and_then(|item| item.shift_remove("position"));
    // What is none was refused with the settings, or comes from an expression and asks for nothing.
    let position = position.and_then(|position| Position::of(&position).ok()).map(Cow::Owned);
    Piece { position, ..Piece::of(item) }
}

/// A list whose items may have a `position`; that is checked here, as it may hold no expressions.
pub(super) fn read_ordered(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if !is_expression(node.value) {
        let Some(items) = node.items(problems) else { return Pieces::default() };
        for item in items {
            if let Some(position) = item.value.get("position") {
                Position::read(&Node { value: position, pointer: child(&item.pointer, "position") }, problems);
            }
        }
    }
    Pieces::compile(node.value, &node.pointer, names, known, problems)
}

/// A list whose order says nothing.
pub(super) fn read_list(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if !is_expression(node.value) {
        let Some(items) = node.items(problems) else { return Pieces::default() };
        for item in items.iter().filter(|item| item.value.get("position").is_some()) {
            problems.add(child(&item.pointer, "position"), "the items of this list have no position");
        }
    }
    Pieces::compile(node.value, &node.pointer, names, known, problems)
}

pub(super) fn read_map(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if !is_expression(node.value) && node.entries(problems).is_none() {
        return Pieces::default();
    }
    Pieces::compile(node.value, &node.pointer, names, known, problems)
}
