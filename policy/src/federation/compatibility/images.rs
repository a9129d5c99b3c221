//! The images whose platforms [`Federation::compatibility`](super::Federation::compatibility) asks for.

use std::collections::BTreeSet;

use serde_json::Value;

use super::candidate::{Candidate, is_open};
use crate::read::Problem;
use crate::settings::Settings;

/// The image references in the settings of one member, as its pods will have them, of every version that is being rolled
/// out. One that hangs on the pod is none yet.
///
/// # Errors
///
/// What is wrong with the settings, where they are not valid ones.
pub fn images(settings: &Value) -> Result<BTreeSet<String>, Vec<Problem>> {
    let read = Settings::read(settings)?;
    let sources = settings["sidecars"].as_array().into_iter().flatten();
    let candidates = read
        .sidecars
        .iter()
        .zip(sources)
        .flat_map(|(sidecar, source)| Candidate::every((&read, settings), sidecar, source, &[]));
    let containers = candidates.flat_map(|candidate| candidate.containers);
    Ok(containers
        .filter_map(|container| {
            container.value.get("image").filter(|image| !is_open(image))?.as_str().map(str::to_owned)
        })
        .collect())
}
