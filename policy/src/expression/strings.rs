//! Functions on strings. Positions and lengths count characters (Unicode code points), as CEL does.

use super::Budget;
use super::fault::Problem;
use super::value::{Text, Val};

type Result<'a> = std::result::Result<Val<'a>, Problem>;

const OUT_OF_RANGE: Problem = Problem::says("position out of range");

/// The bytes before the character at `position`; one past the last character is a position too.
fn byte_offset(text: &str, position: &Val<'_>) -> std::result::Result<usize, Problem> {
    let position = position.as_number().ok_or(Problem::Overload)?.index().ok_or(OUT_OF_RANGE)?;
    let mut offsets = text.char_indices().map(|(offset, _)| offset).chain([text.len()]);
    offsets.nth(position).ok_or(OUT_OF_RANGE)
}

/// A part of a text without copying it where it is borrowed.
fn part<'a>(text: &Text<'a>, start: usize, end: usize) -> Option<Val<'a>> {
    Some(match text {
        Text::Borrowed(text) => Val::Text(Text::Borrowed(text.get(start..end)?)),
        Text::Shared(text) => Val::text(text.get(start..end)?),
    })
}

pub(super) fn starts_with<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let [Val::Text(text), Val::Text(prefix)] = arguments else {
        return Err(Problem::Overload);
    };
    Ok(Val::Bool(text.starts_with(&**prefix)))
}

pub(super) fn ends_with<'a>(arguments: &[Val<'a>], _: &mut Budget) -> Result<'a> {
    let [Val::Text(text), Val::Text(suffix)] = arguments else {
        return Err(Problem::Overload);
    };
    Ok(Val::Bool(text.ends_with(&**suffix)))
}

pub(super) fn contains<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text), Val::Text(part)] = arguments else {
        return Err(Problem::Overload);
    };
    budget.spend_text(text.len())?;
    Ok(Val::Bool(text.contains(&**part)))
}

pub(super) fn lower_ascii<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text)] = arguments else {
        return Err(Problem::Overload);
    };
    budget.spend_text(text.len())?;
    Ok(Val::text(&text.to_ascii_lowercase()))
}

pub(super) fn upper_ascii<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text)] = arguments else {
        return Err(Problem::Overload);
    };
    budget.spend_text(text.len())?;
    Ok(Val::text(&text.to_ascii_uppercase()))
}

pub(super) fn trim<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text)] = arguments else {
        return Err(Problem::Overload);
    };
    budget.spend_text(text.len())?;
    let start = text.len() - text.trim_start().len();
    let end = start + text.trim().len();
    part(text, start, end).ok_or(OUT_OF_RANGE)
}

pub(super) fn char_at<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text), position] = arguments else {
        return Err(Problem::Overload);
    };
    budget.spend_text(text.len())?;
    let start = byte_offset(text, position)?;
    let length = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    part(text, start, start + length).ok_or(OUT_OF_RANGE)
}

pub(super) fn substring<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text), positions @ ..] = arguments else {
        return Err(Problem::Overload);
    };
    budget.spend_text(text.len())?;
    let (start, end) = match positions {
        [start] => (byte_offset(text, start)?, text.len()),
        [start, end] => (byte_offset(text, start)?, byte_offset(text, end)?),
        _ => return Err(Problem::Overload),
    };
    part(text, start, end).ok_or(OUT_OF_RANGE)
}

/// How many replacements or parts a limit allows; a negative limit is none.
fn limit(argument: Option<&Val<'_>>) -> std::result::Result<Option<usize>, Problem> {
    match argument {
        None => Ok(None),
        Some(limit) => {
            let limit = limit.as_number().and_then(super::number::Num::to_int).ok_or(Problem::Overload)?;
            Ok(usize::try_from(limit).ok())
        }
    }
}

pub(super) fn replace<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text), Val::Text(from), Val::Text(to), rest @ ..] = arguments else {
        return Err(Problem::Overload);
    };
    let limit = limit(rest.first())?.unwrap_or(usize::MAX);
    budget.spend_text(text.len())?;
    // Paid before it is built: one character could become a megabyte.
    let hits = text.matches(&**from).take(limit).count();
    budget.spend_text(hits.saturating_mul(to.len()))?;
    Ok(Val::text(&text.replacen(&**from, to, limit)))
}

pub(super) fn split<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [Val::Text(text), Val::Text(separator), rest @ ..] = arguments else {
        return Err(Problem::Overload);
    };
    let limit = limit(rest.first())?.unwrap_or(usize::MAX);
    budget.spend_text(text.len())?;
    if separator.is_empty() {
        return split_characters(text, limit, budget);
    }
    budget.spend(text.matches(&**separator).count())?;
    let mut parts = Vec::new();
    let mut start = 0;
    for piece in text.splitn(limit, &**separator) {
        parts.push(part(text, start, start + piece.len()).ok_or(OUT_OF_RANGE)?);
        start += piece.len() + separator.len();
    }
    Ok(Val::list(parts))
}

/// One part for each character; the last part allowed has the rest.
fn split_characters<'a>(text: &Text<'a>, limit: usize, budget: &mut Budget) -> Result<'a> {
    budget.spend(text.len())?;
    let mut parts = Vec::new();
    for (start, character) in text.char_indices().take(limit) {
        let end = if parts.len() + 1 == limit { text.len() } else { start + character.len_utf8() };
        parts.push(part(text, start, end).ok_or(OUT_OF_RANGE)?);
    }
    Ok(Val::list(parts))
}

pub(super) fn join<'a>(arguments: &[Val<'a>], budget: &mut Budget) -> Result<'a> {
    let [list, rest @ ..] = arguments else {
        return Err(Problem::Overload);
    };
    let separator = match rest.first() {
        None => "",
        Some(Val::Text(separator)) => separator,
        Some(_) => return Err(Problem::Overload),
    };
    let mut joined = String::new();
    for (index, item) in list.as_list().ok_or(Problem::Overload)?.iter().enumerate() {
        let text = item.as_text().ok_or(Problem::Overload)?;
        budget.spend(1)?;
        budget.spend_text(text.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Val::text(&joined))
}

/// The position of a part, not before the character at `from`; -1 if it is not there.
pub(super) fn index_of<'a>(text: &str, wanted: &str, from: Option<&Val<'_>>, budget: &mut Budget) -> Result<'a> {
    budget.spend_text(text.len())?;
    let start = from.map_or(Ok(0), |from| byte_offset(text, from))?;
    let found = text.get(start..).and_then(|rest| rest.find(wanted)).map(|offset| start + offset);
    Ok(position(text, found))
}

/// The last position of a part, not behind the character at `from`; -1 if it is not there.
pub(super) fn last_index_of<'a>(text: &str, wanted: &str, from: Option<&Val<'_>>, budget: &mut Budget) -> Result<'a> {
    budget.spend_text(text.len())?;
    let end = match from {
        None => text.len(),
        Some(from) => byte_offset(text, from)?.saturating_add(wanted.len()).min(text.len()),
    };
    // A match ends where its last character does, so an `end` within a character allows what ends before it.
    let end = (0..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let found = text.get(..end).and_then(|head| head.rfind(wanted));
    Ok(position(text, found))
}

fn position<'a>(text: &str, offset: Option<usize>) -> Val<'a> {
    match offset.and_then(|offset| text.get(..offset)) {
        Some(before) => Val::count(before.chars().count()),
        None => Val::Int(-1),
    }
}
