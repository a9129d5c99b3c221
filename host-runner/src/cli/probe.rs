//! `fedcar probe`: what is known about each member's cluster, from the clusters into `fedcar.lock`.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fedcar_policy::federation::{Date, LOCK_FILE, Lock, Member, Observation, ProbedKind};
use fedcar_policy::read::{did_you_mean, dotted};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::explain::Form;
use super::inputs::{Input, open};
use super::json;
use super::lock_file::{self, Fate};
use super::probe_images::{self, ImageArguments};
use super::serve::ServeError;
use super::talk::Talk;
use crate::documents::{self, Loaded};
use crate::input::LargeLists;
use crate::output::table;
use crate::probe::{Contexts, Seen, add, look_at_all};
use crate::problem::Diagnostic;

/// Look at the members' clusters, and write what is judged by into `fedcar.lock`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    /// Only this member; may be repeated
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// The kubeconfig that has the contexts of the members [default: as kubectl]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["objects", "list"])]
    kubeconfig: Option<PathBuf>,
    /// How many seconds each answer of a cluster may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Take the facts of the one `--cluster` from files instead: what `kubectl get … -A -o json` and
    /// `kubectl version -o json` print; may be repeated
    #[arg(long, value_name = "PATH", requires = "cluster", conflicts_with = "list")]
    objects: Vec<String>,
    /// Kinds that the files were asked for, as kubectl calls them: of one that is not in them there is none
    #[arg(long, value_name = "KIND,…", value_delimiter = ',', requires = "objects", value_parser = kind)]
    listed: Vec<&'static ProbedKind>,
    /// Ask nobody, and show what is known, since when, and what is not
    #[arg(long, conflicts_with = "check")]
    list: bool,
    /// Ask registries instead of clusters: which digests and platforms the images of all members have
    #[arg(long, conflicts_with_all = ["cluster", "kubeconfig", "objects", "list"])]
    images: bool,
    #[command(flatten)]
    registries: ImageArguments,
    /// Compare with `fedcar.lock` instead of writing it; exit code 1 where it is different
    #[arg(long)]
    check: bool,
    /// The form of the result
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

const EXAMPLES: &str = "\
Examples:
  fedcar probe retail
  fedcar probe retail --cluster eu-1 --kubeconfig clusters.yaml
  fedcar probe retail --cluster edge-1 --objects version.json --objects export.json --listed nodes,namespaces,pods
  fedcar probe retail --list
  fedcar probe retail --images --layout mirror";

/// The result for programs.
#[derive(Serialize)]
struct Summary<'s> {
    lock: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    members: Vec<MemberSummary<'s>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberSummary<'s> {
    name: &'s str,
    /// What became of its facts, where somebody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'s str>,
    notes: &'s [String],
    taken: Option<&'s str>,
    age_days: Option<i64>,
    kubernetes: Option<String>,
    kubelets: Vec<String>,
    architectures: &'s [String],
    /// Keys of facts.
    unknown: Vec<&'static str>,
}

/// What came of looking at a member.
#[derive(Default)]
struct Outcome {
    changed: bool,
    error: Option<String>,
    notes: Vec<String>,
    exit: Option<Exit>,
}

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let loaded = documents::load(&arguments.documents, documents::today()).map_err(Failure::Problems)?;
    if arguments.images {
        return images(arguments, &loaded, talk);
    }
    let members = arguments.members(&loaded)?;
    let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    if arguments.list {
        return show(arguments, &loaded, &names, None).map(|()| Exit::Done);
    }
    let mut lock = loaded.lock().clone();
    lock.retain_members(|name| loaded.federation().members().any(|member| member.name == name));
    let outcomes = if arguments.objects.is_empty() {
        clusters(arguments, &members, &mut lock, talk)?
    } else {
        files(arguments, &members, &mut lock)?
    };
    for (name, outcome) in &outcomes {
        for note in &outcome.notes {
            talk.note(format_args!("{name}: {note}"));
        }
        if let Some(error) = &outcome.error {
            let stays = match lock.facts(name).and_then(|facts| facts.taken.as_ref()) {
                Some(taken) => format!("what was found on {taken} stays"),
                None => "nothing is known from it".to_owned(),
            };
            talk.error(format_args!("{name}: {error}; {stays}"));
        }
    }
    let fate = lock_file::put(&arguments.documents, loaded.lock(), &lock, arguments.check)?;
    let shown = match fate {
        Fate::Written => documents::load(&arguments.documents, documents::today()).map_err(Failure::Problems)?,
        Fate::Unchanged | Fate::Different => loaded,
    };
    show(arguments, &shown, &names, Some((fate, &outcomes)))?;
    twins(&shown, talk);
    talk.note(format_args!("{}: {}", arguments.documents.join(LOCK_FILE).display(), fate.word()));
    Ok(outcomes.values().filter_map(|outcome| outcome.exit).fold(fate.exit(), Ord::max))
}

