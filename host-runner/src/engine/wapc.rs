//! The host's side of waPC: what a module can import, and the state of one call.
//!
//! Invariant: no number that comes from the module is trusted. A pointer or length outside of its memory ends the call,
//! never the host. Nothing is granted here: a host call goes through the one gate that the caller gave ([`HostCalls`]),
//! or is answered with an error text.

use std::time::Instant;

use bytes::Bytes;
use wasmtime::{Caller, Extern, Linker, Memory, ModuleExport, ResourceLimiter};

use super::call::{Call, HostCall, HostCalls};
use super::limits::Limits;
use super::outcome::{GuestError, Interruption, Outcome, TrapSummary};

/// The import module of all waPC functions.
const MODULE: &str = "wapc";

/// What a module is told when it asks for a capability and none is granted.
const NO_CAPABILITY: &str = "no host capability is granted";

/// What `__host_call` returns.
const HOST_CALL_FAILED: u32 = 0;
const HOST_CALL_ANSWERED: u32 = 1;

/// One call: its input, what the module has handed over so far, and what it may still take.
pub(super) struct Session {
    memory: ModuleExport,
    operation: String,
    payload: Vec<Bytes>,
    until: Instant,
    host_calls: Option<Box<dyn HostCalls>>,
    /// What the last host call was answered, or why it was not.
    host_reply: Vec<u8>,
    host_error: Vec<u8>,
    answer: Option<Vec<u8>>,
    error: Option<Vec<u8>>,
    /// The limits, of which `output_bytes` and `host_calls` shrink as they are used.
    left: Limits,
    /// Growth was refused. If the module traps later, this is the reason.
    starved: bool,
}

impl Session {
    /// A call that has not started; `memory` is the module's exported memory.
    pub(super) fn new(
        memory: ModuleExport,
        limits: Limits,
        call: Call<'_>,
        until: Instant,
    ) -> Result<Self, Interruption> {
        let payload_bytes = call.payload.iter().map(Bytes::len).fold(0, usize::saturating_add);
        if call.operation.len().saturating_add(payload_bytes) > limits.input_bytes {
            return Err(Interruption::Input);
        }
        Ok(Self {
            memory,
            operation: call.operation.to_owned(),
            payload: call.payload,
            until,
            host_calls: call.host_calls,
            host_reply: Vec::new(),
            host_error: Vec::new(),
            answer: None,
            error: None,
            left: limits,
            starved: false,
        })
    }

    /// The lengths of operation and payload, which `__guest_call` announces.
    pub(super) fn lengths(&self) -> Result<(u32, u32), Interruption> {
        let announced = |bytes: usize| u32::try_from(bytes).map_err(|_| Interruption::Input);
        Ok((announced(self.operation.len())?, announced(self.payload.iter().map(Bytes::len).sum())?))
    }

    /// The module's exported memory.
    pub(super) fn memory_export(&self) -> ModuleExport {
        self.memory
    }

    /// The outcome after `__guest_call` has returned `code`.
    pub(super) fn returned(&mut self, code: i32) -> Outcome {
        let said = if code == 0 { self.error.take() } else { self.answer.take() };
        match said {
            None => Outcome::Broken(TrapSummary::NoReply { code }),
            Some(answer) if code != 0 => Outcome::Answer(answer),
            Some(error) => Outcome::Refused(GuestError { text: String::from_utf8_lossy(&error).into_owned() }),
        }
    }

    /// The outcome after the module was ended by `error`.
    pub(super) fn ended(&self, error: &wasmtime::Error) -> Outcome {
        if let Some(&interruption) = error.downcast_ref::<Interruption>() {
            return Outcome::Interrupted(interruption);
        }
        if let Some(summary) = error.downcast_ref::<TrapSummary>() {
            return Outcome::Broken(summary.clone());
        }
        match error.downcast_ref::<wasmtime::Trap>() {
            Some(wasmtime::Trap::Interrupt) => Outcome::Interrupted(Interruption::Deadline),
            Some(_) if self.starved => Outcome::Interrupted(Interruption::Memory),
            Some(&trap) => Outcome::Broken(TrapSummary::Trap(trap)),
            None => Outcome::Broken(TrapSummary::Runtime(error.to_string())),
        }
    }

    /// Takes `bytes` from what the module may still hand over.
    fn spend_output(&mut self, bytes: usize) -> Result<(), Interruption> {
        self.left.output_bytes = self.left.output_bytes.checked_sub(bytes).ok_or(Interruption::Output)?;
        Ok(())
    }

    /// Grants growth to `desired` up to `limit`, and remembers a refusal.
    fn grow(&mut self, desired: usize, limit: usize) -> bool {
        let granted = desired <= limit;
        self.starved |= !granted;
        granted
    }
}

impl ResourceLimiter for Session {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired, self.left.memory_bytes))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(desired, self.left.table_elements))
    }
}

/// Defines every function that a waPC module may import.
pub(super) fn link(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "__guest_request", guest_request)?;
    linker.func_wrap(MODULE, "__guest_response", guest_response)?;
    linker.func_wrap(MODULE, "__guest_error", guest_error)?;
    linker.func_wrap(MODULE, "__console_log", console_log)?;
    linker.func_wrap(MODULE, "__host_call", host_call)?;
    linker.func_wrap(MODULE, "__host_response_len", |caller: Caller<'_, Session>| length(&caller.data().host_reply))?;
    linker.func_wrap(MODULE, "__host_response", |mut caller: Caller<'_, Session>, pointer: u32| {
        let (memory, session) = memory(&mut caller)?;
        write(memory, pointer, &session.host_reply)
    })?;
    linker.func_wrap(MODULE, "__host_error_len", |caller: Caller<'_, Session>| length(&caller.data().host_error))?;
    linker.func_wrap(MODULE, "__host_error", |mut caller: Caller<'_, Session>, pointer: u32| {
        let (memory, session) = memory(&mut caller)?;
        write(memory, pointer, &session.host_error)
    })?;
    Ok(())
}

