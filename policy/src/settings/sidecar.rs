//! One sidecar: for whom it is, which version of it a workload gets, and what that version brings.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::container::read_names;
use super::definitions::{Definition, Validation, read_condition};
use super::inject::Inject;
use super::{ConflictRules, Known, Override, Selector, is_dns_label, overrides, variables};
use crate::digest::hex;
use crate::expression::template::Condition;
use crate::injection::WorkloadKind;
use crate::read::{Fields, Node, Problems};
use crate::schema::Schema;

/// A sidecar, ready to be selected and injected.
#[derive(Debug)]
pub struct Sidecar {
    /// Its name: RFC 1123 label, unique in the settings.
    pub name: String,
    /// Where its document stands.
    pub origin: Option<Origin>,
    /// Whether pods carry it without asking.
    pub mode: Mode,
    /// What a failed check does where the sidecar is not required.
    pub on_conflict: OnConflict,
    /// Whether it may go into pods that share the node's network.
    pub allow_host_network: bool,
    /// Operating systems it runs on.
    pub os: Vec<String>,
    /// Architectures it runs on; empty means any.
    pub architectures: Vec<String>,
    /// Which pods it is for.
    pub matching: Match,
    /// A further condition on the pod.
    pub when: Option<Condition>,
    /// What it brings, by version.
    pub versions: Versions,
    /// What an application team may adapt by annotations.
    pub overrides: Vec<Override>,
    /// What happens where something else is already there.
    pub conflicts: ConflictRules,
    /// Whether an expression of it reads the labels of the namespace.
    pub reads_namespace: bool,
}

/// Where a document stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Path as people know it.
    pub file: String,
    /// First line of the document, from 1.
    pub line: u64,
}

/// The keys of what belongs to one version of a sidecar.
const PARTS: [&str; 3] = ["inject", "let", "validations"];

/// Whether pods carry a sidecar without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Always; nobody may opt out.
    Required,
    /// Unless they say no.
    OptOut,
    /// Only if they say yes.
    OptIn,
}

/// What a failed check does where the sidecar is not required.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// The pod is admitted without the sidecar.
    Skip,
    /// The pod is denied.
    Deny,
}

const MODES: [(&str, Mode); 3] = [("required", Mode::Required), ("opt-out", Mode::OptOut), ("opt-in", Mode::OptIn)];
const ON_CONFLICT: [(&str, OnConflict); 2] = [("skip", OnConflict::Skip), ("deny", OnConflict::Deny)];

/// Which pods something is for; everything that is given must fit.
#[derive(Debug, Clone)]
pub struct Match {
    /// Labels of the namespace.
    pub namespaces: Option<Selector>,
    /// Labels of the pod.
    pub pods: Option<Selector>,
    /// Names of service accounts; empty means any.
    pub service_accounts: Vec<String>,
    /// Who sent the request.
    pub callers: Option<Callers>,
    /// Kinds that are injected.
    pub workloads: Vec<WorkloadKind>,
}

impl Match {
    /// Whether no pod can fit both.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        let labels = |one: &Option<Selector>, two: &Option<Selector>| {
            one.as_ref().zip(two.as_ref()).is_some_and(|(one, two)| one.excludes(two))
        };
        let (ours, theirs) = (&self.service_accounts, &other.service_accounts);
        let accounts = !ours.is_empty() && !theirs.is_empty() && !ours.iter().any(|name| theirs.contains(name));
        labels(&self.namespaces, &other.namespaces) || labels(&self.pods, &other.pods) || accounts
    }
}

/// Who sent the request: any of these.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    /// User names.
    pub users: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
}

/// The current version, and the one that workloads outside the rollout keep.
#[derive(Debug)]
pub struct Versions {
    /// The version that is rolled out.
    pub current: Version,
    /// How far; `None` means everywhere.
    pub rollout: Option<Rollout>,
}

