use crate::wire;

/// What a plugin asks to know of a record beside its payload. What is not wanted is not sent, and
/// [`Meta`](crate::Meta) answers `None` for it.
///
/// ```
/// use sluicegate_plugin::Wants;
///
/// const WANTS: Wants = Wants::KEYS.and(Wants::HEADERS);
/// assert_ne!(WANTS, Wants::KEYS);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants(wire::Wants);

impl Wants {
    /// The payload only; topic and partition always come with it.
    pub const NONE: Self = Self(wire::Wants::empty());
    /// The offset in the partition.
    pub const OFFSETS: Self = Self(wire::Wants::OFFSETS);
    /// The timestamp that the broker keeps.
    pub const TIMESTAMPS: Self = Self(wire::Wants::TIMESTAMPS);
    /// The key.
    pub const KEYS: Self = Self(wire::Wants::KEYS);
    /// The headers.
    pub const HEADERS: Self = Self(wire::Wants::HEADERS);

    /// Both of them.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0.union(other.0))
    }

    /// Whether all of `other` is asked for.
    pub const fn contains(self, other: Self) -> bool {
        self.0.contains(other.0)
    }

    pub(crate) const fn wire(self) -> wire::Wants {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_holds_both_and_nothing_else() {
        let wants = Wants::KEYS.and(Wants::OFFSETS);
        assert!(wants.contains(Wants::KEYS) && wants.contains(Wants::OFFSETS));
        assert!(!wants.contains(Wants::HEADERS) && !wants.contains(Wants::TIMESTAMPS));
        assert!(wants.contains(Wants::NONE));
    }
}
