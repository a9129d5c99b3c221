//! Functions on lists, and those that strings and maps share with them.

use std::cmp::Ordering;

use super::Budget;
use super::ast::Operator;
use super::fault::Problem;
use super::number::{Num, calculate};
use super::strings;
use super::value::{ListView, Val};

type Result<'a> = std::result::Result<Val<'a>, Problem>;

fn list<'v, 'a>(arguments: &'v [Val<'a>]) -> std::result::Result<ListView<'v, 'a>, Problem> {
    arguments.first().and_then(Val::as_list).ok_or(Problem::Overload)
}

pub(super) fn size<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [value] = arguments else {
        return Err(Problem::Overload);
    };
    if let Val::Text(text) = value {
        budget.spend_text(text.len())?;
        return Ok(Val::count(text.chars().count()));
    }
    let length = value.as_list().map(ListView::len).or_else(|| value.as_map().map(super::value::MapView::len));
    length.map(Val::count).ok_or(Problem::Overload)
}

pub(super) fn range<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [count] = arguments else {
        return Err(Problem::Overload);
    };
    let count = count.as_number().and_then(Num::to_int).ok_or(Problem::Overload)?.max(0);
    budget.spend(usize::try_from(count).unwrap_or(usize::MAX))?;
    Ok(Val::list((0..count).map(Val::Int).collect()))
}

pub(super) fn index_of<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Text(text), Val::Text(part), rest @ ..] => strings::index_of(text, part, rest.first(), budget),
        [target, wanted] => position(target.as_list().ok_or(Problem::Overload)?.iter().enumerate(), wanted, budget),
        _ => Err(Problem::Overload),
    }
}

pub(super) fn last_index_of<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    match arguments {
        [Val::Text(text), Val::Text(part), rest @ ..] => strings::last_index_of(text, part, rest.first(), budget),
        [target, wanted] => {
            let list = target.as_list().ok_or(Problem::Overload)?;
            position((0..list.len()).rev().zip(list.iter().rev()), wanted, budget)
        }
        _ => Err(Problem::Overload),
    }
}

fn position<'a>(items: impl Iterator<Item = (usize, Val<'a>)>, wanted: &Val<'a>, budget: &mut Budget) -> Result<'a> {
    for (index, item) in items {
        budget.spend(1)?;
        if item.equals(wanted, budget)? {
            return Ok(Val::count(index));
        }
    }
    Ok(Val::Int(-1))
}

pub(super) fn reverse<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    if let [Val::Text(text)] = arguments {
        budget.spend_text(text.len())?;
        return Ok(Val::text(&text.chars().rev().collect::<String>()));
    }
    let mut items = list(arguments)?.to_vec();
    budget.spend(items.len())?;
    items.reverse();
    Ok(Val::list(items))
}

pub(super) fn distinct<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let mut kept: Vec<Val<'a>> = Vec::new();
    for item in list(arguments)?.iter() {
        let mut seen = false;
        for earlier in &kept {
            budget.spend(1)?;
            if earlier.equals(&item, budget)? {
                seen = true;
                break;
            }
        }
        if !seen {
            kept.push(item);
        }
    }
    budget.spend(kept.len())?;
    Ok(Val::list(kept))
}

pub(super) fn flatten<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let depth = match arguments.get(1) {
        None => 1,
        Some(depth) => depth.as_number().and_then(Num::to_int).ok_or(Problem::Overload)?,
    };
    let Ok(depth) = u64::try_from(depth) else {
        return Err(Problem::says("depth must not be negative"));
    };
    let mut flat = Vec::new();
    flatten_into(&mut flat, list(arguments)?, depth, budget)?;
    Ok(Val::list(flat))
}

fn flatten_into<'a>(
    flat: &mut Vec<Val<'a>>,
    list: ListView<'_, 'a>,
    depth: u64,
    budget: &mut Budget,
) -> std::result::Result<(), Problem> {
    for item in list.iter() {
        budget.spend(1)?;
        match item.as_list() {
            Some(inner) if depth > 0 => flatten_into(flat, inner, depth - 1, budget)?,
            _ => flat.push(item),
        }
    }
    Ok(())
}

pub(super) fn sort<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let items = list(arguments)?.to_vec();
    // A single element is never compared, and still has to be of a type that has an order.
    if let [only] = items.as_slice() {
        order(only, only, budget)?;
    }
    merge_sort(items, budget).map(Val::list)
}

