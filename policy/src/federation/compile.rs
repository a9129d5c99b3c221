//! From a federation to the settings of one cluster (docs/settings.md), with the way back from each of its places.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::circle::circles;
use super::compatibility::{Finding, Verdict};
use super::date::Date;
use super::guardrail::{Guardrail, Rule, judge};
use super::member::Member;
use super::sidecar::Sidecar;
use super::{Federation, Source, SourceProblem};
use crate::digest::hex;
use crate::read::{Problem, child, did_you_mean};
use crate::settings::{LARGEST_SETTINGS_BYTES, Selector, Settings};

/// The settings of one cluster, and where each part of them comes from.
#[derive(Debug)]
pub struct Compiled {
    /// The settings, valid.
    pub settings: Value,
    /// What the rules of compatibility say about each sidecar in this cluster. What is incompatible is the caller's to refuse
    /// ([`Federation::objections`]).
    pub findings: Vec<Finding>,
    /// The same settings, read.
    pub read: Settings,
    places: Places,
}

impl Compiled {
    /// The document and the place in it that say what stands at a place of the settings.
    ///
    /// What no document says in so many words leads to the root of the Federation.
    pub fn source_of(&self, settings_pointer: &str) -> (usize, String) {
        self.places.source_of(settings_pointer)
    }

    /// What was adapted to the cluster, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let adapted = self.findings.iter().filter(|finding| finding.verdict == Verdict::Adapted);
        adapted.map(|finding| format!("{}: {}: {}", finding.member, finding.sidecar, finding.sentence)).collect()
    }
}

/// For places of the settings the document and the place in it that say everything at or below, unless a place below
/// stands here too.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, (usize, String)>);

impl Places {
    fn source_of(&self, pointer: &str) -> (usize, String) {
        let mut above = Some(pointer);
        while let Some(place) = above {
            if let Some((document, found)) = self.0.get(place) {
                return (*document, format!("{found}{}", pointer.get(place.len()..).unwrap_or_default()));
            }
            above = place.rfind('/').and_then(|end| place.get(..end));
        }
        (0, String::new())
    }
}

impl Federation {
    /// The settings of one member's cluster. `today` decides which exemptions have expired, and nothing else: on every day
    /// that has a result it is the same.
    ///
    /// # Errors
    ///
    /// Every problem at once: an unknown cluster, a requirement that it does not meet, a guardrail that is not kept, and
    /// whatever the module would find wrong with the settings, at the place in the documents that causes it.
    pub fn compile(&self, cluster: &str, today: Date) -> Result<Compiled, Vec<SourceProblem>> {
        let Some(member) = self.members().find(|member| member.name == cluster) else {
            let names: Vec<&str> = self.members().map(|member| member.name.as_str()).collect();
            let message = format!("no member is named `{cluster}`");
            let hint = did_you_mean(cluster, names.iter().copied())
                .unwrap_or_else(|| format!("the members are {}", names.join(", ")));
            return Err(vec![SourceProblem::at(self.root.document, "/spec/members", message, Some(hint))]);
        };
        self.compile_for(member, today)
    }

    /// The same for a member that is at hand.
    ///
    /// # Errors
    ///
    /// As [`Federation::compile`].
    pub fn compile_for(&self, member: &Member, today: Date) -> Result<Compiled, Vec<SourceProblem>> {
        let (sidecars, guardrails) = (self.sidecars_of(member), self.guardrails_of(member));
        let mut problems: Vec<SourceProblem> =
            sidecars.iter().filter_map(|sidecar| unmet_requirement(sidecar, member)).collect();
        problems.extend(guardrails.iter().flat_map(|guardrail| unmet_guardrail(guardrail, &sidecars, member)));
        match self.settings_for(member, &sidecars, &guardrails) {
            Ok(compiled) => {
                problems.extend(judge(&guardrails, &sidecars, member, &compiled.settings, today));
                if !problems.is_empty() {
                    return Err(problems);
                }
                let findings = self.compatibility(member, &compiled);
                Ok(Compiled { findings, ..compiled })
            }
            Err(found) => {
                problems.extend(found);
                Err(problems)
            }
        }
    }

