//! Kubernetes objects for policies: get and list, answered from watches.
//!
//! The first call that reads a kind starts a watch of the whole kind (for lists: of a label and field selection of it),
//! in all namespaces, so that the number of watches depends on what policies ask for and not on how many namespaces
//! there are. It needs `list` and `watch` on the kind for the whole cluster. An object that a watch does not have may
//! be too new for it, so it is asked for once more, which needs `get`; `disable_cache` needs only that.
//!
//! Invariant: failures are never kept. A watch whose first list fails is dropped, and the next call begins anew.

mod answer;
mod mask;
mod request;

use std::collections::HashMap;
use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::runtime::Handle;

pub(super) use request::{Get, List};

use super::connect::WATCH_SECONDS;
use super::grants::Grants;
use super::locked;
use super::refusal::Refusal;
use super::trouble::{Trouble, detail};
use super::watch::{Ends, Memory, NothingYet, Watch};

/// How much earlier than its end a call is answered, so that the policy can still say something itself.
const SPEAKING_TIME: Duration = Duration::from_millis(20);

/// How much policies may make this program keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// How many watches there may be. Further ones are refused.
    pub watches: usize,
    /// How long a watch goes on that nobody reads from.
    pub idle: Duration,
    /// How long a watch that has lost the API server is still read from.
    pub stale: Duration,
    /// How much all watches together may keep, in bytes of JSON. A watch that would take more ends.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { watches: 64, idle: Duration::from_mins(30), stale: Duration::from_mins(5), bytes: 256 << 20 }
    }
}

/// Reads objects for policies. Cheap to clone; one for each process is enough, as its watches are shared.
#[derive(Clone)]
pub struct Kubernetes(Arc<Shared>);

struct Shared {
    client: kube::Client,
    runtime: Handle,
    bounds: Bounds,
    memory: Arc<Memory>,
    kinds: Mutex<HashMap<(String, String), Arc<Kind>>>,
    watches: Mutex<HashMap<Selection, Arc<Watch>>>,
}

/// What discovery says about a kind.
struct Kind {
    resource: ApiResource,
    namespaced: bool,
}

/// What one watch watches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Selection {
    api_version: String,
    kind: String,
    labels: Option<String>,
    fields: Option<String>,
}

impl Kubernetes {
    /// Reads through `client`; watches run on `runtime`, which has to be the one that the client was made on.
    pub fn new(client: kube::Client, runtime: Handle, bounds: Bounds) -> Self {
        let memory = Arc::new(Memory::new(bounds.bytes));
        Self(Arc::new(Shared { client, runtime, bounds, memory, kinds: Mutex::default(), watches: Mutex::default() }))
    }

    /// Starts the watches of what `grants` lets a policy read and waits for their first lists, so that the first
    /// request does not. Returns why some cannot be read yet; they are tried again when a policy asks.
    pub async fn warm(&self, grants: &Grants, patience: Duration) -> Vec<Refusal> {
        if !grants.reads_objects() {
            return Vec::new();
        }
        let warmed = grants.resources().map(async |(api_version, kind)| {
            let selection = Selection::whole(api_version, kind);
            tokio::time::timeout(patience, self.0.watched(&selection)).await.unwrap_or(Err(Refusal::Late))
        });
        futures::future::join_all(warmed).await.into_iter().filter_map(Result::err).collect()
    }

    /// One object, as JSON.
    pub(super) fn get(&self, get: Get, until: Instant) -> Result<Vec<u8>, Refusal> {
        let mask = get.mask()?;
        let object = match self.0.kept_object(&get) {
            Some(object) => object,
            None => self.wait(until, |shared| async move { shared.object(&get).await })?,
        };
        Ok(answer::object(&object, mask.as_ref()))
    }

    /// A list object, as JSON.
    pub(super) fn list(&self, list: List, until: Instant) -> Result<Vec<u8>, Refusal> {
        let mask = list.mask()?;
        let (api_version, kind) = (list.api_version.clone(), list.kind.clone());
        let objects = match self.0.kept_objects(&list) {
            Some(objects) => objects,
            None => self.wait(until, |shared| async move { shared.objects(&list).await })?,
        };
        Ok(answer::list(&api_version, &kind, &objects, mask.as_ref()))
    }

