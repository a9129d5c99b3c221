//! The compliance report: which rule of which guardrail is kept in which member, with its evidence.
//!
//! | concept | file |
//! |---|---|
//! | the report with everything that only a file or an artifact knows | here |
//! | for people, and for a pull request | `text` |
//! | for code scanners | `sarif` |
//! | for what reads policy reports in a cluster | `policy_report` |
//!
//! What is kept is decided in `fedcar_policy::federation::compliance`. The same documents, lock and day give the same bytes.

mod policy_report;
mod sarif;
mod text;

use std::collections::BTreeMap;

use fedcar_policy::federation::compliance::{Row, Verdict, Waiver};
use fedcar_policy::federation::guardrail::Rule;
use fedcar_policy::federation::{Date, Lock};
use serde::Serialize;

use crate::documents::Loaded;
use crate::manifests::proofs;
use crate::problem::Diagnostic;

pub(crate) use policy_report::{Group, policy_reports};
pub(crate) use sarif::sarif;
pub(crate) use text::{markdown, text};

/// Everything that is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    federation: String,
    revision: String,
    day: String,
    /// The hash of the lock, where there is one.
    lock: Option<String>,
    members: Vec<MemberFacts>,
    /// How many rows have each verdict.
    summary: BTreeMap<&'static str, usize>,
    rows: Vec<Line>,
    ending: Vec<EndingLine>,
}

/// How old what is known of a member is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberFacts {
    name: String,
    /// When the facts of the lock were taken.
    facts_taken: Option<String>,
    facts_age_days: Option<i64>,
}

/// One rule in one member.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    member: String,
    guardrail: String,
    reason: Option<String>,
    rule: &'static str,
    sidecar: Option<String>,
    controls: Vec<String>,
    verdict: &'static str,
    message: String,
    exemption: Option<Exempted>,
    evidence: Shown,
    #[serde(skip)]
    at: Position,
}

#[derive(Debug, Serialize)]
struct Exempted {
    owner: String,
    reason: String,
    expires: String,
    namespaces: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    /// `file:line` of the rule.
    place: String,
    /// The pointer into the member's settings.
    settings: Option<String>,
    /// The `ValidatingAdmissionPolicy` by which the API server itself holds to it.
    admission_policy: Option<String>,
    images: Vec<ShownImage>,
}

#[derive(Debug, Serialize)]
struct ShownImage {
    reference: String,
    digest: Option<String>,
}

/// An exemption that ends soon.
#[derive(Debug, Serialize)]
struct EndingLine {
    guardrail: String,
    owner: String,
    expires: String,
    days: i64,
    place: String,
}

/// A place in a file as the user can open it.
#[derive(Debug, Default)]
struct Position {
    path: String,
    line: u32,
    column: u32,
}

impl Report {
    /// The report on documents.
    ///
    /// # Errors
    ///
    /// What is wrong with the documents besides their guardrails.
    pub(crate) fn of(loaded: &Loaded) -> Result<Self, Vec<Diagnostic>> {
        let found = loaded.compliance()?;
        let federation = loaded.federation();
        // A member that breaks a rule is not compiled, so nothing proves anything there.
        let proven: BTreeMap<&str, BTreeMap<String, String>> = federation
            .members()
            .filter_map(|member| {
                let (settings, _) = loaded.settings(&member.name).ok()?;
                Some((member.name.as_str(), proofs(&settings, member.facts.kubernetes)))
            })
            .collect();
        let lines: Vec<Line> = found
            .rows
            .into_iter()
            .map(|row| {
                let proof = (row.rule == Rule::Required).then(|| proven.get(row.member.as_str())).flatten();
                let proof = proof.and_then(|proofs| proofs.get(row.sidecar.as_deref()?)).cloned();
                line(loaded, row, proof)
            })
            .collect();
        let mut summary: BTreeMap<&'static str, usize> = Verdict::CODES.into_iter().map(|code| (code, 0)).collect();
        for line in &lines {
            *summary.entry(line.verdict).or_default() += 1;
        }
        let ending = found.ending.into_iter().map(|one| EndingLine {
            guardrail: one.guardrail,
            owner: one.owner,
            expires: one.expires.to_string(),
            days: one.days,
            place: place(loaded, &one.place).0,
        });
        Ok(Self {
            federation: federation.name().to_owned(),
            revision: federation.revision().to_owned(),
            day: loaded.today().to_string(),
            lock: (*loaded.lock() != Lock::default()).then(|| loaded.lock().hash()),
            members: federation.members().map(|member| facts(loaded, &member.name)).collect(),
            summary,
            rows: lines,
            ending: ending.collect(),
        })
    }

    /// Whether a rule is broken.
    pub(crate) fn is_broken(&self) -> bool {
        self.count("broken") > 0
    }

    /// What ends soon, in sentences.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.ending.iter().map(|one| {
            let EndingLine { guardrail, owner, expires, days, place } = one;
            format!("an exemption from Guardrail `{guardrail}` ends with {expires}, in {days} days: {owner} answers for it ({place})")
        })
    }

    /// The members, in the order of the documents.
    pub(crate) fn member_names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.name.as_str())
    }

    fn count(&self, verdict: &str) -> usize {
        self.summary.get(verdict).copied().unwrap_or_default()
    }
}

fn facts(loaded: &Loaded, member: &str) -> MemberFacts {
    let taken = loaded.lock().facts(member).and_then(|facts| facts.taken.clone());
    let day = taken.as_ref().and_then(|taken| taken.get(..10)?.parse::<Date>().ok());
    let facts_age_days = day.map(|day| loaded.today().days_since(day));
    MemberFacts { name: member.to_owned(), facts_taken: taken, facts_age_days }
}

fn line(loaded: &Loaded, row: Row, admission_policy: Option<String>) -> Line {
    let (place, at) = place(loaded, &row.evidence.place);
    let message = row.verdict.sentence();
    let verdict = row.verdict.code();
    let exemption = match row.verdict {
        Verdict::Exempted(Waiver { owner, reason, expires, namespaces }) => {
            Some(Exempted { owner, reason, expires: expires.to_string(), namespaces })
        }
        _ => None,
    };
    let images = row.evidence.images.into_iter();
    let images = images.map(|image| ShownImage { reference: image.reference, digest: image.digest }).collect();
    Line {
        member: row.member,
        guardrail: row.guardrail,
        reason: row.reason,
        rule: row.rule.name(),
        sidecar: row.sidecar,
        controls: row.controls,
        verdict,
        message,
        exemption,
        evidence: Shown { place, settings: row.evidence.settings, admission_policy, images },
        at,
    }
}

/// `file:line` as the documents call it, and the position as the user can open it.
fn place(loaded: &Loaded, (document, pointer): &(usize, String)) -> (String, Position) {
    let Some((name, path, (line, column))) = loaded.position(*document, pointer) else { return Default::default() };
    (format!("{name}:{line}"), Position { path: path.to_owned(), line, column })
}
