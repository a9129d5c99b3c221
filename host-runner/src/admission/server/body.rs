//! Reads a body within its limits: its size, its time, and what all bodies together may take.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// Memory for the bodies of all requests under way, in units of [`UNIT`]; a semaphore counts no further than 32 bits.
#[derive(Debug)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
    most_bytes: usize,
    patience: Duration,
}

/// Bytes that are counted as one.
const UNIT: usize = 1024;

/// A body, and the right to hold it.
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) permit: OwnedSemaphorePermit,
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoBody {
    /// Longer than a body may be.
    TooLarge,
    /// Did not come in time.
    Slow,
    /// All requests together hold too much.
    Full,
    /// The connection broke, or the encoding is wrong.
    Broken,
}

impl Budget {
    /// `all_bytes` for all bodies, `most_bytes` and `patience` for each.
    pub(super) fn new(all_bytes: usize, most_bytes: usize, patience: Duration) -> Self {
        Self { units: Arc::new(Semaphore::new(all_bytes.div_ceil(UNIT))), most_bytes, patience }
    }

    /// The whole body.
    pub(super) async fn read(&self, mut body: Incoming) -> Result<Held, NoBody> {
        let announced = body.size_hint().exact().map(usize::try_from).map_or(Ok(None), |bytes| bytes.map(Some));
        let Ok(announced) = announced else { return Err(NoBody::TooLarge) };
        if announced.is_some_and(|bytes| bytes > self.most_bytes) {
            return Err(NoBody::TooLarge);
        }
        // Without a length the most is taken, and what was too much is given back at the end.
        let units = |bytes: usize| u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let wanted = units(announced.unwrap_or(self.most_bytes));
        let until = Instant::now() + self.patience;
        let Ok(mut permit) = Arc::clone(&self.units).try_acquire_many_owned(wanted) else {
            // Read on without keeping it: a connection that is closed on a client that still sends loses the refusal.
            let _ = timeout_at(until, discard(&mut body, self.most_bytes)).await;
            return Err(NoBody::Full);
        };
        let bytes =
            timeout_at(until, collect(&mut body, announced, self.most_bytes)).await.map_err(|_| NoBody::Slow)??;
        if announced.is_none() {
            drop(permit.split(wanted.saturating_sub(units(bytes.len())) as usize));
        }
        Ok(Held { bytes, permit })
    }
}

/// Reads a body of at most `most_bytes` for nothing.
async fn discard(body: &mut Incoming, most_bytes: usize) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > most_bytes {
            return;
        }
    }
}

/// One piece is handed on as it came; more than one are copied together once.
async fn collect(body: &mut Incoming, announced: Option<usize>, most_bytes: usize) -> Result<Bytes, NoBody> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| NoBody::Broken)?.into_data() else { continue };
        if first.len() + all.len() + data.len() > most_bytes {
            return Err(NoBody::TooLarge);
        }
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(announced.unwrap_or(0));
            all.extend_from_slice(&first);
            first = Bytes::new();
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}
