//! `fedcar completions`: the script that completes commands and flags in a shell.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use super::exit::{Exit, Failure};

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  fedcar completions bash > ~/.local/share/bash-completion/completions/fedcar";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut super::Arguments::command(), "fedcar", &mut script);
    io::stdout().lock().write_all(&script).map_err(Failure::stdout)?;
    Ok(Exit::Done)
}
