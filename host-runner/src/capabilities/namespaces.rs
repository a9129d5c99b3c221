//! The labels and annotations of namespaces, ready for the payload of a decision.
//!
//! Sidecars may be chosen by them, so they are asked for on every request: [`Namespaces::get`] does no I/O and copies
//! text that was rendered when the namespace last changed. A namespace that is not known is a different thing from one
//! without labels, and stays one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use super::connect::WATCH_SECONDS;
use super::locked;
use super::objects::Rendered;
use super::trouble::{Trouble, detail};
use super::watch::{Ends, Watch};

/// What `kubectl apply` leaves: the whole Namespace once more, which would be read again for each request.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How long the first list may take, new attempts included.
const FIRST_LIST: Duration = Duration::from_secs(30);

/// Why there is no watch of namespaces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NamespacesError {
    /// The API server does not let it.
    #[error("cannot list and watch namespaces: {0}")]
    Refused(Trouble),
    /// There was no list in time.
    #[error("expected a list of namespaces within {} seconds: {trouble}", FIRST_LIST.as_secs())]
    Late {
        /// The last error.
        trouble: Trouble,
    },
}

/// What is known of namespaces. Cheap to clone.
#[derive(Clone)]
pub struct Namespaces(Source);

#[derive(Clone)]
enum Source {
    None,
    Fixed(Arc<HashMap<String, Bytes>>),
    Watched(Arc<Watched>),
}

struct Watched {
    api: Api<PartialObjectMeta<Namespace>>,
    watch: Watch,
    /// What is being asked for, so that many requests for one new namespace ask once.
    asked: Mutex<HashMap<String, Arc<OnceCell<Option<Bytes>>>>>,
}

impl Namespaces {
    /// Nothing is known.
    pub fn none() -> Self {
        Self(Source::None)
    }

    /// What these Namespace objects say, for good; other objects say nothing.
    pub fn fixed(objects: Vec<Value>) -> Self {
        let known = objects.into_iter().filter(|object| object.get("kind").is_some_and(|kind| kind == "Namespace"));
        let known = known.filter_map(|object| {
            let name = object.pointer("/metadata/name")?.as_str()?.to_owned();
            let map = |key| object.pointer(key).and_then(Value::as_object).cloned().unwrap_or_default();
            let json = text(&name, &json!(map("/metadata/labels")), map("/metadata/annotations"));
            Some((name, json))
        });
        Self(Source::Fixed(Arc::new(known.collect())))
    }

    /// What the API server says, kept up to date; it is there when this returns.
    ///
    /// Needs `list` and `watch` of namespaces, and `get` for [`Self::get_or_fetch`]. The watch goes on as long as a
    /// clone of this exists. While the API server cannot be reached, what was known last stays.
    pub async fn watch(client: kube::Client) -> Result<Self, NamespacesError> {
        let api: Api<PartialObjectMeta<Namespace>> = Api::all(client);
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let events = watcher(api.clone(), config).default_backoff();
        let watch = Watch::start(&Handle::current(), events, |namespace| Some(render(&namespace)), Ends::default());
        match tokio::time::timeout(FIRST_LIST, watch.listed_in_the_end()).await {
            Ok(Ok(())) => Ok(Self(Source::Watched(Arc::new(Watched { api, watch, asked: Mutex::default() })))),
            Ok(Err(trouble)) => Err(NamespacesError::Refused(trouble)),
            Err(_) => {
                let last = watch.broken().map(|(trouble, _)| trouble);
                Err(NamespacesError::Late { trouble: last.unwrap_or(Trouble::Unreachable) })
            }
        }
    }

    /// `{"metadata":{"name":...,"labels":{...},"annotations":{...}}}` of a namespace, where it is known.
    pub fn get(&self, name: &str) -> Option<Bytes> {
        match &self.0 {
            Source::None => None,
            Source::Fixed(known) => known.get(name).cloned(),
            Source::Watched(watched) => watched.get(name),
        }
    }

