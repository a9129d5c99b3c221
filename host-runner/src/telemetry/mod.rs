//! What an operator sees of the host runner: metrics, logs and traces (`docs/telemetry.md`).
//!
//! Invariant: nothing of a request's body is in any of them, except the uid and the kind in a trace. Every label of a
//! metric is from a closed set, from the operator's configuration, or bounded in number ([`PolicyMetrics::skipped`]).
//! None of them can make a request fail, and only a log line can make it wait, for standard error.
//!
//! | concept | file |
//! |---|---|
//! | the closed sets | `labels` |
//! | how long things took | `histogram` |
//! | sidecars that were skipped | `skips` |
//! | all metrics | `metrics` |
//! | where log lines go | `log` |
//! | one log line | `line` |
//! | where traces go | `trace` |
//! | the spans of one request | `span` |

mod histogram;
mod labels;
mod line;
mod log;
mod metrics;
mod skips;
mod span;
mod trace;

#[cfg(test)]
mod documentation;
#[cfg(test)]
mod exposition;

pub use labels::{HandshakeFailure, Operation, Outcome, Phase, Refused, ReloadResult, Reloaded, TraceLoss};
pub use log::{LogError, LogFormat, init};
pub use metrics::{CONTENT_TYPE, Held, Metrics, PolicyMetrics};
pub use span::RequestSpan;
pub use trace::{TraceError, Tracer, endpoint};
