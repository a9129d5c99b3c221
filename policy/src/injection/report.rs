//! What people and machines are told about a decision (promise P6).

use serde::Serialize;
use serde_json::{Map, Value};

use super::reason::{Outcome, Reason};
use super::workload::Workload;
use crate::settings::Origin;

/// The whole story of one object.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The object's kind.
    pub kind: String,
    /// Its name, or the prefix of it.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The top owner.
    pub workload: Owner,
    /// What became of each sidecar, in the order of the settings.
    pub sidecars: Vec<SidecarReport>,
}

/// The top owner, as it is told.
#[derive(Debug, Serialize)]
pub struct Owner {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

impl From<&Workload> for Owner {
    fn from(workload: &Workload) -> Self {
        Self { kind: workload.kind.clone(), name: workload.name.clone() }
    }
}

/// What became of one sidecar.
#[derive(Debug, Clone, Serialize)]
pub struct SidecarReport {
    /// Its name.
    pub name: String,
    /// The version that this workload gets; absent where it was not chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `injected`, `skipped` or `denied`.
    pub result: &'static str,
    /// The stable reason.
    pub code: &'static str,
    /// The reason in words.
    pub sentence: &'static str,
    /// Where the document stands that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Place>,
    /// Conflicts, faults, and what of the user's was left standing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// Where a document stands.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// Path as people know it.
    pub file: String,
    /// First line of the document, from 1.
    pub line: u64,
}

impl From<&Origin> for Place {
    fn from(origin: &Origin) -> Self {
        Self { file: origin.file.clone(), line: origin.line }
    }
}

impl SidecarReport {
    pub(super) fn new(name: &str, outcome: Outcome, reason: Reason, origin: Option<&Origin>) -> Self {
        Self {
            name: name.to_owned(),
            version: None,
            result: outcome.code(),
            code: reason.code(),
            sentence: reason.sentence(),
            origin: origin.map(Into::into),
            details: Vec::new(),
        }
    }

    /// The same sidecar, of which something else became.
    pub(super) fn became(self, outcome: Outcome, reason: Reason, details: Vec<String>) -> Self {
        Self { result: outcome.code(), code: reason.code(), sentence: reason.sentence(), details, ..self }
    }

    fn is(&self, outcome: Outcome) -> bool {
        self.result == outcome.code()
    }
}

impl Report {
    /// The sidecars with one outcome.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &SidecarReport> {
        self.sidecars.iter().filter(move |sidecar| sidecar.is(outcome))
    }

    /// Audit annotations: the sidecars of each outcome, with version or reason.
    pub(crate) fn audit_annotations(&self, revision: &str) -> Map<String, Value> {
        let mut annotations = Map::new();
        if !revision.is_empty() {
            annotations.insert("revision".to_owned(), Value::from(revision));
        }
        for outcome in [Outcome::Injected, Outcome::Skipped, Outcome::Denied] {
            let told: Vec<String> = self
                .with(outcome)
                .map(|sidecar| match (&sidecar.version, outcome) {
                    (Some(version), Outcome::Injected) => format!("{}={version}", sidecar.name),
                    _ => format!("{}={}", sidecar.name, sidecar.code),
                })
                .collect();
            if !told.is_empty() {
                annotations.insert(outcome.code().to_owned(), Value::from(told.join(",")));
            }
        }
        annotations
    }

    /// Why the object is denied, every party named.
    pub(super) fn denial(&self) -> Option<String> {
        let reasons: Vec<String> = self
            .with(Outcome::Denied)
            .map(|sidecar| {
                let details = if sidecar.details.is_empty() {
                    String::new()
                } else {
                    format!(": {}", sidecar.details.join("; "))
                };
                format!("sidecar `{}`: {}{details}", sidecar.name, sidecar.sentence)
            })
            .collect();
        (!reasons.is_empty()).then(|| format!("denied by fedcar: {}", reasons.join("; ")))
    }
}