/// The standard sort is larger, cannot fail in between, and may panic where an order is inconsistent.
fn merge_sort<'a>(mut left: Vec<Val<'a>>, budget: &mut Budget) -> std::result::Result<Vec<Val<'a>>, Problem> {
    if left.len() < 2 {
        return Ok(left);
    }
    let right = left.split_off(left.len() / 2);
    budget.spend(left.len() / 4)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut left = merge_sort(left, budget)?.into_iter().peekable();
    let mut right = merge_sort(right, budget)?.into_iter().peekable();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = if order(a, b, budget)? == Ordering::Greater { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

pub(super) fn is_sorted<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let list = list(arguments)?;
    for (a, b) in list.iter().zip(list.iter().skip(1)) {
        if order(&a, &b, budget)? == Ordering::Greater {
            return Ok(Val::Bool(false));
        }
    }
    Ok(Val::Bool(true))
}

fn order(a: &Val<'_>, b: &Val<'_>, budget: &mut Budget) -> std::result::Result<Ordering, Problem> {
    budget.spend(1)?;
    a.compare(b, budget)?.ok_or(Problem::says("NaN has no order"))
}

pub(super) fn min<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    extreme(list(arguments)?.iter(), Ordering::Less, budget)
}

pub(super) fn max<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    extreme(list(arguments)?.iter(), Ordering::Greater, budget)
}

pub(super) fn least<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    among_numbers(arguments, Ordering::Less, budget)
}

pub(super) fn greatest<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    among_numbers(arguments, Ordering::Greater, budget)
}

/// The arguments themselves, or the elements of the only one.
fn among_numbers<'a>(arguments: &[Val<'a>], wanted: Ordering, budget: &mut Budget) -> Result<'a> {
    let items = match arguments {
        [only] if only.as_number().is_none() => only.as_list().ok_or(Problem::Overload)?,
        several => ListView::Built(several),
    };
    if items.iter().any(|item| item.as_number().is_none()) {
        return Err(Problem::Overload);
    }
    extreme(items.iter(), wanted, budget)
}

fn extreme<'a>(mut items: impl Iterator<Item = Val<'a>>, wanted: Ordering, budget: &mut Budget) -> Result<'a> {
    let Some(mut found) = items.next() else {
        return Err(Problem::says("list is empty"));
    };
    order(&found, &found, budget)?;
    for item in items {
        if order(&item, &found, budget)? == wanted {
            found = item;
        }
    }
    Ok(found)
}

/// Of numbers of one kind, or of quantities.
pub(super) fn sum<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let list = list(arguments)?;
    budget.spend(list.len())?;
    let mut items = list.iter();
    // As Kubernetes: the sum of nothing is the integer zero.
    let Some(mut total) = items.next() else {
        return Ok(Val::Int(0));
    };
    if total.as_number().is_none() && !matches!(total, Val::Quantity(_)) {
        return Err(Problem::Overload);
    }
    for item in items {
        total = match (&total, &item) {
            (Val::Quantity(a), Val::Quantity(b)) => {
                a.checked_add(**b).map(Val::quantity).ok_or(Problem::says("quantity out of range"))?
            }
            (a, b) => {
                let (a, b) = a.as_number().zip(b.as_number()).ok_or(Problem::Overload)?;
                Val::number(calculate(Operator::Add, a, b)?)
            }
        };
    }
    Ok(total)
}

pub(super) fn first<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    Ok(list(arguments)?.iter().next().map_or(Val::Optional(None), Val::some))
}

pub(super) fn last<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    Ok(list(arguments)?.iter().next_back().map_or(Val::Optional(None), Val::some))
}

pub(super) fn slice<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [target, start, end] = arguments else {
        return Err(Problem::Overload);
    };
    let list = target.as_list().ok_or(Problem::Overload)?;
    let start = start.as_number().ok_or(Problem::Overload)?.index();
    let end = end.as_number().ok_or(Problem::Overload)?.index();
    match start.zip(end) {
        Some((start, end)) if start <= end && end <= list.len() => {
            budget.spend(end)?;
            let mut items = list.to_vec();
            items.truncate(end);
            Ok(Val::list(items.split_off(start)))
        }
        _ => Err(Problem::says("slice out of range")),
    }
}
