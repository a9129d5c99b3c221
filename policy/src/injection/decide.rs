//! The decision on one object, from entry to answer. The only entry; everything else in this folder serves it.

use serde_json::{Map, Value};

use super::apply::{self, Placed};
use super::difference::difference;
use super::draft::{Draft, Trace};
use super::marker::{self, Evidence, INJECTED, ORIGINAL};
use super::overrides;
use super::patch::Patch;
use super::pod::PodView;
use super::pod_security;
use super::reason::{Fault, FaultCode, Outcome, Pass, Reason, Refusal};
use super::render::{self, Failure, Rendering};
use super::report::{Report, SidecarReport};
use super::request::{AdmissionInput, AdmissionRequest};
use super::restore::{self, Refused, Removed};
use super::rollout;
use super::scope::RequestScope;
use super::selection::{Selected, Subject, Verdict};
use super::slot::Slot;
use super::workload::{Found, Workload, WorkloadKind};
use crate::settings::{OnConflict, Settings, Sidecar, Version};

/// The answer to one request.
#[derive(Debug)]
pub enum Decision {
    /// The object was not looked at; it is admitted as it is.
    Passed(Pass, Vec<String>),
    /// The object is admitted, changed or not.
    Allowed(Allowed),
    /// The object is refused.
    Denied {
        /// Why, for the person who sent it.
        message: String,
        /// The whole story.
        report: Report,
        /// For the person who sent it.
        warnings: Vec<String>,
    },
    /// There is no decision.
    Fault(Fault),
}

/// An object that is admitted.
#[derive(Debug)]
pub struct Allowed {
    /// The object as it shall be.
    pub object: Value,
    /// What leads to it; empty where nothing changes.
    pub patch: Patch,
    /// The whole story.
    pub report: Report,
    /// For the person who sent it.
    pub warnings: Vec<String>,
}

/// Decides on one request. Same settings and input, same answer.
pub fn decide(settings: &Settings, mut input: AdmissionInput) -> Decision {
    match admitted(&mut input) {
        Ok((kind, object)) => {
            let decided = if kind == WorkloadKind::Pod && input.request.operation.as_deref() == Some("UPDATE") {
                verify(settings, &input, kind, &object)
            } else {
                inject(settings, &input, kind, object)
            };
            decided.unwrap_or_else(Decision::Fault)
        }
        Err(pass) => Decision::Passed(pass, Vec::new()),
    }
}

/// Row 1 of the selection table: what is looked at at all.
fn admitted(input: &mut AdmissionInput) -> Result<(WorkloadKind, Value), Pass> {
    let request = &mut input.request;
    if !matches!(request.operation.as_deref(), Some("CREATE" | "UPDATE")) {
        return Err(Pass::Operation);
    }
    if request.sub_resource.as_deref().is_some_and(|name| !name.is_empty()) {
        return Err(Pass::Subresource);
    }
    let kind = request.kind.as_ref().and_then(|kind| {
        WorkloadKind::find(kind.group.as_deref().unwrap_or_default(), kind.kind.as_deref().unwrap_or_default())
    });
    let kind = kind.ok_or(Pass::NotAWorkload)?;
    let object = request.object.take().filter(|object| !object.is_null()).ok_or(Pass::NoObject)?;
    Ok((kind, object))
}

/// The pod in an object, or the fault that there is none.
fn pod_of(kind: WorkloadKind, object: &Value) -> Result<&Value, Fault> {
    let pod = kind.pod(object);
    match pod {
        Some(pod) if pod.get("spec").is_some_and(Value::is_object) => Ok(pod),
        _ => Err(Fault::new(FaultCode::BadObject, format!("a {} without a pod spec", kind.name()))),
    }
}

fn namespace_of<'a>(request: &'a AdmissionRequest, object: &'a Value) -> &'a str {
    let own = || object.get("metadata").and_then(|metadata| metadata.get("namespace")).and_then(Value::as_str);
    request.namespace.as_deref().filter(|name| !name.is_empty()).or_else(own).unwrap_or("default")
}

fn inject(settings: &Settings, input: &AdmissionInput, kind: WorkloadKind, object: Value) -> Result<Decision, Fault> {
    let untouched = |object| Base { object, removed: Removed::default(), original: None };
    if Evidence::read(pod_of(kind, &object)?).is_none() {
        return inject_into(settings, input, kind, untouched(object), Vec::new());
    }
    let refused = match without_ours(kind, &object) {
        Ok(base) => match inject_into(settings, input, kind, base, Vec::new()) {
            // Nothing that we write leads there, so neither the marker nor the fault is ours.
            Err(Fault { code: FaultCode::BadObject, .. }) => "what it puts back does not make a pod".to_owned(),
            decided => return decided,
        },
        Err(refused) => refusal_text(&refused),
    };
    let warning = format!("the marker of an earlier injection counts as absent: {refused}");
    inject_into(settings, input, kind, untouched(object), vec![warning])
}

