//! How much a module may take before it is stopped.
//!
//! Every limit always holds: there is no way to say "unlimited". What they do not cover: time and memory that Cranelift
//! spends on compiling a module, and time inside host code (which only ever copies bytes bounded here).

use std::time::Duration;

/// The limits of one engine. All but `concurrent_calls` hold for each call on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory, what the module starts with included. Does not cover the machine stack (512 KiB, wasmtime's own
    /// limit) nor the host's copies of input and output.
    pub memory_bytes: usize,
    /// Elements of the module's table, which are function references in practice.
    pub table_elements: usize,
    /// Operation name and payload together.
    pub input_bytes: usize,
    /// Everything the module hands over in one call: replies, errors, log lines and what it passes to host calls.
    pub output_bytes: usize,
    /// Host calls, granted or not.
    pub host_calls: u32,
    /// From the call to its end, waiting for a free instance included. Checked on loop edges and function entries of
    /// the module, and at the beginning of a bulk memory instruction; up to two ticks of 5 ms late.
    pub deadline: Duration,
    /// The same for reading settings, which is done once and not for each request.
    pub prepare_deadline: Duration,
    /// Calls that run at the same time; more wait. Each reserves 4 GiB of address space (not of memory), because the
    /// hardware then checks the module's bounds for free.
    pub concurrent_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Twenty times the largest request that an API server takes (3 MiB): a tree of values is that much larger than its text.
            memory_bytes: 64 << 20,
            // A module of 300 KiB has a few hundred.
            table_elements: 10_000,
            input_bytes: 8 << 20,
            output_bytes: 16 << 20,
            host_calls: 64,
            // A tenth of the webhook timeout that Kubernetes applies by default.
            deadline: Duration::from_secs(1),
            prepare_deadline: Duration::from_secs(10),
            // A call never waits for anything but the processor, so more than a few per core gains nothing.
            concurrent_calls: 8,
        }
    }
}
