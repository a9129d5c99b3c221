//! Where traces go: as OTLP over HTTP to a collector, in batches, from a thread of their own.
//!
//! Guarantees: [`Tracer::request`] never waits. What the collector does not take is lost and counted. The log says when
//! the collector stops taking traces and when it takes them again, not once for each batch.
//!
//! The SDK's span processor is not used: it cannot drive this HTTP client, does not count what it loses, and would
//! make spans on the thread of the request. `tracing-opentelemetry` is not used, because it makes a span of each span
//! of each dependency, when the request already knows all that is to be told.

use std::io;
use std::sync::mpsc::{Receiver as StdReceiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use prometheus_client::metrics::counter::Counter;
use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel as queue};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::labels::{Each, TraceLoss};
use super::metrics::Metrics;
use super::span::{Record, RequestSpan, UidDigest};

/// How many requests wait for the collector: four batches, at about 400 bytes each.
const QUEUE: usize = 2_048;

/// How many requests are sent at once. With six spans each that is about 600 KB.
const BATCH: usize = 512;

/// How long the first request of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// The variables of the OpenTelemetry specification that name a collector
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).
const BASE_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_VARIABLE: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// What a base URL is followed by, according to the same specification.
const TRACES_PATH: &str = "/v1/traces";

/// The SDK's name of a service that has none begins with this.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// Traces cannot be sent there. The URL is not repeated, because there may be a password in it.
    #[error("expected an OTLP endpoint such as http://collector:4318, found {found}")]
    Endpoint {
        /// What is wrong with it.
        found: String,
    },
    /// No part of a whole.
    #[error("expected a sampling ratio from 0 to 1, found {found}")]
    Ratio {
        /// The number.
        found: f64,
    },
    /// A variable of OpenTelemetry has a value that cannot be used.
    #[error("cannot send traces as the environment says")]
    Exporter(#[from] ExporterBuildError),
    /// There is no thread for it.
    #[error("cannot start the thread that sends traces")]
    Thread(#[from] io::Error),
}

/// The URL that traces go to: below the base URL that the flag names, else what the environment says. `None`: nowhere.
///
/// `variable` reads the environment; as the specification says, empty is unset.
pub fn endpoint(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let below = |base: String| format!("{}{TRACES_PATH}", base.trim_end_matches('/'));
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    flag.map(|base| below(base.to_owned()))
        .or_else(|| variable(TRACES_VARIABLE))
        .or_else(|| variable(BASE_VARIABLE).map(below))
}

/// Sends traces. One for each process.
#[derive(Debug)]
pub struct Tracer {
    queue: Sender<Record>,
    ratio: f64,
    lost: Each<TraceLoss, Counter>,
    stop: Arc<Notify>,
    /// Its other end is dropped when the thread has sent everything.
    ended: Mutex<StdReceiver<()>>,
}

impl Tracer {
    /// Starts to send traces to `endpoint`, a full URL (see [`endpoint`]), for this part of all requests (0 to 1).
    ///
    /// Time-out, headers, name of the service and attributes of the resource come from OpenTelemetry's variables.
    pub fn start(endpoint: &str, ratio: f64, metrics: &Metrics) -> Result<Self, TraceError> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(TraceError::Ratio { found: ratio });
        }
        check(endpoint).map_err(|found| TraceError::Endpoint { found })?;
        let mut exporter =
            SpanExporter::builder().with_http().with_endpoint(endpoint).with_protocol(Protocol::HttpBinary).build()?;
        exporter.set_resource(&resource());
        let (sender, receiver) = queue(QUEUE);
        let (alive, ended) = channel();
        let stop = Arc::new(Notify::new());
        let lost = metrics.lost_traces();
        let worker = Worker { queue: receiver, exporter, stop: Arc::clone(&stop), lost: lost.clone(), failing: false };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("traces".to_owned()).spawn(move || {
            runtime.block_on(worker.run());
            drop(alive);
        })?;
        Ok(Self { queue: sender, ratio, lost, stop, ended: Mutex::new(ended) })
    }

    /// Tells about a request. Never waits and never fails.
    pub fn request(&self, span: &RequestSpan<'_>) {
        let digest = UidDigest::of(span.uid);
        if !digest.is_within(self.ratio) {
            return;
        }
        let loss = match self.queue.try_reserve() {
            Ok(place) => return place.send(Record::new(span, digest)),
            Err(TrySendError::Full(())) => TraceLoss::QueueFull,
            Err(TrySendError::Closed(())) => TraceLoss::Stopping,
        };
        if let Some(lost) = self.lost.get(loss) {
            lost.inc();
        }
    }

    /// Sends what is left, and waits for that at most for `patience`. Blocks: not for a thread that serves requests.
    pub fn shutdown(&self, patience: Duration) {
        self.stop.notify_one();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: it ends when the other side is dropped, or not in time, and then the rest is lost.
        let _ = ended.recv_timeout(patience);
    }
}

