//! The module's operations as bytes in, bytes out: what every face (waPC, native, browser) calls and nothing else.
//!
//! A face moves bytes; the decision never sees which face it runs in. That is what makes promise P5 testable. No operation
//! fails on hostile input: it answers with a typed refusal, because policy-server turns a guest error into a denial and a
//! trap into a lost request. The shapes are documented in `docs/settings.md`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::injection::{
    AdmissionInput, AdmissionRequest, Allowed, Decision, Fault, FaultCode, MANAGED_FIELDS, Outcome, Patch, Report,
    decide, uninject,
};
use crate::read::{Problem, dotted};
use crate::settings::{OnFault, Settings};

/// The operations of the module, by their waPC names.
///
/// The first three are Kubewarden's; the others are called by fedcar's own engine only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Kubewarden: which protocol version the module speaks.
    ProtocolVersion,
    /// Kubewarden: are these settings valid?
    ValidateSettings,
    /// Kubewarden: decide on one admission request, settings included in the payload.
    Validate,
    /// fedcar: read the settings once, so that the host can snapshot the initialised memory.
    Prepare,
    /// fedcar: decide on one admission request with the prepared settings.
    Admit,
    /// fedcar: undo an injection from the object alone.
    Restore,
}

impl Operation {
    /// Every operation, in the order of registration.
    pub const ALL: [Self; 6] =
        [Self::ProtocolVersion, Self::ValidateSettings, Self::Validate, Self::Prepare, Self::Admit, Self::Restore];

    /// The waPC operation name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProtocolVersion => "protocol_version",
            Self::ValidateSettings => "validate_settings",
            Self::Validate => "validate",
            Self::Prepare => "fedcar.prepare",
            Self::Admit => "fedcar.admit",
            Self::Restore => "fedcar.restore",
        }
    }
}

/// Valid settings, ready for decisions.
#[derive(Debug)]
pub struct Prepared(Settings);

/// Looks a namespace up, where the settings need its labels and the request does not bring them.
pub trait Namespaces {
    /// The Namespace object; `None` where it cannot be known.
    fn get(&self, name: &str) -> Option<Value>;
}

/// `protocol_version`: the version of Kubewarden's protocol, as JSON.
pub fn protocol_version() -> Vec<u8> {
    br#""v1""#.to_vec()
}

/// `validate_settings`: settings -> `{valid, message}`.
pub fn validate_settings(settings: &[u8]) -> Vec<u8> {
    let message = read_settings(settings).err().map(|problems| problem_text(&problems));
    write(&SettingsReply { valid: message.is_none(), message })
}

/// `fedcar.prepare`: settings -> `{valid, problems}`, and the settings where they are valid.
pub fn prepare(settings: &[u8]) -> (Vec<u8>, Option<Prepared>) {
    match read_settings(settings) {
        Ok(settings) => (write(&PrepareReply { valid: true, problems: Vec::new() }), Some(Prepared(settings))),
        Err(problems) => {
            let problems = problems.into_iter().map(ProblemReply::from).collect();
            (write(&PrepareReply { valid: false, problems }), None)
        }
    }
}

/// `validate`: Kubewarden's request with settings -> Kubewarden's response. A fault follows `onFault`.
pub fn validate(payload: &[u8], namespaces: &dyn Namespaces) -> Vec<u8> {
    let response = match serde_json::from_slice::<ValidatePayload<'_>>(payload) {
        Err(_) => Validation::fault(&Fault::new(FaultCode::BadRequest, "not a validation request"), OnFault::Deny),
        Ok(payload) => match read_settings(payload.settings.get().as_bytes()) {
            Err(problems) => {
                Validation::fault(&Fault::new(FaultCode::BadSettings, problem_text(&problems)), OnFault::Deny)
            }
            Ok(settings) => match serde_json::from_slice::<AdmissionRequest>(payload.request.get().as_bytes()) {
                Err(error) => Validation::fault(&unreadable(&error), settings.on_fault),
                Ok(request) => {
                    let name = request.namespace.as_deref().unwrap_or_default();
                    let wanted = settings.needs_namespace_labels() && !name.is_empty() && !settings.protects(name);
                    let namespace = if wanted { namespaces.get(name) } else { None };
                    let decision = decide(&settings, AdmissionInput { request, namespace, offline: false });
                    let mut response = Validation::from(&settings, decision);
                    if let Some(object) = &mut response.mutated_object {
                        put_managed_fields_back(object, payload.request.get());
                    }
                    response
                }
            },
        },
    };
    write(&response)
}

