//! Requests to registries, which only ever read.
//!
//! Invariant: an answer is read up to a limit; credentials go to the host that they are for, and only by TLS, unless the
//! user has said otherwise or the host is this machine.

use std::error::Error;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use fedcar_policy::read::clip;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioExecutor;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;

use super::error::Fault;
use super::reference::is_loopback;
use crate::problem::in_full;

/// Registries answer for a content with the address of a store, and that seldom with another.
const MOST_REDIRECTIONS: u8 = 5;
const AGENT: &str = concat!("fedcar/", env!("CARGO_PKG_VERSION"));

/// How requests are sent.
pub(super) struct Transport {
    plain: Client<HttpConnector, Empty<Bytes>>,
    secure: Result<Secure, String>,
    proxies: Matcher,
    /// Hosts besides this machine that are asked without TLS.
    without_tls: Vec<String>,
}

/// The client of hosts with TLS, and what one through a proxy is made of.
struct Secure {
    tls: ClientConfig,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

/// What is to be read.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    /// For messages.
    pub(super) what: &'static str,
    /// Media types.
    pub(super) accept: &'static str,
    /// Credentials for the host of the address.
    pub(super) authorization: Option<&'a HeaderValue>,
    /// The size of the largest content.
    pub(super) limit: u64,
}

/// An answer, of which only a content has been read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Transport {
    /// Prepares requests, with the proxies of the environment and the authorities of the system.
    pub(super) fn new(without_tls: Vec<String>) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let secure = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)
            .and_then(ConfigBuilderExt::with_native_roots)
            .map(|builder| Secure::new(builder.with_no_client_auth()))
            .map_err(|error| error.to_string());
        let plain = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { plain, secure, proxies: Matcher::from_env(), without_tls }
    }

    /// The scheme by which a host is asked.
    pub(super) fn scheme(&self, authority: &str) -> &'static str {
        if is_loopback(authority) || self.without_tls.iter().any(|one| one == authority) { "http" } else { "https" }
    }

    /// Reads a content, also from where the answer leads to. Who begins with TLS stays with it.
    pub(super) async fn get(&self, from: &Uri, ask: Ask<'_>) -> Result<Answer, Fault> {
        let mut at = from.clone();
        for _ in 0..=MOST_REDIRECTIONS {
            let is_plain = from.scheme_str() == Some("http") && self.scheme(authority(&at)) == "http";
            if at.scheme_str() != Some("https") && !(is_plain && at.scheme_str() == Some("http")) {
                return Err(Fault::Insecure(clip(&at.to_string())));
            }
            let mut request = Request::get(&at).header(ACCEPT, ask.accept).header(USER_AGENT, AGENT);
            if let Some(authorization) = ask.authorization
                && (at.scheme(), at.authority()) == (from.scheme(), from.authority())
            {
                request = request.header(AUTHORIZATION, authorization);
            }
            let request = request.body(Empty::new()).map_err(|_| Fault::Redirection)?;
            let answer = self.send(&at, request).await?;
            if answer.status().is_redirection() {
                at = target(&at, answer.headers())?;
                continue;
            }
            let (head, body) = answer.into_parts();
            let body = if head.status.is_success() { read(body, &at, ask).await? } else { Bytes::new() };
            return Ok(Answer { status: head.status, headers: head.headers, body });
        }
        Err(Fault::Redirections(MOST_REDIRECTIONS))
    }

    async fn send(&self, at: &Uri, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, Fault> {
        let answer = if at.scheme_str() == Some("https") {
            let secure = self.secure.as_ref().map_err(|why| Fault::Tls(why.clone()))?;
            match self.proxies.intercept(at) {
                Some(proxy) => secure.through(&proxy).request(request).await,
                None => secure.client.request(request).await,
            }
        } else {
            self.plain.request(request).await
        };
        answer.map_err(|error| unreachable(at, &error))
    }
}

impl Secure {
    fn new(tls: ClientConfig) -> Self {
        let client = client(&tls, tcp());
        Self { tls, client }
    }

    /// A client that sees nothing but the proxy, which is asked for a tunnel and never reads what goes through it.
    fn through(
        &self,
        proxy: &Intercept,
    ) -> Client<HttpsConnector<Tunnel<HttpsConnector<HttpConnector>>>, Empty<Bytes>> {
        let to_proxy = HttpsConnectorBuilder::new().with_tls_config(self.tls.clone()).https_or_http().enable_http1();
        let tunnel = Tunnel::new(proxy.uri().clone(), to_proxy.wrap_connector(tcp()));
        let tunnel = match proxy.basic_auth() {
            Some(credentials) => tunnel.with_auth(credentials.clone()),
            None => tunnel,
        };
        client(&self.tls, tunnel)
    }
}

/// Connections below TLS, to hosts by any scheme.
fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector
}

fn client<C>(tls: &ClientConfig, below: C) -> Client<HttpsConnector<C>, Empty<Bytes>>
where
    HttpsConnector<C>: Connect + Clone,
{
    let https = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_only().enable_http1();
    Client::builder(TokioExecutor::new()).build(https.wrap_connector(below))
}

async fn read(body: Incoming, at: &Uri, ask: Ask<'_>) -> Result<Bytes, Fault> {
    let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::TooLarge { what: ask.what, limit: ask.limit }),
        Err(error) => Err(unreachable(at, error.as_ref())),
    }
}

fn unreachable(at: &Uri, error: &(dyn Error + 'static)) -> Fault {
    Fault::Unreachable { host: authority(at).to_owned(), why: in_full(error) }
}

pub(super) fn authority(uri: &Uri) -> &str {
    uri.authority().map(Authority::as_str).unwrap_or_default()
}

/// Where a redirection leads: to another address, or to another path of the same host.
fn target(at: &Uri, headers: &HeaderMap) -> Result<Uri, Fault> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).ok_or(Fault::Redirection)?;
    let absolute = if location.starts_with('/') && !location.starts_with("//") {
        format!("{}://{}{location}", at.scheme_str().unwrap_or_default(), authority(at))
    } else {
        location.to_owned()
    };
    absolute.parse().map_err(|_| Fault::Redirection)
}
