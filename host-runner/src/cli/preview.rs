//! `fedcar preview`: what documents would make of the workloads of an export, in every member.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fedcar_policy::federation::guardrail::Spending;
use fedcar_policy::injection::WorkloadKind;
use serde::Serialize;
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::inputs::{Input, NamespaceArguments, open};
use super::settings::{engine, prepare, without_text};
use super::talk::Talk;
use crate::admission::{Reviewer, SidecarReport, restore};
use crate::documents::{self, Loaded};
use crate::engine::{Engine, Policy};
use crate::input::visit;
use crate::preview::{
    Counted, Fate, JsonExcess, Judged, Row, Seen, SpendError, Tally, counts, judge, markdown, spend, text,
};

/// Show what the documents would make of the workloads of an export, for every member
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    /// The export: files, folders, patterns, or `-` for standard input; may be repeated
    ///
    /// What `kubectl get namespaces,pods,deployments,… -A -o json` writes, or any manifests. JSON lines are read one by
    /// one, so an export of any length passes in the memory of its longest line; a `List` is read whole.
    #[arg(long, value_name = "PATH", required = true)]
    workloads: Vec<String>,
    /// Only this member; may be repeated
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// Show only what differs from what these other documents make
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Count each pod as one, also those that a Deployment or another controller has made, and nothing else
    #[arg(long)]
    pods: bool,
    #[command(flatten)]
    namespaces: NamespaceArguments,
    /// How many workloads of each group are named
    #[arg(long, value_name = "N", default_value_t = 10)]
    list: usize,
    /// The form of the result
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// One line for each workload and member, then one with the sums of each member
    Json,
    /// For a pull request
    Markdown,
}

const EXAMPLES: &str = "\
Examples:
  kubectl get namespaces,pods,deployments,statefulsets,daemonsets,jobs,cronjobs -A -o json | \\
    fedcar preview retail --cluster eu-1 --workloads -
  fedcar preview retail --workloads export.json --against main/retail --output markdown";

/// A member with its policy, and the one of the other documents where two are compared.
struct Compared {
    policy: Policy,
    other: Option<Policy>,
    spending: Option<Spending>,
    tally: Tally,
}

impl Compared {
    /// The sums, with the budgets that are exceeded.
    fn finish(self) -> Tally {
        let mut tally = self.tally;
        tally.over = self.spending.map(|spending| spending.excesses()).unwrap_or_default();
        tally
    }
}

/// One workload in one member.
#[derive(Serialize)]
struct JsonLine<'j> {
    cluster: &'j str,
    workload: &'j str,
    pods: u64,
    fate: Fate,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Part<'j>>,
    #[serde(flatten)]
    now: Part<'j>,
}

/// What documents make of it.
#[derive(Serialize)]
struct Part<'j> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'j str>,
    sidecars: &'j [SidecarReport],
    added: Value,
    images: Vec<&'j str>,
}

/// The sums of one member.
#[derive(Serialize)]
struct JsonSums<'j> {
    cluster: &'j str,
    workloads: u64,
    pods: u64,
    told: u64,
    fates: serde_json::Map<String, Value>,
    added: Value,
    images: Vec<&'j str>,
    groups: Vec<JsonGroup<'j>>,
    #[serde(rename = "overBudget", skip_serializing_if = "Vec::is_empty")]
    over_budget: Vec<JsonExcess<'j>>,
}

