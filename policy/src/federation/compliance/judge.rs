//! A verdict for each rule in each member.

use serde_json::Value;

use super::super::compatibility::{align, intents};
use super::super::compile::{unmet_guardrail, unmet_requirement};
use super::super::guardrail::{Apart, Breach, Guardrail, Rule, breaches, judge_overhead};
use super::super::sidecar::Sidecar;
use super::super::{Date, Federation, Lock, Member, SourceProblem};
use super::{Compliance, Ending, Row, SOON_DAYS, Verdict, Waiver, evidence};

/// What is known of a member before its guardrails are judged.
pub(super) struct Subject<'f> {
    pub(super) member: &'f Member,
    pub(super) sidecars: Vec<&'f Sidecar>,
    guardrails: Vec<&'f Guardrail>,
    pub(super) settings: Value,
}

impl Subject<'_> {
    pub(super) fn sidecar(&self, name: &str) -> Option<&Sidecar> {
        self.sidecars.iter().find(|sidecar| sidecar.name == name).copied()
    }
}

/// A rule, the sidecar that it is about, and its place in the document.
struct Part<'g> {
    rule: Rule,
    sidecar: Option<&'g str>,
    pointer: String,
}

impl Federation {
    /// What is kept of every rule in every member. `lock` knows the digests of images, `today` which exemptions count.
    ///
    /// # Errors
    ///
    /// What is wrong with the documents besides their guardrails, so that a member has no settings.
    pub fn compliance(&self, lock: &Lock, today: Date) -> Result<Compliance, Vec<SourceProblem>> {
        let mut problems = Vec::new();
        let mut subjects = Vec::new();
        for member in self.members() {
            match self.subject(member) {
                Ok(subject) => subjects.push(subject),
                Err(found) => {
                    let new: Vec<SourceProblem> = found.into_iter().filter(|one| !problems.contains(one)).collect();
                    problems.extend(new);
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let rows = align(subjects.iter().map(|subject| (subject.member.name.as_str(), intents(&subject.settings))));
        let apart: Vec<Apart<'_>> = self.apart(&rows).collect();
        let rows = subjects.iter().flat_map(|subject| {
            let broken = breaches(&subject.guardrails, &subject.sidecars, subject.member, &subject.settings);
            let found = Found { subject, broken, apart: &apart, today };
            self.guardrails.iter().flat_map(|guardrail| found.rows(guardrail, lock)).collect::<Vec<_>>()
        });
        Ok(Compliance {
            rows: rows.collect(),
            ending: self.guardrails.iter().flat_map(|one| ending(one, today)).collect(),
        })
    }

    fn subject<'f>(&'f self, member: &'f Member) -> Result<Subject<'f>, Vec<SourceProblem>> {
        let (sidecars, guardrails) = (self.sidecars_of(member), self.guardrails_of(member));
        let unmet: Vec<SourceProblem> =
            sidecars.iter().filter_map(|sidecar| unmet_requirement(sidecar, member)).collect();
        if !unmet.is_empty() {
            return Err(unmet);
        }
        let settings = self.settings_for(member, &sidecars, &guardrails)?.settings;
        Ok(Subject { member, sidecars, guardrails, settings })
    }
}

/// What is wrong with a member.
struct Found<'f> {
    subject: &'f Subject<'f>,
    broken: Vec<Breach<'f>>,
    apart: &'f [Apart<'f>],
    today: Date,
}

impl Found<'_> {
    fn rows(&self, guardrail: &Guardrail, lock: &Lock) -> Vec<Row> {
        let selected = self.subject.member.selected_by(&guardrail.members);
        let parts = if selected { self.parts(guardrail) } else { whole(guardrail) };
        let row = |part: Part<'_>| Row {
            member: self.subject.member.name.clone(),
            guardrail: guardrail.name.clone(),
            reason: guardrail.reason.clone(),
            rule: part.rule,
            sidecar: part.sidecar.map(str::to_owned),
            controls: guardrail.controls.clone(),
            verdict: if selected {
                self.verdict(guardrail, &part)
            } else {
                Verdict::NotApplicable("the guardrail is not about this member")
            },
            evidence: evidence::of(
                guardrail,
                part.rule,
                part.sidecar,
                part.pointer,
                selected.then_some(self.subject),
                lock,
            ),
        };
        parts.into_iter().map(row).collect()
    }

    /// Every rule for every sidecar that it is about in the member.
    fn parts<'g>(&'g self, guardrail: &'g Guardrail) -> Vec<Part<'g>> {
        let mut parts = Vec::new();
        for rule in guardrail.rules() {
            let key = rule.name();
            let listed: Vec<&str> = match rule {
                Rule::Required => guardrail.required.iter().map(String::as_str).collect(),
                Rule::Never => guardrail.never.iter().map(String::as_str).collect(),
                Rule::OptOut => guardrail.opt_out.iter().map(|one| one.sidecar.as_str()).collect(),
                Rule::Overrides => guardrail.overrides.iter().map(|one| one.sidecar.as_str()).collect(),
                Rule::Skew => guardrail.skew.iter().map(|one| one.sidecar.as_str()).collect(),
                Rule::Images | Rule::SecurityContext => {
                    let each = self.subject.sidecars.iter().map(|sidecar| Some(sidecar.name.as_str()));
                    parts.extend(each.map(|sidecar| Part { rule, sidecar, pointer: format!("/spec/{key}") }));
                    Vec::new()
                }
                Rule::Overhead => {
                    parts.push(Part { rule, sidecar: None, pointer: format!("/spec/{key}") });
                    Vec::new()
                }
            };
            for (index, name) in listed.into_iter().enumerate() {
                // Several bounds of one sidecar are judged together.
                if !parts.iter().any(|part| part.rule == rule && part.sidecar == Some(name)) {
                    parts.push(Part { rule, sidecar: Some(name), pointer: format!("/spec/{key}/{index}") });
                }
            }
        }
        parts
    }

    fn verdict(&self, guardrail: &Guardrail, part: &Part<'_>) -> Verdict {
        let Subject { member, sidecars, settings, .. } = self.subject;
        let covering = || guardrail.exemptions.iter().filter(|one| one.covers(part.rule, part.sidecar, member));
        let expired = covering().filter(|one| one.expires < self.today);
        let mut reasons: Vec<String> =
            expired.map(|one| format!("the exemption by {} ended with {}", one.owner, one.expires)).collect();
        let of_it = |found: &Guardrail, rule, sidecar: Option<&str>| {
            found.name == guardrail.name && rule == part.rule && sidecar == part.sidecar
        };
        let broken = self.broken.iter().filter(|one| of_it(one.guardrail, one.rule, one.sidecar));
        reasons.extend(broken.map(|breach| breach.problem.problem.message.clone()));
        let apart = self.apart.iter().filter(|one| of_it(one.guardrail, Rule::Skew, Some(one.sidecar)));
        reasons.extend(
            apart.filter(|one| one.members.contains(&member.name)).map(|one| one.problem.problem.message.clone()),
        );
        if part.rule == Rule::Required {
            let unmet = unmet_guardrail(guardrail, sidecars, member).into_iter().map(|one| one.problem);
            reasons.extend(unmet.filter(|one| one.pointer == part.pointer).map(|one| one.message));
        }
        if !reasons.is_empty() {
            return Verdict::Broken(reasons);
        }
        // One for all namespaces says more than one for some.
        if let Some(exemption) = covering().min_by_key(|one| !one.namespaces.is_empty()) {
            return Verdict::Exempted(Waiver {
                owner: exemption.owner.clone(),
                reason: exemption.reason.clone(),
                expires: exemption.expires,
                namespaces: exemption.namespaces.clone(),
            });
        }
        let there = part.sidecar.is_none_or(|name| self.subject.sidecar(name).is_some());
        match part.rule {
            Rule::Never if !there => Verdict::Kept("the member does not get the sidecar"),
            _ if !there => Verdict::NotApplicable("the member does not get the sidecar"),
            Rule::Required | Rule::Never | Rule::OptOut => Verdict::Kept("the module holds to it for each pod"),
            Rule::Overhead if judge_overhead(guardrail, sidecars, member, settings).is_open => {
                Verdict::Open("hangs on the workloads: `fedcar preview` judges it")
            }
            _ => Verdict::Kept("judged where documents are compiled"),
        }
    }
}

/// The rules of a guardrail that is not about a member.
fn whole(guardrail: &Guardrail) -> Vec<Part<'_>> {
    let part = |rule: Rule| Part { rule, sidecar: None, pointer: format!("/spec/{}", rule.name()) };
    guardrail.rules().map(part).collect()
}

/// The exemptions that end soon.
fn ending(guardrail: &Guardrail, today: Date) -> impl Iterator<Item = Ending> {
    guardrail.exemptions.iter().enumerate().filter_map(move |(index, exemption)| {
        let days = exemption.expires.days_since(today);
        (0..=SOON_DAYS).contains(&days).then(|| Ending {
            guardrail: guardrail.name.clone(),
            place: (guardrail.document, format!("/spec/exemptions/{index}")),
            owner: exemption.owner.clone(),
            expires: exemption.expires,
            days,
        })
    })
}
