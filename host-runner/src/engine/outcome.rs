//! How a call ended, as types. Nothing ever searches an error text for it.

use wasmtime::Trap;

/// How a call to a module ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// The module's reply, unread.
    Answer(Vec<u8>),
    /// The module declared that it failed.
    Refused(GuestError),
    /// The host stopped the module.
    Interrupted(Interruption),
    /// The module broke its contract.
    Broken(TrapSummary),
}

/// The error text of a module. It may hold anything, so it belongs in a log and not in an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct GuestError {
    /// What the module said, with invalid UTF-8 replaced.
    pub text: String,
}

/// Which limit was hit (see [`Limits`](super::Limits)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interruption {
    /// The time was up.
    #[error("the module did not answer in time")]
    Deadline,
    /// More memory or table elements were asked for than the limit allows, and the module did not survive the refusal.
    #[error("the module needs more memory than its limit")]
    Memory,
    /// Too many host calls.
    #[error("the module makes more host calls than its limit")]
    HostCalls,
    /// Too much output.
    #[error("the module hands over more bytes than its limit")]
    Output,
    /// Too much input; the module was not called.
    #[error("the call passes more bytes than the module's limit")]
    Input,
}

/// What the module did that no module may do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrapSummary {
    /// A WebAssembly trap: unreachable code, out of bounds, stack overflow and the like.
    #[error("the module trapped: {0}")]
    Trap(Trap),
    /// Bytes passed to the host lie outside of the module's memory.
    #[error("the module named {length} bytes at {pointer}, but its memory has {memory}")]
    OutOfBounds {
        /// Where the bytes should start.
        pointer: u32,
        /// How many they should be.
        length: usize,
        /// How many bytes the memory has.
        memory: usize,
    },
    /// The module came back without having said anything.
    #[error("the module returned {code} without a reply")]
    NoReply {
        /// What it returned: 0 announces an error, anything else an answer.
        code: i32,
    },
    /// The runtime could not run it for another reason, for instance an initial memory beyond the limit.
    #[error("the module cannot run: {0}")]
    Runtime(String),
}
