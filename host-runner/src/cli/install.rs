//! How an engine is installed, in one cluster or in many.

use std::fs;
use std::path::PathBuf;

use clap::Args;

use super::exit::Failure;
use crate::input::InputError;
use crate::manifests::{CaBundle, FailurePolicy, NamespaceLabels, Proof, TLS_SECRET, Tls};
use crate::problem::Diagnostic;

/// What is the same for every cluster of one call.
#[derive(Debug, Args)]
pub(super) struct InstallArguments {
    /// How many runners, or policy servers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) replicas: u32,
    /// Where the runner's certificate comes from
    #[arg(long, value_enum, value_name = "FROM", default_value_t = Certificates::CertManager)]
    tls: Certificates,
    /// The certificates by which the API server knows the runner, as PEM; needed with `--tls secret`
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// What happens to a new pod while the engine does not answer [default: Fail where a sidecar is required, else Ignore]
    #[arg(long, value_enum, value_name = "POLICY", ignore_case = true)]
    pub(super) failure_policy: Option<FailurePolicy>,
    /// How long the API server waits for the engine when a pod is created
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=30))]
    pub(super) timeout_seconds: u32,
    /// Whether the runner knows the labels of namespaces
    #[arg(long, value_enum, value_name = "HOW", default_value_t = NamespaceLabels::Watch)]
    pub(super) namespace_labels: NamespaceLabels,
    /// The priority class of the runner's pods
    #[arg(long, value_name = "NAME", default_value = "system-cluster-critical")]
    pub(super) priority_class: String,
    /// Close what the runner does not need with a network policy
    #[arg(long)]
    pub(super) network_policy: bool,
    /// What the API server itself proves of a required sidecar in a new pod
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Proof::Image)]
    pub(super) prove: Proof,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Certificates {
    /// cert-manager, which must be in the cluster, makes and renews it
    CertManager,
    /// A Secret that somebody makes, for example with `fedcar certificate`
    Secret,
}

impl InstallArguments {
    /// The certificate of the runner, with the bundle read.
    pub(super) fn tls(&self) -> Result<Tls, Failure> {
        match (self.tls, self.ca_bundle.as_deref()) {
            (Certificates::CertManager, None) => Ok(Tls::CertManager),
            (Certificates::Secret, Some(path)) => {
                let file = path.display().to_string();
                let text = fs::read(path).map_err(|source| InputError::Read { file: file.clone(), source })?;
                let bad = |error| Failure::Problems(vec![Diagnostic::of_file(file, error)]);
                CaBundle::parse(&text).map(Tls::Secret).map_err(|error| bad(error.to_string()))
            }
            (Certificates::Secret, None) => Err(Failure::Usage("`--tls secret` needs `--ca-bundle FILE`".to_owned())),
            (Certificates::CertManager, Some(_)) => {
                Err(Failure::Usage("`--ca-bundle` goes with `--tls secret`: cert-manager brings its own".to_owned()))
            }
        }
    }

    /// What somebody has to bring before the runner can start.
    pub(super) fn waits_for(&self, namespace: &str) -> Option<String> {
        (self.tls == Certificates::Secret)
            .then(|| format!("the runner waits for the Secret {TLS_SECRET} (tls.crt, tls.key) in {namespace}"))
    }
}
