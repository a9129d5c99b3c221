//! Containers of every form: names, overrides by the user, ports.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Fitting;
use super::overlay::overlay;
use super::volumes::{free_name, position, renamed};
use crate::injection::pod::PodView;
use crate::injection::reason::Fault;
use crate::injection::render::RenderedContainer;
use crate::injection::slot::Slot;
use crate::injection::valid;
use crate::settings::{Form, Overridable, Piece, Position, Rule};

/// The image of a user-written container that stands for ours.
const PLACEHOLDER: &str = "auto";

impl Fitting<'_, '_> {
    pub(super) fn containers(&mut self, containers: Vec<RenderedContainer<'_>>) -> Result<(), Fault> {
        for RenderedContainer { form, position, overridable, fixed, piece } in containers {
            let mut piece = match overridable {
                Some(overridable) => self.overridden(piece, overridable)?,
                None => piece,
            };
            if let Some(fixed) = fixed {
                let mut value = piece.value.clone().into_owned();
                overlay(&mut value, &fixed, "");
                piece = piece.with(value);
            }
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
            if let Some(name) = self.container(list, &piece, &position)? {
                self.containers.push((list, name));
            }
        }
        Ok(())
    }

    /// Our container with what a user-written one of the same name says over it; that one is taken out of its list.
    ///
    /// `image: auto` in it stands for our image, as in Istio (istio: `pkg/kube/inject`).
    fn overridden<'p>(&mut self, piece: Piece<'p>, overridable: &Overridable) -> Result<Piece<'p>, Fault> {
        let name = piece.value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some((list, index)) = self.find_container(&name) else { return Ok(piece) };
        let list = Slot::of(&["spec", list]);
        let Some(theirs) = self.draft.items(&list).get(index).cloned() else { return Ok(piece) };
        if self.draft.is_ours(list.item(index, &theirs).address()) {
            return Ok(piece);
        }
        let mut value = piece.value.clone().into_owned();
        let says = |(key, value): &(&String, &Value)| {
            let nothing = value.is_null() || value.as_object().is_some_and(Map::is_empty);
            !nothing && *key != "name" && !(*key == "image" && *value == PLACEHOLDER)
        };
        for (key, over) in theirs.as_object().into_iter().flatten().filter(says) {
            if !overridable.allows(key) {
                self.conflicts.push(format!("container `{name}`: `{key}` of it may not be overridden"));
            } else if let Value::Object(value) = &mut value {
                match value.get_mut(key) {
                    Some(ours) => overlay(ours, over, key),
                    None => drop(value.insert(key.clone(), over.clone())),
                }
            }
        }
        self.draft.remove(&list, index)?;
        Ok(piece.with(value))
    }

    /// Puts one container in; the name under which it stands, where it does.
    fn container(&mut self, list: &'static str, piece: &Piece<'_>, place: &Position) -> Result<Option<String>, Fault> {
        let name = piece.value.get("name").and_then(Value::as_str).unwrap_or_default();
        let what = format!("container `{name}`");
        let slot = Slot::of(&["spec", list]);
        let Some((other_list, index)) = self.find_container(name) else {
            return Ok(self.stand(&slot, piece, name, place, &what)?.then(|| name.to_owned()));
        };
        match self.sidecar.conflicts.containers {
            Rule::Rename => {
                let free = free_name(name, |candidate| self.find_container(candidate).is_some());
                Ok(self.stand(&slot, &renamed(piece, &free), &free, place, &what)?.then_some(free))
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
