//! Every metric of the process, in the text format of `OpenMetrics` 1.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! Guarantees: what a request counts takes no lock and allocates nothing ([`PolicyMetrics`], except
//! [`PolicyMetrics::skipped`]). Every counter of a closed set is shown from the start with 0, because the first fault
//! of a kind is no increase where the counter did not exist before.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::histogram::Histogram;
use super::labels::{Closed, Each};
use super::labels::{HandshakeFailure, Operation, Outcome, Phase, Refused, ReloadResult, Reloaded, TraceLoss};
use super::skips::Skips;

/// The media type of what [`Metrics::render`] answers.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const SECONDS_PER_DAY: f64 = 86_400.0;

/// Label names and values. Handles are resolved once, so what a vector costs does not matter.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// Every metric of the process. One is enough; it is shared by reference.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    policies: Mutex<BTreeMap<String, PolicyMetrics>>,
    refused: Each<Refused, Counter>,
    reloads: Each<Reloaded, Each<ReloadResult, Counter>>,
    last_reload: Each<Reloaded, Gauge>,
    certificate: Expiry,
    accepted_connections: Counter,
    open_connections: Gauge,
    handshakes: Each<HandshakeFailure, Counter>,
    queued: Gauge,
    in_flight: Gauge,
    lost_traces: Each<TraceLoss, Counter>,
}

/// What has the id of a policy as its label.
#[derive(Debug)]
struct Families {
    requests: Family<Labels, Counter>,
    whole: Family<Labels, Histogram>,
    phases: Family<Labels, Histogram>,
    skipped: Family<Labels, Counter>,
}

/// Counts what one policy does. Cheap to clone; all clones of one id count together, also over reloads.
#[derive(Debug, Clone)]
pub struct PolicyMetrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    decisions: Each<Operation, Each<Outcome, Counter>>,
    whole: Histogram,
    phases: Each<Phase, Histogram>,
    skips: Skips,
}

/// Counts something as present for as long as it is kept, also where a future is dropped half-way.
#[derive(Debug)]
#[must_use = "it is counted for as long as this is kept"]
pub struct Held(Gauge);

impl Held {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All metrics at zero. `module_digest` is that of the policy module inside the program (`sha256:…`).
    pub fn new(module_digest: &str) -> Self {
        let mut registry = Registry::with_prefix("fedcar");
        let to = &mut registry;
        let build = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("module_digest", module_digest.to_owned())];
        to.register("build", "The program and the policy module inside it", Info::new(build.to_vec()));
        let requests = register(to, "admission_requests", "Requests that reached a policy, by what the policy decided");
        let whole =
            with_unit(to, "admission_request", "Time from the first byte of a request to the last of its answer");
        let phases = with_unit(to, "admission_phase", "Parts of the time of a request");
        let skipped = register(to, "skipped_sidecars", "Sidecars that a pod went without, by reason");
        let refused = register(to, "refused_requests", "Requests that reached no policy");
        let reloads = register(to, "reloads", "Files that changed and were read again");
        let last_reload = register::<Family<Labels, Gauge>>(
            to,
            "last_reload_successful",
            "1 where the newest files are in use, 0 where they are not usable and older ones are",
        );
        let certificate = Expiry::default();
        let expires = "When the server's certificate expires, since 1970";
        to.register_with_unit("certificate_expiry_timestamp", expires, Unit::Seconds, Timestamp(certificate.clone()));
        let days = "How long the server's certificate is still valid; negative afterwards";
        to.register_with_unit("certificate_expiry", days, Unit::Other("days".to_owned()), Days(certificate.clone()));
        let accepted_connections = register(to, "accepted_connections", "TCP connections that were accepted");
        let open_connections = register(to, "open_connections", "TCP connections that are open");
        let handshakes = register(to, "failed_handshakes", "Connections that ended before TLS was agreed on");
        let queued = register(to, "queued_requests", "Requests that wait for a free instance");
        let in_flight = register(to, "requests_in_flight", "Requests that were received and not yet answered");
        let lost_traces = register(to, "lost_traces", "Requests whose trace did not reach the collector");
        Self {
            refused: counters(&refused, &[], "reason", Refused::as_str),
            reloads: Each::new(|what: Reloaded| {
                counters(&reloads, &[("what", what.as_str().to_owned())], "result", ReloadResult::as_str)
            }),
            last_reload: Each::new(|what: Reloaded| {
                let gauge = last_reload.get_or_create_owned(&vec![("what", what.as_str().into())]);
                gauge.set(1);
                gauge
            }),
            handshakes: counters(&handshakes, &[], "reason", HandshakeFailure::as_str),
            lost_traces: counters(&lost_traces, &[], "reason", TraceLoss::as_str),
            families: Families { requests, whole, phases, skipped },
            policies: Mutex::default(),
            certificate,
            accepted_connections,
            open_connections,
            queued,
            in_flight,
            registry,
        }
    }

    /// What `/metrics` answers, as [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut text = String::new();
        // A `String` takes everything. Should a metric fail nevertheless, the end mark is missing and a scraper refuses
        // the rest, which is what it is for.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The handles of one policy, for as long as it is loaded. `id` is from the operator's configuration.
    pub fn policy(&self, id: &str) -> PolicyMetrics {
        let mut policies = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = policies.get(id) {
            return policy.clone();
        }
        let policy = PolicyMetrics::new(id, &self.families);
        policies.insert(id.to_owned(), policy.clone());
        policy
    }

    /// A request that reached no policy.
    pub fn refused(&self, why: Refused) {
        increase(self.refused.get(why));
    }

    /// Files that changed were read again.
    pub fn reload(&self, what: Reloaded, result: ReloadResult) {
        increase(self.reloads.get(what).and_then(|results| results.get(result)));
        if let Some(last) = self.last_reload.get(what) {
            last.set(i64::from(result == ReloadResult::Ok));
        }
    }

    /// The certificate that is in use expires at `at`. Until this is called, the two metrics are not shown.
    pub fn certificate_expires(&self, at: SystemTime) {
        self.certificate.set(at);
    }

    /// A TCP connection was accepted; it counts as open until the value is dropped.
    pub fn connection(&self) -> Held {
        self.accepted_connections.inc();
        Held::new(&self.open_connections)
    }

    /// A connection ended before TLS was agreed on.
    pub fn handshake_failed(&self, why: HandshakeFailure) {
        increase(self.handshakes.get(why));
    }

    /// A request waits for a free instance until the value is dropped.
    pub fn queued(&self) -> Held {
        Held::new(&self.queued)
    }

    /// A request was received; it counts until the value is dropped.
    pub fn in_flight(&self) -> Held {
        Held::new(&self.in_flight)
    }

    /// The counters of lost traces, for who sends them.
    pub(super) fn lost_traces(&self) -> Each<TraceLoss, Counter> {
        self.lost_traces.clone()
    }
}

