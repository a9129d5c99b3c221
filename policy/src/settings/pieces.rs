//! Lists and objects with expressions in them, taken apart into what is put into a pod one by one.

use std::borrow::Cow;

use serde_json::Value;

use super::Known;
use super::container::Position;
use crate::expression::template::{RenderError, Template, TemplateProblem};
use crate::expression::{Budget, Scope};
use crate::injection::fingerprint::{self, Context};
use crate::read::{Node, Problems, child, describe};
use crate::schema::Schema;

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
    place: Place,
}

/// A place in a list or object.
#[derive(Debug)]
struct Place {
    /// As a JSON pointer below the whole.
    at: String,
    /// What the paths of its template begin with instead.
    strip: &'static str,
    /// The key, where it is an entry of an object.
    key: Option<String>,
}

impl Place {
    /// The whole list or object.
    const WHOLE: Self = Self { at: String::new(), strip: "", key: None };
    /// An item, whose template is a list of one.
    const ITEM: Self = Self { at: String::new(), strip: "/0", key: None };
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

    /// Changes the value.
    pub(crate) fn edit<T>(&mut self, edit: impl FnOnce(&mut Value) -> T) -> T {
        self.claim = None;
        edit(self.value.to_mut())
    }

    /// The same piece with a change in its value.
    pub(crate) fn change(mut self, change: impl FnOnce(&mut Value)) -> Self {
        self.edit(change);
        self
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
        let mut pieces = Self::default();
        pieces.add(Place::ITEM, &Value::Array(vec![item]), pointer, (names, known), problems);
        pieces
    }

    fn compile(value: &Value, pointer: &str, names: &[&str], known: &Known, problems: &mut Problems) -> Self {
        let mut pieces = Self::default();
        match value {
            // As lists of one, because `when` and `forEach` make none or several of an item.
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let place = Place { at: format!("/{index}"), ..Place::ITEM };
                    pieces.add(place, &Value::Array(vec![item.clone()]), pointer, (names, known), problems);
                }
            }
            // In the order of the keys, not of the settings: some hosts hand settings over with their keys sorted.
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                for (key, value) in entries {
                    let place = Place { at: child("", key), key: Some(key.clone()), ..Place::WHOLE };
                    pieces.add(place, value, pointer, (names, known), problems);
                }
            }
            whole => pieces.add(Place::WHOLE, whole, pointer, (names, known), problems),
        }
        pieces
    }

    /// Compiles what stands in one place below `pointer`.
    fn add(
        &mut self,
        place: Place,
        value: &Value,
        pointer: &str,
        (names, known): (&[&str], &Known),
        problems: &mut Problems,
    ) {
        let pointer = format!("{pointer}{}", place.at);
        let Some(template) = compile(value, &pointer, place.strip, names, known, problems) else { return };
        match template.constant() {
            Some(value) => {
                let pieces = split(value.clone(), place.key);
                self.0.extend(pieces.into_iter().map(claimed).map(Part::Constant));
            }
            None => self.0.push(Part::Computed(Computed { template, place })),
        }
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
        let Place { at, strip, key } = &self.place;
        let rendered = self.template.render(scope, budget).map_err(|error| {
            let below = error.path.strip_prefix(strip).unwrap_or(&error.path);
            RenderError { path: format!("{at}{below}"), ..error }
        })?;
        match rendered {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(value) if key.is_some() || value.is_array() || value.is_object() => Ok(split(value, key.clone())),
            Some(other) => Err(RenderError {
                path: at.clone(),
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
    sound(Template::compile(value, names, known), pointer, strip, problems)
}

/// What was compiled, or its problems, each told at its place.
pub(super) fn sound<T>(
    compiled: Result<T, Vec<TemplateProblem>>,
    pointer: &str,
    strip: &str,
    problems: &mut Problems,
) -> Option<T> {
    for problem in compiled.as_ref().err().into_iter().flatten() {
        let below = problem.path.strip_prefix(strip).unwrap_or(&problem.path);
        problems.add_with_hint(format!("{pointer}{below}"), problem.message.clone(), problem.hint.clone());
    }
    compiled.ok()
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
    let check = |position: &Node<'_>, problems: &mut Problems| drop(Position::read(position, problems));
    read_items(node, check, names, known, problems)
}

/// A list whose order says nothing.
pub(super) fn read_list(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let refuse = |position: &Node<'_>, problems: &mut Problems| {
        problems.add(&position.pointer, "the items of this list have no position");
    };
    read_items(node, refuse, names, known, problems)
}

fn read_items(
    node: Option<Node<'_>>,
    judge_position: impl Fn(&Node<'_>, &mut Problems),
    names: &[&str],
    known: &Known,
    problems: &mut Problems,
) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if !is_expression(node.value) {
        let Some(items) = node.items(problems) else { return Pieces::default() };
        for item in items {
            if let Some(value) = item.value.get("position") {
                judge_position(&Node { value, pointer: child(&item.pointer, "position") }, problems);
            }
        }
    }
    Pieces::compile(node.value, &node.pointer, names, known, problems)
}

/// Items of Kubernetes with `when` and `forEach`.
pub(super) fn list_schema() -> Schema {
    Schema::list_of(Schema::any()).or_expression()
}

/// Keys of Kubernetes.
pub(super) fn map_schema() -> Schema {
    Schema::map_of(Schema::any()).or_expression()
}

pub(super) fn read_map(node: Option<Node<'_>>, names: &[&str], known: &Known, problems: &mut Problems) -> Pieces {
    let Some(node) = node else { return Pieces::default() };
    if !is_expression(node.value) && node.entries(problems).is_none() {
        return Pieces::default();
    }
    Pieces::compile(node.value, &node.pointer, names, known, problems)
}
