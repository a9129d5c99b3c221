//! A module with its settings already read: run once, then frozen into a new module.
//!
//! A fresh instance of the frozen module starts with the settings in its memory, so no request pays for parsing them.
//! Only memory and globals are frozen; wasmtime-wizer refuses modules that could change anything else.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use serde::Deserialize;
use wasmtime::{Instance, Store, Val};
use wasmtime_wizer::{InstanceState, ModuleContext, SnapshotVal, ValType, Wizer};

use super::Core;
use super::call::Call;
use super::outcome::{GuestError, Interruption, Outcome, TrapSummary};
use super::program::{LoadError, Program};
use super::wapc::Session;

/// The operation that reads settings.
const PREPARE: &str = fedcar_policy::protocol::Operation::Prepare.name();

/// Why settings could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The module itself cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The settings have problems.
    #[error("the settings are not valid")]
    Settings {
        /// The module's reply, which lists every problem.
        reply: Vec<u8>,
    },
    /// The reply is not what `fedcar.prepare` promises.
    #[error("the module's reply to `{PREPARE}` cannot be read")]
    Reply(#[source] serde_json::Error),
    /// The module does not know the operation, or gave up.
    #[error("the module refused `{PREPARE}`")]
    Refused(#[source] GuestError),
    /// A limit was hit.
    #[error("the module was stopped while it read the settings")]
    Interrupted(#[from] Interruption),
    /// The module broke its contract.
    #[error("the module failed while it read the settings")]
    Broken(#[source] TrapSummary),
    /// The state after reading cannot be frozen.
    #[error("the module cannot be frozen")]
    Freeze(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What the host reads in the reply; the rest is for people.
#[derive(Deserialize)]
struct Reply {
    valid: bool,
}

/// Runs `module` on `settings` and freezes it.
pub(super) fn freeze(core: &Core, module: &[u8], settings: &[u8]) -> Result<Vec<u8>, PrepareError> {
    let frozen = |error: wasmtime::Error| PrepareError::Freeze(error.into_boxed_dyn_error());
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument(module).map_err(frozen)?;
    let program = Program::link(core, &core.linker, &core.compile(&instrumented)?)?;
    let call = Call::new(PREPARE, vec![Bytes::copy_from_slice(settings)]);
    let (called, snapshot) = program.call_keeping(core, core.limits.prepare_deadline, call, |store, instance| {
        take(&wizer, &context, store, instance)
    });
    let reply = match called.outcome {
        Outcome::Answer(reply) => reply,
        Outcome::Refused(error) => return Err(PrepareError::Refused(error)),
        Outcome::Interrupted(interruption) => return Err(PrepareError::Interrupted(interruption)),
        Outcome::Broken(summary) => return Err(PrepareError::Broken(summary)),
    };
    let Reply { valid } = serde_json::from_slice(&reply).map_err(PrepareError::Reply)?;
    match snapshot {
        Some(snapshot) if valid => snapshot.map_err(frozen),
        _ => Err(PrepareError::Settings { reply }),
    }
}

/// Writes the state of `instance` into a module.
fn take(
    wizer: &Wizer,
    context: &ModuleContext<'_>,
    store: &mut Store<Session>,
    instance: &Instance,
) -> wasmtime::Result<Vec<u8>> {
    let mut state = State { store, instance, lost: None };
    let polled = pin!(wizer.snapshot(context, &mut state)).poll(&mut Context::from_waker(Waker::noop()));
    // Wizer's interface is async for hosts that are; `State` never waits, so the first poll is the last.
    let Poll::Ready(module) = polled else { wasmtime::bail!("the snapshot waits for something") };
    match state.lost {
        None => module,
        Some(name) => wasmtime::bail!("the instrumented module does not export `{name}` as expected"),
    }
}

/// Lets wizer read an instance.
struct State<'a> {
    store: &'a mut Store<Session>,
    instance: &'a Instance,
    /// An export that wizer added and that is not there. Its interface has no room for errors.
    lost: Option<String>,
}

impl InstanceState for State<'_> {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let value = self.instance.get_global(&mut *self.store, name).map(|global| global.get(&mut *self.store));
        match value {
            Some(Val::I32(value)) => SnapshotVal::I32(value),
            Some(Val::I64(value)) => SnapshotVal::I64(value),
            Some(Val::F32(value)) => SnapshotVal::F32(value),
            Some(Val::F64(value)) => SnapshotVal::F64(value),
            Some(Val::V128(value)) => SnapshotVal::V128(value.as_u128()),
            _ => {
                self.lost = Some(name.to_owned());
                SnapshotVal::I32(0)
            }
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        match self.instance.get_memory(&mut *self.store, name) {
            Some(memory) => contents(memory.data(&*self.store)),
            None => self.lost = Some(name.to_owned()),
        }
    }
}
