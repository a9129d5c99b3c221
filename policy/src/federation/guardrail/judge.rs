//! Does what a member gets keep the rules that can be judged before there is any pod?
//!
//! Judged is what the documents say of each container in either version of a sidecar, after everything that is known of
//! the member has been put in: variables, the cluster, the sidecar, and definitions that hang on nothing else. What an
//! expression makes for each pod proves nothing, so a rule about it is not kept. `match` does not narrow these rules.

use serde_json::{Map, Value};

use super::super::SourceProblem;
use super::super::date::Date;
use super::super::member::Member;
use super::super::sidecar::Sidecar;
use super::bounds::Fault;
use super::known::{Leaf, Version};
use super::{Guardrail, Rule, exemption, overhead};

/// What is wrong with the sidecars of a member by its guardrails, and with the guardrails on a day.
///
/// `settings` are those of the member: they say what is known of it.
pub(in super::super) fn judge(
    guardrails: &[&Guardrail],
    sidecars: &[&Sidecar],
    member: &Member,
    settings: &Value,
    today: Date,
) -> Vec<SourceProblem> {
    let expired = guardrails.iter().flat_map(|guardrail| exemption::expired(guardrail, today));
    let broken = breaches(guardrails, sidecars, member, settings);
    expired.chain(broken.into_iter().map(|breach| breach.problem)).collect()
}

/// A rule that is not kept.
pub(in super::super) struct Breach<'g> {
    pub(in super::super) guardrail: &'g Guardrail,
    pub(in super::super) rule: Rule,
    /// Absent where all sidecars together break it.
    pub(in super::super) sidecar: Option<&'g str>,
    pub(in super::super) problem: SourceProblem,
}

/// The rules that a member does not keep.
pub(in super::super) fn breaches<'g>(
    guardrails: &[&'g Guardrail],
    sidecars: &[&'g Sidecar],
    member: &Member,
    settings: &Value,
) -> Vec<Breach<'g>> {
    let mut breaches = Vec::new();
    for sidecar in sidecars {
        let mut note = |guardrail, rule, problems: Vec<SourceProblem>| {
            let breach = |problem| Breach { guardrail, rule, sidecar: Some(sidecar.name.as_str()), problem };
            breaches.extend(problems.into_iter().map(breach));
        };
        let judged = |rule| {
            let chosen = guardrails.iter().filter(move |one| one.rules().any(|own| own == rule));
            chosen.copied().filter(move |guardrail| !guardrail.exempts(rule, sidecar.name.as_str(), member))
        };
        for guardrail in judged(Rule::Overrides) {
            note(guardrail, Rule::Overrides, override_faults(guardrail, sidecar));
        }
        let images: Vec<&Guardrail> = judged(Rule::Images).collect();
        let floors: Vec<&Guardrail> = judged(Rule::SecurityContext).collect();
        if images.is_empty() && floors.is_empty() {
            continue;
        }
        for version in Version::all(sidecar, settings) {
            for (index, container) in version.containers() {
                let at = format!("{}/inject/containers/{index}", version.pointer);
                for guardrail in &images {
                    let fault = image_faults(guardrail, sidecar, &version, &at, container);
                    note(guardrail, Rule::Images, fault.into_iter().collect());
                }
                for guardrail in &floors {
                    note(guardrail, Rule::SecurityContext, floor_faults(guardrail, sidecar, &version, &at, container));
                }
            }
        }
        for (guardrails, rule, field, what) in [
            (&images, Rule::Images, "image", "image"),
            (&floors, Rule::SecurityContext, "securityContext", "security context"),
        ] {
            for guardrail in guardrails {
                note(guardrail, rule, opened(guardrail, sidecar, field, what));
            }
        }
    }
    for guardrail in guardrails {
        let over = overhead::judge(guardrail, sidecars, member, settings).over;
        let breach = |problem| Breach { guardrail, rule: Rule::Overhead, sidecar: None, problem };
        breaches.extend(over.into_iter().map(breach));
    }
    breaches
}