/// The object as it would be without us, what was taken out of it, and the object as it came where that was needed.
struct Base<'o> {
    object: Value,
    removed: Removed,
    original: Option<&'o Value>,
}

/// A marker that does not verify is no marker: then what is there is the user's, and the conflict rules decide.
fn without_ours(kind: WorkloadKind, object: &Value) -> Result<Base<'_>, Refused> {
    let mut base = object.clone();
    let pod = kind.pod_mut(&mut base);
    let removed = pod.map_or_else(|| Ok(Removed::default()), restore::restore)?;
    Ok(Base { object: base, removed, original: Some(object) })
}

fn inject_into(
    settings: &Settings,
    input: &AdmissionInput,
    kind: WorkloadKind,
    base: Base<'_>,
    mut warnings: Vec<String>,
) -> Result<Decision, Fault> {
    let Base { object: base, removed: before, original } = base;
    let pod = pod_of(kind, &base)?;
    let namespace = namespace_of(&input.request, &base).to_owned();
    let labels = input.namespace_labels(&namespace);
    let workload = Workload::of(kind, &base);
    let subject = Subject {
        settings,
        kind,
        workload: &workload,
        pod: PodView(pod),
        namespace: &namespace,
        namespace_labels: labels.as_ref(),
        user: input.request.user_info.as_ref(),
        offline: input.offline,
    };
    let scope = RequestScope::new(settings, pod, &workload, &namespace, input.namespace.as_ref(), labels.as_ref());
    let chosen = choose(settings, &subject, &scope, &mut warnings)?;
    let left_alone =
        kind != WorkloadKind::Pod && chosen.iter().all(|one| one.report.code == Reason::WorkloadMismatch.code());
    if left_alone {
        return foretell(&subject, &scope, original.is_some())
            .map(|warnings| Decision::Passed(Pass::TemplateLeftAlone, warnings));
    }
    let level = pod_security::Level::of(labels.as_ref());
    let mut report = Report {
        kind: kind.name().to_owned(),
        name: object_name(&input.request, &base),
        namespace: namespace.clone(),
        workload: (&workload).into(),
        sidecars: Vec::with_capacity(chosen.len()),
    };
    let mut draft = Draft::new(base, kind.template());
    let mut placed = Vec::new();
    let mut sidecars = Map::new();
    for Choice { sidecar, report: mut told, ready } in chosen {
        if let Some(Ready { version, rendering, required }) = ready {
            let progress = draft.progress();
            match apply::apply(&mut draft, sidecar, rendering, &before, &placed, level)? {
                Ok(applied) if !required && draft.progress().edits == progress.edits => {
                    told = told.became(Outcome::Skipped, Reason::NothingToInject, applied.notes);
                }
                Ok(applied) => {
                    told.details = applied.notes;
                    placed.extend(applied.placed);
                    let about = [("version", &version.version), ("digest", &version.digest)]
                        .map(|(key, text)| (key.to_owned(), Value::from(text.as_str())));
                    sidecars.insert(sidecar.name.clone(), Value::Object(Map::from_iter(about)));
                }
                Err(failure) => {
                    draft.undo_to(progress);
                    told = fail(sidecar, failure, required, told, &mut warnings);
                }
            }
        }
        report.sidecars.push(told);
    }
    if let Some(message) = report.denial() {
        return Ok(Decision::Denied { message, report, warnings });
    }
    if !sidecars.is_empty() {
        mark(&mut draft, settings, sidecars)?;
    }
    let (object, patch) = draft.finish();
    let Some(original) = original else { return Ok(Decision::Allowed(Allowed { object, patch, report, warnings })) };
    let object = settle_order(original, object, kind, &placed);
    let patch = difference(original, &object);
    Ok(Decision::Allowed(Allowed { object, patch, report, warnings }))
}

fn refusal_text(refused: &Refused) -> String {
    match &refused.place {
        Some(place) => format!("{} ({place})", refused.code.sentence()),
        None => refused.code.sentence().to_owned(),
    }
}

/// One sidecar after selection and rendering.
struct Choice<'a> {
    sidecar: &'a Sidecar,
    report: SidecarReport,
    ready: Option<Ready<'a>>,
}

