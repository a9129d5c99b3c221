//! Why a host call is refused, as the policy is told.

use fedcar_policy::read::clip;

use super::trouble::Trouble;

/// Why a host call is refused. The text goes to the policy, which may show it to whoever made the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// waPC's first name is not Kubewarden's.
    #[error("expected the binding `kubewarden`, found `{}`", clip(.0))]
    Binding(String),
    /// There is no such operation.
    #[error("unknown host capability `{}`", clip(.0))]
    Unknown(String),
    /// The policy entry does not grant it.
    #[error("the host capability `{0}` is not granted: `hostCapabilities` of the policy does not name it")]
    NotGranted(&'static str),
    /// This host does not have it.
    #[error("the host capability `{0}` is not supported by fedcar")]
    Unsupported(&'static str),
    /// The policy entry does not grant reading the kind.
    #[error(
        "`{}` of `{}` is not granted: `contextAwareResources` of the policy does not name it",
        clip(.kind), clip(.api_version)
    )]
    ResourceNotGranted {
        /// The asked `apiVersion`.
        api_version: String,
        /// The asked kind.
        kind: String,
    },
    /// The arguments are not what the operation takes.
    #[error("the arguments of the host call are not valid: {0}")]
    Arguments(String),
    /// The server runs without a cluster.
    #[error("there is no cluster to read from")]
    NoCluster,
    /// The API server does not serve the kind.
    #[error("the API server has no `{kind}` of `{api_version}`")]
    NoSuchKind {
        /// The `apiVersion`.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// There is no such object.
    #[error("there is no {kind} `{name}`{}", in_namespace(.namespace.as_deref()))]
    NoSuchObject {
        /// The kind.
        kind: String,
        /// Where it was looked for.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// The API server could not be asked, or refused.
    #[error("cannot {verbs} {what}: {trouble}")]
    Trouble {
        /// What was tried, as RBAC names it.
        verbs: &'static str,
        /// The kind, as `plural.group`.
        what: String,
        /// Why it failed.
        trouble: Trouble,
    },
    /// All objects that policies read would take more memory than they may.
    #[error(
        "the objects of {what} are too many to keep; get single ones with `disable_cache`, or list with a selector"
    )]
    TooLarge {
        /// The kind, as `plural.group`.
        what: String,
    },
    /// Policies use too many different selections.
    #[error("policies read {0} different selections of objects already; use fewer selectors")]
    TooManyWatches(usize),
    /// The time of the call is up.
    #[error("the API server did not answer in time")]
    Late,
    /// The server is about to end.
    #[error("the server is stopping")]
    Stopping,
}

fn in_namespace(namespace: Option<&str>) -> String {
    namespace.map(|namespace| format!(" in namespace `{namespace}`")).unwrap_or_default()
}
