//! Which version of a sidecar a workload gets while a rollout is under way.

use sha2::{Digest as _, Sha256};

use super::workload::Workload;
use crate::settings::{Rollout, Version, Versions};

/// The version for a workload; `None` where the rollout has not reached it and nothing came before.
pub(super) fn choose<'s>(versions: &'s Versions, namespace: &str, workload: &Workload) -> Option<&'s Version> {
    match &versions.rollout {
        Some(rollout) if !reaches(rollout, namespace, workload) => rollout.previous.as_ref(),
        _ => Some(&versions.current),
    }
}

fn reaches(rollout: &Rollout, namespace: &str, workload: &Workload) -> bool {
    share(&rollout.salt, namespace, &workload.kind, &workload.name) < rollout.percent
}

/// Where a workload stands between 0 and 99, fixed by the salt: it is reached as soon as the percentage is above that,
/// so a growing percentage never takes a workload back.
///
/// Published, so that a planner can tell in advance: the first eight bytes, big-endian, of the SHA-256 of
/// `salt/namespace/kind/name`, modulo 100.
pub fn share(salt: &str, namespace: &str, kind: &str, name: &str) -> u64 {
    let mut hash = Sha256::new();
    for (index, part) in [salt, namespace, kind, name].into_iter().enumerate() {
        if index > 0 {
            hash.update(b"/");
        }
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)) % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_the_published_ones() {
        for (salt, namespace, kind, name, expected) in [
            ("r42", "shop", "Deployment", "checkout", 46),
            ("r42", "shop", "Deployment", "cart", 65),
            ("r43", "shop", "Deployment", "checkout", 66),
        ] {
            assert_eq!(share(salt, namespace, kind, name), expected, "{salt}/{namespace}/{kind}/{name}");
        }
    }

    #[test]
    fn shares_spread_evenly() {
        let below_half = (0..1000).filter(|number| share("s", "n", "Deployment", &number.to_string()) < 50).count();
        assert!((450..550).contains(&below_half), "{below_half}");
    }
}
