//! Which rule of which guardrail is kept in which member, and what shows it.
//!
//! Everything here is a function of the documents, the lock and the day. Invariants: every rule of every guardrail has at
//! least one row for every member; a rule of which something is left to be judged is [`Verdict::Open`], never kept.

mod evidence;
mod judge;

use super::date::Date;
use super::guardrail::Rule;

/// How many days before its end an exemption is told.
pub const SOON_DAYS: i64 = 30;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compliance {
    /// In the order of the members, the guardrails, and the rules in each.
    pub rows: Vec<Row>,
    /// Exemptions that end soon, in the order of the guardrails.
    pub ending: Vec<Ending>,
}

/// A rule for one sidecar, or for all of them together, in one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The member.
    pub member: String,
    /// The guardrail.
    pub guardrail: String,
    /// Why the guardrail is there.
    pub reason: Option<String>,
    /// The rule.
    pub rule: Rule,
    /// The sidecar, where the rule is about one.
    pub sidecar: Option<String>,
    /// The ids of controls that it is evidence for.
    pub controls: Vec<String>,
    /// What was found.
    pub verdict: Verdict,
    /// What shows it.
    pub evidence: Evidence,
}

/// What was found of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds; the sentence says by what.
    Kept(&'static str),
    /// Somebody is let off.
    Exempted(Waiver),
    /// There is nothing that it could be about; the sentence says why.
    NotApplicable(&'static str),
    /// It does not hold, for these reasons.
    Broken(Vec<String>),
    /// It cannot be told from documents alone; the sentence says by what it can.
    Open(&'static str),
}

/// Who is let off, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: Date,
    /// The namespaces in which it counts; empty stands for all. In the others the rule is kept.
    pub namespaces: Vec<String>,
}

/// What shows that a rule is kept, or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The document that says the rule, and the pointer in it.
    pub place: (usize, String),
    /// The pointer into the member's settings to what holds to it, or what was judged.
    pub settings: Option<String>,
    /// The images that were judged.
    pub images: Vec<FoundImage>,
}

/// An image of a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImage {
    /// As the documents say it.
    pub reference: String,
    /// Its digest, by the reference itself or by the lock.
    pub digest: Option<String>,
}

/// An exemption that ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The guardrail.
    pub guardrail: String,
    /// The document of it, and the pointer in it.
    pub place: (usize, String),
    /// Who answers for it.
    pub owner: String,
    /// Its last day.
    pub expires: Date,
    /// How many days are left after today.
    pub days: i64,
}

impl Verdict {
    /// The stable words, in the order in which they are counted.
    pub const CODES: [&'static str; 5] = ["broken", "open", "exempted", "kept", "not-applicable"];

    /// The stable word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Kept(_) => "kept",
            Self::Exempted(_) => "exempted",
            Self::NotApplicable(_) => "not-applicable",
            Self::Broken(_) => "broken",
            Self::Open(_) => "open",
        }
    }

    /// Why, for people.
    pub fn sentence(&self) -> String {
        match self {
            Self::Kept(why) | Self::NotApplicable(why) | Self::Open(why) => (*why).to_owned(),
            Self::Broken(reasons) => reasons.join("; "),
            Self::Exempted(waiver) => {
                let Waiver { owner, reason, expires, namespaces } = waiver;
                let place = match namespaces.as_slice() {
                    [] => String::new(),
                    names => format!(" in {}", names.join(", ")),
                };
                format!("{owner} answers for it{place} until {expires}: {reason}")
            }
        }
    }
}
