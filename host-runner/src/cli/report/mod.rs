//! `fedcar report`: what documents come to, for those who answer for it.

mod compatibility;
mod compliance;
mod versions;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::talk::Talk;

/// Report on the documents of a federation
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    report: Report,
}

#[derive(Debug, Subcommand)]
enum Report {
    Compatibility(compatibility::Arguments),
    Compliance(compliance::Arguments),
    Versions(versions::Arguments),
}

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    match &arguments.report {
        Report::Compatibility(arguments) => compatibility::run(arguments, talk),
        Report::Compliance(arguments) => compliance::run(arguments, talk),
        Report::Versions(arguments) => versions::run(arguments),
    }
}
