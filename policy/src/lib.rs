//! The injection decision of fedcar: pure functions from settings and an admission request to a patch and a report.
//!
//! Invariant: no I/O, no clock, no randomness, no threads, no iteration over a hash map. The same input gives the same
//! bytes on every target. Effects live in the crate `fedcar`.

pub mod digest;
pub mod expression;
pub mod federation;
pub mod injection;
pub mod protocol;
pub mod read;
mod schema;
pub mod settings;
