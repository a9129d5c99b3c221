//! Connections: accepted within limits, encrypted, watched, and ended well.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Shared;
use super::patience::{Activity, Noted};
use super::route;
use crate::telemetry::HandshakeFailure;

/// After a failed accept (no file descriptors, usually): others may end meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The most that is read ahead on one connection, so that large bodies on all of them are not all in memory. A usual request
/// fits whole.
const BUFFER_BYTES: usize = 64 << 10;

/// It is crowded where fewer than one of this many places is free.
const FREE_PART: usize = 4;

/// The next connection; `None` where it could not be had, after a pause.
pub(super) async fn next(listener: &TcpListener) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => {
            // A response is one write; to hold it back for another one would only cost time. A stream that cannot be told
            // so works all the same.
            let _ = stream.set_nodelay(true);
            Some(stream)
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Accepts connections until `closing` says so.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener, mut closing: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    let handshakes = Arc::new(Semaphore::new(shared.limits.handshakes));
    loop {
        let (place, stream) = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            accepted = async { (Arc::clone(&places).acquire_owned().await, next(&listener).await) } => accepted,
        };
        let (Ok(place), Some(stream)) = (place, stream) else { continue };
        let (shared, handshakes, closing) = (Arc::clone(&shared), Arc::clone(&handshakes), closing.clone());
        let all_places = Arc::clone(&places);
        tokio::spawn(async move {
            let _open = shared.metrics.connection();
            let crowded = || all_places.available_permits() < shared.limits.connections / FREE_PART;
            match &shared.tls {
                None => serve(&shared, stream, closing, crowded).await,
                Some(tls) => {
                    let acceptor = TlsAcceptor::from(tls.config());
                    let handshake = async {
                        let _turn = handshakes.acquire().await;
                        acceptor.accept(stream).await
                    };
                    match timeout(shared.limits.handshake_time, handshake).await {
                        Ok(Ok(stream)) => serve(&shared, stream, closing, crowded).await,
                        Ok(Err(error)) => shared.metrics.handshake_failed(why(&error)),
                        Err(_) => shared.metrics.handshake_failed(HandshakeFailure::Timeout),
                    }
                }
            }
            drop(place);
        });
    }
}

/// Why there was no handshake.
fn why(error: &std::io::Error) -> HandshakeFailure {
    use tokio_rustls::rustls::Error;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        None => HandshakeFailure::Closed,
        Some(Error::InvalidMessage(_)) => HandshakeFailure::NotTls,
        Some(Error::NoCertificatesPresented) => HandshakeFailure::NoCertificate,
        Some(Error::InvalidCertificate(_)) => HandshakeFailure::BadCertificate,
        Some(Error::AlertReceived(_)) => HandshakeFailure::RefusedByClient,
        Some(_) => HandshakeFailure::Protocol,
    }
}

/// Serves one connection until one side has enough.
async fn serve(
    shared: &Arc<Shared>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    mut closing: watch::Receiver<bool>,
    crowded: impl Fn() -> bool,
) {
    let activity = Activity::new();
    let stream = TokioIo::new(Noted { stream, activity: activity.clone() });
    let service = service_fn(|request| route::respond(shared, &activity, request));
    let connection = http1::Builder::new()
        // `Activity` does this, since it tells idle connections from slow heads.
        .header_read_timeout(None)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A connection that breaks is the other side's affair: its requests were answered or counted.
        _ = connection.as_mut() => return,
        () = activity.overstayed(shared.patience, &crowded) => return,
        _ = closing.wait_for(|closing| *closing) => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection.as_mut() => {}
        () = activity.overstayed(shared.patience, &crowded) => {}
    }
}
