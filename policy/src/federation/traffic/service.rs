//! A service that workloads call, and how they may.

use super::super::lists::{each, some_texts};
use super::super::span::Span;
use super::limits::{CircuitBreaker, OutlierDetection, RateLimit};
use super::retries::Retries;
use super::route::Route;
use crate::read::{Node, Problems, clip, did_you_mean};
use crate::schema::Schema;

/// A service as its callers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in this policy.
    pub name: String,
    /// Its DNS name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// How long a connection may take.
    pub connect_timeout: Option<Span>,
    /// The whole time that a request may take, where no route says otherwise.
    pub timeout: Option<Span>,
    /// Where no route says otherwise.
    pub retries: Option<Retries>,
    /// How much is under way at a time.
    pub circuit_breaker: Option<CircuitBreaker>,
    /// When an endpoint is left alone.
    pub outlier_detection: Option<OutlierDetection>,
    /// How much one workload may ask.
    pub rate_limit: Option<RateLimit>,
    /// Members whose endpoints are used where the own ones are gone, the nearest first.
    pub failover: Vec<String>,
    /// The first that fits counts.
    pub routes: Vec<Route>,
}

/// What is spoken with a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2, which gRPC speaks too.
    Http2,
    /// Bytes.
    Tcp,
}

const PROTOCOLS: [(&str, Protocol); 3] = [("http", Protocol::Http), ("http2", Protocol::Http2), ("tcp", Protocol::Tcp)];

/// What only requests can have.
const OF_REQUESTS: [&str; 4] = ["timeout", "retries", "rateLimit", "routes"];

/// A DNS name, as far as a pattern can say it.
const HOST: &str = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";

impl Service {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let host = fields.required("host", problems).and_then(|node| read_host(&node, problems));
        let port = fields.required("port", problems).and_then(|node| read_port(&node, problems));
        let protocol =
            fields.optional("protocol").map_or(Some(Protocol::Http), |node| node.choice(&PROTOCOLS, problems));
        let connect_timeout = fields.optional("connectTimeout").and_then(|node| Span::read_some(&node, problems));
        let timeout = fields.optional("timeout").and_then(|node| Span::read_some(&node, problems));
        let retries = fields.optional("retries").and_then(|node| Retries::read(&node, problems));
        let circuit_breaker = fields.optional("circuitBreaker").and_then(|node| CircuitBreaker::read(&node, problems));
        let outlier_detection =
            fields.optional("outlierDetection").and_then(|node| OutlierDetection::read(&node, problems));
        let rate_limit = fields.optional("rateLimit").and_then(|node| RateLimit::read(&node, problems));
        let failover = some_texts(fields.optional("failover"), problems);
        let routes = each(fields.optional("routes"), problems, Route::read);
        fields.finish(problems);
        if protocol == Some(Protocol::Tcp) {
            for key in OF_REQUESTS.into_iter().filter(|key| node.value.get(key).is_some_and(|value| !value.is_null())) {
                let pointer = format!("{}/{key}", node.pointer);
                problems.add_with_hint(pointer, "tcp knows no requests", Some("say `protocol: http` or `http2`"));
            }
        }
        check_tries(timeout.as_ref(), retries.as_ref(), &node.pointer, problems);
        for (index, route) in routes.iter().enumerate() {
            let whole = route.timeout.as_ref().or(timeout.as_ref());
            if route.timeout.is_some() || route.retries.is_some() {
                let retries = route.retries.as_ref().or(retries.as_ref());
                check_tries(whole, retries, &format!("{}/routes/{index}", node.pointer), problems);
            }
        }
        Some(Self {
            name: name?.to_owned(),
            host: host?.to_owned(),
            port: port?,
            protocol: protocol?,
            connect_timeout,
            timeout,
            retries,
            circuit_breaker,
            outlier_detection,
            rate_limit,
            failover,
            routes,
        })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("name", Schema::filled()),
            ("host", Schema::pattern(HOST).says("Its DNS name.")),
            ("port", Schema::integer(1, u64::from(u16::MAX))),
            ("protocol", Schema::choice(&PROTOCOLS).says("Default http.")),
            ("connectTimeout", Span::schema()),
            ("timeout", Span::schema().says("The whole time that a request may take.")),
            ("retries", Retries::schema()),
            ("circuitBreaker", CircuitBreaker::schema()),
            ("outlierDetection", OutlierDetection::schema()),
            ("rateLimit", RateLimit::schema().says("How much one workload may ask.")),
            ("failover", Schema::some_of(Schema::filled()).says("Members to use where the own endpoints are gone.")),
            ("routes", Schema::list_of(Route::schema()).says("The first that fits counts.")),
        ])
        .requires(&["name", "host", "port"])
    }
}

/// A try that takes longer than the whole request can never be repeated.
fn check_tries(timeout: Option<&Span>, retries: Option<&Retries>, pointer: &str, problems: &mut Problems) {
    if let (Some(timeout), Some(per_try)) = (timeout, retries.and_then(|retries| retries.per_try_timeout.as_ref()))
        && per_try.nanoseconds() >= timeout.nanoseconds()
    {
        problems.add_with_hint(
            pointer,
            format!("`retries.perTryTimeout` {per_try} leaves no time for a second try within `timeout` {timeout}"),
            Some("make the timeout of a try shorter, or leave the retries out"),
        );
    }
}

/// A port of a service.
pub(in super::super) fn read_port(node: &Node<'_>, problems: &mut Problems) -> Option<u16> {
    node.integer(1, u64::from(u16::MAX), problems).and_then(|port| u16::try_from(port).ok())
}

fn read_host<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    const LONGEST: usize = 253;
    let text = node.text(problems)?;
    if text.len() > LONGEST || !text.split('.').all(crate::settings::is_dns_label) {
        let expected = "expected a DNS name such as `orders.shop.svc.cluster.local`";
        problems.add(&node.pointer, format!("{expected}, found `{}`", clip(text)));
        return None;
    }
    Some(text)
}

/// Reports each route that leads to a service which the policy does not have.
pub(super) fn unknown_targets(services: &[Service], at: &str, problems: &mut Problems) {
    for (index, service) in services.iter().enumerate() {
        for (position, route) in service.routes.iter().enumerate() {
            for (part, target) in route.to.iter().enumerate() {
                let names = services.iter().map(|service| service.name.as_str());
                if !names.clone().any(|name| name == target.service) {
                    let message = format!("this policy has no service `{}`", clip(&target.service));
                    let pointer = format!("{at}/{index}/routes/{position}/to/{part}/service");
                    problems.add_with_hint(pointer, message, did_you_mean(&target.service, names));
                }
            }
        }
    }
}
