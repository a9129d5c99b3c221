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
    ];
    let listed = [
        "Node",
        "Namespace",
        "Pod",
        "ResourceQuota",
        "NetworkPolicy",
        "ClusterNetworkPolicy",
        "AdminNetworkPolicy",
        "BaselineAdminNetworkPolicy",
        "MutatingWebhookConfiguration",
        "CustomResourceDefinition",
    ];
    let gathered = gather(Some("v1.32.1+k3s1"), &listed, &objects);
    assert_eq!(
        gathered,
        json!({
            "architectures": ["amd64", "arm64"],
            "clusterNetworkPolicies": [{"name": "block", "tier": "Admin", "priority": 5, "subject": {"namespaces": {}},
                "egress": [{"action": "Deny", "to": [{"networks": ["10.0.0.0/8"]}]}]}],
            "customResources": {"clusteradmissionpolicies.policies.kubewarden.io": ["v1"]},
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
    // Nobody listed limit ranges, so nothing is known of them; of quotas it is known that `bank` has none.
    let namespaces = read.namespaces.unwrap();
    assert!(namespaces["bank"].limit_ranges.is_none());
    assert!(namespaces["bank"].quotas.as_ref().unwrap().is_empty());
    assert_eq!(gather(None, &[], &objects), json!({}));
}
