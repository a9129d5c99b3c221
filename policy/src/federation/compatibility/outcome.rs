//! What a rule says about one sidecar in one cluster, before the same words about several namespaces are put together.

use serde_json::{Map, Value, json};

/// What a rule found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It works as the documents say.
    Compatible,
    /// It works because something was changed for this cluster; the sentence says what.
    Adapted,
    /// It does not work; the fix says what would make it.
    Incompatible,
    /// The facts do not say. Never to be taken for compatible.
    Unknown,
}

impl Verdict {
    /// Every one, with its stable word and what it means.
    pub const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Compatible, "compatible", "it works as the documents say"),
        (Self::Adapted, "adapted", "it works because something was changed for this cluster; the sentence says what"),
        (Self::Incompatible, "incompatible", "it does not work; the fix says what would make it work"),
        (Self::Unknown, "unknown", "the facts do not say; it is never taken for compatible"),
    ];

    /// The stable word.
    pub fn code(self) -> &'static str {
        Self::ALL.iter().find(|(verdict, ..)| *verdict == self).map_or("", |(_, code, _)| *code)
    }
}

/// A verdict on one sidecar in one member's cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The member's name.
    pub member: String,
    /// The sidecar's name.
    pub sidecar: String,
    /// The code of the rule.
    pub rule: &'static str,
    /// What it found.
    pub verdict: Verdict,
    /// Why, with the numbers and names that decided.
    pub sentence: String,
    /// What would make it work, or known.
    pub fix: Option<String>,
    /// Where Kubernetes says so.
    pub evidence: &'static str,
    /// Objects that the cluster gets beside the policy, so that it works.
    pub companions: Vec<Value>,
}

impl Finding {
    /// The finding as JSON, for reports.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "member": self.member,
            "sidecar": self.sidecar,
            "rule": self.rule,
            "verdict": self.verdict.code(),
            "sentence": self.sentence,
            "evidence": self.evidence,
        });
        let mut more = Map::new();
        more.extend(self.fix.as_ref().map(|fix| ("fix".to_owned(), Value::from(fix.as_str()))));
        if !self.companions.is_empty() {
            more.insert("companions".to_owned(), Value::from(self.companions.clone()));
        }
        if let Value::Object(value) = &mut value {
            value.extend(more);
        }
        value
    }
}

/// One thing that a rule has to say, in one namespace or in all.
#[derive(Debug)]
struct Outcome {
    verdict: Verdict,
    namespace: Option<String>,
    sentence: String,
    fix: Option<String>,
    companion: Option<Value>,
}

/// Everything that a rule has to say about a sidecar. A sidecar that a rule has nothing to say about is not judged by it.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    all: Vec<Outcome>,
    namespace: Option<String>,
}

impl Outcomes {
    /// What is said from now on is about one namespace.
    pub(super) fn enter(&mut self, namespace: &str) {
        self.namespace = Some(namespace.to_owned());
    }

    pub(super) fn compatible(&mut self, sentence: impl Into<String>) {
        self.add(Verdict::Compatible, sentence, None, None);
    }

    pub(super) fn adapted(&mut self, sentence: impl Into<String>) {
        self.add(Verdict::Adapted, sentence, None, None);
    }

    pub(super) fn adapted_with(&mut self, sentence: impl Into<String>, companion: Value) {
        self.add(Verdict::Adapted, sentence, None, Some(companion));
    }

    pub(super) fn incompatible(&mut self, sentence: impl Into<String>, fix: impl Into<String>) {
        self.add(Verdict::Incompatible, sentence, Some(fix.into()), None);
    }

    pub(super) fn unknown(&mut self, sentence: impl Into<String>, fix: impl Into<String>) {
        self.add(Verdict::Unknown, sentence, Some(fix.into()), None);
    }

    /// How much there is to say.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn all_compatible(&self) -> bool {
        self.all.iter().all(|outcome| outcome.verdict == Verdict::Compatible)
    }

    fn add(&mut self, verdict: Verdict, sentence: impl Into<String>, fix: Option<String>, companion: Option<Value>) {
        let namespace = self.namespace.clone();
        self.all.push(Outcome { verdict, namespace, sentence: sentence.into(), fix, companion });
    }

    /// One finding for all namespaces of which the same is to be said. That something works is said only where nothing
    /// else is to be said.
    pub(super) fn into_findings(self, member: &str, sidecar: &str, rule: &super::Rule) -> Vec<Finding> {
        let anything_else = self.all.iter().any(|outcome| outcome.verdict != Verdict::Compatible);
        let mut findings: Vec<(Finding, Vec<String>)> = Vec::new();
        for outcome in self.all {
            if anything_else && outcome.verdict == Verdict::Compatible {
                continue;
            }
            let same = |(finding, _): &&mut (Finding, Vec<String>)| {
                finding.verdict == outcome.verdict && finding.sentence == outcome.sentence && finding.fix == outcome.fix
            };
            if let Some((finding, namespaces)) = findings.iter_mut().find(same) {
                namespaces.extend(outcome.namespace.filter(|name| !namespaces.contains(name)));
                finding.companions.extend(outcome.companion);
                continue;
            }
            let finding = Finding {
                member: member.to_owned(),
                sidecar: sidecar.to_owned(),
                rule: rule.code,
                verdict: outcome.verdict,
                sentence: outcome.sentence,
                fix: outcome.fix,
                evidence: rule.evidence,
                companions: outcome.companion.into_iter().collect(),
            };
            findings.push((finding, outcome.namespace.into_iter().collect()));
        }
        let said = |(mut finding, namespaces): (Finding, Vec<String>)| {
            if !namespaces.is_empty() {
                finding.sentence = format!("{} ({})", finding.sentence, named(&namespaces));
            }
            finding
        };
        findings.into_iter().map(said).collect()
    }
}

/// Namespaces for a sentence: the first few by name, then how many more.
fn named(namespaces: &[String]) -> String {
    const NAMED: usize = 5;
    let word = if namespaces.len() == 1 { "namespace" } else { "namespaces" };
    let first: Vec<&str> = namespaces.iter().take(NAMED).map(String::as_str).collect();
    match namespaces.len().saturating_sub(NAMED) {
        0 => format!("{word} {}", first.join(", ")),
        more => format!("{word} {} and {more} more", first.join(", ")),
    }
}
