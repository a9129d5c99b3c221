//! The document of kind `TrafficPolicy`: how the proxies of some workloads call the services that these need.
//!
//! Nothing compiles from it yet: Envoy's configuration will. What is certain after reading: services and routes that are
//! named exist, weights add up to something, and what a protocol cannot do is not asked of it.

mod limits;
mod retries;
mod route;
mod service;

use super::header::Header;
use super::lists::{each, unique};
use crate::read::Problems;
use crate::schema::Schema;
use crate::settings::{Match, Selector};

pub use limits::{CircuitBreaker, OutlierDetection, RateLimit};
pub use retries::{Retries, RetryOn};
pub use route::{HeaderMatch, PathMatch, RequestHeader, Route, Weight};
pub(super) use route::{header_name_schema, methods_schema, read_header_name, read_methods, read_path};
pub(super) use service::read_port;
pub use service::{Protocol, Service};

/// How workloads call services.
#[derive(Debug, Clone)]
pub struct TrafficPolicy {
    /// Its name.
    pub name: String,
    /// The sidecar whose proxy carries it out.
    pub sidecar: String,
    /// The workloads that it is for, of those that have the sidecar.
    pub matching: Match,
    /// How much the workload itself takes in.
    pub inbound: Option<RateLimit>,
    /// The services that the workloads call.
    pub services: Vec<Service>,
    pub(super) document: usize,
    /// The members that it is for.
    pub members: Selector,
}

impl TrafficPolicy {
    pub(super) fn read(document: usize, header: &Header<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = header.spec.fields(problems)?;
        let sidecar = fields.required("sidecar", problems).and_then(|node| node.filled_text(problems));
        let members = fields.optional("members").and_then(|node| Selector::read(&node, problems)).unwrap_or_default();
        let matching = Match::read(fields.optional("match"), problems);
        let inbound = fields.optional("inbound").and_then(|node| {
            let mut fields = node.fields(problems)?;
            let limit = fields.required("rateLimit", problems).and_then(|node| RateLimit::read(&node, problems));
            fields.finish(problems);
            limit
        });
        let listed = fields.optional("services");
        if listed.is_none() && inbound.is_none() {
            problems.add(fields.pointer(), "expected `services` or `inbound`");
        }
        let at = format!("{}/services", header.spec.pointer);
        let services = each(listed, problems, Service::read);
        fields.finish(problems);
        unique(services.iter().map(|service| service.name.as_str()), "service", &at, "/name", problems);
        let addresses: Vec<String> =
            services.iter().map(|service| format!("{}:{}", service.host, service.port)).collect();
        unique(addresses.iter().map(String::as_str), "service at", &at, "/host", problems);
        service::unknown_targets(&services, &at, problems);
        Some(Self {
            name: header.name.to_owned(),
            sidecar: sidecar?.to_owned(),
            matching,
            inbound,
            services,
            document,
            members,
        })
    }

    pub(super) fn schema() -> Schema {
        let inbound = Schema::object([("rateLimit", RateLimit::schema())]).requires(&["rateLimit"]);
        Schema::object([
            ("sidecar", Schema::filled().says("The Sidecar whose proxy carries it out.")),
            ("members", Selector::schema().says("Which clusters; default all.")),
            ("match", Match::schema().says("Which workloads, of those that have the sidecar; default all.")),
            ("inbound", inbound.says("How much the workload itself takes in.")),
            ("services", Schema::list_of(Service::schema()).says("The services that the workloads call.")),
        ])
        .requires(&["sidecar"])
    }
}
