//! Containers of every form: names, overrides by the user, ports.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Fitting;
use super::order::room_for;
use super::overlay::overlay;
use super::volumes::{free_name, position, renamed};
use crate::injection::pod::PodView;
use crate::injection::reason::Fault;
use crate::injection::render::RenderedContainer;
use crate::injection::slot::{Last, Slot};
use crate::injection::valid;
use crate::settings::{Form, Overridable, Piece, Position, Rule};

/// The image of a user-written container that stands for ours.
const PLACEHOLDER: &str = "auto";

impl Fitting<'_, '_> {
    pub(super) fn containers(&mut self, containers: Vec<RenderedContainer<'_>>) -> Result<(), Fault> {
        for RenderedContainer { form, position, overridable, fixed, mut piece, .. } in containers {
            let list = if form == Form::Container { "containers" } else { "initContainers" };
            let name = piece.value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let theirs = overridable.and_then(|overridable| Some((overridable, self.written_by_user(&name)?)));
            if let Some((overridable, theirs)) = &theirs {
                piece = self.overridden(piece, overridable, theirs);
            }
            if let Some(fixed) = fixed {
                piece = piece.change(|value| overlay(value, &fixed, ""));
            }
            if let Cow::Owned(value) = &piece.value {
                let mut found = valid::container_faults(value, form);
                if !found.is_empty() {
                    // Keys have no order that every host would keep.
                    found.sort();
                    self.faults.extend(found);
                    continue;
                }
            }
            let piece = self.with_renamed_mounts(piece);
            if form != Form::Init {
                let replaces = self.sidecar.conflicts.containers == Rule::Replace;
                self.ports(&piece, theirs.is_some() || replaces);
            }
            let stands = match theirs {
                Some((_, theirs)) => self.take_over(list, &theirs, piece, &name, &position)?.then_some(name),
                None => self.container(list, piece, &position)?,
            };
            self.containers.extend(stands.map(|name| (list, name)));
        }
        Ok(())
    }

    /// The container of this name, where it is not one that we have put in.
    fn written_by_user(&self, name: &str) -> Option<Slot> {
        let (list, index) = self.find_container(name)?;
        let list = Slot::of(&["spec", list]);
        let slot = list.item(index, self.draft.items(&list).get(index)?);
        (!self.draft.is_ours(slot.address())).then_some(slot)
    }

    /// Our container with what a user-written one says over it.
    ///
    /// `image: auto` in it stands for our image, as in Istio (istio: `pkg/kube/inject`).
    fn overridden<'p>(&mut self, piece: Piece<'p>, overridable: &Overridable, theirs: &Slot) -> Piece<'p> {
        let says = |(key, value): &(&String, &Value)| {
            let nothing = value.is_null() || value.as_object().is_some_and(Map::is_empty);
            // The restart policy follows from the form.
            !nothing && *key != "name" && *key != "restartPolicy" && !(*key == "image" && *value == PLACEHOLDER)
        };
        let said = theirs.find(self.draft.pod()).and_then(Value::as_object).into_iter().flatten().filter(says);
        let (said, mut refused): (Vec<_>, Vec<_>) = said.partition(|(key, _)| overridable.allows(key));
        refused.sort_by_key(|(key, _)| *key);
        let name = &overridable.name;
        let refused = refused.iter().map(|(key, _)| format!("container `{name}`: `{key}` of it may not be overridden"));
        let refused: Vec<String> = refused.collect();
        let piece = piece.change(|value| {
            let Value::Object(value) = value else { return };
            for (key, over) in said {
                overlay(value.entry(key).or_insert(Value::Null), over, key);
            }
        });
        self.conflicts.extend(refused);
        piece
    }

    /// Puts our container in the place of a user-written one, or where it wants to stand if that place will not do.
    fn take_over(
        &mut self,
        list: &'static str,
        theirs: &Slot,
        piece: Piece<'_>,
        name: &str,
        position: &Position,
    ) -> Result<bool, Fault> {
        let list = Slot::of(&["spec", list]);
        let Some((their_list, Last::Index(index))) = theirs.parent() else { return Ok(false) };
        if their_list == list {
            let mut others = self.draft.items(&list).to_vec();
            others.remove(index);
            let room = room_for(&others, name, position, &self.placed_in(&list));
            if room.is_some_and(|room| room.contains(&index)) {
                self.put(theirs.clone(), piece)?;
                self.note_position(&list, name, position);
                return Ok(true);
            }
        }
        self.draft.remove(&their_list, index)?;
        self.stand(&list, piece, position, format_args!("container `{name}`"))
    }

    /// Puts one container in; the name under which it stands, where it does.
    fn container(&mut self, list: &'static str, piece: Piece<'_>, place: &Position) -> Result<Option<String>, Fault> {
        let name = piece.value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let what = format_args!("container `{name}`");
        let slot = Slot::of(&["spec", list]);
        let Some((other_list, index)) = self.find_container(&name) else {
            return Ok(self.stand(&slot, piece, place, what)?.then_some(name));
        };
        match self.sidecar.conflicts.containers {
            Rule::Rename => {
                let free = free_name(&name, |candidate| self.find_container(candidate).is_some());
                Ok(self.stand(&slot, renamed(piece, &free), place, what)?.then_some(free))
            }
            Rule::Replace if other_list != list => {
                let Some(theirs) = self.written_by_user(&name) else {
                    let other = format!("{what} of another sidecar is in `{other_list}`");
                    self.conflicts.push(format!("{other}, so ours in `{list}` cannot replace it"));
                    return Ok(None);
                };
                Ok(self.take_over(list, &theirs, piece, &name, place)?.then_some(name))
            }
            rule => {
                // Theirs may stand in the other list: a conflict all the same.
                let slot = Slot::of(&["spec", other_list]);
                let slot = self.draft.items(&slot).get(index).map(|item| slot.item(index, item));
                match slot {
                    Some(slot) if self.replaces(rule, what) => {
                        self.put(slot, piece)?;
                        Ok(Some(name))
                    }
                    _ => Ok(None),
                }
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
    fn ports(&mut self, piece: &Piece<'_>, takes_over: bool) {
        let Some(ours) = piece.value.as_object() else { return };
        let pod = PodView(self.draft.pod());
        let running = pod.list("containers").iter().chain(
            pod.list("initContainers")
                .iter()
                .filter(|one| one.get("restartPolicy").is_some_and(|policy| policy == "Always")),
        );
        let mut found = Vec::new();
        let gone = |theirs: &&Map<String, Value>| takes_over && theirs.get("name") == ours.get("name");
        let others = running.filter_map(Value::as_object).filter(|theirs| !gone(theirs));
        for theirs in others {
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
                    let name = |container: &Map<String, Value>| {
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
