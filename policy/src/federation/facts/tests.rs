//! Facts as tables: what is refused and where, which of two wins, and that what is written is what was read.

use serde_json::{Value, json};

use super::*;

fn facts(value: &Value) -> Facts {
    let mut problems = Problems::default();
    let facts = Facts::read(&Node::root(value), &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    facts
}

fn problems(value: &Value) -> Vec<String> {
    let mut problems = Problems::default();
    Facts::read(&Node::root(value), &mut problems);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn shapes_that_are_not_facts_say_where() {
    let namespace = |value: Value| json!({"namespaces": {"shop": value}});
    for (value, expected) in [
        (json!({"kubelet": ["1.31"]}), "kubelet: unknown key (did you mean `kubelets`?)"),
        (
            json!({"taken": "yesterday"}),
            "taken: expected a time in UTC such as \"2026-09-01T10:00:00Z\", found `yesterday`",
        ),
        (
            namespace(json!({"resourceQuotas": [{"name": "q", "hard": {"cpu": "1 core"}}]})),
            "namespaces.shop.resourceQuotas[0].hard.cpu: not a quantity, expected a number with an optional suffix such as \
             `250m` or `64Mi`, found `1 core`",
        ),
        (
            namespace(json!({"limitRanges": [{"name": "l", "limits": [{"min": {}}]}]})),
            "namespaces.shop.limitRanges[0].limits[0]: `type` is missing",
        ),
        (
            namespace(json!({"networkPolicies": [{"name": "n", "egress": [{"to": [{"ipBlock": {"cidr": "10/8"}}]}]}]})),
            "namespaces.shop.networkPolicies[0].egress[0].to[0].ipBlock.cidr: expected a range such as `10.0.0.0/8`, found \
             `10/8`",
        ),
        (
            namespace(json!({"networkPolicies": [{"name": "n", "egress": [{"ports": [{"port": 70000}]}]}]})),
            "namespaces.shop.networkPolicies[0].egress[0].ports[0].port: expected a port from 0 to 65535, found `70000`",
        ),
        (
            namespace(json!({"networkPolicies": [{"name": "n", "ingress": [{"from": [{}]}]}]})),
            "namespaces.shop.networkPolicies[0].ingress[0].from[0]: expected `podSelector`, `namespaceSelector` or \
             `ipBlock`",
        ),
        (
            json!({"mutatingWebhooks": [{"configuration": "a", "name": "b", "reinvocationPolicy": "Always"}]}),
            "mutatingWebhooks[0].reinvocationPolicy: expected one of IfNeeded, Never, found `Always`",
        ),
        (
            json!({"clusterNetworkPolicies": [{"name": "a", "tier": "Admim", "subject": {"namespaces": {}}}]}),
            "clusterNetworkPolicies[0].tier: expected one of Admin, Baseline, found `Admim` (did you mean `Admin`?)",
        ),
    ] {
        assert_eq!(problems(&value), [expected], "{value}");
    }
}

#[test]
fn pins_win_field_by_field_and_namespaces_by_name() {
    let found = facts(&json!({
        "taken": "2026-09-01T10:00:00Z",
        "kubernetes": "1.33",
        "kubelets": ["1.32"],
        "namespaces": {
            "shop": {"pods": 3, "labels": {"team": "shop"}},
            "bank": {"pods": 1},
        },
    }));
    let pins = facts(&json!({
        "kubelets": ["1.28"],
        "namespaces": {"shop": {"labels": {"team": "web"}}, "new": {"pods": 0}},
    }));
    let both = pins.over(&found);
    assert_eq!(
        both.to_value(),
        json!({
            "kubelets": ["1.28"],
            "kubernetes": "1.33",
            "namespaces": {
                "bank": {"pods": 1},
                "new": {"pods": 0},
                "shop": {"labels": {"team": "web"}, "pods": 3},
            },
            "taken": "2026-09-01T10:00:00Z",
        })
    );
    assert_eq!(both.namespaces.unwrap()["shop"].pods, Some(3));
    assert_eq!(Facts::default().over(&found), found);
    assert_eq!(found.over(&Facts::default()), found);
}

#[test]
fn native_sidecars_follow_the_oldest_part_that_there_may_be() {
    for (value, native) in [
        (json!({}), false),
        (json!({"kubelets": ["1.29"]}), true),
        (json!({"kubelets": ["1.28", "1.33"]}), false),
        (json!({"kubernetes": "1.33", "kubelets": ["1.33"]}), true),
        (json!({"kubernetes": "1.28", "kubelets": ["1.28"]}), false),
        (json!({"kubernetes": "1.28", "kubelets": ["1.28"], "featureGates": ["SidecarContainers"]}), true),
        (json!({"kubernetes": "1.28", "kubelets": ["1.27"], "featureGates": ["SidecarContainers"]}), false),
        // Kubelets that nobody has looked at may be three minor versions behind.
        (json!({"kubernetes": "1.31"}), false),
        (json!({"kubernetes": "1.32"}), true),
    ] {
        assert_eq!(facts(&value).native_sidecars(), native, "{value}");
    }
}

#[test]
fn a_lock_is_written_as_it_was_read() {
    let mut lock = Lock::default();
    lock.set_facts("us-1", &json!({"kubernetes": "1.33", "architectures": ["amd64"]})).unwrap();
    lock.set_facts("eu-1", &json!({"taken": "2026-09-01T10:00:00Z", "namespaces": {"b": {}, "a": {"pods": 1}}}))
        .unwrap();
    lock.set_image("registry.example/agent:1", Image { digest: Some("sha256:00".to_owned()), platforms: vec![] });
    let written = lock.to_value();
    assert_eq!(
        written.to_string(),
        format!(
            "{{\"hash\":\"{}\",\"images\":{{\"registry.example/agent:1\":{{\"digest\":\"sha256:00\"}}}},\
             \"lockVersion\":1,\"members\":{{\"eu-1\":{{\"namespaces\":{{\"a\":{{\"pods\":1}},\"b\":{{}}}},\
             \"taken\":\"2026-09-01T10:00:00Z\"}},\"us-1\":{{\"architectures\":[\"amd64\"],\"kubernetes\":\"1.33\"}}}}}}",
            lock.hash()
        )
    );
    assert_eq!(Lock::read(&written), Ok(lock.clone()));
    assert_eq!(lock.clone().retain_images(|image| image != "registry.example/agent:1"), ["registry.example/agent:1"]);
    assert_eq!(lock.facts("us-1").unwrap().kubernetes, Some("1.33".parse().unwrap()));

    let mut edited = written;
    edited["members"]["us-1"]["kubernetes"] = json!("1.34");
    let found = Lock::read(&edited).unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer, "/hash");
    assert!(found[0].hint.as_ref().unwrap().contains("in the Federation"), "{found:?}");
}

#[test]
fn a_lock_that_is_none_says_all_that_is_wrong() {
    let value = json!({"lockVersion": 2, "member": {}, "members": {"a": {"kubernetes": 1.33}}, "images": {"x": {"digst": "y"}}});
    let found: Vec<String> = Lock::read(&value).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "lockVersion: expected a whole number from 1 to 1, found `2`",
            "`hash` is missing",
            "members.a.kubernetes: expected text such as \"1.33\", found the number 1.33 (put it in quotes: the number \
             1.30 is 1.3)",
            "images.x.digst: unknown key (did you mean `digest`?)",
            "member: unknown key (did you mean `members`?)",
        ]
    );
}

