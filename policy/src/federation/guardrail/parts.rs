//! What `required`, `never` and `optOut` become in the settings of one member, where exemptions take something out.

use serde_json::{Map, Value, json};

use super::super::member::Member;
use super::super::sidecar::Sidecar;
use super::{Guardrail, Rule};
use crate::settings::{NAMESPACE_NAME_LABEL, OptOut};

/// A guardrail of the settings.
pub(in super::super) struct Part<'g> {
    /// Its `match`.
    pub(in super::super) selection: Option<Value>,
    pub(in super::super) required: Vec<&'g str>,
    pub(in super::super) never: Vec<&'g str>,
    pub(in super::super) opt_out: Vec<&'g OptOut>,
    namespaces: Vec<&'g str>,
}

/// What a guardrail says about one sidecar.
enum Named<'g> {
    Required(&'g str),
    Never(&'g str),
    OptOut(&'g OptOut),
}

impl<'g> Named<'g> {
    fn rule(&self) -> (Rule, &'g str) {
        match *self {
            Self::Required(name) => (Rule::Required, name),
            Self::Never(name) => (Rule::Never, name),
            Self::OptOut(right) => (Rule::OptOut, &right.sidecar),
        }
    }
}

impl Guardrail {
    /// First what no exemption narrows, then a part for each set of namespaces that are let off. Nothing where the
    /// guardrail has other rules only.
    pub(in super::super) fn parts(&self, sidecars: &[&Sidecar], member: &Member) -> Vec<Part<'_>> {
        if !self.has_parts() {
            return Vec::new();
        }
        let mut parts = vec![self.part(Vec::new())];
        let required = self.required.iter().map(|name| Named::Required(name));
        let never = self.never.iter().map(|name| Named::Never(name));
        for named in required.chain(never).chain(self.opt_out.iter().map(Named::OptOut)) {
            let (rule, name) = named.rule();
            if self.exempts(rule, name, member) || !sidecars.iter().any(|sidecar| sidecar.name == *name) {
                continue;
            }
            let namespaces = self.exempt_namespaces(rule, name, member);
            let index = parts.iter().position(|part| part.namespaces == namespaces).unwrap_or(parts.len());
            if index == parts.len() {
                parts.push(self.part(namespaces));
            }
            if let Some(part) = parts.get_mut(index) {
                match named {
                    Named::Required(name) => part.required.push(name),
                    Named::Never(name) => part.never.push(name),
                    Named::OptOut(right) => part.opt_out.push(right),
                }
            }
        }
        parts
    }

    /// Whether the module has anything to enforce.
    pub(super) fn has_parts(&self) -> bool {
        !(self.required.is_empty() && self.never.is_empty() && self.opt_out.is_empty())
    }

    /// A part that is about nothing yet, in all namespaces but these.
    fn part<'g>(&'g self, namespaces: Vec<&'g str>) -> Part<'g> {
        let mut selection = self.selection.clone();
        if !namespaces.is_empty() {
            let matching = selection.get_or_insert_with(|| Value::Object(Map::new()));
            let others = json!({"key": NAMESPACE_NAME_LABEL, "operator": "NotIn", "values": namespaces});
            narrow(matching, others);
        }
        Part { selection, required: Vec::new(), never: Vec::new(), opt_out: Vec::new(), namespaces }
    }
}

/// Adds a requirement on namespaces to a `match`. What is not of the right shape stays: the settings' own check says so.
fn narrow(matching: &mut Value, requirement: Value) {
    let Value::Object(matching) = matching else { return };
    let namespaces = matching.entry("namespaces").or_insert_with(|| json!({}));
    if namespaces.is_null() {
        *namespaces = json!({});
    }
    let Value::Object(selector) = namespaces else { return };
    let expressions = selector.entry("matchExpressions").or_insert_with(|| json!([]));
    if expressions.is_null() {
        *expressions = json!([]);
    }
    if let Value::Array(expressions) = expressions {
        expressions.push(requirement);
    }
}
