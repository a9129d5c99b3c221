//! Clients by the contexts of a kubeconfig.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Config;
use kube::config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig, KubeconfigError};

/// A kubeconfig, or those that `KUBECONFIG` names.
#[derive(Clone)]
pub(crate) struct Contexts(Kubeconfig);

/// Why there is no kubeconfig.
///
/// The client's own error can quote the file, hence is not passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContextsError {
    /// A file cannot be read.
    #[error("cannot read the kubeconfig {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is none.
    #[error("expected a kubeconfig in --kubeconfig, KUBECONFIG or the home folder, found none")]
    Nowhere,
    /// A file has another form.
    #[error("the kubeconfig is not valid: `kubectl config view` shows what is wrong with it")]
    NotValid,
}

/// Why there is no client for a context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContextError {
    /// No such context.
    #[error("the kubeconfig has no context `{0}`")]
    Missing(String),
    /// Its cluster, user or certificates are missing or not valid.
    #[error("the context `{0}` of the kubeconfig cannot be used: `kubectl --context {0} get nodes` shows why")]
    Unusable(String),
    /// The program that has the credentials has failed.
    #[error("the context `{0}` of the kubeconfig gives no credentials; log in as it needs, and try again")]
    NoCredentials(String),
}

impl Contexts {
    /// Reads the kubeconfig of this path, else those that kubectl would take.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, ContextsError> {
        let read = path.map_or_else(Kubeconfig::read, Kubeconfig::read_from);
        let mut kubeconfig = read.map_err(|error| match error {
            KubeconfigError::ReadConfig(source, _) if path.is_none() && source.kind() == io::ErrorKind::NotFound => {
                ContextsError::Nowhere
            }
            KubeconfigError::ReadConfig(source, path) => ContextsError::Read { path, source },
            KubeconfigError::FindPath => ContextsError::Nowhere,
            _ => ContextsError::NotValid,
        })?;
        // Several at once cannot all ask the terminal, and what they would say there is nobody's to print.
        for user in &mut kubeconfig.auth_infos {
            if let Some(exec) = user.auth_info.as_mut().and_then(|user| user.exec.as_mut()) {
                exec.interactive_mode = Some(ExecInteractiveMode::Never);
            }
        }
        Ok(Self(kubeconfig))
    }

    /// A client for a context. Nothing is sent, but a credential plugin may run, which blocks.
    ///
    /// It has to be called on a tokio runtime, which the connection then lives on.
    pub(crate) async fn client(self, context: &str, patience: Duration) -> Result<kube::Client, ContextError> {
        let options = KubeConfigOptions { context: Some(context.to_owned()), ..KubeConfigOptions::default() };
        let mut config = Config::from_custom_kubeconfig(self.0, &options).await.map_err(|error| match error {
            KubeconfigError::LoadContext(_) => ContextError::Missing(context.to_owned()),
            _ => ContextError::Unusable(context.to_owned()),
        })?;
        config.connect_timeout = Some(patience);
        config.read_timeout = Some(patience);
        kube::Client::try_from(config).map_err(|error| match error {
            kube::Error::Auth(_) => ContextError::NoCredentials(context.to_owned()),
            _ => ContextError::Unusable(context.to_owned()),
        })
    }
}
