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
pub struct Pieces {
    template: Option<Template>,
    constant: Vec<Piece<'static>>,
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
    pub(super) fn compile(
        value: &Value,
        pointer: &str,
        strip: &str,
        names: &[&str],
        known: &Known,
        problems: &mut Problems,
    ) -> Self {
        let Some(template) = compile(value, pointer, strip, names, known, problems) else { return Self::default() };
        match template.constant() {
            Some(value) => Self { constant: split(value.clone()).into_iter().map(claimed).collect(), template: None },
            None => Self { template: Some(template), constant: Vec::new() },
        }
    }

    /// The pieces for one request.
    pub fn render(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Vec<Piece<'_>>, RenderError> {
        let Some(template) = &self.template else {
            let borrowed = self.constant.iter().map(|piece| Piece {
                key: Cow::Borrowed(&*piece.key),
                value: Cow::Borrowed(&*piece.value),
                claim: piece.claim.as_deref().map(Cow::Borrowed),
                position: piece.position.as_deref().map(Cow::Borrowed),
            });
            return Ok(borrowed.collect());
        };
        match template.render(scope, budget)? {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(value @ (Value::Array(_) | Value::Object(_))) => Ok(split(value)),
            Some(other) => Err(RenderError {
                path: String::new(),
                message: format!("expected a list or an object, found {}", describe(&other)),
                expression: String::new(),
                offset: 0,
            }),
        }
    }

    /// The values that are the same for every request.
    pub fn constants(&self) -> impl Iterator<Item = &Value> {
        self.constant.iter().map(|piece| &*piece.value)
    }

    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.template.as_ref().is_some_and(|template| template.any_expression(test))
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

/// The pieces of a list or an object; `null` brings nothing, as in Kubernetes.
fn split(value: Value) -> Vec<Piece<'static>> {
    match value {
        Value::Array(items) => items.into_iter().filter(|item| !item.is_null()).map(item).collect(),
        // In the order of the keys, not of the settings: some hosts hand settings over with their keys sorted.
        Value::Object(mut map) => {
            map.sort_keys();
            let entries = map.into_iter().filter(|(_, value)| !value.is_null());
            let piece = |(key, value): (String, Value)| Piece { key: Cow::Owned(key), ..Piece::of(value) };
            entries.map(piece).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the whole of a list or object is made by an expression.
fn is_expression(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("${") && text.ends_with('}'))
}

/// A list item without its `position`, which no item of a list in Kubernetes has.
fn item(mut item: Value) -> Piece<'static> {
    let position = item.as_object_mut().and_then(|item| item.shift_remove("position"));
    Piece { position: position.as_ref().map(|position| Cow::Owned(Position::of(position))), ..Piece::of(item) }
}

/// A list; `position` in its items is checked here, as it may hold no expressions.
pub(super) fn read_list(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if !is_expression(node.value) {
        let Some(items) = node.items(problems) else { return Pieces::default() };
        for item in items {
            if let Some(position) = item.value.get("position") {
                Position::read(&Node { value: position, pointer: child(&item.pointer, "position") }, problems);
            }
        }
    }
    Pieces::compile(node.value, &node.pointer, "", names, known, problems)
}

pub(super) fn read_map(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if !is_expression(node.value) && node.entries(problems).is_none() {
        return Pieces::default();
    }
    Pieces::compile(node.value, &node.pointer, "", names, known, problems)
}
