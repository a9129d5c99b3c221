//! What a federation compiles to: a folder for each member with final YAML, and what tells where all of it comes from.
//!
//! | concept | file |
//! |---|---|
//! | the objects of one member, in steps | `member` |
//! | where a policy server fetches the module | `module` |
//! | what carries the folders to the members | `carrier` |
//! | `MANIFEST.json` | `manifest` |
//! | the folder on the disk | `place` |
//!
//! Invariants: everything but `place` is pure, and the same documents with the same flags give the same bytes.

mod carrier;
mod manifest;
mod member;
mod module;
mod place;

use std::collections::BTreeMap;

use fedcar_policy::digest::hex;
use fedcar_policy::federation::{Engine, Federation};
use fedcar_policy::settings::is_dns_label;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) use carrier::{Carrier, Repository};
pub(crate) use manifest::MANIFEST;
pub(crate) use member::{Install, MemberArtifact};
pub(crate) use module::{ModuleReference, NotPinned};
pub(crate) use place::{Change, Place, PlaceError};

use crate::yaml;

/// The files of a folder by their path below it, with `/` between the parts.
pub(crate) type Files = BTreeMap<String, String>;

/// All of it.
pub(crate) struct Artifact {
    /// Every file.
    pub(crate) files: Files,
    /// The guarantees that the carrier cannot keep.
    pub(crate) warnings: Vec<String>,
}

/// Puts the members together, for a carrier where there is one.
pub(crate) fn assemble(
    federation: &Federation,
    members: &mut [MemberArtifact],
    module: Option<&ModuleReference>,
    carrier: Option<&Carrier>,
) -> Artifact {
    let mut files = Files::new();
    for member in &mut *members {
        files.append(&mut member.files);
    }
    if let Some(carrier) = carrier {
        files.extend(carrier.files(members));
    }
    let manifest = manifest::write(federation, members, module, carrier, &files);
    files.insert(MANIFEST.to_owned(), manifest);
    Artifact { files, warnings: carrier.map(|carrier| carrier.losses(members)).unwrap_or_default() }
}

/// Whether a member's name can be that of a folder, of an Argo CD Application and of a namespace at once.
pub(crate) fn can_be_a_folder(name: &str) -> bool {
    name.len() <= 63 && name.split('.').all(is_dns_label)
}

/// `sha256:` and the hash of a content.
fn digest(content: impl AsRef<[u8]>) -> String {
    format!("sha256:{}", hex(Sha256::digest(content)))
}

/// How an engine is called in documents.
pub(crate) fn engine_name(engine: Engine) -> &'static str {
    match engine {
        Engine::Kubewarden => "kubewarden",
        Engine::HostRunner => "host-runner",
    }
}

/// YAML documents with a word on where they come from.
fn documents(comment: &str, objects: &[Value]) -> String {
    let documents: Vec<String> = objects.iter().map(yaml::write).collect();
    let head = "# Written by `fedcar compile`; write it anew instead of editing it.\n";
    format!("{head}{comment}{}", documents.join("---\n"))
}

/// A `kustomization.yaml` over files or folders.
fn kustomization(resources: &[&str]) -> String {
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    });
    documents("", &[kustomization])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_no_folders() {
        for (name, fits) in [
            ("eu-1", true),
            ("eu-1.prod", true),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("EU", false),
            ("_argo", false),
            (&*"a".repeat(64), false),
        ] {
            assert_eq!(can_be_a_folder(name), fits, "{name}");
        }
    }
}
