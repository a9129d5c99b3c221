//! JSON values with expressions in their strings, and what rendering them gives.
//!
//! Invariant: a template without expressions renders to itself, byte for byte in its numbers and in the order of its
//! keys. An absent value drops its key or list item, and nothing else does.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::compile::Compiler;
use super::fault::Problem;
use super::text::{Piece, Source};
use super::value::Val;
use super::{Budget, ExprError, Layer, Scope, join};

/// A JSON value with `${...}` in its strings, `when:` on list items and `forEach:` on list items, compiled. A clone shares it.
#[derive(Debug, Clone)]
pub struct Template {
    root: Arc<Part>,
}

/// Why a template cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateProblem {
    /// JSON pointer below the template's root; empty for the root.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

/// Why a template has no value in this scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError {
    /// JSON pointer below the template's root; empty for the root. List positions are those of the template.
    pub path: String,
    /// What was expected and what was found.
    pub message: String,
    /// The expression, as it stands between the braces.
    pub expression: String,
    /// Where in the expression, in bytes.
    pub offset: usize,
}

impl std::fmt::Display for RenderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} at byte {} of `{}`", self.path, self.message, self.offset, self.expression)
    }
}

impl std::error::Error for RenderError {}

/// A template for one place of a value.
#[derive(Debug)]
pub(super) enum Part {
    /// With the price of a copy.
    Constant(Value, usize),
    /// Drops its key or list item.
    Absent,
    /// A string that is one expression: it keeps the type.
    Whole(Source),
    Text(Vec<Piece>),
    List(Vec<Item>),
    Object(Vec<(String, Part)>),
}

/// A list item of a template; it may become none or several.
#[derive(Debug)]
pub(super) struct Item {
    /// Position in the template.
    pub(super) index: usize,
    pub(super) each: Option<Each>,
    pub(super) when: Option<Source>,
    pub(super) body: Part,
}

/// `forEach:` and `as:`.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) list: Source,
    pub(super) name: String,
}

impl Template {
    /// Compiles `value`. `names` are the variables that will exist when it is rendered; what depends only on names that
    /// `known` has is worked out now, and those need not be in scope later.
    ///
    /// # Errors
    ///
    /// All problems of the value, each with its place.
    pub fn compile(value: &Value, names: &[&str], known: &dyn Scope) -> Result<Self, Vec<TemplateProblem>> {
        let mut compiler = Compiler::new(names);
        let root = compiler.part(value, known);
        compiler.finish(Self { root: Arc::new(root) })
    }

    /// The value, where nothing is left to evaluate.
    pub fn constant(&self) -> Option<&Value> {
        if let Part::Constant(value, _) = &*self.root { Some(value) } else { None }
    }

    /// The value in this scope; `None` if it is absent.
    pub fn render(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Option<Value>, RenderError> {
        self.root.render(scope, budget)
    }

    /// Whether the text of any expression that is left to evaluate passes a test.
    pub fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.root.any_expression(test)
    }
}

/// A `when:`, compiled: `"${...}"` or a plain bool. A clone shares it.
#[derive(Debug, Clone)]
pub struct Condition {
    test: Arc<Test>,
}

#[derive(Debug)]
pub(super) enum Test {
    Settled(bool),
    Depends(Source),
}

impl Condition {
    /// Compiles `value`; the arguments are those of [`Template::compile`].
    pub fn compile(value: &Value, names: &[&str], known: &dyn Scope) -> Result<Self, Vec<TemplateProblem>> {
        let mut compiler = Compiler::new(names);
        let test = compiler.test(value, known);
        compiler.finish(Self { test: Arc::new(test) })
    }

    /// The answer, where it does not depend on anything any more.
    pub fn constant(&self) -> Option<bool> {
        if let Test::Settled(holds) = &*self.test { Some(*holds) } else { None }
    }

    /// Whether the text of the expression, if it is left to evaluate, passes a test.
    pub fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        matches!(&*self.test, Test::Depends(source) if test(&source.text))
    }

    /// Whether it holds in this scope.
    pub fn holds(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<bool, RenderError> {
        match &*self.test {
            Test::Settled(holds) => Ok(*holds),
            Test::Depends(source) => source.holds(scope, budget).map_err(|error| at(source, error)),
        }
    }
}

