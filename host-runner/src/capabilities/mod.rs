//! What a policy may ask of its host, each thing granted by name: Kubernetes objects, and lines in the log.
//!
//! Invariant: [`OneCall`] is the only way in. It refuses what the policy's [`Grants`] do not name, answers before
//! the call's time is up, and tells a policy about a failure without addresses, credentials or the texts of others.
//!
//! | concept | file |
//! |---|---|
//! | what a policy entry grants | `grants` |
//! | the gate | `gate` |
//! | why a call is refused | `refusal` |
//! | lines for the log | `log` |
//! | objects for policies, kept by watches | `kubernetes` |
//! | labels of namespaces, for the decision itself | `namespaces` |
//! | one watch and what it keeps | `watch`, `objects` |
//! | the connection to the API server, and what can be wrong with it | `connect`, `trouble` |

mod connect;
mod gate;
mod grants;
mod kubernetes;
mod log;
mod namespaces;
mod objects;
mod refusal;
mod trouble;
mod watch;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use connect::{ConnectError, connect};
pub use gate::{OneCall, PolicyCapabilities};
pub use grants::{GrantError, GrantProblem, Grants};
pub use kubernetes::{Bounds, Kubernetes};
pub use namespaces::{Namespaces, NamespacesError};
pub use refusal::Refusal;
pub use trouble::Trouble;

/// The lock. A thread that panicked while it held it left nothing half-done, as each critical section is one operation
/// on a map.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
