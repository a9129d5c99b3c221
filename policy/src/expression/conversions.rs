//! Conversions between types, and to and from JSON text.

use super::fault::Problem;
use super::json::{self, JsonError};
use super::number::{Num, double_text};
use super::value::Val;
use super::{Budget, join};

type Result<'a> = std::result::Result<Val<'a>, Problem>;

pub(super) fn string<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Text(text)] => Ok(Val::Text(text.clone())),
        [other] => {
            let text = scalar_text(other).ok_or(Problem::Overload)?;
            budget.spend_text(text.len())?;
            Ok(Val::text(&text))
        }
        _ => Err(Problem::Overload),
    }
}

/// How a bool, number or quantity is written into text.
pub(super) fn scalar_text(value: &Val<'_>) -> Option<String> {
    Some(match value {
        Val::Bool(value) => String::from(if *value { "true" } else { "false" }),
        Val::Quantity(quantity) => quantity.canonical(),
        other => match other.as_number()? {
            Num::Int(value) => value.to_string(),
            Num::UInt(value) => value.to_string(),
            Num::Double(value) => double_text(value),
        },
    })
}

pub(super) fn int<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let converted = match arguments {
        [Val::Text(text)] => digits(text).and_then(|text| text.parse().ok()),
        [other] => other.as_number().ok_or(Problem::Overload)?.to_int(),
        _ => return Err(Problem::Overload),
    };
    converted.map(Val::Int).ok_or(Problem::says("not a 64-bit integer"))
}

pub(super) fn uint<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let converted = match arguments {
        [Val::Text(text)] => digits(text).and_then(|text| text.parse().ok()),
        [other] => other.as_number().ok_or(Problem::Overload)?.to_uint(),
        _ => return Err(Problem::Overload),
    };
    converted.map(Val::UInt).ok_or(Problem::says("not an unsigned 64-bit integer"))
}

/// No integer is longer, so a longer text is not even looked at.
fn digits(text: &str) -> Option<&str> {
    (text.len() <= 64).then_some(text)
}

pub(super) fn double<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Text(text)] => {
            budget.spend_text(text.len())?;
            text.parse().map(Val::Double).map_err(|_| Problem::says("not a number"))
        }
        [other] => other.as_number().map(|number| Val::Double(number.to_double())).ok_or(Problem::Overload),
        [] | [_, ..] => Err(Problem::Overload),
    }
}

pub(super) fn bool<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Bool(value)] => Ok(Val::Bool(*value)),
        [Val::Text(text)] => match &**text {
            "1" | "t" | "true" | "TRUE" | "True" => Ok(Val::Bool(true)),
            "0" | "f" | "false" | "FALSE" | "False" => Ok(Val::Bool(false)),
            _ => Err(Problem::says("not a bool, expected `true` or `false`")),
        },
        _ => Err(Problem::Overload),
    }
}

/// Every value is dynamic, so this is the identity.
pub(super) fn dyn_<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    match arguments {
        [value] => Ok(value.clone()),
        _ => Err(Problem::Overload),
    }
}

pub(super) fn to_json<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [value] = arguments else {
        return Err(Problem::Overload);
    };
    let mut json = value.to_json(budget)?;
    json.sort_all_objects();
    let text = json.to_string();
    budget.spend_text(text.len())?;
    Ok(Val::text(&text))
}

pub(super) fn from_json<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text)] = arguments else {
        return Err(Problem::Overload);
    };
    let value = json::read(text, budget).map_err(|error| match error {
        JsonError::Cost => Problem::Exhausted,
        JsonError::Text(reason) => Problem::tells(join(&["not JSON: ", &reason])),
    })?;
    Val::built(&value).ok_or(Problem::says("not JSON for an expression: a number beyond the range of double"))
}
