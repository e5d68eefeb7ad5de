//! Turns for what only so many threads may do at a time.

use std::sync::{Condvar, Mutex, PoisonError};

/// A number of slots; who finds none free waits.
pub(super) struct Slots {
    free: Mutex<usize>,
    returned: Condvar,
}

impl Slots {
    /// `n` free slots, at least one.
    pub(super) fn new(n: usize) -> Self {
        Self { free: Mutex::new(n.max(1)), returned: Condvar::new() }
    }

    /// Does `work` in a slot.
    pub(super) fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let _taken = self.take();
        work()
    }

    fn take(&self) -> Taken<'_> {
        // A count is never left half changed, so a thread that panicked meanwhile changes nothing.
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.returned.wait_while(free, |free| *free == 0);
        *free.unwrap_or_else(PoisonError::into_inner) -= 1;
        Taken(self)
    }
}

/// A slot, given back when dropped.
struct Taken<'a>(&'a Slots);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.returned.notify_one();
    }
}
