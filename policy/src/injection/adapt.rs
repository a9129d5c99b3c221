//! What is changed in a rendered container for this pod: first its size, then what overrides set.

use std::collections::BTreeSet;

use serde_json::Value;

use super::reason::Reason;
use super::render::{Failure, RenderedContainer};
use super::scope::RequestScope;
use super::{overrides, sizing};
use crate::settings::Override;

/// Adapts the containers of one sidecar; `values` are those of its overrides, by name.
pub(super) fn containers(
    containers: &mut [RenderedContainer<'_>],
    request: &RequestScope<'_>,
    declared: &[Override],
    values: &Value,
) -> Result<(), Failure> {
    if declared.iter().all(|one| one.sets.is_none()) && containers.iter().all(|one| one.sizing.is_none()) {
        return Ok(());
    }
    let names: BTreeSet<String> = containers.iter().filter_map(|one| name(one).map(str::to_owned)).collect();
    let applications = request.own("containers").filter(|(name, _)| !names.contains(*name));
    let applications: Vec<&Value> = applications.map(|(_, container)| container).collect();
    for container in containers {
        let own =
            |one: &&Override| one.sets.as_ref().is_some_and(|sets| Some(sets.container.as_str()) == name(container));
        let wanted = declared.iter().filter(own).filter_map(|one| Some((one, values.get(&one.name)?)));
        let wanted: Vec<_> = wanted.collect();
        if container.sizing.is_none() && wanted.is_empty() {
            continue;
        }
        container.piece.edit(|value| {
            if let Some(sizing) = container.sizing {
                sizing::size(value, sizing, request.pod(), &applications);
            }
            wanted.into_iter().try_for_each(|(one, wanted)| {
                let path = one.sets.as_ref().map_or(&[][..], |sets| &sets.path);
                overrides::set(value, path, wanted).map_err(|detail| {
                    let place = format!("what `overrides.{}` sets, containers.{}", one.name, path.join("."));
                    Failure::new(Reason::Invalid, vec![format!("{place}: {detail}")])
                })
            })
        })?;
    }
    Ok(())
}

fn name<'c>(container: &'c RenderedContainer<'_>) -> Option<&'c str> {
    container.piece.value.get("name").and_then(Value::as_str)
}
