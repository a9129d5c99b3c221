//! policy-server's `policies.yml`: which policies are served, under which ids and on which terms.
//!
//! Names, defaults and the meaning of `null` are policy-server's (kubewarden/adm-controller:
//! `crates/policy-server/src/config.rs`), with one difference: a key that is not known is a problem here, where
//! policy-server reads on and a misspelt `allowedToMutate` stays false. All problems of a file are found at once.

use std::path::PathBuf;
use std::time::Duration;

use fedcar_policy::read::{Node, Problem, Problems, child, clip, did_you_mean, dotted};
use serde_json::{Map, Value};

use crate::problem::Diagnostic;
use crate::yaml;

/// How `module` names the policy module inside this program.
const EMBEDDED: &str = "embedded";
/// No API server waits longer for a webhook (`timeoutSeconds` of a webhook configuration).
const LONGEST_TIMEOUT_SECONDS: u64 = 30;

/// One policy of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyEntry {
    /// The last segment of the paths that it is asked under; neither empty nor with a slash.
    pub id: String,
    /// Where its module comes from.
    pub module: ModuleSource,
    /// What it is told, always an object.
    pub settings: Value,
    /// Whether its answers count.
    pub mode: PolicyMode,
    /// Whether it may change objects.
    pub allowed_to_mutate: bool,
    /// What it may list and get, where a host capability lets it.
    pub context_aware_resources: Vec<Resource>,
    /// Patterns of the host capabilities that it has, as they stand in the file. Empty: none.
    pub host_capabilities: Vec<String>,
    /// What is said instead of its own messages when it denies.
    pub message: Option<String>,
    /// How long one evaluation may take; the server's own limit where absent.
    pub timeout: Option<Duration>,
}

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleSource {
    /// It is part of this program.
    Embedded,
    /// A file, by its absolute path.
    File(PathBuf),
}

/// Whether the answers of a policy count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyMode {
    /// They do.
    #[default]
    Protect,
    /// They are only seen by the operators.
    Monitor,
}

/// A kind of Kubernetes objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Group and version, or the version alone in the core group.
    pub api_version: String,
    /// The kind.
    pub kind: String,
}

/// Reads the policies of a file, in the file's order. `file` is the name that problems are shown with.
///
/// # Errors
///
/// Every problem of the file in the order of its lines, but only the first one where it is not YAML. A file without a
/// policy is an error.
pub fn read(file: &str, text: &str) -> Result<Vec<PolicyEntry>, Vec<Diagnostic>> {
    let documents = yaml::read_located(text).map_err(|error| vec![Diagnostic::of_yaml(file, text, error)])?;
    let (document, places) = <[_; 1]>::try_from(documents).map(|[document]| document).map_err(|found| {
        let message = format!("expected one document, a map from ids to policies, found {}", found.len());
        vec![Diagnostic::of_file(file, message)]
    })?;

    let mut problems = Problems::default();
    let entries = read_policies(&Node::root(&document.value), &mut problems);
    if problems.is_empty() {
        return Ok(entries);
    }
    let shown = |problem: Problem| {
        let place = places.find(&problem.pointer);
        let sentence = match dotted(&problem.pointer).as_str() {
            "" => problem.message,
            path => format!("{path}: {}", problem.message),
        };
        Diagnostic::at(file, text, place, sentence, problem.hint)
    };
    let mut diagnostics: Vec<Diagnostic> = problems.into_vec().into_iter().map(shown).collect();
    diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    Err(diagnostics)
}

fn read_policies(root: &Node<'_>, problems: &mut Problems) -> Vec<PolicyEntry> {
    let Some(entries) = root.entries(problems) else { return Vec::new() };
    if entries.is_empty() {
        problems.add("", "expected at least one policy, found an empty map");
    }
    entries.into_iter().filter_map(|(id, node)| read_policy(id, &node, problems)).collect()
}