impl Versions {
    /// The current version and, where there is one, the previous.
    pub(super) fn every(&self) -> impl Iterator<Item = &Version> {
        let previous = self.rollout.as_ref().and_then(|rollout| rollout.previous.as_ref());
        [&self.current].into_iter().chain(previous)
    }
}

/// A rollout by percentage of workloads.
#[derive(Debug)]
pub struct Rollout {
    /// Makes different rollouts choose different workloads.
    pub salt: String,
    /// 0 to 100.
    pub percent: u64,
    /// What the others get; `None` means no sidecar.
    pub previous: Option<Version>,
}

/// One version of a sidecar.
#[derive(Debug)]
pub struct Version {
    /// The version as its document says it.
    pub version: String,
    /// The first 16 hex digits of the SHA-256 of its [`PARTS`], with the keys of their objects sorted, and of the shared
    /// definitions that they read.
    pub digest: String,
    /// What is worked out once for each pod, in order.
    pub definitions: Vec<Definition>,
    /// What must hold for the pod.
    pub validations: Vec<Validation>,
    /// What it brings.
    pub inject: Inject,
}

impl Match {
    /// Fits every pod.
    fn any() -> Self {
        Self {
            namespaces: None,
            pods: None,
            service_accounts: Vec::new(),
            callers: None,
            workloads: vec![WorkloadKind::Pod],
        }
    }

    /// Whether it can hang on namespace labels that only the cluster knows.
    pub(super) fn needs_namespace_labels(&self) -> bool {
        self.namespaces.as_ref().is_some_and(|selector| !selector.asks_only_for_name())
    }

    /// Reads `match`; without it everything fits.
    pub(crate) fn read(node: Option<Node<'_>>, problems: &mut Problems) -> Self {
        let mut matching = Self::any();
        let Some(mut fields) = node.and_then(|node| node.fields(problems)) else { return matching };
        matching.namespaces = fields.optional("namespaces").and_then(|node| Selector::read(&node, problems));
        matching.pods = fields.optional("pods").and_then(|node| Selector::read(&node, problems));
        matching.service_accounts = read_names(fields.optional("serviceAccounts"), problems);
        if let Some(mut callers) = fields.optional("callers").and_then(|node| node.fields(problems)) {
            matching.callers = Some(Callers {
                users: read_names(callers.optional("users"), problems),
                groups: read_names(callers.optional("groups"), problems),
            });
            callers.finish(problems);
        }
        if let Some(items) = fields.optional("workloads").and_then(|list| list.items(problems)) {
            let kinds = WorkloadKind::ALL.map(|kind| (kind.name(), kind));
            matching.workloads = items.iter().filter_map(|item| item.choice(&kinds, problems)).collect();
        }
        fields.finish(problems);
        matching
    }
}

impl Match {
    pub(crate) fn schema() -> Schema {
        let names = || Schema::list_of(Schema::filled());
        let kinds = WorkloadKind::ALL.map(WorkloadKind::name);
        Schema::object([
            ("namespaces", Selector::schema().says("By labels of the namespace.")),
            ("pods", Selector::schema().says("By labels of the pod.")),
            ("serviceAccounts", names()),
            (
                "callers",
                Schema::object([("users", names()), ("groups", names())]).says("Who sent the request: any of these."),
            ),
            ("workloads", Schema::list_of(Schema::word(kinds)).says("Kinds that are injected; default Pod.")),
        ])
    }
}

impl Origin {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let file = fields.required("file", problems).and_then(|file| file.filled_text(problems));
        let line = fields.required("line", problems).and_then(|line| line.integer(1, u64::from(u32::MAX), problems));
        fields.finish(problems);
        Some(Self { file: file?.to_owned(), line: line? })
    }
}

