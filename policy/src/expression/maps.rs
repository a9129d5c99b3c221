//! Functions of maps.

use std::cmp::Ordering;
use std::rc::Rc;

use super::Budget;
use super::fault::Problem;
use super::value::Val;

/// Both maps as one: where both have a key, maps are merged and anything else is the right one's.
pub(super) fn merge<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<Val<'a>, Problem> {
    let [left, right] = arguments else {
        return Err(Problem::Overload);
    };
    merged(left, right, budget)?.ok_or(Problem::Overload)
}

/// `None` where one of the two is no map. Both are in the order of their keys, so one walk through both is enough.
fn merged<'a>(left: &Val<'a>, right: &Val<'a>, budget: &mut Budget) -> Result<Option<Val<'a>>, Problem> {
    let (Some(left), Some(right)) = (left.as_map(), right.as_map()) else { return Ok(None) };
    // Paid before it is built.
    budget.spend(left.len().saturating_add(right.len()))?;
    let mut entries = Vec::with_capacity(left.len().max(right.len()));
    let mut theirs = right.entries().into_iter().peekable();
    for (key, value) in left.entries() {
        while let Some(earlier) = theirs.next_if(|(other, _)| other.cmp(&key) == Ordering::Less) {
            entries.push(earlier);
        }
        let value = match theirs.next_if(|(other, _)| **other == *key) {
            Some((_, over)) => merged(&value, &over, budget)?.unwrap_or(over),
            None => value,
        };
        entries.push((key, value));
    }
    entries.extend(theirs);
    Ok(Some(Val::Map(Rc::from(entries))))
}
