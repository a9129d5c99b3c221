//! Whether a sidecar goes into a pod: a table, read from the top, first row that applies (DESIGN section 4).
//!
//! Nothing here looks at what is injected or in which version; that a version is missing for a workload is decided
//! afterwards and never turns a "no" into a "yes".

use serde_json::{Map, Value};

use super::pod::PodView;
use super::reason::{Fault, FaultCode, Reason};
use super::request::UserInfo;
use super::workload::{Workload, WorkloadKind};
use crate::settings::{Guardrail, Match, MayOptOut, Mode, NAMESPACE_NAME_LABEL, Origin, Settings, Sidecar};

/// The key that speaks for every sidecar.
const SWITCH_ALL: &str = "fedcar.dev/inject";
/// The prefix of the keys that speak for one sidecar.
const SWITCH_PREFIX: &str = "sidecar.fedcar.dev/";

/// What selection knows of a request.
pub(super) struct Subject<'a> {
    pub(super) settings: &'a Settings,
    pub(super) kind: WorkloadKind,
    pub(super) workload: &'a Workload,
    pub(super) pod: PodView<'a>,
    pub(super) namespace: &'a str,
    /// The namespace's labels; `None` where they are not known.
    pub(super) namespace_labels: Option<&'a Map<String, Value>>,
    pub(super) user: Option<&'a UserInfo>,
    /// A template is injected as the pod that it would create.
    pub(super) offline: bool,
}

/// The answer for one sidecar, before anything is rendered.
#[derive(Debug)]
pub(super) struct Selected<'a> {
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    /// The guardrail that decided, or that requires what is denied.
    pub(super) guardrail: Option<&'a Guardrail>,
    /// Values of switches that mean nothing.
    pub(super) warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Inject; a failure denies where it is required.
    Inject {
        required: bool,
    },
    Skip,
    Deny,
}

impl<'a> Selected<'a> {
    /// Where the document stands that decided.
    pub(super) fn origin<'s>(&'s self, sidecar: &'s Sidecar) -> Option<&'s Origin> {
        self.guardrail.map_or(sidecar.origin.as_ref(), |guardrail| guardrail.origin.as_ref())
    }

    fn new(verdict: Verdict, reason: Reason) -> Self {
        Self { verdict, reason, guardrail: None, warnings: Vec::new() }
    }

    fn by(mut self, guardrail: Option<&'a Guardrail>) -> Self {
        self.guardrail = guardrail;
        self
    }
}

impl<'a> Subject<'a> {
    /// Reads the table for one sidecar. Row 1, whether the object is looked at at all, is behind us.
    pub(super) fn select(&self, sidecar: &Sidecar) -> Result<Selected<'a>, Fault> {
        use Verdict::{Deny, Inject, Skip};

