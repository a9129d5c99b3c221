//! The command `fedcar`: everything is in the library, so that it can be tested there.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fedcar::cli::main()
}
