//! Ports that two sidecars of one member would claim in the same pod.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Case;
use super::candidate::{Candidate, Container};
use super::outcome::Outcomes;
use crate::federation::facts::Protocol;
use crate::settings::{Form, Rule};

/// A port of a container, as it is written.
pub(super) struct Port<'c> {
    pub(super) number: u16,
    pub(super) protocol: Protocol,
    pub(super) name: Option<&'c str>,
}

/// The ports of a container that are known before there is a pod.
pub(super) fn ports(container: &Container) -> impl Iterator<Item = Port<'_>> {
    let written = container.value.get("ports").and_then(Value::as_array).into_iter().flatten();
    written.filter_map(|port| {
        let number = port["containerPort"].as_u64().and_then(|number| u16::try_from(number).ok())?;
        let protocol = Protocol::named(port["protocol"].as_str().unwrap_or("TCP"))?;
        Some(Port { number, protocol, name: port["name"].as_str() })
    })
}

/// A port that a sidecar before this one in the order listens on too. Whichever comes later in a pod is left out, or
/// the pod is denied, unless their `match` keep them apart.
pub(super) fn clashes(case: &Case<'_>, outcomes: &mut Outcomes) {
    let own = listened(case.candidate);
    let sidecar = case.candidate.sidecar;
    if own.is_empty() || sidecar.conflicts.ports == Rule::Keep {
        return;
    }
    for other in case.before {
        let both: Vec<String> = own
            .intersection(&listened(other))
            .map(|(protocol, number)| format!("{} {number}", protocol.name()))
            .collect();
        if both.is_empty() || sidecar.matching.excludes(&other.sidecar.matching) {
            continue;
        }
        let sentence = format!("listens on {}, and so does the sidecar `{}`", both.join(", "), other.name());
        let fix = "give one of them another port, or let their `match` exclude each other";
        if sidecar.when.is_some() || other.sidecar.when.is_some() {
            outcomes.unknown(format!("{sentence}; whether a pod gets both hangs on `when`"), fix);
        } else {
            outcomes.incompatible(sentence, fix);
        }
    }
    if outcomes.len() == 0 {
        outcomes.compatible("no other sidecar listens on its ports");
    }
}

/// Where the containers listen that run beside each other.
fn listened(candidate: &Candidate<'_>) -> BTreeSet<(Protocol, u16)> {
    let running = candidate.containers.iter().filter(|one| one.stands_as != Some(Form::Init));
    running.flat_map(ports).map(|port| (port.protocol, port.number)).collect()
}
