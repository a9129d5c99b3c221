//! Containers of every form: names, places among the others, ports.

use std::borrow::Cow;

use serde_json::Value;

use super::volumes::{free_name, position, renamed};
use super::{Fitting, Placed};
use crate::injection::pod::PodView;
use crate::injection::reason::Fault;
use crate::injection::render::RenderedContainer;
use crate::injection::slot::Slot;
use crate::injection::valid;
use crate::settings::{Form, Piece, Position, Rule};

/// Stands for every other container in `before` and `after`.
const EVERY: &str = "*";

impl Fitting<'_, '_> {
    pub(super) fn containers(&mut self, containers: Vec<RenderedContainer<'_>>) -> Result<Vec<Placed>, Fault> {
        let mut placed = Vec::new();
        for RenderedContainer { form, position, piece } in containers {
            if let Cow::Owned(value) = &piece.value {
                let found = valid::container_faults(value, form);
                if !found.is_empty() {
                    self.faults.extend(found);
                    continue;
                }
            }
            let piece = self.with_renamed_mounts(piece);
            let list = if form == Form::Container { "containers" } else { "initContainers" };
            if form != Form::Init {
                self.ports(&piece);
            }
            if let Some(name) = self.container(list, &piece, position)? {
                self.placed.push((list, name.clone()));
                placed.push(Placed { list, name, position: position.clone() });
            }
        }
        Ok(placed)
    }

    /// Puts one container in; the name under which it stands, where it does.
    fn container(&mut self, list: &'static str, piece: &Piece<'_>, place: &Position) -> Result<Option<String>, Fault> {
        let name = piece.value.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some((other_list, index)) = self.find_container(name) else {
            return self.stand(list, piece, name, place);
        };
        let what = format!("container `{name}`");
        match self.sidecar.conflicts.containers {
            Rule::Rename => {
                let free = free_name(name, |candidate| self.find_container(candidate).is_some());
                self.stand(list, &renamed(piece, &free), &free, place)
            }
            Rule::Replace if other_list != list => {
                self.conflicts.push(format!("{what} is in `{other_list}`, so ours in `{list}` cannot replace it"));
                Ok(None)
            }
            rule => {
                // Theirs may stand in the other list: a conflict all the same.
                let slot = Slot::of(&["spec", other_list]);
                let slot = self.draft.items(&slot).get(index).map(|item| slot.item(index, item));
                match slot {
                    Some(slot) if self.replaces(rule, &what) => {
                        self.put(slot, piece)?;
                        Ok(Some(name.to_owned()))
                    }
                    _ => Ok(None),
                }
            }
        }
    }

    /// Inserts a container whose name is free where its position wants it.
    fn stand(
        &mut self,
        list: &'static str,
        piece: &Piece<'_>,
        name: &str,
        place: &Position,
    ) -> Result<Option<String>, Fault> {
        let slot = Slot::of(&["spec", list]);
        match index_for(self.draft.items(&slot), place) {
            Ok(index) => {
                self.insert(&slot, index, piece)?;
                Ok(Some(name.to_owned()))
            }
            Err(detail) => {
                self.conflicts.push(format!("container `{name}`: {detail}"));
                Ok(None)
            }
        }
    }

    /// Where a container of this name stands; names are unique across all lists.
    fn find_container(&self, name: &str) -> Option<(&'static str, usize)> {
        ["containers", "initContainers"]
            .into_iter()
            .find_map(|list| position(PodView(self.draft.pod()).list(list), name).map(|index| (list, index)))
    }

    /// Ports that another container of the pod already declares: they share one network namespace.
    fn ports(&mut self, piece: &Piece<'_>) {
        let Some(ours) = piece.value.as_object() else { return };
        let pod = PodView(self.draft.pod());
        let running = pod.list("containers").iter().chain(
            pod.list("initContainers")
                .iter()
                .filter(|one| one.get("restartPolicy").is_some_and(|policy| policy == "Always")),
        );
        let mut found = Vec::new();
        for theirs in running.filter_map(Value::as_object) {
            for port in valid::list(ours, "ports") {
                let clash = valid::list(theirs, "ports").iter().any(|other| {
                    protocol(other) == protocol(port)
                        && ["containerPort", "hostPort"].iter().any(|key| {
                            port.get(*key).and_then(Value::as_u64).is_some_and(|number| {
                                number != 0 && other.get(*key).and_then(Value::as_u64) == Some(number)
                            })
                        })
                });
                if clash {
                    let name = |container: &serde_json::Map<String, Value>| {
                        container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
                    };
                    let number = port.get("containerPort").and_then(Value::as_u64).unwrap_or_default();
                    let protocol = protocol(port);
                    found.push(format!(
                        "port {number}/{protocol} of `{}` is also one of `{}`",
                        name(ours),
                        name(theirs)
                    ));
                }
            }
        }
        match self.sidecar.conflicts.ports {
            Rule::Keep => self.notes.extend(found),
            _ => self.conflicts.extend(found),
        }
    }
}

fn protocol(port: &Value) -> &str {
    port.get("protocol").and_then(Value::as_str).unwrap_or("TCP")
}

/// Where a new item goes: as late as its `before` allows, and behind everything in its `after`.
fn index_for(items: &[Value], place: &Position) -> Result<usize, String> {
    let listed = |names: &[String], item: &Value| {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        names.iter().any(|one| one == name || one == EVERY)
    };
    let last_after = items.iter().rposition(|item| listed(&place.after, item));
    let first_before = items.iter().position(|item| listed(&place.before, item));
    match (last_after, first_before) {
        (Some(after), Some(before)) if before <= after => {
            Err("its position asks to stand before one container and after a later one".to_owned())
        }
        (_, Some(before)) => Ok(before),
        (_, None) => Ok(items.len()),
    }
}

/// Whether a container stands where its position wants it, in an order that others have made.
pub(in crate::injection) fn stands_well(items: &[Value], placed: &Placed) -> bool {
    let Some(own) = position(items, &placed.name) else { return false };
    let names = || items.iter().enumerate().filter_map(|(index, item)| Some((index, item.get("name")?.as_str()?)));
    let meant =
        |list: &[String], name: &str| list.iter().any(|one| one == name || (one == EVERY && name != placed.name));
    names().all(|(index, name)| {
        (!meant(&placed.position.before, name) || own < index) && (!meant(&placed.position.after, name) || own > index)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn positions_are_kept() {
        let items: Vec<Value> = ["a", "b", "c"].iter().map(|name| json!({"name": name})).collect();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (before, after, index) in [
            (&[][..], &[][..], Some(3)),
            (&["a"], &[], Some(0)),
            (&["b", "c"], &[], Some(1)),
            (&["*"], &[], Some(0)),
            (&[], &["a"], Some(3)),
            (&["c"], &["a"], Some(2)),
            (&["a"], &["b"], None),
            (&["gone"], &["gone too"], Some(3)),
        ] {
            let place = Position { before: names(before), after: names(after) };
            assert_eq!(index_for(&items, &place).ok(), index, "{before:?} {after:?}");
        }
    }
}
