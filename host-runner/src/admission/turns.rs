//! Who may run now, and how many may wait for it.
//!
//! As many calls run as there are processors, so that each one is quick. A call that turns out to be slow gives its turn
//! back while it goes on (`engine::Call::while_quick`), so it takes processor time from the others but never their place. What
//! can neither run nor wait is told so at once: a refusal in a millisecond lets the API server follow its failure policy,
//! an answer after its timeout is work for nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

/// The turns of a server.
#[derive(Debug)]
pub struct Turns {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
}

/// The share of one policy: how many of its calls there may be at once, slow ones included.
#[derive(Debug, Clone)]
pub struct Share(Arc<Semaphore>);

/// The right to run. Both parts are given back when they are dropped.
#[derive(Debug)]
pub struct Turn {
    /// Given back when the call is over or slow.
    pub while_quick: Option<OwnedSemaphorePermit>,
    /// Given back when the call is over.
    pub share: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// A turn that takes nobody's place, for a call before anything is served.
    pub fn free() -> Self {
        Self { while_quick: None, share: None }
    }
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoTurn {
    /// Too many wait already.
    #[error("too many requests are waiting")]
    Full,
    /// The time was up before a turn came.
    #[error("the request has waited for too long")]
    Expired,
}

impl Share {
    /// A share of `most` calls.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }
}

impl Turns {
    /// `running` calls at once, and `most_waiting` behind them.
    pub fn new(running: usize, most_waiting: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(running)), waiting: AtomicUsize::new(0), most_waiting }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits for a turn, in the order of arrival.
    pub async fn take(&self, share: &Share, until: Instant) -> Result<Turn, NoTurn> {
        if let Ok(mine) = Arc::clone(&share.0).try_acquire_owned()
            && let Ok(while_quick) = Arc::clone(&self.free).try_acquire_owned()
        {
            return Ok(Turn { while_quick: Some(while_quick), share: Some(mine) });
        }
        let _place = self.wait().ok_or(NoTurn::Full)?;
        let both = async {
            let share = Arc::clone(&share.0).acquire_owned().await?;
            let while_quick = Arc::clone(&self.free).acquire_owned().await?;
            Ok(Turn { while_quick: Some(while_quick), share: Some(share) })
        };
        match timeout_at(until.into(), both).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(tokio::sync::AcquireError { .. })) | Err(_) => Err(NoTurn::Expired),
        }
    }

    fn wait(&self) -> Option<Place<'_>> {
        let place = Place(&self.waiting);
        (self.waiting.fetch_add(1, Ordering::Relaxed) < self.most_waiting).then_some(place)
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[tokio::test]
    async fn a_slow_call_gives_its_turn_back_but_not_its_share() {
        let turns = Turns::new(1, 10);
        let (slow, other) = (Share::new(1), Share::new(1));
        let first = turns.take(&slow, soon()).await.expect("free");
        assert_eq!(turns.take(&other, soon()).await.err(), Some(NoTurn::Expired));
        drop(first.while_quick);
        drop(turns.take(&other, soon()).await.expect("the turn is free"));
        assert_eq!(turns.take(&slow, soon()).await.err(), Some(NoTurn::Expired), "its share is not");
        drop(first.share);
        assert!(turns.take(&slow, soon()).await.is_ok());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_empties_again() {
        let turns = Turns::new(1, 2);
        let share = Share::new(10);
        let running = turns.take(&share, soon()).await.expect("free");
        let far = Instant::now() + Duration::from_mins(1);
        let (first, second, third) = tokio::join!(turns.take(&share, soon()), turns.take(&share, soon()), async {
            tokio::task::yield_now().await;
            turns.take(&share, far).await
        });
        assert_eq!((first.err(), second.err()), (Some(NoTurn::Expired), Some(NoTurn::Expired)));
        assert_eq!(third.err(), Some(NoTurn::Full));
        assert_eq!(turns.waiting(), 0);
        drop(running);
        assert!(turns.take(&share, soon()).await.is_ok());
    }
}
