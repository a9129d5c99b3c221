//! The documents of a federation, and the settings that each member's cluster gets from them.
//!
//! [`read`] turns parsed documents into a [`Federation`]: every key known, every name resolved. [`Federation::compile`]
//! turns that into the settings of one cluster and checks them as the module would. Invariant: a problem always names
//! the document and the place that a person wrote, never a place in the compiled settings. Files, lines and columns are
//! the business of the caller, who knows the text.

mod compile;
mod guardrail;
mod header;
mod member;
mod root;
mod sidecar;
mod version;

use serde_json::Value;

pub use compile::Compiled;
pub use member::{Engine, Facts, Member, PodSecurity};
pub use version::{Requirement, Version};

use crate::read::{Problem, Problems, did_you_mean};
use guardrail::Guardrail;
use header::{Header, Kind};
use root::Root;
use sidecar::Sidecar;

/// The version of the documents that this version of fedcar reads.
pub const API_VERSION: &str = "fedcar.dev/v1alpha1";

/// One parsed document and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as it is shown to people, relative to the folder.
    pub file: String,
    /// The line on which the document begins, counted from one.
    pub line: u32,
    /// The document itself.
    pub value: Value,
}

/// A problem of one document, or of the documents together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceProblem {
    /// The index of the document among the sources; absent where the fault is in none of them, but in what is missing.
    pub document: Option<usize>,
    /// What is wrong, with its JSON pointer from the root of the document.
    pub problem: Problem,
}

impl SourceProblem {
    fn at(document: usize, pointer: impl Into<String>, message: impl Into<String>, hint: Option<String>) -> Self {
        let problem = Problem { pointer: pointer.into(), message: message.into(), hint };
        Self { document: Some(document), problem }
    }
}

/// The documents of one federation, each valid by itself and all names between them resolved.
///
/// What is not judged here is what a sidecar does to a pod: that is the settings' own check, which
/// [`Federation::compile`] runs for one cluster and [`Federation::check`] for all.
#[derive(Debug, Clone)]
pub struct Federation {
    root: Root,
    sidecars: Vec<Sidecar>,
    guardrails: Vec<Guardrail>,
    revision: String,
}

impl Federation {
    /// The federation's name.
    pub fn name(&self) -> &str {
        &self.root.name
    }

    /// The content hash of all documents: `sha256:` and 64 hexadecimal digits.
    ///
    /// It covers what the documents say, in their order, and not how the files are called, indented or commented.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The member clusters, in the order of the document.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.root.members.iter()
    }
}

/// Reads documents in their order, which is also the order in which sidecars are applied.
///
/// # Errors
///
/// Every problem of every document, in the order of the documents.
pub fn read(sources: &[Source]) -> Result<Federation, Vec<SourceProblem>> {
    let mut problems = Vec::new();
    let mut roots: Vec<Root> = Vec::new();
    let mut sidecars: Vec<Sidecar> = Vec::new();
    let mut guardrails: Vec<Guardrail> = Vec::new();
    for (document, source) in sources.iter().enumerate() {
        let mut found = Problems::default();
        if let Some(header) = Header::read(&source.value, &mut found) {
            match header.kind {
                Kind::Federation => roots.extend(Root::read(document, &header, &mut found)),
                Kind::Sidecar => sidecars.extend(Sidecar::read(document, source, &header, &mut found)),
                Kind::Guardrail => guardrails.extend(Guardrail::read(document, source, &header, &mut found)),
            }
        }
        problems
            .extend(found.into_vec().into_iter().map(|problem| SourceProblem { document: Some(document), problem }));
    }
    let names: Vec<(usize, &str)> = sidecars.iter().map(|sidecar| (sidecar.document, sidecar.name.as_str())).collect();
    repeated("Sidecar", &names, sources, &mut problems);
    unknown_sidecars(&guardrails, &names, &mut problems);
    let names: Vec<_> = guardrails.iter().map(|guardrail| (guardrail.document, guardrail.name.as_str())).collect();
    repeated("Guardrail", &names, sources, &mut problems);
    let root = only_root(roots, sources, &mut problems);
    match root {
        Some(root) if problems.is_empty() => {
            Ok(Federation { root, sidecars, guardrails, revision: compile::revision(sources) })
        }
        _ => {
            problems.sort_by_key(|problem| problem.document);
            Err(problems)
        }
    }
}

/// The one Federation among the documents. It is missing only where no document says that it is one, valid or not.
fn only_root(roots: Vec<Root>, sources: &[Source], problems: &mut Vec<SourceProblem>) -> Option<Root> {
    let mut roots = roots.into_iter();
    let first = roots.next();
    if let Some(first) = &first {
        for other in roots {
            let place = place(sources, first.document);
            let message = format!("a second Federation: the first is `{}` in {place}", first.name);
            let hint = "a folder holds one federation; its clusters are `spec.members`";
            problems.push(SourceProblem::at(other.document, "/kind", message, Some(hint.to_owned())));
        }
    } else if !sources.iter().any(|source| source.value.get("kind").is_some_and(|kind| kind == "Federation")) {
        let message = "none of the documents is a Federation".to_owned();
        let hint = Some(format!("add one: apiVersion: {API_VERSION}, kind: Federation, with `spec.members`"));
        let problem = Problem { pointer: String::new(), message, hint };
        problems.push(SourceProblem { document: None, problem });
    }
    first
}

/// Reports each name that an earlier document of the same kind has.
fn repeated(kind: &str, names: &[(usize, &str)], sources: &[Source], problems: &mut Vec<SourceProblem>) {
    for (position, (document, name)) in names.iter().enumerate() {
        if let Some((first, _)) = names.iter().take(position).find(|(_, other)| other == name) {
            let message = format!("a second {kind} `{name}`: the first is in {}", place(sources, *first));
            problems.push(SourceProblem::at(*document, "/metadata/name", message, None));
        }
    }
}

/// Reports each sidecar that a guardrail names and no document defines.
fn unknown_sidecars(guardrails: &[Guardrail], sidecars: &[(usize, &str)], problems: &mut Vec<SourceProblem>) {
    for guardrail in guardrails {
        for (list, names) in [("required", &guardrail.required), ("never", &guardrail.never)] {
            for (position, name) in names.iter().enumerate() {
                let known = sidecars.iter().map(|(_, sidecar)| *sidecar);
                if !known.clone().any(|sidecar| sidecar == name) {
                    let message = format!("no Sidecar is named `{name}`");
                    let pointer = format!("/spec/{list}/{position}");
                    let hint = did_you_mean(name, known);
                    problems.push(SourceProblem::at(guardrail.document, pointer, message, hint));
                }
            }
        }
    }
}

/// Where a document stands, for a message of another document.
fn place(sources: &[Source], document: usize) -> String {
    sources.get(document).map(|source| format!("{}:{}", source.file, source.line)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