    /// The same; the API server is asked for one that the watch does not know, as it may be too new.
    ///
    /// Returns within `patience`. That there is none is not remembered.
    pub async fn get_or_fetch(&self, name: &str, patience: Duration) -> Option<Bytes> {
        let known = self.get(name);
        match &self.0 {
            Source::Watched(watched) if known.is_none() && is_name(name) => watched.ask(name, patience).await,
            _ => known,
        }
    }

    /// True where a namespace that [`Self::get`] does not know is not there either, or too new. A watch is ready from
    /// the beginning, and stays so.
    pub fn ready(&self) -> bool {
        match &self.0 {
            Source::None | Source::Fixed(_) => true,
            Source::Watched(watched) => watched.watch.objects().is_some(),
        }
    }

    /// For how long the watch has not heard from the API server, where it has not.
    pub fn broken_for(&self) -> Option<Duration> {
        match &self.0 {
            Source::None | Source::Fixed(_) => None,
            Source::Watched(watched) => watched.watch.broken().map(|(_, since)| since),
        }
    }
}

impl Watched {
    fn get(&self, name: &str) -> Option<Bytes> {
        self.watch.objects()?.get("", name).cloned()
    }

    async fn ask(&self, name: &str, patience: Duration) -> Option<Bytes> {
        let cell = Arc::clone(locked(&self.asked).entry(name.to_owned()).or_default());
        let answer = tokio::time::timeout(patience, cell.get_or_init(|| self.fetch(name))).await;
        let mut asked = locked(&self.asked);
        if asked.get(name).is_some_and(|current| Arc::ptr_eq(current, &cell)) {
            asked.remove(name);
        }
        answer.ok().cloned().flatten()
    }

    async fn fetch(&self, name: &str) -> Option<Bytes> {
        match self.api.get_opt(name).await {
            Ok(found) => {
                let found = render(&found?);
                let json = found.json.clone();
                self.watch.add(found);
                Some(json)
            }
            Err(error) => {
                tracing::warn!(error = detail(&error), namespace = name, "cannot get a namespace");
                None
            }
        }
    }
}

fn render(namespace: &PartialObjectMeta<Namespace>) -> Rendered {
    let name = namespace.name_any();
    let annotations = namespace.annotations().iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let json = text(&name, &json!(namespace.labels()), annotations);
    Rendered { namespace: "".into(), name: name.into(), json }
}

fn text(name: &str, labels: &Value, mut annotations: Map<String, Value>) -> Bytes {
    annotations.shift_remove(LAST_APPLIED);
    let mut metadata = json!({"name": name, "labels": labels});
    if let (false, Value::Object(metadata)) = (annotations.is_empty(), &mut metadata) {
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
    json!({"metadata": metadata}).to_string().into()
}

/// What can be the name of a namespace (RFC 1123 label): it becomes part of an address.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_namespaces_are_those_of_the_objects() {
        let namespaces = Namespaces::fixed(vec![
            json!({"kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {}}),
            json!({"kind": "Namespace", "metadata": {"name": "d", "annotations": {"u": "1000/10", LAST_APPLIED: "{}"}}}),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}),
            json!(7),
        ]);
        let text = |name| namespaces.get(name).map(|json| String::from_utf8(json.to_vec()).expect("text"));
        assert_eq!(text("a").as_deref(), Some(r#"{"metadata":{"name":"a","labels":{"x":"y"}}}"#));
        assert_eq!(text("b").as_deref(), Some(r#"{"metadata":{"name":"b","labels":{}}}"#));
        assert_eq!(text("c"), None);
        assert_eq!(
            text("d").as_deref(),
            Some(r#"{"metadata":{"name":"d","labels":{},"annotations":{"u":"1000/10"}}}"#)
        );
        assert!(namespaces.ready());
        assert_eq!(Namespaces::none().get("a"), None);
    }

    #[test]
    fn names_are_those_of_namespaces() {
        assert!(is_name("kube-system") && is_name("a"));
        assert!(!is_name("") && !is_name("a/b") && !is_name("..") && !is_name(&"a".repeat(64)));
    }
}
