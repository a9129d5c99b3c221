//! What the marker remembers of a value that we added: enough to recognise it later, far less than the value.
//!
//! A claim is the set of hashes of the value's leaves, each with its path. A later value satisfies the claim when it
//! still has all of them, so defaults that the API server fills in, and what other webhooks add inside, are not changes;
//! a changed or removed leaf is. Quantities are hashed in canonical form. Empty text and lists, `false` and `0` leave no
//! leaf, because the API server drops them where they are the default. The hash is FNV-1a cut to 24 bits: a claim is
//! evidence to be verified against the pod, not a secret, and an annotation is paid for in every copy of the pod. So a
//! value that satisfies a claim may be taken out; only one that [`keeps`] what we would put there may come back.

use serde_json::Value;

use crate::expression::quantity::Quantity;

/// One leaf is three bytes, four characters of base64url.
const LEAF_BYTES: usize = 3;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Maps that the API server drops where they are empty; other empty objects it keeps.
const DROPPED_MAPS: [&str; 7] =
    ["limits", "requests", "overhead", "labels", "annotations", "nodeSelector", "matchLabels"];
/// Keys that decide what a container does. Nobody may add them to one of ours.
const DECISIVE: [&str; 5] = ["command", "args", "workingDir", "lifecycle", "restartPolicy"];

/// Which keys lead to a value, as far as its meaning hangs on them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Context<'k> {
    /// The key of the object above.
    pub(crate) parent: &'k str,
    /// The key of the value itself; empty for a list item.
    pub(crate) key: &'k str,
}

impl Context<'_> {
    fn quantity(self) -> bool {
        is_quantity_map(self.parent) || matches!(self.key, "sizeLimit" | "divisor")
    }
}

fn is_quantity_map(key: &str) -> bool {
    matches!(key, "limits" | "requests" | "overhead")
}

/// The claim on a value: its leaves, sorted, as base64url text; never empty.
pub(crate) fn claim(value: &Value, context: Context<'_>) -> String {
    let mut leaves = Vec::new();
    Collector { presence: Presence::Claimed, leaves: &mut leaves }.root(value, context);
    if leaves.is_empty() {
        leaves.push(Fnv::new().text(if value.is_array() { "[]" } else { "{}" }).leaf());
    }
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
pub(crate) fn satisfies(value: &Value, context: Context<'_>, claim: &str) -> bool {
    let mut leaves = Vec::new();
    Collector { presence: Presence::Every, leaves: &mut leaves }.root(value, context);
    leaves.sort_unstable();
    let claimed = claim.as_bytes().chunks(LEAF_BYTES + 1).map(decode);
    claimed.into_iter().all(|leaf| leaf.is_some_and(|leaf| leaves.binary_search(&leaf).is_ok()))
}

/// Whether a value still is ours, with no more than defaults and additions inside that leave it what it is.
///
/// Compares the values themselves, as a claim alone can be met by something that was made for it.
pub(crate) fn keeps(there: &Value, ours: &Value, context: Context<'_>) -> bool {
    let decided = DECISIVE.iter().all(|key| ours.get(key).is_some() || there.get(key).is_none_or(Value::is_null));
    decided && contains(Some(there), ours, context, false)
}

/// Whether two values say the same: as they are, or after the API server has rewritten quantities and dropped defaults.
pub(crate) fn same(left: &Value, right: &Value, context: Context<'_>) -> bool {
    left == right || (contains(Some(left), right, context, false) && contains(Some(right), left, context, false))
}

fn contains(there: Option<&Value>, ours: &Value, context: Context<'_>, strict: bool) -> bool {
    let strict = strict || context.key == "securityContext";
    match (there, ours) {
        (_, Value::Null) => true,
        (None | Some(Value::Null), _) => is_dropped(ours, context.key) && (!strict || ours.is_array()),
        (Some(Value::Object(there)), Value::Object(ours)) => ours
            .iter()
            .all(|(key, value)| contains(there.get(key), value, Context { parent: context.key, key }, strict)),
        (Some(Value::Array(there)), Value::Array(ours)) => {
            let labels = |items: &[Value]| {
                let key = merge_key(context.key)?;
                items.iter().map(|item| item.get(key)?.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
            };
            match (labels(there), labels(ours)) {
                (Some(names), Some(wanted)) => wanted.iter().zip(ours).all(|(label, item)| {
                    let found = names.iter().position(|name| name == label).and_then(|index| there.get(index));
                    contains(found, item, Context::default(), strict)
                }),
                _ => {
                    there.len() == ours.len()
                        && there
                            .iter()
                            .zip(ours)
                            .all(|(there, ours)| contains(Some(there), ours, Context::default(), strict))
                }
            }
        }
        (Some(there), ours) => {
            there == ours || {
                let [there, ours] = [there, ours].map(|value| canonical_quantity(context, value));
                there.is_some() && there == ours
            }
        }
    }
}

/// Whether the API server may leave a value out because it is the default.
fn is_dropped(value: &Value, key: &str) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_str() == "0",
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && DROPPED_MAPS.contains(&key),
    }
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
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "env"
        | "imagePullSecrets"
        | "schedulingGates"
        | "resourceClaims"
        | "sysctls"
        | "options" => Some("name"),
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

/// Which leaves count.
#[derive(Clone, Copy, PartialEq)]
enum Presence {
    /// Those that will still be there after the API server has read and written the object.
    Claimed,
    /// All, for the value that has to satisfy a claim.
    Every,
}

struct Collector<'l> {
    presence: Presence,
    leaves: &'l mut Vec<u32>,
}

