//! Get and list against the small API server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{Bounds, Grants, Refusal, Trouble};
use super::{PATIENCE, World, config_map, eventually};

fn trouble(trouble: Trouble) -> Refusal {
    Refusal::Trouble { verbs: "list and watch", what: "configmaps".to_owned(), trouble }
}

#[test]
fn get_is_answered_from_a_watch_that_follows_the_cluster() {
    let world = World::new();
    let number: Value = serde_json::from_str("1.50").expect("a number");
    world.server.put(
        "configmaps",
        json!({
            "metadata": {
                "name": "a", "namespace": "n", "generation": 7, "creationTimestamp": "2026-01-02T03:04:05Z",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "1"},
                "managedFields": [{"manager": "m", "operation": "Update"}],
            },
            "data": {"x": "1"},
            "number": number,
        }),
    );
    let found = world.get("n", "a").expect("found");
    let expected = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a", "namespace": "n", "generation": 7, "creationTimestamp": "2026-01-02T03:04:05Z",
            "annotations": {"kept": "1"}, "resourceVersion": "101",
        },
        "data": {"x": "1"},
        "number": number,
    });
    assert_eq!(found, expected);
    assert_eq!(found["number"].to_string(), "1.50", "numbers keep their digits");
    for _ in 0..5 {
        world.get("n", "a").expect("found");
    }
    assert_eq!((world.server.requests("list"), world.server.requests("get")), (1, 0));

    world.server.put_config_map("n", "a", "2");
    eventually("the change is seen", || world.get("n", "a").expect("found")["data"]["x"] == "2");
    assert_eq!((world.server.requests("list"), world.server.requests("get")), (1, 0));

    world.server.delete("configmaps", "n", "a");
    let none = Refusal::NoSuchObject { kind: "ConfigMap".into(), namespace: Some("n".into()), name: "a".into() };
    eventually("it is gone", || world.get("n", "a") == Err(none.clone()));
    assert_eq!(none.to_string(), "there is no ConfigMap `a` in namespace `n`");
}

#[test]
fn many_first_calls_share_one_watch() {
    let world = World::new();
    world.server.put_config_map("n", "a", "1");
    world.server.delay(Duration::from_millis(50));
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_eq!(world.get("n", "a").expect("found")["data"]["x"], "1"));
        }
    });
    assert_eq!((world.server.requests("list"), world.server.requests("get")), (1, 0));
}

#[test]
fn what_the_watch_has_not_seen_is_asked_for() {
    let world = World::new();
    world.get("n", "a").expect_err("there is none");
    world.server.deafen(true);
    world.server.put_config_map("n", "a", "1");
    assert_eq!(world.get("n", "a").expect("found")["data"]["x"], "1");
    assert_eq!(world.get("n", "a").expect("found")["kind"], "ConfigMap");
}

#[test]
fn without_the_cache_only_get_is_needed() {
    let world = World::new();
    world.server.refuse(["list", "watch"]);
    world.server.put_config_map("n", "a", "1");
    let mut arguments = config_map("n", "a");
    arguments["disable_cache"] = json!(true);
    for value in ["1", "2", "3"] {
        world.server.put_config_map("n", "a", value);
        assert_eq!(world.call("get_resource", &arguments).expect("found")["data"]["x"], value);
    }
    assert_eq!((world.server.requests("list"), world.server.requests("get")), (0, 3));
}

