//! The documents of a federation, and the settings that each member's cluster gets from them.
//!
//! [`read`] turns parsed documents into a [`Federation`]: every key known, every name resolved. [`Federation::compile`]
//! turns that into the settings of one cluster and checks them as the module would. Invariant: a problem always names
//! the document and the place that a person wrote, never a place in the compiled settings. Files, lines and columns are
//! the business of the caller, who knows the text.

mod circle;
pub mod compatibility;
mod compile;
pub mod compliance;
mod date;
pub mod difference;
mod facts;
pub mod guardrail;
mod header;
mod known;
mod lists;
mod member;
mod objections;
mod references;
pub mod rollout;
mod root;
pub mod security;
mod share;
mod sidecar;
mod span;
pub mod traffic;
mod version;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub use compile::Compiled;
pub use date::{Date, NotADate};
pub use facts::{
    Facts, Image, KUBEWARDEN_GROUP, LOCK_FILE, Lock, MutatingWebhook, Namespace, Observation, PodSecurity, ProbedKind,
    Reading,
};
pub use member::{Engine, Member};
pub use share::Share;
pub use span::Span;
pub use version::{Requirement, Version};

use crate::read::{Problem, Problems};
use guardrail::Guardrail;
use header::{Header, Kind};
use references::Documents;
use rollout::Rollout;
use root::Root;
use security::SecurityPolicy;
use sidecar::Sidecar;
use traffic::TrafficPolicy;

/// The version of the documents that this version of fedcar reads.
pub const API_VERSION: &str = "fedcar.dev/v1alpha1";

/// The JSON Schema (draft 2020-12) of each kind of document, by its name: for editors, and in `docs/schemas`.
///
/// A schema is about one document and its shape. It refuses nothing that [`read`] takes, but for a key that is `null`.
pub fn schemas() -> impl Iterator<Item = (&'static str, Value)> {
    Kind::ALL.into_iter().map(|(name, kind)| {
        let spec = match kind {
            Kind::Federation => Root::schema(),
            Kind::Sidecar => Sidecar::schema(),
            Kind::Guardrail => Guardrail::schema(),
            Kind::Rollout => Rollout::schema(),
            Kind::TrafficPolicy => TrafficPolicy::schema(),
            Kind::SecurityPolicy => SecurityPolicy::schema(),
        };
        let mut schema = Map::new();
        schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        schema.insert("title".to_owned(), format!("{name} of {API_VERSION}").into());
        if let Value::Object(document) = header::schema(kind, name, spec).into_value() {
            schema.extend(document);
        }
        (name, Value::Object(schema))
    })
}

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

impl Source {
    /// Where it stands, as settings say it.
    fn origin(&self) -> Value {
        json!({"file": self.file, "line": self.line})
    }
}

/// A problem of one document, or of the documents together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
/// [`Federation::compile`] runs for one cluster.
#[derive(Debug, Clone)]
pub struct Federation {
    root: Root,
    sidecars: Vec<Sidecar>,
    guardrails: Vec<Guardrail>,
    rollouts: Vec<Rollout>,
    traffic_policies: Vec<TrafficPolicy>,
    security_policies: Vec<SecurityPolicy>,
    /// What image references stand for, as far as a lock knows.
    images: BTreeMap<String, Image>,
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

    /// The same documents, with what a lock knows about each member. What the documents say themselves wins.
    #[must_use]
    pub fn with_lock(mut self, lock: &Lock) -> Self {
        for member in &mut self.root.members {
            if let Some(found) = lock.facts(&member.name) {
                member.facts = member.facts.over(found);
            }
        }
        self.images.clone_from(lock.images());
        self
    }

    /// The member clusters, in the order of the document.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.root.members.iter()
    }

    /// The sidecars that a member gets, in the order of the documents.
    fn sidecars_of(&self, member: &Member) -> Vec<&Sidecar> {
        self.sidecars.iter().filter(|sidecar| member.selected_by(&sidecar.members)).collect()
    }

    /// The guardrails that are about a member, in the order of the documents.
    fn guardrails_of(&self, member: &Member) -> Vec<&Guardrail> {
        self.guardrails.iter().filter(|guardrail| member.selected_by(&guardrail.members)).collect()
    }

    /// The guardrails, in the order of the documents.
    pub fn guardrails(&self) -> &[Guardrail] {
        &self.guardrails
    }

    /// The rollouts, in the order of the documents.
    pub fn rollouts(&self) -> &[Rollout] {
        &self.rollouts
    }

    /// The traffic policies, in the order of the documents.
    pub fn traffic_policies(&self) -> &[TrafficPolicy] {
        &self.traffic_policies
    }

    /// The security policies, in the order of the documents.
    pub fn security_policies(&self) -> &[SecurityPolicy] {
        &self.security_policies
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
    let mut rollouts: Vec<Rollout> = Vec::new();
    let mut traffic_policies: Vec<TrafficPolicy> = Vec::new();
    let mut security_policies: Vec<SecurityPolicy> = Vec::new();
    for (document, source) in sources.iter().enumerate() {
        let mut found = Problems::default();
        if let Some(header) = Header::read(&source.value, &mut found) {
            match header.kind {
                Kind::Federation => roots.extend(Root::read(document, &header, &mut found)),
                Kind::Sidecar => sidecars.extend(Sidecar::read(document, source, &header, &mut found)),
                Kind::Guardrail => guardrails.extend(Guardrail::read(document, source, &header, &mut found)),
                Kind::Rollout => rollouts.extend(Rollout::read(document, &header, &mut found)),
                Kind::TrafficPolicy => traffic_policies.extend(TrafficPolicy::read(document, &header, &mut found)),
                Kind::SecurityPolicy => security_policies.extend(SecurityPolicy::read(document, &header, &mut found)),
            }
        }
        problems
            .extend(found.into_vec().into_iter().map(|problem| SourceProblem { document: Some(document), problem }));
    }
    references::names(sources, &mut problems);
    let root = only_root(roots, sources, &mut problems);
    let members = root.as_ref().map(|root| root.members.as_slice());
    let documents = Documents {
        members,
        sidecars: &sidecars,
        guardrails: &guardrails,
        rollouts: &rollouts,
        traffic_policies: &traffic_policies,
        security_policies: &security_policies,
    };
    references::check(&documents, sources, &mut problems);
    // Which members get what is known only where every document that says so could be read.
    if problems.is_empty() {
        problems.extend(rollout::coverage::check(&rollouts, &sidecars, members.unwrap_or_default(), sources));
    }
    match root {
        Some(root) if problems.is_empty() => {
            let revision = compile::revision(sources);
            let images = BTreeMap::new();
            Ok(Federation {
                root,
                sidecars,
                guardrails,
                rollouts,
                traffic_policies,
                security_policies,
                images,
                revision,
            })
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

/// Where a document stands, for a message of another document.
fn place(sources: &[Source], document: usize) -> String {
    sources.get(document).map(|source| format!("{}:{}", source.file, source.line)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
