//! The connection to the API server.
//!
//! Invariant: a connection that has gone silent is noticed. kube ends a watch that says nothing, but waits forever for
//! the answer to a list; the read timeout ends both.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

/// How long the API server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a watch may last: the API server ends it then, and it begins again where it ended.
pub(super) const WATCH_SECONDS: u32 = 60;

/// How long a connection may be silent while an answer is awaited; longer than any watch lasts.
const READ_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig {}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        source: kube::config::KubeconfigError,
    },
    /// There is neither a kubeconfig nor a service account.
    #[error("expected a kubeconfig or the service account of a pod, found neither")]
    NoCluster(#[source] kube::config::InferConfigError),
    /// The certificates or credentials cannot be used.
    #[error("cannot make a client for the API server")]
    Client(#[source] kube::Error),
}

/// A client for the API server that `kubeconfig` names; without one, as kubectl and then as a pod finds it.
///
/// Nothing is sent yet. It has to be called on a tokio runtime, which the connection then lives on.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<kube::Client, ConnectError> {
    let mut config = match kubeconfig {
        None => Config::infer().await.map_err(ConnectError::NoCluster)?,
        Some(path) => {
            let failed = |source| ConnectError::Kubeconfig { path: path.to_owned(), source };
            let file = Kubeconfig::read_from(path).map_err(failed)?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(failed)?
        }
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    kube::Client::try_from(config).map_err(ConnectError::Client)
}
