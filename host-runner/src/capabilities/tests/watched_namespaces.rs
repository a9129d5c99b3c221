//! Namespaces against the small API server.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::{Namespaces, NamespacesError, Trouble};
use super::{PATIENCE, World, eventually};

fn watch(world: &World) -> Namespaces {
    world.runtime.block_on(Namespaces::watch(world.server.client())).expect("a watch")
}

fn labels(namespaces: &Namespaces, name: &str) -> Option<Value> {
    let mut object: Value = serde_json::from_slice(&namespaces.get(name)?).expect("JSON");
    assert_eq!(object["metadata"]["name"], name);
    Some(object["metadata"]["labels"].take())
}

#[test]
fn labels_are_there_at_once_and_follow_the_cluster() {
    let world = World::new();
    world.server.put_namespace("a", &json!({"x": "1"}));
    world.server.put("namespaces", json!({"metadata": {"name": "bare"}}));
    let namespaces = watch(&world);
    assert!(namespaces.ready());
    assert_eq!(labels(&namespaces, "a"), Some(json!({"x": "1"})));
    assert_eq!(namespaces.get("bare").as_deref(), Some(&br#"{"metadata":{"name":"bare","labels":{}}}"#[..]));
    assert_eq!(labels(&namespaces, "none"), None);
    world.server.put_namespace("a", &json!({"x": "2"}));
    eventually("the change is seen", || labels(&namespaces, "a") == Some(json!({"x": "2"})));
    world.server.delete("namespaces", "", "a");
    eventually("it is gone", || labels(&namespaces, "a").is_none());
    assert_eq!(namespaces.broken_for(), None);
}

#[test]
fn a_new_namespace_is_asked_for_once() {
    let world = World::new();
    let namespaces = watch(&world);
    world.server.deafen(true);
    let fetch = |name: &str| world.runtime.block_on(namespaces.get_or_fetch(name, PATIENCE));
    assert_eq!(fetch("new"), None);
    assert_eq!(fetch("new"), None);
    assert_eq!(world.server.requests("get"), 2, "that there is none is not remembered");
    world.server.put_namespace("new", &json!({"x": "1"}));
    world.server.delay(Duration::from_millis(100));
    let expected = br#"{"metadata":{"name":"new","labels":{"x":"1"}}}"#;
    let together = (0..50).map(|_| namespaces.get_or_fetch("new", PATIENCE));
    let answers = world.runtime.block_on(futures::future::join_all(together));
    assert!(answers.iter().all(|answer| answer.as_deref() == Some(expected)));
    assert_eq!(world.server.requests("get"), 3, "many ask once");
    assert_eq!(namespaces.get("new").as_deref(), Some(&expected[..]));
    world.server.deafen(false);
    world.server.put_namespace("new", &json!({"x": "2"}));
    eventually("the watch goes on", || labels(&namespaces, "new") == Some(json!({"x": "2"})));
    assert_eq!(fetch("../secrets"), None);
    assert_eq!(world.server.requests("get"), 3);
}

#[test]
fn asking_takes_no_longer_than_there_is_patience() {
    let world = World::new();
    let namespaces = watch(&world);
    world.server.delay(Duration::from_mins(1));
    let start = Instant::now();
    assert_eq!(world.runtime.block_on(namespaces.get_or_fetch("new", Duration::from_millis(50))), None);
    assert!(start.elapsed() < Duration::from_secs(20));
    world.server.delay(Duration::ZERO);
    world.server.put_namespace("new", &json!({}));
    assert!(world.runtime.block_on(namespaces.get_or_fetch("new", PATIENCE)).is_some(), "a late one holds up no other");
}

#[test]
fn a_refusal_ends_the_start_and_a_breakdown_does_not_end_the_watch() {
    let world = World::new();
    world.server.refuse(["list"]);
    let refused = world.runtime.block_on(Namespaces::watch(world.server.client())).err();
    assert_eq!(refused, Some(NamespacesError::Refused(Trouble::Forbidden)));
    world.server.refuse([]);
    world.server.put_namespace("a", &json!({"x": "1"}));
    let namespaces = watch(&world);
    world.server.refuse(["list", "watch"]);
    world.server.expire();
    eventually("the breakdown is known", || namespaces.broken_for().is_some());
    assert_eq!(labels(&namespaces, "a"), Some(json!({"x": "1"})), "what was known stays");
    world.server.refuse([]);
    world.server.put_namespace("a", &json!({"x": "2"}));
    eventually("it recovers", || labels(&namespaces, "a") == Some(json!({"x": "2"})));
    assert_eq!(namespaces.broken_for(), None);
}

#[test]
fn ten_thousand_namespaces_are_quick_and_small() {
    let world = World::new();
    let count = 10_000;
    for number in 0..count {
        world
            .server
            .put_namespace(&format!("namespace-{number}"), &json!({"team": "payments", "n": number.to_string()}));
    }
    let namespaces = watch(&world);
    assert_eq!(world.server.requests("list"), 20, "pages of 500");
    let all: Vec<_> = (0..count).filter_map(|number| namespaces.get(&format!("namespace-{number}"))).collect();
    assert_eq!(all.len(), count);
    assert!(all.iter().map(bytes::Bytes::len).sum::<usize>() < 1 << 20);
    let start = Instant::now();
    for _ in 0..10 {
        for number in 0..count {
            std::hint::black_box(namespaces.get(&format!("namespace-{number}")));
        }
    }
    println!("a label lookup takes {:?}", start.elapsed() / 100_000);
}
