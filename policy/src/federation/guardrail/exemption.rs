//! An exemption: somebody answers for a rule not being kept somewhere, for a reason, until a day.

use super::super::SourceProblem;
use super::super::date::Date;
use super::super::lists::{each, some_texts};
use super::super::member::Member;
use super::Guardrail;
use crate::read::{Node, Problems};
use crate::schema::Schema;
use crate::settings::{Selector, is_dns_label};

/// Where a guardrail does not hold.
#[derive(Debug, Clone)]
pub struct Exemption {
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: Date,
    /// From which rules; empty stands for all of the guardrail.
    pub rules: Vec<Rule>,
    /// For which sidecars; empty stands for all.
    pub sidecars: Vec<String>,
    /// In which namespaces; empty stands for all.
    pub namespaces: Vec<String>,
    members: Selector,
}

/// A rule of a guardrail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `required`.
    Required,
    /// `never`.
    Never,
    /// `optOut`.
    OptOut,
    /// `overrides`.
    Overrides,
    /// `images`.
    Images,
    /// `securityContext`.
    SecurityContext,
    /// `overhead`.
    Overhead,
    /// `skew`.
    Skew,
}

impl Rule {
    pub(super) const ALL: [(&str, Self); 8] = [
        ("required", Self::Required),
        ("never", Self::Never),
        ("optOut", Self::OptOut),
        ("overrides", Self::Overrides),
        ("images", Self::Images),
        ("securityContext", Self::SecurityContext),
        ("overhead", Self::Overhead),
        ("skew", Self::Skew),
    ];

    /// The key under which it stands.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Never => "never",
            Self::OptOut => "optOut",
            Self::Overrides => "overrides",
            Self::Images => "images",
            Self::SecurityContext => "securityContext",
            Self::Overhead => "overhead",
            Self::Skew => "skew",
        }
    }

    /// Whether it is judged where a namespace is known, and not for the sidecar as such.
    pub(super) const fn knows_namespaces(self) -> bool {
        match self {
            Self::Required | Self::Never | Self::OptOut | Self::Overhead => true,
            Self::Overrides | Self::Images | Self::SecurityContext | Self::Skew => false,
        }
    }

    /// Whether it is judged for a sidecar, and not for all of them together.
    pub(super) const fn knows_sidecars(self) -> bool {
        !matches!(self, Self::Overhead)
    }
}

impl Exemption {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let owner = fields.required("owner", problems).and_then(|node| node.filled_text(problems));
        let reason = fields.required("reason", problems).and_then(|node| node.filled_text(problems));
        let expires = fields.required("expires", problems).and_then(|node| Date::read(&node, problems));
        let rules = each(fields.optional("rules"), problems, |node, problems| node.choice(&Rule::ALL, problems));
        let sidecars = some_texts(fields.optional("sidecars"), problems);
        let namespaces = some_texts(fields.optional("namespaces"), problems);
        for (index, name) in namespaces.iter().enumerate().filter(|(_, name)| !is_dns_label(name)) {
            let pointer = format!("{}/namespaces/{index}", node.pointer);
            problems.add(pointer, format!("expected the name of a namespace, found `{name}`"));
        }
        let members = fields.optional("members").map(|node| Selector::read(&node, problems));
        fields.finish(problems);
        let members = match members {
            Some(members) => members?,
            None => Selector::default(),
        };
        let (owner, reason) = (owner?.to_owned(), reason?.to_owned());
        Some(Self { owner, reason, expires: expires?, rules, sidecars, namespaces, members })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("owner", Schema::filled().says("Who answers for it.")),
            ("reason", Schema::filled()),
            ("expires", Date::schema().says("The last day on which it counts.")),
            ("rules", Schema::list_of(Schema::choice(&Rule::ALL)).says("From which rules; default all.")),
            ("sidecars", Schema::some_of(Schema::filled()).says("For which; default all.")),
            ("namespaces", Schema::some_of(Schema::label()).says("In which; default all.")),
            ("members", Selector::schema().says("In which clusters; default all.")),
        ])
        .requires(&["owner", "reason", "expires"])
    }

    /// Whether it is about a rule for a sidecar, or for all of them together, in a member.
    ///
    /// An expired one counts all the same: it is an error by itself, and one is enough.
    pub(in super::super) fn covers(&self, rule: Rule, sidecar: Option<&str>, member: &Member) -> bool {
        (self.rules.is_empty() || self.rules.contains(&rule))
            && (self.sidecars.is_empty() || self.sidecars.iter().any(|name| Some(name.as_str()) == sidecar))
            && (self.namespaces.is_empty() || rule.knows_namespaces())
            && member.selected_by(&self.members)
    }
}

/// The exemptions of a guardrail that count no more.
pub(super) fn expired(guardrail: &Guardrail, today: Date) -> impl Iterator<Item = SourceProblem> {
    let exemptions = guardrail.exemptions.iter().enumerate().filter(move |(_, one)| one.expires < today);
    exemptions.map(move |(index, exemption)| {
        let message = format!("this exemption ended with {}, and today is {today}", exemption.expires);
        let hint = format!("take it out, or let its owner {} extend it", exemption.owner);
        let pointer = format!("/spec/exemptions/{index}/expires");
        SourceProblem::at(guardrail.document, pointer, message, Some(hint))
    })
}
