//! `fedcar diff`: what two revisions of documents, or two members, do differently.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use fedcar_policy::federation::difference::{Change, samples};
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::preview::policy;
use super::settings::engine_of;
use super::workloads::{Answer, Compared, WorkloadArguments, ask, each_of, threads};
use crate::admission::Reviewer;
use crate::difference::{Difference, Pods, markdown, share, text};
use crate::documents::{self, Loaded};
use crate::input::Namespaces;
use crate::preview::{Counted, counts};
use crate::problem::Diagnostic;

/// Show what two revisions of documents, or two members, do differently, and to which pods
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents before
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The folder with the documents after
    #[arg(value_name = "NEW", required_unless_present = "members")]
    new: Option<PathBuf>,
    /// Compare these two members of one folder
    #[arg(long, num_args = 2, value_names = ["NAME", "NAME"], conflicts_with_all = ["new", "cluster"])]
    members: Vec<String>,
    /// Only this member; may be repeated
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// Try these workloads instead of samples that are made from the documents; as in `preview`
    #[arg(long, value_name = "PATH")]
    workloads: Vec<String>,
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
    /// One object
    Json,
    /// For a pull request
    Markdown,
}

const EXAMPLES: &str = "\
Examples:
  fedcar diff main/retail retail
  fedcar diff main/retail retail --workloads export.json --output markdown
  fedcar diff retail --members eu-1 us-1";

/// One side of a comparison.
struct Side<'a> {
    loaded: &'a Loaded,
    folder: &'a Path,
    member: &'a str,
}

/// A member on both sides, or two members.
struct Pair<'a> {
    label: String,
    before: Side<'a>,
    after: Side<'a>,
}

/// A pair that is different.
struct Changed<'a> {
    pair: Pair<'a>,
    settings: [Value; 2],
    changes: Vec<Change>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let load = |folder: &Path| documents::load(folder, documents::today()).map_err(Failure::Problems);
    let old_folder = arguments.old.as_path();
    let old = load(old_folder)?;
    let new = arguments.new.as_deref().map(load).transpose()?;
    let (new, new_folder) = (new.as_ref().unwrap_or(&old), arguments.new.as_deref().unwrap_or(old_folder));
    let names = |loaded: &Loaded| loaded.federation().members().map(|one| one.name.clone()).collect::<Vec<_>>();
    let (before, after) = (names(&old), names(new));
    let wanted = |name: &&String| arguments.cluster.is_empty() || arguments.cluster.contains(name);
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).filter(wanted).cloned().collect()
    };
    let (come, gone) = (only(&after, &before), only(&before, &after));
    let side = |loaded, folder, member| Side { loaded, folder, member };
    let pairs: Vec<Pair<'_>> = if let [one, other] = arguments.members.as_slice() {
        let label = format!("{one} -> {other}");
        vec![Pair { label, before: side(&old, old_folder, one), after: side(new, new_folder, other) }]
    } else {
        // A name that neither side has is told by compiling it.
        let both = |name: &&String| !come.contains(name) && !gone.contains(name);
        let names = if arguments.cluster.is_empty() { &after } else { &arguments.cluster };
        names
            .iter()
            .filter(both)
            .map(|name| Pair {
                label: name.clone(),
                before: side(&old, old_folder, name),
                after: side(new, new_folder, name),
            })
            .collect()
    };
    let compared = pairs.iter().map(|pair| pair.label.clone()).collect();
    let different = compare(pairs)?;
    let pods = if different.is_empty() { Pods::new(true, 0) } else { pods(arguments, &different)? };
    let changes = share(different.into_iter().map(|one| (one.pair.label, one.changes)).collect());
    let federation = new.federation().name().to_owned();
    let difference = Difference { federation, compared, come, gone, changes, pods: pods.into_groups() };
    print(arguments.output, &difference).map_err(Failure::stdout)?;
    Ok(if difference.is_empty() { Exit::Done } else { Exit::Denied })
}

/// Those that say something else; every problem of all of them at once.
fn compare(pairs: Vec<Pair<'_>>) -> Result<Vec<Changed<'_>>, Failure> {
    let mut problems: Vec<Diagnostic> = Vec::new();
    let mut different = Vec::new();
    for pair in pairs {
        let [before, after] = [&pair.before, &pair.after].map(|side| side.loaded.settings(side.member));
        match (before, after) {
            (Ok((before, _)), Ok((after, _))) => {
                let described = |side: &Side<'_>, settings| side.loaded.describe(side.member, settings);
                let sides = described(&pair.before, &before).zip(described(&pair.after, &after));
                let changes = sides.map(|(before, after)| after.changes_since(&before)).unwrap_or_default();
                if !changes.is_empty() {
                    different.push(Changed { pair, settings: [before, after], changes });
                }
            }
            (before, after) => {
                for problem in [before.err(), after.err()].into_iter().flatten().flatten() {
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                }
            }
        }
    }
    if problems.is_empty() { Ok(different) } else { Err(Failure::Problems(problems)) }
}

/// The pods that come out otherwise.
fn pods(arguments: &Arguments, changed: &[Changed<'_>]) -> Result<Pods, Failure> {
    let engine = engine_of(threads())?;
    let mut members = Vec::new();
    for Changed { pair, .. } in changed {
        let ready = |side: &Side<'_>| match policy(&engine, side.loaded, side.member, side.folder)? {
            Ok((policy, _)) => Ok(policy),
            Err(problems) => Err(Failure::Problems(problems)),
        };
        let (other, policy) = (Some(ready(&pair.before)?), ready(&pair.after)?);
        members.push(Compared { name: pair.label.clone(), policy, other, budgeted: false });
    }
    let mut pods = Pods::new(arguments.workloads.is_empty(), arguments.taken.list);
    if !arguments.workloads.is_empty() {
        each_of(&arguments.workloads, &arguments.taken, &members, |index, _, Answer { before, now, .. }| {
            if let (Some(member), Some(before)) = (members.get(index), before) {
                pods.add(&member.name, &before, &now);
            }
            if index + 1 == members.len() {
                pods.end(&now.name);
            }
            Ok(())
        })?;
        return Ok(pods);
    }
    let sides: Vec<&Value> = changed.iter().flat_map(|one| &one.settings).collect();
    let touched: BTreeSet<&str> =
        changed.iter().flat_map(|one| &one.changes).map(|change| change.about.as_str()).collect();
    for sample in samples(&sides, &touched) {
        let mut namespaces = Namespaces::default();
        namespaces.note(&sample.namespace);
        let reviewer = Reviewer { namespaces, default_namespace: "default".to_owned(), explain: true };
        let Some(kind) = counts(&sample.object, Counted::Workloads) else { continue };
        for Compared { name, policy, other, .. } in &members {
            if let Some(other) = other {
                let ask = |policy| ask(&reviewer, policy, &sample.object, kind, &sample.words);
                pods.add(name, &ask(other)?, &ask(policy)?);
            }
        }
        pods.end(&sample.words);
    }
    Ok(pods)
}

fn print(form: Form, difference: &Difference) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match form {
        Form::Text => stdout.write_all(text(difference).as_bytes())?,
        Form::Markdown => stdout.write_all(markdown(difference).as_bytes())?,
        Form::Json => {
            serde_json::to_writer(&mut stdout, difference)?;
            writeln!(stdout)?;
        }
    }
    stdout.flush()
}