/// Copies operation and payload to where the module wants them.
fn guest_request(mut caller: Caller<'_, Session>, operation: u32, payload: u32) -> wasmtime::Result<()> {
    let (memory, session) = memory(&mut caller)?;
    write(memory, operation, session.operation.as_bytes())?;
    let mut target = payload;
    for part in &session.payload {
        write(memory, target, part)?;
        // No overflow: the part was just written below it, and memory ends at 4 GiB.
        target = target.wrapping_add(length(part));
    }
    Ok(())
}

/// Takes the module's answer; the last one counts.
fn guest_response(mut caller: Caller<'_, Session>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let (memory, session) = memory(&mut caller)?;
    let bytes = read(memory, pointer, length)?;
    session.spend_output(bytes.len())?;
    session.answer = Some(bytes.to_vec());
    Ok(())
}

/// Takes the module's error text; the last one counts.
fn guest_error(mut caller: Caller<'_, Session>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let (memory, session) = memory(&mut caller)?;
    let bytes = read(memory, pointer, length)?;
    session.spend_output(bytes.len())?;
    session.error = Some(bytes.to_vec());
    Ok(())
}

/// Counts a log line and drops it: it may quote the request, and nothing reads it.
fn console_log(mut caller: Caller<'_, Session>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let (memory, session) = memory(&mut caller)?;
    session.spend_output(read(memory, pointer, length)?.len())?;
    Ok(())
}

/// Hands a host call to the gate; 1 announces a reply, 0 an error text.
#[expect(clippy::too_many_arguments, reason = "waPC passes four slices as pointers and lengths")]
fn host_call(
    mut caller: Caller<'_, Session>,
    binding: u32,
    binding_length: u32,
    namespace: u32,
    namespace_length: u32,
    operation: u32,
    operation_length: u32,
    payload: u32,
    payload_length: u32,
) -> wasmtime::Result<u32> {
    let (memory, session) = memory(&mut caller)?;
    session.left.host_calls = session.left.host_calls.checked_sub(1).ok_or(Interruption::HostCalls)?;
    let mut argument = |pointer, length| -> wasmtime::Result<&[u8]> {
        let bytes = read(memory, pointer, length)?;
        session.spend_output(bytes.len())?;
        Ok(bytes)
    };
    let binding = argument(binding, binding_length)?;
    let namespace = argument(namespace, namespace_length)?;
    let operation = argument(operation, operation_length)?;
    let payload = argument(payload, payload_length)?;
    let answered = match (&session.host_calls, text(binding), text(namespace), text(operation)) {
        (None, ..) => Err(NO_CAPABILITY.to_owned()),
        (Some(gate), Some(binding), Some(namespace), Some(operation)) => {
            gate.call(HostCall { binding, namespace, operation, payload, until: session.until })
        }
        (Some(_), ..) => Err("the names of a host call are not UTF-8".to_owned()),
    };
    // While the host worked, no code of the module ran that could have noticed the end of its time.
    if session.host_calls.is_some() && Instant::now() >= session.until {
        return Err(Interruption::Deadline.into());
    }
    Ok(match answered {
        Ok(reply) if reply.len() <= session.left.input_bytes => {
            session.host_reply = reply;
            HOST_CALL_ANSWERED
        }
        Ok(_) => {
            session.host_error = b"the reply to the host call is larger than the module's input limit".to_vec();
            HOST_CALL_FAILED
        }
        Err(error) => {
            session.host_error = error.into_bytes();
            HOST_CALL_FAILED
        }
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A length as a module sees it. Nothing that is handed to a module is longer than its input limit, which fits.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The module's memory next to the state of the call.
fn memory<'a>(caller: &'a mut Caller<'_, Session>) -> wasmtime::Result<(&'a mut [u8], &'a mut Session)> {
    let export = caller.data().memory;
    let memory: Memory = caller
        .get_module_export(&export)
        .and_then(Extern::into_memory)
        .ok_or_else(|| TrapSummary::Runtime("the exported memory is gone".to_owned()))?;
    Ok(memory.data_and_store_mut(caller))
}

/// The bytes that the module named.
fn read(memory: &[u8], pointer: u32, length: u32) -> wasmtime::Result<&[u8]> {
    let bytes = range(pointer, length as usize).and_then(|range| memory.get(range));
    Ok(bytes.ok_or_else(|| out_of_bounds(memory, pointer, length as usize))?)
}

/// Copies `bytes` to where the module wants them.
pub(super) fn write(memory: &mut [u8], pointer: u32, bytes: &[u8]) -> wasmtime::Result<()> {
    match range(pointer, bytes.len()).and_then(|range| memory.get_mut(range)) {
        Some(target) => target.copy_from_slice(bytes),
        None => return Err(out_of_bounds(memory, pointer, bytes.len()).into()),
    }
    Ok(())
}

fn range(pointer: u32, length: usize) -> Option<std::ops::Range<usize>> {
    let start = pointer as usize;
    Some(start..start.checked_add(length)?)
}

fn out_of_bounds(memory: &[u8], pointer: u32, length: usize) -> TrapSummary {
    TrapSummary::OutOfBounds { pointer, length, memory: memory.len() }
}
