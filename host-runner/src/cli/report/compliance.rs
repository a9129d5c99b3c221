//! `fedcar report compliance`: which rule of which guardrail is kept in which member, and what shows it.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fedcar_policy::federation::Date;

use super::super::exit::{Exit, Failure};
use super::super::talk::Talk;
use crate::compliance::{Group, Report, markdown, policy_reports, sarif, text};
use crate::{documents, yaml};

/// Say for every rule of every guardrail and every member whether it is kept, and what shows it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    /// The day by which exemptions count, as 2026-12-31 [default: today in UTC]
    #[arg(long, value_name = "DAY", value_parser = day)]
    day: Option<Date>,
    /// The form of the report
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// One document
    Json,
    /// One SARIF 2.1.0 document
    Sarif,
    /// Policy reports of wgpolicyk8s.io, one for each member
    PolicyReport,
    /// Reports of openreports.io, one for each member
    OpenReport,
    /// For a pull request
    Markdown,
}

const EXAMPLES: &str = "\
Examples:
  fedcar report compliance retail
  fedcar report compliance retail --output json --day 2026-12-31
  fedcar report compliance retail --output policy-report > reports.yaml";

fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("expected a day such as 2026-12-31, found `{text}`"))
}

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let today = arguments.day.unwrap_or_else(documents::today);
    let loaded = documents::load(&arguments.documents, today).map_err(Failure::Problems)?;
    let report = Report::of(&loaded).map_err(Failure::Problems)?;
    let printed = match arguments.output {
        Form::Text => text(&report),
        Form::Markdown => markdown(&report),
        Form::Json => format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default()),
        Form::Sarif => format!("{:#}\n", sarif(&report)),
        Form::PolicyReport => documents_of(&report, Group::PolicyReport),
        Form::OpenReport => documents_of(&report, Group::OpenReport),
    };
    io::stdout().lock().write_all(printed.as_bytes()).map_err(Failure::stdout)?;
    for note in report.notes() {
        talk.note(note);
    }
    Ok(if report.is_broken() { Exit::Denied } else { Exit::Done })
}

/// The objects of all members, each with a word on whose it is: all have the same name, for different clusters.
fn documents_of(report: &Report, group: Group) -> String {
    let objects = policy_reports(report, group);
    let named = report.member_names().zip(&objects).map(|(name, object)| format!("# {name}\n{}", yaml::write(object)));
    named.collect::<Vec<_>>().join("---\n")
}
