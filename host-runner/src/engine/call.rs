//! One call to a module: what the caller gives, and what it gets back.

use std::any::Any;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::outcome::{Interruption, Outcome};

/// One operation on a module.
pub struct Call<'a> {
    /// The waPC operation.
    pub operation: &'a str,
    /// The payload in parts, which the module sees as one; so the host need not copy them together.
    pub payload: Vec<Bytes>,
    /// When the call has to be over; the engine's own limit holds where it is earlier.
    pub until: Option<Instant>,
    /// What the module may ask of the host. Nothing, where there is none.
    pub host_calls: Option<Box<dyn HostCalls>>,
    /// Dropped as soon as the module has run for longer than [`QUICK`](super::QUICK), else when the call is over. What it
    /// holds back is then no longer held back by a slow call.
    pub while_quick: Option<Box<dyn Any + Send + Sync>>,
}

impl<'a> Call<'a> {
    /// A call with nothing granted and no time limit of its own.
    pub fn new(operation: &'a str, payload: Vec<Bytes>) -> Self {
        Self { operation, payload, until: None, host_calls: None, while_quick: None }
    }
}

/// How a call went.
#[derive(Debug)]
pub struct Called {
    /// How it ended.
    pub outcome: Outcome,
    /// Making the instance, start functions included.
    pub instantiate: Duration,
    /// The operation itself, host calls included.
    pub guest: Duration,
}

impl Called {
    /// A call that was stopped before there was an instance.
    pub(super) fn not_run(interruption: Interruption) -> Self {
        Self { outcome: Outcome::Interrupted(interruption), instantiate: Duration::ZERO, guest: Duration::ZERO }
    }
}

/// What modules may ask of the host: the one gate for every host call.
///
/// It is called on the thread of the module, which waits, so it has to come back before [`HostCall::until`].
pub trait HostCalls: Send + Sync {
    /// The reply, or an error text for the module.
    fn call(&self, call: HostCall<'_>) -> Result<Vec<u8>, String>;
}

/// `__host_call` with its arguments.
#[derive(Debug, Clone, Copy)]
pub struct HostCall<'a> {
    /// waPC's first name, `kubewarden` in practice.
    pub binding: &'a str,
    /// The capability, such as `kubernetes`.
    pub namespace: &'a str,
    /// The operation, such as `get_resource`.
    pub operation: &'a str,
    /// Its arguments.
    pub payload: &'a [u8],
    /// When the module's time is up.
    pub until: Instant,
}
