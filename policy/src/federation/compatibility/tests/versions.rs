//! Fields and forms that hang on versions of Kubernetes, on both sides of their boundary.

use serde_json::{Value, json};

use super::{by_version, container, said, sidecar, verdicts};
use crate::federation::compatibility::rules::Judge;
use crate::federation::compatibility::{RULES, rule};

#[test]
fn fields_change_their_verdict_at_their_version() {
    let pod = |pod: Value| json!({"inject": {"containers": [container(&json!({}))], "pod": pod}});
    let volume = |volume: Value| json!({"inject": {"volumes": [volume]}});
    let application = |change: Value| json!({"inject": {"applications": [change]}});
    let projected = |key: &str| volume(json!({"name": "v", "projected": {"sources": [{key: {}}]}}));
    let seen: Vec<&str> = [
        ("field-stop-signal", sidecar(&json!({"lifecycle": {"stopSignal": "SIGTERM"}})), None, 33),
        ("field-restart-rules", sidecar(&json!({"restartPolicyRules": []})), Some(35), 34),
        ("field-env-files", sidecar(&json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {}}}]})), Some(35), 34),
        ("field-sleep", sidecar(&json!({"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}})), Some(30), 29),
        ("field-sleep", application(json!({"lifecycle": {"postStart": {"sleep": {"seconds": 1}}}})), Some(30), 29),
        ("field-resize-policy", sidecar(&json!({"resizePolicy": []})), Some(33), 27),
        ("field-proc-mount", sidecar(&json!({"securityContext": {"procMount": "Default"}})), Some(33), 12),
        ("field-apparmor", sidecar(&json!({"securityContext": {"appArmorProfile": {}}})), Some(30), 30),
        (
            "field-read-only-mounts",
            sidecar(&json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "recursiveReadOnly": "Enabled"}]})),
            Some(31),
            30,
        ),
        ("field-grpc-probe", sidecar(&json!({"readinessProbe": {"grpc": {"port": 1}}})), Some(24), 23),
        ("field-image-volume", volume(json!({"name": "v", "image": {}})), Some(35), 31),
        ("field-trust-bundle", projected("clusterTrustBundle"), None, 29),
        ("field-pod-certificate", projected("podCertificate"), None, 34),
        ("field-pod-resources", pod(json!({"resources": {}})), Some(34), 32),
        ("field-host-users", pod(json!({"hostUsers": false})), Some(33), 25),
        (
            "field-supplemental-groups",
            pod(json!({"securityContext": {"supplementalGroupsPolicy": "Strict"}})),
            Some(33),
            31,
        ),
        ("field-scheduling-gates", pod(json!({"schedulingGates": [{"name": "a"}]})), Some(27), 26),
        ("field-hostname-override", pod(json!({"hostnameOverride": "a"})), Some(35), 34),
    ]
    .into_iter()
    .map(|(code, spec, on, gated)| {
        let Judge::Field(field) = &rule(code).unwrap().judge else { panic!("{code} is no field") };
        let at = |from: u32| match from {
            ..=22 => vec![(22, "compatible")],
            from => vec![(22, "incompatible"), (from, "compatible")],
        };
        let by_default = on.map_or_else(|| vec![(22, "incompatible")], at);
        assert_eq!(by_version(code, &spec, &[]), by_default, "{code}");
        let gates: Vec<&str> = field.gate.into_iter().map(|(gate, _)| gate).collect();
        assert_eq!(by_version(code, &spec, &gates), at(gated), "{code} with {gates:?}");
        assert_eq!(verdicts(code, &spec, &json!({})), ["unknown"], "{code}");
        assert_eq!(verdicts(code, &sidecar(&json!({})), &json!({"kubernetes": "1.22"})), [""; 0], "{code}");
        code
    })
    .collect();
    for rule in RULES.iter().filter(|rule| matches!(rule.judge, Judge::Field(_))) {
        assert!(seen.contains(&rule.code), "{} has no test", rule.code);
    }
}

#[test]
fn fields_look_at_the_part_that_needs_them() {
    let facts = json!({"kubernetes": "1.35", "kubelets": ["1.34", "1.35"]});
    assert_eq!(
        said("field-env-files", &sidecar(&json!({"env": [{"name": "A", "valueFrom": {"fileKeyRef": {}}}]})), &facts),
        [
            "incompatible: uses `containers[].env[].valueFrom.fileKeyRef`, which kubelet 1.34 has only behind the gate EnvFiles, \
             so that it is dropped [leave it out there, or switch EnvFiles on everywhere and pin `facts.featureGates: \
             [EnvFiles]`]",
        ]
    );
    let gates = json!({"inject": {"pod": {"schedulingGates": [{"name": "a"}]}}});
    assert_eq!(
        verdicts("field-scheduling-gates", &gates, &json!({"kubernetes": "1.27", "kubelets": ["1.24"]})),
        ["compatible"]
    );
}

#[test]
fn requirements_are_judged_by_the_api_server() {
    let spec = json!({"requires": {"kubernetes": ">=1.30"}, "inject": {}});
    for (facts, verdict) in [
        (json!({"kubernetes": "1.30"}), "compatible"),
        (json!({"kubernetes": "1.29"}), "incompatible"),
        (json!({"kubelets": ["1.33"]}), "unknown"),
    ] {
        assert_eq!(verdicts("kubernetes-version", &spec, &facts), [verdict], "{facts}");
    }
}

#[test]
fn native_sidecars_fall_back_below_1_29() {
    let spec = sidecar(&json!({"form": "sidecar", "fallback": {"jobs": "reject"}}));
    assert_eq!(by_version("native-sidecars", &spec, &[]), [(22, "adapted"), (29, "compatible")]);
    assert_eq!(by_version("native-sidecars", &spec, &["SidecarContainers"]), [(22, "adapted"), (28, "compatible")]);
    for (facts, expected) in [
        (
            json!({"kubernetes": "1.31", "kubelets": ["1.28"]}),
            "adapted: kubelet 1.28 has sidecar containers only behind the gate SidecarContainers: `agent` falls back to an \
             ordinary container, init containers start before it, and Jobs are refused",
        ),
        (
            json!({}),
            "adapted: no fact says which Kubernetes it runs: `agent` falls back to an ordinary container, init containers start \
             before it, and Jobs are refused",
        ),
        (
            json!({"kubernetes": "1.32"}),
            "compatible: `agent` is native: an unknown kubelet, perhaps 1.29 runs sidecar containers",
        ),
    ] {
        assert_eq!(said("native-sidecars", &spec, &facts), [expected], "{facts}");
    }
    assert_eq!(verdicts("native-sidecars", &sidecar(&json!({})), &json!({})), [""; 0]);
}
