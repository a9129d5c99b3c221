//! Builds the web face, which the tests run in Node. The program has no use for it, so it does not embed it.

#[path = "../host-runner/build/module.rs"]
mod module;
#[path = "../host-runner/build/toolchain.rs"]
mod toolchain;

use std::error::Error;
use std::path::PathBuf;

const SOURCES: [&str; 6] =
    ["Cargo.lock", "Cargo.toml", "policy/Cargo.toml", "policy/src", "policy/web/Cargo.toml", "policy/web/src"];

fn main() -> Result<(), Box<dyn Error>> {
    let workspace = from_cargo("CARGO_MANIFEST_DIR")?;
    let workspace = workspace.parent().ok_or("the crate does not lie in a workspace")?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    let out = from_cargo("OUT_DIR")?;
    let toolchain = toolchain::Toolchain::find()?;
    let module = module::build(&toolchain, workspace, &out, "fedcar-policy-web")?;
    std::fs::write(out.join("web.wasm"), module)?;
    Ok(())
}

/// A folder that cargo names to build scripts.
fn from_cargo(variable: &str) -> Result<PathBuf, String> {
    let value = std::env::var_os(variable).ok_or_else(|| format!("{variable} is not set: expected to be run by cargo"));
    value.map(PathBuf::from)
}
