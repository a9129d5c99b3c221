//! Threads for calls that may be slow, with a lower priority than those that serve connections and decide quickly.
//!
//! So a policy that spins until its time is up takes what is left of the processors, and its neighbours hardly notice.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// How nice the threads are (`nice(2)`): a tenth of the weight of the others where both want a processor.
const NICE: i32 = 10;

/// The threads. They are left behind when this is dropped: a call that still runs is stopped by its own limits.
pub(super) struct Background(Option<Runtime>);

impl Background {
    /// At most `threads`, each started when it is needed.
    pub(super) fn new(threads: usize) -> io::Result<Self> {
        // Only its threads for blocking work are used.
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(threads)
            .thread_name("fedcar-slow")
            // Without the lower priority it is a little less fair, and nothing else.
            .on_thread_start(|| {
                let _ = rustix::process::nice(NICE);
            })
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs `work` on one of the threads.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<JoinHandle<T>> {
        self.0.as_ref().map(|runtime| runtime.spawn_blocking(work))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
