//! The decision: which sidecars go into an object, what that changes, and how it is undone.
//!
//! [`decide()`] reads the object as it came, selects and renders every sidecar while nothing has changed, then edits a
//! draft sidecar by sidecar, each wholly or not at all. User objects stay `serde_json::Value` throughout: what fedcar does
//! not know survives because it is never looked at.

mod adapt;
mod apply;
mod decide;
mod difference;
mod draft;
pub(crate) mod fingerprint;
mod foreign;
mod handlers;
mod lean;
mod marker;
mod overrides;
mod patch;
mod pod;
mod pod_level;
mod pod_security;
mod reason;
mod render;
mod report;
mod request;
mod restore;
mod rollout;
mod scope;
mod selection;
mod sizing;
mod slot;
mod valid;
mod workload;

pub use self::decide::{Allowed, Decision, decide, uninject};
pub(crate) use self::lean::MANAGED_FIELDS;
pub use self::marker::{INJECTED, ORIGINAL, RECORD_BYTES_MAX};
pub use self::patch::Patch;
pub(crate) use self::pod_security::{BASELINE_CAPABILITIES, RESTRICTED_VOLUMES};
pub use self::reason::{Fault, FaultCode, Outcome, Pass, Reason, Refusal};
pub use self::report::{Owner, Place, Report, SidecarReport};
pub use self::request::{AdmissionInput, AdmissionRequest, GroupVersionKind, UserInfo};
pub use self::restore::Refused;
pub use self::rollout::share;
pub(crate) use self::selection::is_meant;
pub(crate) use self::valid::container_faults;
pub use self::workload::{Found, Workload, WorkloadKind};
