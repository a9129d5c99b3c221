//! Registries, as arguments name them, and the one thing that `fedcar compile` asks them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::exit::Failure;
use super::serve::ServeError;
use super::talk::Talk;
use crate::artifact::{ModuleReference, NotPinned};
use crate::engine::MODULE;
use crate::problem::Diagnostic;
use crate::registry::{Digest, Layout, Registry};

/// How registries are asked.
#[derive(Debug, Args)]
pub(super) struct RegistryArguments {
    /// A registry without TLS, as HOST or HOST:PORT; may be repeated. One on this machine is always asked without
    #[arg(long, value_name = "HOST")]
    plain_http: Vec<String>,
    /// How long the answer to one reference may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    registry_timeout: u64,
}

impl RegistryArguments {
    /// The registries, behind folders in the OCI image layout.
    pub(super) fn registry(&self, layouts: &[PathBuf]) -> Result<Registry, Failure> {
        let mut opened = Vec::new();
        let mut problems = Vec::new();
        for folder in layouts {
            match Layout::open(folder) {
                Ok(layout) => opened.push(layout),
                Err(fault) => problems.push(fault.about(&folder.display().to_string())),
            }
        }
        let patience = Duration::from_secs(self.registry_timeout);
        match Registry::new(opened, self.plain_http.clone(), patience) {
            Ok(registry) if problems.is_empty() => Ok(registry),
            other => {
                problems.extend(other.err());
                Err(Failure::Problems(problems))
            }
        }
    }

    /// Pins a module by what the registry answers about it, and says what was found.
    pub(super) fn module(&self, text: &str, talk: Talk) -> Result<ModuleReference, Failure> {
        let bare = text.strip_prefix("registry://").unwrap_or(text);
        let repository = bare.split('@').next().unwrap_or(bare);
        let found =
            block_on(self.registry(&[])?.module(bare))?.map_err(|fault| Failure::Problems(vec![fault.about(text)]))?;
        let digest = &found.digest;
        if found.file == Digest::of(MODULE) {
            talk.note(format_args!("{text}: {digest}, which is this program's module"));
        } else {
            talk.warning(format_args!(
                "{text}: {digest} is not this program's module, by which the settings are tried: expected a file {}, found \
                 {}",
                Digest::of(MODULE),
                found.file
            ));
        }
        format!("registry://{repository}@{digest}").parse().map_err(|error: NotPinned| not_pinned(&error))
    }
}

/// A module that cannot be used.
pub(super) fn not_pinned(error: &NotPinned) -> Failure {
    Failure::Problems(vec![Diagnostic {
        hint: Some(error.hint()),
        ..Diagnostic::of_file("--module", error.to_string())
    }])
}

/// Waits for answers of registries.
pub(super) fn block_on<T>(answers: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let answers = runtime.block_on(answers);
    // Whoever looks up a name may not be back yet, and nobody waits for it any more.
    runtime.shutdown_background();
    Ok(answers)
}