fn read_policy(id: &str, node: &Node<'_>, problems: &mut Problems) -> Option<PolicyEntry> {
    if id.is_empty() {
        problems.add(&node.pointer, "expected the id of a policy, found an empty key");
    } else if id.contains('/') {
        // It is one segment of a path; behind a slash policy-server looks for the member of a group.
        problems.add(&node.pointer, "expected an id without `/`");
    }
    if let Some(key) = ["policies", "expression"].into_iter().find(|key| node.value.get(key).is_some()) {
        let hint = "serve each member as a policy of its own, or the group with policy-server";
        problems.add_with_hint(child(&node.pointer, key), "policy groups are not supported", Some(hint));
        return None;
    }

    let mut fields = node.fields(problems)?;
    // Kubewarden's controller writes which object the policy comes from; policy-server does not read it either.
    let _ = fields.optional("namespacedName");
    let module = fields.required("module", problems).and_then(|node| read_module(&node, problems));
    let mode = fields.optional("policyMode").map_or(Some(PolicyMode::default()), |node| {
        node.choice(&[("protect", PolicyMode::Protect), ("monitor", PolicyMode::Monitor)], problems)
    });
    let allowed_to_mutate = fields.optional("allowedToMutate").map_or(Some(false), |node| node.flag(problems));
    let settings = fields
        .optional("settings")
        .map_or_else(|| Some(Value::Object(Map::new())), |node| node.fields(problems).map(|_| node.value.clone()));
    let context_aware_resources = read_list(fields.optional("contextAwareResources"), problems, read_resource);
    let host_capabilities = read_list(fields.optional("hostCapabilities"), problems, |node, problems| {
        node.filled_text(problems).map(ToOwned::to_owned)
    });
    let message = match fields.optional("message") {
        Some(node) => node.text(problems).map(|text| Some(text.to_owned())),
        None => Some(None),
    };
    let timeout = match fields.optional("timeoutEvalSeconds") {
        Some(node) => node.integer(1, LONGEST_TIMEOUT_SECONDS, problems).map(|count| Some(Duration::from_secs(count))),
        None => Some(None),
    };
    fields.finish(problems);

    Some(PolicyEntry {
        id: id.to_owned(),
        module: module?,
        settings: settings?,
        mode: mode?,
        allowed_to_mutate: allowed_to_mutate?,
        context_aware_resources: context_aware_resources?,
        host_capabilities: host_capabilities?,
        message: message?,
        timeout: timeout?,
    })
}

fn read_resource(node: &Node<'_>, problems: &mut Problems) -> Option<Resource> {
    let mut fields = node.fields(problems)?;
    let api_version = fields.required("apiVersion", problems).and_then(|node| node.filled_text(problems));
    let kind = fields.required("kind", problems).and_then(|node| node.filled_text(problems));
    fields.finish(problems);
    Some(Resource { api_version: api_version?.to_owned(), kind: kind?.to_owned() })
}

/// The items that could be read, so that the problems of all of them are found; an absent list is empty.
fn read_list<T>(
    list: Option<Node<'_>>,
    problems: &mut Problems,
    read_item: impl Fn(&Node<'_>, &mut Problems) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(list) = list else { return Some(Vec::new()) };
    Some(list.items(problems)?.iter().filter_map(|item| read_item(item, problems)).collect())
}

fn read_module(node: &Node<'_>, problems: &mut Problems) -> Option<ModuleSource> {
    let text = node.filled_text(problems)?;
    if text == EMBEDDED {
        return Some(ModuleSource::Embedded);
    }
    if let Some(path) = text.strip_prefix("file:").and_then(file_path) {
        return Some(ModuleSource::File(path));
    }
    let (message, hint) = refusal(text);
    problems.add_with_hint(&node.pointer, format!("{message}, found `{}`", clip(text)), Some(hint));
    None
}

/// The path in what stands behind `file:`; `None` where that is not an absolute path of this machine.
fn file_path(rest: &str) -> Option<PathBuf> {
    let path = match rest.strip_prefix("//") {
        Some(located) => located.strip_prefix("localhost").unwrap_or(located),
        None => rest,
    };
    if !path.starts_with('/') || path.contains(['?', '#']) {
        return None;
    }
    percent_decoded(path).map(PathBuf::from)
}

/// Undoes percent encoding (RFC 3986, section 2.1). A `%` without two hexadecimal digits stands for itself, as it does
/// in the URL Standard that policy-server reads by.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            bytes.extend(part.bytes().skip(2));
        } else {
            bytes.push(b'%');
            bytes.extend(part.bytes());
        }
    }
    String::from_utf8(bytes).ok()
}

