//! A bundle, and the pairs that are tried on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fedcar::documents::{self, Loaded};
use fedcar::input::{Namespaces, visit};
use fedcar::yaml;
use fedcar_policy::settings::Settings;
use serde_json::{Value, json};

/// One project's documents and what is said about its pairs.
#[derive(Debug)]
pub struct Bundle {
    loaded: Loaded,
    namespaces: Vec<Value>,
    /// The namespace of objects that name none.
    namespace: String,
    /// The same for pairs whose upstream test ran in another one.
    own_namespaces: BTreeMap<String, String>,
    /// The member for pairs that name none.
    default: String,
    /// Pairs whose upstream test ran with another configuration than the others.
    members: BTreeMap<String, String>,
    /// Pairs that are known to differ, and why.
    pub differences: BTreeMap<String, String>,
    /// The annotation that holds the expected JSON Patch, where pairs have no file with what is expected.
    pub(super) expected_patch: Option<String>,
}

/// A folder with `input.yaml` and mostly `expected.yaml`.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Its path below the project's folder.
    pub name: String,
    /// Where it stands.
    pub folder: PathBuf,
}

impl Bundle {
    /// Reads the documents below a folder, and what its `cases` say.
    ///
    /// # Errors
    ///
    /// What is wrong with the documents, one problem a line.
    pub fn load(folder: &Path) -> Result<Self, String> {
        let loaded = documents::load(folder, documents::today()).map_err(|problems| lines(&problems))?;
        let mut read = documents_of(&folder.join("cases/pairs.yaml"))?.into_iter();
        let (Some(Value::Object(mut said)), None) = (read.next(), read.next()) else {
            return Err("pairs.yaml: expected one object".to_owned());
        };
        let mut take = |key: &str| said.shift_remove(key).unwrap_or_default();
        let bundle = Self {
            loaded,
            namespaces: documents_of(&folder.join("cases/namespaces.yaml"))?,
            namespace: text(&take("namespace")).unwrap_or_else(|| "default".to_owned()),
            own_namespaces: texts(&take("namespaces")),
            default: text(&take("default")).ok_or("pairs.yaml: expected `default` to name a member")?,
            members: texts(&take("members")),
            differences: texts(&take("differences")),
            expected_patch: text(&take("expectedPatch")),
        };
        match said.keys().next() {
            Some(key) => Err(format!("pairs.yaml: unknown key `{key}`")),
            None => Ok(bundle),
        }
    }

    /// Everything that is wrong for any of its members, one problem a line.
    pub fn problems(&self) -> Option<String> {
        let problems = self.loaded.check(&[]);
        (!problems.is_empty()).then(|| lines(&problems))
    }

    /// The members that pairs run with, as `pairs.yaml` names them.
    pub fn members(&self) -> BTreeSet<&str> {
        self.members.values().chain([&self.default]).map(String::as_str).collect()
    }

    /// The member that a pair runs with.
    pub fn member(&self, pair: &str) -> &str {
        self.members.get(pair).unwrap_or(&self.default)
    }

    /// The settings of a member.
    ///
    /// # Errors
    ///
    /// Why they cannot be compiled, one problem a line.
    pub fn settings(&self, member: &str) -> Result<Settings, String> {
        let (settings, _) = self.loaded.settings(member).map_err(|problems| lines(&problems))?;
        Settings::read(&settings)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    /// The namespaces of the bundle and of a pair's input, and the one for objects that name none.
    ///
    /// One that nobody describes has neither labels nor annotations: the upstream tests know no others.
    pub(super) fn namespaces(&self, pair: &str, objects: &[Value]) -> (Namespaces, &str) {
        let default = self.own_namespaces.get(pair).unwrap_or(&self.namespace);
        let named = objects.iter().filter_map(|object| object.pointer("/metadata/namespace")?.as_str());
        let mut namespaces = Namespaces::default();
        for name in named.chain([default.as_str()]) {
            namespaces.note(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        }
        for object in self.namespaces.iter().chain(objects) {
            namespaces.note(object);
        }
        (namespaces, default)
    }
}

/// Every pair below a project's folder, in the order of names.
pub fn pairs(folder: &Path) -> Vec<Pair> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<Pair>) {
        let mut entries: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        if folder.join("input.yaml").is_file() {
            let below = folder.strip_prefix(root).unwrap_or(folder);
            found.push(Pair { name: below.display().to_string(), folder: folder.to_owned() });
        }
        for entry in entries.iter().filter(|entry| entry.is_dir()) {
            walk(root, entry, found);
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found
}

/// Every object of a file, with lists opened.
pub(super) fn objects_of(path: &Path) -> Result<Vec<Value>, String> {
    let mut objects = Vec::new();
    for mut document in documents_of(path)? {
        let opened: Result<(), std::convert::Infallible> = visit(&mut document, &mut |object| {
            objects.push(object.take());
            Ok(())
        });
        match opened {
            Ok(()) => {}
        }
    }
    Ok(objects)
}

fn documents_of(path: &Path) -> Result<Vec<Value>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let read = yaml::read(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(read.into_iter().map(|document| document.value).collect())
}

fn lines(problems: &[fedcar::problem::Diagnostic]) -> String {
    problems.iter().map(|problem| format!("{}: {}", problem.place(), problem.message)).collect::<Vec<_>>().join("\n")
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}
