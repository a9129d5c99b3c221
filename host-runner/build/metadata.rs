//! Writes the metadata that Kubewarden's tools expect into the module, as `kwctl annotate` would.

use std::error::Error;
use std::path::Path;

use serde_json::Value;
use wasm_encoder::{CustomSection, Section as _};

/// The custom section in which Kubewarden looks.
const SECTION: &str = "io.kubewarden.metadata";

/// Appends the metadata in the file `yaml` to `module`.
pub(crate) fn append(module: &mut Vec<u8>, yaml: &Path) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(yaml).map_err(|error| format!("cannot read {}: {error}", yaml.display()))?;
    let metadata: Value = serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", yaml.display()))?;
    expect(yaml, &metadata, "/protocolVersion", "v1")?;
    expect(yaml, &metadata, "/annotations/io.kubewarden.policy.version", env!("CARGO_PKG_VERSION"))?;

    CustomSection { name: SECTION.into(), data: serde_json::to_vec(&metadata)?.into() }.append_to(module);
    Ok(())
}

/// Fails unless `pointer` holds `expected`: policy-server refuses a module without the protocol, and a stale version
/// would be published under the wrong name.
fn expect(yaml: &Path, metadata: &Value, pointer: &str, expected: &str) -> Result<(), String> {
    match metadata.pointer(pointer) {
        Some(Value::String(found)) if found == expected => Ok(()),
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), Value::to_string);
            Err(format!("{}: {pointer} must be {expected:?}, found {found}", yaml.display()))
        }
    }
}
