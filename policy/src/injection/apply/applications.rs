//! What changes in the user's own containers: environment, mounts, lifecycle.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Fitting;
use super::volumes::position;
use crate::injection::pod::PodView;
use crate::injection::reason::Fault;
use crate::injection::render::{RenderedApplication, Rewritten};
use crate::injection::scope::LISTS;
use crate::injection::slot::{Slot, label};
use crate::settings::Piece;

/// The places of containers, by list and name.
pub(super) type Places = BTreeMap<(&'static str, String), Slot>;

impl Fitting<'_, '_> {
    /// Where each container stands; of two of one name the later one counts.
    pub(super) fn places(&self) -> Places {
        let containers = LISTS.into_iter().flat_map(|(list, _)| {
            let items = PodView(self.draft.pod()).list(list).iter().enumerate();
            items.filter_map(move |(index, item)| {
                let name = item.get("name")?.as_str()?.to_owned();
                Some(((list, name), Slot::of(&["spec", list]).item(index, item)))
            })
        });
        containers.collect()
    }

    pub(super) fn application(&mut self, application: RenderedApplication<'_>, places: &Places) -> Result<(), Fault> {
        let RenderedApplication { list, container: name, env, env_from, volume_mounts, lifecycle, rewritten } =
            application;
        let container = places.get(&(list, name.clone())).cloned();
        // A container that the user's own conflict rule let us replace is no application any more.
        let Some(container) = container else { return Ok(()) };
        let rules = self.sidecar.conflicts;
        for piece in env {
            let Some(variable) = piece.value.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
                self.faults.push(format!("application `{name}`: an environment variable has no name"));
                continue;
            };
            let list = container.key("env");
            let items = self.draft.items(&list);
            let variable = variable.to_owned();
            match position(items, &variable) {
                None => {
                    let place = piece.place().clone();
                    self.stand(&list, piece, &place, format_args!("variable `{variable}` of `{name}`"))?;
                }
                Some(index) => {
                    let slot = list.item(index, items.get(index).unwrap_or(&Value::Null));
                    self.settle(slot, piece, rules.env, format_args!("variable `{variable}` of `{name}`"))?;
                }
            }
        }
        for piece in env_from {
            let list = container.key("envFrom");
            let items = self.draft.items(&list);
            let ours = label("envFrom", &piece.value);
            if !items.iter().any(|theirs| label("envFrom", theirs) == ours) {
                self.insert(&list, items.len(), piece)?;
            }
        }
        for piece in volume_mounts {
            self.application_mount(&container, &name, piece)?;
        }
        for piece in lifecycle {
            let slot = container.key("lifecycle").key(&piece.key);
            let event = piece.key.clone();
            self.settle(slot, piece, rules.lifecycle, format_args!("lifecycle `{event}` of `{name}`"))?;
        }
        for Rewritten { path, was, piece } in rewritten {
            let slot = path.iter().fold(container.clone(), |slot, key| slot.key(key));
            // What was rendered is made from what the user has there.
            if slot.find(self.draft.pod()) != was.as_ref() {
                self.conflicts.push(format!("`{}` of `{name}` was changed by another sidecar", path.join(".")));
            } else if !was.is_some_and(|was| was == *piece.value) {
                self.put(slot, piece)?;
            }
        }
        Ok(())
    }

    fn application_mount(&mut self, container: &Slot, name: &str, piece: Piece<'_>) -> Result<(), Fault> {
        let piece = self.follow(piece);
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (path, volume) = (text(&piece.value, "mountPath"), text(&piece.value, "name"));
        if position(PodView(self.draft.pod()).list("volumes"), &volume).is_none() {
            self.faults.push(format!("application `{name}`: it would mount `{volume}`, and there is no such volume"));
            return Ok(());
        }
        let list = container.key("volumeMounts");
        let items = self.draft.items(&list);
        match items.iter().rposition(|theirs| text(theirs, "mountPath") == path) {
            None => self.insert(&list, items.len(), piece),
            Some(index) => {
                let slot = list.item(index, items.get(index).unwrap_or(&Value::Null));
                self.settle(slot, piece, self.sidecar.conflicts.mounts, format_args!("mount `{path}` of `{name}`"))
            }
        }
    }

    /// A mount that follows its volume, where that was renamed.
    fn follow<'p>(&self, piece: Piece<'p>) -> Piece<'p> {
        if self.renamed_volumes.is_empty() {
            return piece;
        }
        piece.change(|mount| self.rename_mount(mount))
    }
}