/// A problem of a sidecar, with the way to the rule and out of it.
fn problem(
    guardrail: &Guardrail,
    sidecar: &Sidecar,
    pointer: String,
    what: &str,
    hint: Option<String>,
) -> SourceProblem {
    let message = format!("the Guardrail `{}` {what}", guardrail.name);
    let place = format!("the rule stands in {}:{}", guardrail.file, guardrail.line);
    let hint = hint.map_or_else(|| place.clone(), |hint| format!("{hint}; {place}"));
    SourceProblem::at(sidecar.document, pointer, message, Some(hint))
}

fn image_faults(
    guardrail: &Guardrail,
    sidecar: &Sidecar,
    version: &Version<'_>,
    at: &str,
    container: &Map<String, Value>,
) -> Option<SourceProblem> {
    let rule = guardrail.images.as_ref()?;
    let (what, hint) = match version.leaf(container, &["image"]) {
        Leaf::Missing => return None,
        Leaf::Known(image) => rule.fault(image.as_str()?)?,
        Leaf::Depends => {
            let hint = "let it hang on nothing but `vars`, `cluster`, `federation` and `sidecar`";
            ("judges images, and an expression makes this one for each pod".to_owned(), Some(hint.to_owned()))
        }
    };
    Some(problem(guardrail, sidecar, format!("{at}/image"), &what, hint))
}

fn floor_faults(
    guardrail: &Guardrail,
    sidecar: &Sidecar,
    version: &Version<'_>,
    at: &str,
    container: &Map<String, Value>,
) -> Vec<SourceProblem> {
    let faults = guardrail.security_context.as_ref().map(|floor| floor.faults(|path| version.leaf(container, path)));
    let faults = faults.into_iter().flatten();
    faults.map(|(below, what)| problem(guardrail, sidecar, format!("{at}{below}"), &what, None)).collect()
}

fn override_faults(guardrail: &Guardrail, sidecar: &Sidecar) -> Vec<SourceProblem> {
    let declared = sidecar.overrides();
    let mut problems = Vec::new();
    for (position, bound) in guardrail.overrides.iter().enumerate().filter(|(_, one)| one.sidecar == sidecar.name) {
        for (index, found) in declared.clone().filter(|(_, one)| sidecar.is_annotation(one, &bound.annotation)) {
            problems.extend(bound.faults(found).into_iter().map(|fault| match fault {
                Fault::Override(key, what, hint) => {
                    problem(guardrail, sidecar, format!("/spec/overrides/{index}/{key}"), &what, hint)
                }
                Fault::Bound(key, message) => {
                    SourceProblem::at(guardrail.document, format!("/spec/overrides/{position}/{key}"), message, None)
                }
            }));
        }
    }
    problems
}

/// The places where a sidecar lets others say what a rule is about.
fn opened(guardrail: &Guardrail, sidecar: &Sidecar, field: &str, what: &str) -> Vec<SourceProblem> {
    let mut problems = Vec::new();
    let leave = format!("leave the {what} to the document");
    for (index, one) in sidecar.overrides() {
        let path = one.get("sets").and_then(Value::as_str).unwrap_or_default();
        if path.split('.').nth(2) == Some(field) {
            let message = format!("judges the {what}, and this override lets application teams set it");
            problems.push(problem(
                guardrail,
                sidecar,
                format!("/spec/overrides/{index}/sets"),
                &message,
                Some(leave.clone()),
            ));
        }
    }
    for (at, parts) in sidecar.versions() {
        let containers = parts.get("inject").and_then(|inject| inject.get("containers")?.as_array());
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let fields = container.get("overridable").and_then(Value::as_array).into_iter().flatten();
            // An image that is fixed stands as a whole; of a security context only what is said there does.
            if field == "image" && container.pointer("/fixed/image").is_some() {
                continue;
            }
            let named = |one: &Value| one.as_str().is_some_and(|one| one == field || one == "*");
            if let Some((position, _)) = fields.enumerate().find(|(_, one)| named(one)) {
                let message = format!("judges the {what}, and a container of the user may set it here");
                let pointer = format!("{at}/inject/containers/{index}/overridable/{position}");
                problems.push(problem(guardrail, sidecar, pointer, &message, Some(leave.clone())));
            }
        }
    }
    problems
}
