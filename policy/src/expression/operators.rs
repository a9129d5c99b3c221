//! The operators that need both operands.

use std::cmp::Ordering;

use super::Budget;
use super::ast::Operator;
use super::fault::Problem;
use super::join;
use super::number::calculate;
use super::value::Val;

/// `left operator right`.
pub(super) fn apply<'a>(
    operator: Operator,
    left: &Val<'a>,
    right: &Val<'a>,
    budget: &mut Budget,
) -> Result<Val<'a>, Problem> {
    match operator {
        Operator::Equal => Ok(Val::Bool(left.equals(right, budget)?)),
        Operator::NotEqual => Ok(Val::Bool(!left.equals(right, budget)?)),
        Operator::Less => ordered(left, right, budget, Ordering::is_lt),
        Operator::LessOrEqual => ordered(left, right, budget, Ordering::is_le),
        Operator::Greater => ordered(left, right, budget, Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(left, right, budget, Ordering::is_ge),
        Operator::In => contains(left, right, budget),
        Operator::Add => add(left, right, budget),
        Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
            arithmetic(operator, left, right)
        }
    }
}

/// With NaN every order is false.
fn ordered<'a>(
    left: &Val<'a>,
    right: &Val<'a>,
    budget: &mut Budget,
    holds: fn(Ordering) -> bool,
) -> Result<Val<'a>, Problem> {
    Ok(Val::Bool(left.compare(right, budget)?.is_some_and(holds)))
}

fn arithmetic<'a>(operator: Operator, left: &Val<'a>, right: &Val<'a>) -> Result<Val<'a>, Problem> {
    let (left, right) = left.as_number().zip(right.as_number()).ok_or(Problem::Overload)?;
    calculate(operator, left, right).map(Val::number)
}

fn add<'a>(left: &Val<'a>, right: &Val<'a>, budget: &mut Budget) -> Result<Val<'a>, Problem> {
    if let (Val::Text(left), Val::Text(right)) = (left, right) {
        budget.spend_text(left.len() + right.len())?;
        return Ok(Val::text(&join(&[&**left, &**right])));
    }
    if let (Some(left), Some(right)) = (left.as_list(), right.as_list()) {
        budget.spend(left.len() + right.len())?;
        return Ok(Val::list(left.iter().chain(right.iter()).collect()));
    }
    arithmetic(Operator::Add, left, right)
}

/// An element of a list or a key of a map.
fn contains<'a>(wanted: &Val<'a>, target: &Val<'a>, budget: &mut Budget) -> Result<Val<'a>, Problem> {
    if let Some(list) = target.as_list() {
        for item in list.iter() {
            budget.spend(1)?;
            if item.equals(wanted, budget)? {
                return Ok(Val::Bool(true));
            }
        }
        return Ok(Val::Bool(false));
    }
    let map = target.as_map().ok_or(Problem::Overload)?;
    match wanted {
        Val::Text(key) => Ok(Val::Bool(map.get(key, budget)?.is_some())),
        // Keys are strings, so nothing else is one.
        _ => Ok(Val::Bool(false)),
    }
}
