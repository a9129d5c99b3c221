//! The way out where a sidecar does not work in a member and somebody knows why it may be there all the same.

use clap::Args;
use clap::builder::PossibleValuesParser;
use fedcar_policy::federation::compatibility::RULES;

/// Which verdicts of compatibility stop nothing.
#[derive(Debug, Args)]
pub(super) struct AllowArguments {
    /// Warn where a sidecar does not work in a member by this rule of compatibility, instead of stopping; may be repeated
    #[arg(long, value_name = "RULE", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(every_rule()))]
    allow_incompatible: Vec<String>,
}

/// The codes of all rules: for a command that tells the verdicts itself, or that does not hang on them.
pub(super) fn every_rule() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.code).collect()
}

impl AllowArguments {
    /// The codes of the rules.
    pub(super) fn rules(&self) -> Vec<&str> {
        self.allow_incompatible.iter().map(String::as_str).collect()
    }
}
