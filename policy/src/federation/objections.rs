//! What keeps a sidecar from working in a member, as a problem of its document.

use super::compatibility::{Finding, Verdict};
use super::{Federation, SourceProblem};

/// How many members a message names.
const NAMED: usize = 3;

impl Federation {
    /// A problem for each incompatible finding, at the place in the Sidecar that the rule is about. What is the same in
    /// several members is one problem.
    pub fn objections<'f>(&self, findings: impl IntoIterator<Item = &'f Finding>) -> Vec<SourceProblem> {
        let mut groups: Vec<(&Finding, Vec<&str>)> = Vec::new();
        for finding in findings.into_iter().filter(|finding| finding.verdict == Verdict::Incompatible) {
            let same = |(first, _): &&mut (&Finding, Vec<&str>)| {
                (first.rule, &first.sidecar, &first.sentence, &first.fix)
                    == (finding.rule, &finding.sidecar, &finding.sentence, &finding.fix)
            };
            match groups.iter_mut().find(same) {
                Some((_, members)) => members.push(&finding.member),
                None => groups.push((finding, vec![&finding.member])),
            }
        }
        groups.into_iter().map(|(finding, members)| self.objection(finding, &members)).collect()
    }

    fn objection(&self, finding: &Finding, members: &[&str]) -> SourceProblem {
        let document = self.sidecars.iter().find(|sidecar| sidecar.name == finding.sidecar);
        let document = document.map_or(self.root.document, |sidecar| sidecar.document);
        let message = format!("does not work in {} ({}): {}", named(members), finding.rule, finding.sentence);
        SourceProblem::at(document, place(finding.rule), message, finding.fix.clone())
    }
}

/// What a rule is about in a Sidecar.
fn place(rule: &str) -> &'static str {
    match rule {
        "architectures" => "/spec/requires/architectures",
        "network-egress" => "/spec/requires/egress",
        _ => "/spec/inject",
    }
}

fn named(members: &[&str]) -> String {
    let names: Vec<String> = members.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    let word = if members.len() == 1 { "member" } else { "members" };
    match members.len().saturating_sub(NAMED) {
        0 => format!("{word} {}", names.join(", ")),
        more => format!("{word} {} and {more} more", names.join(", ")),
    }
}