/// What the images stand for, into the lock.
fn images(arguments: &Arguments, loaded: &Loaded, talk: Talk) -> Result<Exit, Failure> {
    let mut lock = loaded.lock().clone();
    let report = probe_images::update(loaded, &mut lock, &arguments.registries, talk)?;
    let fate = lock_file::put(&arguments.documents, loaded.lock(), &lock, arguments.check)?;
    if arguments.output == Form::Json {
        json::line(&report).map_err(Failure::stdout)?;
    }
    talk.note(format_args!("{}: {}", arguments.documents.join(LOCK_FILE).display(), fate.word()));
    Ok(report.exit().max(fate.exit()))
}

impl Arguments {
    /// The members that are meant.
    fn members<'l>(&self, loaded: &'l Loaded) -> Result<Vec<&'l Member>, Failure> {
        let all: Vec<&Member> = loaded.federation().members().collect();
        let mut problems = Vec::new();
        for name in &self.cluster {
            if !all.iter().any(|member| member.name == *name) {
                let names = all.iter().map(|member| member.name.as_str());
                let message = format!("expected a member of the federation, found `{name}`");
                let hint = did_you_mean(name, names);
                problems.push(Diagnostic { hint, ..Diagnostic::of_file("--cluster", message) });
            }
        }
        if !problems.is_empty() {
            return Err(Failure::Problems(problems));
        }
        let meant = |member: &&Member| self.cluster.is_empty() || self.cluster.contains(&member.name);
        Ok(all.into_iter().filter(meant).collect())
    }
}

