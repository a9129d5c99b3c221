//! Does a sidecar work in a member's cluster? Rules as data, and a verdict for each member and sidecar.
//!
//! Everything here is a function of the compiled settings and of [`Facts`]: no cluster is asked, and no clock. Invariant:
//! what the facts do not say is [`Verdict::Unknown`], never compatible. `docs/compatibility.md` is written from [`RULES`].

mod alignment;
pub(super) mod arithmetic;
mod candidate;
mod connections;
mod engine;
mod flow;
mod images;
mod network;
mod nodes;
mod outcome;
mod pod_security;
mod ports;
mod resources;
mod rules;
mod versions;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::alignment::{Alignment, Intent, VersionPart, Window, align, intents};
use self::candidate::Candidate;
pub use self::images::images;
use self::outcome::Outcomes;
pub use self::outcome::{Finding, Verdict};
use self::rules::Judge;
pub use self::rules::{RULES, Rule, rule};
use super::facts::{Facts, Image, Namespace};
use super::member::Engine;
use super::version::Requirement;
use super::{Compiled, Federation, Member};
use crate::settings::{Mode, Settings};

/// One version of a sidecar in one cluster: everything that a rule may look at.
#[derive(Debug)]
struct Case<'c> {
    member: &'c str,
    engine: Engine,
    facts: &'c Facts,
    settings: &'c Settings,
    candidate: &'c Candidate<'c>,
    /// The versions of the sidecars before it.
    before: &'c [Candidate<'c>],
    requirement: Option<&'c Requirement>,
    images: &'c BTreeMap<String, Image>,
}

impl<'c> Case<'c> {
    /// The namespaces whose pods may carry the sidecar; `None` where it is not known which there are.
    fn namespaces(&self) -> Option<impl Iterator<Item = (&'c str, &'c Namespace)>> {
        let selector = self.candidate.sidecar.matching.namespaces.as_ref();
        let settings = self.settings;
        let reached = move |(name, namespace): &(&str, &Namespace)| {
            let fits = selector.map(|one| one.fits(&namespace.known_labels(name), namespace.labels.is_some()));
            !settings.protects(name) && fits != Some(Some(false))
        };
        let all = self.facts.namespaces.as_ref()?.iter().map(|(name, namespace)| (name.as_str(), namespace));
        Some(all.filter(reached))
    }

    /// Whether a pod is denied rather than going without it.
    fn is_required(&self) -> bool {
        let sidecar = self.candidate.sidecar;
        sidecar.mode == Mode::Required
            || self.settings.guardrails.iter().any(|guardrail| guardrail.required.contains(&sidecar.name))
    }

    /// The images of which it is known what they run on, and those of which it is not.
    fn platforms(&self) -> (Vec<(&'c str, &'c [String])>, Vec<String>) {
        let mut known: Vec<(&str, &[String])> = Vec::new();
        let mut open = Vec::new();
        for container in &self.candidate.containers {
            let reference = container.value.get("image").and_then(Value::as_str).unwrap_or_default();
            match self.images.get_key_value(reference).filter(|(_, image)| !image.platforms.is_empty()) {
                Some((reference, image)) => known.push((reference, &image.platforms)),
                None => open.push(reference.to_owned()),
            }
        }
        (known, open)
    }
}

impl Federation {
    /// A verdict of every rule that has something to say about a sidecar of a member, in the order of the sidecars' names
    /// and of [`RULES`].
    ///
    /// `compiled` is what [`Federation::compile`] makes for the member.
    pub fn compatibility(&self, member: &Member, compiled: &Compiled) -> Vec<Finding> {
        let Compiled { settings, read, .. } = compiled;
        let sources = settings["sidecars"].as_array().into_iter().flatten();
        let mut findings = Vec::new();
        let mut before = Vec::new();
        for (sidecar, source) in read.sidecars.iter().zip(sources) {
            let document = self.sidecars.iter().find(|one| one.name == sidecar.name);
            let egress = document.map(|one| one.requires.egress.as_slice()).unwrap_or_default();
            let mut versions: Vec<Vec<Finding>> = Vec::new();
            let candidates = Candidate::every((read, settings), sidecar, source, egress);
            for candidate in &candidates {
                let case = Case {
                    member: &member.name,
                    engine: member.engine,
                    facts: &member.facts,
                    settings: read,
                    candidate,
                    before: &before,
                    requirement: document.and_then(|one| one.requires.kubernetes.as_ref()),
                    images: &self.images,
                };
                let mut found = judge(&case);
                if let Some(current) = versions.first() {
                    found.retain(|one| !current.contains(one));
                    for one in &mut found {
                        one.sentence =
                            format!("version {}, which is being replaced: {}", candidate.version, one.sentence);
                    }
                }
                versions.push(found);
            }
            findings.extend(versions.into_iter().flatten());
            before.extend(candidates);
        }
        let order = |code: &str| RULES.iter().position(|rule| rule.code == code);
        // The sort is stable, so that findings of one rule keep their order.
        findings.sort_by(|one, other| (&one.sidecar, order(one.rule)).cmp(&(&other.sidecar, order(other.rule))));
        findings
    }
}

/// What every rule has to say.
fn judge(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &RULES {
        let mut outcomes = Outcomes::default();
        match &rule.judge {
            Judge::By(judge) => judge(case, &mut outcomes),
            Judge::Field(field) => versions::field(case, field, &mut outcomes),
            Judge::Members => {}
        }
        findings.extend(outcomes.into_findings(case.member, case.candidate.name(), rule));
    }
    findings
}

#[cfg(test)]
mod tests;
