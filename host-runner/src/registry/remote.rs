//! One repository of a registry, over the API of the OCI distribution specification.
//!
//! Invariant: every content has the digest by which it was asked for; where it was asked for by a tag, the one that the
//! registry names, if it names one.

use bytes::Bytes;
use fedcar_policy::read::clip;
use hyper::StatusCode;
use hyper::Uri;
use hyper::header::HeaderValue;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::challenge::{Challenge, challenge};
use super::credentials::Credentials;
use super::error::Fault;
use super::manifest::MANIFEST_TYPES;
use super::reference::{Digest, Reference};
use super::transport::{Answer, Ask, Transport, authority};

/// What the distribution specification lets registries refuse, and more than the largest index in use.
pub(super) const LARGEST_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// More than any token with the rights of one repository.
const LARGEST_TOKEN_BYTES: u64 = 256 * 1024;
/// How registries name what they send.
const DIGEST_HEADER: &str = "docker-content-digest";

/// A repository, and the right to read it once the registry has wanted one.
pub(super) struct Repository<'r> {
    transport: &'r Transport,
    credentials: &'r Credentials,
    reference: &'r Reference,
    authorization: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'r> Repository<'r> {
    /// Nothing is asked yet.
    pub(super) fn new(transport: &'r Transport, credentials: &'r Credentials, reference: &'r Reference) -> Self {
        Self { transport, credentials, reference, authorization: None }
    }

    /// The manifest or index of a tag or digest.
    pub(super) async fn manifest(&mut self, wanted: &str) -> Result<Bytes, Fault> {
        const WHAT: &str = "manifest";
        let answer = self.get("manifests", wanted, WHAT, LARGEST_MANIFEST_BYTES).await?;
        let named = answer.headers.get(DIGEST_HEADER).and_then(|value| value.to_str().ok());
        let expected = wanted.parse().ok().or_else(|| named?.parse().ok());
        verified(answer.body, expected.as_ref(), WHAT)
    }

    /// A content by its digest, up to a size.
    pub(super) async fn blob(&mut self, digest: &Digest, what: &'static str, limit: u64) -> Result<Bytes, Fault> {
        let answer = self.get("blobs", digest.as_str(), what, limit).await?;
        verified(answer.body, Some(digest), what)
    }

    async fn get(&mut self, kind: &str, name: &str, what: &'static str, limit: u64) -> Result<Answer, Fault> {
        let host = self.reference.host();
        let scheme = self.transport.scheme(host);
        let from = format!("{scheme}://{host}/v2/{}/{kind}/{name}", self.reference.repository);
        let from: Uri = from.parse().map_err(|_| Fault::Insecure(clip(&from)))?;
        let accept = if kind == "manifests" { MANIFEST_TYPES } else { "*/*" };
        let mut answer = self.ask(&from, accept, what, limit).await?;
        if answer.status == StatusCode::UNAUTHORIZED && self.authorization.is_none() {
            self.authorization = Some(self.authorize(&from, &answer).await?);
            answer = self.ask(&from, accept, what, limit).await?;
        }
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(host)),
            StatusCode::NOT_FOUND => Err(Fault::NotFound { host: host.to_owned() }),
            status => Err(Fault::Status { what, host: host.to_owned(), status }),
        }
    }

    async fn ask(&self, from: &Uri, accept: &'static str, what: &'static str, limit: u64) -> Result<Answer, Fault> {
        let authorization = self.authorization.as_ref();
        self.transport.get(from, Ask { what, accept, authorization, limit }).await
    }

    /// What the registry wants to see, which is fetched where it is a token.
    async fn authorize(&self, from: &Uri, refusal: &Answer) -> Result<HeaderValue, Fault> {
        let own = self.own();
        let (realm, service) = match challenge(&refusal.headers) {
            Some(Challenge::Bearer { realm, service }) => (realm, service),
            Some(Challenge::Basic) => return own.cloned().ok_or_else(|| self.denied(authority(from))),
            None => return Err(self.denied(authority(from))),
        };
        // The scope is ours and not what the registry asks for: to read this repository is all that is needed.
        let mut query = format!("scope=repository:{}:pull", self.reference.repository);
        if let Some(service) = service {
            query = format!("service={}&{query}", utf8_percent_encode(&service, NON_ALPHANUMERIC));
        }
        let separator = if realm.contains('?') { '&' } else { '?' };
        let address = format!("{realm}{separator}{query}");
        let insecure = || Fault::Insecure(clip(&realm));
        let address: Uri = address.parse().map_err(|_| insecure())?;
        // Credentials are sent there: TLS is left only from a host without it to another that may go without it too.
        let host = authority(&address);
        let may_be_plain = from.scheme_str() == Some("http") && self.transport.scheme(host) == "http";
        if address.scheme_str() != Some("https") && !may_be_plain {
            return Err(insecure());
        }
        let ask = Ask { what: "token", accept: "application/json", authorization: own, limit: LARGEST_TOKEN_BYTES };
        let answer = self.transport.get(&address, ask).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.denied(host)),
            status => return Err(Fault::Status { what: "token", host: host.to_owned(), status }),
        }
        let token = serde_json::from_slice(&answer.body).ok().and_then(|Token { token, access_token }| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.or(access_token)?)).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        token.ok_or_else(|| Fault::NoToken { host: host.to_owned() })
    }

    fn own(&self) -> Option<&'r HeaderValue> {
        self.credentials.of(&self.reference.registry, &self.reference.repository)
    }

    fn denied(&self, host: &str) -> Fault {
        let with = if self.own().is_some() { "the credentials of Docker's configuration" } else { "no credentials" };
        Fault::Denied { host: host.to_owned(), with }
    }
}

/// The content, if it is what was asked for.
pub(super) fn verified(content: Bytes, expected: Option<&Digest>, what: &'static str) -> Result<Bytes, Fault> {
    let found = Digest::of(&content);
    match expected {
        Some(expected) if *expected != found => Err(Fault::WrongDigest { what, expected: expected.clone(), found }),
        _ => Ok(content),
    }
}
