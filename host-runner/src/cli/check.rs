//! `fedcar check`: everything that is wrong with a federation or with one cluster's settings, at once and in its place.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::incompatible::AllowArguments;
use super::problems::{Form, print};
use super::settings::{self, engine, prepare};
use super::talk::Talk;
use crate::problem::Diagnostic;
use crate::{documents, fragments};

/// Check the documents of a federation, or one cluster's settings, and show every problem where it stands
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("checked").required(true))]
pub(super) struct Arguments {
    /// The folder with the documents of a federation; each member's settings are compiled
    #[arg(long, value_name = "DIR", group = "checked")]
    federation: Option<PathBuf>,
    /// The settings of one cluster
    #[arg(long, value_name = "FILE", group = "checked")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    allow: AllowArguments,
    /// The form of the result
    #[arg(long, short, visible_alias = "format", value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

const EXAMPLES: &str = "\
Examples:
  fedcar check --federation retail
  fedcar check --settings eu-1.yaml --output json
  fedcar check --federation retail --format sarif > fedcar.sarif";

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let (what, problems) = match (&arguments.federation, &arguments.settings) {
        (Some(folder), _) => federation(folder, &arguments.allow.rules()),
        (None, Some(file)) => settings(file)?,
        (None, None) => return Err(Failure::Usage("expected --federation DIR or --settings FILE".to_owned())),
    };
    print(&problems, arguments.output).map_err(Failure::stdout)?;
    match problems.len() {
        0 => {
            talk.note(format_args!("{what}: no problems"));
            return Ok(Exit::Done);
        }
        1 => talk.error(format_args!("{what}: 1 problem")),
        count => talk.error(format_args!("{what}: {count} problems")),
    }
    Ok(Exit::BadInput)
}

/// The documents by themselves, what they make of each member, and whether that works there.
fn federation(folder: &Path, allowed: &[&str]) -> (String, Vec<Diagnostic>) {
    let problems = match documents::load(folder, documents::today()) {
        Ok(loaded) => loaded.check(allowed),
        Err(problems) => problems,
    };
    (folder.display().to_string(), problems)
}

/// What the module says, and what Kubernetes would not know in the fragments.
fn settings(path: &Path) -> Result<(String, Vec<Diagnostic>), Failure> {
    let file = match settings::read(path) {
        Ok(file) => file,
        Err(Failure::Problems(problems)) => return Ok((path.display().to_string(), problems)),
        Err(failure) => return Err(failure),
    };
    let mut problems = prepare(&engine()?, &file.value)?.err().unwrap_or_default();
    let sidecars = file.value.get("sidecars").and_then(Value::as_array);
    for (index, sidecar) in sidecars.into_iter().flatten().enumerate() {
        for mut problem in fragments::check(&json!({ "spec": sidecar })) {
            let below = problem.pointer.strip_prefix("/spec").unwrap_or_default();
            problem.pointer = format!("/sidecars/{index}{below}");
            problems.push(problem.into());
        }
    }
    Ok((path.display().to_string(), file.diagnostics(problems)))
}
