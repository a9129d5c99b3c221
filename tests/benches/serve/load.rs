//! Load: connections that send the same request again and again, and what came of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fedcar::admission::tls::Authority;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A way to put load on a server.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// Each connection sends as soon as it has its answer.
    Closed {
        /// How many.
        connections: usize,
    },
    /// Requests come at a rate, whatever the server does; latency counts from when one was due.
    Open {
        /// Requests per second.
        rate: f64,
        /// How many connections may be busy at once.
        connections: usize,
    },
    /// A new connection for each request.
    NewConnections {
        /// How many at once.
        at_once: usize,
    },
}

/// What came of it.
pub(crate) struct Taken {
    /// Of the requests that were answered as expected, in microseconds.
    pub(crate) latencies: Vec<f64>,
    /// Requests with another answer, or none.
    pub(crate) failed: usize,
    /// How long it took.
    pub(crate) time: Duration,
}

/// Sends one request as an API server would.
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    tls: TlsConnector,
    path: &'static str,
    body: Bytes,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, authority: &Authority, path: &'static str, body: &Value) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.cert_pem().as_bytes()).expect("PEM")).expect("an authority");
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.expect("a version").with_root_certificates(roots).with_no_client_auth();
        // API servers keep no sessions (`kubernetes/kubernetes: client-go/transport`).
        config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
        Self(Arc::new(Inner {
            address,
            tls: TlsConnector::from(Arc::new(config)),
            path,
            body: Bytes::from(body.to_string()),
        }))
    }

    /// One answer.
    pub(crate) async fn once(&self) -> Bytes {
        let mut connection = self.0.connect().await.expect("a connection");
        self.0.ask(&mut connection).await.expect("an answer")
    }
}

impl Inner {
    async fn connect(&self) -> Option<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = self.tls.connect(name, stream).await.ok()?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
        tokio::spawn(connection);
        Some(sender)
    }

    async fn ask(&self, connection: &mut SendRequest<Full<Bytes>>) -> Option<Bytes> {
        connection.ready().await.ok()?;
        let request = Request::post(self.path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(self.body.clone()))
            .expect("a request");
        let response = connection.send_request(request).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        (status == StatusCode::OK).then_some(body)
    }
}

impl Load {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Closed { connections } => connections.to_string(),
            Self::Open { .. } => "70 %".to_owned(),
            Self::NewConnections { .. } => "new".to_owned(),
        }
    }

    /// Puts the load on for `time`.
    pub(crate) async fn run(self, client: &Client, time: Duration) -> Taken {
        let expected = client.once().await;
        let begin = Instant::now();
        let end = begin + time;
        let (report, mut reports) = mpsc::unbounded_channel();
        let workers = match self {
            Self::Closed { connections } | Self::Open { connections, .. } => connections,
            Self::NewConnections { at_once } => at_once,
        };
        let mut tasks = Vec::new();
        for worker in 0..workers {
            let (client, expected, report) = (Arc::clone(&client.0), expected.clone(), report.clone());
            tasks.push(tokio::spawn(async move {
                let mut connection = None;
                for turn in 0_u32.. {
                    let mut due = Instant::now();
                    if let Self::Open { rate, .. } = self {
                        // Requests take turns over the connections, so each connection has its own even beat.
                        let number = f64::from(turn) * workers as f64 + worker as f64;
                        due = begin + Duration::from_secs_f64(number / rate);
                        // Late by its own timer, which ticks each millisecond, is not late by the server.
                        if Instant::now() < due {
                            tokio::time::sleep_until(due.into()).await;
                            due = Instant::now();
                        }
                    }
                    if Instant::now() >= end {
                        break;
                    }
                    if connection.is_none() || matches!(self, Self::NewConnections { .. }) {
                        connection = client.connect().await;
                    }
                    let answer = match &mut connection {
                        Some(connection) => client.ask(connection).await,
                        None => None,
                    };
                    let good = answer.is_some_and(|answer| answer == expected);
                    let _ = report.send(good.then(|| due.elapsed().as_secs_f64() * 1e6));
                }
            }));
        }
        drop(report);
        let (mut latencies, mut failed) = (Vec::new(), 0);
        while let Some(answered) = reports.recv().await {
            match answered {
                Some(latency) => latencies.push(latency),
                None => failed += 1,
            }
        }
        for task in tasks {
            task.await.expect("a worker");
        }
        Taken { latencies, failed, time: begin.elapsed() }
    }
}

impl Taken {
    /// A percentile of the latencies, in microseconds.
    pub(crate) fn percentile(&mut self, part: f64) -> f64 {
        self.latencies.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index within the list")]
        let index = (self.latencies.len() as f64 * part) as usize;
        self.latencies.get(index).or(self.latencies.last()).copied().unwrap_or(f64::NAN)
    }
}
