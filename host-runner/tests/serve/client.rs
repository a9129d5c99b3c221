//! A client as API servers are: HTTP/1.1 over TLS 1.3, the certificate verified, connections kept and used by one request
//! at a time. A request that could not be sent because the server had closed the idle connection is sent on a new one,
//! as Go does; everything else that goes wrong is a failed request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name of the service, which its certificates have.
pub(crate) const NAME: &str = "fedcar.mesh.svc";

/// The longest that an API server waits for a webhook.
const LONGEST: Duration = Duration::from_secs(30);

/// The authorities that a client trusts: the `caBundle`.
#[derive(Clone)]
pub(crate) struct Trust(TlsConnector);

impl Trust {
    /// Trusts these, as PEM.
    pub(crate) fn new<'a>(bundle: impl IntoIterator<Item = &'a str>) -> Self {
        let mut roots = RootCertStore::empty();
        for pem in bundle {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        Self(TlsConnector::from(Arc::new(config)))
    }

    /// A connection, for a request that is no proper one.
    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        self.0.connect(ServerName::try_from(NAME).unwrap(), stream).await
    }
}

/// One connection to one server, made when it is needed.
pub(crate) struct Client {
    trust: Trust,
    address: SocketAddr,
    open: Option<Open>,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    leaf: Bytes,
}

/// What was answered.
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: u16,
    /// The head.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// The server's certificate on this connection.
    pub(crate) leaf: Bytes,
    /// From the request, connecting included, to the end of the answer.
    pub(crate) took: Duration,
}

impl Client {
    /// No connection is made yet.
    pub(crate) fn new(trust: &Trust, address: SocketAddr) -> Self {
        Self { trust: trust.clone(), address, open: None }
    }

    /// Posts JSON. An error is a failed request, with the reason.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> Result<Reply, String> {
        timeout(LONGEST, self.exchange(path, body)).await.unwrap_or_else(|_| {
            self.open = None;
            Err(format!("no answer from {} within {LONGEST:?}", self.address))
        })
    }

    /// The next request has a new connection.
    pub(crate) fn hang_up(&mut self) {
        self.open = None;
    }

    async fn exchange(&mut self, path: &str, body: Bytes) -> Result<Reply, String> {
        let begin = Instant::now();
        let mut request = Request::post(path)
            .header(HOST, NAME)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        loop {
            let (mut open, fresh) = match self.open.take() {
                Some(mut open) => {
                    if open.sender.ready().await.is_err() {
                        continue;
                    }
                    (open, false)
                }
                None => (self.connect().await.map_err(|error| format!("{}: connect: {error}", self.address))?, true),
            };
            let response = match open.sender.try_send_request(request).await {
                Ok(response) => response,
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => {
                        request = unsent;
                        continue;
                    }
                    _ => return Err(format!("{}: send: {:?}", self.address, error.into_error())),
                },
            };
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| format!("{}: read: {error:?}", self.address))?.to_bytes();
            let leaf = open.leaf.clone();
            if head.headers.get(CONNECTION).is_none_or(|value| value != "close") {
                self.open = Some(open);
            }
            return Ok(Reply {
                status: head.status.as_u16(),
                headers: head.headers,
                body,
                leaf,
                took: begin.elapsed(),
            });
        }
    }

    async fn connect(&self) -> Result<Open, String> {
        let stream = self.trust.connect(self.address).await.map_err(|error| error.to_string())?;
        let leaf = Bytes::copy_from_slice(&stream.get_ref().1.peer_certificates().unwrap()[0]);
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        // It ends when the sender is dropped, or with an error that the request has too.
        tokio::spawn(connection);
        Ok(Open { sender, leaf })
    }
}
