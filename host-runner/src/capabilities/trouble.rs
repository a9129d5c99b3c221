//! What can go wrong between this program and the API server, in words that may be passed on.
//!
//! Errors of the client can hold addresses, and those of credential plugins what they printed, so none is passed on as
//! it is. [`detail`] is for the log, and leaves out what concerns credentials.

use std::error::Error;

use fedcar_policy::read::clip;
use kube::runtime::watcher;

/// What went wrong, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// RBAC does not allow it.
    #[error("the API server forbids it; RBAC has to grant it to this server's service account")]
    Forbidden,
    /// The credentials are not accepted, or there are none to be had.
    #[error("the API server does not accept this server's credentials")]
    Unauthorized,
    /// There is no such object or API.
    #[error("the API server does not know it")]
    NotFound,
    /// The API server answered with another error.
    #[error("the API server answered {code} {}", clip(.message))]
    Answered {
        /// The HTTP status.
        code: u16,
        /// Its message.
        message: String,
    },
    /// There was no answer, or none that could be understood.
    #[error("the API server cannot be reached")]
    Unreachable,
}

impl From<&kube::Error> for Trouble {
    fn from(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::from(&**status),
            kube::Error::Auth(_) => Self::Unauthorized,
            _ => Self::Unreachable,
        }
    }
}

impl From<&kube::core::Status> for Trouble {
    fn from(status: &kube::core::Status) -> Self {
        match status.code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            code => Self::Answered { code, message: status.message.clone() },
        }
    }
}

impl From<&watcher::Error> for Trouble {
    fn from(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::from(error),
            watcher::Error::WatchError(status) => Self::from(&**status),
            watcher::Error::NoResourceVersion => Self::Unreachable,
        }
    }
}

/// An error of the client for the log, with its causes.
pub(super) fn detail(error: &kube::Error) -> String {
    match error {
        kube::Error::Auth(_) => "the credentials cannot be had".to_owned(),
        kube::Error::Api(status) => format!("{} {}", status.code, status.message),
        other => chain(other),
    }
}

/// An error of a watch for the log, with its causes.
pub(super) fn watch_detail(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => detail(error),
        watcher::Error::WatchError(status) => format!("{} {}", status.code, status.message),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