    /// Runs `work` on the runtime while this thread waits, until shortly before `until`.
    ///
    /// Nothing of the runtime is used on this thread, which may outlive it.
    fn wait<T, F>(&self, until: Instant, work: impl FnOnce(Arc<Shared>) -> F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        let work = work(Arc::clone(&self.0));
        let task = self.0.runtime.spawn(async move {
            // Nobody waits any more when this fails.
            let _ = sender.send(work.await);
        });
        let patience = until.saturating_duration_since(Instant::now()).saturating_sub(SPEAKING_TIME);
        let answer = receiver.recv_timeout(patience);
        task.abort();
        answer.unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Refusal::Late),
            RecvTimeoutError::Disconnected => Err(Refusal::Stopping),
        })
    }
}

impl Shared {
    /// An object that a watch has, without waiting for anything.
    fn kept_object(&self, get: &Get) -> Option<Bytes> {
        if get.disable_cache {
            return None;
        }
        let kind = self.known_kind(&get.api_version, &get.kind)?;
        let namespace = kind.namespace(get.namespace.as_deref()).ok()?;
        let watch = self.running(&Selection::whole(&get.api_version, &get.kind))?;
        watch.objects()?.get(namespace.unwrap_or_default(), &get.name).cloned()
    }

    /// An object, from its watch or from the API server.
    async fn object(&self, get: &Get) -> Result<Bytes, Refusal> {
        let kind = self.kind(&get.api_version, &get.kind).await?;
        let namespace = kind.namespace(get.namespace.as_deref())?;
        if !get.disable_cache {
            let watch = self.watched(&Selection::whole(&get.api_version, &get.kind)).await?;
            let objects = watch.objects();
            if let Some(object) =
                objects.and_then(|objects| objects.get(namespace.unwrap_or_default(), &get.name).cloned())
            {
                return Ok(object);
            }
        }
        let found = kind.api(&self.client, namespace).get_opt(&get.name).await;
        let found = found.map_err(|error| kind.trouble("get", &error))?;
        let rendered = found.and_then(|object| answer::render(&kind.resource, object));
        rendered.map(|object| object.json).ok_or_else(|| Refusal::NoSuchObject {
            kind: get.kind.clone(),
            namespace: namespace.map(ToOwned::to_owned),
            name: get.name.clone(),
        })
    }

    /// The objects of a list whose watch runs, without waiting for anything.
    fn kept_objects(&self, list: &List) -> Option<Vec<Bytes>> {
        let kind = self.known_kind(&list.api_version, &list.kind)?;
        kind.check_list(list).ok()?;
        let watch = self.running(&Selection::of(list))?;
        Some(watch.objects()?.list(list.namespace.as_deref()))
    }

    /// The objects of a list.
    async fn objects(&self, list: &List) -> Result<Vec<Bytes>, Refusal> {
        let kind = self.kind(&list.api_version, &list.kind).await?;
        kind.check_list(list)?;
        let watch = self.watched(&Selection::of(list)).await?;
        watch.objects().map(|objects| objects.list(list.namespace.as_deref())).ok_or(Refusal::Late)
    }