impl PolicyMetrics {
    fn new(id: &str, families: &Families) -> Self {
        let policy = ("policy", id.to_owned());
        Self(Arc::new(Handles {
            decisions: Each::new(|operation: Operation| {
                let labels = [policy.clone(), ("operation", operation.as_str().to_owned())];
                counters(&families.requests, &labels, "outcome", Outcome::as_str)
            }),
            whole: families.whole.get_or_create_owned(&labels(std::slice::from_ref(&policy))),
            phases: Each::new(|phase: Phase| {
                let labels = labels(&[policy.clone(), ("phase", phase.as_str().to_owned())]);
                families.phases.get_or_create_owned(&labels)
            }),
            skips: Skips::new(id, families.skipped.clone()),
        }))
    }

    /// One part of the time of a request.
    pub fn phase(&self, phase: Phase, took: Duration) {
        if let Some(histogram) = self.0.phases.get(phase) {
            histogram.observe(took);
        }
    }

    /// The time of a request from its first byte to the last one of its answer.
    pub fn took(&self, took: Duration) {
        self.0.whole.observe(took);
    }

    /// What the policy decided, also where its mode does not enforce it.
    pub fn decided(&self, operation: Operation, outcome: Outcome) {
        increase(self.0.decisions.get(operation).and_then(|outcomes| outcomes.get(outcome)));
    }

    /// A pod went without `sidecar`; `code` is from the list in `docs/reasons.md`. Takes a lock that others only read.
    ///
    /// The first 1,000 pairs of a policy are told apart. Further ones, and texts that are no names, count as `other`.
    pub fn skipped(&self, sidecar: &str, code: &str) {
        self.0.skips.count(sidecar, code);
    }
}

/// When the certificate expires, in seconds since 1970.
#[derive(Debug, Clone)]
struct Expiry(Arc<AtomicI64>);

impl Expiry {
    /// No certificate is known.
    const UNKNOWN: i64 = i64::MIN;

    fn set(&self, at: SystemTime) {
        let seconds = match at.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN + 1, |seconds| -seconds),
        };
        self.0.store(seconds, Ordering::Relaxed);
    }

    fn seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Default for Expiry {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(Self::UNKNOWN)))
    }
}

/// [`Expiry`] as a point in time.
#[derive(Debug)]
struct Timestamp(Expiry);

impl EncodeMetric for Timestamp {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        encoder.encode_gauge(&self.0.seconds())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.0.seconds() == Expiry::UNKNOWN
    }
}

