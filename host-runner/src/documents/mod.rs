//! A folder of documents: found, read, compiled for one cluster, and every problem shown where it stands in the text.
//!
//! What the documents mean is decided in `fedcar_policy::federation`; here are the files, and the way from a JSON
//! pointer back to file, line and column. Invariant: documents are taken in the order of their paths, byte by byte, so
//! that the same folder gives the same settings on every machine.

mod folder;
mod lock;
mod today;

use std::collections::HashSet;
use std::path::Path;

use fedcar_policy::federation::compatibility::{Finding, Verdict, align, intents};
use fedcar_policy::federation::compliance::Compliance;
use fedcar_policy::federation::difference::Described;
use fedcar_policy::federation::{self, Compiled, Date, Federation, LOCK_FILE, Lock, Member, Source, SourceProblem};
use fedcar_policy::read::{Problem, clip};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde_json::Value;

use crate::fragments;
use crate::problem::Diagnostic;
use crate::yaml::{self, Locations};
use folder::{File, files};
pub use today::{now, today};

/// The documents of one folder, each valid by itself and all names between them resolved.
#[derive(Debug)]
pub struct Loaded {
    folder: Folder,
    federation: Federation,
    lock: Lock,
    today: Date,
}

/// What was read, and where it stands.
#[derive(Debug)]
struct Folder {
    path: String,
    files: Vec<File>,
    sources: Vec<Source>,
    /// For each source: its file, and the places of its values.
    origins: Vec<(usize, Locations)>,
}

/// Reads every document below a folder. `today` is the day by which exemptions have expired or not.
///
/// # Errors
///
/// Every problem that can be told from the documents and their lock alone. As long as a file cannot be read, what is
/// missing in the others is not reported: it may be in that file.
pub fn load(path: &Path, today: Date) -> Result<Loaded, Vec<Diagnostic>> {
    let folder = Folder::read(path)?;
    let lock = lock::read(&path.join(LOCK_FILE));
    match (federation::read(&folder.sources), lock) {
        (Ok(federation), Ok(lock)) => Ok(Loaded { folder, federation: federation.with_lock(&lock), lock, today }),
        (federation, lock) => {
            let mut problems = federation.err().map(|problems| folder.diagnostics(problems)).unwrap_or_default();
            problems.extend(lock.err().unwrap_or_default());
            Err(problems)
        }
    }
}

impl Loaded {
    /// The federation itself, for its members and its revision.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }

    /// What was found out about the members and images, empty where there is no lock.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The settings of one member's cluster, and what was adapted to it, in sentences.
    ///
    /// # Errors
    ///
    /// Every problem that stands in the way of this cluster.
    pub fn settings(&self, cluster: &str) -> Result<(Value, Vec<String>), Vec<Diagnostic>> {
        self.compile(cluster).map(|compiled| {
            let notes = compiled.notes();
            (compiled.settings, notes)
        })
    }

    /// The same with the way back from each place of the settings.
    ///
    /// # Errors
    ///
    /// Every problem that stands in the way of this cluster.
    pub fn compile(&self, cluster: &str) -> Result<Compiled, Vec<Diagnostic>> {
        self.federation.compile(cluster, self.today).map_err(|problems| self.folder.diagnostics(problems))
    }

    /// `file:line` of what says a place of compiled settings, the file as the documents call it.
    pub fn place_of(&self, compiled: &Compiled, settings_pointer: &str) -> Option<String> {
        let (document, pointer) = compiled.source_of(settings_pointer);
        let (name, _, (line, _)) = self.position(document, &pointer)?;
        Some(format!("{name}:{line}"))
    }

    /// Where a place of a document stands: the file as the documents call it and as the user can open it, line and column.
    pub(crate) fn position(&self, document: usize, pointer: &str) -> Option<(&str, &str, (u32, u32))> {
        let (file, locations) = self.folder.origins.get(document)?;
        let file = self.folder.files.get(*file)?;
        Some((&file.name, &file.path, locations.find(pointer)))
    }

    /// The day by which exemptions have ended or not.
    pub(crate) fn today(&self) -> Date {
        self.today
    }

    /// Which rule of which guardrail is kept in which member.
    ///
    /// # Errors
    ///
    /// What is wrong with the documents besides their guardrails.
    pub(crate) fn compliance(&self) -> Result<Compliance, Vec<Diagnostic>> {
        self.federation.compliance(&self.lock, self.today).map_err(|problems| self.folder.diagnostics(problems))
    }

    /// What the documents say for a member, for a comparison; `settings` are those of the member.
    pub fn describe(&self, cluster: &str, settings: &Value) -> Option<Described> {
        self.federation.describe(&self.folder.sources, cluster, settings)
    }

