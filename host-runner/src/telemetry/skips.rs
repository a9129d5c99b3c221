//! Which sidecars a policy skipped, and why, with a bound on how many are told apart.
//!
//! Names and codes come out of a module, so neither their number nor their form can be taken on trust.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::metrics::Labels;

/// How many pairs of sidecar and code are told apart for one policy: 26 codes for each of 38 sidecars.
const MAX_PAIRS: usize = 1_000;

/// The longest name of a container (RFC 1123 label), which the name of a sidecar becomes.
const MAX_WORD_BYTES: usize = 63;

/// What stands for everything that is not told apart.
const OTHER: &str = "other";

/// The skipped sidecars of one policy.
#[derive(Debug)]
pub(super) struct Skips {
    policy: String,
    family: Family<Labels, Counter>,
    other: Counter,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By sidecar, then by code: two levels, so that looking up takes no allocation.
    counters: BTreeMap<Box<str>, BTreeMap<Box<str>, Counter>>,
    pairs: usize,
}

impl Skips {
    pub(super) fn new(policy: &str, family: Family<Labels, Counter>) -> Self {
        let other = family.get_or_create_owned(&labels(policy, OTHER, OTHER));
        Self { policy: policy.to_owned(), family, other, known: RwLock::default() }
    }

    pub(super) fn count(&self, sidecar: &str, code: &str) {
        if !(is_word(sidecar) && is_word(code)) {
            self.other.inc();
            return;
        }
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(counter) = known.counters.get(sidecar).and_then(|codes| codes.get(code)) {
                counter.inc();
                return;
            }
            // Asked here too, so that a module that makes up names does not take the write lock with each of them.
            if known.pairs >= MAX_PAIRS {
                self.other.inc();
                return;
            }
        }
        self.meet(sidecar, code).inc();
    }

    /// The counter of a pair that was not known a moment ago.
    fn meet(&self, sidecar: &str, code: &str) -> Counter {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = known.counters.get(sidecar).and_then(|codes| codes.get(code)) {
            return counter.clone();
        }
        if known.pairs >= MAX_PAIRS {
            return self.other.clone();
        }
        let counter = self.family.get_or_create_owned(&labels(&self.policy, sidecar, code));
        known.counters.entry(sidecar.into()).or_default().insert(code.into(), counter.clone());
        known.pairs += 1;
        counter
    }
}

fn labels(policy: &str, sidecar: &str, code: &str) -> Labels {
    [("policy", policy), ("sidecar", sidecar), ("reason", code)]
        .map(|(name, value)| (name, Cow::from(value.to_owned())))
        .to_vec()
}

/// Whether `text` has the form of a name or code.
fn is_word(text: &str) -> bool {
    (1..=MAX_WORD_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_bounded_and_nothing_is_lost() {
        let family = Family::<Labels, Counter>::default();
        let skips = Skips::new("p", family.clone());
        for round in 0..2 {
            for number in 0..3_000 {
                skips.count(&format!("sidecar-{number}"), "host-network");
            }
            let of = |sidecar: &str, code: &str| family.get(&labels("p", sidecar, code)).map(|counter| counter.get());
            assert_eq!(of("sidecar-0", "host-network"), Some(round + 1));
            assert_eq!(of("sidecar-999", "host-network"), Some(round + 1));
            assert_eq!(of("sidecar-1000", "host-network"), None);
            assert_eq!(of(OTHER, OTHER), Some(2_000 * (round + 1)));
        }
        assert_eq!(skips.known.read().unwrap().pairs, MAX_PAIRS);
    }

    #[test]
    fn what_is_no_name_is_other() {
        let family = Family::<Labels, Counter>::default();
        let skips = Skips::new("p", family.clone());
        let long = "a".repeat(MAX_WORD_BYTES + 1);
        for (sidecar, code) in [("", "x"), ("x", ""), ("a b", "x"), ("x", "a\nb"), ("x", "é"), (&long, "x"), ("X", "x")]
        {
            skips.count(sidecar, code);
        }
        assert_eq!(skips.known.read().unwrap().pairs, 0);
        assert_eq!(family.get(&labels("p", OTHER, OTHER)).map(|counter| counter.get()), Some(7));
    }

    #[test]
    fn threads_that_meet_a_pair_together_count_it_once_each() {
        let family = Family::<Labels, Counter>::default();
        let skips = Skips::new("p", family.clone());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500).for_each(|number| skips.count(&format!("s{number}"), "x")));
            }
        });
        assert_eq!(skips.known.read().unwrap().pairs, 500);
        assert_eq!(family.get(&labels("p", "s7", "x")).map(|counter| counter.get()), Some(4));
    }
}
