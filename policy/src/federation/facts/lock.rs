//! `fedcar.lock`: the facts of every member as they were found, and what image references stood for, so that a compile
//! needs no network and gives the same bytes again.
//!
//! Invariant: the same content is the same value, keys sorted, and `hash` is of all that stands beside it. What people
//! know better belongs into the Federation as pins, which win ([`Facts::over`]); so a lock that was edited is refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Facts;
use crate::digest::hex;
use crate::federation::member::texts;
use crate::read::{Node, Problem, Problems, clip};

/// The name of the file, beside the documents.
pub const LOCK_FILE: &str = "fedcar.lock";

/// The version of the file's format.
const LOCK_VERSION: u64 = 1;

/// What was found out about members and images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    members: BTreeMap<String, Facts>,
    images: BTreeMap<String, Image>,
}

/// What an image reference stood for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The digest of its index or manifest.
    pub digest: Option<String>,
    /// What it runs on, as `linux/arm64`; empty where that is unknown.
    pub platforms: Vec<String>,
}

impl Lock {
    /// Reads a lock.
    ///
    /// # Errors
    ///
    /// Every problem at once, each with its place; also where the content is not what the hash says.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let lock = Self::read_all(value, &mut problems);
        match lock {
            Some(lock) if problems.is_empty() => Ok(lock),
            _ => Err(problems.into_vec()),
        }
    }

    fn read_all(value: &Value, problems: &mut Problems) -> Option<Self> {
        let mut fields = Node::root(value).fields(problems)?;
        if let Some(version) = fields.required("lockVersion", problems) {
            version.integer(LOCK_VERSION, LOCK_VERSION, problems);
        }
        let hash = fields.required("hash", problems).and_then(|node| node.filled_text(problems));
        let mut lock = Self::default();
        for (name, node) in fields.optional("members").and_then(|node| node.entries(problems)).into_iter().flatten() {
            lock.members.extend(Facts::read(&node, problems).map(|facts| (name.to_owned(), facts)));
        }
        for (name, node) in fields.optional("images").and_then(|node| node.entries(problems)).into_iter().flatten() {
            lock.images.extend(Image::read(&node, problems).map(|image| (name.to_owned(), image)));
        }
        fields.finish(problems);
        let found = lock.hash();
        if let Some(hash) = hash.filter(|hash| problems.is_empty() && **hash != found) {
            problems.add_with_hint(
                "/hash",
                format!("expected {found}, the hash of what stands beside it, found `{}`", clip(hash)),
                Some("nobody edits this file: facts that you know stand as `facts` of the member in the Federation"),
            );
        }
        Some(lock)
    }

    /// The lock as it is written: keys sorted, with its hash.
    pub fn to_value(&self) -> Value {
        let mut content = self.content();
        content.insert("hash".to_owned(), Value::from(self.hash()));
        content.sort_keys();
        Value::Object(content)
    }

    /// The content hash of everything in it: `sha256:` and 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        format!("sha256:{}", hex(Sha256::digest(Value::Object(self.content()).to_string())))
    }

    fn content(&self) -> Map<String, Value> {
        let members = self.members.iter().map(|(name, facts)| (name.clone(), facts.to_value()));
        let images = self.images.iter().map(|(name, image)| (name.clone(), image.to_value()));
        let mut content = Map::new();
        content.insert("images".to_owned(), Value::Object(images.collect()));
        content.insert("lockVersion".to_owned(), Value::from(LOCK_VERSION));
        content.insert("members".to_owned(), Value::Object(members.collect()));
        content
    }

    /// What was found out about a member.
    pub fn facts(&self, member: &str) -> Option<&Facts> {
        self.members.get(member)
    }

    /// The members of which something is known, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Facts)> {
        self.members.iter().map(|(name, facts)| (name.as_str(), facts))
    }

    /// Puts the facts of a member in place of older ones.
    ///
    /// # Errors
    ///
    /// Every problem of the facts, which are of the form that `facts` of a member has.
    pub fn set_facts(&mut self, member: &str, facts: &Value) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        let facts = Facts::read(&Node::root(facts), &mut problems);
        match facts {
            Some(facts) if problems.is_empty() => {
                self.members.insert(member.to_owned(), facts);
                Ok(())
            }
            _ => Err(problems.into_vec()),
        }
    }

    /// Puts what was found out about a member now in place of what was known, and tells what of it cannot be read: that
    /// stays unknown, which is better than to lose the rest.
    ///
    /// Where nothing else has changed `taken` stays too, so that a lock changes only where a verdict can.
    pub fn renew_facts(&mut self, member: &str, mut found: Value, taken: &str) -> Vec<Problem> {
        let mut unread = Vec::new();
        let mut facts = loop {
            let mut problems = Problems::default();
            let facts = Facts::read(&Node::root(&found), &mut problems).unwrap_or_default();
            if problems.is_empty() {
                break facts;
            }
            for problem in problems.into_vec() {
                leave_out(&mut found, &problem.pointer);
                unread.push(problem);
            }
        };
        let mut known = self.members.get(member).map(|facts| facts.written.clone()).unwrap_or_default();
        known.shift_remove("taken");
        if known != facts.written {
            facts.taken = Some(taken.to_owned());
            facts.written.insert("taken".to_owned(), Value::from(taken));
            facts.written.sort_keys();
            self.members.insert(member.to_owned(), facts);
        }
        unread
    }

    /// Leaves out the members that are not among these.
    pub fn retain_members(&mut self, keep: impl Fn(&str) -> bool) {
        self.members.retain(|name, _| keep(name));
    }

    /// Images by their references.
    pub fn images(&self) -> &BTreeMap<String, Image> {
        &self.images
    }

    /// Puts what a reference stands for in place of what it stood for.
    pub fn set_image(&mut self, reference: impl Into<String>, image: Image) {
        self.images.insert(reference.into(), image);
    }

    /// Leaves out the images whose references are not among these, and names them.
    pub fn retain_images(&mut self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let dropped: Vec<String> = self.images.keys().filter(|name| !keep(name)).cloned().collect();
        self.images.retain(|name, _| keep(name));
        dropped
    }
}

/// Takes the fact away that a place is in. A namespace itself stays: one that is not listed would not exist.
fn leave_out(facts: &mut Value, pointer: &str) {
    let depth = if pointer.starts_with("/namespaces/") { 3 } else { 1 };
    let end = pointer.match_indices('/').map(|(at, _)| at).nth(depth).unwrap_or(pointer.len());
    let fact = pointer.get(..end).unwrap_or(pointer);
    let Some((parent, key)) = fact.rsplit_once('/') else {
        *facts = json!({});
        return;
    };
    if let Some(Value::Object(parent)) = facts.pointer_mut(parent) {
        parent.shift_remove(key);
    }
}

impl Image {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let digest = fields.optional("digest").and_then(|node| node.filled_text(problems)).map(str::to_owned);
        let platforms = fields.optional("platforms").map(|node| texts(&node, problems)).unwrap_or_default();
        fields.finish(problems);
        Some(Self { digest, platforms })
    }

    fn to_value(&self) -> Value {
        let mut value = Map::new();
        value.extend(self.digest.as_ref().map(|digest| ("digest".to_owned(), json!(digest))));
        if !self.platforms.is_empty() {
            value.insert("platforms".to_owned(), json!(self.platforms));
        }
        Value::Object(value)
    }
}
