//! `fedcar preview`: what documents would make of the workloads of an export, in every member.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fedcar_policy::federation::guardrail::Spending;
use serde::Serialize;
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::settings::{engine_of, prepare, without_text};
use super::talk::Talk;
use super::workloads::{Answer, Compared, Taken, WorkloadArguments, each_of, threads};
use crate::admission::SidecarReport;
use crate::documents::{self, Loaded};
use crate::engine::{Engine, Policy};
use crate::preview::{Fate, JsonExcess, Judged, Row, Seen, Tally, markdown, spend, text};
use crate::problem::Diagnostic;

/// Show what the documents would make of the workloads of an export, for every member
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    /// The export: files, folders, patterns, or `-` for standard input; may be repeated
    ///
    /// What `kubectl get namespaces,pods,deployments,… -A -o json` writes, or any manifests. JSON lines and the items of a
    /// `List` are read one by one, so an export of any length passes in the memory of its largest objects.
    #[arg(long, value_name = "PATH", required = true)]
    workloads: Vec<String>,
    /// Only this member; may be repeated
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// Show only what differs from what these other documents make
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    #[command(flatten)]
    taken: WorkloadArguments,
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
    let (members, spending): (Vec<Compared>, Vec<Option<Spending>>) =
        members(arguments, &loaded, other.as_ref(), talk)?.into_iter().unzip();
    let mut previewer = Previewer {
        tallies: members.iter().map(|member| Tally::new(&member.name, arguments.taken.list)).collect(),
        spending,
        form: arguments.output,
        stdout: io::stdout().lock(),
        worst: Exit::Done,
    };
    each_of(&arguments.workloads, &arguments.taken, &members, |member, taken, answer| {
        previewer.tell(member, taken, answer)
    })?;
    if previewer.tallies.iter().all(|tally| tally.workloads == 0) {
        talk.warning("the export holds no workload that counts: pods that a controller has made count with `--pods`");
    }
    previewer.close_accounts();
    previewer.finish(loaded.federation().name(), arguments.against.is_some()).map_err(Failure::stdout)?;
    Ok(previewer.worst)
}

/// The wanted members with their policies; every problem of all of them at once.
fn members(
    arguments: &Arguments,
    loaded: &Loaded,
    other: Option<&Loaded>,
    talk: Talk,
) -> Result<Vec<(Compared, Option<Spending>)>, Failure> {
    let engine = engine_of(threads())?;
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
            let spending = loaded.federation().spending(name, &settings, arguments.taken.list);
            let other = other.map(|(policy, _)| policy);
            members.push((Compared { name: name.clone(), policy, other, budgeted: spending.is_some() }, spending));
        }
    }
    problems.dedup();
    if problems.is_empty() { Ok(members) } else { Err(Failure::Problems(problems)) }
}

/// A policy with its settings, or what is wrong with these.
type Prepared = Result<(Policy, Value), Vec<Diagnostic>>;

/// The policy of one member; the inner error is what stands in its way.
pub(super) fn policy(engine: &Engine, loaded: &Loaded, name: &str, folder: &Path) -> Result<Prepared, Failure> {
    let settings = match loaded.settings(name) {
        Ok((settings, _)) => settings,
        Err(problems) => return Ok(Err(problems)),
    };
    let at = format!("{} (settings of {name})", folder.display());
    Ok(prepare(engine, &settings)?.map(|policy| (policy, settings)).map_err(|problems| without_text(&at, problems)))
}

struct Previewer {
    /// One for each member.
    tallies: Vec<Tally>,
    /// One for each member, where it has budgets.
    spending: Vec<Option<Spending>>,
    form: Form,
    stdout: io::StdoutLock<'static>,
    worst: Exit,
}

impl Previewer {
    fn tell(&mut self, member: usize, taken: &Taken<'_>, answer: Answer) -> Result<(), Failure> {
        let Answer { before, now, bare } = answer;
        if let Some(Some(spending)) = self.spending.get_mut(member) {
            let object = bare.as_ref().unwrap_or(taken.object);
            spend(spending, &now, (object, taken.kind), (taken.namespace, taken.found));
        }
        let Some(tally) = self.tallies.get_mut(member) else { return Ok(()) };
        let told = if let Some(before) = &before {
            tally.add_difference(before, &now)
        } else {
            tally.add(&now);
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
            Form::Json => line(&mut self.stdout, &tally.member, before.as_ref(), &now).map_err(Failure::stdout),
            Form::Text | Form::Markdown => Ok(()),
        }
    }

    /// Which budgets are exceeded.
    fn close_accounts(&mut self) {
        for (tally, spending) in self.tallies.iter_mut().zip(&self.spending) {
            tally.over = spending.as_ref().map(Spending::excesses).unwrap_or_default();
            if !tally.over.is_empty() {
                self.worst = self.worst.max(Exit::Denied);
            }
        }
    }

    fn finish(&mut self, federation: &str, compared: bool) -> io::Result<()> {
        let tallies = self.tallies.as_slice();
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

fn line(out: &mut impl Write, cluster: &str, before: Option<&Judged>, now: &Judged) -> io::Result<()> {
    let before = before.map(Part::of);
    let Judged { name, copies, fate, .. } = now;
    let line = JsonLine { cluster, workload: name, pods: *copies, fate: *fate, before, now: Part::of(now) };
    serde_json::to_writer(&mut *out, &line)?;
    writeln!(out)
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
