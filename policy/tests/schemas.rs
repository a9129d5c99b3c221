//! The JSON Schemas in `docs/schemas` are written from the code (`BLESS=1 cargo test -p fedcar-policy --test schemas`),
//! and say what the readers say: neither refuses a key, a type or a word that the other takes.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking, and read files"
)]

use std::fs;
use std::path::{Path, PathBuf};

use fedcar_policy::federation::{self, Date, Source, SourceProblem};
use jsonschema::Validator;
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn today() -> Date {
    "2026-07-01".parse().unwrap()
}

/// The validator of each kind.
struct Schemas(Vec<(&'static str, Validator)>);

impl Schemas {
    fn new() -> Self {
        let compile = |(kind, schema): (&'static str, Value)| {
            let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema);
            (kind, validator.unwrap_or_else(|error| panic!("{kind}: {error}")))
        };
        Self(federation::schemas().map(compile).collect())
    }

    /// What is wrong with a document by the schema of its kind; one of no known kind is wrong as a whole.
    fn faults(&self, document: &Value) -> Vec<String> {
        let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
        match self.0.iter().find(|(name, _)| *name == kind) {
            None => vec![format!("no schema for the kind `{kind}`")],
            Some((_, validator)) => {
                validator.iter_errors(document).map(|error| format!("{} {error}", error.instance_path())).collect()
            }
        }
    }
}

/// The documents of a text; `None` where it is no YAML.
fn documents(text: &str) -> Option<Vec<Value>> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_multiple_with_options::<Value>(text, options).ok()
}

/// Every file below a folder with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|one| endings.iter().any(|ending| one == *ending)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn is_ours(document: &Value) -> bool {
    document.get("apiVersion").and_then(Value::as_str).is_some_and(|version| version.starts_with("fedcar.dev/"))
}

#[test]
fn the_committed_schemas_are_those_of_the_code() {
    let folder = root().join("docs/schemas");
    let bless = std::env::var_os("BLESS").is_some();
    let mut names = Vec::new();
    for (kind, schema) in federation::schemas() {
        assert!(jsonschema::draft202012::meta::is_valid(&schema), "{kind} is no schema of draft 2020-12");
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = folder.join(format!("{kind}.json"));
        if bless {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{} is not what the code says: run with BLESS=1", path.display());
        names.push(path);
    }
    names.sort();
    assert_eq!(files(&folder, &["json"]), names, "a schema of no kind");
}

/// Catalogue, examples, parity, cookbook, what `fedcar init` writes, and what the documentation shows.
#[test]
fn every_valid_document_of_the_repository_validates() {
    let schemas = Schemas::new();
    let mut count = 0;
    let mut check = |path: &Path, text: &str| {
        let found = documents(text).unwrap_or_else(|| panic!("{} is no YAML", path.display()));
        for document in found.iter().filter(|document| is_ours(document)) {
            let faults = schemas.faults(document);
            assert!(faults.is_empty(), "{}: {}", path.display(), faults.join("\n"));
            count += 1;
        }
    };
    for folder in
        ["policies", "host-runner/src/cli/init", "host-runner/tests/documents/valid", "policy/tests/documents"]
    {
        for path in files(&root().join(folder), &["yaml", "yml"]) {
            check(&path, &fs::read_to_string(&path).unwrap());
        }
    }
    for path in files(&root().join("docs"), &["md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if block.starts_with("apiVersion: fedcar.dev/") && !block.contains("spec: {}") {
                check(&path, block);
            }
        }
    }
    assert!(count > 50, "only {count} documents: the test looks in the wrong place");
}

/// Folders whose diagnostics are about something that no schema of one document can know.
const BEYOND_A_SCHEMA: [(&str, &str); 5] = [
    ("duplicate-key", "the YAML itself"),
    ("empty-folder", "there is no document"),
    ("guardrail-overrides", "a bound whose type is that of another document"),
    ("misspelt-fields", "the types of Kubernetes, which the schemas leave to it"),
    ("yaml-syntax", "the YAML itself"),
];

#[test]
fn what_fails_for_its_shape_fails_the_schema() {
    let schemas = Schemas::new();
    let folders = root().join("host-runner/tests/documents");
    for folder in fs::read_dir(&folders).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let expected = fs::read_to_string(folder.join("expected.txt")).unwrap();
        let mut faults = Vec::new();
        for path in files(&folder, &["yaml", "yml"]) {
            for document in documents(&fs::read_to_string(&path).unwrap()).unwrap_or_default() {
                faults.extend(schemas.faults(&document));
            }
        }
        let is_shape = expected
            .lines()
            .filter(|line| line.starts_with("error"))
            .any(|line| ["unknown key", "expected", "is missing"].iter().any(|word| line.contains(word)));
        let beyond = BEYOND_A_SCHEMA.iter().find(|(one, _)| *one == name);
        assert_eq!(is_shape && beyond.is_none(), !faults.is_empty(), "{name}: {faults:?}\n{expected}");
    }
}

/// All kinds with all keys, in the order of the documents.
fn every_key() -> Vec<Value> {
    documents(&fs::read_to_string(root().join("policy/tests/documents/all.yaml")).unwrap()).unwrap()
}

fn read(documents: &[Value]) -> Vec<SourceProblem> {
    let source =
        |(index, value): (usize, &Value)| Source { file: format!("{index}.yaml"), line: 1, value: value.clone() };
    let sources: Vec<Source> = documents.iter().enumerate().map(source).collect();
    match federation::read(&sources) {
        Ok(federation) => {
            let compiled = federation.members().filter_map(|member| federation.compile_for(member, today()).err());
            compiled.flatten().chain(federation.check_unselected(today())).collect()
        }
        Err(problems) => problems,
    }
}