/// Gives the whole object what was skipped while it was read.
fn put_managed_fields_back(object: &mut Value, request: &str) {
    #[derive(Deserialize)]
    struct Request {
        object: Object,
    }
    #[derive(Deserialize)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        managed_fields: Value,
    }
    // Any other shape has none.
    let Ok(Request { object: Object { metadata } }) = serde_json::from_slice(request.as_bytes()) else { return };
    if let Some(Value::Object(fields)) = object.get_mut("metadata") {
        fields.insert(MANAGED_FIELDS.to_owned(), metadata.managed_fields);
    }
}

/// `fedcar.admit`: request with what the host knows -> decision with its patch.
pub fn admit(prepared: &Prepared, payload: &[u8]) -> Vec<u8> {
    let settings = &prepared.0;
    match serde_json::from_slice::<AdmitPayload>(payload) {
        Err(error) => write(&AdmitReply::fault(&unreadable(&error))),
        Ok(AdmitPayload { request, namespace, offline, explain }) => {
            let decision = decide(settings, AdmissionInput { request, namespace, offline });
            write(&AdmitReply::from(settings, &decision, explain))
        }
    }
}

/// `fedcar.restore`: `{object}` -> `{patch}` or `{refused}`.
pub fn restore(payload: &[u8]) -> Vec<u8> {
    let reply = match serde_json::from_slice::<RestorePayload>(payload) {
        Err(_) => {
            RestoreReply::Refused { code: "bad-request", message: "the request to restore cannot be read".to_owned() }
        }
        Ok(RestorePayload { object }) => match uninject(&object) {
            Ok((_, patch)) => RestoreReply::Patch(patch),
            Err(refused) => {
                let place = refused.place.map(|place| format!(": {place}")).unwrap_or_default();
                let message = format!("{}{place}", refused.code.sentence());
                RestoreReply::Refused { code: refused.code.code(), message }
            }
        },
    };
    write(&reply)
}

#[derive(Deserialize)]
struct ValidatePayload<'p> {
    #[serde(borrow)]
    request: &'p RawValue,
    #[serde(borrow)]
    settings: &'p RawValue,
}

#[derive(Deserialize)]
struct AdmitPayload {
    request: AdmissionRequest,
    #[serde(default)]
    namespace: Option<Value>,
    #[serde(default)]
    offline: bool,
    #[serde(default)]
    explain: bool,
}

#[derive(Deserialize)]
struct RestorePayload {
    object: Value,
}

#[derive(Serialize)]
struct SettingsReply {
    valid: bool,
    message: Option<String>,
}

#[derive(Serialize)]
struct PrepareReply {
    valid: bool,
    problems: Vec<ProblemReply>,
}

#[derive(Serialize)]
struct ProblemReply {
    pointer: String,
    path: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl From<Problem> for ProblemReply {
    fn from(problem: Problem) -> Self {
        Self { path: dotted(&problem.pointer), pointer: problem.pointer, message: problem.message, hint: problem.hint }
    }
}

/// Kubewarden's `ValidationResponse`, in its own spelling.
#[derive(Default, Serialize)]
struct Validation {
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutated_object: Option<Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    audit_annotations: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// A decision to refuse.
const FORBIDDEN: u16 = 403;
/// A fault of ours that refuses because the settings say so.
const INTERNAL_ERROR: u16 = 500;

impl Validation {
    fn from(settings: &Settings, decision: Decision) -> Self {
        match decision {
            Decision::Passed(_, warnings) => Self { accepted: true, warnings: shorten(warnings), ..Self::default() },
            Decision::Fault(fault) => Self::fault(&fault, settings.on_fault),
            Decision::Denied { message, report, warnings } => Self {
                message: Some(message),
                code: Some(FORBIDDEN),
                audit_annotations: report.audit_annotations(&settings.revision),
                warnings: shorten(warnings),
                ..Self::default()
            },
            Decision::Allowed(Allowed { object, patch, report, warnings }) => Self {
                accepted: true,
                mutated_object: (!patch.is_empty()).then_some(object),
                audit_annotations: report.audit_annotations(&settings.revision),
                warnings: shorten(warnings),
                ..Self::default()
            },
        }
    }

