//! From a JSON value to a template: finding expressions, checking their names, folding what is known.
//!
//! Every problem is reported, not only the first. Work is bounded: what is known is worked out from a budget of its own.

use serde_json::{Map, Value};

use super::ast::{Kind, Node};
use super::suggest::nearest;
use super::template::{Part, TemplateProblem, Test, pointer_token, price};
use super::text::{Piece, Source, split};
use super::{Budget, ExprError, Scope, join};

/// What a template may cost to work out beforehand, which happens once and not for each object. A million nodes take
/// some tens of milliseconds.
const FOLD_UNITS: u64 = 1_000_000;

/// Deepest value; `serde_json` reads no deeper one.
const MAX_VALUE_DEPTH: usize = 128;

const LITERAL_HINT: &str = "`$${` writes a literal `${`";

pub(super) struct Compiler<'n> {
    pub(super) names: Vec<&'n str>,
    pub(super) budget: Budget,
    pub(super) path: Vec<String>,
    pub(super) problems: Vec<TemplateProblem>,
}

impl<'n> Compiler<'n> {
    pub(super) fn new(names: &[&'n str]) -> Self {
        Self { names: names.to_vec(), budget: Budget::new(FOLD_UNITS), path: Vec::new(), problems: Vec::new() }
    }

    pub(super) fn finish<T>(mut self, compiled: T) -> Result<T, Vec<TemplateProblem>> {
        if self.budget.remaining() == 0 {
            self.problem("working out what is known costs too much", Some("use fewer or smaller `forEach` lists"));
        }
        if self.problems.is_empty() { Ok(compiled) } else { Err(self.problems) }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn problem(&mut self, message: &str, hint: Option<&str>) {
        let problem =
            TemplateProblem { path: self.path.concat(), message: message.to_owned(), hint: hint.map(str::to_owned) };
        // An item that is unrolled has the same problem in each copy.
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn below<T>(&mut self, token: &str, compile: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(pointer_token(token));
        let compiled = compile(self);
        self.path.pop();
        compiled
    }

    pub(super) fn part(&mut self, value: &Value, known: &dyn Scope) -> Part {
        if self.budget.spend(1).is_err() {
            return Part::Absent;
        }
        if self.path.len() > MAX_VALUE_DEPTH {
            self.problem("value is nested too deep", None);
            return Part::Absent;
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => constant(value.clone()),
            Value::String(text) => self.string(text, known),
            Value::Array(items) => self.list(items, known),
            Value::Object(map) => self.object(map, &[], known),
        }
    }

    fn string(&mut self, text: &str, known: &dyn Scope) -> Part {
        if !text.contains("${") {
            return constant(Value::from(text));
        }
        let Some(pieces) = self.pieces(text, known) else {
            return Part::Absent;
        };
        match <[Piece; 1]>::try_from(pieces) {
            Ok([Piece::Value(source)]) => self.whole(source, known),
            Ok([Piece::Literal(text)]) => constant(Value::String(text)),
            Err(pieces) => self.text(pieces, known),
        }
    }

    /// The pieces of a string, with their names checked and their expressions folded.
    fn pieces(&mut self, text: &str, known: &dyn Scope) -> Option<Vec<Piece>> {
        let mut pieces = match split(text) {
            Ok(pieces) => pieces,
            Err(error) => {
                self.expression_problem(0, &error);
                return None;
            }
        };
        let mut sound = true;
        for piece in &mut pieces {
            if let Piece::Value(source) = piece {
                sound &= self.check_names(source, known);
                source.expression.fold(known, &mut self.budget);
            }
        }
        sound.then_some(pieces)
    }

    fn check_names(&mut self, source: &Source, known: &dyn Scope) -> bool {
        let problems = self.problems.len();
        for name in &source.expression.free {
            if self.names.contains(&&*name.text) || known.get(&name.text).is_some() {
                continue;
            }
            let hint = match nearest(&name.text, self.names.iter().copied()) {
                Some(near) => join(&["did you mean `", near, "`? ", LITERAL_HINT]),
                None => String::from(LITERAL_HINT),
            };
            let message = join(&["unknown name `", &name.text, "`"]);
            self.expression_problem(source.start, &ExprError { message, offset: name.offset, hint: Some(hint) });
        }
        self.check_fields(&source.expression.root, source, known);
        self.problems.len() == problems
    }

    /// Fields of a name whose fields are known must be among them.
    fn check_fields(&mut self, node: &Node, source: &Source, known: &dyn Scope) {
        if let Kind::Name(name) = &node.kind
            && known.fields(name).is_some()
        {
            let message = join(&["`", name, "` is read by its fields only"]);
            let hint = Some(join(&["write `", name, ".NAME`"]));
            let offset = node.offset as usize;
            self.expression_problem(source.start, &ExprError { message, offset, hint });
            return;
        }
        if let Some((name, field)) = node.kind.field_of_name()
            && let Some(fields) = known.fields(name)
            && !fields.iter().any(|one| one == field)
        {
            let message = join(&["`", name, "` has no `", field, "`"]);
            let hint = nearest(field, fields.iter().map(String::as_str));
            let hint = match hint {
                Some(near) => join(&["did you mean `", near, "`?"]),
                None => join(&["it has ", &fields.join(", "), " here"]),
            };
            let offset = node.offset as usize;
            self.expression_problem(source.start, &ExprError { message, offset, hint: Some(hint) });
        }
        // The name itself has just been looked at.
        let of_name = node.kind.field_of_name().is_some();
        for (child, _) in node.kind.children().into_iter().filter(|_| !of_name) {
            self.check_fields(child, source, known);
        }
    }

    /// A problem of an expression that begins at `start` of the string.
    fn expression_problem(&mut self, start: usize, error: &ExprError) {
        let place = (start + error.offset).to_string();
        let message = join(&[error.message.as_str(), " at byte ", &place]);
        self.problem(&message, Some(error.hint.as_deref().unwrap_or(LITERAL_HINT)));
    }

    fn whole(&mut self, source: Source, known: &dyn Scope) -> Part {
        if !source.expression.is_settled() {
            return Part::Whole(source);
        }
        match source.expression.evaluate(known, &mut self.budget) {
            Ok(Some(value)) => constant(value),
            Ok(None) => Part::Absent,
            Err(error) => {
                self.value_problem(&source, &error);
                Part::Absent
            }
        }
    }

    /// An expression that is settled and yet has no value.
    pub(super) fn value_problem(&mut self, source: &Source, error: &ExprError) {
        // No hint about literals: it was meant as an expression.
        let place = (source.start + error.offset).to_string();
        self.problem(&join(&[error.message.as_str(), " at byte ", &place]), error.hint.as_deref());
    }

    fn text(&mut self, pieces: Vec<Piece>, known: &dyn Scope) -> Part {
        let mut left = Vec::new();
        let mut literal = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => literal.push_str(&text),
                Piece::Value(source) if source.expression.is_settled() => {
                    if let Err(error) = source.append_to(&mut literal, known, &mut self.budget) {
                        self.value_problem(&source, &error);
                    }
                }
                Piece::Value(source) => {
                    if !literal.is_empty() {
                        left.push(Piece::Literal(std::mem::take(&mut literal)));
                    }
                    left.push(Piece::Value(source));
                }
            }
        }
        if left.is_empty() {
            return constant(Value::String(literal));
        }
        if !literal.is_empty() {
            left.push(Piece::Literal(literal));
        }
        Part::Text(left)
    }

    pub(super) fn object(&mut self, map: &Map<String, Value>, without: &[&str], known: &dyn Scope) -> Part {
        let mut entries = Vec::with_capacity(map.len());
        for (key, value) in map {
            if without.contains(&key.as_str()) {
                continue;
            }
            let part = self.below(key, |compiler| {
                if key.contains("${") {
                    compiler.problem("a key cannot hold an expression", Some("build the map with one whole `${...}`"));
                }
                compiler.part(value, known)
            });
            if !matches!(part, Part::Absent) {
                entries.push((key.clone(), part));
            }
        }
        if entries.iter().any(|(_, part)| !matches!(part, Part::Constant(..))) {
            return Part::Object(entries);
        }
        let values = entries.into_iter().filter_map(|(key, part)| match part {
            Part::Constant(value, _) => Some((key, value)),
            Part::Absent | Part::Whole(_) | Part::Text(_) | Part::List(_) | Part::Object(_) => None,
        });
        constant(Value::Object(values.collect()))
    }

    /// A string that is one expression.
    pub(super) fn single_expression(&mut self, value: &Value, known: &dyn Scope, expected: &str) -> Option<Source> {
        let pieces = match value {
            Value::String(text) => self.pieces(text, known)?,
            _ => Vec::new(),
        };
        match <[Piece; 1]>::try_from(pieces) {
            Ok([Piece::Value(source)]) => Some(source),
            Ok([Piece::Literal(_)]) | Err(_) => {
                self.problem(expected, None);
                None
            }
        }
    }

    pub(super) fn test(&mut self, value: &Value, known: &dyn Scope) -> Test {
        if let Value::Bool(holds) = value {
            return Test::Settled(*holds);
        }
        let Some(source) = self.single_expression(value, known, "expected `${...}`, `true` or `false`") else {
            return Test::Settled(false);
        };
        if !source.expression.is_settled() {
            return Test::Depends(source);
        }
        match source.holds(known, &mut self.budget) {
            Ok(holds) => Test::Settled(holds),
            Err(error) => {
                self.value_problem(&source, &error);
                Test::Settled(false)
            }
        }
    }
}

pub(super) fn constant(value: Value) -> Part {
    let price = price(&value);
    Part::Constant(value, price)
}
