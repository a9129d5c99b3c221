//! Runs the inner cargo and reads what it made.

use std::error::Error;
use std::path::{Path, PathBuf};

use super::toolchain::{TARGET, Toolchain};

/// The Wasm bytes of one package: a face of the decision.
pub(crate) fn build(
    toolchain: &Toolchain,
    workspace: &Path,
    out: &Path,
    package: &str,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let target = target_folder(out).join("guest");
    let output = toolchain
        .cargo_build()
        .current_dir(workspace)
        .args(["--locked", "--quiet", "--profile", "module", "--package", package])
        .args(["--target", TARGET])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(workspace))
        .output()
        .map_err(|error| format!("cannot run the cargo that builds the module: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the policy module does not build (scripts/setup installs what it needs)\n{said}").into());
    }
    let module = target.join(TARGET).join("module").join(package.replace('-', "_")).with_extension("wasm");
    std::fs::read(&module).map_err(|error| format!("cannot read {}: {error}", module.display()).into())
}

/// The folder that holds all profiles (`out` is `<folder>/<profile>/build/...`), so that they share one module.
fn target_folder(out: &Path) -> &Path {
    let build = out.ancestors().find(|folder| folder.ends_with("build"));
    build.and_then(Path::parent).and_then(Path::parent).unwrap_or(out)
}

/// Every instance's memory begins with its stack, and all of it is cleared after each request. The deepest recursion
/// (JSON of 128 levels, nested expressions) fits; `tests/tests/engine.rs` holds it to that.
const STACK_BYTES: u32 = 160 * 1024;

/// Flags that keep this machine's folders out of the module, so that its bytes do not depend on where it was built.
fn rust_flags(workspace: &Path) -> String {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    // Flags are separated by this character, because a path may hold spaces.
    let flags =
        [remap(workspace, "fedcar"), remap(&cargo_home, "cargo"), format!("-Clink-arg=-zstack-size={STACK_BYTES}")];
    flags.join("\u{1f}")
}