impl Collector<'_> {
    fn root(&mut self, value: &Value, context: Context<'_>) {
        self.value(value, context, Fnv::new());
    }

    fn value(&mut self, value: &Value, context: Context<'_>, state: Fnv) {
        if let Some(quantity) = canonical_quantity(context, value) {
            return self.leaves.push(state.text("=").text(&quantity).leaf());
        }
        match value {
            Value::Null => {}
            Value::Bool(flag) => self.leaves.push(state.text(if *flag { "!true" } else { "!false" }).leaf()),
            Value::Number(number) => self.leaves.push(state.text("=").text(number.as_str()).leaf()),
            Value::String(text) => self.leaves.push(state.text("=").text(text).leaf()),
            Value::Array(items) => {
                if items.is_empty() || self.presence == Presence::Every {
                    self.leaves.push(state.text("[]").leaf());
                }
                let merge_key = merge_key(context.key);
                for (index, item) in items.iter().enumerate() {
                    let label = merge_key.and_then(|key| item.get(key)).and_then(Value::as_str);
                    let state = match label {
                        Some(label) => state.text("/=").text(label),
                        None => state.text(&format!("/{index}")),
                    };
                    self.value(item, Context::default(), state);
                }
            }
            Value::Object(map) => {
                if map.is_empty() || self.presence == Presence::Every {
                    self.leaves.push(state.text("{}").leaf());
                }
                for (key, value) in map {
                    if self.presence == Presence::Every || !is_dropped(value, key) {
                        let below = Context { parent: context.key, key };
                        self.value(value, below, state.text("/").text(key));
                    }
                }
            }
        }
    }
}

fn canonical_quantity(context: Context<'_>, value: &Value) -> Option<String> {
    if !context.quantity() {
        return None;
    }
    Quantity::of(value).map(|quantity| quantity.canonical())
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
            "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}, "tty": false, "stdin": "", "command": [],
        });
        let theirs = json!({
            "terminationMessagePath": "/dev/termination-log", "emptyDir": {"medium": "Memory"},
            "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
            "ports": [{"containerPort": 80, "protocol": "TCP"}], "args": ["x"], "image": "i",
            "env": [{"name": "NEW", "value": "n"}, {"name": "B", "value": ""}, {"name": "A", "value": "1"}],
            "name": "a",
        });
        let at = Context::default();
        assert!(satisfies(&theirs, at, &claim(&ours, at)));
        assert!(satisfies(&ours, at, &claim(&ours, at)));
        assert!(keeps(&theirs, &ours, at));
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
            assert!(!satisfies(&theirs, Context::default(), &claim(&ours, Context::default())), "{theirs}");
            assert!(!keeps(&theirs, &ours, Context::default()), "{theirs}");
        }
    }

    #[test]
    fn an_unreadable_claim_is_satisfied_by_nothing() {
        for claim in ["A", "AAAA=", "é", "AAA!"] {
            assert!(!satisfies(&json!({"a": 1}), Context::default(), claim), "{claim}");
        }
    }

    #[test]
    fn quantities_are_known_by_the_keys_that_lead_to_them() {
        for (parent, key, ours, theirs) in [
            ("", "overhead", json!({"memory": "1024Mi"}), json!({"memory": "1Gi"})),
            ("requests", "cpu", json!("0.5"), json!("500m")),
            ("emptyDir", "sizeLimit", json!("1024Ki"), json!("1Mi")),
        ] {
            let at = Context { parent, key };
            assert!(satisfies(&theirs, at, &claim(&ours, at)) && keeps(&theirs, &ours, at), "{parent}/{key}");
        }
    }

    #[test]
    fn a_claim_is_never_empty() {
        for value in [json!(""), json!(false), json!(0), json!([]), json!({}), json!({"a": [], "b": null})] {
            let claim = claim(&value, Context::default());
            assert!(!claim.is_empty() && satisfies(&value, Context::default(), &claim), "{value}");
        }
    }

    #[test]
    fn what_decides_what_a_container_does_is_not_an_addition() {
        let ours =
            json!({"name": "a", "image": "i", "securityContext": {"allowPrivilegeEscalation": false}, "tty": false});
        for (theirs, kept) in [
            (json!({"name": "a", "image": "i", "securityContext": {"allowPrivilegeEscalation": false}, "x": 1}), true),
            (json!({"name": "a", "image": "i", "securityContext": {}}), false),
            (
                json!({"name": "a", "image": "i", "securityContext": {"allowPrivilegeEscalation": false}, "command": ["x"]}),
                false,
            ),
        ] {
            assert_eq!(keeps(&theirs, &ours, Context::default()), kept, "{theirs}");
        }
    }
}
