//! Reusable memory in which batches are built: the kernel charges more for the first touch of each 4 kB than copying
//! the records into them costs.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// A pool of at most `KEPT` arenas to reuse; the handle is cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Arenas(Arc<Mutex<Vec<Vec<u8>>>>);

impl Arenas {
    /// Most arenas kept: with large batches, one is filled while few others are in flight.
    const KEPT: usize = 2;
    /// An arena that exceeds the request by this factor is freed, so that a backlog's memory is not kept once it is
    /// gone.
    const MOST_TOO_LARGE: usize = 4;

    /// An empty arena with room for `bytes` bytes, or more.
    pub fn take(&self, bytes: usize) -> Arena {
        let kept = self.kept(Vec::pop);
        let fitting = kept.filter(|kept| kept.capacity() / Self::MOST_TOO_LARGE <= bytes);
        let mut arena = fitting.unwrap_or_default();
        arena.reserve(bytes);
        Arena { bytes: arena, home: Some(self.clone()) }
    }

    fn keep(&self, mut arena: Vec<u8>) {
        arena.clear();
        self.kept(|kept| {
            if kept.len() < Self::KEPT {
                kept.push(arena);
            }
        });
    }

    fn kept<T>(&self, change: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes that return to their pool, if they have one.
#[derive(Debug, Default)]
pub struct Arena {
    bytes: Vec<u8>,
    home: Option<Arenas>,
}

impl Arena {
    /// An arena with room for `bytes` bytes that belongs to no pool.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), home: None }
    }
}

impl Deref for Arena {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Arena {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.keep(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_is_used_again_and_begins_empty() {
        let arenas = Arenas::default();
        let mut first = arenas.take(1_000);
        first.extend_from_slice(&[1; 800]);
        let place = first.as_ptr();
        drop(first);
        let second = arenas.take(900);
        assert_eq!((second.as_ptr(), second.len()), (place, 0));
    }

    #[test]
    fn no_more_are_kept_than_wanted_and_none_that_is_far_too_large() {
        let arenas = Arenas::default();
        let taken: Vec<Arena> = (0..5).map(|_| arenas.take(1_000)).collect();
        drop(taken);
        assert_eq!(arenas.kept(|kept| kept.len()), Arenas::KEPT);
        let small = arenas.take(10);
        assert!(small.capacity() < 1_000, "{}", small.capacity());
        assert_eq!(arenas.kept(|kept| kept.len()), Arenas::KEPT - 1);
    }
}
