//! `fedcar probe --images`: what the images of a federation stand for.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use fedcar_policy::federation::Lock;
use fedcar_policy::federation::compatibility::images;
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::incompatible::every_rule;
use super::registry::{RegistryArguments, block_on};
use super::talk::Talk;
use crate::documents::Loaded;

/// Where images are looked up.
#[derive(Debug, Args)]
pub(super) struct ImageArguments {
    /// A folder in the OCI image layout, which is looked into before registries are asked; may be repeated
    #[arg(long, value_name = "PATH", requires = "images")]
    layout: Vec<PathBuf>,
    #[command(flatten)]
    registry: RegistryArguments,
}

/// What became of the images of a lock.
#[derive(Serialize)]
pub(super) struct ImagesReport {
    images: Vec<ImageReport>,
    /// References that were in the lock and that nothing uses any more.
    dropped: Vec<String>,
}

#[derive(Serialize)]
struct ImageReport {
    reference: String,
    /// `new`, `unchanged`, `changed` or `unresolved`.
    status: &'static str,
    /// What the lock says now; of an image that was not resolved what it said before.
    digest: Option<String>,
    platforms: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Puts into a lock what every image of every member stands for, and leaves out the images that none has. What is known
/// about one that cannot be resolved stays, and why is told.
pub(super) fn update(
    loaded: &Loaded,
    lock: &mut Lock,
    arguments: &ImageArguments,
    talk: Talk,
) -> Result<ImagesReport, Failure> {
    let used = used(loaded)?;
    let registry = arguments.registry.registry(&arguments.layout)?;
    let dropped = lock.retain_images(|reference| used.contains(reference));
    for reference in &dropped {
        talk.note(format_args!("{reference}: dropped, since nothing uses it"));
    }
    let mut images = Vec::new();
    for (reference, found) in block_on(registry.images(&used))? {
        let before = lock.images().get(reference).cloned();
        let (status, error) = match found {
            Ok(found) => {
                let status = match &before {
                    None => "new",
                    Some(before) if *before == found => "unchanged",
                    Some(_) => "changed",
                };
                lock.set_image(reference, found);
                (status, None)
            }
            Err(fault) => {
                let problem = fault.about(reference);
                talk.error(&problem);
                ("unresolved", Some(problem.message))
            }
        };
        let image = lock.images().get(reference).cloned().unwrap_or_default();
        let report = ImageReport {
            reference: reference.to_owned(),
            status,
            digest: image.digest,
            platforms: image.platforms,
            error,
        };
        talk.note(report.in_words(before.and_then(|before| before.digest).as_deref()));
        images.push(report);
    }
    Ok(ImagesReport { images, dropped })
}

/// The references of all members. Whether a sidecar works in a member is not asked here.
fn used(loaded: &Loaded) -> Result<BTreeSet<String>, Failure> {
    let of_members = loaded.each_member(&every_rule(), |_, compiled| Ok(images(compiled)));
    Ok(of_members.map_err(Failure::Problems)?.into_iter().flatten().collect())
}

impl ImagesReport {
    /// An image that is not resolved is an input that cannot be used, though the rest of the lock is there.
    pub(super) fn exit(&self) -> Exit {
        if self.images.iter().any(|image| image.error.is_some()) { Exit::BadInput } else { Exit::Done }
    }
}

impl ImageReport {
    fn in_words(&self, before: Option<&str>) -> String {
        let Self { reference, status, digest, platforms, .. } = self;
        let digest = digest.as_deref().unwrap_or("nothing is known");
        let platforms = if platforms.is_empty() { "platforms unknown".to_owned() } else { platforms.join(", ") };
        match before.filter(|before| *before != digest) {
            Some(before) => format!("{reference}: {status} from {before} to {digest}, {platforms}"),
            None => format!("{reference}: {status}, {digest}, {platforms}"),
        }
    }
}
