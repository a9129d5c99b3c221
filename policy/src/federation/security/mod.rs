//! The document of kind `SecurityPolicy`: who may ask some workloads for what, how they prove who they are, and what is
//! written down about it.
//!
//! Nothing compiles from it yet: Envoy's configuration will. What is certain after reading: a rule asks only for what the
//! policy lets callers prove.

mod audit;
mod authorization;
mod identity;
mod mtls;
mod token;

use super::header::Header;
use super::lists::{each, not_empty, unique};
use crate::read::Problems;
use crate::schema::Schema;
use crate::settings::{Match, Selector};

pub use audit::{Audit, Logged};
pub use authorization::{Action, Authorization, Caller, Claim, Rule, Target};
pub use identity::Identity;
pub use mtls::{Certificates, Mode, Mtls};
pub use token::{Keys, Token};

/// Who may ask workloads for what.
#[derive(Debug, Clone)]
pub struct SecurityPolicy {
    /// Its name.
    pub name: String,
    /// The sidecar whose proxy carries it out.
    pub sidecar: String,
    /// The workloads that it protects, of those that have the sidecar.
    pub matching: Match,
    /// Certificates on both sides.
    pub mtls: Option<Mtls>,
    /// Tokens that are looked at.
    pub tokens: Vec<Token>,
    /// Who may do what.
    pub authorization: Option<Authorization>,
    /// What is written down.
    pub audit: Option<Audit>,
    pub(super) document: usize,
    /// The members that it is for.
    pub members: Selector,
}

impl SecurityPolicy {
    pub(super) fn read(document: usize, header: &Header<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = header.spec.fields(problems)?;
        let sidecar = fields.required("sidecar", problems).and_then(|node| node.filled_text(problems));
        let members = fields.optional("members").and_then(|node| Selector::read(&node, problems)).unwrap_or_default();
        let matching = Match::read(fields.optional("match"), problems);
        let parts = ["mtls", "tokens", "authorization", "audit"].map(|key| fields.optional(key));
        if parts.iter().all(Option::is_none) {
            problems.add(fields.pointer(), "expected one of `mtls`, `tokens`, `authorization` and `audit`");
        }
        let [mtls, tokens, authorization, audit] = parts;
        let mtls = mtls.and_then(|node| Mtls::read(&node, problems));
        let tokens = each(not_empty(tokens, problems), problems, Token::read);
        let at = &header.spec.pointer;
        unique(tokens.iter().map(|token| token.name.as_str()), "token", &format!("{at}/tokens"), "/name", problems);
        let authorization = authorization.and_then(|node| Authorization::read(&node, problems));
        let audit = audit.and_then(|node| Audit::read(&node, problems));
        fields.finish(problems);
        let policy = Self {
            name: header.name.to_owned(),
            sidecar: sidecar?.to_owned(),
            matching,
            mtls,
            tokens,
            authorization,
            audit,
            document,
            members,
        };
        // What could not be read is not missing.
        if problems.is_empty() {
            policy.check_proofs(at, problems);
        }
        Some(policy)
    }

    /// Reports each caller of a rule that nothing in the policy lets prove who it is.
    fn check_proofs(&self, at: &str, problems: &mut Problems) {
        let rules = self.authorization.iter().flat_map(|authorization| &authorization.rules);
        for (index, rule) in rules.enumerate() {
            let at = format!("{at}/authorization/rules/{index}/from");
            rule.from.check_identities(self.mtls.as_ref(), &at, problems);
            rule.from.check_tokens(&self.tokens, &at, problems);
        }
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("sidecar", Schema::filled().says("The Sidecar whose proxy carries it out.")),
            ("members", Selector::schema().says("Which clusters; default all.")),
            ("match", Match::schema().says("Which workloads, of those that have the sidecar; default all.")),
            ("mtls", Mtls::schema().says("Certificates on both sides.")),
            ("tokens", Schema::some_of(Token::schema()).says("Tokens that are looked at.")),
            ("authorization", Authorization::schema().says("Who may do what.")),
            ("audit", Audit::schema().says("What is written down.")),
        ])
        .requires(&["sidecar"])
    }
}
