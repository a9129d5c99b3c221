//! Optional values: what `a.?b` gives.

use super::Budget;
use super::fault::Problem;
use super::value::Val;

type Result<'a> = std::result::Result<Val<'a>, Problem>;

pub(super) fn of<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    match arguments {
        [value] => Ok(Val::some(value.clone())),
        _ => Err(Problem::Overload),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a definition in the table of functions")]
pub(super) fn none<'a>(_: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    Ok(Val::Optional(None))
}

pub(super) fn of_non_zero_value<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let [value] = arguments else {
        return Err(Problem::Overload);
    };
    let zero = match value {
        Val::Null | Val::Bool(false) | Val::Optional(None) => true,
        Val::Text(text) => text.is_empty(),
        other => {
            other.as_list().is_some_and(|list| list.len() == 0)
                || other.as_map().is_some_and(|map| map.len() == 0)
                || other.as_number().is_some_and(|number| number.to_double() == 0.0)
        }
    };
    Ok(if zero { Val::Optional(None) } else { Val::some(value.clone()) })
}

pub(super) fn has_value<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Optional(optional)] => Ok(Val::Bool(optional.is_some())),
        _ => Err(Problem::Overload),
    }
}

pub(super) fn value<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Optional(Some(value))] => Ok(Val::clone(value)),
        [Val::Optional(None)] => Err(Problem::says("optional value is absent")),
        _ => Err(Problem::Overload),
    }
}
