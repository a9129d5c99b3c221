//! What a kubelet and a Prometheus ask, on a port of its own and in plain HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Shared;
use crate::telemetry;

/// Connections at the same time: a kubelet, two Prometheus servers, and a person.
const CONNECTIONS: usize = 16;

/// Serves for ever.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Some(stream) = super::connection::next(&listener).await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&shared, &request))));
            let connection =
                http1::Builder::new().header_read_timeout(None).serve_connection(TokioIo::new(stream), service);
            // Whoever asks for longer than an idle connection may last asks again.
            let _ = timeout(shared.limits.idle_time, connection).await;
            drop(place);
        });
    }
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let text = |status, text: String| plain(status, "text/plain; charset=utf-8", text);
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/livez") => text(StatusCode::OK, "ok\n".to_owned()),
        (&Method::GET, "/readiness" | "/readyz") => match shared.ready() {
            Ok(()) => text(StatusCode::OK, "ok\n".to_owned()),
            Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        },
        (&Method::GET, "/metrics") => plain(StatusCode::OK, telemetry::CONTENT_TYPE, shared.metrics.render()),
        (_, "/livez" | "/readiness" | "/readyz" | "/metrics") => {
            text(StatusCode::METHOD_NOT_ALLOWED, "expected GET\n".to_owned())
        }
        _ => text(StatusCode::NOT_FOUND, "expected /readiness, /livez or /metrics\n".to_owned()),
    }
}

fn plain(status: StatusCode, media_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
