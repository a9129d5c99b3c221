//! Admission requests, and what policy modules answer to them.
//!
//! | concept | file |
//! |---|---|
//! | questions of the command line, and answers as types | `review` |
//! | applying a patch | `patch` |
//! | an `AdmissionReview` as it comes in | `envelope`, `depth` |
//! | what a policy replied, as an answer | `reply` |
//! | an `AdmissionReview` as it goes out | `respond` |
//! | a policy that is served | `policy`, `trial` |
//! | all of them, from files | `policies`, `policies_file`, `settings_file` |
//! | what they may ask of the host | `granting` |
//! | who may run now | `turns` |
//! | HTTP and TLS | `server`, `tls` |

pub mod depth;
pub mod envelope;
pub mod granting;
mod patch;
pub mod policies;
pub mod policies_file;
pub mod policy;
pub mod reply;
pub mod respond;
mod review;
pub mod server;
pub mod settings_file;
pub mod tls;
mod trial;
pub mod turns;

pub use patch::{PatchError, apply};
pub use review::{
    AdmitReply, Origin, Report, RestoreReply, Reviewer, SidecarReport, Unanswered, Verdict, restore, review_request,
};
