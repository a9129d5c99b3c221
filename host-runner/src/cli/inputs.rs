//! The objects that a command works on, as its arguments name them.

use clap::Args;

use crate::input::{Format, InputError, LargeLists, NamespaceLabels, Namespaces, Source, YamlText, expand, visit};

use super::exit::Failure;

/// Which objects.
#[derive(Debug, Args)]
pub(super) struct InputArguments {
    /// Files, folders, patterns such as 'apps/**/*.yaml', or `-` for standard input (the default)
    ///
    /// YAML with any number of documents, JSON, or JSON lines. In folders: *.yaml, *.yml, *.json, *.jsonl. A `List` is
    /// opened, an `AdmissionReview` is answered for the object in its request.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

/// What is known about the objects' namespaces.
#[derive(Debug, Args)]
pub(super) struct NamespaceArguments {
    /// The namespace of objects that name none
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    pub(super) namespace: String,
    /// The labels of a namespace, as NAME:key=value,key=value; may be repeated
    ///
    /// Namespace objects in the input are known too; where both name a namespace, this one counts.
    #[arg(long, value_name = "LABELS")]
    namespace_labels: Vec<NamespaceLabels>,
}

/// One opened input.
pub(super) enum Input {
    /// YAML is read whole.
    Yaml(YamlText),
    /// JSON is read value by value.
    Json(Source),
}

impl InputArguments {
    /// Opens every input. YAML that cannot be read stops the command before it has printed anything.
    pub(super) fn open(&self) -> Result<Vec<Input>, InputError> {
        open(&self.paths)
    }
}

/// Opens what arguments name.
pub(super) fn open(paths: &[String]) -> Result<Vec<Input>, InputError> {
    let open = |source: Source| match source.format {
        Format::Yaml => source.read_yaml().map(Input::Yaml),
        Format::Json => Ok(Input::Json(source)),
    };
    expand(paths)?.into_iter().map(open).collect()
}

impl NamespaceArguments {
    /// Every namespace of flags and inputs. A JSON stream can be read once only: its Namespaces count from where they
    /// stand.
    pub(super) fn namespaces(&self, inputs: &mut [Input]) -> Result<Namespaces, Failure> {
        let mut namespaces = Namespaces::from_flags(&self.namespace_labels);
        let mut note = |object: &mut serde_json::Value| {
            namespaces.note(object);
            Ok::<(), Failure>(())
        };
        for input in inputs {
            match input {
                Input::Yaml(yaml) => {
                    yaml.documents.iter_mut().try_for_each(|document| visit(&mut document.value, &mut note))?;
                }
                Input::Json(source) if source.is_stream() => {}
                Input::Json(source) => {
                    for located in source.read_json(LargeLists::Opened)? {
                        visit(&mut located?.value, &mut note)?;
                    }
                }
            }
        }
        Ok(namespaces)
    }
}
