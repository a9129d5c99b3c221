//! A module that is linked and ready to be called: everything that does not depend on the call is done once.

use std::time::Instant;

use wasmtime::{
    Extern, ExternType, Func, FuncType, Instance, InstancePre, Module, ModuleExport, Store, UnknownImportError, ValType,
};

use super::Core;
use super::outcome::{Interruption, Outcome, TrapSummary};
use super::ticker::Ticker;
use super::wapc::Session;

/// The export through which every operation goes.
const GUEST_CALL: &str = "__guest_call";

/// The export that holds the module's bytes.
const MEMORY: &str = "memory";

/// Exports that a waPC host runs before the first call, in this order.
const START: [&str; 2] = ["_start", "wapc_init"];

/// Why a module cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not valid, or beyond the limits from the beginning.
    #[error("the module does not compile")]
    Compile(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It wants something that is not waPC.
    #[error("the module imports `{module}.{name}`, expected only waPC calls (`wapc.*`)")]
    UnknownImport {
        /// The module that it wants to import from.
        module: String,
        /// What it wants.
        name: String,
    },
    /// It imports a waPC function with another signature.
    #[error("the module does not fit the host")]
    Link(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It lacks something that every waPC module has.
    #[error("the module does not export `{name}` as {expected}")]
    Export {
        /// What it should export.
        name: &'static str,
        /// What that should be.
        expected: &'static str,
    },
}

/// A linked module.
pub(super) struct Program {
    pre: InstancePre<Session>,
    memory: ModuleExport,
    guest_call: ModuleExport,
    start: Vec<ModuleExport>,
}

impl Program {
    /// Links `module`.
    pub(super) fn link(core: &Core, module: &Module) -> Result<Self, LoadError> {
        let pre =
            core.linker.instantiate_pre(module).map_err(|error| match error.downcast_ref::<UnknownImportError>() {
                Some(import) => {
                    LoadError::UnknownImport { module: import.module().to_owned(), name: import.name().to_owned() }
                }
                None => LoadError::Link(error.into_boxed_dyn_error()),
            })?;
        let is_memory = |found: &ExternType| matches!(found, ExternType::Memory(memory) if !memory.is_64());
        let guest_call = FuncType::new(&core.engine, [ValType::I32, ValType::I32], [ValType::I32]);
        let start = FuncType::new(&core.engine, [], []);
        Ok(Self {
            memory: export(module, MEMORY, "a 32-bit memory", is_memory)?,
            guest_call: export(module, GUEST_CALL, "a function (i32, i32) -> i32", |found| is(found, &guest_call))?,
            start: START
                .into_iter()
                .filter(|name| module.get_export(name).is_some())
                .map(|name| export(module, name, "a function () -> ()", |found| is(found, &start)))
                .collect::<Result<_, _>>()?,
            pre,
        })
    }

    /// The same program with its start functions taken as done: they ran before the snapshot.
    pub(super) fn started(self) -> Self {
        Self { start: Vec::new(), ..self }
    }

    /// Runs one operation in an instance of its own.
    pub(super) fn call(&self, core: &Core, operation: &str, payload: &[u8]) -> Outcome {
        self.call_keeping(core, operation, payload, |_, _| ()).0
    }

    /// Runs one operation and, if it was answered, shows the instance to `look` before it is gone.
    pub(super) fn call_keeping<T>(
        &self,
        core: &Core,
        operation: &str,
        payload: &[u8],
        look: impl FnOnce(&mut Store<Session>, &Instance) -> T,
    ) -> (Outcome, Option<T>) {
        let begin = Instant::now();
        let session = match Session::new(self.memory, core.limits, operation, payload) {
            Ok(session) => session,
            Err(interruption) => return (Outcome::Interrupted(interruption), None),
        };
        // Declared before the store, so that the instance is gone from the pool when the slot is given back.
        let Some(_slot) = core.slots.take(core.limits.deadline) else {
            return (Outcome::Interrupted(Interruption::Deadline), None);
        };
        let mut store = Store::new(&core.engine, session);
        store.limiter(|session| session);
        store.set_epoch_deadline(Ticker::ticks(core.limits.deadline.saturating_sub(begin.elapsed())));
        match self.run(&mut store) {
            Err(error) => (store.data().ended(&error), None),
            Ok((instance, returned)) => {
                let outcome = store.data_mut().returned(returned);
                let seen = matches!(outcome, Outcome::Answer(_)).then(|| look(&mut store, &instance));
                (outcome, seen)
            }
        }
    }

    fn run(&self, store: &mut Store<Session>) -> wasmtime::Result<(Instance, i32)> {
        let lengths = store.data().lengths()?;
        let instance = self.pre.instantiate(&mut *store)?;
        for start in &self.start {
            function(store, &instance, start)?.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
        }
        let guest_call = function(store, &instance, &self.guest_call)?.typed::<(u32, u32), i32>(&*store)?;
        let code = guest_call.call(&mut *store, lengths)?;
        Ok((instance, code))
    }
}

/// Finds an export and checks its type.
fn export(
    module: &Module,
    name: &'static str,
    expected: &'static str,
    fits: impl Fn(&ExternType) -> bool,
) -> Result<ModuleExport, LoadError> {
    module
        .get_export(name)
        .filter(fits)
        .and_then(|_| module.get_export_index(name))
        .ok_or(LoadError::Export { name, expected })
}

fn is(found: &ExternType, expected: &FuncType) -> bool {
    matches!(found, ExternType::Func(found) if FuncType::eq(found, expected))
}

/// The function behind an export whose type was checked when the module was linked.
fn function(store: &mut Store<Session>, instance: &Instance, export: &ModuleExport) -> wasmtime::Result<Func> {
    let function = instance.get_module_export(store, export).and_then(Extern::into_func);
    Ok(function.ok_or_else(|| TrapSummary::Runtime("an exported function is gone".to_owned()))?)
}