/// What is wrong with a module that is neither a file nor embedded, and what to write instead.
fn refusal(text: &str) -> (&'static str, String) {
    match text.split_once("://") {
        Some(("http" | "https", _)) => {
            ("modules are not downloaded", "download it before and write `file:///` with its path".to_owned())
        }
        None if text.starts_with('/') => ("expected a URL", format!("write `file://{text}`")),
        None if text.starts_with('.') => (
            "expected a URL",
            "write `file:///` with the absolute path: relative ones are not part of the format".into(),
        ),
        // policy-server takes whatever has no scheme for a name in a registry.
        None | Some(("registry", _)) if !text.starts_with("file:") => (
            "modules are not pulled from registries",
            did_you_mean(text, [EMBEDDED]).unwrap_or_else(|| {
                format!("`kwctl pull -o policy.wasm {text}`, then write `file:///` with the path of policy.wasm")
            }),
        ),
        None | Some(_) => (
            "expected the URL of a module",
            format!("write `file:///` with an absolute path, or `{EMBEDDED}` for fedcar's own module"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> PolicyEntry {
        let mut entries = read("policies.yml", text).unwrap();
        assert_eq!(entries.len(), 1, "{text}");
        entries.remove(0)
    }

    /// Each problem as `line:column message (hint)`.
    fn problems(text: &str) -> Vec<String> {
        let shown = |problem: Diagnostic| {
            let hint = problem.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}:{} {}{hint}", problem.line.unwrap_or_default(), problem.column, problem.message)
        };
        read("policies.yml", text).unwrap_err().into_iter().map(shown).collect()
    }

    fn problem(text: &str) -> String {
        problems(text).join("\n")
    }

    #[test]
    fn every_key_is_read() {
        let text = "
first:
  module: file:///policies/first.wasm
  policyMode: monitor
  allowedToMutate: true
  settings: {level: 1.10}
  contextAwareResources:
    - {apiVersion: apps/v1, kind: Deployment}
  hostCapabilities: [kubernetes/*, oci/v1/verify]
  message: ask the platform team
  timeoutEvalSeconds: 2
second: {module: embedded}
";
        let second = PolicyEntry {
            id: "second".into(),
            module: ModuleSource::Embedded,
            settings: json!({}),
            mode: PolicyMode::Protect,
            allowed_to_mutate: false,
            context_aware_resources: vec![],
            host_capabilities: vec![],
            message: None,
            timeout: None,
        };
        let first = PolicyEntry {
            id: "first".into(),
            module: ModuleSource::File("/policies/first.wasm".into()),
            settings: serde_json::from_str(r#"{"level":1.10}"#).unwrap(),
            mode: PolicyMode::Monitor,
            allowed_to_mutate: true,
            context_aware_resources: vec![Resource { api_version: "apps/v1".into(), kind: "Deployment".into() }],
            host_capabilities: vec!["kubernetes/*".into(), "oci/v1/verify".into()],
            message: Some("ask the platform team".into()),
            timeout: Some(Duration::from_secs(2)),
        };
        assert_eq!(read("policies.yml", text).unwrap(), [first, second]);
    }

    /// As kubewarden-controller puts it into the `ConfigMap`: JSON on one line, `null` where nothing is set.
    #[test]
    fn what_the_controller_writes_is_read() {
        let text = r#"{"clusterwide-a":{"namespacedName":{"Namespace":"","Name":"a"},"module":"file:///a.wasm","policyMode":"protect","allowedToMutate":false,"settings":null,"hostCapabilities":["*"]}}"#;
        let entry = one(text);
        assert_eq!(entry.settings, json!({}));
        assert_eq!(entry.host_capabilities, ["*"]);
    }

    #[test]
    fn null_is_absent() {
        let keys = [
            "policyMode",
            "allowedToMutate",
            "settings",
            "contextAwareResources",
            "hostCapabilities",
            "message",
            "timeoutEvalSeconds",
        ];
        for key in keys {
            assert_eq!(one(&format!("a: {{module: embedded, {key}: null}}")), one("a: {module: embedded}"), "{key}");
        }
    }

    #[test]
    fn all_problems_come_at_once_each_with_its_place() {
        let text = "a:
  module: registry://ghcr.io/kubewarden/policies/x:v1
  policyMod: monitor
  settings: [1]
b:
  policyMode: audit
  allowedToMutate: 1
  timeoutEvalSeconds: 0
  message: 7
  contextAwareResources:
    - {apiVersion: v1, kin: Pod}
  hostCapabilities: [\"\"]
c:
";
        assert_eq!(
            problems(text),
            [
                "2:3 a.module: modules are not pulled from registries, found `registry://ghcr.io/kubewarden/policies/x:v1` \
                 (`kwctl pull -o policy.wasm registry://ghcr.io/kubewarden/policies/x:v1`, then write `file:///` with the \
                 path of policy.wasm)",
                "3:3 a.policyMod: unknown key (did you mean `policyMode`?)",
                "4:3 a.settings: expected an object, found a list of 1",
                "5:1 b: `module` is missing",
                "6:3 b.policyMode: expected one of protect, monitor, found `audit`",
                "7:3 b.allowedToMutate: expected true or false, found `1`",
                "8:3 b.timeoutEvalSeconds: expected a whole number from 1 to 30, found `0`",
                "9:3 b.message: expected text, found `7`",
                "11:7 b.contextAwareResources[0]: `kind` is missing",
                "11:24 b.contextAwareResources[0].kin: unknown key (did you mean `kind`?)",
                "12:22 b.hostCapabilities[0]: expected text, found an empty string",
                "13:1 c: expected an object, found nothing",
            ]
        );
    }

    #[test]
    fn files_are_named_as_urls() {
        for (module, path) in [
            ("file:///a/b.wasm", "/a/b.wasm"),
            ("file://localhost/a.wasm", "/a.wasm"),
            ("file:/a.wasm", "/a.wasm"),
            ("file:///a%20b%2fc.wasm", "/a b/c.wasm"),
            ("file:///a b.wasm", "/a b.wasm"),
            ("file:///100%.wasm", "/100%.wasm"),
            ("file:///%e", "/%e"),
            ("file:///%+1", "/%+1"),
            ("file:///%C3%A9", "/é"),
            ("file:///%é", "/%é"),
        ] {
            assert_eq!(
                one(&format!("a: {{module: \"{module}\"}}")).module,
                ModuleSource::File(path.into()),
                "{module}"
            );
        }
    }

    #[test]
    fn other_modules_are_refused_with_a_way_out() {
        for (module, message) in [
            ("ghcr.io/kubewarden/policies/x:v1", "modules are not pulled from registries"),
            ("localhost:5000/x", "modules are not pulled from registries"),
            ("embeded", "did you mean `embedded`?"),
            ("https://example.com/x.wasm", "modules are not downloaded"),
            ("/policies/x.wasm", "write `file:///policies/x.wasm`"),
            ("./x.wasm", "the absolute path"),
            ("file://policies/x.wasm", "expected the URL of a module"),
            ("file:x.wasm", "expected the URL of a module"),
            ("file:///x.wasm#part", "expected the URL of a module"),
            ("file:///%ff.wasm", "expected the URL of a module"),
            ("oci://ghcr.io/x", "expected the URL of a module"),
            ("", "found an empty string"),
        ] {
            let problem = problem(&format!("a: {{module: \"{module}\"}}"));
            assert!(problem.contains(message) && problem.starts_with("1:5 a.module: "), "{module}: {problem}");
        }
    }

    #[test]
    fn ids_are_one_segment_of_a_path() {
        assert_eq!(problem("a/b: {module: embedded}"), "1:1 [\"a/b\"]: expected an id without `/`");
        assert_eq!(problem("\"\": {module: embedded}"), "1:1 [\"\"]: expected the id of a policy, found an empty key");
        assert!(problem("a: {module: embedded}\na: {module: embedded}").contains("2:1"));
    }

    #[test]
    fn groups_are_refused() {
        let text = "a: {policies: {b: {module: embedded}}, expression: b(), message: no}";
        assert!(problem(text).starts_with("1:5 a.policies: policy groups are not supported"), "{}", problem(text));
        assert!(problem("a: {expression: b()}").contains("policy groups are not supported"));
    }

    #[test]
    fn a_file_has_one_map_with_a_policy() {
        assert_eq!(problem("{}"), "1:1 expected at least one policy, found an empty map");
        assert_eq!(problem("- a"), "1:1 expected an object, found a list of 1");
        assert_eq!(problem(""), "0:1 expected one document, a map from ids to policies, found 0");
        assert_eq!(problem("a: {}\n---\nb: {}"), "0:1 expected one document, a map from ids to policies, found 2");
        assert!(problem("a: [").starts_with("1:"));
    }
}