#[derive(Serialize)]
struct JsonGroup<'j> {
    #[serde(flatten)]
    row: &'j Row,
    #[serde(flatten)]
    seen: &'j Seen,
}

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let loaded = documents::load(&arguments.documents, documents::today()).map_err(Failure::Problems)?;
    let other = arguments
        .against
        .as_deref()
        .map(|folder| documents::load(folder, documents::today()))
        .transpose()
        .map_err(Failure::Problems)?;
    let mut inputs = open(&arguments.workloads)?;
    let namespaces = arguments.namespaces.namespaces(&mut inputs)?;
    let mut members = members(arguments, &loaded, other.as_ref(), talk)?;
    let default_namespace = arguments.namespaces.namespace.clone();
    let mut previewer = Previewer {
        reviewer: Reviewer { namespaces, default_namespace, explain: true },
        counted: if arguments.pods { Counted::Pods } else { Counted::Workloads },
        form: arguments.output,
        stdout: io::stdout().lock(),
        worst: Exit::Done,
    };
    for input in inputs {
        match input {
            Input::Yaml(yaml) => {
                for mut document in yaml.documents {
                    let place = format!("{}:{}", yaml.file, document.line);
                    previewer.document(&mut members, &mut document.value, &place)?;
                }
            }
            Input::Json(source) => {
                let file = source.name();
                for located in source.read_json()? {
                    let mut located = located?;
                    let place = format!("{file}:{}", located.line);
                    previewer.document(&mut members, &mut located.value, &place)?;
                }
            }
        }
    }
    if members.iter().all(|member| member.tally.workloads == 0) {
        talk.warning("the export holds no workload that counts: pods that a controller has made count with `--pods`");
    }
    let tallies: Vec<Tally> = members.into_iter().map(Compared::finish).collect();
    if tallies.iter().any(|tally| !tally.over.is_empty()) {
        previewer.worst = previewer.worst.max(Exit::Denied);
    }
    let compared = arguments.against.is_some();
    previewer.finish(loaded.federation().name(), &tallies, compared).map_err(Failure::stdout)?;
    Ok(previewer.worst)
}

/// The wanted members with their policies; every problem of all of them at once.
fn members(
    arguments: &Arguments,
    loaded: &Loaded,
    other: Option<&Loaded>,
    talk: Talk,
) -> Result<Vec<Compared>, Failure> {
    let engine = engine()?;
    let all = loaded.federation().members().map(|member| member.name.clone());
    let names: Vec<String> = if arguments.cluster.is_empty() { all.collect() } else { arguments.cluster.clone() };
    let mut problems = Vec::new();
    let mut members = Vec::new();
    for name in &names {
        let known = |loaded: &&Loaded| loaded.federation().members().any(|member| member.name == *name);
        if let (Some(_), None) = (other, other.filter(known)) {
            talk.note(format_args!("{name} is no member of the other documents, so everything in it is new"));
        }
        let mut policy = |loaded: &Loaded, folder: &Path| match policy(&engine, loaded, name, folder) {
            Ok(Ok(policy)) => Ok(Some(policy)),
            Ok(Err(found)) => {
                problems.extend(found);
                Ok(None)
            }
            Err(failure) => Err(failure),
        };
        let now = policy(loaded, &arguments.documents)?;
        let folder = arguments.against.as_deref().unwrap_or(&arguments.documents);
        let other = other.filter(known).map(|other| policy(other, folder)).transpose()?.flatten();
        if let Some((policy, settings)) = now {
            let spending = loaded.federation().spending(name, &settings, arguments.list);
            let other = other.map(|(policy, _)| policy);
            members.push(Compared { policy, other, spending, tally: Tally::new(name, arguments.list) });
        }
    }
    problems.dedup();
    if problems.is_empty() { Ok(members) } else { Err(Failure::Problems(problems)) }
}

/// A member's policy with its settings, or what is wrong with these.
type Prepared = Result<(Policy, Value), Vec<crate::problem::Diagnostic>>;

fn policy(engine: &Engine, loaded: &Loaded, name: &str, folder: &Path) -> Result<Prepared, Failure> {
    let settings = match loaded.settings(name) {
        Ok((settings, _)) => settings,
        Err(problems) => return Ok(Err(problems)),
    };
    let at = format!("{} (settings of {name})", folder.display());
    Ok(prepare(engine, &settings)?.map(|policy| (policy, settings)).map_err(|problems| without_text(&at, problems)))
}

struct Previewer {
    reviewer: Reviewer,
    counted: Counted,
    form: Form,
    stdout: io::StdoutLock<'static>,
    worst: Exit,
}

impl Previewer {
    fn document(&mut self, members: &mut [Compared], document: &mut Value, place: &str) -> Result<(), Failure> {
        visit(document, &mut |object| {
            self.reviewer.namespaces.note(object);
            members.iter_mut().try_for_each(|member| self.object(member, object, place))
        })
    }