    /// What a member gets before any guardrail or rule is judged.
    pub(super) fn settings_for(
        &self,
        member: &Member,
        sidecars: &[&Sidecar],
        guardrails: &[&Guardrail],
    ) -> Result<Compiled, Vec<SourceProblem>> {
        let mut assembly = Assembly::new(self, member);
        assembly.add_variables(self, member);
        for sidecar in sidecars {
            assembly.add_sidecar(sidecar);
        }
        for guardrail in guardrails {
            assembly.add_guardrail(guardrail, sidecars, member);
        }
        assembly.finish()
    }

    /// What is wrong with documents that no member selects: checked as if the first member did, with every variable that any
    /// member has.
    pub fn check_unselected(&self, today: Date) -> Vec<SourceProblem> {
        let idle = |members: &Selector| !self.members().any(|member| member.selected_by(members));
        let sidecars: Vec<&Sidecar> = self.sidecars.iter().filter(|sidecar| idle(&sidecar.members)).collect();
        let Some(first) = self.members().next() else { return Vec::new() };
        let mut assembly = Assembly::new(self, first);
        for member in self.members() {
            assembly.add_variables(self, member);
        }
        for sidecar in &sidecars {
            assembly.add_sidecar(sidecar);
        }
        let guardrails: Vec<&Guardrail> = self.guardrails.iter().filter(|guardrail| idle(&guardrail.members)).collect();
        for guardrail in &guardrails {
            assembly.add_guardrail(guardrail, &sidecars, first);
        }
        match assembly.finish() {
            // What no member gets breaks no rule, but an exemption ends wherever it stands.
            Ok(compiled) => judge(&guardrails, &[], first, &compiled.settings, today),
            Err(problems) => problems,
        }
    }
}

/// Settings under construction.
struct Assembly {
    settings: Map<String, Value>,
    variables: Map<String, Value>,
    sidecars: Vec<Value>,
    /// Of the sidecars.
    digests: Vec<Value>,
    guardrails: Vec<Value>,
    places: Places,
}

impl Assembly {
    fn new(federation: &Federation, member: &Member) -> Self {
        let root = &federation.root;
        let mut assembly = Self {
            settings: Map::new(),
            variables: Map::new(),
            sidecars: Vec::new(),
            digests: Vec::new(),
            guardrails: Vec::new(),
            places: Places::default(),
        };
        assembly.place("", root.document, "");
        assembly.place("/cluster", root.document, &member.pointer);
        assembly.place("/cluster/capabilities", root.document, format!("{}/facts", member.pointer));
        assembly.place("/engineNamespace", root.document, format!("{}/engineNamespace", member.pointer));
        assembly.place("/federation", root.document, "/metadata");
        assembly.place("/federation/trustDomain", root.document, "/spec/trustDomain");
        let mut identity = Map::new();
        identity.insert("name".to_owned(), json!(root.name));
        identity.extend(root.trust_domain.clone().map(|domain| ("trustDomain".to_owned(), domain)));
        assembly.set("schemaVersion", json!(1));
        assembly.set(
            "cluster",
            json!({
                "name": member.name,
                "labels": member.labels,
                "capabilities": {"nativeSidecars": member.facts.native_sidecars()},
            }),
        );
        assembly.set("federation", Value::Object(identity));
        for (key, value) in &root.settings {
            assembly.place(child("", key), root.document, child("/spec", key));
            assembly.set(key, value.clone());
        }
        assembly.set("engineNamespace", json!(member.engine_namespace));
        assembly
    }

    fn set(&mut self, key: &str, value: Value) {
        self.settings.insert(key.to_owned(), value);
    }

    fn place(&mut self, settings: impl Into<String>, document: usize, pointer: impl Into<String>) {
        self.places.0.insert(settings.into(), (document, pointer.into()));
    }

