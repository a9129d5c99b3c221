//! The images whose platforms [`Federation::compatibility`](super::Federation::compatibility) asks for.

use std::collections::BTreeSet;

use super::candidate::{Candidate, is_open};
use crate::federation::Compiled;

/// The image references in the settings of one member, as its pods will have them, of every version that is being rolled
/// out. One that hangs on the pod is none yet.
pub fn images(compiled: &Compiled) -> BTreeSet<String> {
    let Compiled { settings, read, .. } = compiled;
    let sources = settings["sidecars"].as_array().into_iter().flatten();
    let candidates = read
        .sidecars
        .iter()
        .zip(sources)
        .flat_map(|(sidecar, source)| Candidate::every((read, settings), sidecar, source, &[]));
    let containers = candidates.flat_map(|candidate| candidate.containers);
    containers
        .filter_map(|container| {
            container.value.get("image").filter(|image| !is_open(image))?.as_str().map(str::to_owned)
        })
        .collect()
}
