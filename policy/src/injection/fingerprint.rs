//! What the marker remembers of a value that we added: enough to recognise it later, far less than the value.
//!
//! A claim is the set of hashes of the value's leaves, each with its path. A later value satisfies the claim when it
//! still has all of them, so defaults that the API server fills in, and what other webhooks add inside, are not changes;
//! a changed or removed leaf is. Quantities are hashed in canonical form. The hash is FNV-1a cut to 24 bits: a claim is
//! evidence to be verified against the pod, not a secret, and an annotation is paid for in every copy of the pod.

use serde_json::Value;

use crate::expression::quantity::Quantity;

/// One leaf is three bytes, four characters of base64url.
const LEAF_BYTES: usize = 3;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The claim on a value: its leaves, sorted, as base64url text.
pub(crate) fn claim(value: &Value) -> String {
    let mut leaves = Vec::new();
    collect(value, "", Fnv::new(), Presence::OnlyEmpty, &mut leaves);
    leaves.sort_unstable();
    leaves.dedup();
    let mut text = String::with_capacity(leaves.len() * 4);
    for leaf in leaves {
        for shift in [18, 12, 6, 0] {
            text.push(ALPHABET.get((leaf >> shift & 63) as usize).map_or('A', |symbol| char::from(*symbol)));
        }
    }
    text
}

/// Whether a value still has every leaf that was claimed. An unreadable claim is satisfied by nothing.
pub(crate) fn satisfies(value: &Value, claim: &str) -> bool {
    let mut leaves = Vec::new();
    collect(value, "", Fnv::new(), Presence::Every, &mut leaves);
    leaves.sort_unstable();
    let claimed = claim.as_bytes().chunks(LEAF_BYTES + 1).map(decode);
    claimed.into_iter().all(|leaf| leaf.is_some_and(|leaf| leaves.binary_search(&leaf).is_ok()))
}

/// 64-bit FNV-1a, for checksums of text that nobody needs to be unable to forge.
pub(crate) fn checksum(text: &str) -> String {
    let Fnv(mut state) = Fnv::new().text(text);
    let mut digits = String::with_capacity(16);
    for _ in 0..16 {
        digits.push(char::from_digit((state >> 60) as u32, 16).unwrap_or('0'));
        state <<= 4;
    }
    digits
}

/// The key by which Kubernetes merges a list of objects, by the name of the list; `None` for atomic lists.
///
/// From the `patchMergeKey` tags in `k8s.io/api/core/v1/types.go`.
pub(crate) fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets"
        | "schedulingGates" | "resourceClaims" | "sysctls" | "options" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "hostAliases" => Some("ip"),
        "readinessGates" => Some("conditionType"),
        "ports" => Some("containerPort"),
        _ => None,
    }
}

fn decode(symbols: &[u8]) -> Option<u32> {
    if symbols.len() != LEAF_BYTES + 1 {
        return None;
    }
    symbols.iter().try_fold(0, |leaf, symbol| {
        let index = ALPHABET.iter().position(|one| one == symbol)?;
        Some(leaf << 6 | u32::try_from(index).ok()?)
    })
}

#[derive(Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn text(self, text: &str) -> Self {
        Self(text.bytes().fold(self.0, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)))
    }

    fn leaf(self) -> u32 {
        ((self.0 ^ self.0 >> 24 ^ self.0 >> 48) & 0x00ff_ffff) as u32
    }
}

/// Which objects and lists leave a trace of their own.
#[derive(Clone, Copy, PartialEq)]
enum Presence {
    /// Those with nothing in them, for a claim.
    OnlyEmpty,
    /// All, for the value that has to satisfy a claim.
    Every,
}

fn collect(value: &Value, key: &str, state: Fnv, presence: Presence, leaves: &mut Vec<u32>) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => leaves.push(state.text(if *flag { "!true" } else { "!false" }).leaf()),
        Value::Number(number) => leaves.push(state.text("=").text(number.as_str()).leaf()),
        Value::String(text) => leaves.push(state.text("=").text(text).leaf()),
        Value::Array(items) => {
            if items.is_empty() || presence == Presence::Every {
                leaves.push(state.text("[]").leaf());
            }
            let merge_key = merge_key(key);
            for (index, item) in items.iter().enumerate() {
                let label = merge_key.and_then(|key| item.get(key)).and_then(Value::as_str);
                let state = match label {
                    Some(label) => state.text("/=").text(label),
                    None => state.text(&format!("/{index}")),
                };
                collect(item, "", state, presence, leaves);
            }
        }
        Value::Object(map) => {
            if map.is_empty() || presence == Presence::Every {
                leaves.push(state.text("{}").leaf());
            }
            let quantities = matches!(key, "limits" | "requests" | "overhead");
            for (key, value) in map {
                let state = state.text("/").text(key);
                match canonical_quantity(quantities || key == "sizeLimit", value) {
                    Some(quantity) => leaves.push(state.text("=").text(&quantity).leaf()),
                    None => collect(value, key, state, presence, leaves),
                }
            }
        }
    }
}

fn canonical_quantity(expected: bool, value: &Value) -> Option<String> {
    if !expected {
        return None;
    }
    let text = match value {
        Value::String(text) => text.as_str(),
        Value::Number(number) => number.as_str(),
        _ => return None,
    };
    Quantity::parse(text).ok().map(|quantity| quantity.canonical())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_and_additions_inside_satisfy_a_claim() {
        let ours = json!({
            "name": "a", "image": "i", "args": ["x"], "ports": [{"containerPort": 80}], "emptyDir": {},
            "env": [{"name": "A", "value": "1"}, {"name": "B"}],
            "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
        });
        let theirs = json!({
            "terminationMessagePath": "/dev/termination-log", "emptyDir": {"medium": "Memory"},
            "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
            "ports": [{"containerPort": 80, "protocol": "TCP"}], "args": ["x"], "image": "i",
            "env": [{"name": "NEW", "value": "n"}, {"name": "B", "value": ""}, {"name": "A", "value": "1"}],
            "name": "a",
        });
        assert!(satisfies(&theirs, &claim(&ours)));
        assert!(satisfies(&ours, &claim(&ours)));
    }

    #[test]
    fn a_changed_leaf_breaks_a_claim() {
        let ours = json!({"name": "a", "args": ["x", "y"], "env": [{"name": "A", "value": "1"}], "tty": true});
        for theirs in [
            json!({"name": "b", "args": ["x", "y"], "env": [{"name": "A", "value": "1"}], "tty": true}),
            json!({"name": "a", "args": ["y", "x"], "env": [{"name": "A", "value": "1"}], "tty": true}),
            json!({"name": "a", "args": ["x", "y"], "env": [{"name": "A", "value": "2"}], "tty": true}),
            json!({"name": "a", "args": ["x", "y"], "env": [], "tty": true}),
            json!({"name": "a", "args": ["x", "y"], "env": [{"name": "A", "value": "1"}], "tty": false}),
            json!(null),
        ] {
            assert!(!satisfies(&theirs, &claim(&ours)), "{theirs}");
        }
    }

    #[test]
    fn an_unreadable_claim_is_satisfied_by_nothing() {
        for claim in ["A", "AAAA=", "é", "AAA!"] {
            assert!(!satisfies(&json!({"a": 1}), claim), "{claim}");
        }
    }
}
