//! The gate: every host call of every policy passes here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::grants::{self, Grants};
use super::kubernetes::{Get, Kubernetes, List};
use super::log;
use super::refusal::Refusal;
use crate::engine::{HostCall, HostCalls};

/// waPC's first name of all host calls.
const BINDING: &str = "kubewarden";

/// How many lines a policy may log in one call.
const LOG_LINES: u32 = 64;

/// What one policy entry may ask of its host, and what answers it.
pub struct PolicyCapabilities {
    policy: String,
    grants: Grants,
    kubernetes: Option<Kubernetes>,
}

impl PolicyCapabilities {
    /// The capabilities of the policy that the log calls `policy`; objects are read through `kubernetes`, where it is
    /// there.
    pub fn new(policy: impl Into<String>, grants: Grants, kubernetes: Option<Kubernetes>) -> Self {
        Self { policy: policy.into(), grants, kubernetes }
    }

    /// The gate for one call of the policy.
    pub fn one_call(self: &Arc<Self>) -> OneCall {
        OneCall { capabilities: Arc::clone(self), lines: AtomicU32::new(0) }
    }
}

/// The gate for one call of a policy.
pub struct OneCall {
    capabilities: Arc<PolicyCapabilities>,
    lines: AtomicU32,
}

impl HostCalls for OneCall {
    fn call(&self, call: HostCall<'_>) -> Result<Vec<u8>, String> {
        self.answer(call).map_err(|refusal| refusal.to_string())
    }
}

impl OneCall {
    /// Answers a host call, or says why not.
    ///
    /// It waits on the thread that it is called on, which must not be one of a tokio runtime's workers, and never
    /// beyond [`HostCall::until`].
    pub fn answer(&self, call: HostCall<'_>) -> Result<Vec<u8>, Refusal> {
        let HostCall { binding, namespace, operation, payload, until } = call;
        if binding != BINDING {
            return Err(Refusal::Binding(binding.to_owned()));
        }
        if (namespace, operation) == ("tracing", "log") {
            self.log(payload);
            return Ok(Vec::new());
        }
        let capability = grants::capability(namespace, operation)
            .ok_or_else(|| Refusal::Unknown(format!("{namespace}/{operation}")))?;
        if !self.capabilities.grants.allows(capability) {
            return Err(Refusal::NotGranted(capability));
        }
        match capability {
            grants::GET_RESOURCE => {
                let get = Get::read(payload)?;
                self.kubernetes(&get.api_version, &get.kind)?.get(get, until)
            }
            grants::LIST_RESOURCES_ALL | grants::LIST_RESOURCES_BY_NAMESPACE => {
                let list = List::read(payload, capability == grants::LIST_RESOURCES_BY_NAMESPACE)?;
                self.kubernetes(&list.api_version, &list.kind)?.list(list, until)
            }
            unsupported => Err(Refusal::Unsupported(unsupported)),
        }
    }

    /// What reads objects of a kind that is granted.
    fn kubernetes(&self, api_version: &str, kind: &str) -> Result<&Kubernetes, Refusal> {
        if !self.capabilities.grants.allows_resource(api_version, kind) {
            return Err(Refusal::ResourceNotGranted { api_version: api_version.to_owned(), kind: kind.to_owned() });
        }
        self.capabilities.kubernetes.as_ref().ok_or(Refusal::NoCluster)
    }

    fn log(&self, payload: &[u8]) {
        let policy = &*self.capabilities.policy;
        match self.lines.fetch_add(1, Ordering::Relaxed) {
            0..LOG_LINES => log::forward(policy, payload),
            LOG_LINES => tracing::warn!(policy, "a policy wrote more than {LOG_LINES} log lines in one call"),
            _ => {}
        }
    }
}
