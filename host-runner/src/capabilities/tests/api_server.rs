//! A small API server: list in pages, watch with bookmarks and resource versions that expire, get, 403, slow answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How often a watch says that nothing happened.
const BOOKMARKS: Duration = Duration::from_millis(50);

pub(super) struct ApiServer {
    address: SocketAddr,
    cluster: Arc<Cluster>,
    runtime: Handle,
}

struct Cluster {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// By plural, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    events: Vec<(u64, String, Value)>,
    /// Watches from before this version are gone.
    expired: u64,
    refused: BTreeSet<&'static str>,
    deaf: bool,
    delay: Duration,
    requests: Vec<String>,
}

impl ApiServer {
    pub(super) fn start(runtime: &Handle) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let cluster = Arc::new(Cluster { state: Mutex::default(), version: watch::Sender::new(100) });
        let served = Arc::clone(&cluster);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let cluster = Arc::clone(&served);
                let service = service_fn(move |request| {
                    let cluster = Arc::clone(&cluster);
                    async move { Ok::<_, Infallible>(answer(&cluster, &request).await) }
                });
                tokio::spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // Connections end as their clients like.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, cluster, runtime: runtime.clone() }
    }

    pub(super) fn client(&self) -> kube::Client {
        let mut config = kube::Config::new(format!("http://{}", self.address).parse().expect("an address"));
        config.default_retry = false;
        let _entered = self.runtime.enter();
        kube::Client::try_from(config).expect("a client")
    }

    /// Creates or changes an object.
    pub(super) fn put(&self, plural: &str, object: Value) {
        self.cluster.happen(plural, object, false);
    }

    pub(super) fn delete(&self, plural: &str, namespace: &str, name: &str) {
        self.cluster.happen(plural, json!({"metadata": {"namespace": namespace, "name": name}}), true);
    }

    pub(super) fn put_config_map(&self, namespace: &str, name: &str, value: &str) {
        self.put("configmaps", json!({"metadata": {"namespace": namespace, "name": name}, "data": {"x": value}}));
    }

    pub(super) fn put_namespace(&self, name: &str, labels: &Value) {
        self.put("namespaces", json!({"metadata": {"name": name, "labels": labels}, "spec": {"finalizers": ["x"]}}));
    }

    /// Answers 403 to these verbs from now on.
    pub(super) fn refuse(&self, verbs: impl IntoIterator<Item = &'static str>) {
        self.state(|state| state.refused = verbs.into_iter().collect());
    }

    /// Watches hear nothing any more, or again.
    pub(super) fn deafen(&self, deaf: bool) {
        self.state(|state| state.deaf = deaf);
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.state(|state| state.delay = delay);
    }

    /// Ends all watches and forgets what happened, as an API server does after some minutes.
    pub(super) fn expire(&self) {
        self.cluster.version.send_modify(|version| {
            *version += 1;
            let mut state = self.cluster.state.lock().expect("the state");
            state.expired = *version;
            state.events.clear();
        });
    }

    /// `verb path` of the requests so far.
    pub(super) fn requests(&self, verb: &str) -> usize {
        self.state(|state| state.requests.iter().filter(|request| request.starts_with(verb)).count())
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.cluster.state.lock().expect("the state"))
    }
}

impl Cluster {
    fn happen(&self, plural: &str, mut object: Value, gone: bool) {
        self.version.send_modify(|version| {
            *version += 1;
            let mut state = self.state.lock().expect("the state");
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
            let key = (plural.to_owned(), text("namespace"), text("name"));
            let known = state.objects.remove(&key).is_some();
            let kind = match (gone, known) {
                (true, _) => "DELETED",
                (false, true) => "MODIFIED",
                (false, false) => "ADDED",
            };
            if !gone {
                state.objects.insert(key, object.clone());
            }
            state.events.push((*version, plural.to_owned(), json!({"type": kind, "object": object})));
        });
    }
}

