//! `fedcar module`: the policy module inside this program, so that Kubewarden can run the same bytes.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use fedcar_policy::digest::hex;
use sha2::{Digest as _, Sha256};
use wasmparser::{Parser, Payload};

use super::exit::{Exit, Failure};
use super::talk::Talk;
use super::whole_file;
use crate::engine::MODULE;

/// Where Kubewarden keeps a policy's metadata, as JSON.
const METADATA_SECTION: &str = "io.kubewarden.metadata";

/// Show the policy module that this program runs, or write it to a file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Write the module to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  fedcar module
  fedcar module -o policy.wasm && kwctl run --settings-path eu-1.yaml --request-path pod.json policy.wasm";

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    if let Some(path) = &arguments.output {
        whole_file::write(path, MODULE)?;
        talk.note(format_args!("{}: {} bytes, {}", path.display(), MODULE.len(), digest()));
        return Ok(Exit::Done);
    }
    let mut stdout = io::stdout().lock();
    let mut print = || {
        writeln!(stdout, "digest: {}\nsize: {} bytes", digest(), MODULE.len())?;
        match metadata() {
            Some(metadata) => writeln!(stdout, "metadata:\n{}", indented(&metadata)),
            None => writeln!(stdout, "metadata: none"),
        }
    };
    print().map_err(Failure::stdout)?;
    Ok(Exit::Done)
}

fn digest() -> String {
    format!("sha256:{}", hex(Sha256::digest(MODULE)))
}

fn metadata() -> Option<serde_json::Value> {
    Parser::new(0).parse_all(MODULE).find_map(|payload| match payload {
        Ok(Payload::CustomSection(section)) if section.name() == METADATA_SECTION => {
            serde_json::from_slice(section.data()).ok()
        }
        _ => None,
    })
}

fn indented(metadata: &serde_json::Value) -> String {
    let text = crate::yaml::write(metadata);
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
