//! Builds the policy module and leaves it, annotated for Kubewarden, at `OUT_DIR/policy.wasm`.
//!
//! The program embeds the module that its own tree describes, so that a plain `cargo build` can never pair a new host
//! with an old decision. The module is built by an inner cargo in its own target folder: the debug build, the release
//! build and clippy share one module, and an unchanged tree costs nothing.

mod build {
    pub(crate) mod metadata;
    pub(crate) mod module;
    pub(crate) mod toolchain;
}

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// What the module is made of, relative to the workspace.
const SOURCES: [&str; 7] = [
    "Cargo.lock",
    "Cargo.toml",
    "artifacthub/metadata.yml",
    "policy/Cargo.toml",
    "policy/guest/Cargo.toml",
    "policy/guest/src",
    "policy/src",
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let workspace = from_cargo("CARGO_MANIFEST_DIR")?;
    let workspace = workspace.parent().ok_or("the crate does not lie in a workspace")?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let out = from_cargo("OUT_DIR")?;
    let toolchain = build::toolchain::Toolchain::find()?;
    let mut module = build::module::build(&toolchain, workspace, &out, "fedcar-policy-guest")?;
    build::metadata::append(&mut module, &workspace.join("artifacthub/metadata.yml"))?;
    std::fs::write(out.join("policy.wasm"), module)?;
    Ok(())
}

/// A folder that cargo names to build scripts.
fn from_cargo(variable: &str) -> Result<PathBuf, String> {
    let value = std::env::var_os(variable).ok_or_else(|| format!("{variable} is not set: expected to be run by cargo"));
    value.map(PathBuf::from)
}
