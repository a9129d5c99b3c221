//! One pair from reading to verdict.

use serde_json::Value;

use super::bundle::{Bundle, Pair, objects_of};
use super::difference::{Difference, differences};
use super::inject::{inject, without_marker};
use super::normal::normal;
use super::promises::broken;

/// What became of a pair.
#[derive(Debug, Default)]
pub struct Report {
    /// Why it could not be run, one problem a line.
    pub trouble: Option<String>,
    /// Where the result differs from what is expected.
    pub differences: Vec<Difference>,
    /// Which promises are broken.
    pub broken: Vec<String>,
    /// What the decision said of each sidecar that was not simply injected.
    pub told: Vec<String>,
    /// What was expected, as it is compared.
    pub expected: Vec<Value>,
    /// What was found, as it is compared.
    pub found: Vec<Value>,
}

impl Report {
    /// Whether the result is the expected one.
    pub fn passed(&self) -> bool {
        self.trouble.is_none() && self.differences.is_empty()
    }
}

/// Runs one pair.
pub fn run(bundle: &Bundle, pair: &Pair) -> Report {
    let mut report = Report::default();
    if let Err(trouble) = fill(&mut report, bundle, pair) {
        report.trouble = Some(trouble);
    }
    report
}

fn fill(report: &mut Report, bundle: &Bundle, pair: &Pair) -> Result<(), String> {
    let settings = bundle.settings(bundle.member(&pair.name))?;
    let objects = objects_of(&pair.folder.join("input.yaml"))?;
    let expected = expected(bundle, pair, &objects)?;
    let (namespaces, default) = bundle.namespaces(&pair.name, &objects);
    let namespaces = (&namespaces, default);
    if expected.len() != objects.len() {
        return Err(format!("expected {} objects, found {}", expected.len(), objects.len()));
    }
    for (index, (object, expected)) in objects.iter().zip(&expected).enumerate() {
        let injected = inject(&settings, namespaces, object);
        let mut found = injected.object;
        without_marker(&mut found, object);
        let (expected, found) = (normal(expected), normal(&found));
        for mut difference in differences(&expected, &found) {
            if objects.len() > 1 {
                difference.pointer.insert_str(0, &format!("object {index} "));
            }
            report.differences.push(difference);
        }
        report.expected.push(expected);
        report.found.push(found);
        report.told.extend(injected.told);
        report.broken.extend(broken(&settings, namespaces, object));
    }
    Ok(())
}

/// What the other injector makes of the objects: a file, or a patch in an annotation of the object; without either,
/// what came.
fn expected(bundle: &Bundle, pair: &Pair, objects: &[Value]) -> Result<Vec<Value>, String> {
    let file = pair.folder.join("expected.yaml");
    if file.is_file() {
        let expected = objects_of(&file)?;
        // An injector that refuses prints nothing.
        return Ok(if expected.is_empty() { objects.to_vec() } else { expected });
    }
    let patched = |object: &Value| {
        let annotations = object.pointer("/metadata/annotations");
        let patch = bundle.expected_patch.as_ref().and_then(|key| annotations?.get(key)?.as_str());
        let mut object = object.clone();
        if let Some(patch) = patch.filter(|patch| !patch.is_empty()) {
            let patch: json_patch::Patch = serde_json::from_str(patch).map_err(|error| error.to_string())?;
            json_patch::patch(&mut object, &patch).map_err(|error| error.to_string())?;
        }
        Ok(object)
    };
    objects.iter().map(patched).collect()
}
