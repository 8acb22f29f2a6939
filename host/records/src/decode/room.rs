//! Bounds on the bytes that columns take while records are decoded. A value takes its bytes from the room before
//! it is stored, so no record and no batch grows past its bound.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::fault::fault;
use crate::flow::record::MOST_RECORD_BYTES;
use crate::flow::record::Origin;
use crate::flow::rejection::{Fault, Reason};

/// The bounds of one batch.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Bytes of columns at which reading stops.
    pub batch_bytes: usize,
    /// Whether the first record is read whatever its size.
    pub is_first_free: bool,
    /// Most bytes that one record may take beside its first row's text and fixed widths.
    pub record_bytes: usize,
    /// Bytes that a row of this record takes in columns filled after decode.
    pub beside: &'a dyn Fn(Origin) -> usize,
    /// Adds to a fault of this record's payload which part of the record it is in.
    pub tell: &'a dyn Fn(Origin, &[u8], &mut Fault),
}

impl Bounds<'_> {
    /// No bound on the batch, and the largest one on a record.
    pub const NONE: Self = Self {
        batch_bytes: usize::MAX,
        is_first_free: true,
        record_bytes: MOST_RECORD_BYTES,
        beside: &|_| 0,
        tell: &|_, _, _| {},
    };
}

/// Bytes left for one record, shared by all columns. Clones are handles to the same room; each knows the index of its
/// row's column.
#[derive(Debug, Clone)]
pub struct Room(Rc<Left>, usize);

/// What was noted of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noted {
    Nothing,
    /// A value of it was cut.
    Cut,
    /// It exceeds the bound.
    Over,
}

#[derive(Debug)]
struct Left {
    bytes: Cell<usize>,
    noted: Cell<Noted>,
    /// The columns of values that were cut, with a count of consecutive ones: arrays hold many.
    cut: RefCell<Vec<(usize, u64)>>,
    /// The bound, for errors.
    most: usize,
}

impl Room {
    /// Room for `bytes` bytes.
    pub fn of(bytes: usize) -> Self {
        let left = Left {
            bytes: Cell::new(bytes),
            noted: Cell::new(Noted::Nothing),
            cut: RefCell::default(),
            most: bytes,
        };
        Self(Rc::new(left), 0)
    }

    /// The same room, for the column at this index.
    #[must_use]
    pub fn of_column(&self, at: usize) -> Self {
        Self(Rc::clone(&self.0), at)
    }

    /// Resets the room to `bytes` bytes.
    pub fn set(&self, bytes: usize) {
        self.0.bytes.set(bytes);
        self.0.noted.set(Noted::Nothing);
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// There are fewer left.
    #[inline]
    pub fn take(&self, bytes: usize) -> Result<(), Box<Fault>> {
        match self.0.bytes.get().checked_sub(bytes) {
            Some(left) => {
                self.0.bytes.set(left);
                Ok(())
            }
            None => Err(self.over()),
        }
    }

    /// Returns the bytes of a value that was dropped.
    pub fn give_back(&self, bytes: usize) {
        self.0.bytes.set(self.0.bytes.get().saturating_add(bytes));
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.bytes.get()
    }

    /// Whether more was requested than was left.
    pub fn is_over(&self) -> bool {
        self.0.noted.get() == Noted::Over
    }

    /// Whether a value of the record was cut, or the bound exceeded: one check for both.
    #[inline]
    pub fn is_noted(&self) -> bool {
        self.0.noted.get() != Noted::Nothing
    }

    /// Notes that a value of the column was cut.
    pub fn note_cut(&self) {
        let mut cut = self.0.cut.borrow_mut();
        match cut.last_mut() {
            Some((at, values)) if *at == self.1 => *values += 1,
            _ => cut.push((self.1, 1)),
        }
        if self.0.noted.get() == Noted::Nothing {
            self.0.noted.set(Noted::Cut);
        }
    }

    /// Forgets the cut values of the column.
    pub fn forget_cut(&self) {
        self.0.cut.borrow_mut().retain(|(at, _)| *at != self.1);
    }

    /// Takes the columns of values that were cut, with their counts.
    pub fn take_cut(&self) -> Vec<(usize, u64)> {
        self.0.cut.take()
    }

    #[cold]
    fn over(&self) -> Box<Fault> {
        self.0.noted.set(Noted::Over);
        too_large(self.0.most)
    }
}

/// The fault of a record that exceeds its bound.
#[cold]
pub fn too_large(most: usize) -> Box<Fault> {
    let expected = format!(
        "a record that takes at most {most} bytes as columns beside its own text (a quarter of \
         MEMORY_BUDGET_BYTES)"
    );
    fault(Reason::TooLarge, expected, "more")
}

/// The fault of a record whose row is too wide before any text.
#[cold]
pub fn too_wide(bytes: usize, most: usize) -> Box<Fault> {
    let expected = format!(
        "a table whose row takes at most {most} bytes before any text (a quarter of MEMORY_BUDGET_BYTES)"
    );
    fault(Reason::TooLarge, expected, &format!("{bytes} bytes"))
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;

    use crate::decode::columns::Column;
    use crate::schema::types::parse;
    use crate::schema::width::width;

    #[test]
    fn no_type_takes_more_than_its_width_for_a_null() {
        for text in [
            "Int8",
            "UInt64",
            "Int256",
            "Float32",
            "BFloat16",
            "Bool",
            "String",
            "FixedString(100)",
            "UUID",
            "IPv4",
            "IPv6",
            "Date",
            "DateTime64(3)",
            "Time64(6)",
            "Decimal(9, 2)",
            "Decimal(76, 0)",
            "Enum8('a' = 1)",
            "LowCardinality(UUID)",
            "Array(Decimal(76, 0))",
            "Map(String, Array(Int8))",
            "Tuple(a Int8, b FixedString(1000), c Array(String))",
            "Variant(Int8, FixedString(30), Array(UInt64))",
            "Dynamic",
            "JSON",
        ] {
            let ty = parse(text).unwrap();
            let mut column = Column::new(&ty, 0);
            for _ in 0..1_000 {
                column.put_null();
            }
            let (counted, bytes) = (width(&ty) * 1_000, column.bytes());
            let taken = column.finish().unwrap().to_data().get_slice_memory_size().unwrap();
            assert!(counted >= taken, "{text}: {counted} are counted, and {taken} taken");
            assert!(counted >= bytes && bytes * 10 >= taken, "{text}: {counted}, {bytes}, {taken}");
        }
    }
}
