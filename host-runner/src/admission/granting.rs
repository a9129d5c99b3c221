//! What an entry of `policies.yml` grants its policy, as the gate that the engine puts host calls to.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;

use super::policies_file::PolicyEntry;
use crate::capabilities::{Bounds, GrantProblem, Grants, Kubernetes, PolicyCapabilities, connect};
use crate::problem::in_full;

/// How long the first lists of what is granted may take before the policy is served without them.
const WARM: Duration = Duration::from_secs(10);

/// Gives policies what their entries grant. The API server is asked for nothing before an entry needs it.
pub struct Granting {
    kubeconfig: Option<PathBuf>,
    runtime: Handle,
    kubernetes: OnceLock<Kubernetes>,
}

impl Granting {
    /// `runtime` carries the connection to the API server that `kubeconfig` names, or that is found.
    pub fn new(kubeconfig: Option<PathBuf>, runtime: Handle) -> Self {
        Self { kubeconfig, runtime, kubernetes: OnceLock::new() }
    }

    /// The capabilities of one policy, or every problem with its entry. Blocks; not for a thread that serves.
    pub fn grant(&self, entry: &PolicyEntry) -> Result<Arc<PolicyCapabilities>, String> {
        let patterns = entry.host_capabilities.iter().map(String::as_str);
        let resources = entry.context_aware_resources.iter().map(|one| (one.api_version.as_str(), one.kind.as_str()));
        let grants = Grants::parse(patterns, resources).map_err(|problems| {
            let sentence = |problem: &GrantProblem| match problem.error.hint() {
                Some(hint) => format!("{problem} ({hint})"),
                None => problem.to_string(),
            };
            problems.iter().map(sentence).collect::<Vec<_>>().join("; ")
        })?;
        for capability in grants.unsupported() {
            tracing::warn!(policy = entry.id, capability, "granted, but not supported: calls of it are refused");
        }
        let kubernetes = if grants.reads_objects() { Some(self.kubernetes()?) } else { None };
        if let Some(kubernetes) = &kubernetes {
            for refusal in self.runtime.block_on(kubernetes.warm(&grants, WARM)) {
                tracing::warn!(policy = entry.id, %refusal, "granted, but cannot be read");
            }
        }
        Ok(Arc::new(PolicyCapabilities::new(&entry.id, grants, kubernetes)))
    }

    fn kubernetes(&self) -> Result<Kubernetes, String> {
        if let Some(kubernetes) = self.kubernetes.get() {
            return Ok(kubernetes.clone());
        }
        let client = self.runtime.block_on(connect(self.kubeconfig.as_deref())).map_err(|error| in_full(&error))?;
        Ok(self.kubernetes.get_or_init(|| Kubernetes::new(client, self.runtime.clone(), Bounds::default())).clone())
    }
}
