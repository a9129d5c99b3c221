//! `fedcar report compatibility`: whether each sidecar works in each member's cluster, by which rule, and what would help.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use fedcar_policy::federation::compatibility::{Finding, Verdict};

use super::super::exit::{Exit, Failure};
use super::super::explain::Form;
use super::super::incompatible::every_rule;
use super::super::talk::Talk;
use crate::documents;
use crate::output::table;

/// Say for every sidecar and every member what the rules of compatibility find
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    /// Only this member; may be repeated
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// Only this sidecar; may be repeated
    #[arg(long, value_name = "NAME")]
    sidecar: Vec<String>,
    /// Also tell what works as the documents say
    #[arg(long)]
    all: bool,
    /// The form of the report
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

const EXAMPLES: &str = "\
Examples:
  fedcar report compatibility retail
  fedcar report compatibility retail --cluster edge-1 --all
  fedcar report compatibility retail --output json | jq 'select(.verdict == \"unknown\")'";

const HEAD: [&str; 5] = ["MEMBER", "SIDECAR", "RULE", "VERDICT", "BECAUSE"];

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let loaded = documents::load(&arguments.documents, documents::today()).map_err(Failure::Problems)?;
    let found =
        loaded.each_member(&every_rule(), |_, compiled| Ok(compiled.findings.clone())).map_err(Failure::Problems)?;
    let wanted = |names: &[String], name: &String| names.is_empty() || names.contains(name);
    let findings: Vec<Finding> = found
        .into_iter()
        .flatten()
        .filter(|one| wanted(&arguments.cluster, &one.member) && wanted(&arguments.sidecar, &one.sidecar))
        .collect();
    let told = findings.iter().filter(|one| arguments.all || one.verdict != Verdict::Compatible);
    let text = match arguments.output {
        Form::Text => table(&HEAD, told.map(row)),
        Form::Json => told.map(|one| one.to_value().to_string() + "\n").collect(),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::stdout)?;
    talk.note(sum(&findings));
    let is_broken = findings.iter().any(|one| one.verdict == Verdict::Incompatible);
    Ok(if is_broken { Exit::Denied } else { Exit::Done })
}

fn row(finding: &Finding) -> [String; 5] {
    let fix = finding.fix.as_ref().map(|fix| format!(" (fix: {fix})")).unwrap_or_default();
    [
        finding.member.clone(),
        finding.sidecar.clone(),
        finding.rule.to_owned(),
        finding.verdict.code().to_owned(),
        format!("{}{fix}", finding.sentence),
    ]
}

/// `12 compatible, 3 adapted, 0 incompatible, 7 unknown`.
fn sum(findings: &[Finding]) -> String {
    let count = |verdict: Verdict| findings.iter().filter(|one| one.verdict == verdict).count();
    let counts = Verdict::ALL.map(|(verdict, code, _)| format!("{} {code}", count(verdict)));
    counts.join(", ")
}
