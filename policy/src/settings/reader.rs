//! Reads whole settings, with what only the whole can tell: unique names, names that exist, one clash-free set.

use serde_json::{Map, Value};

use super::container::read_names;
use super::sidecar::read_name;
use super::{
    Cluster, Definition, Guardrail, Known, Match, Mode, OnFault, OptOut, Origin, Settings, Sidecar, variables,
};
use crate::read::{Node, Problem, Problems, did_you_mean};

const SCHEMA_VERSION: u64 = 1;
pub(super) const ON_FAULT: [(&str, OnFault); 2] = [("allow", OnFault::Allow), ("deny", OnFault::Deny)];
/// Whether not knowing the labels of a namespace is a fault in every case.
pub(super) const NAMESPACE_LABELS: [(&str, bool); 2] = [("optional", false), ("required", true)];

pub(super) fn read(value: &Value) -> Result<Settings, Vec<Problem>> {
    let mut problems = Problems::default();
    let settings = read_all(&Node::root(value), &mut problems);
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        _ => Err(problems.into_vec()),
    }
}

fn read_all(root: &Node<'_>, problems: &mut Problems) -> Option<Settings> {
    let mut fields = root.fields(problems)?;
    if let Some(version) = fields.required("schemaVersion", problems) {
        version.integer(SCHEMA_VERSION, SCHEMA_VERSION, problems);
    }
    let cluster_node = fields.required("cluster", problems);
    let federation_node = fields.optional("federation");
    let variables = fields.optional("variables");
    if let Some(node) = &variables {
        node.entries(problems);
    }
    let mut values = Map::new();
    for (name, node) in [("cluster", &cluster_node), ("federation", &federation_node), ("vars", &variables)] {
        let value = node.as_ref().map_or_else(|| Value::Object(Map::new()), |node| node.value.clone());
        values.insert(name.to_owned(), value);
    }
    let mut known = Known::new(values);
    known.shared = Definition::read_all(fields.optional("let"), &[], &variables::SHARED, &mut known, problems);
    let cluster = cluster_node.and_then(|node| read_cluster(&node, problems));
    let revision = federation_node.and_then(|node| read_revision(&node, problems)).unwrap_or_default();
    let on_fault = fields.optional("onFault").map_or(Some(OnFault::Deny), |node| node.choice(&ON_FAULT, problems));
    let labels_required =
        fields.optional("namespaceLabels").map_or(Some(false), |node| node.choice(&NAMESPACE_LABELS, problems));
    let mut protected = read_names(fields.optional("protectedNamespaces"), problems);
    let engine = fields.optional("engineNamespace").and_then(|node| node.filled_text(problems)).unwrap_or("kubewarden");
    protected.push(engine.to_owned());
    let mut sidecars = Vec::new();
    // With those that could not be read, so that a guardrail about one of them is no problem of its own.
    let mut declared = Vec::new();
    if let Some(items) = fields.optional("sidecars").and_then(|list| list.items(problems)) {
        for item in &items {
            declared.extend(item.value.get("name").and_then(Value::as_str));
            sidecars.extend(Sidecar::read(item, &mut known, problems));
        }
    }
    let mut guardrails = Vec::new();
    if let Some(items) = fields.optional("guardrails").and_then(|list| list.items(problems)) {
        guardrails.extend(items.iter().filter_map(|item| read_guardrail(item, problems)));
    }
    fields.finish(problems);
    check_names(&sidecars, &declared, &guardrails, problems);
    Some(Settings {
        cluster: cluster?,
        revision,
        on_fault: on_fault?,
        namespace_labels_required: labels_required?,
        protected_namespaces: protected,
        sidecars,
        guardrails,
    })
}

fn read_cluster(node: &Node<'_>, problems: &mut Problems) -> Option<Cluster> {
    let mut fields = node.fields(problems)?;
    let name = read_name(fields.required("name", problems), problems);
    if let Some(labels) = fields.optional("labels").and_then(|labels| labels.entries(problems)) {
        for (_, label) in labels {
            label.text(problems);
        }
    }
    let mut native_sidecars = false;
    if let Some(mut capabilities) = fields.optional("capabilities").and_then(|node| node.fields(problems)) {
        native_sidecars = capabilities.optional("nativeSidecars").and_then(|node| node.flag(problems)).unwrap_or(false);
        capabilities.finish(problems);
    }
    fields.finish(problems);
    Some(Cluster { name: name?.to_owned(), native_sidecars })
}

fn read_revision(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let mut fields = node.fields(problems)?;
    for name in ["name", "trustDomain"] {
        if let Some(field) = fields.optional(name) {
            field.filled_text(problems);
        }
    }
    let revision = fields.optional("revision").and_then(|node| node.filled_text(problems)).map(str::to_owned);
    fields.finish(problems);
    revision
}

fn read_guardrail(node: &Node<'_>, problems: &mut Problems) -> Option<Guardrail> {
    let mut fields = node.fields(problems)?;
    let name = read_name(fields.required("name", problems), problems);
    let origin = fields.optional("origin").and_then(|node| Origin::read(&node, problems));
    let matching = Match::read(fields.optional("match"), problems);
    let required = read_names(fields.optional("required"), problems);
    let never = read_names(fields.optional("never"), problems);
    let opt_out = fields.optional("optOut").and_then(|node| node.items(problems)).unwrap_or_default();
    let opt_out = opt_out.iter().filter_map(|item| OptOut::read(item, problems)).collect();
    if let Some(both) = required.iter().find(|name| never.contains(name)) {
        problems.add(&node.pointer, format!("`{both}` is both required and never"));
    }
    fields.finish(problems);
    Some(Guardrail { name: name?.to_owned(), origin, matching, required, never, opt_out })
}

fn check_names(sidecars: &[Sidecar], declared: &[&str], guardrails: &[Guardrail], problems: &mut Problems) {
    for (index, sidecar) in sidecars.iter().enumerate() {
        if sidecars.iter().take(index).any(|earlier| earlier.name == sidecar.name) {
            problems.add(format!("/sidecars/{index}/name"), format!("`{}` is there twice", sidecar.name));
        }
    }
    for (index, guardrail) in guardrails.iter().enumerate() {
        if guardrails.iter().take(index).any(|earlier| earlier.name == guardrail.name) {
            problems.add(format!("/guardrails/{index}/name"), format!("`{}` is there twice", guardrail.name));
        }
        let required = guardrail.required.iter().map(|name| ("required", name));
        let never = guardrail.never.iter().map(|name| ("never", name));
        let opt_out = guardrail.opt_out.iter().map(|one| ("optOut", &one.sidecar));
        for (list, name) in required.chain(never).chain(opt_out) {
            match sidecars.iter().find(|sidecar| sidecar.name == *name) {
                None if declared.contains(&name.as_str()) => {}
                None => problems.add_with_hint(
                    format!("/guardrails/{index}/{list}"),
                    format!("no sidecar is called `{name}`"),
                    did_you_mean(name, declared.iter().copied()),
                ),
                Some(sidecar) if list == "never" && sidecar.mode == Mode::Required => problems.add(
                    format!("/guardrails/{index}/{list}"),
                    format!("`{name}` has `mode: required`, so no guardrail can forbid it"),
                ),
                Some(_) => {}
            }
        }
    }
}
