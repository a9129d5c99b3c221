//! The server that API servers call.
//!
//! Invariant: a request that was accepted is answered: by the policy, or by a refusal that says why. What ends one
//! connection or one request never touches another. Nothing waits without a limit.
//!
//! | concept | file |
//! |---|---|
//! | what is served, and what is known about it | `mod` |
//! | connections: how many, TLS, how long | `connection` |
//! | time without a request | `patience` |
//! | from a request to a response | `route` |
//! | the body of a request | `body` |
//! | calls that may be slow | `background` |
//! | readiness, liveness, metrics | `health` |
//! | files that change while serving | `reload` |

mod background;
mod body;
mod connection;
mod health;
mod patience;
mod reload;
mod route;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::policies::{Loader, Look, Policies};
use super::tls::Tls;
use super::turns::Turns;
use crate::capabilities::Namespaces;
use crate::telemetry::{Metrics, Tracer};
use background::Background;
use body::Budget;
use patience::Patience;

/// How much the server takes on. Every limit always holds.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// One body. The largest that an API server sends is object and old object of 3 MiB each, and their envelope.
    pub body_bytes: usize,
    /// All bodies of requests under way.
    pub all_bodies_bytes: usize,
    /// Levels of lists and objects in a body. Pods with managed fields have fewer than 20.
    pub json_depth: usize,
    /// From the head of a request to the end of its body.
    pub body_time: Duration,
    /// From the first byte of a request to the end of its head.
    pub head_time: Duration,
    /// A connection without a request. Longer than the 90 seconds of API servers, so that they are the ones who close.
    pub idle_time: Duration,
    /// A TLS handshake, waiting for its turn included.
    pub handshake_time: Duration,
    /// Handshakes at the same time.
    pub handshakes: usize,
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// Calls that run at the same time as long as they are quick.
    pub running: usize,
    /// Calls that exist at the same time, slow ones included; as many as the engine has instances.
    pub calls: usize,
    /// Requests that wait for their call.
    pub waiting: usize,
    /// How long after the signal to stop new connections are still taken, so that no load balancer sends into the void.
    pub linger: Duration,
    /// How long open connections then have to end.
    pub drain: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body_bytes: 8 << 20,
            all_bodies_bytes: 64 << 20,
            json_depth: 100,
            body_time: Duration::from_secs(5),
            head_time: Duration::from_secs(5),
            idle_time: Duration::from_mins(3),
            handshake_time: Duration::from_secs(5),
            handshakes: 64,
            connections: 2048,
            running: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            calls: 16,
            waiting: 256,
            linger: Duration::from_secs(5),
            drain: Duration::from_secs(20),
        }
    }
}

/// What a server is made of.
pub struct Parts {
    /// What it takes on.
    pub limits: ServerLimits,
    /// Its certificates; plain HTTP where there are none, which no API server speaks.
    pub tls: Option<Tls>,
    /// What it serves.
    pub policies: Policies,
    /// The namespaces whose labels are known.
    pub namespaces: Namespaces,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// Where traces go.
    pub tracer: Option<Tracer>,
}

/// A server with its ports open.
pub struct Server {
    shared: Arc<Shared>,
    listener: TcpListener,
    health: TcpListener,
}

/// What all connections of a server share.
struct Shared {
    limits: ServerLimits,
    patience: Patience,
    tls: Option<Tls>,
    policies: RwLock<Arc<Policies>>,
    namespaces: Namespaces,
    metrics: Arc<Metrics>,
    tracer: Option<Tracer>,
    turns: Turns,
    budget: Budget,
    background: Background,
    stopping: AtomicBool,
}

impl Server {
    /// Opens the ports. Nothing is accepted before [`run`](Self::run).
    pub async fn bind(parts: Parts, listen: SocketAddr, health: SocketAddr) -> io::Result<Self> {
        let Parts { limits, tls, policies, namespaces, metrics, tracer } = parts;
        if let Some(tls) = &tls {
            metrics.certificate_expires(tls.not_after());
        }
        let shared = Shared {
            patience: Patience { idle: limits.idle_time, head: limits.head_time },
            turns: Turns::new(limits.running, limits.waiting),
            budget: Budget::new(limits.all_bodies_bytes, limits.body_bytes, limits.body_time),
            background: Background::new(limits.calls)?,
            policies: RwLock::new(Arc::new(policies)),
            stopping: AtomicBool::new(false),
            limits,
            tls,
            namespaces,
            metrics,
            tracer,
        };
        let listener = TcpListener::bind(listen).await?;
        let health = TcpListener::bind(health).await?;
        Ok(Self { shared: Arc::new(shared), listener, health })
    }

    /// Where it listens: for admission requests, and for health and metrics.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.listener.local_addr()?, self.health.local_addr()?))
    }

    /// Serves until `stop` comes back, then drains: not ready at once, new connections still taken for a while, then open
    /// requests brought to their end. `loader` says where policies are read again from, and what was there at first.
    pub async fn run(self, loader: Option<(Loader, Look)>, stop: impl Future<Output = ()>) {
        let Self { shared, listener, health } = self;
        let limits = shared.limits;
        let background = [
            tokio::spawn(health::serve(Arc::clone(&shared), health)),
            tokio::spawn(reload::certificates(Arc::clone(&shared))),
            tokio::spawn(reload::policies(Arc::clone(&shared), loader)),
        ];
        let (close, closing) = watch::channel(false);
        let accepting = tokio::spawn(connection::accept(Arc::clone(&shared), listener, closing));
        stop.await;
        shared.stopping.store(true, Ordering::Relaxed);
        tracing::info!(linger_seconds = limits.linger.as_secs_f64(), "stopping: not ready any more");
        tokio::time::sleep(limits.linger).await;
        // Every connection holds a receiver, so the channel is closed when the last one has ended.
        let _ = close.send(true);
        let drained = tokio::time::timeout(limits.drain, close.closed()).await.is_ok();
        tracing::info!(drained, "stopped");
        accepting.abort();
        for task in background {
            task.abort();
        }
        if let Some(tracer) = &shared.tracer {
            tracer.shutdown(Duration::from_secs(2));
        }
    }
}

impl Shared {
    fn policies(&self) -> Arc<Policies> {
        Arc::clone(&self.policies.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace_policies(&self, policies: Policies) {
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policies);
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Whether requests should be sent here. Policies have passed their trial before they are served.
    fn ready(&self) -> Result<(), &'static str> {
        if self.stopping() {
            return Err("stopping");
        }
        if self.tls.as_ref().is_some_and(|tls| tls.expired(SystemTime::now())) {
            return Err("the certificate has expired");
        }
        if !self.namespaces.ready() {
            return Err("the namespaces are not known yet");
        }
        Ok(())
    }
}