/// [`Expiry`] as seen from now.
#[derive(Debug)]
struct Days(Expiry);

impl EncodeMetric for Days {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let now = Expiry::default();
        now.set(SystemTime::now());
        encoder.encode_gauge(&days(self.0.seconds().saturating_sub(now.seconds())))
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.0.seconds() == Expiry::UNKNOWN
    }
}

fn days(seconds: i64) -> f64 {
    let length = Duration::from_secs(seconds.unsigned_abs()).as_secs_f64() / SECONDS_PER_DAY;
    if seconds < 0 { -length } else { length }
}

fn increase(counter: Option<&Counter>) {
    if let Some(counter) = counter {
        counter.inc();
    }
}

/// Registers a metric that has no unit.
fn register<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

/// Registers histograms of seconds.
fn with_unit(registry: &mut Registry, name: &str, help: &str) -> Family<Labels, Histogram> {
    let family = Family::default();
    registry.register_with_unit(name, help, Unit::Seconds, family.clone());
    family
}

/// A counter for each case of a closed set, which is the last label.
fn counters<L: Closed>(
    family: &Family<Labels, Counter>,
    first: &[(&'static str, String)],
    last: &'static str,
    word: fn(L) -> &'static str,
) -> Each<L, Counter> {
    Each::new(|case| {
        let mut labels = labels(first);
        labels.push((last, word(case).into()));
        family.get_or_create_owned(&labels)
    })
}

fn labels(labels: &[(&'static str, String)]) -> Labels {
    labels.iter().map(|(name, value)| (*name, Cow::from(value.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::exposition::{Exposition, parse};
    use super::*;

    const DIGEST: &str = "sha256:0123";

    /// Everything happened, each thing a known number of times.
    fn busy() -> Metrics {
        let metrics = Metrics::new(DIGEST);
        let policy = metrics.policy("inject");
        for phase in Phase::ALL {
            policy.phase(*phase, Duration::from_micros(70));
        }
        for operation in Operation::ALL {
            for outcome in Outcome::ALL {
                policy.decided(*operation, *outcome);
            }
        }
        policy.took(Duration::from_micros(350));
        policy.skipped("proxy", "host-network");
        for why in Refused::ALL {
            metrics.refused(*why);
        }
        for why in HandshakeFailure::ALL {
            metrics.handshake_failed(*why);
        }
        for what in Reloaded::ALL {
            for result in ReloadResult::ALL {
                metrics.reload(*what, *result);
            }
        }
        for why in TraceLoss::ALL {
            increase(metrics.lost_traces.get(*why));
        }
        metrics.certificate_expires(SystemTime::now() + Duration::from_hours(240));
        metrics
    }

    fn exposition(metrics: &Metrics) -> Exposition {
        let text = metrics.render();
        parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
    }

    #[test]
    fn threads_share_them() {
        fn shared<T: Send + Sync>() {}
        shared::<Metrics>();
        shared::<PolicyMetrics>();
    }

    #[test]
    fn every_case_is_shown_and_counted() {
        let text = exposition(&busy());
        for operation in Operation::ALL {
            for outcome in Outcome::ALL {
                let labels = [("policy", "inject"), ("operation", operation.as_str()), ("outcome", outcome.as_str())];
                assert_eq!(text.value("fedcar_admission_requests_total", &labels), Some(1.0), "{labels:?}");
            }
        }
        for phase in Phase::ALL {
            let labels = [("policy", "inject"), ("phase", phase.as_str())];
            assert_eq!(text.value("fedcar_admission_phase_seconds_count", &labels), Some(1.0), "{labels:?}");
            assert_eq!(text.value("fedcar_admission_phase_seconds_sum", &labels), Some(0.000_07), "{labels:?}");
        }
        for what in Reloaded::ALL {
            for result in ReloadResult::ALL {
                let labels = [("what", what.as_str()), ("result", result.as_str())];
                assert_eq!(text.value("fedcar_reloads_total", &labels), Some(1.0), "{labels:?}");
            }
        }
        let by_reason = [
            ("fedcar_refused_requests_total", Refused::ALL.iter().map(|case| case.as_str()).collect::<Vec<_>>()),
            ("fedcar_failed_handshakes_total", HandshakeFailure::ALL.iter().map(|case| case.as_str()).collect()),
            ("fedcar_lost_traces_total", TraceLoss::ALL.iter().map(|case| case.as_str()).collect()),
        ];
        for (name, reasons) in by_reason {
            for reason in reasons {
                assert_eq!(text.value(name, &[("reason", reason)]), Some(1.0), "{name} {reason}");
            }
        }
        let skipped = [("policy", "inject"), ("sidecar", "proxy"), ("reason", "host-network")];
        assert_eq!(text.value("fedcar_skipped_sidecars_total", &skipped), Some(1.0));
        let build = [("version", env!("CARGO_PKG_VERSION")), ("module_digest", DIGEST)];
        assert_eq!(text.value("fedcar_build_info", &build), Some(1.0));
    }

    #[test]
    fn counters_are_shown_before_anything_happened() {
        let metrics = Metrics::new(DIGEST);
        let _policy = metrics.policy("inject");
        let text = exposition(&metrics);
        let busy = exposition(&busy());
        let shown_late = ["fedcar_certificate_expiry_timestamp_seconds", "fedcar_certificate_expiry_days"];
        for sample in busy.samples() {
            if shown_late.contains(&sample.name.as_str()) || sample.label("sidecar") == Some("proxy") {
                continue;
            }
            let labels: Vec<(&str, &str)> =
                sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let value = text.value(&sample.name, &labels);
            let expected = if sample.name == "fedcar_build_info" || sample.name == "fedcar_last_reload_successful" {
                1.0
            } else {
                0.0
            };
            assert_eq!(value, Some(expected), "{} {labels:?}", sample.name);
        }
    }

    #[test]
    fn ids_cannot_break_out_of_their_label() {
        let metrics = Metrics::new(DIGEST);
        let ids = [
            "plain",
            "a\"} 1\nfedcar_refused_requests_total{reason=\"x",
            "back\\slash",
            "é\u{202e}",
            "",
            "{}",
            "a,b=\"c\"",
        ];
        for id in ids {
            metrics.policy(id).took(Duration::from_secs(1));
        }
        let text = exposition(&metrics);
        for id in ids {
            let count = text.value("fedcar_admission_request_seconds_count", &[("policy", id)]);
            assert_eq!(count, Some(1.0), "{id:?}");
        }
    }

    #[test]
    fn a_policy_counts_on_when_it_is_loaded_again() {
        let metrics = Metrics::new(DIGEST);
        metrics.policy("a").decided(Operation::Create, Outcome::Denied);
        metrics.policy("b").decided(Operation::Create, Outcome::Denied);
        metrics.policy("a").decided(Operation::Create, Outcome::Denied);
        let count = |policy| {
            let labels = [("policy", policy), ("operation", "CREATE"), ("outcome", "denied")];
            exposition(&metrics).value("fedcar_admission_requests_total", &labels)
        };
        assert_eq!((count("a"), count("b")), (Some(2.0), Some(1.0)));
    }

    #[test]
    fn the_last_reload_decides() {
        let metrics = Metrics::new(DIGEST);
        let last = || exposition(&metrics).value("fedcar_last_reload_successful", &[("what", "certificate")]);
        metrics.reload(Reloaded::Certificate, ReloadResult::Rejected);
        metrics.reload(Reloaded::Settings, ReloadResult::Ok);
        assert_eq!(last(), Some(0.0));
        metrics.reload(Reloaded::Certificate, ReloadResult::Ok);
        assert_eq!(last(), Some(1.0));
    }

    #[test]
    fn the_days_of_a_certificate_are_counted_from_now() {
        let metrics = Metrics::new(DIGEST);
        assert!(!metrics.render().contains("certificate_expiry"));
        let day = Duration::from_hours(24);
        let now = SystemTime::now();
        for (at, expected) in [(now + 30 * day, 30.0), (now - 2 * day, -2.0), (now, 0.0)] {
            metrics.certificate_expires(at);
            let found = exposition(&metrics).value("fedcar_certificate_expiry_days", &[]).unwrap();
            assert!((found - expected).abs() < 0.01, "{found} {expected}");
        }
        for at in [UNIX_EPOCH, UNIX_EPOCH - day, UNIX_EPOCH + Duration::from_secs(1 << 40)] {
            metrics.certificate_expires(at);
            exposition(&metrics);
        }
        let seconds = exposition(&metrics).value("fedcar_certificate_expiry_timestamp_seconds", &[]);
        assert_eq!(seconds, Some(1_099_511_627_776.0));
    }

    #[test]
    fn what_is_dropped_is_not_held_any_more() {
        let metrics = Metrics::new(DIGEST);
        let gauges = || {
            let text = exposition(&metrics);
            ["fedcar_open_connections", "fedcar_queued_requests", "fedcar_requests_in_flight"]
                .map(|name| text.value(name, &[]).unwrap().to_string())
        };
        let held = (metrics.connection(), metrics.connection(), metrics.queued(), metrics.in_flight());
        assert_eq!(gauges(), ["2", "1", "1"]);
        drop(held);
        assert_eq!(gauges(), ["0", "0", "0"]);
        assert_eq!(exposition(&metrics).value("fedcar_accepted_connections_total", &[]), Some(2.0));
    }
}
