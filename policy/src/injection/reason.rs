//! Why a sidecar was injected or not, and why a request was answered as it was.
//!
//! Codes are a published contract: metrics, audit annotations, documents and tests name them. Sentences are for people
//! and may improve. One list each; `docs/reasons.md` is checked against it.

/// What became of one sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the pod.
    Injected,
    /// The pod goes without it.
    Skipped,
    /// The pod is refused because of it.
    Denied,
}

impl Outcome {
    /// The stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
        }
    }
}

macro_rules! reasons {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $code:literal, $sentence:literal;)* }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* #[doc = $sentence] $variant,)* }

        impl $name {
            /// Every one, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word: metrics, audit annotations, documents.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The sentence for people.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

reasons! {
    /// Why a sidecar is in a pod, or is not, or keeps the pod out.
    Reason {
        RequiredByGuardrail => "required-by-guardrail", "a guardrail requires it";
        RequiredByMode => "required", "its mode is required";
        EnabledByPod => "enabled-by-pod", "the pod asks for it";
        EnabledByNamespace => "enabled-by-namespace", "the namespace asks for it";
        OptOutDefault => "opt-out-default", "its mode is opt-out and nobody opted out";
        SystemNamespace => "system-namespace", "the namespace belongs to Kubernetes or is protected";
        MirrorPod => "mirror-pod", "the pod mirrors a static pod of a node";
        ForbiddenByGuardrail => "forbidden-by-guardrail", "a guardrail says never";
        NamespaceMismatch => "namespace-mismatch", "match.namespaces does not fit the namespace";
        PodMismatch => "pod-mismatch", "match.pods does not fit the pod's labels";
        ServiceAccountMismatch => "service-account-mismatch", "match.serviceAccounts does not list the pod's service account";
        CallerMismatch => "caller-mismatch", "match.callers does not list who sent the request";
        WorkloadMismatch => "workload-mismatch", "match.workloads does not list this kind";
        ConditionFalse => "condition-false", "its when condition is false";
        HostNetwork => "host-network", "the pod shares the node's network";
        OtherOs => "other-os", "the pod is for another operating system";
        OtherArchitecture => "other-architecture", "the pod is for another architecture";
        DisabledByPod => "disabled-by-pod", "the pod says no";
        DisabledByNamespace => "disabled-by-namespace", "the namespace says no";
        OptInDefault => "opt-in-default", "its mode is opt-in and nobody opted in";
        NotInRollout => "not-in-rollout", "the rollout has not reached this workload and there is no previous version";
        NothingToInject => "nothing-to-inject", "it brings nothing that the pod does not have already";
        JobWithoutNativeSidecars => "job-without-native-sidecars", "the pod must complete and the cluster has no native sidecars";
        Conflict => "conflict", "the pod already has something else in its place";
        Invalid => "invalid", "the result would not be a valid pod";
        OverrideInvalid => "override-invalid", "an annotation that overrides it has a value that does not fit";
        ValidationFailed => "validation-failed", "one of its validations does not hold for this pod";
        ExpressionFailed => "expression-failed", "one of its expressions has no value for this pod";
        TooLarge => "too-large", "what must be kept for the way back does not fit";
    }
}

reasons! {
    /// Why an object was passed through without asking any sidecar.
    Pass {
        NotAWorkload => "not-a-workload", "the object holds no pod";
        Operation => "operation", "only CREATE and UPDATE are looked at";
        Subresource => "subresource", "subresources are not looked at";
        NoObject => "no-object", "the request carries no object";
        Verified => "verified", "an existing pod is verified, never changed";
        TemplateLeftAlone => "template-left-alone", "the pods of this template are injected when they are created";
    }
}

reasons! {
    /// A fault: not a decision, so the engine's failure rule answers.
    FaultCode {
        BadRequest => "bad-request", "the admission request cannot be read";
        BadObject => "bad-object", "the object is not shaped like its kind";
        BadSettings => "bad-settings", "the settings are not valid";
        NamespaceUnknown => "namespace-unknown", "the labels of the namespace are needed and not known";
    }
}

reasons! {
    /// Why an injection cannot be undone.
    Refusal {
        NotInjected => "not-injected", "the object carries no marker of an injection";
        BadMarker => "bad-marker", "the marker is not one that fedcar writes";
        BadRecord => "bad-record", "the inverse record is missing or its checksum is wrong";
        Changed => "changed", "something that was injected is no longer as it was";
        RequestUnreadable => "bad-request", "the request to restore cannot be read";
    }
}

/// A fault and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The stable code.
    pub code: FaultCode,
    /// What exactly went wrong; never holds values of the object.
    pub detail: String,
}

impl Fault {
    /// A fault with its detail.
    pub fn new(code: FaultCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The sentence and the detail, for people.
    pub fn message(&self) -> String {
        format!("{}: {}", self.code.sentence(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_words_and_unique() {
        let groups: [Vec<&str>; 4] = [
            Reason::ALL.iter().map(|one| one.code()).collect(),
            Pass::ALL.iter().map(|one| one.code()).collect(),
            FaultCode::ALL.iter().map(|one| one.code()).collect(),
            Refusal::ALL.iter().map(|one| one.code()).collect(),
        ];
        for codes in groups {
            for (index, code) in codes.iter().enumerate() {
                assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
                assert!(!codes.iter().take(index).any(|earlier| earlier == code), "{code} is there twice");
            }
        }
    }
}
