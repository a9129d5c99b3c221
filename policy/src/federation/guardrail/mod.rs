//! The document of kind Guardrail: what must hold in which members, whatever sidecars and application teams say.
//!
//! `required`, `never` and `optOut` become part of the settings, because they are judged for each pod. What can be judged
//! where documents are compiled is judged there ([`judge`]): images, security contexts, the bounds of overrides, and of
//! `overhead` what is the same for every pod. The rest of it needs workloads ([`Spending`]), `skew` all members.

mod bounds;
mod exemption;
mod floor;
mod images;
mod judge;
mod known;
mod overhead;
mod parts;
mod skew;
mod spending;

use serde_json::Value;

use super::Source;
use super::header::Header;
use super::lists::{each, not_empty, some_texts, unique};
use super::member::{Member, texts};
use crate::read::Problems;
use crate::schema::Schema;
use crate::settings::{Match, OptOut, Selector};

pub use bounds::OverrideBound;
pub use exemption::{Exemption, Rule};
pub use floor::Floor;
pub use images::Images;
pub(super) use judge::{Breach, breaches, judge};
pub(super) use known::Version;
pub(super) use overhead::judge as judge_overhead;
pub use overhead::{Amounts, Overhead};
pub(super) use skew::Apart;
pub use skew::Skew;
pub use spending::{Budgeted, Excess, Spending, Workload};

/// A guardrail.
#[derive(Debug, Clone)]
pub struct Guardrail {
    /// Its name.
    pub name: String,
    /// The file of its document.
    pub file: String,
    /// The first line of its document.
    pub line: u32,
    /// Why the rule is there, for people.
    pub reason: Option<String>,
    /// What it is evidence for, in catalogues of controls.
    pub controls: Vec<String>,
    /// Sidecars that must be there.
    pub required: Vec<String>,
    /// Sidecars that must not be there.
    pub never: Vec<String>,
    /// Who may opt out of what.
    pub opt_out: Vec<OptOut>,
    /// How far overrides may go.
    pub overrides: Vec<OverrideBound>,
    /// Which images sidecars may have.
    pub images: Option<Images>,
    /// What the containers of sidecars must say about their security.
    pub security_context: Option<Floor>,
    /// What all sidecars together may request.
    pub overhead: Option<Overhead>,
    /// How far versions may be apart across members.
    pub skew: Vec<Skew>,
    /// Who is let off, by whom and until when.
    pub exemptions: Vec<Exemption>,
    pub(super) document: usize,
    pub(super) members: Selector,
    /// As it was written: the settings' own check reads it.
    pub(super) selection: Option<Value>,
}

impl Guardrail {
    pub(super) fn read(document: usize, source: &Source, header: &Header<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = header.spec.fields(problems)?;
        let at = &header.spec.pointer;
        let members = fields.optional("members").and_then(|node| Selector::read(&node, problems)).unwrap_or_default();
        let selection = fields.optional("match");
        let required = fields.optional("required").map(|node| texts(&node, problems)).unwrap_or_default();
        let never = fields.optional("never").map(|node| texts(&node, problems)).unwrap_or_default();
        let reason = fields.optional("reason").and_then(|node| node.filled_text(problems)).map(str::to_owned);
        let controls = some_texts(fields.optional("controls"), problems);
        unique(controls.iter().map(String::as_str), "control", &format!("{at}/controls"), "", problems);
        let opt_out = each(not_empty(fields.optional("optOut"), problems), problems, OptOut::read);
        unique(
            opt_out.iter().map(|one| one.sidecar.as_str()),
            "rule for",
            &format!("{at}/optOut"),
            "/sidecar",
            problems,
        );
        let overrides = each(not_empty(fields.optional("overrides"), problems), problems, OverrideBound::read);
        let images = fields.optional("images").and_then(|node| Images::read(&node, problems));
        let security_context = fields.optional("securityContext").and_then(|node| Floor::read(&node, problems));
        let overhead = fields.optional("overhead").and_then(|node| Overhead::read(&node, problems));
        let skew = each(not_empty(fields.optional("skew"), problems), problems, Skew::read);
        unique(skew.iter().map(|one| one.sidecar.as_str()), "window for", &format!("{at}/skew"), "/sidecar", problems);
        let exemptions = each(fields.optional("exemptions"), problems, Exemption::read);
        fields.finish(problems);
        let guardrail = Self {
            name: header.name.to_owned(),
            file: source.file.clone(),
            line: source.line,
            reason,
            controls,
            required,
            never,
            opt_out,
            overrides,
            images,
            security_context,
            overhead,
            skew,
            exemptions,
            document,
            members,
            selection: selection.as_ref().map(|node| node.value.clone()),
        };
        if problems.is_empty() && guardrail.rules().next().is_none() {
            let rules = Rule::ALL.map(|(name, _)| format!("`{name}`")).join(", ");
            problems.add(at, format!("expected a rule: one of {rules}"));
        }
        // What goes into the settings is read there.
        if !guardrail.has_parts() {
            Match::read(selection, problems);
        }
        guardrail.check_exemptions(at, problems);
        Some(guardrail)
    }

