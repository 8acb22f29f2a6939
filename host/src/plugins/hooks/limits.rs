//! The resource limits of a guest, and whether it exceeded them.

use wasmtime::{ResourceLimiter, Result};

use crate::limits::budget::HeldBytes;

/// Most elements of a table of functions; plugins of Rust, Python or JavaScript have a few thousand.
const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Most core instances, tables and memories of one component: itself and an adapter or two.
const MAX_PARTS: usize = 32;

/// The limits of one instance.
#[derive(Debug)]
pub struct Limits {
    max_memory_bytes: usize,
    memory_bytes: usize,
    /// Its memory as counted in the host's budget.
    held: HeldBytes,
    was_refused: bool,
}

impl Limits {
    /// Limits with this total memory; `held` counts what the guest takes of it.
    pub fn new(max_memory_bytes: usize, held: HeldBytes) -> Self {
        Self { max_memory_bytes, memory_bytes: 0, held, was_refused: false }
    }

    /// Begins a call: earlier refusals are not the cause of its failures.
    pub fn begin_call(&mut self) {
        self.was_refused = false;
    }

    /// Whether the guest was refused memory in this call.
    pub fn was_refused(&self) -> bool {
        self.was_refused
    }

    /// The most memory that it may have.
    pub fn max_memory_bytes(&self) -> usize {
        self.max_memory_bytes
    }

    /// The memory that it has; it never shrinks.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        // All memories of an instance count together.
        let grown = self.memory_bytes + desired.saturating_sub(current);
        if grown > self.max_memory_bytes {
            self.was_refused = true;
            return Ok(false);
        }
        self.memory_bytes = grown;
        self.held.set(grown);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::budget::Budget;

    #[test]
    fn memories_count_together_and_a_refusal_is_remembered() {
        let budget = Budget::new(1, 1_000);
        let mut limits = Limits::new(100, budget.hold());
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(0, 40, None).unwrap());
        assert!(!limits.was_refused());
        assert!(!limits.memory_growing(40, 41, None).unwrap());
        assert!(limits.was_refused());
        assert_eq!((limits.memory_bytes(), budget.used_bytes()), (100, 100));
        limits.begin_call();
        assert!(!limits.was_refused());
    }
}
