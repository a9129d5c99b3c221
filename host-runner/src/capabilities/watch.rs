//! One watch of the API server, and the objects that it keeps.
//!
//! Invariant: readers never wait for the API server, and what they see is one state of the cluster that was once true,
//! except while the first list is read, when there is nothing to see. What a broken watch has kept stays readable.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use kube::ResourceExt;
use kube::runtime::watcher::{self, Event};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::locked;
use super::objects::{Objects, Rendered};
use super::trouble::{self, Trouble};

/// Errors that are farther apart than this belong to different breakdowns: the client tries again every 30 seconds.
const SAME_BREAKDOWN: Duration = Duration::from_secs(90);

/// When a watch gives up and forgets what it keeps. Each is absent where it never does.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends {
    /// Nobody has read from it for so long.
    pub(super) idle: Option<Duration>,
    /// It has not heard from the API server for so long.
    pub(super) broken: Option<Duration>,
    /// It takes more memory than there is left.
    pub(super) memory: Option<Arc<Memory>>,
}

/// Memory that several watches share.
#[derive(Debug)]
pub(super) struct Memory {
    limit: usize,
    used: AtomicUsize,
}

impl Memory {
    /// Memory of `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }
}

/// A running watch; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    objects: RwLock<Objects>,
    state: watch::Sender<State>,
    last_read: Mutex<Instant>,
}

/// How a watch is.
#[derive(Debug, Clone, Default)]
struct State {
    /// The first list is complete.
    listed: bool,
    breakdown: Option<Breakdown>,
    ended: bool,
    too_large: bool,
}

/// Errors that follow each other.
#[derive(Debug, Clone)]
struct Breakdown {
    since: Instant,
    last: Instant,
    trouble: Trouble,
}

/// Why a watch has nothing to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NothingYet {
    /// The first list failed.
    Trouble(Trouble),
    /// What is watched takes too much memory.
    TooLarge,
    /// It has ended.
    Ended,
}

