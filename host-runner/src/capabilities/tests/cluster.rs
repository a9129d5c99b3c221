//! The same against a real API server: `FEDCAR_TEST_KUBECONFIG` names a kubeconfig of its administrator. Without one
//! the test says so and passes, as an API server cannot be installed from a registry of crates.
//!
//! It creates objects whose names begin with `fedcar-test-`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::super::{
    Bounds, Grants, Kubernetes, Namespaces, NamespacesError, PolicyCapabilities, Refusal, Trouble, connect,
};
use super::{PATIENCE, eventually, host_call};

struct Cluster {
    runtime: Runtime,
    client: kube::Client,
    kubeconfig: PathBuf,
}

impl Cluster {
    fn at_hand() -> Option<Self> {
        let Some(kubeconfig) = std::env::var_os("FEDCAR_TEST_KUBECONFIG").map(PathBuf::from) else {
            println!("skipped: there is no cluster; set FEDCAR_TEST_KUBECONFIG to a kubeconfig");
            return None;
        };
        let runtime = Runtime::new().expect("a runtime");
        let client = runtime.block_on(connect(Some(&kubeconfig))).expect("a client");
        Some(Self { runtime, client, kubeconfig })
    }

    /// A client of a user who has no rights but those that are granted to it.
    fn limited(&self, user: &str) -> kube::Client {
        self.runtime.block_on(async {
            let file = kube::config::Kubeconfig::read_from(&self.kubeconfig).expect("a kubeconfig");
            let mut config = kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
                .await
                .expect("valid");
            config.auth_info.impersonate = Some(user.to_owned());
            kube::Client::try_from(config).expect("a client")
        })
    }

    fn apply<K>(&self, api: &Api<K>, name: &str, object: &Value)
    where
        K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
    {
        let parameters = PatchParams::apply("fedcar-test").force();
        self.runtime.block_on(api.patch(name, &parameters, &Patch::Apply(object))).expect("applied");
    }

    fn namespace(&self, name: &str, labels: &Value) {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.apply::<Namespace>(&Api::all(self.client.clone()), name, &object);
    }

    fn config_map(&self, namespace: &str, name: &str, value: &str) {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"x": value},
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": value}},
        });
        self.apply::<ConfigMap>(&Api::namespaced(self.client.clone(), namespace), name, &object);
    }

    fn policy(&self, client: kube::Client) -> impl Fn(&str, Value) -> Result<Value, Refusal> + use<> {
        let grants = Grants::parse(
            ["*"],
            [("v1", "ConfigMap"), ("v1", "Namespace"), ("rbac.authorization.k8s.io/v1", "ClusterRole")],
        );
        let kubernetes = Kubernetes::new(client, self.runtime.handle().clone(), Bounds::default());
        let policy = Arc::new(PolicyCapabilities::new("test", grants.expect("valid grants"), Some(kubernetes)));
        move |operation, arguments| {
            let payload = arguments.to_string().into_bytes();
            let call = host_call("kubernetes", operation, &payload, Instant::now() + PATIENCE);
            policy.one_call().answer(call).map(|answer| serde_json::from_slice(&answer).expect("the answer is JSON"))
        }
    }
}

fn unique(what: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a time after 1970");
    format!("fedcar-test-{what}-{}", now.as_micros())
}

#[test]
fn namespaces_of_a_real_cluster_are_followed() {
    let Some(cluster) = Cluster::at_hand() else { return };
    let namespaces = cluster.runtime.block_on(Namespaces::watch(cluster.client.clone())).expect("a watch");
    let system: Value = serde_json::from_slice(&namespaces.get("kube-system").expect("it is there")).expect("JSON");
    assert_eq!(
        system,
        json!({"metadata": {"name": "kube-system", "labels": {"kubernetes.io/metadata.name": "kube-system"}}})
    );
    let name = unique("labels");
    let team = |team: &str| {
        let bytes = namespaces.get(&name)?;
        let object: Value = serde_json::from_slice(&bytes).expect("JSON");
        Some(object["metadata"]["labels"]["team"] == team)
    };
    cluster.namespace(&name, &json!({"team": "a"}));
    let fetched = cluster.runtime.block_on(namespaces.get_or_fetch(&name, PATIENCE)).expect("it is there");
    assert_eq!(serde_json::from_slice::<Value>(&fetched).expect("JSON")["metadata"]["labels"]["team"], "a");
    let changed = Instant::now();
    cluster.namespace(&name, &json!({"team": "b"}));
    eventually("the new label is seen", || team("b") == Some(true));
    println!("a new label was seen {:?} after it was asked for", changed.elapsed());
    let refused = cluster.runtime.block_on(Namespaces::watch(cluster.limited("fedcar-test-nobody"))).err();
    assert_eq!(refused, Some(NamespacesError::Refused(Trouble::Forbidden)));
    let namespaces_api: Api<Namespace> = Api::all(cluster.client.clone());
    cluster.runtime.block_on(namespaces_api.delete(&name, &DeleteParams::default())).expect("deleted");
}