    fn fault(fault: &Fault, on_fault: OnFault) -> Self {
        match on_fault {
            OnFault::Allow => Self {
                accepted: true,
                warnings: shorten(vec![format!("nothing was injected: {}", fault.message())]),
                ..Self::default()
            },
            OnFault::Deny => Self { message: Some(fault.message()), code: Some(INTERNAL_ERROR), ..Self::default() },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdmitReply<'d> {
    verdict: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<&'d Patch>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    audit_annotations: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'d Report>,
}

impl<'d> AdmitReply<'d> {
    fn from(settings: &Settings, decision: &'d Decision, explain: bool) -> Self {
        let told = |report: &'d Report| explain.then_some(report);
        match decision {
            Decision::Fault(fault) => Self::fault(fault),
            Decision::Passed(pass, warnings) => Self {
                message: Some(pass.sentence().to_owned()),
                warnings: shorten(warnings.clone()),
                ..Self::new("allowed", pass.code())
            },
            Decision::Denied { message, report, warnings } => Self {
                message: Some(message.clone()),
                warnings: shorten(warnings.clone()),
                audit_annotations: report.audit_annotations(&settings.revision),
                report: told(report),
                ..Self::new("denied", "denied")
            },
            Decision::Allowed(Allowed { patch, report, warnings, .. }) => {
                let code = match (patch.is_empty(), report.with(Outcome::Injected).next().is_some()) {
                    (false, true) => "injected",
                    (false, false) => "removed",
                    (true, true) => "unchanged",
                    (true, false) => "skipped",
                };
                Self {
                    patch: (!patch.is_empty()).then_some(patch),
                    warnings: shorten(warnings.clone()),
                    audit_annotations: report.audit_annotations(&settings.revision),
                    report: told(report),
                    ..Self::new("allowed", code)
                }
            }
        }
    }

    fn fault(fault: &Fault) -> Self {
        Self { message: Some(fault.message()), ..Self::new("fault", fault.code.code()) }
    }

    fn new(verdict: &'static str, code: &'static str) -> Self {
        Self {
            verdict,
            code,
            message: None,
            patch: None,
            warnings: Vec::new(),
            audit_annotations: Map::new(),
            report: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum RestoreReply {
    Patch(Patch),
    Refused { code: &'static str, message: String },
}

fn read_settings(bytes: &[u8]) -> Result<Settings, Vec<Problem>> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        vec![Problem { pointer: String::new(), message: format!("settings are not JSON: {error}"), hint: None }]
    })?;
    Settings::read(&value)
}

/// The position is told, the words of the parser are not: they may quote the object.
fn unreadable(error: &serde_json::Error) -> Fault {
    Fault::new(FaultCode::BadRequest, format!("at line {} column {}", error.line(), error.column()))
}

fn problem_text(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    let count = problems.len();
    format!("settings are not valid ({count} problem{}){}", if count == 1 { "" } else { "s" }, lines.concat())
}

/// API servers cut warnings at 256 characters and drop them after 4,096 bytes in all
/// (`k8s.io/apiserver/pkg/endpoints/filters/warning.go`); cut here, the marks of the cut are ours.
fn shorten(mut warnings: Vec<String>) -> Vec<String> {
    const LONGEST_CHARS: usize = 250;
    const MOST: usize = 16;
    warnings.truncate(MOST);
    for warning in &mut warnings {
        if let Some((end, _)) = warning.char_indices().nth(LONGEST_CHARS) {
            warning.truncate(end);
            warning.push('…');
        }
    }
    warnings
}

/// Our own replies are plain data with text keys: writing them cannot fail.
fn write(reply: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(reply).unwrap_or_default()
}
