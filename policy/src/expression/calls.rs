//! Names and what is called by them: variables, functions, methods, macros.

use super::ast::{Kind, Node};
use super::functions::{self, FUNCTIONS, Style};
use super::lexer::error;
use super::macros;
use super::parser::{Parsed, Parser};
use super::suggest::nearest;
use super::{ExprError, FreeName, join};

impl<'s> Parser<'s> {
    /// A variable, a call, or a call with a namespace such as `math.greatest(...)`.
    pub(super) fn named(&mut self, name: &'s str, offset: usize) -> Parsed {
        if self.is("(") {
            self.advance()?;
            return self.call(name, offset);
        }
        // The innermost variable of that name.
        if let Some(slot) = self.locals.iter().rposition(|local| *local == name) {
            return Self::node(Kind::Local(slot), offset);
        }
        if self.is(".") && NAMESPACES.contains(&name) {
            self.advance()?;
            let function = self.name()?;
            self.expect("(")?;
            return self.call(&join(&[name, ".", function]), offset);
        }
        if !self.free.iter().any(|known| &*known.text == name) {
            self.free.push(FreeName { text: Box::from(name), offset });
        }
        Self::node(Kind::Name(Box::from(name)), offset)
    }

    fn call(&mut self, name: &str, offset: usize) -> Parsed {
        match name {
            "has" => self.has(offset),
            "cel.bind" => self.bind(offset),
            _ => {
                let arguments = self.arguments(Vec::new())?;
                Self::function(name, Style::Global, arguments, offset)
            }
        }
    }

    pub(super) fn method(&mut self, target: Node, name: &'s str, offset: usize) -> Parsed {
        if let Some(shape) = macros::find(name) {
            return self.comprehension(target, shape, offset);
        }
        let arguments = self.arguments(vec![target])?;
        if let "orValue" | "or" = name {
            let optional = name == "or";
            return match <[Node; 2]>::try_from(arguments) {
                Ok([target, fallback]) => {
                    let (target, fallback) = (Box::new(target), Box::new(fallback));
                    Self::node(Kind::OrElse { target, fallback, optional }, offset)
                }
                Err(_) => Err(wrong_arguments(name, offset)),
            };
        }
        Self::function(name, Style::Method, arguments, offset)
    }

    fn arguments(&mut self, mut arguments: Vec<Node>) -> Result<Vec<Node>, ExprError> {
        while !self.is(")") {
            arguments.push(self.expression()?);
            if !self.eat(",")? {
                break;
            }
        }
        self.expect(")")?;
        Ok(arguments)
    }

    fn function(name: &str, style: Style, arguments: Vec<Node>, offset: usize) -> Parsed {
        let Some(function) = functions::find(name, style) else {
            return Err(unknown_function(name, style, offset));
        };
        let (least, most) = function.arguments;
        if arguments.len() < least || arguments.len() > most {
            return Err(wrong_arguments(name, offset));
        }
        Self::node(Kind::Call(function, arguments.into()), offset)
    }
}

/// First parts of function names with a dot. They are no variables.
const NAMESPACES: [&str; 4] = ["cel", "lists", "math", "optional"];

#[cold]
#[inline(never)]
pub(super) fn wrong_arguments(name: &str, offset: usize) -> ExprError {
    error(offset, &join(&["wrong number of arguments for `", name, "`"]), None)
}

#[cold]
#[inline(never)]
fn unknown_function(name: &str, style: Style, offset: usize) -> ExprError {
    let other = if style == Style::Global { Style::Method } else { Style::Global };
    let hint = if functions::find(name, other).is_some() {
        let (before, after) = if style == Style::Global { ("write `x.", "()`") } else { ("write `", "(x)`") };
        Some(join(&[before, name, after]))
    } else {
        let names = FUNCTIONS.iter().filter(|function| function.style == style).map(|function| function.name);
        nearest(name, names).map(|name| join(&["did you mean `", name, "`?"]))
    };
    ExprError { message: join(&["unknown function `", name, "`"]), offset, hint }
}
