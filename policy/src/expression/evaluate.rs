//! Walking the tree.
//!
//! Invariant: every node is paid for before it is evaluated, and recursion follows the tree, whose depth is limited.

use std::rc::Rc;

use serde_json::Value;

use super::ast::{Element, Entry, Kind, Node};
use super::fault::{Fault, Problem};
use super::functions::Function;
use super::number::Num;
use super::template::RenderError;
use super::value::{Text, Val};
use super::{Budget, Scope, join};

pub(super) type Evaluated<'a> = Result<Val<'a>, Fault>;

/// One evaluation.
pub(super) struct Evaluator<'a, 'b> {
    scope: &'a dyn Scope,
    pub(super) budget: &'b mut Budget,
    /// Variables of the comprehensions around, outermost first.
    pub(super) locals: Vec<Val<'a>>,
}

impl<'a, 'b> Evaluator<'a, 'b> {
    pub(super) const fn new(scope: &'a dyn Scope, budget: &'b mut Budget) -> Self {
        Self { scope, budget, locals: Vec::new() }
    }

    pub(super) fn evaluate(&mut self, node: &'a Node) -> Evaluated<'a> {
        self.spend(1, node)?;
        match &node.kind {
            Kind::Null => Ok(Val::Null),
            Kind::Bool(value) => Ok(Val::Bool(*value)),
            Kind::Int(value) => Ok(Val::Int(*value)),
            Kind::UInt(value) => Ok(Val::UInt(*value)),
            Kind::Double(value) => Ok(Val::Double(*value)),
            Kind::Text(text) => Ok(Val::Text(Text::Borrowed(text))),
            Kind::Known(value) => Ok(Val::from_json(value)),
            Kind::Name(name) => match self.scope.get(name) {
                Some(value) => Ok(Val::from_json(value)),
                None => Err(Fault::new(join(&["`", name, "` is not available here"]), node.offset)),
            },
            Kind::Local(slot) => {
                self.locals.get(*slot).cloned().ok_or_else(|| Fault::new("unbound variable", node.offset))
            }
            Kind::List(elements) => self.list(elements, node),
            Kind::Map(entries) => self.map(entries, node),
            Kind::Select { target, field, optional } => {
                if let Some(found) = self.worked_out(target, field, node) {
                    return resolve(found?.map(Val::from_json), *optional, || no_key(field, node));
                }
                let target = self.evaluate(target)?;
                self.select(target, field, *optional, node)
            }
            Kind::Index { target, index, optional } => {
                let target = self.evaluate(target)?;
                let index = self.evaluate(index)?;
                self.index(target, &index, *optional, node)
            }
            Kind::Has { target, field } => {
                if let Some(found) = self.worked_out(target, field, node) {
                    return Ok(Val::Bool(found?.is_some()));
                }
                let target = self.evaluate(target)?;
                self.has(&target, field, node)
            }
            Kind::Not(operand) => {
                let operand = self.evaluate(operand)?;
                match operand {
                    Val::Bool(value) => Ok(Val::Bool(!value)),
                    other => Err(overload("!", &[other], node)),
                }
            }
            Kind::Negate(operand) => {
                let operand = self.evaluate(operand)?;
                match operand.as_number() {
                    Some(Num::Int(value)) => match value.checked_neg() {
                        Some(value) => Ok(Val::Int(value)),
                        None => Err(Fault::new("integer overflow", node.offset)),
                    },
                    Some(Num::Double(value)) => Ok(Val::Double(-value)),
                    Some(Num::UInt(_)) | None => Err(overload("-", &[operand], node)),
                }
            }
            Kind::And(operands) => self.connect(operands, false, "&&", node),
            Kind::Or(operands) => self.connect(operands, true, "||", node),
            Kind::Choose(three) => {
                let [condition, then, otherwise] = &**three;
                match self.evaluate(condition)? {
                    Val::Bool(true) => self.evaluate(then),
                    Val::Bool(false) => self.evaluate(otherwise),
                    other => Err(overload("? :", &[other], node)),
                }
            }
            Kind::Binary(operator, operands) => {
                let [left, right] = &**operands;
                let left = self.evaluate(left)?;
                let right = self.evaluate(right)?;
                let result = super::operators::apply(*operator, &left, &right, self.budget);
                result.map_err(|problem| locate(problem, operator.symbol(), &[left, right], node))
            }
            Kind::Call(function, arguments) => self.call(function, arguments, node),
            Kind::OrElse { target, fallback, optional } => match self.evaluate(target)? {
                Val::Optional(None) => self.evaluate(fallback),
                Val::Optional(Some(value)) if !optional => Ok(Val::clone(&value)),
                present @ Val::Optional(Some(_)) => Ok(present),
                other => Err(overload(if *optional { "or" } else { "orValue" }, &[other], node)),
            },
            Kind::Loop(inner) => self.run(inner, node),
        }
    }

    pub(super) fn spend(&mut self, units: usize, node: &Node) -> Result<(), Fault> {
        self.budget.spend(units).map_err(|_| Fault::exhausted(node.offset))
    }

    /// `&&` (decided by false) and `||` (decided by true): an operand that decides makes up for an error in the other.
    fn connect(&mut self, operands: &'a [Node; 2], decides: bool, symbol: &'static str, node: &Node) -> Evaluated<'a> {
        let [left, right] = operands;
        let left = self.evaluate(left);
        if let Ok(Val::Bool(value)) = left
            && value == decides
        {
            return left;
        }
        if let Err(fault) = &left
            && fault.is_fatal()
        {
            return left;
        }
        match (left, self.evaluate(right)) {
            (_, Ok(Val::Bool(value))) if value == decides => Ok(Val::Bool(decides)),
            (_, Err(fault)) if fault.is_fatal() => Err(fault),
            (Err(fault), _) | (_, Err(fault)) => Err(fault),
            (Ok(Val::Bool(_)), Ok(Val::Bool(value))) => Ok(Val::Bool(value)),
            (Ok(left), Ok(right)) => Err(overload(symbol, &[left, right], node)),
        }
    }

