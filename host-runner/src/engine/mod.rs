//! Runs policy modules on wasmtime: one engine for each process, one linked module for each policy and settings, one
//! fresh instance for each call.
//!
//! Invariant: whatever a module does, the call ends within its limits with an [`Outcome`], and nothing of one call can
//! be seen by another. A module reaches nothing but what its caller grants with the call.
//!
//! | concept | file |
//! |---|---|
//! | what a module may take | `limits` |
//! | what is called | `call` |
//! | how a call ended | `outcome` |
//! | what a module can import | `wapc`, `wasi` |
//! | a module ready to be called | `program` |
//! | settings frozen into a module | `snapshot` |
//! | compiled code between runs | `cache` |
//! | deadlines | `ticker` |
//! | calls at the same time | `slots` |

mod cache;
mod call;
mod embedded;
mod limits;
mod outcome;
mod program;
mod slots;
mod snapshot;
mod ticker;
mod wapc;
mod wasi;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wasmtime::{Config, InstanceAllocationStrategy, Linker, Module, PoolingAllocationConfig};

pub use cache::{Cache, CacheRefused};
pub use call::{Call, Called, HostCall, HostCalls};
pub use embedded::MODULE;
pub use limits::Limits;
pub use outcome::{GuestError, Interruption, Outcome, TrapSummary};
pub use program::LoadError;
pub use snapshot::PrepareError;
pub use wasmtime::Trap;

use program::Program;
use slots::Slots;
use ticker::Ticker;

/// Memory that is cleared by writing instead of being given back to the kernel and faulted in again. All that a usual
/// request touches: with less, page faults double the time of a decision (`docs/performance.md`).
const KEEP_RESIDENT_BYTES: usize = 4 << 20;

/// A call that lasts longer than this is slow: what its caller holds back for quick ones is let go. A hundred times what a
/// decision on a usual pod takes.
pub const QUICK: Duration = Duration::from_millis(10);

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The pool of instances cannot be made; too little address space is the usual reason.
    #[error("cannot reserve {calls} instances of {bytes} bytes memory each")]
    Pool {
        /// How many calls should run at the same time.
        calls: u32,
        /// What each may use.
        bytes: usize,
        /// What the runtime said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The waPC functions cannot be defined.
    #[error("cannot define the host's functions")]
    Link(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Without the clock no deadline would hold.
    #[error("cannot start the clock thread")]
    Ticker(#[from] std::io::Error),
}

/// Runs policy modules. Cheap to clone; one for each process is enough.
#[derive(Clone)]
pub struct Engine(Arc<Core>);

/// What all policies of one engine share.
struct Core {
    engine: wasmtime::Engine,
    /// waPC alone, and waPC with WASI.
    linker: Linker<wapc::Session>,
    wasi_linker: Linker<wapc::Session>,
    limits: Limits,
    cache: Cache,
    slots: Slots,
    _ticker: Ticker,
}

/// A linked module. Each call brings its settings along, or they are in its memory already ([`Engine::prepare`]).
pub struct Policy {
    core: Arc<Core>,
    program: Program,
}

impl Engine {
    /// An engine whose modules are held to `limits` and whose compiled code is kept in `cache`.
    pub fn new(limits: Limits, cache: Cache) -> Result<Self, EngineError> {
        let engine = wasmtime::Engine::new(&config(&limits)).map_err(|error| EngineError::Pool {
            calls: limits.concurrent_calls,
            bytes: limits.memory_bytes,
            source: error.into_boxed_dyn_error(),
        })?;
        let link = |error: wasmtime::Error| EngineError::Link(error.into_boxed_dyn_error());
        let mut linker = Linker::new(&engine);
        wapc::link(&mut linker).map_err(link)?;
        let mut wasi_linker = linker.clone();
        wasi::link(&mut wasi_linker).map_err(link)?;
        let ticker = Ticker::start(&engine)?;
        let slots = Slots::new(limits.concurrent_calls);
        Ok(Self(Arc::new(Core { engine, linker, wasi_linker, limits, cache, slots, _ticker: ticker })))
    }

    /// What its modules are held to.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Compiles and links `module`, for operations that bring what they need with them.
    pub fn load(&self, module: &[u8]) -> Result<Policy, LoadError> {
        let program = Program::link(&self.0, &self.0.linker, &self.0.compile(module)?)?;
        Ok(Policy { core: Arc::clone(&self.0), program })
    }

    /// Like [`load`](Self::load), for a module that was built for WASI: what it imports of that has no effect.
    pub fn load_with_wasi(&self, module: &[u8]) -> Result<Policy, LoadError> {
        let program = Program::link(&self.0, &self.0.wasi_linker, &self.0.compile(module)?)?;
        Ok(Policy { core: Arc::clone(&self.0), program })
    }

    /// Hands `settings` to `module` and freezes the result.
    ///
    /// Problems of the settings are data: [`PrepareError::Settings`] carries the module's own list.
    pub fn prepare(&self, module: &[u8], settings: &[u8]) -> Result<Policy, PrepareError> {
        let frozen = snapshot::freeze(&self.0, module, settings)?;
        let program = Program::link(&self.0, &self.0.linker, &self.0.compile(&frozen)?)?.started();
        Ok(Policy { core: Arc::clone(&self.0), program })
    }
}

impl Policy {
    /// Runs one operation.
    pub fn call(&self, operation: &str, payload: &[u8]) -> Outcome {
        self.run(Call::new(operation, vec![Bytes::copy_from_slice(payload)])).outcome
    }

    /// Runs one operation on the caller's terms.
    pub fn run(&self, call: Call<'_>) -> Called {
        self.program.call(&self.core, call)
    }
}

impl Core {
    fn compile(&self, wasm: &[u8]) -> Result<Module, LoadError> {
        self.cache.compile(&self.engine, wasm).map_err(|error| LoadError::Compile(error.into_boxed_dyn_error()))
    }
}

fn config(limits: &Limits) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(limits.concurrent_calls)
        .total_memories(limits.concurrent_calls)
        .total_tables(limits.concurrent_calls)
        .max_unused_warm_slots(limits.concurrent_calls)
        .max_memory_size(limits.memory_bytes)
        .table_elements(limits.table_elements)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES);
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .epoch_interruption(true)
        .memory_init_cow(true);
    config
}
