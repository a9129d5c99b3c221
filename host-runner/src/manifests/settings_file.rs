//! The settings as the `ConfigMap` holds them: bounded, because they travel whole through the API server and into memory.

use fedcar_policy::settings::LARGEST_SETTINGS_BYTES;
use serde_json::Value;

use super::ManifestError;
use crate::yaml;

/// What the API server takes as the data of one `ConfigMap` (kubernetes: `MaxSecretSize`), less the name of the key.
const LARGEST_DATA_BYTES: usize = (1 << 20) - 64;
/// How many parts a message names.
const NAMED_PARTS: usize = 3;

/// YAML, because people read it with `kubectl get configmap -o yaml`.
pub(super) fn write(settings: &Value) -> Result<String, ManifestError> {
    let bytes = settings.to_string().len();
    let text = yaml::write(settings);
    for (form, bytes, limit) in [("JSON", bytes, LARGEST_SETTINGS_BYTES), ("YAML", text.len(), LARGEST_DATA_BYTES)] {
        if bytes > limit {
            return Err(ManifestError::TooLarge { form, bytes, limit, largest: largest(settings) });
        }
    }
    Ok(text)
}

/// The largest sidecars and other top-level parts, in bytes of JSON.
fn largest(settings: &Value) -> String {
    let mut parts: Vec<(usize, String)> = Vec::new();
    for (key, value) in settings.as_object().into_iter().flatten() {
        if key == "sidecars" {
            for sidecar in value.as_array().into_iter().flatten() {
                let name = sidecar.get("name").and_then(Value::as_str).unwrap_or_default();
                parts.push((sidecar.to_string().len(), format!("sidecar {name}")));
            }
        } else {
            parts.push((value.to_string().len(), key.clone()));
        }
    }
    parts.sort_by(|left, right| right.cmp(left));
    let named: Vec<String> = parts.iter().take(NAMED_PARTS).map(|(bytes, name)| format!("{name} {bytes}")).collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_large_names_its_largest_parts() {
        let sidecar = |name: &str, bytes: usize| json!({"name": name, "inject": {"labels": {"x": "y".repeat(bytes)}}});
        let sidecars = [sidecar("small", 10), sidecar("large", 400_000), sidecar("middle", 200_000)];
        let settings = json!({"cluster": {"name": "eu-1"}, "variables": {"a": "b".repeat(1000)}, "sidecars": sidecars});
        let message = write(&settings).expect_err("an error").to_string();
        let largest = "the largest parts: sidecar large 400045, sidecar middle 200046, variables 1008";
        assert!(message.ends_with(largest), "{message}");
        assert!(message.contains("the limit is 524288"), "{message}");
    }

    #[test]
    fn what_indentation_makes_too_large_is_found_too() {
        let deep = (0..100).fold(json!(vec![0; 4000]), |inner, _| json!({"a": inner}));
        let settings = json!({"variables": {"x": vec![deep; 3]}});
        assert!(matches!(write(&settings), Err(ManifestError::TooLarge { form: "YAML", .. })));
    }
}
