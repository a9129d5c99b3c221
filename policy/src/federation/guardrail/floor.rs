//! What the containers of sidecars must say about their security, each for itself: the pod's own context is the user's.

use serde_json::Value;

use super::super::lists::{not_empty, some_texts};
use super::super::member::texts;
use super::known::Leaf;
use crate::read::{Node, Problems, describe};
use crate::schema::Schema;

/// What every container of a sidecar must say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Floor {
    /// Fields with the one value that is accepted.
    pub flags: Vec<(&'static str, bool)>,
    /// Capabilities that must be dropped.
    pub drop_capabilities: Vec<String>,
    /// The capabilities that may be added; `None` stands for any.
    pub add_capabilities: Option<Vec<String>>,
    /// The types of seccomp profile that are accepted; empty stands for any.
    pub seccomp_profiles: Vec<String>,
}

/// The fields that a floor can demand, with the safe value.
const FLAGS: [(&str, bool); 4] = [
    ("runAsNonRoot", true),
    ("readOnlyRootFilesystem", true),
    ("allowPrivilegeEscalation", false),
    ("privileged", false),
];

/// What is not said is as good as this (kubernetes: `core/v1` `SecurityContext`).
const PRIVILEGED_DEFAULT: bool = false;

impl Floor {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut floor = Self::default();
        for (key, safe) in FLAGS {
            let Some(field) = fields.optional(key) else { continue };
            match field.flag(problems) {
                Some(flag) if flag == safe => floor.flags.push((key, safe)),
                Some(flag) => problems.add_with_hint(
                    &field.pointer,
                    format!("expected {safe}, found {flag}: a floor demands what is safe"),
                    Some("leave the key out where both are allowed"),
                ),
                None => {}
            }
        }
        floor.drop_capabilities = some_texts(fields.optional("dropCapabilities"), problems);
        floor.add_capabilities = fields.optional("addCapabilities").map(|node| texts(&node, problems));
        let profiles = not_empty(fields.optional("seccompProfiles"), problems);
        floor.seccomp_profiles = profiles.map(|node| texts(&node, problems)).unwrap_or_default();
        fields.finish(problems);
        if node.value.as_object().is_some_and(serde_json::Map::is_empty) {
            problems.add(&node.pointer, "expected a demand such as `runAsNonRoot: true`");
        }
        Some(floor)
    }

    pub(super) fn schema() -> Schema {
        Schema::object(FLAGS.map(|(key, safe)| (key, Schema::only(&Value::Bool(safe))))).and([
            ("dropCapabilities", Schema::some_of(Schema::filled()).says("These must be dropped; ALL covers them.")),
            ("addCapabilities", Schema::list_of(Schema::filled()).says("No others may be added; [] is none.")),
            ("seccompProfiles", Schema::some_of(Schema::filled()).says("One of these types, said by the container.")),
        ])
    }

    /// What is wrong with a container, by place below it.
    pub(super) fn faults<'v>(&self, leaf: impl Fn(&[&'static str]) -> Leaf<'v>) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |path: &[&str], wants: String, found: Found<'_>| {
            faults.push((format!("/{}", path.join("/")), format!("wants {wants}, {found}")));
        };
        for (key, safe) in &self.flags {
            let path = ["securityContext", key];
            match leaf(&path) {
                Leaf::Known(value) if *value == Value::Bool(*safe) => {}
                Leaf::Missing if *key == "privileged" && *safe == PRIVILEGED_DEFAULT => {}
                other => fault(&path, format!("`{key}: {safe}`"), Found(other)),
            }
        }
        if !self.drop_capabilities.is_empty() {
            let path = ["securityContext", "capabilities", "drop"];
            let found = leaf(&path);
            let dropped = found.texts();
            let has = |name: &str| dropped.as_ref().is_some_and(|names| names.iter().any(|one| one == name));
            let missing: Vec<&str> =
                self.drop_capabilities.iter().map(String::as_str).filter(|name| !has(name) && !has(ALL)).collect();
            if !missing.is_empty() {
                fault(&path, format!("`{}` to be dropped", missing.join("`, `")), Found(found));
            }
        }
        if let Some(allowed) = &self.add_capabilities {
            let path = ["securityContext", "capabilities", "add"];
            let found = leaf(&path);
            let fits = match &found {
                Leaf::Missing => true,
                _ => found.texts().is_some_and(|names| names.iter().all(|name| allowed.contains(name))),
            };
            if !fits {
                let wants = match allowed.as_slice() {
                    [] => "no capability to be added".to_owned(),
                    names => format!("no capabilities to be added but `{}`", names.join("`, `")),
                };
                fault(&path, wants, Found(found));
            }
        }
        if !self.seccomp_profiles.is_empty() {
            let path = ["securityContext", "seccompProfile", "type"];
            let found = leaf(&path);
            let fits = matches!(&found, Leaf::Known(value)
                if value.as_str().is_some_and(|text| self.seccomp_profiles.iter().any(|one| one == text)));
            if !fits {
                fault(
                    &path,
                    format!("a seccomp profile of type `{}`", self.seccomp_profiles.join("` or `")),
                    Found(found),
                );
            }
        }
        faults
    }
}

/// Drops every capability.
const ALL: &str = "ALL";

/// What a container says, at the end of a message.
struct Found<'v>(Leaf<'v>);

impl std::fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Leaf::Missing => f.write_str("found nothing"),
            Leaf::Known(value) => match self.0.texts() {
                Some(texts) => write!(f, "found [{}]", texts.join(", ")),
                None => write!(f, "found {}", describe(value)),
            },
            Leaf::Depends => f.write_str("and an expression makes it for each pod, which proves nothing"),
        }
    }
}
