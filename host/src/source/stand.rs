//! How far a partition is read, so that no record is taken twice, and none after one that cannot be read.
//! Pure: no clock, no I/O.

/// How far one assigned partition is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionStand {
    /// The lowest offset that may come next; `None` if any may.
    next: Option<i64>,
    is_shut: bool,
    /// Whether nothing was taken since it was assigned or moved.
    is_moved: bool,
}

/// What happens to a record, by its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAdmission {
    /// Taken, as the first since the partition was assigned or moved.
    First,
    /// Taken.
    Taken,
    /// Dropped, since it was taken before.
    Repeated,
    /// Dropped, since it lies after a record that could not be read.
    Shut,
}

impl PartitionStand {
    /// Takes a partition's records from `next` on, or from any offset if `None`.
    pub fn at(next: Option<i64>) -> Self {
        Self { next, is_shut: false, is_moved: true }
    }

    /// The lowest offset that may come next, if known.
    pub fn next(&self) -> Option<i64> {
        self.next
    }

    /// Takes nothing more until the partition is moved back. Returns whether it was open until now.
    pub fn shut(&mut self) -> bool {
        !std::mem::replace(&mut self.is_shut, true)
    }

    /// Whether nothing is taken.
    pub fn is_shut(&self) -> bool {
        self.is_shut
    }

    /// Judges a record, and moves past it if it is taken.
    pub fn admit(&mut self, offset: i64) -> OffsetAdmission {
        if self.is_shut {
            return OffsetAdmission::Shut;
        }
        if self.next.is_some_and(|next| offset < next) {
            return OffsetAdmission::Repeated;
        }
        self.next = Some(offset + 1);
        match std::mem::take(&mut self.is_moved) {
            true => OffsetAdmission::First,
            false => OffsetAdmission::Taken,
        }
    }
}

/// Records that librdkafka handed out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    /// The lowest of their offsets.
    pub first: i64,
    /// The highest of their offsets.
    pub last: i64,
    /// How many there are.
    pub records: u64,
}

impl Repeated {
    /// Adds a record to the earlier ones.
    pub fn add(before: Option<Self>, offset: i64) -> Self {
        let Self { first, last, records } =
            before.unwrap_or(Self { first: offset, last: offset, records: 0 });
        Self { first: first.min(offset), last: last.max(offset), records: records + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::OffsetAdmission::{First, Taken};
    use super::*;

    #[test]
    fn offsets_ascend_and_may_leave_gaps() {
        let mut stand = PartitionStand::at(Some(5));
        let admitted = [4, 5, 5, 7, 6, 8].map(|offset| stand.admit(offset));
        let again = OffsetAdmission::Repeated;
        assert_eq!(admitted, [again, First, again, Taken, again, Taken]);
        assert_eq!(stand.next(), Some(9));
    }

    #[test]
    fn a_partition_without_a_start_takes_what_comes_first() {
        let mut stand = PartitionStand::at(None);
        assert_eq!(stand.admit(17), OffsetAdmission::First);
        assert_eq!(stand.admit(16), OffsetAdmission::Repeated);
    }

    #[test]
    fn nothing_behind_what_cannot_be_read_is_taken_before_a_move() {
        let mut stand = PartitionStand::at(Some(5));
        assert!(stand.shut() && !stand.shut(), "only the first failure is one of its own");
        assert_eq!(stand.admit(6), OffsetAdmission::Shut);
        assert_eq!(stand.next(), Some(5));
        stand = PartitionStand::at(stand.next());
        assert_eq!(stand.admit(5), OffsetAdmission::First);
    }

    #[test]
    fn repeated_records_are_counted_with_their_range() {
        let repeated =
            [7, 3, 5].into_iter().fold(None, |so_far, at| Some(Repeated::add(so_far, at)));
        assert_eq!(repeated, Some(Repeated { first: 3, last: 7, records: 3 }));
    }
}