/// The facts from live clusters.
fn clusters(
    arguments: &Arguments,
    members: &[&Member],
    lock: &mut Lock,
    talk: Talk,
) -> Result<BTreeMap<String, Outcome>, Failure> {
    let mut outcomes = BTreeMap::new();
    let mut targets = Vec::new();
    for member in members {
        if let Some(context) = &member.context {
            targets.push((member.name.as_str(), context.as_str()));
        } else {
            let missing = "the Federation names no `kubeconfig.context` for it".to_owned();
            let outcome = if arguments.cluster.is_empty() {
                Outcome { notes: vec![format!("{missing}, so nobody is asked")], ..Outcome::default() }
            } else {
                Outcome { error: Some(missing), exit: Some(Exit::BadInput), ..Outcome::default() }
            };
            outcomes.insert(member.name.clone(), outcome);
        }
    }
    if targets.is_empty() {
        return Ok(outcomes);
    }
    let contexts = Contexts::read(arguments.kubeconfig.as_deref())?;
    let names: Vec<&str> = targets.iter().map(|(_, context)| *context).collect();
    let mut done = 0;
    let told = |index: usize| {
        done += 1;
        if let (Some((name, _)), true) = (targets.get(index), io::stderr().is_terminal()) {
            talk.note(format_args!("{name} is done ({done} of {})", targets.len()));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ServeError::Runtime)?;
    let seen = runtime.block_on(look_at_all(&contexts, &names, Duration::from_secs(arguments.timeout), told));
    // A credential plugin that still runs ends by itself.
    runtime.shutdown_background();
    let taken = documents::now();
    for ((name, _), seen) in targets.iter().zip(seen) {
        let outcome = match seen {
            Ok(Seen { observation, notes }) => renew(lock, name, &observation, notes, &taken),
            Err(error) => Outcome { error: Some(error.to_string()), exit: Some(Exit::BadInput), ..Outcome::default() },
        };
        outcomes.insert((*name).to_owned(), outcome);
    }
    Ok(outcomes)
}

/// The facts of one member from files.
fn files(arguments: &Arguments, members: &[&Member], lock: &mut Lock) -> Result<BTreeMap<String, Outcome>, Failure> {
    let [member] = members else {
        return Err(Failure::Usage("`--objects` is about one member: expected one `--cluster`".to_owned()));
    };
    let mut observation = Observation::default();
    arguments.listed.iter().for_each(|kind| observation.list(kind));
    for input in open(&arguments.objects)? {
        match input {
            Input::Yaml(yaml) => {
                for mut document in yaml.documents {
                    take(&mut observation, &mut document.value, &yaml.file, document.line)?;
                }
            }
            Input::Json(source) => {
                let file = source.name();
                for located in source.read_json(LargeLists::Whole)? {
                    let mut located = located?;
                    take(&mut observation, &mut located.value, &file, located.line)?;
                }
            }
        }
    }
    if observation.is_empty() {
        let message =
            "expected what `kubectl get … -A -o json` prints, found nothing that says anything about a cluster";
        return Err(Failure::Problems(vec![Diagnostic::of_file(arguments.objects.join(", "), message)]));
    }
    let outcome = renew(lock, &member.name, &observation, Vec::new(), &documents::now());
    Ok(BTreeMap::from([(member.name.clone(), outcome)]))
}

fn take(observation: &mut Observation, document: &mut serde_json::Value, file: &str, line: u32) -> Result<(), Failure> {
    add(observation, document.take()).map_err(|incomplete| {
        let problem = Diagnostic { line: Some(line), ..Diagnostic::of_file(file, incomplete.to_string()) };
        Failure::Problems(vec![problem])
    })
}

fn renew(lock: &mut Lock, name: &str, observation: &Observation, mut notes: Vec<String>, taken: &str) -> Outcome {
    let before = lock.facts(name).cloned();
    let unread = lock.renew_facts(name, observation.facts(), taken);
    notes.extend(
        unread.iter().map(|problem| format!("{}: {}, and stays unknown", dotted(&problem.pointer), problem.message)),
    );
    Outcome { changed: before.as_ref() != lock.facts(name), notes, ..Outcome::default() }
}

/// Two members that are one cluster count everything twice.
fn twins(loaded: &Loaded, talk: Talk) {
    let mut members: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for member in loaded.federation().members() {
        let properties = member.facts.cluster_properties.as_ref();
        if let Some(identity) = properties.filter(|all| all.contains_key("cluster.clusterset.k8s.io")) {
            members.entry(identity).or_default().push(&member.name);
        }
    }
    for same in members.values().filter(|same| same.len() > 1) {
        talk.warning(format_args!("{} are one cluster, by their ClusterProperties", same.join(" and ")));
    }
}

/// What is known of members, as a result.
fn show(
    arguments: &Arguments,
    loaded: &Loaded,
    names: &[String],
    probed: Option<(Fate, &BTreeMap<String, Outcome>)>,
) -> Result<(), Failure> {
    let members = loaded.federation().members().filter(|member| names.contains(&member.name));
    let summary = Summary {
        lock: arguments.documents.join(LOCK_FILE).display().to_string(),
        status: probed.map(|(fate, _)| fate.word()),
        members: members.map(|member| MemberSummary::of(member, probed.map(|(_, outcomes)| outcomes))).collect(),
    };
    let written = match arguments.output {
        Form::Json => json::line(&summary),
        Form::Text => io::stdout().lock().write_all(table(&HEAD, summary.members.iter().map(row)).as_bytes()),
    };
    written.map_err(Failure::stdout)
}

const HEAD: [&str; 7] = ["MEMBER", "TAKEN", "DAYS", "KUBERNETES", "KUBELETS", "ARCHITECTURES", "UNKNOWN"];

fn row(member: &MemberSummary<'_>) -> [String; 7] {
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    [
        member.name.to_owned(),
        or_none(member.taken.unwrap_or_default().to_owned()),
        or_none(member.age_days.map(|days| days.to_string()).unwrap_or_default()),
        or_none(member.kubernetes.clone().unwrap_or_default()),
        or_none(member.kubelets.join(", ")),
        or_none(member.architectures.join(", ")),
        or_none(member.unknown.join(", ")),
    ]
}

impl<'s> MemberSummary<'s> {
    fn of(member: &'s Member, outcomes: Option<&'s BTreeMap<String, Outcome>>) -> Self {
        let facts = &member.facts;
        let outcome = outcomes.and_then(|outcomes| outcomes.get(&member.name));
        let day = facts.taken.as_deref().and_then(|taken| taken.get(..10)?.parse::<Date>().ok());
        Self {
            name: &member.name,
            status: outcome.map(Outcome::word),
            error: outcome.and_then(|outcome| outcome.error.as_deref()),
            notes: outcome.map(|outcome| outcome.notes.as_slice()).unwrap_or_default(),
            taken: facts.taken.as_deref(),
            age_days: day.map(|day| documents::today().days_since(day)),
            kubernetes: facts.kubernetes.map(|version| version.to_string()),
            kubelets: facts.kubelets.iter().map(ToString::to_string).collect(),
            architectures: &facts.architectures,
            unknown: facts.unknown(member.engine),
        }
    }
}

impl Outcome {
    fn word(&self) -> &'static str {
        match (&self.error, self.changed) {
            (Some(_), _) => "failed",
            (None, true) => "changed",
            (None, false) => "unchanged",
        }
    }
}

/// A kind by its name in `kubectl get`.
fn kind(text: &str) -> Result<&'static ProbedKind, String> {
    let all = ProbedKind::ALL.iter();
    all.clone().find(|kind| kind.plural == text).ok_or_else(|| {
        let known = all.map(|kind| kind.plural);
        let hint = did_you_mean(text, known.clone());
        hint.unwrap_or_else(|| format!("expected one of {}", known.collect::<Vec<_>>().join(", ")))
    })
}