impl Sidecar {
    pub(super) fn read(node: &Node<'_>, known: &mut Known, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = read_name(fields.required("name", problems), problems);
        let origin = fields.optional("origin").and_then(|node| Origin::read(&node, problems));
        let version = fields.optional("version").and_then(|node| node.filled_text(problems)).unwrap_or("0");
        let mode = fields.optional("mode").map_or(Some(Mode::OptIn), |node| node.choice(&MODES, problems));
        let on_conflict =
            fields.optional("onConflict").map_or(Some(OnConflict::Skip), |node| node.choice(&ON_CONFLICT, problems));
        let host_network = fields.optional("allowHostNetwork").and_then(|node| node.flag(problems)).unwrap_or(false);
        let os =
            fields.optional("os").map_or_else(|| vec!["linux".to_owned()], |node| read_names(Some(node), problems));
        let architectures = read_names(fields.optional("architectures"), problems);
        let matching = Match::read(fields.optional("match"), problems);
        let overrides = overrides::read(fields.optional("overrides"), node.value, problems);
        let conflicts = fields.optional("conflicts").and_then(|node| ConflictRules::read(&node, problems));

        set_sidecar(known, name.unwrap_or_default(), version);
        let when = fields.optional("when").and_then(|node| read_condition(&node, &variables::REQUEST, known, problems));
        let current = Version::read(&mut fields, version, known, problems);
        let rollout = fields.optional("rollout").and_then(|node| {
            let rollout = Rollout::read(&node, name.unwrap_or_default(), known, problems);
            known.values.shift_remove("sidecar");
            rollout
        });
        fields.finish(problems);

        let (name, current) = (name?.to_owned(), current?);
        let versions = Versions { current, rollout };
        let reads_namespace = versions.every().any(|version| version.any_expression(&reads_namespace_labels))
            || when.as_ref().is_some_and(|condition| condition.any_expression(&reads_namespace_labels));
        Some(Self {
            name,
            origin,
            mode: mode?,
            on_conflict: on_conflict?,
            allow_host_network: host_network,
            os,
            architectures,
            matching,
            when,
            versions,
            overrides,
            conflicts: conflicts.unwrap_or_default(),
            reads_namespace,
        })
    }
}

impl Sidecar {
    /// What stands in a document as it stands in the settings.
    pub(crate) fn schema() -> Schema {
        let version = Schema::filled().says("`sidecar.version` in expressions; default 0.");
        Version::schema(version).and([
            ("mode", Schema::choice(&MODES).says("Whether pods carry it without asking; default opt-in.")),
            ("onConflict", Schema::choice(&ON_CONFLICT).says("What a failed check does; default skip.")),
            ("allowHostNetwork", Schema::flag().says("Whether it may go into pods on the node's network.")),
            ("os", Schema::list_of(Schema::filled()).says("Default linux.")),
            ("architectures", Schema::list_of(Schema::filled()).says("Default any.")),
            ("match", Match::schema().says("Which pods; everything that is given must fit.")),
            ("when", Schema::condition().says("A further condition on the pod.")),
            ("rollout", Rollout::schema().says("How many workloads get this version.")),
            ("overrides", overrides::schema().says("Annotations that application teams may set.")),
            ("conflicts", ConflictRules::schema().says("What happens where something else is already there.")),
        ])
    }
}

impl Rollout {
    fn schema() -> Schema {
        let previous = Version::schema(Schema::filled()).requires(&["version", "inject"]);
        Schema::object([
            ("salt", Schema::filled().says("Other salts choose other workloads.")),
            ("percent", Schema::integer(0, 100)),
            ("previous", previous.says("What the others get; without it nothing.")),
        ])
        .requires(&["salt", "percent"])
    }

    fn read(node: &Node<'_>, sidecar: &str, known: &mut Known, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let salt = fields.required("salt", problems).and_then(|node| node.filled_text(problems));
        let percent = fields.required("percent", problems).and_then(|node| node.integer(0, 100, problems));
        let previous = fields.optional("previous").and_then(|node| {
            let mut fields = node.fields(problems)?;
            let version = fields.required("version", problems).and_then(|node| node.filled_text(problems));
            set_sidecar(known, sidecar, version.unwrap_or_default());
            let previous = Version::read(&mut fields, version.unwrap_or_default(), known, problems);
            fields.finish(problems);
            previous
        });
        fields.finish(problems);
        Some(Self { salt: salt?.to_owned(), percent: percent?, previous })
    }
}

