//! What keeps one caller, or one bad endpoint, from bringing down a service.

use super::super::span::Span;
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// How much one proxy has under way with a service at a time. The numbers are for each proxy, not for all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Connections.
    pub max_connections: Option<u64>,
    /// Requests that wait for a connection.
    pub max_pending_requests: Option<u64>,
    /// Requests under way.
    pub max_requests: Option<u64>,
}

/// When an endpoint that fails is left alone for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlierDetection {
    /// So many answers 5xx in a row.
    pub consecutive_5xx: Option<u64>,
    /// So many answers 502, 503 or 504 in a row.
    pub consecutive_gateway_errors: Option<u64>,
    /// How often the endpoints are judged.
    pub interval: Option<Span>,
    /// How long an endpoint is left alone the first time.
    pub base_ejection_time: Option<Span>,
    /// At most so many of a hundred endpoints are left alone at a time.
    pub max_ejection_percent: Option<u64>,
}

/// So many requests in a length of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub requests: u64,
    /// In which time.
    pub per: Span,
    /// How many at once after a quiet time; as many as `requests` where it is not said.
    pub burst: u64,
}

/// Numbers in Envoy's configuration have 32 bits.
const COUNT_MAX: u64 = u32::MAX as u64;

impl CircuitBreaker {
    const KEYS: [&str; 3] = ["maxConnections", "maxPendingRequests", "maxRequests"];

    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let [max_connections, max_pending_requests, max_requests] =
            Self::KEYS.map(|key| fields.optional(key).and_then(|node| node.integer(1, COUNT_MAX, problems)));
        fields.finish(problems);
        Some(Self { max_connections, max_pending_requests, max_requests })
    }

    pub(super) fn schema() -> Schema {
        Schema::object(Self::KEYS.map(|key| (key, Schema::integer(1, COUNT_MAX))))
            .says("For each proxy, not for all together.")
    }
}

impl OutlierDetection {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut count = |name, max| fields.optional(name).and_then(|node| node.integer(1, max, problems));
        let consecutive_5xx = count("consecutive5xx", COUNT_MAX);
        let consecutive_gateway_errors = count("consecutiveGatewayErrors", COUNT_MAX);
        let max_ejection_percent = count("maxEjectionPercent", 100);
        let interval = fields.optional("interval").and_then(|node| Span::read_some(&node, problems));
        let base_ejection_time = fields.optional("baseEjectionTime").and_then(|node| Span::read_some(&node, problems));
        fields.finish(problems);
        Some(Self { consecutive_5xx, consecutive_gateway_errors, interval, base_ejection_time, max_ejection_percent })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("consecutive5xx", Schema::integer(1, COUNT_MAX)),
            ("consecutiveGatewayErrors", Schema::integer(1, COUNT_MAX)),
            ("interval", Span::schema().says("How often the endpoints are judged.")),
            ("baseEjectionTime", Span::schema().says("How long an endpoint is left alone the first time.")),
            ("maxEjectionPercent", Schema::integer(1, 100)),
        ])
    }
}

impl RateLimit {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let requests = fields.required("requests", problems).and_then(|node| node.integer(1, COUNT_MAX, problems));
        let per = fields.required("per", problems).and_then(|node| Span::read_some(&node, problems));
        let burst = fields.optional("burst").map(|node| node.integer(1, COUNT_MAX, problems));
        fields.finish(problems);
        let requests = requests?;
        Some(Self { requests, per: per?, burst: burst.unwrap_or(Some(requests))? })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("requests", Schema::integer(1, COUNT_MAX)),
            ("per", Span::schema()),
            ("burst", Schema::integer(1, COUNT_MAX).says("How many at once; default as many as `requests`.")),
        ])
        .requires(&["requests", "per"])
    }
}