#[test]
fn lists_are_in_order_and_their_selectors_have_watches_of_their_own() {
    let world = World::new();
    for (namespace, name, app) in [("b", "x", "one"), ("a", "z", "two"), ("a", "y", "one")] {
        let object =
            json!({"metadata": {"namespace": namespace, "name": name, "labels": {"app": app}}, "data": {"k": "v"}});
        world.server.put("configmaps", object);
    }
    let list = |operation: &str, more: &Value| {
        let mut arguments = json!({"api_version": "v1", "kind": "ConfigMap"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.call(operation, &arguments)
    };
    let names = |list: Value| {
        assert_eq!((&list["apiVersion"], &list["kind"]), (&json!("v1"), &json!("ConfigMapList")));
        assert_eq!(list["metadata"], json!({}));
        let items = list["items"].as_array().expect("items").iter();
        items.map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(list("list_resources_all", &json!({})).unwrap()), ["y", "z", "x"]);
    assert_eq!(names(list("list_resources_by_namespace", &json!({"namespace": "a"})).unwrap()), ["y", "z"]);
    assert_eq!(names(list("list_resources_by_namespace", &json!({"namespace": "none"})).unwrap()), [""; 0]);
    assert_eq!(world.server.requests("list"), 1, "namespaces share a watch");
    assert_eq!(names(list("list_resources_all", &json!({"label_selector": "app=one"})).unwrap()), ["y", "x"]);
    let one = json!({"label_selector": "app=one", "namespace": "a", "field_masks": ["data.none"]});
    let masked = list("list_resources_by_namespace", &one).unwrap();
    assert_eq!(masked["items"][0]["data"], json!({}));
    assert_eq!(names(masked), ["y"]);
    assert_eq!(world.server.requests("list"), 2);
    world.server.put_config_map("a", "q", "1");
    eventually("the new one is listed", || names(list("list_resources_all", &json!({})).unwrap()).len() == 4);
}

#[test]
fn scopes_and_kinds_are_checked() {
    let world = World::new();
    world.server.put_namespace("a", &json!({}));
    let get = |kind: &str, api_version: &str, namespace: Value| {
        let arguments = json!({"api_version": api_version, "kind": kind, "name": "a", "namespace": namespace});
        world.call("get_resource", &arguments).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(get("Namespace", "v1", Value::Null).unwrap()["spec"], json!({"finalizers": ["x"]}));
    assert!(get("Namespace", "v1", json!("ignored")).is_ok());
    let arguments = "the arguments of the host call are not valid";
    assert_eq!(
        get("ConfigMap", "v1", Value::Null).unwrap_err(),
        format!("{arguments}: expected a `namespace`, as configmaps have one")
    );
    assert_eq!(get("Nothing", "v1", Value::Null).unwrap_err(), "the API server has no `Nothing` of `v1`");
    assert_eq!(
        get("Nothing", "none.example.com/v1", Value::Null).unwrap_err(),
        "the API server has no `Nothing` of `none.example.com/v1`"
    );
    let list = json!({"api_version": "v1", "kind": "Namespace", "namespace": "a"});
    assert_eq!(
        world.call("list_resources_by_namespace", &list).unwrap_err().to_string(),
        format!("{arguments}: namespaces are not in namespaces; use `list_resources_all`")
    );
}

#[test]
fn a_refusal_is_told_without_the_servers_words_and_not_kept() {
    let world = World::new();
    world.server.put_config_map("n", "a", "1");
    world.server.refuse(["list"]);
    let refusal = world.get("n", "a").expect_err("refused");
    assert_eq!(refusal, trouble(Trouble::Forbidden));
    assert_eq!(
        refusal.to_string(),
        "cannot list and watch configmaps: the API server forbids it; RBAC has to grant it to this server's service \
         account"
    );
    world.server.refuse([]);
    assert_eq!(world.get("n", "a").expect("found")["data"]["x"], "1");
}

#[test]
fn a_refusal_that_nobody_waited_for_is_not_kept_either() {
    let world = World::new();
    world.server.put_config_map("n", "a", "1");
    let grants = Grants::parse(["*"], [("v1", "ConfigMap")]).expect("valid grants");
    world.server.refuse(["list"]);
    world.server.delay(Duration::from_millis(300));
    let impatient = Duration::from_millis(50);
    assert_eq!(world.runtime.block_on(world.kubernetes.warm(&grants, impatient)), [Refusal::Late]);
    eventually("the list is asked for again", || world.server.requests("list") > 1);
    world.server.delay(Duration::ZERO);
    world.server.refuse([]);
    assert_eq!(world.get("n", "a").expect("found")["data"]["x"], "1");
}

#[test]
fn a_call_ends_in_time_and_the_next_one_finds_what_it_waited_for() {
    let world = World::new();
    world.server.put_config_map("n", "a", "1");
    world.server.delay(Duration::from_millis(400));
    let start = Instant::now();
    let until = start + Duration::from_millis(200);
    assert_eq!(world.call_until("get_resource", &config_map("n", "a"), until), Err(Refusal::Late));
    assert!(start.elapsed() >= Duration::from_millis(170), "it gave up early: {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(world.get("n", "a").expect("found")["data"]["x"], "1");
    assert_eq!(world.call_until("get_resource", &config_map("n", "none"), Instant::now()), Err(Refusal::Late));
    let kept = world.call_until("get_resource", &config_map("n", "a"), Instant::now());
    assert!(kept.is_ok(), "what is kept takes no time");
}

#[test]
fn an_expired_watch_begins_anew() {
    let world = World::new();
    world.server.put_config_map("n", "a", "1");
    world.get("n", "a").expect("found");
    world.server.deafen(true);
    world.server.delete("configmaps", "n", "a");
    world.server.put_config_map("n", "b", "2");
    world.server.expire();
    world.server.deafen(false);
    eventually("the list is read again", || world.server.requests("list") == 2);
    eventually("what is gone is gone", || world.get("n", "a").is_err());
    let gets = world.server.requests("get");
    assert_eq!(world.get("n", "b").expect("found")["data"]["x"], "2");
    assert_eq!(world.server.requests("get"), gets, "it is kept");
}

#[test]
fn watches_are_few_and_end_when_nobody_reads() {
    let bounds = Bounds { watches: 1, idle: Duration::from_millis(300), ..Bounds::default() };
    let world = World::with(bounds);
    let list = |selector: &str| {
        let arguments = json!({"api_version": "v1", "kind": "ConfigMap", "label_selector": selector});
        world.call("list_resources_all", &arguments)
    };
    list("a=1").expect("the first");
    assert_eq!(list("a=2"), Err(Refusal::TooManyWatches(1)));
    list("a=1").expect("still the first");
    eventually("the first ends", || list("a=2").is_ok());
    assert_eq!(list("a=3"), Err(Refusal::TooManyWatches(1)));
}

#[test]
fn what_is_kept_is_bounded() {
    let world = World::with(Bounds { bytes: 100_000, ..Bounds::default() });
    let get_whole = || world.get("n", "0");
    world.server.put_config_map("n", "0", "small");
    get_whole().expect("found");
    for number in 0..20 {
        world.server.put_config_map("n", &number.to_string(), &"x".repeat(10_000));
    }
    let refusal = Refusal::TooLarge { what: "configmaps".to_owned() };
    eventually("it is too much", || get_whole() == Err(refusal.clone()));
    for number in 1..20 {
        world.server.delete("configmaps", "n", &number.to_string());
    }
    eventually("there is room again", || get_whole().is_ok());
}

#[test]
fn what_is_stale_is_not_read_for_ever() {
    let world = World::with(Bounds { stale: Duration::ZERO, ..Bounds::default() });
    world.server.put_config_map("n", "a", "1");
    world.get("n", "a").expect("found");
    world.server.refuse(["list", "watch"]);
    world.server.expire();
    eventually("the watch ends", || world.get("n", "a") == Err(trouble(Trouble::Forbidden)));
}

#[test]
fn watches_start_before_the_first_request() {
    let world = World::new();
    world.server.put_config_map("n", "a", "1");
    let warm = |kinds: &[(&str, &str)]| {
        let grants = Grants::parse(["*"], kinds.iter().copied()).expect("valid grants");
        world.runtime.block_on(world.kubernetes.warm(&grants, PATIENCE))
    };
    assert_eq!(warm(&[("v1", "ConfigMap"), ("v1", "Namespace")]), []);
    assert_eq!(world.server.requests("list"), 2);
    let now = world.call_until("get_resource", &config_map("n", "a"), Instant::now());
    assert_eq!(now.expect("found")["data"]["x"], "1");
    let unknown = Refusal::NoSuchKind { api_version: "v1".into(), kind: "Nothing".into() };
    assert_eq!(warm(&[("v1", "Nothing")]), [unknown]);
}

#[test]
fn a_server_that_stops_says_so() {
    let world = World::new();
    let World { server, kubernetes, runtime } = world;
    runtime.shutdown_background();
    let world = World { server, kubernetes, runtime: tokio::runtime::Runtime::new().expect("a runtime") };
    assert_eq!(world.get("n", "a"), Err(Refusal::Stopping));
}