impl Version {
    fn schema(version: Schema) -> Schema {
        Schema::object([
            ("version", version),
            ("let", Definition::schema().says("Worked out once for each pod: `let.NAME`.")),
            ("validations", Validation::schema().says("What must hold for the pod.")),
            ("inject", Inject::schema().says("What it brings.")),
        ])
        .requires(&["inject"])
    }

    /// Reads what stands beside each other in a sidecar and in its `rollout.previous`.
    fn read(fields: &mut Fields<'_>, version: &str, known: &mut Known, problems: &mut Problems) -> Option<Self> {
        let definitions = fields.optional("let");
        let validations = fields.optional("validations");
        let inject = fields.required("inject", problems);
        let mut hash = Sha256::new();
        for (part, node) in PARTS.into_iter().zip([&inject, &definitions, &validations]) {
            let Some(node) = node else { continue };
            let mut value = node.value.clone();
            value.sort_all_objects();
            // The name only of those that need not be there.
            hash.update(if part == "inject" { "" } else { part });
            hash.update(value.to_string());
        }
        let shared = known.shared.clone();
        let definitions = Definition::read_all(definitions, &shared, &variables::VERSION, known, problems);
        let validations = Validation::read_all(validations, known, problems);
        let inject = inject.and_then(|node| Inject::read(&node, known, problems));
        let mut this =
            Self { version: version.to_owned(), digest: String::new(), definitions, validations, inject: inject? };
        // What it does not read costs nothing.
        for one in shared.into_iter().rev() {
            if this.any_expression(&|expression| one.is_read_by(expression)) {
                hash.update(&one.name);
                hash.update(&one.written);
                this.definitions.insert(0, one);
            }
        }
        this.digest = hex(hash.finalize().get(..8).unwrap_or_default());
        Some(this)
    }

    /// Whether the text of any expression in here passes a test.
    fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.inject.any_expression(test)
            || self.definitions.iter().any(|one| one.any_expression(test))
            || self.validations.iter().any(|one| one.any_expression(test))
    }
}

/// The variable `sidecar` for the templates that are read next.
fn set_sidecar(known: &mut Known, name: &str, version: &str) {
    let fields = [("name", name), ("version", version)].map(|(key, text)| (key.to_owned(), Value::from(text)));
    known.values.insert("sidecar".to_owned(), Value::Object(Map::from_iter(fields)));
}

/// Whether an expression may read more of the namespace than its name; rather once too often than not.
fn reads_namespace_labels(expression: &str) -> bool {
    let is_part = |next: char| next.is_alphanumeric() || next == '_';
    expression.match_indices("namespace").any(|(at, word)| {
        let (before, rest) =
            (expression.get(..at).unwrap_or_default(), expression.get(at + word.len()..).unwrap_or_default());
        // A field of something else, or part of a longer name.
        if before.ends_with(|last| is_part(last) || last == '.' || last == '?') || rest.starts_with(is_part) {
            return false;
        }
        rest.strip_prefix(".name").is_none_or(|rest| rest.starts_with(is_part))
    })
}

/// A name that becomes part of label keys and of the marker.
pub(super) fn read_name<'v>(node: Option<Node<'v>>, problems: &mut Problems) -> Option<&'v str> {
    let node = node?;
    let name = node.filled_text(problems)?;
    if !is_dns_label(name) {
        problems.add(&node.pointer, format!("expected a name such as `otel-agent` (RFC 1123 label), found `{name}`"));
        return None;
    }
    Some(name)
}

/// The `name` of a constant list item must be an RFC 1123 label.
pub(super) fn check_name(what: &str, item: &Value, node: &Node<'_>, list: &str, problems: &mut Problems) {
    let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
    if !is_dns_label(name) {
        problems.add(
            format!("{}/{list}", node.pointer),
            format!("expected each {what} to have a name such as `tmp` (RFC 1123 label), found `{name}`"),
        );
    }
}