struct Ready<'a> {
    version: &'a Version,
    rendering: Rendering<'a>,
    required: bool,
}

/// Selects and renders every sidecar while nothing has been changed yet.
fn choose<'s>(
    settings: &'s Settings,
    subject: &Subject<'_>,
    scope: &RequestScope<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Choice<'s>>, Fault> {
    let mut choices = Vec::with_capacity(settings.sidecars.len());
    for sidecar in &settings.sidecars {
        let selected = subject.select(sidecar)?;
        warnings.extend(selected.warnings.iter().cloned());
        choices.push(choose_one(subject, scope, sidecar, &selected, warnings)?);
    }
    Ok(choices)
}

fn choose_one<'s>(
    subject: &Subject<'_>,
    scope: &RequestScope<'_>,
    sidecar: &'s Sidecar,
    selected: &Selected<'_>,
    warnings: &mut Vec<String>,
) -> Result<Choice<'s>, Fault> {
    let tell = |outcome, reason| SidecarReport::new(&sidecar.name, outcome, reason, selected.origin(sidecar));
    let not = |report| Ok(Choice { sidecar, report, ready: None });
    let required = match selected.verdict {
        Verdict::Skip => return not(tell(Outcome::Skipped, selected.reason)),
        Verdict::Deny => return not(tell(Outcome::Denied, selected.reason)),
        Verdict::Inject { required } => required,
    };
    if sidecar.reads_namespace && subject.namespace_labels.is_none() {
        return Err(Fault::new(FaultCode::NamespaceUnknown, format!("namespace `{}`", subject.namespace)));
    }
    match render::holds(sidecar, scope) {
        Ok(true) => {}
        Ok(false) => return not(tell(Outcome::Skipped, Reason::ConditionFalse)),
        Err(failure) => {
            let told = tell(Outcome::Injected, selected.reason);
            return not(fail(sidecar, failure, required, told, warnings));
        }
    }
    let Some(version) = rollout::choose(&sidecar.versions, subject.namespace, subject.workload) else {
        return not(tell(Outcome::Skipped, Reason::NotInRollout));
    };
    let mut told = tell(Outcome::Injected, selected.reason);
    told.version = Some(version.version.clone());
    if sidecar.versions.rollout.is_some() && subject.workload.found == Found::Ambiguous {
        warnings.push(format!("the rollout takes `{}` for the name of a CronJob", subject.workload.name));
    }
    let completes = subject.kind.completes() || subject.workload.completes();
    warnings.extend(overrides::unknown(sidecar, subject.pod.annotations()));
    match render::render(scope, subject.settings, sidecar, version, completes) {
        Ok(rendering) => Ok(Choice { sidecar, report: told, ready: Some(Ready { version, rendering, required }) }),
        Err(failure) => not(fail(sidecar, failure, required, told, warnings)),
    }
}

/// A failed check denies where the sidecar is required or its document says so, and skips it otherwise.
fn fail(
    sidecar: &Sidecar,
    failure: Failure,
    required: bool,
    told: SidecarReport,
    warnings: &mut Vec<String>,
) -> SidecarReport {
    let checks = !matches!(failure.reason, Reason::JobWithoutNativeSidecars);
    let deny = failure.deny || required || (checks && sidecar.on_conflict == OnConflict::Deny);
    let outcome = if deny { Outcome::Denied } else { Outcome::Skipped };
    if !deny && checks {
        warnings.push(format!("sidecar `{}` was left out: {}", sidecar.name, failure.details.join("; ")));
    }
    told.became(outcome, failure.reason, failure.details)
}

/// Writes the marker and, where something was replaced, the inverse record.
fn mark(draft: &mut Draft, settings: &Settings, sidecars: Map<String, Value>) -> Result<(), Fault> {
    let texts = marker::write(&settings.revision, sidecars, draft);
    draft.put(marker::annotation(INJECTED), Value::from(texts.injected), Trace::Silent)?;
    match texts.original {
        Some(text) => draft.put(marker::annotation(ORIGINAL), Value::from(text), Trace::Silent),
        None => Ok(()),
    }
}

