//! The command line: one file a command, each from raw arguments to a request, to work, to print.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done or skipped, 1 denied or different, 2 usage,
//! 3 bad input, 4 our fault (`exit`).

mod certificate;
mod check;
mod compile;
mod completions;
mod diff;
mod edit;
mod exit;
mod explain;
mod incompatible;
mod init;
mod inject;
mod inputs;
mod install;
mod json;
mod lock_file;
mod manifests;
mod module;
mod preview;
mod probe;
mod probe_images;
mod problems;
mod registry;
mod report;
mod serve;
mod serve_limits;
mod settings;
mod talk;
mod uninject;
mod verdict;
mod whole_file;
mod workloads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::{Exit, Failure};
use talk::Talk;

/// Put the sidecars of a federation into Kubernetes workloads, and say why
#[derive(Debug, Parser)]
#[command(name = "fedcar", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Arguments {
    /// Say nothing about what went well
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inject(inject::Arguments),
    Uninject(uninject::Arguments),
    Explain(explain::Arguments),
    Check(check::Arguments),
    Compile(Box<compile::Arguments>),
    Preview(preview::Arguments),
    Probe(probe::Arguments),
    Report(report::Arguments),
    Diff(diff::Arguments),
    Init(init::Arguments),
    Serve(Box<serve::Arguments>),
    Manifests(manifests::Arguments),
    Certificate(certificate::Arguments),
    Module(module::Arguments),
    Completions(completions::Arguments),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or skipped with a reason
  1  denied by the policy, a guardrail that is not kept, or different with --check and diff
  2  wrong usage
  3  an input cannot be used
  4  fedcar itself failed";

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are results; that they cannot be printed is not worth another message.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let talk = Talk { quiet: arguments.quiet };
    match run(arguments.command, talk) {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.is_broken_pipe() {
                talk.failure(&failure);
            }
            failure.exit()
        }
    }
    .into()
}

fn run(command: Command, talk: Talk) -> Result<Exit, Failure> {
    match command {
        Command::Inject(arguments) => inject::run(arguments, talk),
        Command::Uninject(arguments) => uninject::run(&arguments, talk),
        Command::Explain(arguments) => explain::run(arguments, talk),
        Command::Check(arguments) => check::run(&arguments, talk),
        Command::Compile(arguments) => compile::run(&arguments, talk),
        Command::Preview(arguments) => preview::run(&arguments, talk),
        Command::Probe(arguments) => probe::run(&arguments, talk),
        Command::Report(arguments) => report::run(&arguments, talk),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Init(arguments) => init::run(&arguments, talk),
        Command::Serve(arguments) => serve::run(*arguments, talk),
        Command::Manifests(arguments) => manifests::run(&arguments, talk),
        Command::Certificate(arguments) => certificate::run(&arguments, talk),
        Command::Module(arguments) => module::run(&arguments, talk),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}
