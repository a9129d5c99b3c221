//! Names in one document that stand for another: each must exist, and be there once.

use serde_json::Value;

use super::guardrail::Guardrail;
use super::header::Kind;
use super::member::{MEMBER_LABEL, Member};
use super::rollout::Rollout;
use super::security::SecurityPolicy;
use super::sidecar::Sidecar;
use super::traffic::TrafficPolicy;
use super::{Source, SourceProblem, place};
use crate::read::{child, clip, did_you_mean};

/// Reports each name that an earlier document of the same kind has, readable or not.
pub(super) fn names(sources: &[Source], problems: &mut Vec<SourceProblem>) {
    // Of these a folder holds one, whatever its name.
    let others = Kind::ALL.into_iter().filter(|(_, kind)| *kind != Kind::Federation);
    for (kind, _) in others {
        let mut seen: Vec<(&str, usize)> = Vec::new();
        let same = sources.iter().enumerate().filter(|(_, source)| text(source, "/kind") == Some(kind));
        for (document, name) in same.filter_map(|(document, source)| Some((document, text(source, "/metadata/name")?)))
        {
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
                let message = format!("a second {kind} `{}`: the first is in {}", clip(name), place(sources, *first));
                problems.push(SourceProblem::at(document, "/metadata/name", message, None));
            }
            seen.push((name, document));
        }
    }
}

fn text<'s>(source: &'s Source, pointer: &str) -> Option<&'s str> {
    source.value.pointer(pointer).and_then(Value::as_str)
}

/// The documents that could be read.
pub(super) struct Documents<'d> {
    /// `None` where no Federation could be read, so that nobody knows the members.
    pub(super) members: Option<&'d [Member]>,
    pub(super) sidecars: &'d [Sidecar],
    pub(super) guardrails: &'d [Guardrail],
    pub(super) rollouts: &'d [Rollout],
    pub(super) traffic_policies: &'d [TrafficPolicy],
    pub(super) security_policies: &'d [SecurityPolicy],
}

/// Reports each sidecar, override and member that a document names and none defines.
pub(super) fn check(read: &Documents<'_>, sources: &[Source], problems: &mut Vec<SourceProblem>) {
    // Those that could not be read are defined all the same.
    let documents = sources.iter().filter(|source| text(source, "/kind") == Some("Sidecar"));
    let sidecars: Vec<&str> = documents.filter_map(|source| text(source, "/metadata/name")).collect();
    let mut sidecar = |document: usize, pointer: String, name: &str| {
        if !sidecars.contains(&name) {
            let message = format!("no Sidecar is named `{}`", clip(name));
            problems.push(SourceProblem::at(document, pointer, message, did_you_mean(name, sidecars.iter().copied())));
        }
    };
    for guardrail in read.guardrails {
        guardrail.sidecars().for_each(|(pointer, name)| sidecar(guardrail.document, pointer, name));
    }
    for rollout in read.rollouts {
        for (index, name) in rollout.sidecars.iter().enumerate() {
            sidecar(rollout.document, format!("/spec/sidecars/{index}"), name);
        }
    }
    for policy in read.traffic_policies {
        sidecar(policy.document, "/spec/sidecar".to_owned(), &policy.sidecar);
    }
    for policy in read.security_policies {
        sidecar(policy.document, "/spec/sidecar".to_owned(), &policy.sidecar);
    }
    overrides(read, problems);
    if let Some(known) = read.members {
        members(known, read.traffic_policies, sources, problems);
    }
}

/// Bounds for an override that its sidecar does not have.
fn overrides(read: &Documents<'_>, problems: &mut Vec<SourceProblem>) {
    for guardrail in read.guardrails {
        for (index, bound) in guardrail.overrides.iter().enumerate().filter(|(_, bound)| bound.allowed) {
            let Some(sidecar) = read.sidecars.iter().find(|one| one.name == bound.sidecar) else { continue };
            if sidecar.overrides().any(|(_, one)| sidecar.is_annotation(one, &bound.annotation)) {
                continue;
            }
            let name = clip(&bound.annotation);
            let message = format!("the Sidecar `{}` has no override `{name}`", sidecar.name);
            let known = sidecar.overrides().filter_map(|(_, one)| one.get("annotation")?.as_str());
            let hint = did_you_mean(&bound.annotation, known);
            let pointer = format!("/spec/overrides/{index}/annotation");
            problems.push(SourceProblem::at(guardrail.document, pointer, message, hint));
        }
    }
}

/// Members that are named: by the label that holds their names, and where endpoints fail over.
fn members(known: &[Member], policies: &[TrafficPolicy], sources: &[Source], problems: &mut Vec<SourceProblem>) {
    let known: Vec<&str> = known.iter().map(|member| member.name.as_str()).collect();
    let mut member = |document: usize, pointer: String, name: &str| {
        if !known.contains(&name) {
            let message = format!("no member is named `{}`", clip(name));
            problems.push(SourceProblem::at(document, pointer, message, did_you_mean(name, known.iter().copied())));
        }
    };
    for (document, source) in sources.iter().enumerate() {
        for at in selectors(&source.value) {
            for (below, name) in source.value.pointer(&at).into_iter().flat_map(named) {
                member(document, format!("{at}{below}"), name);
            }
        }
    }
    for policy in policies {
        for (index, service) in policy.services.iter().enumerate() {
            for (position, name) in service.failover.iter().enumerate() {
                member(policy.document, format!("/spec/services/{index}/failover/{position}"), name);
            }
        }
    }
}

/// Where a document may select members.
fn selectors(document: &Value) -> Vec<String> {
    if document.get("kind").is_some_and(|kind| kind == "Federation") {
        return Vec::new();
    }
    let lists = ["/spec/stages", "/spec/exemptions"].into_iter().flat_map(|list| {
        let length = document.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
        (0..length).map(move |index| format!("{list}/{index}/members"))
    });
    ["/spec/members".to_owned()].into_iter().chain(lists).collect()
}

/// The members that a selector names, with their places below it.
fn named(selector: &Value) -> Vec<(String, &str)> {
    let label = selector.get("matchLabels").and_then(|labels| labels.get(MEMBER_LABEL)?.as_str());
    let mut found: Vec<(String, &str)> =
        label.into_iter().map(|name| (child("/matchLabels", MEMBER_LABEL), name)).collect();
    let requirements = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    for (index, requirement) in requirements.enumerate() {
        if requirement.get("key").is_some_and(|key| key == MEMBER_LABEL) {
            let values = requirement.get("values").and_then(Value::as_array).into_iter().flatten().enumerate();
            let texts = values.filter_map(|(position, value)| Some((position, value.as_str()?)));
            found.extend(texts.map(|(position, name)| (format!("/matchExpressions/{index}/values/{position}"), name)));
        }
    }
    found
}