    fn known_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
        locked(&self.kinds).get(&(api_version.to_owned(), kind.to_owned())).cloned()
    }

    /// A kind, from discovery the first time. Only granted kinds come here, so there are few.
    async fn kind(&self, api_version: &str, kind: &str) -> Result<Arc<Kind>, Refusal> {
        if let Some(known) = self.known_kind(api_version, kind) {
            return Ok(known);
        }
        let none = || Refusal::NoSuchKind { api_version: api_version.to_owned(), kind: kind.to_owned() };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = discovery::pinned_kind(&self.client, &GroupVersionKind::gvk(group, version, kind)).await;
        let (resource, capabilities) = found.map_err(|error| match (&error, Trouble::from(&error)) {
            (kube::Error::Discovery(_), _) | (_, Trouble::NotFound) => none(),
            (_, trouble) => {
                tracing::warn!(error = detail(&error), api_version, "discovery failed");
                Refusal::Trouble { verbs: "discover", what: api_version.to_owned(), trouble }
            }
        })?;
        let found = Arc::new(Kind { resource, namespaced: capabilities.scope == Scope::Namespaced });
        locked(&self.kinds).insert((api_version.to_owned(), kind.to_owned()), Arc::clone(&found));
        Ok(found)
    }

    fn running(&self, selection: &Selection) -> Option<Arc<Watch>> {
        locked(&self.watches).get(selection).cloned()
    }

    /// The watch of a selection, with its first list complete.
    async fn watched(&self, selection: &Selection) -> Result<Arc<Watch>, Refusal> {
        let kind = self.kind(&selection.api_version, &selection.kind).await?;
        let watch = self.running_or_new(selection, &kind)?;
        let Err(nothing) = watch.listed().await else { return Ok(watch) };
        let mut watches = locked(&self.watches);
        if watches.get(selection).is_some_and(|known| Arc::ptr_eq(known, &watch)) {
            watches.remove(selection);
        }
        let what = kind.name();
        Err(match nothing {
            NothingYet::Trouble(trouble) => Refusal::Trouble { verbs: "list and watch", what, trouble },
            NothingYet::TooLarge => Refusal::TooLarge { what },
            NothingYet::Ended => Refusal::Late,
        })
    }

    fn running_or_new(&self, selection: &Selection, kind: &Kind) -> Result<Arc<Watch>, Refusal> {
        let mut watches = locked(&self.watches);
        watches.retain(|_, watch| watch.is_useful());
        if let Some(watch) = watches.get(selection) {
            return Ok(Arc::clone(watch));
        }
        if watches.len() >= self.bounds.watches {
            return Err(Refusal::TooManyWatches(self.bounds.watches));
        }
        let config = watcher::Config {
            label_selector: selection.labels.clone(),
            field_selector: selection.fields.clone(),
            timeout: Some(WATCH_SECONDS),
            ..watcher::Config::default()
        };
        let resource = kind.resource.clone();
        let watch = Arc::new(Watch::start(
            &self.runtime,
            watcher(kind.api(&self.client, None), config).default_backoff(),
            move |object| answer::render(&resource, object),
            Ends {
                idle: Some(self.bounds.idle),
                broken: Some(self.bounds.stale),
                memory: Some(Arc::clone(&self.memory)),
            },
        ));
        watches.insert(selection.clone(), Arc::clone(&watch));
        Ok(watch)
    }
}

impl Kind {
    /// As RBAC and kubectl name it: `plural.group`.
    fn name(&self) -> String {
        match self.resource.group.as_str() {
            "" => self.resource.plural.clone(),
            group => format!("{}.{group}", self.resource.plural),
        }
    }

    /// Where an object of the kind is looked for; one of the cluster is found whatever namespace is asked for.
    fn namespace<'n>(&self, asked: Option<&'n str>) -> Result<Option<&'n str>, Refusal> {
        match (self.namespaced, asked) {
            (true, None) => Err(Refusal::Arguments(format!("expected a `namespace`, as {} have one", self.name()))),
            (true, Some(namespace)) => Ok(Some(namespace)),
            (false, _) => Ok(None),
        }
    }

    fn check_list(&self, list: &List) -> Result<(), Refusal> {
        if list.namespace.is_some() && !self.namespaced {
            return Err(Refusal::Arguments(format!("{} are not in namespaces; use `list_resources_all`", self.name())));
        }
        Ok(())
    }

    fn api(&self, client: &kube::Client, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }

    fn trouble(&self, verbs: &'static str, error: &kube::Error) -> Refusal {
        tracing::warn!(error = detail(error), what = self.name(), "a policy's {verbs} failed");
        Refusal::Trouble { verbs, what: self.name(), trouble: Trouble::from(error) }
    }
}

impl Selection {
    fn whole(api_version: &str, kind: &str) -> Self {
        Self { api_version: api_version.to_owned(), kind: kind.to_owned(), labels: None, fields: None }
    }

    fn of(list: &List) -> Self {
        Self {
            labels: list.label_selector.clone(),
            fields: list.field_selector.clone(),
            ..Self::whole(&list.api_version, &list.kind)
        }
    }
}
