//! What one version of a sidecar certainly puts into a pod, as far as it can be told without the pod.

use fedcar_policy::expression::Scope;
use fedcar_policy::expression::template::Template;
use fedcar_policy::settings::{Computable, Form, InjectedContainer, Rule, Settings, Sidecar, VARIABLES, Version};
use serde_json::{Map, Value, json};

use super::{Proof, cel};

/// A container that must be there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Demand {
    lists: &'static [&'static str],
    name: Option<String>,
    image: Image,
}

/// What is known of a text that may hold expressions.
#[derive(Debug, PartialEq, Eq)]
enum Image {
    Is(String),
    StartsWith(String),
    Any,
}

/// What is known before any request.
struct Known(Map<String, Value>);

impl Scope for Known {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// The containers that every pod with this version carries. `inject` is what `version` was read from.
pub(super) fn demands(
    settings: (&Settings, &Value),
    sidecar: &Sidecar,
    version: &Version,
    inject: Option<&Value>,
    proof: Proof,
) -> Vec<Demand> {
    let (settings, source) = settings;
    let known = known(source, &sidecar.name, &version.version);
    let sources = inject.and_then(|inject| inject.get("containers")).and_then(Value::as_array);
    let containers = version.inject.containers.iter().zip(sources.into_iter().flatten());
    containers
        .filter(|(_, source)| ["when", "forEach"].iter().all(|key| source.get(key).is_none_or(Value::is_null)))
        .filter_map(|(container, source)| {
            let name = constant(source.get("name")?, &known)?;
            let image = match proof {
                Proof::Image if !image_varies(sidecar, container, source, &name) => image(source.get("image")?, &known),
                Proof::Image | Proof::Name | Proof::Nothing => Image::Any,
            };
            let list = list(container, settings.cluster.native_sidecars);
            demand(sidecar.conflicts.containers, list, name, image)
        })
        .collect()
}

/// Whether a user-written container, an annotation or a fixed part can bring another image.
fn image_varies(sidecar: &Sidecar, container: &InjectedContainer, source: &Value, name: &str) -> bool {
    let by_user = container.overridable.as_ref().is_some_and(|overridable| overridable.allows("image"));
    let by_annotation = sidecar
        .overrides
        .iter()
        .filter_map(|one| one.sets.as_ref())
        .any(|sets| sets.container == name && sets.path.first().is_some_and(|key| key == "image"));
    by_user || by_annotation || source.pointer("/fixed/image").is_some()
}

/// The lists in which a container may stand (docs/settings.md, `form` and `fallback`).
fn list(container: &InjectedContainer, native_sidecars: bool) -> &'static [&'static str] {
    let form = match container.form {
        Computable::Fixed(Form::Sidecar) if !native_sidecars => container.fallback.form,
        Computable::Fixed(form) => form,
        Computable::Computed(_) => return &["containers", "initContainers"],
    };
    match form {
        Form::Container => &["containers"],
        Form::Sidecar | Form::Init => &["initContainers"],
    }
}

/// What the rule for containers of the same name leaves certain.
fn demand(rule: Rule, lists: &'static [&'static str], name: String, image: Image) -> Option<Demand> {
    match rule {
        Rule::Reject | Rule::Replace => Some(Demand { lists, name: Some(name), image }),
        // The pod's own container of that name may stand in our place, with any image and in either list.
        Rule::Keep => Some(Demand { lists: &["containers", "initContainers"], name: Some(name), image: Image::Any }),
        // Ours may stand under another name, so only its image tells it.
        Rule::Rename if image == Image::Any => None,
        Rule::Rename => Some(Demand { lists, name: None, image }),
    }
}

impl Demand {
    /// True where the container is in the pod.
    pub(super) fn expression(&self) -> String {
        let mut clauses = Vec::new();
        clauses.extend(self.name.as_ref().map(|name| format!("c.name == {}", cel::text(name))));
        match &self.image {
            Image::Is(image) => {
                clauses.push("has(c.image)".to_owned());
                clauses.push(format!("c.image == {}", cel::text(image)));
            }
            Image::StartsWith(start) => {
                clauses.push("has(c.image)".to_owned());
                clauses.push(format!("c.image.startsWith({})", cel::text(start)));
            }
            Image::Any => {}
        }
        let test = clauses.join(" && ");
        let in_list = |list: &&str| format!("has(object.spec.{list}) && object.spec.{list}.exists(c, {test})");
        cel::any(&self.lists.iter().map(in_list).collect::<Vec<_>>())
    }

