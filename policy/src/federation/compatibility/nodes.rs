//! Processor architectures and operating systems of nodes, against those that the images are for.

use std::collections::BTreeSet;

use super::Case;
use super::outcome::Outcomes;

/// Architectures: what the document says, else what the image index says.
pub(super) fn architectures(case: &Case<'_>, outcomes: &mut Outcomes) {
    let declared: BTreeSet<&str> = case.candidate.sidecar.architectures.iter().map(String::as_str).collect();
    let (known, open) = case.platforms();
    let of = |platform: &&str| platform.split('/').nth(1).unwrap_or_default().to_owned();
    for (image, platforms) in known {
        let missing: Vec<&str> =
            declared.iter().copied().filter(|one| !platforms.iter().any(|found| of(&found.as_str()) == *one)).collect();
        if !missing.is_empty() {
            outcomes.incompatible(
                format!("is declared for {}, and `{image}` has no such image", missing.join(", ")),
                "build the image for it, or take it out of `requires.architectures`",
            );
        }
    }
    let indexed = || {
        let (known, _) = case.platforms();
        let mut sets = known
            .into_iter()
            .map(|(_, platforms)| platforms.iter().map(|one| of(&one.as_str())).collect::<BTreeSet<_>>());
        let first = sets.next()?;
        Some(sets.fold(first, |all, one| all.intersection(&one).cloned().collect()))
    };
    let supported: BTreeSet<String> = if declared.is_empty() {
        match indexed() {
            Some(supported) if open.is_empty() => supported,
            _ if case.candidate.containers.is_empty() => return,
            _ => {
                outcomes.unknown(
                    "does not say for which architectures its images are",
                    "say so under `requires.architectures`, or have the image index looked up",
                );
                return;
            }
        }
    } else {
        declared.iter().map(|one| (*one).to_owned()).collect()
    };
    let shown = supported.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if case.facts.architectures.is_empty() {
        outcomes.unknown(
            format!("runs on {shown}, and no fact says what the nodes are"),
            "probe the cluster, or pin `facts.architectures`",
        );
        return;
    }
    let missing: Vec<&str> =
        case.facts.architectures.iter().map(String::as_str).filter(|one| !supported.contains(*one)).collect();
    if missing.is_empty() {
        outcomes.compatible(format!("runs on {shown}, and so do all nodes"));
        return;
    }
    let pinned = case.candidate.spec.pointer("/nodeSelector/kubernetes.io~1arch").and_then(serde_json::Value::as_str);
    match pinned.filter(|one| supported.contains(*one) && case.facts.architectures.iter().any(|found| found == one)) {
        Some(one) => outcomes.adapted(format!("keeps its pods on {one} nodes by `inject.pod.nodeSelector`")),
        None if missing.len() == case.facts.architectures.len() => outcomes.incompatible(
            format!("runs on {shown}, and every node is {}", missing.join(", ")),
            format!("build its images for {}, or leave the member out with `spec.members`", missing.join(", ")),
        ),
        None => outcomes.incompatible(
            format!(
                "runs on {shown}, and there are {} nodes, where a pod that names no architecture may land",
                missing.join(", ")
            ),
            format!(
                "build its images for {}, or keep its pods away from there with `inject.pod.nodeSelector`",
                missing.join(", ")
            ),
        ),
    }
}

/// Operating systems. Pods say theirs, so a sidecar is skipped, or refused, where it does not fit.
pub(super) fn operating_systems(case: &Case<'_>, outcomes: &mut Outcomes) {
    let supported = &case.candidate.sidecar.os;
    let shown = supported.join(", ");
    if case.facts.operating_systems.is_empty() {
        outcomes.unknown(
            format!("runs on {shown}, and no fact says what the nodes run"),
            "probe the cluster, or pin `facts.operatingSystems`",
        );
        return;
    }
    let others: Vec<&str> = case
        .facts
        .operating_systems
        .iter()
        .map(String::as_str)
        .filter(|one| !supported.iter().any(|os| os == one))
        .collect();
    if others.is_empty() {
        outcomes.compatible(format!("runs on {shown}, and so do all nodes"));
    } else if others.len() == case.facts.operating_systems.len() {
        outcomes.incompatible(
            format!("runs on {shown}, and every node runs {}", others.join(", ")),
            "leave the member out with `spec.members`",
        );
    } else if case.is_required() {
        outcomes.incompatible(
            format!("is required, and pods for {} nodes cannot carry it, so that they are denied", others.join(", ")),
            "narrow its `match`, or that of the guardrail, to workloads of its own operating system",
        );
    } else {
        outcomes.adapted(format!("runs on {shown}: pods for {} nodes go without it", others.join(", ")));
    }
}
