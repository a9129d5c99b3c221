//! `fedcar explain`: for each object and each sidecar, what was decided, why, and which document decided it.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::Value;

use super::edit::is_kubernetes_object;
use super::exit::{Exit, Failure};
use super::inputs::{Input, InputArguments, NamespaceArguments};
use super::settings::SettingsArguments;
use super::talk::Talk;
use super::verdict::{fault, message, title};
use crate::admission::{AdmitReply, Report, Reviewer, SidecarReport, Verdict};
use crate::engine::Policy;
use crate::input::{LargeLists, visit};
use crate::output::table;

/// Say for each workload which sidecars it gets or not, why, and which document decides it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    input: InputArguments,
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    namespaces: NamespaceArguments,
    /// The form of the result; json is one line for each object
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

/// How the explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Text,
    /// For programs
    Json,
}

const EXAMPLES: &str = "\
Examples:
  fedcar explain --federation retail --cluster eu-1 deployment.yaml
  kubectl get pods -o json | fedcar explain --settings eu-1.yaml --output json";

/// One line of JSON output.
#[derive(Serialize)]
struct JsonLine<'r> {
    file: &'r str,
    line: u32,
    verdict: Verdict,
    code: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'r str>,
    warnings: &'r [String],
    report: Option<&'r Report>,
}

pub(super) fn run(arguments: Arguments, talk: Talk) -> Result<Exit, Failure> {
    let mut inputs = arguments.input.open()?;
    let namespaces = arguments.namespaces.namespaces(&mut inputs)?;
    let policy = arguments.settings.prepare(talk)?;
    let reviewer = Reviewer { namespaces, default_namespace: arguments.namespaces.namespace, explain: true };
    let mut explainer =
        Explainer { policy, reviewer, form: arguments.output, talk, stdout: io::stdout().lock(), worst: Exit::Done };
    for input in inputs {
        match input {
            Input::Yaml(yaml) => {
                for mut document in yaml.documents {
                    explainer.document(&mut document.value, &yaml.file, document.line)?;
                }
            }
            Input::Json(source) => {
                let file = source.name();
                for located in source.read_json(LargeLists::Opened)? {
                    let mut located = located?;
                    explainer.document(&mut located.value, &file, located.line)?;
                }
            }
        }
    }
    Ok(explainer.worst)
}

struct Explainer {
    policy: Policy,
    reviewer: Reviewer,
    form: Form,
    talk: Talk,
    stdout: io::StdoutLock<'static>,
    worst: Exit,
}

impl Explainer {
    fn document(&mut self, document: &mut Value, file: &str, line: u32) -> Result<(), Failure> {
        visit(document, &mut |object| {
            if !is_kubernetes_object(object) {
                return Ok(());
            }
            self.reviewer.namespaces.note(object);
            let reply = self
                .reviewer
                .admit(&self.policy, object)
                .map_err(|source| Failure::Unanswered { place: format!("{file}:{line}"), source })?;
            let exit = match reply.verdict {
                Verdict::Allowed => Exit::Done,
                Verdict::Denied => Exit::Denied,
                Verdict::Fault => fault(&reply, object, &format!("{file}:{line}"), self.talk),
            };
            self.worst = self.worst.max(exit);
            self.print(&reply, file, line).map_err(Failure::stdout)
        })
    }

    fn print(&mut self, reply: &AdmitReply, file: &str, line: u32) -> io::Result<()> {
        match (self.form, &reply.report) {
            (Form::Json, report) => {
                let line = JsonLine {
                    file,
                    line,
                    verdict: reply.verdict,
                    code: &reply.code,
                    message: reply.message.as_deref(),
                    warnings: &reply.warnings,
                    report: report.as_ref(),
                };
                serde_json::to_writer(&mut self.stdout, &line)?;
                writeln!(self.stdout)
            }
            (Form::Text, Some(report)) if !report.sidecars.is_empty() => {
                writeln!(self.stdout, "{}  {file}:{line}  {}", title(report), message(reply))?;
                self.stdout.write_all(table(&HEAD, report.sidecars.iter().map(row)).as_bytes())?;
                for warning in &reply.warnings {
                    writeln!(self.stdout, "  warning: {warning}")?;
                }
                writeln!(self.stdout)
            }
            (Form::Text, _) => Ok(()),
        }
    }
}

const HEAD: [&str; 6] = ["SIDECAR", "VERSION", "RESULT", "REASON", "DECIDED BY", "BECAUSE"];

fn row(sidecar: &SidecarReport) -> [String; 6] {
    let none = || "-".to_owned();
    let origin = sidecar.origin.as_ref().map_or_else(none, |origin| match origin.line {
        Some(line) => format!("{}:{line}", origin.file),
        None => origin.file.clone(),
    });
    let because = std::iter::once(sidecar.sentence.as_str())
        .chain(sidecar.details.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("; ");
    [
        sidecar.name.clone(),
        sidecar.version.clone().unwrap_or_else(none),
        sidecar.result.clone(),
        sidecar.code.clone(),
        origin,
        because,
    ]
}
