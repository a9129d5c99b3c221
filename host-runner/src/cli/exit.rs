//! How a command ends: every failure, and the one function that makes an exit code of it.

use std::io;
use std::process::ExitCode;

use super::certificate::CertificateError;
use super::serve::ServeError;
use crate::admission::{PatchError, Unanswered};
use crate::artifact::PlaceError;
use crate::engine::{EngineError, Interruption, LoadError, PrepareError};
use crate::input::InputError;
use crate::probe::ContextsError;
use crate::problem::Diagnostic;

/// The exit codes, from best to worst: with many objects, the worst one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Exit {
    /// Done, or skipped with a reason.
    Done = 0,
    /// The policy denies an object, or what is compared is different.
    Denied = 1,
    /// The command was called wrongly.
    Usage = 2,
    /// An input cannot be used.
    BadInput = 3,
    /// fedcar, its module or the system failed.
    Fault = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command stops.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Arguments that do not go together.
    #[error("{0}")]
    Usage(String),
    /// An input that cannot be had.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Problems with a place.
    #[error("the input is not valid")]
    Problems(Vec<Diagnostic>),
    /// No engine.
    #[error("cannot start the engine")]
    Engine(#[from] EngineError),
    /// The module cannot be loaded.
    #[error("cannot load the policy module")]
    Load(#[from] LoadError),
    /// The module did not take the settings, for another reason than their problems.
    #[error("cannot prepare the policy module")]
    Prepare(#[from] PrepareError),
    /// The module's list of problems cannot be read.
    #[error("cannot read the problems that the module found")]
    Problem(#[source] serde_json::Error),
    /// The module did not answer about an object.
    #[error("no answer about {place}")]
    Unanswered {
        /// Where the object stands.
        place: String,
        /// Why.
        source: Unanswered,
    },
    /// The module's patch cannot be applied.
    #[error("cannot change {place}")]
    Patch {
        /// Where the object stands.
        place: String,
        /// Why.
        source: PatchError,
    },
    /// Nothing can be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Certificates cannot be made or kept.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// There is no kubeconfig.
    #[error(transparent)]
    Contexts(#[from] ContextsError),
    /// A folder of compiled files cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A result cannot be written.
    #[error("cannot write {to}")]
    Write {
        /// Where to.
        to: String,
        /// Why.
        source: io::Error,
    },
}

impl Failure {
    /// A result that cannot be printed.
    pub(super) fn stdout(source: io::Error) -> Self {
        Self::Write { to: "to standard output".to_owned(), source }
    }

    /// The exit code. A reader that went away wanted no more: that is no failure.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_)
            | Self::Input(InputError::Nothing | InputError::Pattern(_))
            | Self::Place(PlaceError::NotAFolder { .. } | PlaceError::Foreign { .. }) => Exit::Usage,
            Self::Input(_)
            | Self::Problems(_)
            | Self::Contexts(_)
            | Self::Unanswered { source: Unanswered::Interrupted(Interruption::Input), .. } => Exit::BadInput,
            Self::Serve(error) if error.is_input() => Exit::BadInput,
            Self::Write { .. } if self.is_broken_pipe() => Exit::Done,
            Self::Engine(_)
            | Self::Load(_)
            | Self::Prepare(_)
            | Self::Problem(_)
            | Self::Unanswered { .. }
            | Self::Patch { .. }
            | Self::Serve(_)
            | Self::Certificate(_)
            | Self::Place(PlaceError::Io { .. })
            | Self::Write { .. } => Exit::Fault,
        }
    }

    /// Whether the program that reads our output has gone away.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}