    fn list(&mut self, elements: &'a [Element], node: &Node) -> Evaluated<'a> {
        let mut items = Vec::with_capacity(elements.len());
        for element in elements {
            let value = self.evaluate(&element.value)?;
            items.extend(present(value, element.optional, node)?);
        }
        Ok(Val::list(items))
    }

    fn map(&mut self, entries: &'a [Entry], node: &Node) -> Evaluated<'a> {
        let mut built: Vec<(Text<'a>, Val<'a>)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = self.evaluate(&entry.key)?;
            let value = self.evaluate(&entry.value)?;
            let Val::Text(key) = key else {
                return Err(Fault::new("a map key must be a string", entry.key.offset));
            };
            if built.iter().any(|(known, _)| **known == *key) {
                return Err(Fault::new(join(&["map key `", &key, "` occurs twice"]), entry.key.offset));
            }
            self.spend(built.len() / 4, node)?;
            built.extend(present(value, entry.optional, node)?.map(|value| (key, value)));
        }
        Ok(Val::Map(Rc::from(built)))
    }

    /// A field that the scope works out only when it is read.
    fn worked_out(&mut self, target: &Node, field: &str, node: &Node) -> Option<Result<Option<&'a Value>, Fault>> {
        let Kind::Name(name) = &target.kind else { return None };
        let found = self.scope.field(name, field, self.budget)?;
        Some(found.map_err(|RenderError { expression, message, .. }| {
            let cause = if expression.is_empty() { message } else { join(&["`", &expression, "`: ", &message]) };
            Fault::new(join(&["`", name, ".", field, "`: ", &cause]), node.offset)
        }))
    }

