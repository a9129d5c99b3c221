//! `fedcar inject`: what a cluster's policy would make of each object.

use clap::Args;
use serde_json::Value;

use super::edit::{self, Edit, OutputArguments};
use super::exit::{Exit, Failure};
use super::inputs::{InputArguments, NamespaceArguments};
use super::settings::SettingsArguments;
use super::talk::Talk;
use super::verdict::{fault, message, name, summary};
use crate::admission::{AdmitReply, Reviewer, Verdict};

/// Put sidecars into workloads, exactly as the policy module does in the cluster
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    input: InputArguments,
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    namespaces: NamespaceArguments,
    #[command(flatten)]
    output: OutputArguments,
}

const EXAMPLES: &str = "\
Examples:
  fedcar inject --federation retail --cluster eu-1 deployment.yaml | kubectl apply -f -
  fedcar inject --settings eu-1.yaml --output diff apps/
  kubectl get deployments -o json | fedcar inject --settings eu-1.yaml --output patch";

pub(super) fn run(arguments: Arguments, talk: Talk) -> Result<Exit, Failure> {
    let mut inputs = arguments.input.open()?;
    let namespaces = arguments.namespaces.namespaces(&mut inputs)?;
    let policy = arguments.settings.prepare(talk)?;
    let mut reviewer = Reviewer { namespaces, default_namespace: arguments.namespaces.namespace, explain: !talk.quiet };
    edit::run(inputs, &arguments.output, |object, place| {
        reviewer.namespaces.note(object);
        let reply = reviewer
            .admit(&policy, object)
            .map_err(|source| Failure::Unanswered { place: place.to_owned(), source })?;
        Ok(follow(reply, object, place, talk))
    })
}

/// Says what the policy answered, and does it.
fn follow(reply: AdmitReply, object: &Value, place: &str, talk: Talk) -> Edit {
    for warning in &reply.warnings {
        talk.warning(format_args!("{place}: {warning}"));
    }
    match reply.verdict {
        Verdict::Allowed => {
            if let Some(report) = reply.report.filter(|report| !report.sidecars.is_empty()) {
                talk.note(summary(&report));
            }
            reply.patch.map_or(Edit::Keep, Edit::Patch)
        }
        Verdict::Denied => {
            talk.error(format_args!("{place}: {} is denied: {}", name(object), message(&reply)));
            Edit::Withhold(Exit::Denied)
        }
        Verdict::Fault => Edit::Withhold(fault(&reply, object, place, talk)),
    }
}
