//! `fedcar report versions`: which version of each sidecar every member gets by intent.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use fedcar_policy::federation::compatibility::{Alignment, Intent, align, intents};
use serde_json::{Value, json};

use super::super::exit::{Exit, Failure};
use super::super::explain::Form;
use super::super::incompatible::every_rule;
use crate::documents;
use crate::output::table;

/// Show which versions of each sidecar run where, by what the documents say
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    /// The form of the report
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

const EXAMPLES: &str = "\
Examples:
  fedcar report versions retail
  fedcar report versions retail --output json";

const HEAD: [&str; 3] = ["SIDECAR", "VERSION", "MEMBERS"];

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let loaded = documents::load(&arguments.documents, documents::today()).map_err(Failure::Problems)?;
    let found = loaded.each_member(&every_rule(), |_, compiled| Ok(intents(&compiled.settings)));
    let names = loaded.federation().members().map(|member| member.name.as_str());
    let rows = align(names.zip(found.map_err(Failure::Problems)?));
    let text = match arguments.output {
        Form::Text => table(&HEAD, rows.iter().flat_map(by_version)),
        Form::Json => rows.iter().map(|row| value(row).to_string() + "\n").collect(),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(Failure::stdout)?;
    Ok(Exit::Done)
}

/// One row for each version of a sidecar, with the members that get it.
fn by_version(row: &Alignment) -> Vec<[String; 3]> {
    let mut members: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (member, intent) in &row.members {
        members.entry(intent.to_string()).or_default().push(member);
    }
    members.into_iter().map(|(version, members)| [row.sidecar.clone(), version, members.join(", ")]).collect()
}

fn value(row: &Alignment) -> Value {
    let intent = |Intent { version, rollout }: &Intent| match rollout {
        None => json!({"version": version}),
        Some((percent, previous)) => json!({"version": version, "percent": percent, "previous": previous}),
    };
    let members: serde_json::Map<String, Value> =
        row.members.iter().map(|(member, one)| (member.clone(), intent(one))).collect();
    json!({"sidecar": row.sidecar, "members": members})
}