/// Keeps the order that others have made of a list that holds the same items, where our containers stand well in it.
fn settle_order(original: &Value, mut object: Value, kind: WorkloadKind, placed: &[Placed]) -> Value {
    for list in ["containers", "initContainers", "volumes"] {
        let slot = Slot::of(&["spec", list]);
        let Ok(there) = pod_of(kind, original) else { return object };
        let Some(theirs) = slot.find(there).and_then(Value::as_array) else { continue };
        let pod = kind.pod_mut(&mut object);
        let Some(ours) = pod.and_then(|pod| slot.find_mut(pod)) else { continue };
        let same_items = ours.as_array().is_some_and(|ours| by_name(ours) == by_name(theirs));
        let stands = apply::stand_well(theirs, slot.address(), placed);
        if same_items && stands {
            *ours = Value::Array(theirs.clone());
        }
    }
    object
}

fn by_name(items: &[Value]) -> Vec<(&str, &Value)> {
    let name = |item| Value::get(item, "name").and_then(Value::as_str).unwrap_or_default();
    let mut items: Vec<(&str, &Value)> = items.iter().map(|item| (name(item), item)).collect();
    items.sort_by_key(|(name, _)| *name);
    items
}

/// What the pods of a template that is left alone will get, as warnings for the person who applies it.
fn foretell(subject: &Subject<'_>, scope: &RequestScope<'_>, marked: bool) -> Result<Vec<String>, Fault> {
    let mut warnings = Vec::new();
    let offline = Subject { offline: true, ..*subject };
    let mut coming = Vec::new();
    for choice in choose(subject.settings, &offline, scope, &mut warnings)? {
        let SidecarReport { name, result, sentence, .. } = &choice.report;
        match (choice.ready, *result == Outcome::Denied.code()) {
            (Some(ready), _) => coming.push(format!("{name} {}", ready.version.version)),
            (None, true) => {
                warnings.push(format!("pods of this template will be denied: sidecar `{name}`: {sentence}"));
            }
            (None, false) => {}
        }
    }
    if !coming.is_empty() {
        warnings.push(format!("pods of this {} will get {}", subject.kind.name(), coming.join(", ")));
    }
    if marked {
        warnings.push(
            "this template carries an injection already; its pods are brought up to date when created".to_owned(),
        );
    }
    Ok(warnings)
}

/// UPDATE of a pod: its containers cannot change any more, so what is wrong is told and never denied; a pod from before
/// the first settings must stay deletable and patchable.
fn verify(settings: &Settings, input: &AdmissionInput, kind: WorkloadKind, object: &Value) -> Result<Decision, Fault> {
    let pod = pod_of(kind, object)?;
    let mut warnings = Vec::new();
    let evidence = match Evidence::read(pod) {
        None => None,
        Some(Err(code)) => {
            warnings.push(format!("the marker does not verify: {}", code.sentence()));
            None
        }
        Some(Ok(evidence)) => {
            if let Err(refused) = restore::verify(pod, &evidence) {
                warnings.push(format!("the marker does not verify: {}", refusal_text(&refused)));
            }
            Some(evidence)
        }
    };
    let namespace = namespace_of(&input.request, object);
    let labels = input.namespace_labels(namespace);
    let workload = Workload::of(kind, object);
    let subject = Subject {
        settings,
        kind,
        workload: &workload,
        pod: PodView(pod),
        namespace,
        namespace_labels: labels.as_ref(),
        user: None,
        offline: false,
    };
    for sidecar in &settings.sidecars {
        let missing = !evidence.iter().flat_map(Evidence::sidecars).any(|name| name == sidecar.name);
        // A namespace that is not known here leaves the question open; nothing hangs on it.
        let required = subject.select(sidecar).is_ok_and(|one| one.verdict == Verdict::Inject { required: true });
        if missing && required {
            warnings.push(format!("sidecar `{}` is required and this pod does not carry it", sidecar.name));
        }
    }
    Ok(Decision::Passed(Pass::Verified, warnings))
}

fn object_name(request: &AdmissionRequest, object: &Value) -> String {
    let own = |key: &str| object.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
    let asked = request.name.as_deref().filter(|name| !name.is_empty());
    asked.or_else(|| own("name")).or_else(|| own("generateName")).unwrap_or_default().to_owned()
}

/// Takes an injection back, from the object alone.
pub fn uninject(object: &Value) -> Result<(Value, Patch), Refused> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").rsplit_once('/').map_or("", |(group, _)| group);
    let refuse = || Refused { code: Refusal::NotInjected, place: None };
    let kind = WorkloadKind::find(group, text("kind")).ok_or_else(refuse)?;
    let mut restored = object.clone();
    let pod = kind.pod_mut(&mut restored).ok_or_else(refuse)?;
    restore::restore(pod)?;
    let patch = difference(object, &restored);
    Ok((restored, patch))
}
