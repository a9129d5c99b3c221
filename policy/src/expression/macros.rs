//! Macros: calls that bind variables in their arguments.

use super::ExprError;
use super::ast::{Kind, Loop, LoopKind, Node};
use super::calls::wrong_arguments;
use super::lexer::error;
use super::parser::{Parsed, Parser};

/// How a macro is written.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    kind: LoopKind,
    variables: Variables,
    /// Whether a filter may stand between variables and body.
    filter: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Variables {
    One,
    Two,
    OneOrTwo,
}

const fn shape(name: &'static str, kind: LoopKind, variables: Variables, filter: bool) -> Shape {
    Shape { name, kind, variables, filter }
}

/// Every macro that is called as a method.
pub(super) const MACROS: [Shape; 11] = [
    shape("all", LoopKind::All, Variables::OneOrTwo, false),
    shape("exists", LoopKind::Exists, Variables::OneOrTwo, false),
    shape("exists_one", LoopKind::ExistsOne, Variables::OneOrTwo, false),
    shape("existsOne", LoopKind::ExistsOne, Variables::OneOrTwo, false),
    shape("filter", LoopKind::Filter, Variables::One, false),
    shape("map", LoopKind::Map, Variables::One, true),
    shape("transformList", LoopKind::Map, Variables::Two, true),
    shape("transformMap", LoopKind::TransformMap, Variables::Two, true),
    shape("transformMapEntry", LoopKind::TransformMapEntry, Variables::Two, true),
    shape("optMap", LoopKind::OptMap, Variables::One, false),
    shape("optFlatMap", LoopKind::OptFlatMap, Variables::One, false),
];

/// The macro of that name.
pub(super) fn find(name: &str) -> Option<Shape> {
    MACROS.into_iter().find(|shape| shape.name == name)
}

impl<'s> Parser<'s> {
    /// `range.name(variables, [filter,] body)`, from behind the bracket on.
    pub(super) fn comprehension(&mut self, range: Node, shape: Shape, offset: usize) -> Parsed {
        let outside = self.locals.len();
        let parsed = self.bindings(range, shape, offset);
        self.locals.truncate(outside);
        Self::node(Kind::Loop(Box::new(parsed?)), offset)
    }

    fn bindings(&mut self, range: Node, shape: Shape, offset: usize) -> Result<Loop, ExprError> {
        let first = self.variable()?;
        let pair = match shape.variables {
            Variables::One => false,
            Variables::Two => true,
            Variables::OneOrTwo => self.comes_name_then(","),
        };
        let second = if pair { Some(self.variable()?) } else { None };
        if second == Some(first) {
            return Err(error(offset, "the two variables have the same name", None));
        }
        self.locals.push(first);
        self.locals.extend(second);
        let mut body = self.expression()?;
        let mut filter = None;
        if shape.filter && self.eat(",")? {
            filter = Some(std::mem::replace(&mut body, self.expression()?));
        }
        if self.is(",") {
            return Err(wrong_arguments(shape.name, offset));
        }
        self.expect(")")?;
        Ok(Loop { kind: shape.kind, pair, range, filter, body })
    }

    /// A variable and the comma after it.
    fn variable(&mut self) -> Result<&'s str, ExprError> {
        if !self.comes_name_then(",") {
            return Err(self.unexpected("a variable name and `,`"));
        }
        let name = self.name()?;
        self.expect(",")?;
        Ok(name)
    }

    /// `cel.bind(variable, value, body)`, from behind the bracket on.
    pub(super) fn bind(&mut self, offset: usize) -> Parsed {
        let variable = self.variable()?;
        let range = self.expression()?;
        self.expect(",")?;
        self.locals.push(variable);
        let body = self.expression();
        self.locals.pop();
        let bound = Loop { kind: LoopKind::Bind, pair: false, range, filter: None, body: body? };
        self.expect(")")?;
        Self::node(Kind::Loop(Box::new(bound)), offset)
    }

    /// `has(target.field)`, from behind the bracket on.
    pub(super) fn has(&mut self, offset: usize) -> Parsed {
        let argument = self.expression()?;
        self.expect(")")?;
        match argument.kind {
            Kind::Select { target, field, optional: false } => Self::node(Kind::Has { target, field }, offset),
            _ => Err(error(offset, "`has` takes a field access", Some("write `has(a.b)`"))),
        }
    }
}
