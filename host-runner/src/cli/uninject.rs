//! `fedcar uninject`: each object as it was before fedcar changed it.

use clap::Args;
use fedcar_policy::injection::Refusal;
use serde_json::Value;

use super::edit::{self, Edit, OutputArguments};
use super::exit::{Exit, Failure};
use super::inputs::InputArguments;
use super::settings::engine;
use super::talk::Talk;
use super::verdict::name;
use crate::admission::{RestoreReply, restore, review_request};
use crate::engine::MODULE;

/// Take sidecars out of workloads again, from what the objects themselves record
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    input: InputArguments,
    #[command(flatten)]
    output: OutputArguments,
}

const EXAMPLES: &str = "\
Examples:
  fedcar uninject injected.yaml > original.yaml
  kubectl get deployment checkout -o yaml | fedcar uninject --output diff";

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let inputs = arguments.input.open()?;
    let policy = engine()?.load(MODULE)?;
    edit::run(inputs, &arguments.output, |object, place| {
        let subject = review_request(object).and_then(|request| request.get("object")).unwrap_or(object);
        let reply =
            restore(&policy, subject).map_err(|source| Failure::Unanswered { place: place.to_owned(), source })?;
        Ok(follow(reply, subject, place, talk))
    })
}

/// Says what the module answered, and does it.
fn follow(reply: RestoreReply, object: &Value, place: &str, talk: Talk) -> Edit {
    match reply {
        RestoreReply::Patch(patch) if patch.get() == "[]" => Edit::Keep,
        RestoreReply::Patch(patch) => {
            talk.note(format_args!("{}: restored", name(object)));
            Edit::Patch(patch)
        }
        RestoreReply::Refused { code, .. } if code == Refusal::NotInjected.code() => Edit::Keep,
        RestoreReply::Refused { code, message } => {
            talk.error(format_args!("{place}: {} cannot be restored: {message} ({code})", name(object)));
            Edit::Withhold(Exit::BadInput)
        }
    }
}
