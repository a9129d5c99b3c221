//! A module that is linked and ready to be called: everything that does not depend on the call is done once.

use std::any::Any;
use std::time::{Duration, Instant};

use wasmtime::{
    Extern, ExternType, Func, FuncType, Instance, InstancePre, Linker, Module, ModuleExport, Store, UnknownImportError,
    UpdateDeadline, ValType,
};

use super::call::{Call, Called};
use super::outcome::{Interruption, Outcome, TrapSummary};
use super::ticker::Ticker;
use super::wapc::Session;
use super::{Core, QUICK, wasi};

/// The export through which every operation goes.
const GUEST_CALL: &str = "__guest_call";

/// The export that holds the module's bytes.
const MEMORY: &str = "memory";

/// Exports that a waPC host runs before the first call, in this order.
const START: [&str; 3] = ["_start", "_initialize", "wapc_init"];

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
    /// Links `module` to what `linker` defines.
    pub(super) fn link(core: &Core, linker: &Linker<Session>, module: &Module) -> Result<Self, LoadError> {
        let pre = linker.instantiate_pre(module).map_err(|error| match error.downcast_ref::<UnknownImportError>() {
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
    pub(super) fn call(&self, core: &Core, call: Call<'_>) -> Called {
        self.call_keeping(core, core.limits.deadline, call, |_, _| ()).0
    }

    /// Runs one operation for at most `deadline` and, if it was answered, shows the instance to `look` before it is gone.
    pub(super) fn call_keeping<T>(
        &self,
        core: &Core,
        deadline: Duration,
        mut call: Call<'_>,
        look: impl FnOnce(&mut Store<Session>, &Instance) -> T,
    ) -> (Called, Option<T>) {
        let begin = Instant::now();
        let longest = begin + deadline;
        let until = call.until.map_or(longest, |until| until.min(longest));
        let while_quick = call.while_quick.take();
        let session = match Session::new(self.memory, core.limits, call, until) {
            Ok(session) => session,
            Err(interruption) => return (Called::not_run(interruption), None),
        };
        // Declared before the store, so that the instance is gone from the pool when the slot is given back.
        let Some(_slot) = core.slots.take(until.saturating_duration_since(begin)) else {
            return (Called::not_run(Interruption::Deadline), None);
        };
        let mut store = Store::new(&core.engine, session);
        store.limiter(|session| session);
        limit_time(&mut store, until, while_quick);
        let begin = Instant::now();
        let instance = match self.instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => {
                let outcome = store.data().ended(&error);
                return (Called { outcome, instantiate: begin.elapsed(), guest: Duration::ZERO }, None);
            }
        };
        let instantiate = begin.elapsed();
        let (outcome, seen) = match self.run(&mut store, &instance) {
            Err(error) => (store.data().ended(&error), None),
            Ok(returned) => {
                let outcome = store.data_mut().returned(returned);
                let seen = matches!(outcome, Outcome::Answer(_)).then(|| look(&mut store, &instance));
                (outcome, seen)
            }
        };
        (Called { outcome, instantiate, guest: begin.elapsed().saturating_sub(instantiate) }, seen)
    }

    fn instantiate(&self, store: &mut Store<Session>) -> wasmtime::Result<Instance> {
        let instance = self.pre.instantiate(&mut *store)?;
        for start in &self.start {
            let started = function(store, &instance, start)?.typed::<(), ()>(&*store)?.call(&mut *store, ());
            // A WASI command ends by leaving; its exports stay usable.
            started.or_else(|error| if wasi::left_well(&error) { Ok(()) } else { Err(error) })?;
        }
        Ok(instance)
    }

    fn run(&self, store: &mut Store<Session>, instance: &Instance) -> wasmtime::Result<i32> {
        let lengths = store.data().lengths()?;
        let guest_call = function(store, instance, &self.guest_call)?.typed::<(u32, u32), i32>(&*store)?;
        guest_call.call(&mut *store, lengths)
    }
}

/// Stops the module at `until`, and lets go of `while_quick` before that if it takes long.
fn limit_time(store: &mut Store<Session>, until: Instant, while_quick: Option<Box<dyn Any + Send + Sync>>) {
    let mut while_quick = while_quick;
    store.set_epoch_deadline(Ticker::ticks(QUICK.min(until.saturating_duration_since(Instant::now()))));
    store.epoch_deadline_callback(move |_| {
        drop(while_quick.take());
        Ok(match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => UpdateDeadline::Interrupt,
            left => UpdateDeadline::Continue(Ticker::ticks(left)),
        })
    });
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