    /// The rules that it has.
    pub fn rules(&self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().map(|(_, rule)| rule).filter(|rule| match rule {
            Rule::Required => !self.required.is_empty(),
            Rule::Never => !self.never.is_empty(),
            Rule::OptOut => !self.opt_out.is_empty(),
            Rule::Overrides => !self.overrides.is_empty(),
            Rule::Images => self.images.is_some(),
            Rule::SecurityContext => self.security_context.is_some(),
            Rule::Overhead => self.overhead.is_some(),
            Rule::Skew => !self.skew.is_empty(),
        })
    }

    /// The sidecars that it names, each with its place in the document.
    pub(super) fn sidecars(&self) -> impl Iterator<Item = (String, &str)> {
        let list = |key: &str, names: &[String]| {
            names.iter().enumerate().map(|(index, _)| format!("/spec/{key}/{index}")).collect::<Vec<_>>()
        };
        let places = list("required", &self.required).into_iter().chain(list("never", &self.never));
        let plain = places.zip(self.required.iter().chain(&self.never).map(String::as_str));
        let opt_out = self.opt_out.iter().enumerate();
        let opt_out = opt_out.map(|(index, one)| (format!("/spec/optOut/{index}/sidecar"), one.sidecar.as_str()));
        let overrides = self.overrides.iter().enumerate();
        let overrides =
            overrides.map(|(index, one)| (format!("/spec/overrides/{index}/sidecar"), one.sidecar.as_str()));
        let skew = self.skew.iter().enumerate();
        let skew = skew.map(|(index, one)| (format!("/spec/skew/{index}/sidecar"), one.sidecar.as_str()));
        let exempt = self.exemptions.iter().enumerate().flat_map(|(index, exemption)| {
            let names = exemption.sidecars.iter().enumerate();
            names.map(move |(name, sidecar)| (format!("/spec/exemptions/{index}/sidecars/{name}"), sidecar.as_str()))
        });
        plain.chain(opt_out).chain(overrides).chain(skew).chain(exempt)
    }

    /// Whether a sidecar, or all of them together, is let off a rule everywhere in a member.
    pub(super) fn exempts<'n>(&self, rule: Rule, sidecar: impl Into<Option<&'n str>>, member: &Member) -> bool {
        let sidecar = sidecar.into();
        self.exemptions.iter().any(|one| one.covers(rule, sidecar, member) && one.namespaces.is_empty())
    }

    /// The namespaces of a member in which a sidecar is let off a rule.
    pub(super) fn exempt_namespaces<'n>(
        &self,
        rule: Rule,
        sidecar: impl Into<Option<&'n str>>,
        member: &Member,
    ) -> Vec<&str> {
        let sidecar = sidecar.into();
        let covering = self.exemptions.iter().filter(|one| one.covers(rule, sidecar, member));
        let mut names: Vec<&str> = covering.flat_map(|one| &one.namespaces).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Reports each exemption from a rule that is not here, or that cannot be limited to namespaces.
    fn check_exemptions(&self, at: &str, problems: &mut Problems) {
        for (index, exemption) in self.exemptions.iter().enumerate() {
            for (position, rule) in exemption.rules.iter().enumerate() {
                let pointer = format!("{at}/exemptions/{index}/rules/{position}");
                if !self.rules().any(|one| one == *rule) {
                    problems.add(pointer, format!("this guardrail has no `{}`", rule.name()));
                } else if !exemption.sidecars.is_empty() && !rule.knows_sidecars() {
                    let message =
                        format!("`{}` holds for all sidecars together, so `sidecars` cannot narrow it", rule.name());
                    problems.add_with_hint(pointer, message, Some("leave `sidecars` out"));
                } else if !exemption.namespaces.is_empty() && !rule.knows_namespaces() {
                    let message =
                        format!("`{}` holds for a whole member, so `namespaces` cannot narrow it", rule.name());
                    problems.add_with_hint(pointer, message, Some("leave `namespaces` out, and name `members`"));
                }
            }
        }
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("reason", Schema::filled().says("Why the rule is there, for people.")),
            ("controls", Schema::some_of(Schema::filled()).says("What it is evidence for: ids of controls.")),
            ("members", Selector::schema().says("Which clusters; default all.")),
            (
                "match",
                Match::schema().says("Which pods `required`, `never`, `optOut` and `overhead` are about; default all."),
            ),
            ("required", Schema::list_of(Schema::filled()).says("Sidecars that must be there.")),
            ("never", Schema::list_of(Schema::filled()).says("Sidecars that must not be there.")),
            ("optOut", Schema::some_of(OptOut::schema()).says("Who may opt out of what.")),
            ("overrides", Schema::some_of(OverrideBound::schema()).says("How far overrides may go.")),
            ("images", Images::schema().says("Which images sidecars may have.")),
            ("securityContext", Floor::schema().says("What containers of sidecars must say about their security.")),
            ("overhead", Overhead::schema().says("What all sidecars together may request.")),
            ("skew", Schema::some_of(Skew::schema()).says("How far versions may be apart across members.")),
            ("exemptions", Schema::list_of(Exemption::schema()).says("Who is let off, and until when.")),
        ])
    }
}
