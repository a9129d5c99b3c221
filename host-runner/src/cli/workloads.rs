//! The workloads of an export, judged one by one in every member: what `preview` and `diff` have in common.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use clap::Args;
use fedcar_policy::injection::WorkloadKind;
use serde_json::Value;

use super::exit::Failure;
use super::inputs::{Input, NamespaceArguments, open};
use crate::admission::{Reviewer, restore};
use crate::engine::Policy;
use crate::input::{LargeLists, Namespaces, visit};
use crate::preview::{Counted, Judged, SpendError, bare, counts, judge};

/// How workloads are taken.
#[derive(Debug, Args)]
pub(super) struct WorkloadArguments {
    /// Count each pod as one, also those that a Deployment or another controller has made, and nothing else
    #[arg(long)]
    pods: bool,
    #[command(flatten)]
    pub(super) namespaces: NamespaceArguments,
    /// How many workloads of each group are named
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) list: usize,
}

/// How many workloads are judged together, by all processors: many for the price of a thread, few for the memory.
const TOGETHER: usize = 256;

/// A member with its policy, and the one that it is compared with.
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) policy: Policy,
    pub(super) other: Option<Policy>,
    /// Whether somebody has to know what the workload is without sidecars.
    pub(super) budgeted: bool,
}

/// What becomes of a workload in one member.
pub(super) struct Answer {
    /// Under what it is compared with.
    pub(super) before: Option<Judged>,
    /// Under these documents.
    pub(super) now: Judged,
    /// The workload without sidecars, where it has some and the member is `budgeted`.
    pub(super) bare: Option<Value>,
}

/// A workload that waits for its turn.
struct Waiting {
    object: Value,
    kind: WorkloadKind,
    place: String,
}

/// A workload as it was taken.
pub(super) struct Taken<'t> {
    pub(super) object: &'t Value,
    pub(super) kind: WorkloadKind,
    pub(super) namespace: &'t str,
    /// The Namespace, where it is known.
    pub(super) found: Option<&'t Value>,
}

/// How many calls go to a policy at once.
pub(super) fn threads() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Judges every workload of an export, and tells it for the member of each index, in the order of the export.
pub(super) fn each_of(
    paths: &[String],
    arguments: &WorkloadArguments,
    members: &[Compared],
    mut tell: impl FnMut(usize, &Taken<'_>, Answer) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut inputs = open(paths)?;
    let namespaces = arguments.namespaces.namespaces(&mut inputs)?;
    let default_namespace = arguments.namespaces.namespace.clone();
    let mut queue = Queue {
        reviewer: Reviewer { namespaces, default_namespace, explain: true },
        counted: if arguments.pods { Counted::Pods } else { Counted::Workloads },
        members,
        waiting: Vec::new(),
        tell: &mut tell,
    };
    for input in inputs {
        match input {
            Input::Yaml(yaml) => {
                for mut document in yaml.documents {
                    queue.add(&mut document.value, &format!("{}:{}", yaml.file, document.line))?;
                }
            }
            Input::Json(source) => {
                let file = source.name();
                for located in source.read_json(LargeLists::Opened)? {
                    let mut located = located?;
                    queue.add(&mut located.value, &format!("{file}:{}", located.line))?;
                }
            }
        }
    }
    queue.judge()
}

struct Queue<'m, T> {
    reviewer: Reviewer,
    counted: Counted,
    members: &'m [Compared],
    waiting: Vec<Waiting>,
    tell: T,
}

impl<T: FnMut(usize, &Taken<'_>, Answer) -> Result<(), Failure>> Queue<'_, T> {
    fn add(&mut self, document: &mut Value, place: &str) -> Result<(), Failure> {
        visit(document, &mut |object| {
            if let Some(kind) = counts(object, self.counted) {
                self.waiting.push(Waiting { object: object.take(), kind, place: place.to_owned() });
                return if self.waiting.len() < TOGETHER { Ok(()) } else { self.judge() };
            }
            if Namespaces::is_one(object) {
                // It counts for what is behind it.
                self.judge()?;
                self.reviewer.namespaces.note(object);
            }
            Ok(())
        })
    }

    /// Judges what waits, by all processors.
    fn judge(&mut self) -> Result<(), Failure> {
        let waiting = std::mem::take(&mut self.waiting);
        let (reviewer, members) = (&self.reviewer, self.members);
        let shares = waiting.chunks(waiting.len().div_ceil(threads().get()).max(1));
        let answers: Vec<Vec<Result<Vec<Answer>, Failure>>> = thread::scope(|scope| {
            let judge = |share: &[Waiting]| share.iter().map(|one| one.judge(reviewer, members)).collect();
            let running: Vec<_> = shares.map(|share| scope.spawn(move || judge(share))).collect();
            running.into_iter().map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        for (one, answers) in waiting.iter().zip(answers.into_iter().flatten()) {
            let namespace = self.reviewer.namespace_of(&one.object);
            let found = self.reviewer.namespaces.find(namespace);
            let taken = Taken { object: &one.object, kind: one.kind, namespace, found };
            for (member, answer) in answers?.into_iter().enumerate() {
                (self.tell)(member, &taken, answer)?;
            }
        }
        Ok(())
    }
}

impl Waiting {
    fn judge(&self, reviewer: &Reviewer, members: &[Compared]) -> Result<Vec<Answer>, Failure> {
        let ask = |policy: &Policy| ask(reviewer, policy, &self.object, self.kind, &self.place);
        let answer = |member: &Compared| {
            let before = member.other.as_ref().map(ask).transpose()?;
            let now = ask(&member.policy)?;
            let bare = if member.budgeted { self.bare(&member.policy, &now)? } else { None };
            Ok(Answer { before, now, bare })
        };
        members.iter().map(answer).collect()
    }

    fn bare(&self, policy: &Policy, now: &Judged) -> Result<Option<Value>, Failure> {
        let place = || self.place.clone();
        bare(now, &self.object, || restore(policy, &self.object)).map_err(|error| match error {
            SpendError::Unanswered(source) => Failure::Unanswered { place: place(), source },
            SpendError::Patch(source) => Failure::Patch { place: place(), source },
        })
    }
}

/// What becomes of one object under one policy.
pub(super) fn ask(
    reviewer: &Reviewer,
    policy: &Policy,
    object: &Value,
    kind: WorkloadKind,
    place: &str,
) -> Result<Judged, Failure> {
    let place = || place.to_owned();
    let reply = reviewer.admit(policy, object).map_err(|source| Failure::Unanswered { place: place(), source })?;
    judge(object, kind, reply).map_err(|source| Failure::Patch { place: place(), source })
}