    fn select(&mut self, target: Val<'a>, field: &'a str, optional: bool, node: &Node) -> Evaluated<'a> {
        let (target, optional) = match target {
            Val::Optional(None) => return Ok(target),
            Val::Optional(Some(inner)) => (Val::clone(&inner), true),
            plain => (plain, optional),
        };
        let Some(map) = target.as_map() else {
            return Err(no_field(&target, field, node));
        };
        let found = map.get(field, self.budget).map_err(|_| Fault::exhausted(node.offset))?;
        resolve(found, optional, || no_key(field, node))
    }

    fn index(&mut self, target: Val<'a>, index: &Val<'a>, optional: bool, node: &Node) -> Evaluated<'a> {
        let (target, optional) = match target {
            Val::Optional(None) => return Ok(target),
            Val::Optional(Some(inner)) => (Val::clone(&inner), true),
            plain => (plain, optional),
        };
        if let (Some(map), Val::Text(key)) = (target.as_map(), index) {
            let found = map.get(key, self.budget).map_err(|_| Fault::exhausted(node.offset))?;
            return resolve(found, optional, || no_key(key, node));
        }
        if let (Some(list), Some(position)) = (target.as_list(), index.as_number()) {
            let found = position.index().and_then(|position| list.get(position));
            return resolve(found, optional, || Fault::new("list index out of range", node.offset));
        }
        Err(overload("[]", &[target, index.clone()], node))
    }

    fn has(&mut self, target: &Val<'a>, field: &str, node: &Node) -> Evaluated<'a> {
        let target = match target {
            Val::Optional(None) => return Ok(Val::Bool(false)),
            Val::Optional(Some(inner)) => inner,
            plain => plain,
        };
        let Some(map) = target.as_map() else {
            return Err(no_field(target, field, node));
        };
        let found = map.get(field, self.budget).map_err(|_| Fault::exhausted(node.offset))?;
        Ok(Val::Bool(found.is_some()))
    }

    fn call(&mut self, function: &'static Function, arguments: &'a [Node], node: &Node) -> Evaluated<'a> {
        // Nearly all calls have one or two arguments, which then need no allocation.
        match arguments {
            [only] => {
                let values = [self.evaluate(only)?];
                self.apply(function, &values, node)
            }
            [first, second] => {
                let values = [self.evaluate(first)?, self.evaluate(second)?];
                self.apply(function, &values, node)
            }
            several => {
                let values = several.iter().map(|argument| self.evaluate(argument)).collect::<Result<Vec<_>, _>>()?;
                self.apply(function, &values, node)
            }
        }
    }

    fn apply(&mut self, function: &'static Function, values: &[Val<'a>], node: &Node) -> Evaluated<'a> {
        let result = (function.definition)(values, self.budget);
        result.map_err(|problem| locate(problem, function.name, values, node))
    }
}

/// The value of an element or entry; one marked optional may be absent.
fn present<'a>(value: Val<'a>, optional: bool, node: &Node) -> Result<Option<Val<'a>>, Fault> {
    match value {
        value if !optional => Ok(Some(value)),
        Val::Optional(inner) => Ok(inner.map(|value| Val::clone(&value))),
        other => Err(overload("?", &[other], node)),
    }
}

fn resolve(found: Option<Val<'_>>, optional: bool, absent: impl FnOnce() -> Fault) -> Evaluated<'_> {
    match found {
        Some(value) if optional => Ok(Val::some(value)),
        Some(value) => Ok(value),
        None if optional => Ok(Val::Optional(None)),
        None => Err(absent()),
    }
}

#[cold]
#[inline(never)]
fn no_key(key: &str, node: &Node) -> Fault {
    Fault::new(join(&["no such key `", key, "`"]), node.offset)
}

#[cold]
#[inline(never)]
fn no_field(target: &Val<'_>, field: &str, node: &Node) -> Fault {
    Fault::new(join(&["no field `", field, "` in a value of type ", target.type_name()]), node.offset)
}

/// Gives a problem its place.
#[cold]
#[inline(never)]
pub(super) fn locate(problem: Problem, operation: &str, operands: &[Val<'_>], node: &Node) -> Fault {
    match problem {
        Problem::Exhausted => Fault::exhausted(node.offset),
        Problem::Overload => overload(operation, operands, node),
        Problem::Says(message) => Fault::new(message, node.offset),
    }
}

#[cold]
#[inline(never)]
pub(super) fn overload(operation: &str, operands: &[Val<'_>], node: &Node) -> Fault {
    let types: Vec<&str> = operands.iter().map(Val::type_name).collect();
    Fault::new(join(&["`", operation, "` is not defined for ", &types.join(", ")]), node.offset)
}
