//! Objects in, changed objects out: what `inject` and `uninject` have in common.

use std::io::{self, Write as _};

use clap::Args;
use serde_json::Value;
use serde_json::value::RawValue;

use super::exit::{Exit, Failure};
use super::inputs::Input;
use crate::admission::{apply, review_request};
use crate::input::{LargeLists, visit};
use crate::output::{Documents, Item, Output};

/// How the result is printed.
#[derive(Debug, Args)]
pub(super) struct OutputArguments {
    /// The form of the result [default: yaml, or json where every input is JSON]
    #[arg(long, short, value_enum, value_name = "FORM")]
    output: Option<Output>,
}

/// What is to be done with one object.
pub(super) enum Edit {
    /// It stays as it is.
    Keep,
    /// It is changed by a JSON Patch.
    Patch(Box<RawValue>),
    /// It must not be printed; why has been said.
    Withhold(Exit),
}

/// Prints every object of the inputs as `decide` wants it, and returns the worst that happened.
pub(super) fn run(
    inputs: Vec<Input>,
    arguments: &OutputArguments,
    decide: impl FnMut(&Value, &str) -> Result<Edit, Failure>,
) -> Result<Exit, Failure> {
    let default =
        || if inputs.iter().all(|input| matches!(input, Input::Json(_))) { Output::Json } else { Output::Yaml };
    let output = arguments.output.unwrap_or_else(default);
    let mut editor = Editor { decide, output, stdout: io::stdout().lock(), worst: Exit::Done };
    let mut documents = Documents::default();
    for input in inputs {
        match input {
            Input::Yaml(yaml) => {
                let mut replacements = Vec::new();
                for mut document in yaml.documents {
                    if editor.edit(&mut document.value, &yaml.file, document.line)? {
                        replacements.push((document.range, document.value));
                    }
                }
                documents.add_text(&yaml.text, &replacements);
            }
            Input::Json(source) => {
                let file = source.name();
                // A document of YAML comes out as it was, so a list stays one.
                let lists = if output == Output::Yaml { LargeLists::Whole } else { LargeLists::Opened };
                for located in source.read_json(lists)? {
                    let mut located = located?;
                    editor.edit(&mut located.value, &file, located.line)?;
                    if output == Output::Yaml {
                        documents.add_value(&located.value);
                    }
                }
            }
        }
    }
    if output == Output::Yaml && editor.worst == Exit::Done {
        let written = editor.stdout.write_all(documents.as_bytes()).and_then(|()| editor.stdout.flush());
        written.map_err(Failure::stdout)?;
    }
    Ok(editor.worst)
}

struct Editor<D> {
    decide: D,
    output: Output,
    stdout: io::StdoutLock<'static>,
    worst: Exit,
}

impl<D: FnMut(&Value, &str) -> Result<Edit, Failure>> Editor<D> {
    /// Edits the objects of a document; true where that changed it.
    fn edit(&mut self, document: &mut Value, file: &str, line: u32) -> Result<bool, Failure> {
        let place = format!("{file}:{line}");
        let mut changed = false;
        visit(document, &mut |object| {
            let edit = if is_kubernetes_object(object) { (self.decide)(object, &place)? } else { Edit::Keep };
            let patch = match edit {
                Edit::Keep => None,
                Edit::Patch(patch) => Some(patch),
                Edit::Withhold(because) => {
                    self.worst = self.worst.max(because);
                    return Ok(());
                }
            };
            changed |= patch.is_some() | unwrap_review(object);
            let before = (self.output.compares() && patch.is_some()).then(|| object.clone());
            if let Some(patch) = &patch {
                apply(object, patch).map_err(|source| Failure::Patch { place: place.clone(), source })?;
            }
            let item = Item { place: &place, before: before.as_ref(), after: object, patch: patch.as_deref() };
            self.output.print(&mut self.stdout, &item).map_err(Failure::stdout)
        })?;
        Ok(changed)
    }
}

/// Whether the module can be asked about it. What kinds it knows is its own affair.
pub(super) fn is_kubernetes_object(value: &Value) -> bool {
    ["apiVersion", "kind"].iter().all(|key| value.get(key).is_some_and(Value::is_string))
}

/// Puts the object of an `AdmissionReview` in the place of the review; true where there was one.
fn unwrap_review(object: &mut Value) -> bool {
    if review_request(object).is_none() {
        return false;
    }
    match object.pointer_mut("/request/object").map(Value::take) {
        Some(inner @ Value::Object(_)) => {
            *object = inner;
            true
        }
        _ => false,
    }
}