async fn answer(cluster: &Arc<Cluster>, request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let query: HashMap<String, String> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.replace("%3D", "=")))
        .collect();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (plural, namespace, name) = match parts[..] {
        ["api", "v1"] => return ok(&discovery()),
        ["api", "v1", plural] => (plural, "", ""),
        ["api", "v1", "namespaces", name] => ("namespaces", "", name),
        ["api", "v1", "namespaces", namespace, plural] => (plural, namespace, ""),
        ["api", "v1", "namespaces", namespace, plural, name] => (plural, namespace, name),
        _ => return status(404, "NotFound", "the server could not find the requested resource"),
    };
    let verb = match (name, query.contains_key("watch")) {
        ("", true) => "watch",
        ("", false) => "list",
        _ => "get",
    };
    let (refused, delay) = {
        let mut state = cluster.state.lock().expect("the state");
        state.requests.push(format!("{verb} {path}"));
        (state.refused.contains(verb), state.delay)
    };
    tokio::time::sleep(delay).await;
    if refused {
        return status(403, "Forbidden", "configmaps is forbidden: User \"secret-user\" cannot do that");
    }
    let selector = query.get("labelSelector").cloned();
    match verb {
        "get" => {
            let key = (plural.to_owned(), namespace.to_owned(), name.to_owned());
            let found = cluster.state.lock().expect("the state").objects.get(&key).cloned();
            found.map_or_else(|| status(404, "NotFound", "not found"), |object| ok(&object))
        }
        "list" => ok(&list(cluster, plural, selector.as_deref(), &query)),
        _ => watch_events(cluster, plural.to_owned(), selector, &query),
    }
}

fn list(cluster: &Cluster, plural: &str, selector: Option<&str>, query: &HashMap<String, String>) -> Value {
    let state = cluster.state.lock().expect("the state");
    let number = |key: &str| query.get(key).and_then(|value| value.parse::<usize>().ok());
    let start = number("continue").unwrap_or_default();
    let matching = state.objects.iter().filter(|((of, _, _), object)| of == plural && selected(object, selector));
    let all: Vec<&Value> = matching.map(|(_, object)| object).collect();
    let end = all.len().min(start + number("limit").unwrap_or(usize::MAX - start));
    let mut metadata = json!({"resourceVersion": cluster.version.borrow().to_string()});
    if end < all.len() {
        metadata["continue"] = json!(end.to_string());
    }
    json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": all[start..end]})
}

fn selected(object: &Value, selector: Option<&str>) -> bool {
    let Some((key, value)) = selector.and_then(|selector| selector.split_once('=')) else { return true };
    object["metadata"]["labels"][key] == value
}

fn watch_events(
    cluster: &Arc<Cluster>,
    plural: String,
    selector: Option<String>,
    query: &HashMap<String, String>,
) -> Response<Body> {
    let from: u64 = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or_default();
    let cluster = Arc::clone(cluster);
    let changes = cluster.version.subscribe();
    let lines = futures::stream::unfold((from, changes, false), move |(seen, mut changes, over)| {
        let (cluster, plural, selector) = (Arc::clone(&cluster), plural.clone(), selector.clone());
        async move {
            if over {
                return None;
            }
            let _ = tokio::time::timeout(BOOKMARKS, changes.changed()).await;
            let now = *changes.borrow_and_update();
            let state = cluster.state.lock().expect("the state");
            if seen < state.expired {
                let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
                let gone = json!({"type": "ERROR", "object": status});
                return Some((format!("{gone}\n"), (seen, changes, true)));
            }
            if state.deaf {
                return Some((String::new(), (seen, changes, false)));
            }
            let events = state.events.iter().filter(|(version, of, event)| {
                *version > seen && *of == plural && selected(&event["object"], selector.as_deref())
            });
            let metadata = json!({"resourceVersion": now.to_string()});
            let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata});
            let bookmark = json!({"type": "BOOKMARK", "object": object});
            let lines = events
                .map(|(_, _, event)| event)
                .chain([&bookmark])
                .fold(String::new(), |lines, line| format!("{lines}{line}\n"));
            Some((lines, (now, changes, false)))
        }
    });
    let frames = lines.map(|line| Ok::<_, Infallible>(Frame::data(Bytes::from(line))));
    Response::new(StreamBody::new(frames).boxed_unsync())
}

fn discovery() -> Value {
    let resource = |name: &str, kind: &str, namespaced: bool| {
        json!({
            "name": name, "singularName": "", "namespaced": namespaced, "kind": kind,
            "verbs": ["get", "list", "watch"],
        })
    };
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1",
        "resources": [
            resource("configmaps", "ConfigMap", true),
            resource("namespaces", "Namespace", false),
            resource("namespaces/status", "Namespace", false),
        ],
    })
}

fn ok(value: &Value) -> Response<Body> {
    Response::new(Full::new(Bytes::from(value.to_string())).boxed_unsync())
}

fn status(code: u16, reason: &str, message: &str) -> Response<Body> {
    let body = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    let mut response = ok(&body);
    *response.status_mut() = hyper::StatusCode::from_u16(code).expect("a status");
    response
}
