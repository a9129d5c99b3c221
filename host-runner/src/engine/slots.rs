//! Who may run now: the pool of instances is small, and a full pool is a reason to wait, not an error.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// As many slots as the pool has instances.
pub(super) struct Slots {
    free: Mutex<u32>,
    released: Condvar,
}

/// The right to hold one instance.
pub(super) struct Slot<'a>(&'a Slots);

impl Slots {
    /// All free.
    pub(super) fn new(count: u32) -> Self {
        Self { free: Mutex::new(count), released: Condvar::new() }
    }

    /// Waits for a slot, at most as long as `patience`.
    pub(super) fn take(&self, patience: Duration) -> Option<Slot<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) =
            self.released.wait_timeout_while(free, patience, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Slot(self))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_was_given_back_is_free_again() {
        let slots = Slots::new(1);
        let slot = slots.take(Duration::ZERO).expect("one is free");
        assert!(slots.take(Duration::ZERO).is_none());
        drop(slot);
        assert!(slots.take(Duration::ZERO).is_some());
    }
}