/// The thread that sends.
struct Worker {
    queue: Receiver<Record>,
    exporter: SpanExporter,
    stop: Arc<Notify>,
    lost: Each<TraceLoss, Counter>,
    failing: bool,
}

impl Worker {
    async fn run(mut self) {
        let scope =
            InstrumentationScope::builder(env!("CARGO_PKG_NAME")).with_version(env!("CARGO_PKG_VERSION")).build();
        let mut batch = Vec::with_capacity(BATCH);
        while self.gather(&mut batch).await {
            let spans = batch.iter().flat_map(|record: &Record| record.spans(&scope)).collect();
            match self.exporter.export(spans).await {
                Ok(()) => {
                    if self.failing {
                        info!("the collector takes traces again");
                    }
                    self.failing = false;
                }
                Err(error) => {
                    if let Some(lost) = self.lost.get(TraceLoss::Export) {
                        lost.inc_by(u64::try_from(batch.len()).unwrap_or(u64::MAX));
                    }
                    if !self.failing {
                        warn!(error = &error as &dyn std::error::Error, "the collector does not take traces");
                    }
                    self.failing = true;
                }
            }
            batch.clear();
        }
    }

    /// Fills the batch. Nothing in it means that nothing will come any more.
    async fn gather(&mut self, batch: &mut Vec<Record>) -> bool {
        let mut due = None;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                taken = self.queue.recv_many(batch, room) => match taken {
                    0 => break,
                    _ => { due.get_or_insert_with(|| Instant::now() + GATHER); }
                },
                // What is in the queue stays there and is taken in the next turns.
                () = self.stop.notified() => self.queue.close(),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => break,
            }
        }
        !batch.is_empty()
    }
}

/// What is wrong with a URL, in words that hold nothing of it but its scheme.
fn check(endpoint: &str) -> Result<(), String> {
    let url: hyper::Uri = endpoint.parse().map_err(|_| "something that is no URL".to_owned())?;
    match (url.scheme_str(), url.authority()) {
        (Some("http"), Some(authority)) if authority.as_str().contains('@') => {
            Err("a user name in it (credentials belong into OTEL_EXPORTER_OTLP_HEADERS)".to_owned())
        }
        (Some("http"), Some(authority)) if !authority.host().is_empty() => Ok(()),
        (Some(scheme), _) => Err(format!("the scheme `{scheme}`")),
        (None, _) => Err("no scheme".to_owned()),
    }
}