#[test]
fn objects_of_a_real_cluster_are_got_and_listed() {
    let Some(cluster) = Cluster::at_hand() else { return };
    let call = cluster.policy(cluster.client.clone());
    let name = unique("objects");
    cluster.namespace(&name, &json!({}));
    cluster.config_map(&name, "a", "1");
    let get = |object: &str, disable_cache: bool| {
        let arguments = json!({
            "api_version": "v1", "kind": "ConfigMap", "name": object, "namespace": name, "disable_cache": disable_cache,
        });
        call("get_resource", arguments)
    };
    let found = get("a", false).expect("found");
    assert_eq!((&found["apiVersion"], &found["kind"]), (&json!("v1"), &json!("ConfigMap")));
    assert_eq!(found["data"], json!({"x": "1"}));
    assert!(found["metadata"]["uid"].is_string() && found["metadata"].get("managedFields").is_none());
    assert_eq!(get("a", true).expect("found"), found, "cached and live are the same");
    cluster.config_map(&name, "a", "2");
    assert_eq!(get("a", true).expect("found")["data"]["x"], "2");
    eventually("the change is seen", || get("a", false).expect("found")["data"]["x"] == "2");
    cluster.config_map(&name, "b", "3");
    assert_eq!(get("b", false).expect("not too new")["data"]["x"], "3");

    let list = |more: &Value| {
        let mut arguments = json!({"api_version": "v1", "kind": "ConfigMap", "namespace": name});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let list = call("list_resources_by_namespace", arguments)?;
        assert_eq!(list["kind"], "ConfigMapList");
        let names = list["items"].as_array().expect("items").iter().map(|item| item["metadata"]["name"].clone());
        Ok::<_, Refusal>(names.collect::<Vec<_>>())
    };
    eventually("both are listed", || list(&json!({})).expect("a list") == ["a", "b"]);
    assert_eq!(list(&json!({"label_selector": "app in (3, 4)"})).expect("a list"), ["b"]);
    assert_eq!(list(&json!({"field_selector": "metadata.name=a"})).expect("a list"), ["a"]);
    let refusal = list(&json!({"label_selector": "app in ("})).expect_err("no selector").to_string();
    assert!(refusal.contains("the API server answered 400"), "{refusal}");

    let role = json!({
        "api_version": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "system:node",
        "field_masks": ["rules.verbs"],
    });
    let role = call("get_resource", role).expect("found");
    assert!(role["rules"][0]["verbs"].is_array() && role["rules"][0].get("resources").is_none());

    let config_maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &name);
    cluster.runtime.block_on(config_maps.delete("a", &DeleteParams::default())).expect("deleted");
    eventually("it is gone", || matches!(get("a", false), Err(Refusal::NoSuchObject { .. })));
    let namespaces: Api<Namespace> = Api::all(cluster.client.clone());
    cluster.runtime.block_on(namespaces.delete(&name, &DeleteParams::default())).expect("deleted");
}

#[test]
fn rights_of_a_real_cluster_are_needed_and_come_into_effect() {
    let Some(cluster) = Cluster::at_hand() else { return };
    let name = unique("rights");
    let call = cluster.policy(cluster.limited(&name));
    let get = |disable_cache: bool| {
        let arguments =
            json!({"api_version": "v1", "kind": "Namespace", "name": "kube-system", "disable_cache": disable_cache});
        call("get_resource", arguments)
    };
    let forbidden = |verbs| Refusal::Trouble { verbs, what: "namespaces".to_owned(), trouble: Trouble::Forbidden };
    assert_eq!(get(false), Err(forbidden("list and watch")));
    assert_eq!(get(true), Err(forbidden("get")));
    let role: ClusterRole = serde_json::from_value(json!({
        "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}],
    }))
    .expect("a role");
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
    }))
    .expect("a binding");
    let roles: Api<ClusterRole> = Api::all(cluster.client.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.client.clone());
    cluster.runtime.block_on(async {
        roles.create(&PostParams::default(), &role).await.expect("a role");
        bindings.create(&PostParams::default(), &binding).await.expect("a binding");
    });
    eventually("the rights are there", || get(true).is_ok());
    let start = Instant::now();
    assert_eq!(get(false).expect("found")["metadata"]["name"], "kube-system", "the refusal was not kept");
    assert!(start.elapsed() < Duration::from_secs(10));
    cluster.runtime.block_on(async {
        bindings.delete(&name, &DeleteParams::default()).await.expect("deleted");
        roles.delete(&name, &DeleteParams::default()).await.expect("deleted");
    });
}
