//! Who may ask for what: rules, and what holds where none of them fits.

use super::super::lists::{each, not_empty, unique};
use super::super::member::texts;
use super::super::traffic::{methods_schema, read_methods, read_path, read_port};
use super::identity::Identity;
use super::mtls::Mtls;
use super::token::Token;
use crate::read::{Node, Problems, clip, did_you_mean};
use crate::schema::Schema;

/// Who may do what. A request that any `deny` fits is refused; else one that any `allow` fits is let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// What holds where no rule fits.
    pub default: Action,
    /// The rules; their order means nothing.
    pub rules: Vec<Rule>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is let through.
    Allow,
    /// It is refused.
    Deny,
}

/// A rule: it fits where caller and target do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in the policy: the audit log has it.
    pub name: String,
    /// What it does.
    pub action: Action,
    /// Who asks.
    pub from: Caller,
    /// What is asked for.
    pub to: Target,
}

/// Who asks: one of the identities and one of the tokens with all of the claims, as far as each is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// By certificate.
    pub identities: Vec<Identity>,
    /// By token, by its name in the policy.
    pub tokens: Vec<String>,
    /// What the token must say.
    pub claims: Vec<Claim>,
}

/// A claim of a token that must hold one of some values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name; parts of objects stand behind dots.
    pub name: String,
    /// One of these, or a list with one of these.
    pub values: Vec<String>,
}

/// What is asked for; everything that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// One of these methods.
    pub methods: Vec<String>,
    /// One of these paths; a last part `*` stands for all below.
    pub paths: Vec<String>,
    /// One of these ports of the workload.
    pub ports: Vec<u16>,
}

const ACTIONS: [(&str, Action); 2] = [("allow", Action::Allow), ("deny", Action::Deny)];

impl Authorization {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let default = fields.optional("default").map_or(Some(Action::Deny), |node| node.choice(&ACTIONS, problems));
        let rules = each(fields.optional("rules"), problems, Rule::read);
        fields.finish(problems);
        let at = format!("{}/rules", node.pointer);
        unique(rules.iter().map(|rule| rule.name.as_str()), "rule", &at, "/name", problems);
        Some(Self { default: default?, rules })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("default", Schema::choice(&ACTIONS).says("Where no rule fits; default deny.")),
            ("rules", Schema::list_of(Rule::schema()).says("A deny that fits wins; their order means nothing.")),
        ])
    }
}

impl Rule {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let action = fields.optional("action").map_or(Some(Action::Allow), |node| node.choice(&ACTIONS, problems));
        let from =
            fields.optional("from").map_or_else(|| Some(Caller::default()), |node| Caller::read(&node, problems));
        let to = fields.optional("to").map_or_else(|| Some(Target::default()), |node| Target::read(&node, problems));
        fields.finish(problems);
        Some(Self { name: name?.to_owned(), action: action?, from: from?, to: to? })
    }

    fn schema() -> Schema {
        Schema::object([
            ("name", Schema::filled()),
            ("action", Schema::choice(&ACTIONS).says("Default allow.")),
            ("from", Caller::schema().says("Who asks; default anybody.")),
            ("to", Target::schema().says("What is asked for; default anything.")),
        ])
        .requires(&["name"])
    }
}

impl Caller {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let identities = each(not_empty(fields.optional("identities"), problems), problems, Identity::read);
        let tokens = not_empty(fields.optional("tokens"), problems);
        let tokens = tokens.map(|node| texts(&node, problems)).unwrap_or_default();
        let claims = each(not_empty(fields.optional("claims"), problems), problems, Claim::read);
        if !claims.is_empty() && tokens.is_empty() {
            problems.add(&node.pointer, "`tokens` is missing: a claim is what a token says");
        }
        fields.finish(problems);
        Some(Self { identities, tokens, claims })
    }

    fn schema() -> Schema {
        Schema::object([
            ("identities", Schema::some_of(Identity::schema()).says("SPIFFE IDs; a last part `*` stands for all.")),
            ("tokens", Schema::some_of(Schema::filled()).says("Tokens of this policy.")),
            ("claims", Schema::some_of(Claim::schema()).says("What the token must say.")),
        ])
    }

    /// An identity is known by a certificate, which has to be one that is believed.
    pub(super) fn check_identities(&self, mtls: Option<&Mtls>, at: &str, problems: &mut Problems) {
        for (index, identity) in self.identities.iter().enumerate() {
            let pointer = format!("{at}/identities/{index}");
            match mtls {
                None => problems.add_with_hint(
                    pointer,
                    "nobody can prove an identity here: this policy has no `mtls`",
                    Some("add `mtls`, or let the rule ask for a token"),
                ),
                Some(mtls)
                    if !mtls.trust_domains.is_empty() && !mtls.trust_domains.contains(&identity.trust_domain) =>
                {
                    let domain = &identity.trust_domain;
                    problems.add_with_hint(
                        pointer,
                        format!("`mtls.trustDomains` does not have `{domain}`"),
                        did_you_mean(domain, mtls.trust_domains.iter().map(String::as_str)),
                    );
                }
                Some(_) => {}
            }
        }
    }

    /// A token is one that the policy looks at.
    pub(super) fn check_tokens(&self, known: &[Token], at: &str, problems: &mut Problems) {
        let names = known.iter().map(|token| token.name.as_str());
        for (index, name) in self.tokens.iter().enumerate() {
            if !names.clone().any(|one| one == name) {
                let message = format!("this policy has no token `{}`", clip(name));
                problems.add_with_hint(format!("{at}/tokens/{index}"), message, did_you_mean(name, names.clone()));
            }
        }
    }
}

impl Claim {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let values = not_empty(fields.required("values", problems), problems);
        let values = values.map(|node| texts(&node, problems)).unwrap_or_default();
        fields.finish(problems);
        Some(Self { name: name?.to_owned(), values })
    }

    fn schema() -> Schema {
        Schema::object([
            ("name", Schema::filled()),
            ("values", Schema::some_of(Schema::filled()).says("One of these, or a list with one of these.")),
        ])
        .requires(&["name", "values"])
    }
}

impl Target {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let methods = read_methods(fields.optional("methods"), problems);
        let paths = each(not_empty(fields.optional("paths"), problems), problems, |node, problems| {
            let path = read_path(node, problems)?;
            let star = path.find('*');
            if star.is_some_and(|at| at + 1 != path.len() || !path.ends_with("/*")) {
                problems.add(&node.pointer, format!("expected `*` as last part only, found `{}`", clip(path)));
            }
            Some(path.to_owned())
        });
        let ports = each(not_empty(fields.optional("ports"), problems), problems, read_port);
        fields.finish(problems);
        Some(Self { methods, paths, ports })
    }

    fn schema() -> Schema {
        Schema::object([
            ("methods", methods_schema()),
            ("paths", Schema::some_of(Schema::pattern("^/")).says("A last part `*` stands for all below.")),
            ("ports", Schema::some_of(Schema::integer(1, u64::from(u16::MAX)))),
        ])
    }
}