    /// The federation's variables, with the member's own in place of those of the same name.
    fn add_variables(&mut self, federation: &Federation, member: &Member) {
        let own = format!("{}/variables", member.pointer);
        for (variables, pointer) in [(&federation.root.variables, "/spec/variables"), (&member.variables, &own)] {
            for (key, value) in variables {
                self.place(child("/variables", key), federation.root.document, child(pointer, key));
                self.variables.insert(key.clone(), value.clone());
            }
        }
    }

    fn add_sidecar(&mut self, sidecar: &Sidecar) {
        let at = format!("/sidecars/{}", self.sidecars.len());
        self.place(at.as_str(), sidecar.document, "/spec");
        self.place(format!("{at}/name"), sidecar.document, "/metadata/name");
        if !sidecar.requires.architectures.is_empty() {
            self.place(format!("{at}/architectures"), sidecar.document, "/spec/requires/architectures");
        }
        self.sidecars.push(Value::Object(sidecar.settings.clone()));
        self.digests.push(Value::from(sidecar.digest.as_str()));
    }

    /// A guardrail, with those of its sidecars that the cluster has. One whose exemptions leave out namespaces becomes
    /// several, because in the settings a guardrail is about the same pods for all of its sidecars.
    fn add_guardrail(&mut self, guardrail: &Guardrail, sidecars: &[&Sidecar], member: &Member) {
        for (index, part) in guardrail.parts(sidecars, member).into_iter().enumerate() {
            let at = format!("/guardrails/{}", self.guardrails.len());
            self.place(at.as_str(), guardrail.document, "/spec");
            self.place(format!("{at}/name"), guardrail.document, "/metadata/name");
            let name = if index == 0 { guardrail.name.clone() } else { format!("{}-exempt-{index}", guardrail.name) };
            let mut settings = Map::from_iter([
                ("name".to_owned(), Value::from(name)),
                ("origin".to_owned(), json!({"file": guardrail.file, "line": guardrail.line})),
            ]);
            settings.extend(part.selection.map(|selection| ("match".to_owned(), selection)));
            settings.insert("required".to_owned(), json!(part.required));
            settings.insert("never".to_owned(), json!(part.never));
            if !part.opt_out.is_empty() {
                let rights = part.opt_out.iter().map(|right| right.to_value());
                settings.insert("optOut".to_owned(), rights.collect());
            }
            self.guardrails.push(Value::Object(settings));
        }
    }

    /// The hash of what the settings say, but for where it was written: a change that does not reach the member, and a
    /// comment in a document, leave it as it is.
    fn revision(&self) -> String {
        let mut content = self.settings.clone();
        content.insert("sidecars".to_owned(), Value::Array(self.digests.clone()));
        let mut guardrails = self.guardrails.clone();
        for guardrail in guardrails.iter_mut().filter_map(Value::as_object_mut) {
            guardrail.shift_remove("origin");
        }
        content.insert("guardrails".to_owned(), Value::Array(guardrails));
        hash(&Value::Object(content))
    }

    /// Puts the settings together and checks them as the module will.
    fn finish(mut self) -> Result<Compiled, Vec<SourceProblem>> {
        self.variables.sort_keys();
        let variables = Value::Object(std::mem::take(&mut self.variables));
        self.set("variables", variables);
        let revision = Value::from(self.revision());
        if let Some(Value::Object(identity)) = self.settings.get_mut("federation") {
            identity.insert("revision".to_owned(), revision);
        }
        let lists = [std::mem::take(&mut self.sidecars), std::mem::take(&mut self.guardrails)];
        for (key, list) in ["sidecars", "guardrails"].into_iter().zip(lists) {
            self.set(key, Value::Array(list));
        }
        let Self { settings, places, .. } = self;
        let settings = Value::Object(settings);
        let bytes = settings.to_string().len();
        if bytes > LARGEST_SETTINGS_BYTES {
            let (document, pointer) = places.source_of("");
            let message = format!("the compiled settings are {bytes} bytes, the limit is {LARGEST_SETTINGS_BYTES}");
            return Err(vec![SourceProblem::at(document, pointer, message, Some(largest(&settings)))]);
        }
        let read = Settings::read(&settings).and_then(|read| {
            let problem = |(pointer, message)| Problem { pointer, message, hint: None };
            let problems: Vec<Problem> = circles(&read, &settings).into_iter().map(problem).collect();
            if problems.is_empty() { Ok(read) } else { Err(problems) }
        });
        match read {
            Ok(read) => Ok(Compiled { settings, findings: Vec::new(), read, places }),
            Err(problems) => Err(problems
                .into_iter()
                .map(|mut problem| {
                    let (document, pointer) = places.source_of(&problem.pointer);
                    problem.pointer = pointer;
                    SourceProblem { document: Some(document), problem }
                })
                .collect()),
        }
    }
}

