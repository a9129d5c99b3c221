//! Where a rule stands, what holds to it in the settings, and which images were judged.

use serde_json::Value;

use super::super::Lock;
use super::super::guardrail::{Guardrail, Rule, Version};
use super::judge::Subject;
use super::{Evidence, FoundImage};

/// The evidence for one rule; `subject` is absent where the guardrail is not about the member.
pub(super) fn of(
    guardrail: &Guardrail,
    rule: Rule,
    sidecar: Option<&str>,
    pointer: String,
    subject: Option<&Subject<'_>>,
    lock: &Lock,
) -> Evidence {
    let place = (guardrail.document, pointer);
    let (Some(subject), Some(sidecar)) = (subject, sidecar) else { return Evidence { place, ..Evidence::default() } };
    let images = if rule == Rule::Images { images(subject, sidecar, lock) } else { Vec::new() };
    Evidence { place, settings: in_settings(guardrail, rule, sidecar, &subject.settings), images }
}

/// What holds to a rule in the settings, else what was judged in them.
fn in_settings(guardrail: &Guardrail, rule: Rule, sidecar: &str, settings: &Value) -> Option<String> {
    let list = |key: &str| settings.get(key).and_then(Value::as_array).into_iter().flatten().enumerate();
    let below = match rule {
        Rule::Required | Rule::Never | Rule::OptOut => {
            return list("guardrails").find_map(|(index, part)| {
                let origin = part.get("origin")?;
                if origin["file"] != guardrail.file.as_str() || origin["line"] != guardrail.line {
                    return None;
                }
                let named = |item: &Value| item == sidecar || item.get("sidecar").is_some_and(|name| name == sidecar);
                let position = part.get(rule.name())?.as_array()?.iter().position(named)?;
                Some(format!("/guardrails/{index}/{}/{position}", rule.name()))
            });
        }
        Rule::Overrides => "/overrides",
        Rule::Skew => "/version",
        Rule::Images | Rule::SecurityContext => "/inject/containers",
        Rule::Overhead => return None,
    };
    let (index, found) = list("sidecars").find(|(_, one)| one["name"] == sidecar)?;
    found.pointer(below).map(|_| format!("/sidecars/{index}{below}"))
}

/// The images of a sidecar that are the same for every pod, each once.
fn images(subject: &Subject<'_>, sidecar: &str, lock: &Lock) -> Vec<FoundImage> {
    let mut images: Vec<FoundImage> = Vec::new();
    let Some(sidecar) = subject.sidecar(sidecar) else { return images };
    for version in Version::all(sidecar, &subject.settings) {
        for (_, container) in version.containers() {
            let leaf = version.leaf(container, &["image"]);
            let Some(reference) = leaf.text() else { continue };
            let own = reference.split_once('@').map(|(_, digest)| digest.to_owned());
            let digest = own.or_else(|| lock.images().get(reference)?.digest.clone());
            let found = FoundImage { reference: reference.to_owned(), digest };
            if !images.contains(&found) {
                images.push(found);
            }
        }
    }
    images
}