/// Every pointer into a value, the deepest last.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        pointers(child, &format!("{at}/{key}"), found);
    }
}

#[test]
fn the_sample_is_valid() {
    assert_eq!(read(&every_key()), []);
}

/// An object of the sample with a key that nobody knows: both must refuse it, or neither; and where the reader's hint
/// lists the keys that it knows, the schema must have the same.
#[test]
fn schemas_and_readers_know_the_same_keys() {
    const STRANGER: &str = "zzzzzzzzzzzz";
    let schemas = Schemas::new();
    let written: Vec<(&str, Value)> = federation::schemas().collect();
    let sample = every_key();
    let mut compared = 0;
    for (index, document) in sample.iter().enumerate() {
        let mut places = Vec::new();
        pointers(document, "", &mut places);
        for at in places.iter().filter(|at| document.pointer(at).unwrap().is_object()) {
            let mut changed = sample.clone();
            changed[index].pointer_mut(at).unwrap()[STRANGER] = json!("1");
            let place = format!("{at}/{STRANGER}");
            let mut problems = read(&changed);
            let here = [place.as_str(), at.as_str()];
            problems.retain(|found| found.document == Some(index) && here.contains(&found.problem.pointer.as_str()));
            let found =
                problems.iter().find(|found| found.problem.pointer == place && found.problem.message == "unknown key");
            let faults = schemas.faults(&changed[index]);
            assert_eq!(problems.is_empty(), faults.is_empty(), "{} {place}: {problems:?} {faults:?}", document["kind"]);
            if let Some(hint) = found.and_then(|found| found.problem.hint.as_deref()) {
                let mut known: Vec<&str> = hint.strip_prefix("expected one of ").unwrap().split(", ").collect();
                let kind = document["kind"].as_str().unwrap();
                let schema = &written.iter().find(|(one, _)| *one == kind).unwrap().1;
                let mut schemas = vec![schema];
                for token in at.split('/').skip(1) {
                    schemas = schemas.into_iter().flat_map(|schema| below(schema, token)).collect();
                }
                let object = schemas.into_iter().find_map(|schema| schema.get("properties")?.as_object());
                let mut properties: Vec<&str> = object.unwrap().keys().map(String::as_str).collect();
                known.sort_unstable();
                properties.sort_unstable();
                assert_eq!(properties, known, "{kind} {at}");
                compared += 1;
            }
        }
    }
    assert!(compared > 60, "only {compared} objects were compared");
}

/// What a schema says about a child.
fn below<'s>(schema: &'s Value, token: &str) -> Vec<&'s Value> {
    let direct = [schema.get("properties").and_then(|properties| properties.get(token)), schema.get("items")];
    let found = direct.into_iter().flatten().chain(schema.get("additionalProperties").filter(|one| one.is_object()));
    let nested: Vec<&Value> = found.collect();
    nested.into_iter().flat_map(alternatives).collect()
}

fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(any) => any.iter().flat_map(alternatives).collect(),
        None => vec![schema],
    }
}

/// What a reader finds and a schema cannot: names elsewhere, and what hangs on a second value.
const BEYOND_ONE_VALUE: [&str; 9] = [
    "no Sidecar is named",
    "no member is named",
    "the Sidecar `",
    "the Guardrail `",
    "this policy has no",
    "expected a label value",
    "expected a rule: one of",
    "expected a demand such as",
    "/spec/overrides/",
];

/// What a schema refuses the reader refuses too: an editor must never find fault with a document that is valid.
#[test]
fn schemas_refuse_nothing_that_readers_take() {
    let schemas = Schemas::new();
    let sample = every_key();
    let probes = [json!(true), json!(7.5), json!("zz zz"), json!(""), json!([]), json!({})];
    let (mut refused, mut missed): (usize, Vec<String>) = (0, Vec::new());
    for (index, document) in sample.iter().enumerate() {
        let mut places = Vec::new();
        pointers(document, "", &mut places);
        // Types of Kubernetes are judged where its types are known, which is not here.
        let is_kubernetes = |at: &str| at.contains("/containers/") && (at.ends_with("/name") || at.ends_with("/image"));
        for at in places.iter().filter(|at| !at.is_empty() && !is_kubernetes(at)) {
            for probe in &probes {
                let mut changed = sample.clone();
                *changed[index].pointer_mut(at).unwrap() = probe.clone();
                let faults = schemas.faults(&changed[index]);
                let problems = read(&changed);
                assert!(faults.is_empty() || !problems.is_empty(), "{} {at} = {probe}: {faults:?}", document["kind"]);
                refused += usize::from(!faults.is_empty());
                let own = problems.iter().find(|found| found.document == Some(index) && found.problem.pointer == **at);
                if let Some(own) = own.filter(|_| faults.is_empty()) {
                    missed.push(format!("{} {at} = {probe}: {}", document["kind"], own.problem.message));
                }
            }
        }
    }
    assert!(refused > 2000, "only {refused} were refused");
    let unexplained: Vec<&String> =
        missed.iter().filter(|line| !BEYOND_ONE_VALUE.iter().any(|known| line.contains(known))).collect();
    assert!(unexplained.is_empty(), "the schemas could know:\n{unexplained:#?}");
}