    /// Compiles every member, on all processors, and makes of each what the caller keeps: the settings of hundreds of members
    /// are too much to hold. `allowed` are rules of compatibility whose incompatible verdicts are no problem.
    ///
    /// # Errors
    ///
    /// Every problem of every member, each once, and then what the caller found.
    pub fn each_member<T: Send>(
        &self,
        allowed: &[&str],
        keep: impl Fn(&Member, &Compiled) -> Result<T, Vec<Diagnostic>> + Sync,
    ) -> Result<Vec<T>, Vec<Diagnostic>> {
        let (made, problems) = self.compile_all(allowed, keep);
        let mut problems = self.folder.diagnostics(once(problems));
        let mut whole = Vec::new();
        for one in made {
            match one {
                Ok(one) => whole.push(one),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(whole) } else { Err(problems) }
    }

    /// Everything that is wrong for any member, and every field of a fragment that Kubernetes does not know. `allowed` as for
    /// [`Loaded::each_member`].
    pub fn check(&self, allowed: &[&str]) -> Vec<Diagnostic> {
        let (_, mut problems) = self.compile_all(allowed, |_, _| ());
        problems.extend(self.federation.check_unselected(self.today));
        for (document, source) in self.folder.sources.iter().enumerate() {
            if source.value.get("kind").is_some_and(|kind| kind == "Sidecar") {
                let found = fragments::check(&source.value).into_iter();
                problems.extend(found.map(|problem| SourceProblem { document: Some(document), problem }));
            }
        }
        self.folder.diagnostics(once(problems))
    }

    /// What is made of the members that could be compiled, and every problem of the others.
    fn compile_all<T: Send>(
        &self,
        allowed: &[&str],
        keep: impl Fn(&Member, &Compiled) -> T + Sync,
    ) -> (Vec<T>, Vec<SourceProblem>) {
        let members: Vec<&Member> = self.federation.members().collect();
        let one = |member: &&Member| {
            let compiled = self.federation.compile_for(member, self.today)?;
            let refused =
                |finding: &&Finding| finding.verdict == Verdict::Incompatible && !allowed.contains(&finding.rule);
            let incompatible: Vec<Finding> = compiled.findings.iter().filter(refused).cloned().collect();
            Ok((keep(member, &compiled), incompatible, intents(&compiled.settings)))
        };
        let compiled: Vec<Result<_, Vec<SourceProblem>>> = members.par_iter().map(one).collect();
        let (mut made, mut problems, mut incompatible, mut versions) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (member, compiled) in members.iter().zip(compiled) {
            match compiled {
                Ok((one, found, intents)) => {
                    made.push(one);
                    incompatible.extend(found);
                    versions.push((member.name.as_str(), intents));
                }
                Err(found) => problems.extend(found),
            }
        }
        problems.extend(self.federation.skew(&align(versions)));
        problems.extend(self.federation.objections(&incompatible));
        (made, problems)
    }
}

/// The same problems, each once.
fn once(problems: Vec<SourceProblem>) -> Vec<SourceProblem> {
    let mut seen = HashSet::new();
    problems.into_iter().filter(|problem| seen.insert(problem.clone())).collect()
}

impl Folder {
    fn read(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let (files, mut problems) = files(path);
        let path = path.display().to_string();
        if files.is_empty() && problems.is_empty() {
            problems.push(Diagnostic {
                hint: Some("`fedcar init` writes a first federation".to_owned()),
                ..Diagnostic::of_file(path.as_str(), "expected documents, found no *.yaml file below this folder")
            });
        }
        let mut folder = Self { path, files: Vec::new(), sources: Vec::new(), origins: Vec::new() };
        for file in files {
            match yaml::read_located(&file.text) {
                Ok(documents) => {
                    for (document, locations) in documents {
                        problems.extend(foreign(&document.value).map(|problem| show(&file, &locations, problem)));
                        folder.origins.push((folder.files.len(), locations));
                        folder.sources.push(Source {
                            file: file.name.clone(),
                            line: document.line,
                            value: document.value,
                        });
                    }
                }
                Err(error) => problems.push(Diagnostic::of_yaml(file.path.as_str(), &file.text, error)),
            }
            folder.files.push(file);
        }
        if problems.is_empty() { Ok(folder) } else { Err(problems) }
    }

    /// The problems as people see them: by file, and from top to bottom.
    fn diagnostics(&self, problems: Vec<SourceProblem>) -> Vec<Diagnostic> {
        let mut shown: Vec<_> = problems.into_iter().map(|found| self.diagnostic(found)).collect();
        shown.sort_by(|(left, a), (right, b)| (left, a.line, a.column).cmp(&(right, b.line, b.column)));
        shown.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }

    /// A problem where it stands, with the position of its file.
    fn diagnostic(&self, found: SourceProblem) -> (Option<usize>, Diagnostic) {
        let SourceProblem { document, problem } = found;
        let origin = document.and_then(|document| self.origins.get(document));
        if let Some((index, locations)) = origin
            && let Some(file) = self.files.get(*index)
        {
            return (Some(*index), show(file, locations, problem));
        }
        let Problem { message, hint, .. } = problem;
        (None, Diagnostic { hint, ..Diagnostic::of_file(self.path.as_str(), message) })
    }
}

fn show(file: &File, locations: &Locations, problem: Problem) -> Diagnostic {
    show_at(&file.path, &file.text, locations, problem)
}

/// A problem of a value in a text, where it stands.
fn show_at(path: &str, text: &str, locations: &Locations, problem: Problem) -> Diagnostic {
    Diagnostic::at(path, text, locations.find(&problem.pointer), message(&problem), problem.hint)
}

/// The message with the name of the key that it is about: a caret below a line does not say which of its words is meant.
fn message(problem: &Problem) -> String {
    let path = fedcar_policy::read::dotted(&problem.pointer);
    if path.is_empty() { problem.message.clone() } else { format!("{path}: {}", problem.message) }
}

/// The problem of a document that is meant for somebody else.
fn foreign(document: &Value) -> Option<Problem> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let (group, _) = federation::API_VERSION.split_once('/')?;
    let version = text("apiVersion")?;
    if version.split('/').next() == Some(group) {
        return None;
    }
    let hint = if version.starts_with("kustomize.config.k8s.io/") {
        "fedcar reads every *.yaml file below the folder, so nothing has to list them: remove this file"
    } else {
        "keep what is not a document of fedcar in another folder"
    };
    let kind = text("kind").unwrap_or("document");
    Some(Problem {
        pointer: "/apiVersion".to_owned(),
        message: format!("expected a document of {group}, found a {} of {}", clip(kind), clip(version)),
        hint: Some(hint.to_owned()),
    })
}
