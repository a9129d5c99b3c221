//! What the images of a federation stand for, written into its lock.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use fedcar_policy::federation::compatibility::images;
use fedcar_policy::federation::{LOCK_FILE, Lock};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::explain::Form;
use super::registry::{RegistryArguments, block_on};
use super::settings::without_text;
use super::talk::Talk;
use super::whole_file;
use crate::documents::{self, Loaded};
use crate::problem::Diagnostic;
use crate::yaml;

/// Ask registries which digests and platforms the images of a federation have, and write them into fedcar.lock
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    #[command(flatten)]
    images: ImageArguments,
    /// The form of the result
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

/// Where images are looked up.
#[derive(Debug, Args)]
pub(super) struct ImageArguments {
    /// A folder in the OCI image layout, which is looked into before registries are asked; may be repeated
    #[arg(long, value_name = "PATH")]
    layout: Vec<PathBuf>,
    #[command(flatten)]
    registry: RegistryArguments,
}

const EXAMPLES: &str = "\
Examples:
  fedcar probe-images retail
  fedcar probe-images retail --layout mirror --output json";

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

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let loaded = documents::load(&arguments.documents, documents::today()).map_err(Failure::Problems)?;
    let mut lock = loaded.lock().clone();
    let report = update(&loaded, &mut lock, &arguments.images, talk)?;
    let path = arguments.documents.join(LOCK_FILE);
    if lock != *loaded.lock() {
        whole_file::write(&path, yaml::write(&lock.to_value()).as_bytes())?;
        talk.note(format_args!("{}: written", path.display()));
    }
    if arguments.output == Form::Json {
        let mut stdout = io::stdout().lock();
        let printed = serde_json::to_writer(&mut stdout, &report).map_err(io::Error::from);
        printed.and_then(|()| writeln!(stdout)).map_err(Failure::stdout)?;
    }
    Ok(report.exit())
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

/// The references of all members.
fn used(loaded: &Loaded) -> Result<BTreeSet<String>, Failure> {
    let mut used = BTreeSet::new();
    let mut problems = Vec::new();
    for member in loaded.federation().members() {
        let found = loaded.settings(&member.name).and_then(|(settings, _)| {
            let invalid = |found: Vec<_>| without_text(&member.name, found.into_iter().map(Into::into).collect());
            images(&settings).map_err(invalid)
        });
        match found {
            Ok(images) => used.extend(images),
            Err(found) => {
                let new: Vec<Diagnostic> = found.into_iter().filter(|one| !problems.contains(one)).collect();
                problems.extend(new);
            }
        }
    }
    if problems.is_empty() { Ok(used) } else { Err(Failure::Problems(problems)) }
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
