//! Admission requests, and what the policy module answers to them.

mod patch;
mod review;

pub use patch::{PatchError, apply};
pub use review::{
    AdmitReply, Origin, Report, RestoreReply, Reviewer, SidecarReport, Unanswered, Verdict, restore, review_request,
};
