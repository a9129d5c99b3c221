//! WASI preview 1 without any effect, for policies that were built for `wasm32-wasip1`.
//!
//! Such a module imports WASI because its language's library does, not because a policy needs it. It finds no arguments,
//! no environment, no files, no input, a clock that stands still and randomness that is always the same; what it writes
//! is dropped. So the answer depends on the request alone, which is also why this is not the `wasmtime-wasi` crate.
//!
//! Signatures and error numbers: `witx` of `wasi_snapshot_preview1`.

use wasmtime::{Caller, Extern, Linker, Memory};

use super::outcome::TrapSummary;
use super::wapc::{Session, write};

const MODULE: &str = "wasi_snapshot_preview1";

type Errno = i32;
const SUCCESS: Errno = 0;
/// Bad file descriptor: there are no files.
const BADF: Errno = 8;
/// Not supported.
const NOTSUP: Errno = 58;

/// Standard output and standard error, the only descriptors that can be written to.
const WRITABLE: std::ops::RangeInclusive<i32> = 1..=2;

/// The most buffers that one write may name; more is a broken module.
const MAX_BUFFERS: u32 = 1024;

/// The module has called `proc_exit`.
#[derive(Debug, thiserror::Error)]
#[error("the module left with code {0}")]
pub(super) struct Left(i32);

/// Whether a call ended because the module left without an error.
pub(super) fn left_well(error: &wasmtime::Error) -> bool {
    error.downcast_ref::<Left>().is_some_and(|Left(code)| *code == 0)
}

type Host<'a> = Caller<'a, Session>;

/// Defines every function of WASI preview 1.
pub(super) fn link(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    link_process(linker)?;
    link_clock(linker)?;
    link_files(linker)?;
    link_paths(linker)?;
    link_sockets(linker)
}

fn link_process(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    let no_texts = |host: Host<'_>, count: u32, bytes: u32| put(host, &[(count, &[0; 4]), (bytes, &[0; 4])]);
    linker.func_wrap(MODULE, "args_sizes_get", no_texts)?;
    linker.func_wrap(MODULE, "environ_sizes_get", no_texts)?;
    linker.func_wrap(MODULE, "args_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> { Err(Left(code).into()) })?;
    linker.func_wrap(MODULE, "proc_raise", |_: i32| NOTSUP)?;
    linker.func_wrap(MODULE, "sched_yield", || SUCCESS)?;
    linker.func_wrap(MODULE, "random_get", |host: Host<'_>, buffer: u32, length: u32| {
        fill_with_zeros(host, buffer, length)
    })?;
    Ok(())
}

fn link_clock(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "clock_res_get", |host: Host<'_>, _: i32, to: u32| {
        put(host, &[(to, &1_u64.to_le_bytes())])
    })?;
    linker
        .func_wrap(MODULE, "clock_time_get", |host: Host<'_>, _: i32, _: i64, to: u32| put(host, &[(to, &[0; 8])]))?;
    // Nothing to wait for ever happens.
    linker.func_wrap(MODULE, "poll_oneoff", |_: u32, _: u32, _: u32, _: u32| NOTSUP)?;
    Ok(())
}

fn link_files(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "fd_write", |host: Host<'_>, file: i32, buffers: u32, count: u32, written: u32| {
        swallow(host, file, (buffers, count), written)
    })?;
    linker.func_wrap(MODULE, "fd_pwrite", |_: i32, _: u32, _: u32, _: i64, _: u32| BADF)?;
    linker.func_wrap(MODULE, "fd_read", |host: Host<'_>, file: i32, _: u32, _: u32, read: u32| match file {
        // The end of an empty standard input.
        0 => put(host, &[(read, &[0; 4])]),
        _ => Ok(BADF),
    })?;
    linker.func_wrap(MODULE, "fd_pread", |_: i32, _: u32, _: u32, _: i64, _: u32| BADF)?;
    linker.func_wrap(MODULE, "fd_fdstat_get", |host: Host<'_>, file: i32, to: u32| match file {
        // A character device without flags or rights.
        0..=2 => put(host, &[(to, &[2, 0, 0, 0, 0, 0, 0, 0]), (to.saturating_add(8), &[0; 16])]),
        _ => Ok(BADF),
    })?;
    linker.func_wrap(MODULE, "fd_prestat_get", |_: i32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "fd_prestat_dir_name", |_: i32, _: u32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "fd_advise", |_: i32, _: i64, _: i64, _: i32| BADF)?;
    linker.func_wrap(MODULE, "fd_allocate", |_: i32, _: i64, _: i64| BADF)?;
    for name in ["fd_close", "fd_datasync", "fd_sync"] {
        linker.func_wrap(MODULE, name, |_: i32| BADF)?;
    }
    linker.func_wrap(MODULE, "fd_fdstat_set_flags", |_: i32, _: i32| BADF)?;
    linker.func_wrap(MODULE, "fd_fdstat_set_rights", |_: i32, _: i64, _: i64| BADF)?;
    linker.func_wrap(MODULE, "fd_filestat_get", |_: i32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "fd_filestat_set_size", |_: i32, _: i64| BADF)?;
    linker.func_wrap(MODULE, "fd_filestat_set_times", |_: i32, _: i64, _: i64, _: i32| BADF)?;
    linker.func_wrap(MODULE, "fd_readdir", |_: i32, _: u32, _: u32, _: i64, _: u32| BADF)?;
    linker.func_wrap(MODULE, "fd_renumber", |_: i32, _: i32| BADF)?;
    linker.func_wrap(MODULE, "fd_seek", |_: i32, _: i64, _: i32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "fd_tell", |_: i32, _: u32| BADF)?;
    Ok(())
}

