//! Which compiler can make the module: the one that builds this program if it has the Wasm target, else Debian's.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of the module. Not `wasm32-wasip1`: the module may import nothing but waPC calls.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's `rustc-web`, `cargo-web`, `rust-web-src` and `lld-22` have no Wasm target, but can build its standard library.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LINKER: &str = "/usr/bin/wasm-ld-22";

/// A cargo and the rustc that belongs to it.
pub(crate) enum Toolchain {
    /// Has the target installed.
    WithTarget {
        /// The cargo that runs this build.
        cargo: OsString,
        /// Its compiler.
        rustc: OsString,
    },
    /// Debian's, which compiles the standard library from source.
    Debian,
}

impl Toolchain {
    /// Looks for a toolchain, the caller's own first.
    pub(crate) fn find() -> Result<Self, String> {
        let cargo = crate::from_cargo("CARGO")?.into_os_string();
        let rustc = crate::from_cargo("RUSTC")?.into_os_string();
        if target_library(&rustc).is_some_and(|library| library.is_dir()) {
            return Ok(Self::WithTarget { cargo, rustc });
        }
        let missing: Vec<&str> =
            [DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_LINKER].into_iter().filter(|path| !Path::new(path).is_file()).collect();
        if missing.is_empty() {
            return Ok(Self::Debian);
        }
        Err(format!(
            "no toolchain for {TARGET}: {} has no such target, and Debian's way lacks {}; run scripts/setup",
            rustc.display(),
            missing.join(", "),
        ))
    }

    /// `cargo build` for the target, with nothing inherited that belongs to the cargo above us.
    pub(crate) fn cargo_build(&self) -> Command {
        match self {
            Self::WithTarget { cargo, rustc } => {
                let mut command = clean(cargo);
                command.env("RUSTC", rustc).arg("build");
                command
            }
            Self::Debian => {
                let mut command = clean(DEBIAN_CARGO);
                command
                    .env("RUSTC", DEBIAN_RUSTC)
                    // Debian's compiler is a stable one; this lets it accept -Z options.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", DEBIAN_LINKER)
                    // Points at the libraries of the cargo above us.
                    .env_remove("LD_LIBRARY_PATH")
                    .args(["build", "-Zbuild-std=std,panic_abort"]);
                command
            }
        }
    }
}

/// Where `rustc` keeps the target's standard library, if it is installed.
fn target_library(rustc: &OsStr) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

/// A command without the variables that cargo, clippy and rustup set for the outer build. What the user's own machine
/// needs to reach its registry stays.
fn clean(program: impl AsRef<OsStr>) -> Command {
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_SOURCE_", "RUSTUP_"];
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let belongs_to_cargo = text.starts_with("CARGO") || text.starts_with("RUST");
        if belongs_to_cargo && !KEPT.iter().any(|kept| text.starts_with(kept)) {
            command.env_remove(&name);
        }
    }
    command
}