        if self.settings.protects(self.namespace) {
            return Ok(Selected::new(Skip, Reason::SystemNamespace)); // row 2
        }
        if self.pod.is_mirror() && self.user.is_some_and(|user| user.is_in("system:nodes")) {
            return Ok(Selected::new(Skip, Reason::MirrorPod)); // row 3
        }
        if let Some(guardrail) = self.guardrail(|guardrail| guardrail.never.contains(&sidecar.name))? {
            return Ok(Selected::new(Skip, Reason::ForbiddenByGuardrail).by(Some(guardrail))); // row 4
        }
        if let Some(reason) = self.mismatch(&sidecar.matching)? {
            return Ok(Selected::new(Skip, reason)); // row 5
        }
        let guardrail = self.guardrail(|guardrail| guardrail.required.contains(&sidecar.name))?;
        let host_network = self.pod.host_network() && !sidecar.allow_host_network;
        let other_os = !sidecar.os.iter().any(|os| os == self.pod.os());
        let other_architecture = !sidecar.architectures.is_empty()
            && self.pod.architecture().is_some_and(|arch| !sidecar.architectures.iter().any(|one| one == arch));
        if guardrail.is_some() || sidecar.mode == Mode::Required {
            let reason = if guardrail.is_some() { Reason::RequiredByGuardrail } else { Reason::RequiredByMode };
            return Ok(match (host_network, other_os) {
                (true, _) => Selected::new(Deny, Reason::HostNetwork),
                (_, true) => Selected::new(Deny, Reason::OtherOs),
                _ => Selected::new(Inject { required: true }, reason),
            }
            .by(guardrail)); // row 6
        }
        for (applies, reason) in [
            (host_network, Reason::HostNetwork),
            (other_os, Reason::OtherOs),
            (other_architecture, Reason::OtherArchitecture),
        ] {
            if applies {
                return Ok(Selected::new(Skip, reason)); // row 7
            }
        }
        self.switches(sidecar) // rows 8 to 10
    }

    /// Rows 8 to 10: what the application team says, else the mode.
    fn switches(&self, sidecar: &Sidecar) -> Result<Selected<'a>, Fault> {
        let mut warnings = Vec::new();
        let closed = |to: MayOptOut| {
            let says = |guardrail: &Guardrail| {
                guardrail.opt_out.iter().any(|right| right.sidecar == sidecar.name && right.by > to)
            };
            self.guardrail(says)
        };
        let pod = Switch {
            maps: &[self.pod.labels(), self.pod.annotations()],
            whose: "pod",
            closed: closed(MayOptOut::Pods)?,
        }
        .read(&sidecar.name, &mut warnings);
        let namespace = match (pod, self.namespace_labels) {
            (None, Some(labels)) => {
                Switch { maps: &[Some(labels)], whose: "namespace", closed: closed(MayOptOut::Namespaces)? }
                    .read(&sidecar.name, &mut warnings)
            }
            (None, None) if self.settings.namespace_labels_required => return Err(self.namespace_unknown()),
            _ => None,
        };
        let on = Verdict::Inject { required: false };
        let (verdict, reason) = match (pod, namespace, sidecar.mode) {
            (Some(true), _, _) => (on, Reason::EnabledByPod),
            (Some(false), _, _) => (Verdict::Skip, Reason::DisabledByPod),
            (_, Some(true), _) => (on, Reason::EnabledByNamespace),
            (_, Some(false), _) => (Verdict::Skip, Reason::DisabledByNamespace),
            (_, _, Mode::OptOut) => (on, Reason::OptOutDefault),
            (_, _, Mode::OptIn | Mode::Required) => (Verdict::Skip, Reason::OptInDefault),
        };
        Ok(Selected { verdict, reason, guardrail: None, warnings })
    }

    /// The first guardrail that is about this pod and says so.
    fn guardrail(&self, says: impl Fn(&Guardrail) -> bool) -> Result<Option<&'a Guardrail>, Fault> {
        for guardrail in self.settings.guardrails.iter().filter(|guardrail| says(guardrail)) {
            if self.mismatch(&guardrail.matching)?.is_none() {
                return Ok(Some(guardrail));
            }
        }
        Ok(None)
    }

    /// Why a match does not fit.
    fn mismatch(&self, matching: &Match) -> Result<Option<Reason>, Fault> {
        if !self.kind_fits(&matching.workloads) {
            return Ok(Some(Reason::WorkloadMismatch));
        }
        if matching.pods.as_ref().is_some_and(|selector| !selector.matches(self.pod.labels())) {
            return Ok(Some(Reason::PodMismatch));
        }
        let accounts = &matching.service_accounts;
        if !accounts.is_empty() && !accounts.iter().any(|name| name == self.pod.service_account()) {
            return Ok(Some(Reason::ServiceAccountMismatch));
        }
        if let Some(callers) = &matching.callers {
            let listed = self.user.is_some_and(|user| {
                callers.users.iter().any(|name| Some(name) == user.username.as_ref())
                    || callers.groups.iter().any(|group| user.is_in(group))
            });
            if !listed {
                return Ok(Some(Reason::CallerMismatch));
            }
        }
        let Some(selector) = &matching.namespaces else { return Ok(None) };
        let fits = match self.namespace_labels {
            Some(labels) => selector.matches(Some(labels)),
            None if selector.asks_only_for_name() => {
                let name = (NAMESPACE_NAME_LABEL.to_owned(), Value::from(self.namespace));
                selector.matches(Some(&Map::from_iter([name])))
            }
            None => return Err(self.namespace_unknown()),
        };
        Ok((!fits).then_some(Reason::NamespaceMismatch))
    }

    /// A kind fits if it is listed, and a pod also if the kind of its workload is: injecting a template and injecting
    /// the pods that come from it must come to the same.
    fn kind_fits(&self, kinds: &[WorkloadKind]) -> bool {
        let pod_listed = kinds.contains(&WorkloadKind::Pod);
        kinds.contains(&self.kind)
            || (self.offline && pod_listed)
            || (self.kind == WorkloadKind::Pod && kinds.iter().any(|kind| kind.name() == self.workload.kind))
    }

    fn namespace_unknown(&self) -> Fault {
        Fault::new(FaultCode::NamespaceUnknown, format!("namespace `{}`", self.namespace))
    }
}

/// Whether a match means the pods of an object, whoever sends it; `None` where that hangs on labels of the namespace that
/// are not known.
pub(crate) fn is_meant(
    settings: &Settings,
    matching: &Match,
    object: &Value,
    kind: WorkloadKind,
    namespace: &str,
    namespace_labels: Option<&Map<String, Value>>,
) -> Option<bool> {
    let Some(pod) = kind.pod(object) else { return Some(false) };
    let workload = Workload::of(kind, object);
    let pod = PodView(pod);
    let subject =
        Subject { settings, kind, workload: &workload, pod, namespace, namespace_labels, user: None, offline: true };
    subject.mismatch(matching).ok().map(|mismatch| mismatch.is_none())
}

/// Who says whether a sidecar is wanted.
struct Switch<'a> {
    /// The key for this sidecar comes first, then the key for all, each in the first map that has it.
    maps: &'a [Option<&'a Map<String, Value>>],
    whose: &'static str,
    /// The guardrail that gives them no right to say no.
    closed: Option<&'a Guardrail>,
}

impl Switch<'_> {
    /// What they say, as far as it means anything.
    fn read(&self, sidecar: &str, warnings: &mut Vec<String>) -> Option<bool> {
        let whose = self.whose;
        for key in [&format!("{SWITCH_PREFIX}{sidecar}"), SWITCH_ALL] {
            for value in self.maps.iter().flatten().filter_map(|map| map.get(key)) {
                match (value.as_str(), self.closed) {
                    (Some("enabled"), _) => return Some(true),
                    (Some("disabled"), None) => return Some(false),
                    (Some("disabled"), Some(guardrail)) => warnings.push(format!(
                        "{whose}: `{key}: disabled` counts as absent: guardrail `{}` gives no right to opt out of `{sidecar}` here",
                        guardrail.name
                    )),
                    _ => warnings.push(format!("{whose}: `{key}` must be `enabled` or `disabled`; it counts as absent")),
                }
            }
        }
        None
    }
}
