//! How long a connection may take between requests, and for the head of one.
//!
//! hyper has one time for both, but they differ: an API server keeps a connection for 90 seconds without using it, and one
//! that is closed on it just as it sends costs a request (Go does not send a POST again); a head that takes
//! seconds is an attack. So a connection notes what it is doing, and a watch looks at the notes.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often a watch looks.
const LOOK: Duration = Duration::from_secs(1);

/// What a connection is doing, and since when.
#[derive(Debug, Clone)]
pub(super) struct Activity(Arc<Note>);

#[derive(Debug)]
struct Note {
    begin: Instant,
    /// Milliseconds since `begin`, shifted by [`PHASE_BITS`], and the phase below it.
    since: AtomicU64,
}

const PHASE_BITS: u32 = 2;
const PHASE: u64 = (1 << PHASE_BITS) - 1;
/// No request yet.
const NEW: u64 = 0;
const HEAD: u64 = 1;
const BUSY: u64 = 2;
const IDLE: u64 = 3;

/// The times of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Without a request.
    pub(super) idle: Duration,
    /// From the first byte of a request to the end of its head.
    pub(super) head: Duration,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(Note { begin: Instant::now(), since: AtomicU64::new(NEW) }))
    }

    /// A head is complete; what follows has its own limits.
    pub(super) fn busy(&self) {
        self.note(BUSY);
    }

    /// The answer is there.
    pub(super) fn idle(&self) {
        self.note(IDLE);
    }

    fn note(&self, phase: u64) {
        let millis = u64::try_from(self.0.begin.elapsed().as_millis()).unwrap_or(u64::MAX >> PHASE_BITS);
        self.0.since.store(millis << PHASE_BITS | phase, Ordering::Relaxed);
    }

    fn received(&self) {
        if matches!(self.0.since.load(Ordering::Relaxed) & PHASE, NEW | IDLE) {
            self.note(HEAD);
        }
    }

    /// Comes back when the connection has lasted too long in what it does. Where it is `crowded`, one that has never sent a
    /// request has no longer than a head may take: else whoever opens connections and is silent would hold all places.
    pub(super) async fn overstayed(&self, patience: Patience, crowded: impl Fn() -> bool) {
        loop {
            tokio::time::sleep(LOOK.min(patience.head).min(patience.idle)).await;
            let note = self.0.since.load(Ordering::Relaxed);
            let since = Duration::from_millis(note >> PHASE_BITS);
            let most = match note & PHASE {
                NEW if crowded() => patience.head,
                NEW | IDLE => patience.idle,
                HEAD => patience.head,
                _ => continue,
            };
            if self.0.begin.elapsed().saturating_sub(since) > most {
                return;
            }
        }
    }
}

/// A stream that notes when bytes come in.
pub(super) struct Noted<S> {
    pub(super) stream: S,
    pub(super) activity: Activity,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