    /// The container, for the person whose pod lacks it.
    pub(super) fn words(&self) -> String {
        let image = match &self.image {
            Image::Is(image) => format!(" with image `{image}`"),
            Image::StartsWith(start) => format!(" with an image `{start}...`"),
            Image::Any => String::new(),
        };
        match &self.name {
            Some(name) => format!("container `{name}`{image}"),
            None => format!("a container{image}"),
        }
    }
}

fn known(settings: &Value, sidecar: &str, version: &str) -> Known {
    let part = |key: &str| settings.get(key).filter(|part| !part.is_null()).cloned().unwrap_or_else(|| json!({}));
    let parts = [("cluster", part("cluster")), ("federation", part("federation")), ("vars", part("variables"))];
    let sidecar = ("sidecar", json!({"name": sidecar, "version": version}));
    Known(parts.into_iter().chain([sidecar]).map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The text, where it is the same for every pod.
fn constant(text: &Value, known: &Known) -> Option<String> {
    let template = Template::compile(text, &VARIABLES, known).ok()?;
    template.constant().and_then(Value::as_str).map(str::to_owned)
}

/// The image, or as much of its beginning as is the same for every pod.
fn image(source: &Value, known: &Known) -> Image {
    if let Some(image) = constant(source, known) {
        return Image::Is(image);
    }
    let text = source.as_str().unwrap_or_default();
    // What stands before an expression is whole by itself; what is cut within one does not compile.
    let starts = text.rmatch_indices("${").filter_map(|(at, _)| text.get(..at));
    let mut constants = starts.filter_map(|start| constant(&Value::from(start), known));
    match constants.next() {
        Some(start) if !start.is_empty() => Image::StartsWith(start),
        _ => Image::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_of_an_image_is_known_as_the_settings_say() {
        let settings = json!({"variables": {"registry": "registry.example", "tags": {"a": "1"}}});
        let known = known(&settings, "proxy", "1.2");
        for (text, expected) in [
            ("proxy:1", Image::Is("proxy:1".to_owned())),
            ("${vars.registry}/p:${sidecar.version}", Image::Is("registry.example/p:1.2".to_owned())),
            ("${vars.registry}/p:${pod.metadata.name}", Image::StartsWith("registry.example/p:".to_owned())),
            ("${vars.registry}/${vars.tags[pod.metadata.name]}", Image::StartsWith("registry.example/".to_owned())),
            ("a/${'${'}/${pod.metadata.name}", Image::StartsWith("a/${/".to_owned())),
            ("$${/${pod.metadata.name}", Image::StartsWith("${/".to_owned())),
            ("${pod.metadata.name}/p:1", Image::Any),
        ] {
            assert_eq!(image(&Value::from(text), &known), expected, "{text}");
        }
    }

    #[test]
    fn a_rule_that_lets_others_stand_weakens_what_is_demanded() {
        let demand = |rule, image| {
            demand(rule, &["initContainers"], "proxy".to_owned(), image).map(|demand| demand.expression())
        };
        let image = || Image::Is("p:1".to_owned());
        let in_list =
            |list: &str, test: &str| format!("has(object.spec.{list}) && object.spec.{list}.exists(c, {test})");
        let exact = in_list("initContainers", "c.name == \"proxy\" && has(c.image) && c.image == \"p:1\"");
        assert_eq!(demand(Rule::Reject, image()).as_ref(), Some(&exact));
        assert_eq!(demand(Rule::Replace, image()).as_ref(), Some(&exact));
        let either = ["containers", "initContainers"].map(|list| in_list(list, "c.name == \"proxy\""));
        assert_eq!(demand(Rule::Keep, image()), Some(cel::any(&either)));
        let unnamed = in_list("initContainers", "has(c.image) && c.image == \"p:1\"");
        assert_eq!(demand(Rule::Rename, image()), Some(unnamed));
        assert_eq!(demand(Rule::Rename, Image::Any), None);
    }
}
