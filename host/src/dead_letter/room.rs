//! Memory for the letters under way in all batches: a letter is made once there is room for it, and one that
//! waits for another try takes none.

use std::sync::Arc;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::budget::{Budget, HeldBytes};

/// Most bytes of letters at a time.
const BYTES: u32 = 16 * 1024 * 1024;

/// Room for letters; the part in use counts in the budget.
#[derive(Debug)]
pub struct LetterRoom {
    free: Semaphore,
    budget: Arc<Budget>,
}

/// The room of one letter, given back when dropped.
#[derive(Debug)]
pub struct TakenRoom<'a> {
    _free: Option<SemaphorePermit<'a>>,
    _held: HeldBytes,
}

impl LetterRoom {
    /// All of it is free.
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { free: Semaphore::new(BYTES as usize), budget }
    }

    /// Waits until there is room for this many bytes, first come, first served. A letter larger than the
    /// whole room is sent alone. Cancel safe.
    pub async fn take(&self, bytes: usize) -> TakenRoom<'_> {
        let most = u32::try_from(bytes).unwrap_or(BYTES).min(BYTES);
        // Nobody closes it.
        let free = self.free.acquire_many(most).await.ok();
        let mut held = self.budget.hold();
        held.set(bytes);
        TakenRoom { _free: free, _held: held }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn letters_wait_for_room_and_one_that_is_larger_than_all_of_it_goes_alone() {
        let budget = Budget::new(1, usize::MAX);
        let room = LetterRoom::new(Arc::clone(&budget));
        let most = BYTES as usize;
        let (small, large) = (room.take(10).await, room.take(most - 10).await);
        assert_eq!(budget.used_bytes(), most);
        assert!(room.take(1).now_or_never().is_none());
        drop(small);
        let small = room.take(10).now_or_never().unwrap();
        drop((small, large));
        let alone = room.take(10 * most).now_or_never().unwrap();
        assert_eq!(budget.used_bytes(), 10 * most);
        assert!(room.take(1).now_or_never().is_none());
        drop(alone);
        assert_eq!(budget.used_bytes(), 0);
    }
}
