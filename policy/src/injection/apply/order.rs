//! The order of a list: where an item of ours goes, and whether an order that others have made will do.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::volumes::position;
use crate::settings::Position;

/// An item of ours that asks to stand somewhere.
pub(in crate::injection) struct Placed {
    /// The address of its list.
    pub(super) list: String,
    pub(super) name: String,
    pub(super) position: Position,
}

/// Where a new item may go: behind all that it follows and in front of all that it precedes.
pub(super) fn room_for(
    items: &[Value],
    name: &str,
    wanted: &Position,
    placed: &[&Placed],
) -> Option<RangeInclusive<usize>> {
    let of = |name: &str| placed.iter().find(|one| one.name == name).map(|one| &one.position);
    let names = items.iter().enumerate().map(|(index, item)| (index, name_of(item)));
    let (mut first, mut last) = (0, items.len());
    for (index, other) in names {
        let theirs = of(other);
        if wanted.follows(name, other, theirs) || theirs.is_some_and(|one| one.precedes(other, name, Some(wanted))) {
            first = index + 1;
        }
        if wanted.precedes(name, other, theirs) || theirs.is_some_and(|one| one.follows(other, name, Some(wanted))) {
            last = last.min(index);
        }
    }
    (first <= last).then_some(first..=last)
}

/// Whether all that was placed in a list stands where it asked to, in an order that others have made.
pub(in crate::injection) fn stand_well(items: &[Value], list: &str, placed: &[Placed]) -> bool {
    let placed: Vec<&Placed> = placed.iter().filter(|one| one.list == list).collect();
    let of = |name: &str| placed.iter().find(|one| one.name == name).map(|one| &one.position);
    placed.iter().all(|one| {
        let Some(own) = position(items, &one.name) else { return false };
        let others = items.iter().enumerate().map(|(index, item)| (index, name_of(item)));
        others.filter(|(_, name)| *name != one.name).all(|(index, name)| {
            (!one.position.precedes(&one.name, name, of(name)) || own < index)
                && (!one.position.follows(&one.name, name, of(name)) || own > index)
        })
    })
}

fn name_of(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn items(names: &[&str]) -> Vec<Value> {
        names.iter().map(|name| json!({"name": name})).collect()
    }

    fn wants(before: &[&str], after: &[&str]) -> Position {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Position { before: names(before), after: names(after) }
    }

    #[test]
    fn positions_are_kept() {
        for (before, after, index) in [
            (&[][..], &[][..], Some(3)),
            (&["a"], &[], Some(0)),
            (&["b", "c"], &[], Some(1)),
            (&["*"], &[], Some(0)),
            (&["*"], &["a"], Some(1)),
            (&[], &["a"], Some(3)),
            (&["c"], &["a"], Some(2)),
            (&["c"], &["*"], Some(2)),
            (&["a"], &["b"], None),
            (&["gone"], &["gone too"], Some(3)),
        ] {
            let room = room_for(&items(&["a", "b", "c"]), "x", &wants(before, after), &[]);
            assert_eq!(room.map(|room| *room.end()), index, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_was_placed_before_keeps_its_position() {
        let cases: [(Position, Position, Option<usize>); 8] = [
            // Of two that want to be first the earlier one is.
            (wants(&["*"], &[]), wants(&["*"], &[]), Some(1)),
            (wants(&["*"], &[]), wants(&["p"], &[]), Some(0)),
            (wants(&["*"], &[]), wants(&[], &[]), Some(3)),
            (wants(&["x"], &[]), wants(&["a"], &[]), Some(1)),
            (wants(&[], &["x"]), wants(&[], &[]), Some(0)),
            (wants(&[], &["x"]), wants(&["*"], &[]), Some(0)),
            (wants(&["x"], &[]), wants(&["p"], &[]), None),
            (wants(&[], &["*"]), wants(&[], &["*"]), Some(3)),
        ];
        for (index, (theirs, ours, expected)) in cases.into_iter().enumerate() {
            let placed = Placed { list: String::new(), name: "p".to_owned(), position: theirs };
            let room = room_for(&items(&["p", "a", "b"]), "x", &ours, &[&placed]);
            assert_eq!(room.map(|room| *room.end()), expected, "case {index}");
        }
    }

    #[test]
    fn an_order_of_others_will_do_where_every_wish_holds() {
        let placed = |name: &str, position| Placed { list: "l".to_owned(), name: name.to_owned(), position };
        let both = [placed("init", wants(&["*"], &[])), placed("proxy", wants(&["*"], &["init"]))];
        for (order, well) in [
            (&["init", "proxy", "a"][..], true),
            (&["proxy", "init", "a"], false),
            (&["init", "a", "proxy"], false),
            (&["init", "a"], false),
        ] {
            assert_eq!(stand_well(&items(order), "l", &both), well, "{order:?}");
        }
        assert!(stand_well(&items(&["a"]), "another", &both));
    }
}