#[test]
fn the_objects_of_a_cluster_become_facts() {
    let objects = [
        json!({"kind": "Node", "status": {"nodeInfo": {"kubeletVersion": "v1.31.4-eks-1", "architecture": "arm64", "operatingSystem": "linux"}}}),
        json!({"kind": "Node", "status": {"nodeInfo": {"kubeletVersion": "v1.31.2", "architecture": "amd64", "operatingSystem": "linux"}}}),
        json!({"kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "shop"}}}),
        json!({"kind": "Namespace", "metadata": {"name": "bank"}}),
        json!({"kind": "Pod", "metadata": {"name": "a", "namespace": "shop"}, "status": {"phase": "Running"}}),
        json!({"kind": "Pod", "metadata": {"name": "b", "namespace": "shop"}, "status": {"phase": "Succeeded"}}),
        json!({"kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "shop"},
               "spec": {"hard": {"cpu": "2"}}, "status": {"hard": {"cpu": "1"}, "used": {"cpu": "500m"}}}),
        json!({"kind": "NetworkPolicy", "metadata": {"name": "deny", "namespace": "shop"},
               "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}),
        json!({"kind": "AdminNetworkPolicy", "metadata": {"name": "block"}, "spec": {"priority": 5,
               "subject": {"namespaces": {}}, "egress": [{"action": "Deny", "to": [{"networks": ["10.0.0.0/8"]}]}]}}),
        json!({"kind": "MutatingWebhookConfiguration", "metadata": {"name": "istio-sidecar-injector"}, "webhooks": [
            {"name": "pods.istio.io", "rules": [{"apiGroups": [""], "operations": ["CREATE"], "resources": ["pods"]}]},
            {"name": "other", "rules": [{"apiGroups": ["apps"], "operations": ["*"], "resources": ["*"]}]},
        ]}),
        json!({"kind": "CustomResourceDefinition", "metadata": {"name": "clusteradmissionpolicies.policies.kubewarden.io"},
               "spec": {"group": "policies.kubewarden.io", "versions": [{"name": "v1", "served": true}, {"name": "v1alpha2", "served": false}]}}),
        json!({"kind": "CustomResourceDefinition", "metadata": {"name": "others.example"}, "spec": {"group": "example"}}),
        json!({"kind": "PolicyServer", "metadata": {"name": "a"}, "spec": {"image": "registry.example:5000/policy-server:v1.36.0"}}),
        json!({"kind": "PolicyServer", "metadata": {"name": "b"}, "spec": {"image": "policy-server:v1.9.2@sha256:00"}}),
        json!({"kind": "ClusterProperty", "metadata": {"name": "cluster.clusterset.k8s.io"}, "spec": {"value": "eu-1"}}),
        json!({"kind": "ClusterProperty", "metadata": {"name": "motd.example"}, "spec": {"value": "hello"}}),
        // A kind of the same name that is another one.
        json!({"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy", "metadata": {"name": "c", "namespace": "bank"}, "spec": {}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "bank"}}),
    ];
    let mut observation = Observation::default();
    observation.kubernetes = Some("v1.32.1+k3s1".to_owned());
    for kind in ["ClusterNetworkPolicy", "BaselineAdminNetworkPolicy"] {
        observation.list(ProbedKind::ALL.iter().find(|one| one.name == kind).unwrap());
    }
    for object in objects {
        observation.add(object);
    }
    let gathered = observation.facts();
    assert_eq!(
        gathered,
        json!({
            "architectures": ["amd64", "arm64"],
            "clusterNetworkPolicies": [{"name": "block", "tier": "Admin", "priority": 5, "subject": {"namespaces": {}},
                "egress": [{"action": "Deny", "to": [{"networks": ["10.0.0.0/8"]}]}]}],
            "clusterProperties": {"cluster.clusterset.k8s.io": "eu-1"},
            "customResources": {"clusteradmissionpolicies.policies.kubewarden.io": ["v1"]},
            "engineVersion": "1.9.2",
            "kubelets": ["1.31"],
            "kubernetes": "1.32",
            "mutatingWebhooks": [
                {"configuration": "istio-sidecar-injector", "name": "pods.istio.io", "reinvocationPolicy": "Never"},
            ],
            "namespaces": {
                "bank": {"labels": {}, "networkPolicies": [], "pods": 0, "resourceQuotas": []},
                "shop": {
                    "labels": {"team": "shop"},
                    "networkPolicies": [{"name": "deny", "podSelector": {}, "policyTypes": ["Egress"]}],
                    "pods": 1,
                    "resourceQuotas": [{"name": "q", "hard": {"cpu": "1"}, "used": {"cpu": "500m"}}],
                },
            },
            "operatingSystems": ["linux"],
        })
    );
    let read = facts(&gathered);
    assert_eq!(read.unknown(Engine::Kubewarden), ["limitRanges"]);
    // Nobody listed limit ranges, so nothing is known of them; of quotas it is known that `bank` has none.
    let namespaces = read.namespaces.unwrap();
    assert!(namespaces["bank"].limit_ranges.is_none());
    assert!(namespaces["bank"].quotas.as_ref().unwrap().is_empty());
    assert_eq!(Observation::default().facts(), json!({}));
    let mut unversioned = Observation::default();
    unversioned.kubernetes = Some("v0.0.0-master+$Format:%H$".to_owned());
    assert_eq!(unversioned.facts(), json!({}));
}

#[test]
fn what_no_tag_says_is_no_version() {
    let version = |images: &[&str]| {
        let mut observation = Observation::default();
        for image in images {
            observation.add(json!({"kind": "PolicyServer", "metadata": {"name": "a"}, "spec": {"image": image}}));
        }
        observation.facts().get("engineVersion").cloned()
    };
    assert_eq!(version(&["x/policy-server:v1.9.0", "x/policy-server:1.10.0"]), Some(json!("1.9.0")));
    for images in [&[][..], &["x/policy-server:latest"], &["x:5000/policy-server"], &["x:v1.9.0", "x@sha256:00"]] {
        assert_eq!(version(images), None, "{images:?}");
    }
}

#[test]
fn what_is_unknown_is_what_a_probe_could_tell() {
    let unknown = |value: Value, engine| facts(&value).unknown(engine);
    let of_all = ["architectures", "clusterNetworkPolicies"];
    assert_eq!(unknown(json!({}), Engine::HostRunner)[..2], of_all);
    let known = json!({
        "kubernetes": "1.33", "kubelets": [], "architectures": ["amd64"], "operatingSystems": ["linux"],
        "clusterNetworkPolicies": [], "mutatingWebhooks": [], "namespaces": {"a": {"labels": {}, "pods": 1},
        "b": {"labels": {}, "limitRanges": [], "networkPolicies": [], "pods": 1, "resourceQuotas": []}},
    });
    let expected = ["kubelets", "limitRanges", "networkPolicies", "resourceQuotas"];
    assert_eq!(unknown(known.clone(), Engine::HostRunner), expected);
    assert_eq!(unknown(known, Engine::Kubewarden)[..2], ["customResources", "engineVersion"]);
}

#[test]
fn a_lock_is_renewed_only_where_the_facts_are_others() {
    let mut lock = Lock::default();
    let (first, later) = ("2026-09-01T10:00:00Z", "2026-10-01T10:00:00Z");
    let found = json!({"kubernetes": "1.33", "kubelets": ["1.33"]});
    assert_eq!(lock.renew_facts("eu-1", found.clone(), first), []);
    let before = lock.clone();
    lock.renew_facts("eu-1", found, later);
    assert_eq!(lock, before);
    lock.renew_facts("eu-1", json!({"kubernetes": "1.34"}), later);
    assert_eq!(lock.facts("eu-1").unwrap().to_value(), json!({"kubernetes": "1.34", "taken": later}));
    assert_eq!(Lock::read(&lock.to_value()), Ok(lock.clone()));
    lock.renew_facts("us-1", json!({}), later);
    assert!(lock.facts("us-1").is_none(), "nothing is known");
}

#[test]
fn what_cannot_be_read_is_unknown_and_loses_nothing_else() {
    let mut lock = Lock::default();
    let unread = lock.renew_facts(
        "eu-1",
        json!({
            "kubernetes": "1.33",
            "clusterNetworkPolicies": [{"name": "a", "tier": "Other", "subject": {"namespaces": {}}}],
            "namespaces": {
                "shop": {"labels": {}, "networkPolicies": [{"name": "n", "ingress": [{"from": [{}]}]}], "pods": 1},
                "bank": {"labels": {}, "networkPolicies": [], "pods": 2},
            },
        }),
        "2026-09-01T10:00:00Z",
    );
    let pointers: Vec<&str> = unread.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/namespaces/shop/networkPolicies/0/ingress/0/from/0", "/clusterNetworkPolicies/0/tier"]);
    assert_eq!(
        lock.facts("eu-1").unwrap().to_value(),
        json!({
            "kubernetes": "1.33",
            "namespaces": {"bank": {"labels": {}, "networkPolicies": [], "pods": 2}, "shop": {"labels": {}, "pods": 1}},
            "taken": "2026-09-01T10:00:00Z",
        })
    );
}
