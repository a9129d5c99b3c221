//! `MANIFEST.json`: what was compiled, from what, by which version, and where each chosen value was said.

use fedcar_policy::federation::Federation;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Carrier, Files, MemberArtifact, ModuleReference, digest, engine_name};
use crate::engine::MODULE;

/// The file by which a folder is known to be ours.
pub(crate) const MANIFEST: &str = "MANIFEST.json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'m> {
    /// The version of this form.
    format: u8,
    compiler: Compiler,
    federation: &'m str,
    /// The content hash of the documents.
    revision: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<&'static str>,
    module: Module<'m>,
    members: Map<String, Value>,
    /// Every other file of the folder with its hash.
    files: Map<String, Value>,
}

#[derive(Serialize)]
struct Compiler {
    name: &'static str,
    version: &'static str,
}

/// The module by whose code the settings were judged, and where policy servers fetch it.
#[derive(Serialize)]
struct Module<'m> {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'m str>,
}

#[derive(Serialize)]
struct Member<'m> {
    engine: &'static str,
    /// The hash of the member's own files: what a cluster can be compared with.
    revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<&'m str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'m [String],
    provenance: &'m Map<String, Value>,
}

/// The text of the file.
pub(super) fn write(
    federation: &Federation,
    members: &[MemberArtifact],
    module: Option<&ModuleReference>,
    carrier: Option<&Carrier>,
    files: &Files,
) -> String {
    let hashes: Map<String, Value> =
        files.iter().map(|(path, text)| (path.clone(), Value::from(digest(text)))).collect();
    let members = members
        .iter()
        .map(|member| {
            let entry = Member {
                engine: engine_name(member.engine),
                revision: revision(&member.name, &hashes),
                facts: member.facts.as_deref(),
                notes: &member.notes,
                provenance: &member.provenance,
            };
            (member.name.clone(), value(&entry))
        })
        .collect();
    let manifest = value(&Manifest {
        format: 1,
        compiler: Compiler { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
        federation: federation.name(),
        revision: federation.revision(),
        carrier: carrier.map(Carrier::name),
        module: Module { digest: digest(MODULE), reference: module.map(ModuleReference::as_str) },
        members,
        files: hashes,
    });
    format!("{manifest:#}\n")
}

/// The hash of all files below a member's folder.
fn revision(member: &str, hashes: &Map<String, Value>) -> String {
    let folder = format!("{member}/");
    let own: Map<String, Value> =
        hashes.iter().filter_map(|(path, hash)| Some((path.strip_prefix(&folder)?.to_owned(), hash.clone()))).collect();
    digest(Value::Object(own).to_string())
}

/// Texts, lists and maps with text keys, which cannot fail.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}
