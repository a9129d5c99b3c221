//! Positions of injected containers that no order can meet: each is to stand before the next, and the last before the first.
//!
//! Looked at are the current versions of a member's sidecars, as far as the documents alone say where a container stands.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::settings::{Computable, Form, Position, Settings, Sidecar};

/// A container whose name, list and position are known.
struct Placed<'s> {
    sidecar: &'s Sidecar,
    name: &'s str,
    position: &'s Position,
    /// Its place in the settings.
    pointer: String,
    is_init: bool,
}

/// The position of the first container of each circle in the settings, and the circle in words. `source` is what the
/// settings were read from.
pub(super) fn circles(settings: &Settings, source: &Value) -> Vec<(String, String)> {
    let placed = placed(settings, source);
    let mut found = Vec::new();
    let mut told: Vec<usize> = Vec::new();
    for start in 0..placed.len() {
        let Some(circle) = way_back(&placed, start).filter(|_| !told.contains(&start)) else { continue };
        let members: Vec<&Placed<'_>> = circle.iter().filter_map(|index| placed.get(*index)).collect();
        let apart =
            |one: &&Placed<'_>| members.iter().any(|other| one.sidecar.matching.excludes(&other.sidecar.matching));
        if !members.iter().any(apart) {
            let names: Vec<String> =
                members.iter().chain(members.first()).map(|one| format!("`{}`", one.name)).collect();
            let message =
                format!("each is to stand before the next, and no order does that: {}", names.join(" before "));
            let pointer = members.first().map(|one| format!("{}/position", one.pointer));
            found.push((pointer.unwrap_or_default(), message));
        }
        told.extend(circle);
    }
    found
}

fn placed<'s>(settings: &'s Settings, source: &'s Value) -> Vec<Placed<'s>> {
    let mut placed = Vec::new();
    for (index, sidecar) in settings.sidecars.iter().enumerate() {
        for (own, container) in sidecar.versions.current.inject.containers.iter().enumerate() {
            let (Computable::Fixed(position), Computable::Fixed(form)) = (&container.position, &container.form) else {
                continue;
            };
            let pointer = format!("/sidecars/{index}/inject/containers/{own}");
            let name = source.pointer(&pointer).and_then(|container| container.get("name")?.as_str());
            let Some(name) = name.filter(|name| !name.contains("${")) else { continue };
            let form = match form {
                Form::Sidecar if !settings.cluster.native_sidecars => container.fallback.form,
                form => *form,
            };
            placed.push(Placed { sidecar, name, position, pointer, is_init: form != Form::Container });
        }
    }
    placed
}

/// The shortest way from a container over those that it is to stand before, back to itself.
fn way_back(placed: &[Placed<'_>], start: usize) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(at) = waiting.pop_front() {
        for next in (0..placed.len()).filter(|next| stands_before(placed, at, *next)) {
            if next == start {
                let mut way: Vec<usize> = std::iter::successors(Some(at), |one| came_from.get(one).copied()).collect();
                way.reverse();
                return Some(way);
            }
            if let std::collections::btree_map::Entry::Vacant(entry) = came_from.entry(next) {
                entry.insert(at);
                waiting.push_back(next);
            }
        }
    }
    None
}

/// Whether a document says that one container is to stand before another one by its name.
fn stands_before(placed: &[Placed<'_>], one: usize, other: usize) -> bool {
    let (Some(one), Some(other)) = (placed.get(one), placed.get(other)) else { return false };
    one.is_init == other.is_init && (names(&one.position.before, other.name) || names(&other.position.after, one.name))
}

fn names(list: &[String], name: &str) -> bool {
    list.iter().any(|one| one == name)
}
