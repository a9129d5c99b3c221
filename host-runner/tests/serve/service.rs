//! Several servers behind one name, as a Service is: requests go to those whose `/readiness` says so, and every answer is
//! proven.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::client::{Client, Trust};
use crate::reviews::{Asked, MUTATE};
use crate::support::{Server, ready};

/// How often readiness is asked for.
const PROBE: Duration = Duration::from_millis(25);

/// Requests on one connection, before the worker takes a new one: API servers open new ones often.
const REQUESTS_PER_CONNECTION: usize = 40;

/// Between two requests of a worker, so that the load leaves some of the machine to what is swapped.
const PAUSE: Duration = Duration::from_millis(10);

/// The Service with its load.
pub(crate) struct Service {
    shared: Arc<Shared>,
    probes: BTreeMap<SocketAddr, AbortHandle>,
    workers: JoinSet<()>,
}

struct Shared {
    trust: Trust,
    /// What is ready, in the order of addresses.
    ready: Mutex<BTreeSet<SocketAddr>>,
    versions: Mutex<Vec<String>>,
    seen: Mutex<Seen>,
    stop: AtomicBool,
}

/// What the workers have seen.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Requests, by server.
    pub(crate) answered: BTreeMap<SocketAddr, usize>,
    /// What went wrong, where and when.
    pub(crate) failures: Vec<(SocketAddr, Instant, String)>,
    /// Times at which no server was ready.
    pub(crate) nobody: usize,
    /// The slowest answer.
    pub(crate) slowest: Duration,
    /// What was answered last by each server.
    pub(crate) version: BTreeMap<SocketAddr, String>,
    /// Certificates of servers.
    pub(crate) leaves: BTreeSet<Bytes>,
}

impl Service {
    /// No server, and load from `workers` connections as soon as there is one.
    pub(crate) fn new(trust: Trust, workers: usize) -> Self {
        let shared = Arc::new(Shared {
            trust,
            ready: Mutex::default(),
            versions: Mutex::default(),
            seen: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let mut service = Self { shared, probes: BTreeMap::new(), workers: JoinSet::new() };
        for number in 0..workers {
            service.workers.spawn(Arc::clone(&service.shared).work(number));
        }
        service
    }

    /// From now on answers of this version are right too.
    pub(crate) fn expect(&self, version: &str) {
        lock(&self.shared.versions).push(version.to_owned());
    }

    /// Adds a server, and waits until it gets requests.
    pub(crate) async fn join(&mut self, server: &Server) {
        let (shared, address, health) = (Arc::clone(&self.shared), server.address, server.health);
        let probe: JoinHandle<()> = tokio::spawn(async move {
            loop {
                let is_ready = ready(health).await == Ok(true);
                shared.knows(address, is_ready);
                sleep(PROBE).await;
            }
        });
        self.probes.insert(address, probe.abort_handle());
        server.until("the server gets requests", async || self.seen().answered.contains_key(&address)).await;
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Seen {
        lock(&self.shared.seen).clone()
    }

    /// Ends the load, and tells what was seen.
    pub(crate) async fn stop(mut self) -> Seen {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
        self.probes.into_values().for_each(|probe| probe.abort());
        lock(&self.shared.seen).clone()
    }
}

impl Shared {
    /// One worker, with a connection to each server at most.
    async fn work(self: Arc<Self>, number: usize) {
        let mut clients: BTreeMap<SocketAddr, Client> = BTreeMap::new();
        for turn in number.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            sleep(PAUSE).await;
            let Some(address) = self.choose(turn) else {
                // Before the first server there was nobody to be missed.
                let mut seen = lock(&self.seen);
                seen.nobody += usize::from(!seen.answered.is_empty());
                continue;
            };
            let client = clients.entry(address).or_insert_with(|| Client::new(&self.trust, address));
            if turn % REQUESTS_PER_CONNECTION == 0 {
                client.hang_up();
            }
            self.ask(client, address).await;
        }
    }

    fn knows(&self, address: SocketAddr, is_ready: bool) {
        let mut ready = lock(&self.ready);
        let _changed = if is_ready { ready.insert(address) } else { ready.remove(&address) };
    }

    /// A server that is ready, each in turn.
    fn choose(&self, turn: usize) -> Option<SocketAddr> {
        let ready = lock(&self.ready);
        ready.iter().nth(turn % ready.len().max(1)).copied()
    }

    async fn ask(&self, client: &mut Client, address: SocketAddr) {
        let asked = Asked::new();
        let reply = client.post(MUTATE, asked.body.clone()).await;
        let proven = match &reply {
            // What may be answered is looked up afterwards: it may have been swapped meanwhile.
            Ok(reply) => asked.proven(reply, &lock(&self.versions)),
            Err(error) => Err(error.clone()),
        };
        let mut seen = lock(&self.seen);
        if let Ok(reply) = reply {
            *seen.answered.entry(address).or_default() += 1;
            seen.slowest = seen.slowest.max(reply.took);
            seen.leaves.insert(reply.leaf);
        }
        match proven {
            Ok(version) => drop(seen.version.insert(address, version)),
            Err(error) => seen.failures.push((address, Instant::now(), error)),
        }
    }
}

impl Seen {
    /// All requests that were answered.
    pub(crate) fn requests(&self) -> usize {
        self.answered.values().sum()
    }

    /// Asserts that every request had a server and a right answer.
    #[track_caller]
    pub(crate) fn without_failure(&self) {
        let told: Vec<&str> = self.failures.iter().map(|(_, _, failure)| failure.as_str()).take(10).collect();
        let of = self.requests();
        assert!(told.is_empty(), "{} of {of} requests failed:\n{}", self.failures.len(), told.join("\n"));
        assert_eq!(self.nobody, 0, "times at which no server was ready");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
