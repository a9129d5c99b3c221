//! `${...}` in documents: a subset of CEL, compiled once and evaluated for each object.
//!
//! Why our own: the module has a size budget, and what a platform team writes must never take the API server's time or
//! end in a trap. Invariants: evaluation is total and deterministic, cannot recurse deeper than the source is nested
//! (which is limited), and pays for its work from a [`Budget`]. An error is a value with a place in the source. Refused:
//! regular expressions, time, anything that is not a function of the scope. The language is described in
//! `docs/expressions.md`.

mod ast;
mod calls;
mod compile;
mod conversions;
mod evaluate;
mod fault;
mod fold;
mod functions;
mod items;
mod json;
mod lexer;
mod lists;
mod literal;
mod loops;
mod macros;
mod maps;
mod number;
mod operators;
mod optionals;
mod parser;
mod quantities;
pub mod quantity;
mod strings;
mod suggest;
pub mod template;
mod text;
mod value;

use serde_json::Value;
use template::RenderError;

use ast::Node;
use evaluate::{Evaluator, locate};
use fault::{Exhausted, Fault, Problem};
pub(crate) use items::is_name;
pub(crate) use json::{JsonError, NUMBER, read as read_json};
use parser::Parser;
use value::Val;

/// Names that hold a value when an expression is evaluated.
pub trait Scope {
    /// The value of `name`; `None` where this scope has no such name.
    fn get(&self, name: &str) -> Option<&Value>;

    /// The value of a field of `name`, where this scope works out each field when it is first read; `None` where it does
    /// not, `Some(Ok(None))` where the field is absent.
    fn field(&self, _name: &str, _field: &str, _budget: &mut Budget) -> Option<Result<Option<&Value>, RenderError>> {
        None
    }

    /// The value of a field of `name` that is known before the other fields are.
    fn known_field(&self, _name: &str, _field: &str) -> Option<&Value> {
        None
    }

    /// The fields that the value of `name` can have at most, where they are known before the value is.
    fn fields(&self, _name: &str) -> Option<&[String]> {
        None
    }
}

/// What an evaluation may still cost. A node, a step of a comprehension, an element built or compared, and sixteen bytes
/// of text built or searched cost one unit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    units: u64,
}

impl Budget {
    /// A budget of so many units.
    pub const fn new(units: u64) -> Self {
        Self { units }
    }

    /// What is left.
    pub const fn remaining(&self) -> u64 {
        self.units
    }

    /// Takes `units`, or all that is left where that is less.
    fn spend(&mut self, units: usize) -> Result<(), Exhausted> {
        let left = self.units.checked_sub(units as u64);
        self.units = left.unwrap_or_default();
        left.map(|_| ()).ok_or(Exhausted)
    }

    /// Takes what handling `bytes` of text costs.
    fn spend_text(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.spend(bytes / BYTES_PER_UNIT)
    }
}

/// Text is handled in bulk, so a byte costs far less than a node.
const BYTES_PER_UNIT: usize = 16;

/// Why an expression was not understood, or has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// What was expected and what was found.
    pub message: String,
    /// Where: a byte offset in the source of the expression.
    pub offset: usize,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl std::fmt::Display for ExprError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for ExprError {}

/// A variable that an expression takes from its scope.
#[derive(Debug)]
struct FreeName {
    text: Box<str>,
    /// Where it occurs first.
    offset: usize,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    root: Node,
    free: Vec<FreeName>,
}

impl Expression {
    /// Compiles a whole text.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        Parser::new(source).whole()
    }

    /// Compiles what stands before the first `}` that belongs to no map literal, and says where that brace is.
    fn parse_until_brace(source: &str) -> Result<(Self, usize), ExprError> {
        Parser::new(source).until_brace()
    }

    /// The free variables, each once, in order of occurrence.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.free.iter().map(|name| &*name.text)
    }

    /// The value as JSON; `None` where it is an absent optional.
    pub fn evaluate(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Option<Value>, ExprError> {
        self.evaluate_as(scope, budget, |value, budget| value.map(|value| value.to_json(budget)).transpose())
    }

    /// What `make` makes of the value, `None` standing for an absent optional.
    fn evaluate_as<'a, T>(
        &'a self,
        scope: &'a dyn Scope,
        budget: &mut Budget,
        make: impl FnOnce(Option<Val<'a>>, &mut Budget) -> Result<T, Problem>,
    ) -> Result<T, ExprError> {
        let value = Evaluator::new(scope, budget).evaluate(&self.root).map_err(Fault::into_error)?;
        make(value.present(), budget).map_err(|problem| locate(problem, "JSON", &[], &self.root).into_error())
    }
}

/// The parts in a row. One function, because `concat` is inlined wherever it is called and formatting is larger still.
#[inline(never)]
fn join(parts: &[&str]) -> String {
    parts.concat()
}

/// A scope that has one more name, or one name less.
struct Layer<'a> {
    outer: &'a dyn Scope,
    name: &'a str,
    /// `None` hides the name: it exists, but not yet.
    value: Option<&'a Value>,
}

impl Scope for Layer<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        if name == self.name { self.value } else { self.outer.get(name) }
    }

    fn field(&self, name: &str, field: &str, budget: &mut Budget) -> Option<Result<Option<&Value>, RenderError>> {
        if name == self.name { None } else { self.outer.field(name, field, budget) }
    }

    fn known_field(&self, name: &str, field: &str) -> Option<&Value> {
        if name == self.name { None } else { self.outer.known_field(name, field) }
    }

    fn fields(&self, name: &str) -> Option<&[String]> {
        if name == self.name { None } else { self.outer.fields(name) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::template::{Condition, Template};
    use super::{Budget, Expression, Scope};

    struct One(Value);

    impl Scope for One {
        fn get(&self, name: &str) -> Option<&Value> {
            (name == "x").then_some(&self.0)
        }
    }

    #[test]
    fn names_are_those_of_the_scope() {
        let expression = Expression::parse("b.x + a[c].map(v, v + d + b)[0] + cel.bind(w, e, w)").unwrap();
        assert_eq!(expression.names().collect::<Vec<_>>(), ["b", "a", "c", "d", "e"]);
    }

    #[test]
    fn access_to_a_large_object_costs_only_what_is_looked_at() {
        let scope = One(json!({ "large": vec![json!({ "a": [1, 2, 3] }); 10_000], "small": 1 }));
        let mut budget = Budget::new(100);
        let expression = Expression::parse("x.large.size() + x.large[7].a[1] + x.small").unwrap();
        assert_eq!(expression.evaluate(&scope, &mut budget), Ok(Some(json!(10_003))));
        assert!(budget.remaining() > 80, "{budget:?}");
    }

    #[test]
    fn compiled_forms_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Expression>();
        shared::<Template>();
        shared::<Condition>();
    }
}