/// The three largest sidecars by their size in the settings, for the message that there is too much of them.
fn largest(settings: &Value) -> String {
    const NAMED: usize = 3;
    let sidecars = settings["sidecars"].as_array().into_iter().flatten();
    let name = |sidecar: &Value| sidecar.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut sizes: Vec<(usize, String)> = sidecars.map(|sidecar| (sidecar.to_string().len(), name(sidecar))).collect();
    sizes.sort_by(|left, right| right.cmp(left));
    let parts: Vec<String> = sizes.iter().take(NAMED).map(|(bytes, name)| format!("{name} {bytes}")).collect();
    format!("the largest sidecars, in bytes: {}", parts.join(", "))
}

/// The problem where a cluster is not what a sidecar requires. An unknown version meets no requirement.
pub(super) fn unmet_requirement(sidecar: &Sidecar, member: &Member) -> Option<SourceProblem> {
    let required = sidecar.requires.kubernetes.as_ref()?;
    let found = match member.facts.kubernetes {
        Some(version) if required.holds(version) => return None,
        Some(version) => format!("runs {version}"),
        None => "does not say what it runs (`facts.kubernetes`)".to_owned(),
    };
    let message = format!("requires Kubernetes {required}, and member `{}` {found}", member.name);
    let hint = Some("leave the member out with `spec.members`".to_owned());
    Some(SourceProblem::at(sidecar.document, "/spec/requires/kubernetes", message, hint))
}

/// The problems where a guardrail requires what the cluster does not get.
pub(super) fn unmet_guardrail(guardrail: &Guardrail, sidecars: &[&Sidecar], member: &Member) -> Vec<SourceProblem> {
    let missing = |name: &String| {
        !sidecars.iter().any(|sidecar| sidecar.name == *name)
            && !guardrail.exempts(Rule::Required, name.as_str(), member)
    };
    let unmet = guardrail.required.iter().enumerate().filter(|(_, name)| missing(name));
    let problem = |(position, name): (usize, &String)| {
        let message = format!("required here, but the Sidecar `{name}` does not select member `{}`", member.name);
        let hint = Some("let the `members` of both select the same clusters".to_owned());
        SourceProblem::at(guardrail.document, format!("/spec/required/{position}"), message, hint)
    };
    unmet.map(problem).collect()
}

/// The hash of a value, whatever the order of its keys: `sha256:` and 64 hexadecimal digits.
pub(super) fn hash(value: &Value) -> String {
    let mut canonical = value.clone();
    canonical.sort_all_objects();
    format!("sha256:{}", hex(Sha256::digest(canonical.to_string())))
}

/// The content hash of documents: SHA-256 of their compact JSON, keys sorted, one line each, in order.
pub(super) fn revision(sources: &[Source]) -> String {
    let mut hasher = Sha256::new();
    for source in sources {
        let mut canonical = source.value.clone();
        canonical.sort_all_objects();
        hasher.update(canonical.to_string());
        hasher.update("\n");
    }
    format!("sha256:{}", hex(hasher.finalize()))
}