    fn object(&mut self, member: &mut Compared, object: &Value, place: &str) -> Result<(), Failure> {
        let Some(kind) = counts(object, self.counted) else { return Ok(()) };
        let ask = |policy: &Policy| {
            let reply = self
                .reviewer
                .admit(policy, object)
                .map_err(|source| Failure::Unanswered { place: place.to_owned(), source })?;
            judge(object, kind, reply).map_err(|source| Failure::Patch { place: place.to_owned(), source })
        };
        let now = ask(&member.policy)?;
        let before = member.other.as_ref().map(ask).transpose()?;
        if let Some(spending) = &mut member.spending {
            self.spend(spending, &member.policy, object, kind, &now).map_err(|error| match error {
                SpendError::Unanswered(source) => Failure::Unanswered { place: place.to_owned(), source },
                SpendError::Patch(source) => Failure::Patch { place: place.to_owned(), source },
            })?;
        }
        let told = if let Some(before) = &before {
            member.tally.add_difference(before, &now)
        } else {
            member.tally.add(&now);
            true
        };
        if !told {
            return Ok(());
        }
        self.worst = self.worst.max(match now.fate {
            Fate::Denied => Exit::Denied,
            Fate::Undecided => Exit::BadInput,
            _ => Exit::Done,
        });
        match self.form {
            Form::Json => self.line(&member.tally.member, before.as_ref(), &now).map_err(Failure::stdout),
            Form::Text | Form::Markdown => Ok(()),
        }
    }

    fn spend(
        &self,
        spending: &mut Spending,
        policy: &Policy,
        object: &Value,
        kind: WorkloadKind,
        now: &Judged,
    ) -> Result<(), SpendError> {
        let namespace = self.reviewer.namespace_of(object);
        let found = self.reviewer.namespaces.find(namespace);
        spend(spending, now, object, kind, (namespace, found), || restore(policy, object))
    }

    fn line(&mut self, cluster: &str, before: Option<&Judged>, now: &Judged) -> io::Result<()> {
        let before = before.map(Part::of);
        let Judged { name, copies, fate, .. } = now;
        let line = JsonLine { cluster, workload: name, pods: *copies, fate: *fate, before, now: Part::of(now) };
        serde_json::to_writer(&mut self.stdout, &line)?;
        writeln!(self.stdout)
    }

    fn finish(&mut self, federation: &str, tallies: &[Tally], compared: bool) -> io::Result<()> {
        match self.form {
            Form::Text => {
                let texts: Vec<String> = tallies.iter().map(|tally| text(tally, compared)).collect();
                self.stdout.write_all(texts.join("\n").as_bytes())?;
            }
            Form::Markdown => self.stdout.write_all(markdown(federation, tallies, compared).as_bytes())?,
            Form::Json => {
                for tally in tallies {
                    serde_json::to_writer(&mut self.stdout, &JsonSums::of(tally))?;
                    writeln!(self.stdout)?;
                }
            }
        }
        self.stdout.flush()
    }
}

impl<'j> Part<'j> {
    fn of(judged: &'j Judged) -> Self {
        Self {
            message: judged.message.as_deref(),
            sidecars: &judged.sidecars,
            added: serde_json::to_value(judged.added).unwrap_or_default(),
            images: judged.images.iter().map(String::as_str).collect(),
        }
    }
}

impl<'j> JsonSums<'j> {
    fn of(tally: &'j Tally) -> Self {
        let fates = tally.fates.iter().map(|(fate, seen)| (fate.word().to_owned(), Value::from(seen.workloads)));
        Self {
            cluster: &tally.member,
            workloads: tally.workloads,
            pods: tally.pods,
            told: tally.told,
            fates: fates.collect(),
            added: serde_json::to_value(tally.added).unwrap_or_default(),
            images: tally.images.keys().map(String::as_str).collect(),
            groups: tally.rows.iter().map(|(row, seen)| JsonGroup { row, seen }).collect(),
            over_budget: tally.over.iter().map(JsonExcess::of).collect(),
        }
    }
}
