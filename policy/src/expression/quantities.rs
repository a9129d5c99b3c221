//! Functions on quantities, as Kubernetes adds them to CEL.

use std::cmp::Ordering;

use super::Budget;
use super::fault::Problem;
use super::quantity::Quantity;
use super::value::Val;

type Result<'a> = std::result::Result<Val<'a>, Problem>;

/// From a string, or from a number, because a manifest may say `cpu: 1`.
pub(super) fn quantity<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Text(text)] => parse(text, budget).map(Val::quantity),
        [Val::Number(number)] => parse(number.as_str(), budget).map(Val::quantity),
        [Val::Int(units)] => Ok(Val::quantity(Quantity::from_units(*units))),
        [Val::Quantity(quantity)] => Ok(Val::Quantity(quantity.clone())),
        _ => Err(Problem::Overload),
    }
}

fn parse(text: &str, budget: &mut Budget) -> std::result::Result<Quantity, Problem> {
    budget.spend_text(text.len())?;
    Quantity::parse(text).map_err(|error| Problem::tells(error.to_string()))
}

pub(super) fn is_quantity<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text)] = arguments else {
        return Err(Problem::Overload);
    };
    budget.spend_text(text.len())?;
    Ok(Val::Bool(Quantity::parse(text).is_ok()))
}

pub(super) fn add<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    combine(arguments, Quantity::checked_add)
}

pub(super) fn sub<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    combine(arguments, Quantity::checked_sub)
}

fn combine<'a>(arguments: &[Val<'a>], operation: fn(Quantity, Quantity) -> Option<Quantity>) -> Result<'a> {
    let (left, right) = match arguments {
        [Val::Quantity(left), Val::Quantity(right)] => (**left, **right),
        [Val::Quantity(left), Val::Int(right)] => (**left, Quantity::from_units(*right)),
        _ => return Err(Problem::Overload),
    };
    operation(left, right).map(Val::quantity).ok_or(Problem::says("quantity out of range"))
}

pub(super) fn is_greater_than<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    Ok(Val::Bool(order(arguments)? == Ordering::Greater))
}

pub(super) fn is_less_than<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    Ok(Val::Bool(order(arguments)? == Ordering::Less))
}

pub(super) fn compare_to<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    Ok(Val::Int(order(arguments)? as i64))
}

fn order(arguments: &[Val<'_>]) -> std::result::Result<Ordering, Problem> {
    match arguments {
        [Val::Quantity(left), Val::Quantity(right)] => Ok(left.cmp(right)),
        _ => Err(Problem::Overload),
    }
}

pub(super) fn is_integer<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let [Val::Quantity(quantity)] = arguments else {
        return Err(Problem::Overload);
    };
    Ok(Val::Bool(quantity.as_integer().is_some()))
}

pub(super) fn as_integer<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let [Val::Quantity(quantity)] = arguments else {
        return Err(Problem::Overload);
    };
    quantity.as_integer().map(Val::Int).ok_or(Problem::says("quantity is not a 64-bit integer"))
}

pub(super) fn as_approximate_float<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let [Val::Quantity(quantity)] = arguments else {
        return Err(Problem::Overload);
    };
    Ok(Val::Double(quantity.as_approximate_float()))
}

pub(super) fn sign<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let [Val::Quantity(quantity)] = arguments else {
        return Err(Problem::Overload);
    };
    Ok(Val::Int(quantity.sign()))
}