fn link_paths(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    for name in ["path_create_directory", "path_remove_directory", "path_unlink_file"] {
        linker.func_wrap(MODULE, name, |_: i32, _: u32, _: u32| BADF)?;
    }
    linker.func_wrap(MODULE, "path_filestat_get", |_: i32, _: i32, _: u32, _: u32, _: u32| BADF)?;
    linker
        .func_wrap(MODULE, "path_filestat_set_times", |_: i32, _: i32, _: u32, _: u32, _: i64, _: i64, _: i32| BADF)?;
    linker.func_wrap(MODULE, "path_link", |_: i32, _: i32, _: u32, _: u32, _: i32, _: u32, _: u32| BADF)?;
    linker.func_wrap(
        MODULE,
        "path_open",
        |_: i32, _: i32, _: u32, _: u32, _: i32, _: i64, _: i64, _: i32, _: u32| BADF,
    )?;
    linker.func_wrap(MODULE, "path_readlink", |_: i32, _: u32, _: u32, _: u32, _: u32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "path_rename", |_: i32, _: u32, _: u32, _: i32, _: u32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "path_symlink", |_: u32, _: u32, _: i32, _: u32, _: u32| BADF)?;
    Ok(())
}

fn link_sockets(linker: &mut Linker<Session>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "sock_accept", |_: i32, _: i32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "sock_recv", |_: i32, _: u32, _: u32, _: i32, _: u32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "sock_send", |_: i32, _: u32, _: u32, _: i32, _: u32| BADF)?;
    linker.func_wrap(MODULE, "sock_shutdown", |_: i32, _: i32| BADF)?;
    Ok(())
}

/// Writes results where the module wants them.
fn put(mut host: Host<'_>, results: &[(u32, &[u8])]) -> wasmtime::Result<Errno> {
    let memory = memory(&mut host)?;
    for (pointer, bytes) in results {
        write(memory, *pointer, bytes)?;
    }
    Ok(SUCCESS)
}

fn fill_with_zeros(mut host: Host<'_>, buffer: u32, length: u32) -> wasmtime::Result<Errno> {
    let memory = memory(&mut host)?;
    let found = memory.len();
    let target = (buffer as usize).checked_add(length as usize).and_then(|end| memory.get_mut(buffer as usize..end));
    let outside = TrapSummary::OutOfBounds { pointer: buffer, length: length as usize, memory: found };
    target.ok_or(outside)?.fill(0);
    Ok(SUCCESS)
}

/// Tells the module that everything it wanted to print was printed. What it was is not even read: it may quote a request.
fn swallow(mut host: Host<'_>, file: i32, (buffers, count): (u32, u32), written: u32) -> wasmtime::Result<Errno> {
    if !WRITABLE.contains(&file) {
        return Ok(BADF);
    }
    if count > MAX_BUFFERS {
        return Ok(NOTSUP);
    }
    let memory = memory(&mut host)?;
    let mut total = 0_u32;
    for number in 0..count {
        // A buffer is a pointer and a length, four bytes each.
        let at = (buffers as usize).saturating_add(number as usize * 8 + 4);
        let found = memory.len();
        let length = memory.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied();
        let outside = TrapSummary::OutOfBounds { pointer: buffers, length: count as usize * 8, memory: found };
        total = total.saturating_add(u32::from_le_bytes(length.ok_or(outside)?));
    }
    write(memory, written, &total.to_le_bytes())?;
    Ok(SUCCESS)
}

fn memory<'a>(host: &'a mut Host<'_>) -> wasmtime::Result<&'a mut [u8]> {
    let export = host.data().memory_export();
    let memory: Option<Memory> = host.get_module_export(&export).and_then(Extern::into_memory);
    Ok(memory.ok_or_else(|| TrapSummary::Runtime("the exported memory is gone".to_owned()))?.data_mut(host))
}
