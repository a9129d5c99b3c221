//! Strings with `${...}` in them.

use super::conversions::scalar_text;
use super::fault::Problem;
use super::value::Val;
use super::{Budget, ExprError, Expression, Scope, join};

/// An expression as it stands in a document.
#[derive(Debug)]
pub(super) struct Source {
    /// Between the braces.
    pub(super) text: Box<str>,
    /// Where that begins in the string.
    pub(super) start: usize,
    pub(super) expression: Expression,
}

/// A part of a string.
#[derive(Debug)]
pub(super) enum Piece {
    Literal(String),
    Value(Source),
}

/// Takes a string apart. An error counts its bytes from the start of the string.
pub(super) fn split(text: &str) -> Result<Vec<Piece>, ExprError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((plain, from_dollar)) = rest.find('$').and_then(|at| rest.split_at_checked(at)) {
        literal.push_str(plain);
        if let Some(after) = from_dollar.strip_prefix("$${") {
            literal.push_str("${");
            rest = after;
        } else if let Some(inner) = from_dollar.strip_prefix("${") {
            let start = text.len() - inner.len();
            let (expression, end) = Expression::parse_until_brace(inner)
                .map_err(|error| ExprError { offset: start + error.offset, ..error })?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            let (source, after) = inner.split_at_checked(end).unwrap_or((inner, ""));
            pieces.push(Piece::Value(Source { text: Box::from(source), start, expression }));
            rest = after.strip_prefix('}').unwrap_or(after);
        } else {
            literal.push('$');
            rest = from_dollar.strip_prefix('$').unwrap_or_default();
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

impl Source {
    /// The value as it stands inside longer text.
    pub(super) fn append_to(&self, text: &mut String, scope: &dyn Scope, budget: &mut Budget) -> Result<(), ExprError> {
        self.expression.evaluate_as(scope, budget, |value, budget| {
            match value {
                Some(Val::Text(part)) => {
                    budget.spend_text(part.len())?;
                    text.push_str(&part);
                }
                None => {
                    return Err(Problem::says("absent value inside text, give it a default with `.orValue(...)`"));
                }
                Some(other) => {
                    let advice = " inside text, write it as JSON with `toJson(...)`";
                    let part = scalar_text(&other);
                    text.push_str(&part.ok_or_else(|| Problem::tells(join(&[other.type_name(), advice])))?);
                }
            }
            Ok(())
        })
    }

    pub(super) fn holds(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<bool, ExprError> {
        self.expression.evaluate_as(scope, budget, |value, _| match value {
            Some(Val::Bool(holds)) => Ok(holds),
            Some(other) => Err(Problem::tells(join(&["expected a bool, found ", other.type_name()]))),
            None => {
                Err(Problem::says("expected a bool, found an absent value, give it a default with `.orValue(false)`"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, split};

    /// Expressions in brackets.
    fn pieces(text: &str) -> Vec<String> {
        let describe = |piece| match piece {
            Piece::Literal(text) => text,
            Piece::Value(source) => format!("[{}]@{}", source.text, source.start),
        };
        split(text).unwrap().into_iter().map(describe).collect()
    }

    #[test]
    fn expressions_end_at_their_own_brace() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("a", &["a"]),
            ("${a}", &["[a]@2"]),
            ("x${a}y${ b }", &["x", "[a]@3", "y", "[ b ]@8"]),
            ("${'}'}}", &["['}']@2", "}"]),
            ("${{'k': {}}}", &["[{'k': {}}]@2"]),
            ("$${a}${a}", &["${a}", "[a]@7"]),
            ("$ $$ $( é$", &["$ $$ $( é$"]),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text), expected, "{text}");
        }
    }

    #[test]
    fn errors_count_from_the_start_of_the_string() {
        assert_eq!(split("é ${a +}").unwrap_err().offset, 8);
        assert_eq!(split("${a").unwrap_err().offset, 3);
        assert_eq!(split("${}").unwrap_err().message, "expected an expression, found `}`");
    }
}