impl Watch {
    /// Follows `events` on `runtime` and keeps what `render` makes of each object.
    pub(super) fn start<K, S>(
        runtime: &Handle,
        events: S,
        render: impl Fn(K) -> Option<Rendered> + Send + 'static,
        ends: Ends,
    ) -> Self
    where
        K: ResourceExt + Send + 'static,
        S: Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            objects: RwLock::default(),
            state: watch::Sender::default(),
            last_read: Mutex::new(Instant::now()),
        });
        let task = runtime.spawn(follow(Arc::clone(&shared), events, render, ends)).abort_handle();
        Self { shared, task }
    }

    /// Waits until the first list is complete or has failed.
    pub(super) async fn listed(&self) -> Result<(), NothingYet> {
        let mut state = self.shared.state.subscribe();
        let settled = state.wait_for(|state| state.listed || state.ended || state.breakdown.is_some()).await;
        match settled.map(|state| state.clone()) {
            Ok(State { listed: true, ended: false, .. }) => Ok(()),
            Ok(State { too_large: true, .. }) => Err(NothingYet::TooLarge),
            Ok(State { breakdown: Some(breakdown), .. }) => Err(NothingYet::Trouble(breakdown.trouble)),
            Ok(_) | Err(_) => Err(NothingYet::Ended),
        }
    }

    /// Waits until the first list is complete, however often it fails, unless the API server forbids it.
    pub(super) async fn listed_in_the_end(&self) -> Result<(), Trouble> {
        let mut state = self.shared.state.subscribe();
        let forbidden = |trouble: &Trouble| matches!(trouble, Trouble::Forbidden | Trouble::Unauthorized);
        let settled = |state: &State| {
            state.listed || state.ended || state.breakdown.as_ref().is_some_and(|broken| forbidden(&broken.trouble))
        };
        match state.wait_for(settled).await.map(|state| state.clone()) {
            Ok(State { listed: true, .. }) => Ok(()),
            Ok(State { breakdown: Some(breakdown), .. }) => Err(breakdown.trouble),
            Ok(_) | Err(_) => Err(Trouble::Unreachable),
        }
    }

    /// The objects, if the first list is complete and the watch goes on.
    pub(super) fn objects(&self) -> Option<RwLockReadGuard<'_, Objects>> {
        let readable = {
            let state = self.shared.state.borrow();
            state.listed && !state.ended
        };
        if !readable {
            return None;
        }
        *locked(&self.shared.last_read) = Instant::now();
        Some(self.shared.objects.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds an object that the watch has not seen yet; what the watch has seen wins. One that is deleted meanwhile
    /// stays until the next list.
    pub(super) fn add(&self, object: Rendered) {
        let mut objects = self.shared.write();
        if objects.get(&object.namespace, &object.name).is_none() {
            objects.insert(object);
        }
    }

    /// False once it has given up, and while its first list has failed.
    pub(super) fn is_useful(&self) -> bool {
        let state = self.shared.state.borrow();
        !state.ended && (state.listed || state.breakdown.is_none())
    }

    /// Why and since when it hears nothing from the API server.
    pub(super) fn broken(&self) -> Option<(Trouble, Duration)> {
        let state = self.shared.state.borrow();
        let breakdown = state.breakdown.as_ref()?;
        (breakdown.last.elapsed() < SAME_BREAKDOWN).then(|| (breakdown.trouble.clone(), breakdown.since.elapsed()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an error; says for how long there have been nothing but errors.
    fn failed(&self, error: &watcher::Error) -> Duration {
        let now = Instant::now();
        let mut broken_for = Duration::ZERO;
        self.state.send_modify(|state| {
            let before = state.breakdown.take().filter(|before| now - before.last < SAME_BREAKDOWN);
            let since = before.map_or(now, |before| before.since);
            broken_for = now - since;
            state.breakdown = Some(Breakdown { since, last: now, trouble: Trouble::from(error) });
        });
        broken_for
    }

    fn heard(&self) {
        self.state.send_if_modified(|state| state.breakdown.take().is_some());
    }
}

/// Applies events until one of `ends` is there.
async fn follow<K: ResourceExt>(
    shared: Arc<Shared>,
    events: impl Stream<Item = watcher::Result<Event<K>>>,
    render: impl Fn(K) -> Option<Rendered>,
    ends: Ends,
) {
    let mut events = std::pin::pin!(events);
    let mut listing = Objects::default();
    let mut charge = ends.memory.map(Charge::none);
    let too_large = loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = unread(&shared, ends.idle) => break false,
        };
        match event {
            None => break false,
            Some(Ok(event)) => apply(&shared, event, &mut listing, &render),
            Some(Err(error)) => {
                tracing::warn!(error = trouble::watch_detail(&error), "a watch of the API server is interrupted");
                let broken_for = shared.failed(&error);
                if ends.broken.is_some_and(|longest| broken_for > longest) {
                    break false;
                }
            }
        }
        if let Some(charge) = &mut charge
            && !charge.set(shared.objects.read().unwrap_or_else(PoisonError::into_inner).bytes() + listing.bytes())
        {
            break true;
        }
    };
    *shared.write() = Objects::default();
    shared.state.send_modify(|state| {
        state.ended = true;
        state.too_large = too_large;
    });
}

fn apply<K: ResourceExt>(
    shared: &Shared,
    event: Event<K>,
    listing: &mut Objects,
    render: &impl Fn(K) -> Option<Rendered>,
) {
    match event {
        // Not yet signs of life: the client says the one before it asks, and the other before a list is complete.
        Event::Init => {
            *listing = Objects::default();
            return;
        }
        Event::InitApply(object) => {
            if let Some(object) = render(object) {
                listing.insert(object);
            }
            return;
        }
        Event::InitDone => {
            *shared.write() = std::mem::take(listing);
            shared.state.send_modify(|state| state.listed = true);
        }
        Event::Apply(object) => {
            if let Some(object) = render(object) {
                shared.write().insert(object);
            }
        }
        Event::Delete(object) => {
            shared.write().remove(object.namespace().as_deref().unwrap_or_default(), &object.name_any());
        }
    }
    shared.heard();
}

/// Returns when nobody has read for `longest`.
async fn unread(shared: &Shared, longest: Option<Duration>) {
    let Some(longest) = longest else { return std::future::pending().await };
    loop {
        let end = *locked(&shared.last_read) + longest;
        if end <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(end.into()).await;
    }
}

/// The part of shared memory that one watch uses; given back when it is dropped.
struct Charge {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Charge {
    fn none(memory: Arc<Memory>) -> Self {
        Self { memory, bytes: 0 }
    }

    /// Uses `bytes` instead; false where there are not so many left.
    fn set(&mut self, bytes: usize) -> bool {
        let used = if bytes >= self.bytes {
            let more = bytes - self.bytes;
            self.memory.used.fetch_add(more, Ordering::Relaxed) + more
        } else {
            let less = self.bytes - bytes;
            self.memory.used.fetch_sub(less, Ordering::Relaxed) - less
        };
        self.bytes = bytes;
        used <= self.memory.limit
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