/// What this process is called: as the environment says, else `fedcar`.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let named = Resource::builder().build();
    let unnamed =
        named.get(&Key::from_static_str("service.name")).is_none_or(|name| name.as_str().starts_with(UNKNOWN_SERVICE));
    let builder = Resource::builder().with_attribute(version);
    if unnamed { builder.with_service_name("fedcar").build() } else { builder.build() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::sync::mpsc::{Receiver as StdReceiver, channel};
    use std::time::SystemTime;

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response, StatusCode};
    use hyper_util::rt::TokioIo;

    use super::super::labels::{Operation, Outcome, Phase};
    use super::super::span;
    use super::*;

    const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";
    const PHASES: [(Phase, Duration); 2] =
        [(Phase::Read, Duration::from_micros(100)), (Phase::Guest, Duration::from_micros(150))];
    const PATIENCE: Duration = Duration::from_secs(30);

    fn request(uid: &str) -> RequestSpan<'_> {
        RequestSpan {
            uid,
            policy: "inject",
            operation: Operation::Create,
            kind: "Pod",
            outcome: Outcome::Deadline,
            begin: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            took: Duration::from_micros(300),
            phases: &PHASES,
        }
    }

    struct Received {
        line: String,
        media_type: String,
        body: Bytes,
    }

    /// A collector that answers with `status` and hands on what it received.
    fn collector(status: StatusCode) -> (SocketAddr, StdReceiver<Received>) {
        let (to, received) = channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let to = to.clone();
                    let service = service_fn(move |request: Request<Incoming>| {
                        let to = to.clone();
                        async move {
                            let line = format!("{} {}", request.method(), request.uri());
                            let media_type = request.headers()["content-type"].to_str().unwrap().to_owned();
                            let body = request.into_body().collect().await.unwrap().to_bytes();
                            let _ = to.send(Received { line, media_type, body });
                            let mut response = Response::new(Full::new(Bytes::new()));
                            *response.status_mut() = status;
                            Ok::<_, Infallible>(response)
                        }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
                }
            });
        });
        (address, received)
    }

    fn lost(metrics: &Metrics, why: TraceLoss) -> u64 {
        metrics.lost_traces().get(why).unwrap().get()
    }

    #[test]
    fn a_trace_arrives_and_is_found_by_uid() {
        let (address, received) = collector(StatusCode::OK);
        let metrics = Metrics::new("sha256:0");
        let endpoint = endpoint(Some(&format!("http://{address}/")), |_| None).unwrap();
        let tracer = Tracer::start(&endpoint, 1.0, &metrics).unwrap();
        tracer.request(&request(UID));
        let post = received.recv_timeout(PATIENCE).unwrap();
        assert_eq!((&*post.line, &*post.media_type), ("POST /v1/traces", "application/x-protobuf"));

        // ExportTraceServiceRequest.resource_spans, ResourceSpans.{resource, scope_spans}, ScopeSpans.spans
        // (opentelemetry-proto: opentelemetry/proto/trace/v1/trace.proto).
        let resource_spans = only(&post.body, 1);
        let service = texts(only(resource_spans, 1), 1);
        assert_eq!(service.get("service.name").map(String::as_str), Some("fedcar"));
        let spans = all(only(resource_spans, 2), 2);
        let names: Vec<&[u8]> = spans.iter().map(|span| only(span, 5)).collect();
        assert_eq!(names, [b"admission".as_slice(), b"read", b"guest"]);
        let whole = spans[0];
        for span in &spans {
            assert_eq!(hex(only(span, 1)), UID.replace('-', ""));
        }
        assert!(spans[1..].iter().all(|span| only(span, 4) == only(whole, 2)));
        assert_eq!(only(whole, 7), 1_000_000_000_u64.to_le_bytes());
        assert_eq!(only(whole, 8), 1_000_300_000_u64.to_le_bytes());
        let attributes = texts(whole, 9);
        let expected = [UID, "CREATE", "Pod", "inject", "deadline"].map(ToOwned::to_owned);
        assert_eq!(attributes, span::ATTRIBUTES.map(ToOwned::to_owned).into_iter().zip(expected).collect());
        assert_eq!(only(only(whole, 15), 2), b"deadline");
        for loss in TraceLoss::ALL {
            assert_eq!(lost(&metrics, *loss), 0, "{loss:?}");
        }
    }

    #[test]
    fn shutdown_sends_what_is_left() {
        let (address, received) = collector(StatusCode::OK);
        let metrics = Metrics::new("sha256:0");
        let tracer = Tracer::start(&format!("http://{address}/v1/traces"), 1.0, &metrics).unwrap();
        let count = BATCH + 10;
        (0..count).for_each(|number| tracer.request(&request(&number.to_string())));
        tracer.shutdown(PATIENCE);
        let spans: usize = received.try_iter().map(|post| all(only(only(&post.body, 1), 2), 2).len()).sum();
        assert_eq!(spans, 3 * count);
        tracer.request(&request(UID));
        assert_eq!(lost(&metrics, TraceLoss::Stopping), 1);
        tracer.shutdown(PATIENCE);
    }

    #[test]
    fn a_collector_that_refuses_loses_traces_and_nothing_else() {
        let (address, _received) = collector(StatusCode::FORBIDDEN);
        let metrics = Metrics::new("sha256:0");
        let tracer = Tracer::start(&format!("http://{address}/v1/traces"), 1.0, &metrics).unwrap();
        (0..7).for_each(|_| tracer.request(&request(UID)));
        tracer.shutdown(PATIENCE);
        assert_eq!(lost(&metrics, TraceLoss::Export), 7);
    }

    #[test]
    fn a_collector_that_is_gone_loses_traces_and_nothing_else() {
        // Bound, so that nobody else gets the port, and never listening, so that connections are refused.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let endpoint = format!("http://{}/v1/traces", socket.local_addr().unwrap());
        let metrics = Metrics::new("sha256:0");
        let tracer = Tracer::start(&endpoint, 1.0, &metrics).unwrap();
        (0..7).for_each(|_| tracer.request(&request(UID)));
        tracer.shutdown(PATIENCE);
        assert_eq!(lost(&metrics, TraceLoss::Export), 7);
    }

    #[test]
    fn a_collector_that_hangs_holds_up_nobody() {
        // Connections are made by the kernel and never answered.
        let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1/traces", hanging.local_addr().unwrap());
        let metrics = Metrics::new("sha256:0");
        let tracer = Tracer::start(&endpoint, 1.0, &metrics).unwrap();
        let begin = std::time::Instant::now();
        let count = 4 * QUEUE;
        (0..count).for_each(|_| tracer.request(&request(UID)));
        let took = begin.elapsed();
        // The time-out of a single export would be 10 s.
        assert!(took < Duration::from_secs(5), "{took:?}");
        let lost = lost(&metrics, TraceLoss::QueueFull);
        assert!(lost >= (count - QUEUE - 2 * BATCH) as u64 && lost < count as u64, "{lost}");
        let begin = std::time::Instant::now();
        tracer.shutdown(Duration::from_millis(50));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_is_not_sampled_is_not_lost() {
        let metrics = Metrics::new("sha256:0");
        let tracer = Tracer::start("http://127.0.0.1:9/v1/traces", 0.0, &metrics).unwrap();
        (0..7).for_each(|_| tracer.request(&request(UID)));
        tracer.shutdown(PATIENCE);
        assert!(TraceLoss::ALL.iter().all(|loss| lost(&metrics, *loss) == 0));
    }

    #[test]
    fn the_flag_wins_over_the_environment() {
        let traces = (TRACES_VARIABLE, "http://t:1/custom");
        let base = (BASE_VARIABLE, "http://b:2/");
        for (flag, environment, expected) in [
            (None, vec![], None),
            (None, vec![base], Some("http://b:2/v1/traces")),
            (None, vec![base, traces], Some("http://t:1/custom")),
            (None, vec![base, (TRACES_VARIABLE, "")], Some("http://b:2/v1/traces")),
            (None, vec![(BASE_VARIABLE, "")], None),
            (Some("http://f:3"), vec![base, traces], Some("http://f:3/v1/traces")),
            (Some("http://f:3/sub/"), vec![], Some("http://f:3/sub/v1/traces")),
        ] {
            let environment: BTreeMap<&str, &str> = environment.into_iter().collect();
            let found = endpoint(flag, |name| environment.get(name).map(|value| (*value).to_owned()));
            assert_eq!(found.as_deref(), expected, "{flag:?} {environment:?}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_at_the_start() {
        let metrics = Metrics::new("sha256:0");
        for (endpoint, ratio, found) in [
            ("https://c:4318/v1/traces", 1.0, "found the scheme `https`"),
            ("grpc://c:4317", 1.0, "found the scheme `grpc`"),
            ("collector:4318", 1.0, "found no scheme"),
            ("/v1/traces", 1.0, "found no scheme"),
            ("http://user:secret@c:4318/", 1.0, "found a user name in it"),
            ("http://secret secret", 1.0, "found something that is no URL"),
            ("", 1.0, "found something that is no URL"),
            ("http://c:4318", 1.01, "found 1.01"),
            ("http://c:4318", -0.1, "found -0.1"),
            ("http://c:4318", f64::NAN, "found NaN"),
        ] {
            let error = Tracer::start(endpoint, ratio, &metrics).unwrap_err().to_string();
            assert!(error.contains(found) && !error.contains("secret"), "{endpoint}: {error}");
        }
    }

    /// The values of one field of a protobuf message: bytes as they are, fixed numbers as their bytes.
    fn all(message: &[u8], wanted: u64) -> Vec<&[u8]> {
        let mut values = Vec::new();
        let mut rest = message;
        while !rest.is_empty() {
            let key = varint(&mut rest);
            let length = match key & 7 {
                0 => {
                    varint(&mut rest);
                    continue;
                }
                1 => 8,
                2 => usize::try_from(varint(&mut rest)).unwrap(),
                5 => 4,
                other => panic!("wire type {other}"),
            };
            let (value, after) = rest.split_at(length);
            if key >> 3 == wanted {
                values.push(value);
            }
            rest = after;
        }
        values
    }

    fn only(message: &[u8], wanted: u64) -> &[u8] {
        let values = all(message, wanted);
        assert_eq!(values.len(), 1, "field {wanted}");
        values[0]
    }

    fn varint(rest: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, after) = rest.split_first().unwrap();
            *rest = after;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    /// The `KeyValue`s of a field that hold a text.
    fn texts(message: &[u8], wanted: u64) -> BTreeMap<String, String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        all(message, wanted).into_iter().map(|pair| (text(only(pair, 1)), text(only(only(pair, 2), 1)))).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write as _;
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }
}
