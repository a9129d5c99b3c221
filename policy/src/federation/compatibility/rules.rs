//! The rules as data: what each looks at, from which version on, and where Kubernetes says so.

use super::outcome::Outcomes;
use super::versions::Field;
use super::{Case, connections, engine, nodes, pod_security, ports, resources, versions};
use crate::federation::version::Version;

/// A rule of compatibility.
#[derive(Debug)]
pub struct Rule {
    /// The stable word: reports and documents.
    pub code: &'static str,
    /// What it is about.
    pub feature: &'static str,
    /// What it looks at, in the sidecar and in the facts.
    pub looks_at: &'static str,
    /// Which versions of what decide.
    pub versions: &'static str,
    /// Where that stands, in Kubernetes or in an engine.
    pub evidence: &'static str,
    pub(super) judge: Judge,
}

/// How a rule judges.
#[derive(Debug)]
pub(super) enum Judge {
    /// By a function of one sidecar in one cluster.
    By(fn(&Case<'_>, &mut Outcomes)),
    /// By a field that not every version has.
    Field(Field),
    /// All members together.
    Members,
}

/// The rule of this code.
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code)
}

/// Where a field may stand.
type Paths = &'static [&'static [&'static str]];

/// A field that API server and kubelets must have, on by default from some version on.
const fn on(paths: Paths, gate: &'static str, alpha: u32, on: u32) -> Judge {
    let gate = Some((gate, Version::one(alpha)));
    Judge::Field(Field { paths, gate, on: Some(Version::one(on)), kubelets: true })
}

/// A field that is off by default in every version so far.
const fn off(paths: Paths, gate: &'static str, alpha: u32) -> Judge {
    Judge::Field(Field { paths, gate: Some((gate, Version::one(alpha))), on: None, kubelets: true })
}

/// Every rule, in the order of reports.
pub static RULES: [Rule; 32] = [
    Rule {
        code: "kubernetes-version",
        feature: "What the sidecar asks of Kubernetes",
        looks_at: "`requires.kubernetes`; version of the API server",
        versions: "as the document says",
        evidence: "the Sidecar document",
        judge: Judge::By(versions::requirement),
    },
    Rule {
        code: "native-sidecars",
        feature: "Containers of `form: sidecar`",
        looks_at: "`form`, `fallback`; API server and lowest kubelet (unknown kubelets: three minors behind)",
        versions: "1.29 on; 1.28 behind the gate SidecarContainers",
        evidence: "KEP-753; pkg/features/kube_features.go; Kubernetes version skew policy",
        judge: Judge::By(versions::native_sidecars),
    },
    Rule {
        code: "field-stop-signal",
        feature: "A container's own stop signal",
        looks_at: "`lifecycle.stopSignal`",
        versions: "1.33 behind the gate ContainerStopSignals",
        evidence: "KEP-4960; pkg/features/kube_features.go",
        judge: off(&[&["containers", "*", "lifecycle", "stopSignal"]], "ContainerStopSignals", 33),
    },
    Rule {
        code: "field-restart-rules",
        feature: "Restart rules by exit code",
        looks_at: "`restartPolicyRules`",
        versions: "1.35 on; 1.34 behind the gate ContainerRestartRules",
        evidence: "KEP-5307; pkg/features/kube_features.go",
        judge: on(&[&["containers", "*", "restartPolicyRules"]], "ContainerRestartRules", 34, 35),
    },
    Rule {
        code: "field-env-files",
        feature: "Variables from files of a volume",
        looks_at: "`env[].valueFrom.fileKeyRef`",
        versions: "1.35 on; 1.34 behind the gate EnvFiles",
        evidence: "KEP-3721; pkg/features/kube_features.go",
        judge: on(&[&["containers", "*", "env", "*", "valueFrom", "fileKeyRef"]], "EnvFiles", 34, 35),
    },
    Rule {
        code: "field-sleep",
        feature: "Sleeping as a lifecycle handler",
        looks_at: "`lifecycle.preStop.sleep`, `lifecycle.postStart.sleep`",
        versions: "1.30 on; 1.29 behind the gate PodLifecycleSleepAction",
        evidence: "KEP-3960; pkg/features/kube_features.go",
        judge: on(
            &[
                &["containers", "*", "lifecycle", "preStop", "sleep"],
                &["containers", "*", "lifecycle", "postStart", "sleep"],
            ],
            "PodLifecycleSleepAction",
            29,
            30,
        ),
    },
    Rule {
        code: "field-resize-policy",
        feature: "What a change of resources restarts",
        looks_at: "`resizePolicy`",
        versions: "1.33 on; 1.27 behind the gate InPlacePodVerticalScaling",
        evidence: "KEP-1287; pkg/features/kube_features.go",
        judge: on(&[&["containers", "*", "resizePolicy"]], "InPlacePodVerticalScaling", 27, 33),
    },
    Rule {
        code: "field-proc-mount",
        feature: "An unmasked /proc",
        looks_at: "`securityContext.procMount`",
        versions: "1.33 on; 1.12 behind the gate ProcMountType",
        evidence: "KEP-4265; pkg/features/kube_features.go",
        judge: on(&[&["containers", "*", "securityContext", "procMount"]], "ProcMountType", 12, 33),
    },
    Rule {
        code: "field-apparmor",
        feature: "AppArmor profile as a field",
        looks_at: "`securityContext.appArmorProfile`",
        versions: "1.30 on",
        evidence: "KEP-24; staging/src/k8s.io/api/core/v1/types.go",
        judge: Judge::Field(Field {
            paths: &[
                &["containers", "*", "securityContext", "appArmorProfile"],
                &["securityContext", "appArmorProfile"],
            ],
            gate: None,
            on: Some(Version::one(30)),
            kubelets: true,
        }),
    },
    Rule {
        code: "field-read-only-mounts",
        feature: "Mounts that are read-only all the way down",
        looks_at: "`volumeMounts[].recursiveReadOnly`",
        versions: "1.31 on; 1.30 behind the gate RecursiveReadOnlyMounts",
        evidence: "KEP-3857; pkg/features/kube_features.go",
        judge: on(&[&["containers", "*", "volumeMounts", "*", "recursiveReadOnly"]], "RecursiveReadOnlyMounts", 30, 31),
    },
    Rule {
        code: "field-grpc-probe",
        feature: "Probes by gRPC",
        looks_at: "`livenessProbe.grpc`, `readinessProbe.grpc`, `startupProbe.grpc`",
        versions: "1.24 on; 1.23 behind the gate GRPCContainerProbe",
        evidence: "KEP-2727; kep.yaml",
        judge: on(
            &[
                &["containers", "*", "livenessProbe", "grpc"],
                &["containers", "*", "readinessProbe", "grpc"],
                &["containers", "*", "startupProbe", "grpc"],
            ],
            "GRPCContainerProbe",
            23,
            24,
        ),
    },
    Rule {
        code: "field-image-volume",
        feature: "Volumes from images",
        looks_at: "`volumes[].image`; the container runtime must have them too, which no fact says",
        versions: "1.35 on; 1.31 behind the gate ImageVolume",
        evidence: "KEP-4639; pkg/features/kube_features.go",
        judge: on(&[&["volumes", "*", "image"]], "ImageVolume", 31, 35),
    },
    Rule {
        code: "field-trust-bundle",
        feature: "Trust bundles of the cluster as files",
        looks_at: "`volumes[].projected.sources[].clusterTrustBundle`",
        versions: "1.29 behind the gate ClusterTrustBundleProjection",
        evidence: "KEP-3257; pkg/features/kube_features.go",
        judge: off(
            &[&["volumes", "*", "projected", "sources", "*", "clusterTrustBundle"]],
            "ClusterTrustBundleProjection",
            29,
        ),
    },
    Rule {
        code: "field-pod-certificate",
        feature: "Certificates of the pod as files",
        looks_at: "`volumes[].projected.sources[].podCertificate`",
        versions: "1.34 behind the gate PodCertificateRequest",
        evidence: "KEP-4317; pkg/features/kube_features.go",
        judge: off(&[&["volumes", "*", "projected", "sources", "*", "podCertificate"]], "PodCertificateRequest", 34),
    },
    Rule {
        code: "field-pod-resources",
        feature: "Resources of the pod as a whole",
        looks_at: "`inject.pod.resources`",
        versions: "1.34 on; 1.32 behind the gate PodLevelResources",
        evidence: "KEP-2837; pkg/features/kube_features.go",
        judge: on(&[&["resources"]], "PodLevelResources", 32, 34),
    },
    Rule {
        code: "field-host-users",
        feature: "User namespaces",
        looks_at: "`inject.pod.hostUsers`",
        versions: "1.33 on; 1.25 behind the gate UserNamespacesSupport (UserNamespacesStatelessPodsSupport until 1.27)",
        evidence: "KEP-127; pkg/features/kube_features.go",
        judge: on(&[&["hostUsers"]], "UserNamespacesSupport", 25, 33),
    },
    Rule {
        code: "field-supplemental-groups",
        feature: "Which groups of the image count",
        looks_at: "`inject.pod.securityContext.supplementalGroupsPolicy`",
        versions: "1.33 on; 1.31 behind the gate SupplementalGroupsPolicy",
        evidence: "KEP-3619; pkg/features/kube_features.go",
        judge: on(&[&["securityContext", "supplementalGroupsPolicy"]], "SupplementalGroupsPolicy", 31, 33),
    },
    Rule {
        code: "field-scheduling-gates",
        feature: "Holding a pod back from scheduling",
        looks_at: "`inject.pod.schedulingGates`",
        versions: "API server 1.27 on; 1.26 behind the gate PodSchedulingReadiness",
        evidence: "KEP-3521; pkg/features/kube_features.go",
        judge: Judge::Field(Field {
            paths: &[&["schedulingGates"]],
            gate: Some(("PodSchedulingReadiness", Version::one(26))),
            on: Some(Version::one(27)),
            kubelets: false,
        }),
    },
    Rule {
        code: "field-hostname-override",
        feature: "A host name of the pod's own choice",
        looks_at: "`inject.pod.hostnameOverride`",
        versions: "1.35 on; 1.34 behind the gate HostnameOverride",
        evidence: "KEP-4762; pkg/features/kube_features.go",
        judge: on(&[&["hostnameOverride"]], "HostnameOverride", 34, 35),
    },
    Rule {
        code: "pod-security",
        feature: "Pod Security level of namespaces",
        looks_at: "security contexts, ports, probes, volumes; labels `pod-security.kubernetes.io/enforce` and `enforce-version`, \
                   `podSecurity`",
        versions: "each check from the version of the rules that brought it, as handlers with a `host`: v1.34",
        evidence: "staging/src/k8s.io/pod-security-admission/policy",
        judge: Judge::By(pod_security::judge),
    },
    Rule {
        code: "architectures",
        feature: "Processor architectures",
        looks_at: "`requires.architectures`, platforms of the image index, `nodeSelector`; architectures of the nodes",
        versions: "any",
        evidence: "the node label kubernetes.io/arch; OCI image index",
        judge: Judge::By(nodes::architectures),
    },
    Rule {
        code: "operating-systems",
        feature: "Operating systems",
        looks_at: "`os`, `mode`, guardrails; operating systems of the nodes",
        versions: "any",
        evidence: "the node label kubernetes.io/os; docs/settings.md",
        judge: Judge::By(nodes::operating_systems),
    },
    Rule {
        code: "ports",
        feature: "Ports of sidecars in one pod",
        looks_at: "`ports` of containers that run beside each other, `match`, `when`, `conflicts.ports`; the member's other sidecars",
        versions: "any",
        evidence: "a pod's containers share one network; docs/settings.md",
        judge: Judge::By(ports::clashes),
    },
    Rule {
        code: "limit-range",
        feature: "LimitRange",
        looks_at: "resources of each container after defaults, and of the sidecar as a whole; `limitRanges`",
        versions: "any; native sidecars count by KEP-753",
        evidence: "plugin/pkg/admission/limitranger/admission.go; pkg/apis/core/v1/defaults.go",
        judge: Judge::By(resources::limit_ranges),
    },
    Rule {
        code: "resource-quota",
        feature: "ResourceQuota",
        looks_at: "resources of each container after defaults, and of the sidecar as a whole; `resourceQuotas`, `limitRanges`, \
                   `pods`",
        versions: "any; native sidecars count by KEP-753",
        evidence: "pkg/quota/v1/evaluator/core/pods.go; k8s.io/component-helpers/resource/helpers.go",
        judge: Judge::By(resources::quotas),
    },
    Rule {
        code: "network-egress",
        feature: "What the sidecar connects to",
        looks_at: "`requires.egress`, and DNS where a name is in it; `networkPolicies`, `clusterNetworkPolicies`",
        versions: "any; ClusterNetworkPolicy v1alpha2 and AdminNetworkPolicy v1alpha1",
        evidence: "networking.k8s.io/v1 NetworkPolicy; network-policy-api apis/v1alpha2/clusternetworkpolicy_types.go",
        judge: Judge::By(connections::egress),
    },
    Rule {
        code: "network-ingress",
        feature: "The ports on which the sidecar listens",
        looks_at: "`ports` of its containers; `networkPolicies`, `clusterNetworkPolicies`",
        versions: "any; ClusterNetworkPolicy v1alpha2 and AdminNetworkPolicy v1alpha1",
        evidence: "networking.k8s.io/v1 NetworkPolicy; network-policy-api apis/v1alpha2/clusternetworkpolicy_types.go",
        judge: Judge::By(connections::ingress),
    },
    Rule {
        code: "mutating-webhooks",
        feature: "Other mutating webhooks",
        looks_at: "`applications` and `position` of the sidecar, native sidecars; `mutatingWebhooks`, the engine",
        versions: "any: configurations are called in the order of their names, once more only by `IfNeeded`",
        evidence: "staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/mutating/dispatcher.go; \
                   amazon-eks-pod-identity-webhook PR 209",
        judge: Judge::By(engine::webhooks),
    },
    Rule {
        code: "engine-version",
        feature: "Version of Kubewarden",
        looks_at: "whether the settings need labels of namespaces; `engineVersion`",
        versions: "Kubewarden 1.6 on",
        evidence: "kubewarden/context-aware-demo: policies read the cluster since 1.6.0",
        judge: Judge::By(engine::version),
    },
    Rule {
        code: "engine-kinds",
        feature: "Kinds of Kubewarden",
        looks_at: "`customResources`",
        versions: "policies.kubewarden.io/v1",
        evidence: "kubewarden-controller: api/policies/v1",
        judge: Judge::By(engine::kinds),
    },
    Rule {
        code: "presence-proof",
        feature: "Proof that a required sidecar is there",
        looks_at: "`mode`, guardrails; version of the API server",
        versions: "ValidatingAdmissionPolicy v1: 1.30 on",
        evidence: "KEP-3488; admissionregistration.k8s.io/v1",
        judge: Judge::By(engine::proof),
    },
    Rule {
        code: "version-skew",
        feature: "Versions of a sidecar across members",
        looks_at: "`version` and `rollout` in the settings of every member; the window that is declared",
        versions: "as the window says",
        evidence: "the documents",
        judge: Judge::Members,
    },
];