impl Part {
    fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Constant(..) | Self::Absent => false,
            Self::Whole(source) => test(&source.text),
            Self::Text(pieces) => {
                pieces.iter().any(|piece| matches!(piece, Piece::Value(source) if test(&source.text)))
            }
            Self::List(items) => items.iter().any(|item| {
                let each = item.each.iter().map(|each| &each.list);
                each.chain(&item.when).any(|source| test(&source.text)) || item.body.any_expression(test)
            }),
            Self::Object(entries) => entries.iter().any(|(_, part)| part.any_expression(test)),
        }
    }

    fn render(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Option<Value>, RenderError> {
        match self {
            Self::Constant(value, price) => {
                pay(*price, budget)?;
                Ok(Some(value.clone()))
            }
            Self::Absent => Ok(None),
            Self::Whole(source) => source.expression.evaluate(scope, budget).map_err(|error| at(source, error)),
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => {
                            pay(price_of_text(literal), budget)?;
                            text.push_str(literal);
                        }
                        Piece::Value(source) => {
                            source.append_to(&mut text, scope, budget).map_err(|error| at(source, error))?;
                        }
                    }
                }
                Ok(Some(Value::String(text)))
            }
            Self::List(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for item in items {
                    let result = item.render(&mut rendered, scope, budget);
                    result.map_err(|error| below(&item.index.to_string(), error))?;
                }
                Ok(Some(Value::Array(rendered)))
            }
            Self::Object(entries) => {
                let mut rendered = Map::with_capacity(entries.len());
                for (key, part) in entries {
                    pay(1, budget)?;
                    if let Some(value) = part.render(scope, budget).map_err(|error| below(key, error))? {
                        rendered.insert(key.clone(), value);
                    }
                }
                Ok(Some(Value::Object(rendered)))
            }
        }
    }
}

impl Item {
    fn render(&self, into: &mut Vec<Value>, scope: &dyn Scope, budget: &mut Budget) -> Result<(), RenderError> {
        let Some(each) = &self.each else {
            return self.render_once(into, scope, budget);
        };
        let elements = each.list.elements(scope, budget);
        for element in elements.map_err(|error| below("forEach", at(&each.list, error)))? {
            let layer = Layer { outer: scope, name: &each.name, value: Some(&element) };
            self.render_once(into, &layer, budget)?;
        }
        Ok(())
    }

    fn render_once(&self, into: &mut Vec<Value>, scope: &dyn Scope, budget: &mut Budget) -> Result<(), RenderError> {
        pay(1, budget)?;
        if let Some(when) = &self.when
            && !when.holds(scope, budget).map_err(|error| below("when", at(when, error)))?
        {
            return Ok(());
        }
        into.extend(self.body.render(scope, budget)?);
        Ok(())
    }
}

impl Source {
    /// The elements that `forEach:` goes through; an absent list has none.
    pub(super) fn elements(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Vec<Value>, ExprError> {
        self.expression.evaluate_as(scope, budget, |value, budget| {
            let Some(value) = value else { return Ok(Vec::new()) };
            let Some(list) = value.as_list() else {
                return Err(Problem::tells(join(&["expected a list, found ", value.type_name()])));
            };
            list.iter().filter_map(Val::present).map(|element| element.to_json(budget)).collect()
        })
    }
}

/// The price of a copy: a unit for each value, and what text costs.
pub(super) fn price(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + price_of_text(text),
        Value::Array(items) => items.iter().fold(1, |sum, item| sum + price(item)),
        Value::Object(map) => map.iter().fold(1, |sum, (key, value)| sum + price_of_text(key) + price(value)),
    }
}

const fn price_of_text(text: &str) -> usize {
    text.len() / super::BYTES_PER_UNIT
}

/// Pays for what is no expression.
fn pay(units: usize, budget: &mut Budget) -> Result<(), RenderError> {
    budget.spend(units).map_err(|_| RenderError {
        path: String::new(),
        message: String::from("expression cost limit exceeded"),
        expression: String::new(),
        offset: 0,
    })
}

fn at(source: &Source, error: ExprError) -> RenderError {
    RenderError {
        path: String::new(),
        message: error.message,
        expression: String::from(&*source.text),
        offset: error.offset,
    }
}

/// The same error seen from one level higher.
fn below(token: &str, error: RenderError) -> RenderError {
    RenderError { path: join(&[&pointer_token(token), error.path.as_str()]), ..error }
}

/// A key as a token of a JSON pointer.
pub(super) fn pointer_token(key: &str) -> String {
    join(&["/", &key.replace('~', "~0").replace('/', "~1")])
}
