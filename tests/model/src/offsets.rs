//! A small set of offsets, so that states are cheap to copy and to compare.

use std::fmt;
use std::ops::Range;

/// Offsets from 0 to 7.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offsets(u8);

impl Offsets {
    /// The offsets of a range, its end exclusive.
    pub fn of(range: Range<i64>) -> Self {
        range.fold(Self::default(), Self::with)
    }

    /// The set with one more.
    #[must_use]
    pub fn with(self, offset: i64) -> Self {
        Self(self.0 | 1 << offset)
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The offsets, ascending.
    pub fn iter(self) -> impl Iterator<Item = i64> {
        (0..8).filter(move |offset| self.0 & 1 << offset != 0)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offsets: Vec<_> = self.iter().map(|offset| offset.to_string()).collect();
        write!(f, "{{{}}}", offsets.join(" "))
    }
}
