//! How many bytes columns may take while records are decoded: what is to be taken is taken from the room
//! first, so that no record and no batch grows past its bound.

use std::cell::Cell;
use std::rc::Rc;

use super::fault::fault;
use crate::record::Origin;
use crate::rejection::{Fault, Reason};
use crate::schema::names::{Field, Names};
use crate::schema::plan::{TablePlan, Unknown};
use crate::schema::types::{IntKind, Kind, Type};

/// The largest bound of one record: the server, too, has to hold what it becomes.
pub const MOST_RECORD_BYTES: usize = 256 * 1024 * 1024;

/// The bounds of what is decoded at a time.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Bytes of columns past which no further record is read. The first is read in any case.
    pub batch_bytes: usize,
    /// Most bytes that one record may take beside its first row's text and fixed widths.
    pub record_bytes: usize,
    /// Bytes that columns behind decode take for a row of this record.
    pub beside: &'a dyn Fn(Origin) -> usize,
}

impl Bounds<'_> {
    /// None, for records that were bounded otherwise.
    pub const NONE: Self =
        Self { batch_bytes: usize::MAX, record_bytes: MOST_RECORD_BYTES, beside: &|_| 0 };
}

/// What is left for one record, in all columns together. A handle.
#[derive(Debug, Clone)]
pub struct Room(Rc<Left>);

#[derive(Debug)]
struct Left {
    bytes: Cell<usize>,
    is_over: Cell<bool>,
    /// What is told of as the bound.
    most: usize,
}

impl Room {
    /// Room for so many bytes.
    pub fn of(bytes: usize) -> Self {
        Self(Rc::new(Left { bytes: Cell::new(bytes), is_over: Cell::new(false), most: bytes }))
    }

    /// Room for so many bytes from now on, whatever was taken.
    pub fn set(&self, bytes: usize) {
        self.0.bytes.set(bytes);
        self.0.is_over.set(false);
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// There are not as many left.
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

    /// Gives back what was taken for what is no more.
    pub fn give_back(&self, bytes: usize) {
        self.0.bytes.set(self.0.bytes.get().saturating_add(bytes));
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.bytes.get()
    }

    /// Whether more was wanted than was left.
    pub fn is_over(&self) -> bool {
        self.0.is_over.get()
    }

    #[cold]
    fn over(&self) -> Box<Fault> {
        self.0.is_over.set(true);
        too_large(self.0.most)
    }
}

/// The fault of a record that takes more than it may.
#[cold]
pub fn too_large(most: usize) -> Box<Fault> {
    let expected = format!(
        "a record that takes at most {most} bytes as columns beside its own text (a quarter of \
         MEMORY_BUDGET_BYTES)"
    );
    fault(Reason::TooLarge, expected, "more")
}

/// The fault of every record of a table that is too wide.
#[cold]
pub fn too_wide(bytes: usize, most: usize) -> Box<Fault> {
    let expected = format!(
        "a table whose row takes at most {most} bytes before any text (a quarter of MEMORY_BUDGET_BYTES)"
    );
    fault(Reason::TooLarge, expected, &format!("{bytes} bytes"))
}

/// Bytes that a value takes whatever it is: of an array or a map, without what it holds.
pub fn width(ty: &Type) -> usize {
    /// An offset, which stands twice while an array is made of it.
    const OFFSET: usize = 8;
    /// The digits of 256 bits and a sign, or a UUID's; JSON may say them in fewer.
    const DIGITS: usize = 80;
    /// Whether there is a value: a bit, and its share of what growth leaves free.
    const VALID: usize = 1;
    let value = match &ty.kind {
        _ if ty.is_text => OFFSET + DIGITS,
        Kind::String | Kind::Json(_) | Kind::Array(_) | Kind::Map(..) => OFFSET,
        Kind::Bool => 1,
        Kind::Int(IntKind::I8 | IntKind::U8) => 1,
        Kind::Int(IntKind::I16 | IntKind::U16) => 2,
        Kind::Int(IntKind::I32 | IntKind::U32) => 4,
        Kind::Int(IntKind::I64 | IntKind::U64) => 8,
        Kind::WideInt(kind) => usize::try_from(kind.width()).unwrap_or(usize::MAX),
        Kind::FixedString(width) => usize::try_from(*width).unwrap_or(usize::MAX),
        Kind::Uuid | Kind::Ipv6 => 16,
        Kind::Float32
        | Kind::BFloat16
        | Kind::Ipv4
        | Kind::Date
        | Kind::Date32
        | Kind::Time
        | Kind::Enum(_) => 4,
        Kind::Float64 | Kind::DateTime { .. } | Kind::DateTime64 { .. } | Kind::Time64 { .. } => 8,
        Kind::Decimal { precision: 0..=38, .. } => 16,
        Kind::Decimal { .. } => 32,
        Kind::Tuple(elements) => widths(elements.iter().map(|element| &element.ty)),
        Kind::Variant(members) | Kind::Dynamic(members) => 1 + widths(&**members),
    };
    value.saturating_add(VALID)
}

/// Bytes of one value of each type.
pub fn widths<'a>(types: impl IntoIterator<Item = &'a Type>) -> usize {
    types.into_iter().map(width).fold(0, usize::saturating_add)
}

/// What the rows of a table take.
#[derive(Debug, Clone, Copy)]
pub struct RowBytes {
    /// The fixed widths of all columns.
    fixed: usize,
    /// The same, and those of an element of each array and map, for which as much is reserved.
    reserved: usize,
    /// How many columns a byte of a record may stand in.
    copies: usize,
}

impl RowBytes {
    /// Those of a table.
    pub fn of(plan: &TablePlan) -> Self {
        let types = || plan.columns.iter().map(|column| &column.ty);
        let (fixed, reserved) =
            (widths(types()), types().map(deep_width).fold(0, usize::saturating_add));
        let kept = if let Unknown::Column(_) = plan.unknown { 2 } else { 1 };
        Self { fixed, reserved, copies: copies(&plan.names).max(kept) }
    }

    /// The fixed widths of all columns.
    pub fn fixed(self) -> usize {
        self.fixed
    }

    /// Bytes that are reserved for each row that is expected.
    pub fn reserved(self) -> usize {
        self.reserved
    }

    /// At most what a payload takes that holds no array, map or JSON.
    pub fn of_payload(self, payload: &[u8]) -> usize {
        self.fixed.saturating_add(payload.len().saturating_mul(self.copies))
    }
}

/// Bytes of a value that holds one of whatever it may hold.
fn deep_width(ty: &Type) -> usize {
    let parts: Vec<&Type> = match &ty.kind {
        Kind::Array(element) => vec![element],
        Kind::Map(key, value) => vec![key, value],
        Kind::Tuple(elements) => elements.iter().map(|element| &element.ty).collect(),
        Kind::Variant(members) | Kind::Dynamic(members) => members.iter().collect(),
        _ => Vec::new(),
    };
    parts.into_iter().map(deep_width).fold(width(ty), usize::saturating_add)
}

/// In how many columns a byte of an object may stand at most: that of a field, and those of what is within.
fn copies(names: &Names) -> usize {
    let of = |field: &Field| field.columns.len() + field.within.as_ref().map_or(0, copies);
    names.fields().map(of).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use arrow_array::Array as _;

    use super::*;
    use crate::decode::columns::Column;
    use crate::schema::plan::Rules;
    use crate::schema::types::parse;

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

    #[test]
    fn a_field_counts_for_each_column_that_it_fills() {
        let of = |rules: &Rules| {
            let plan = TablePlan::of_types(&[("a", "String"), ("b", "String")], rules);
            let row = RowBytes::of(&plan);
            row.of_payload(&[b' '; 10]) - row.fixed()
        };
        assert_eq!(of(&Rules::default()), 10);
        let unknown_fields = crate::schema::source::UnknownFields::Column("b".into());
        assert_eq!(of(&Rules { unknown_fields, ..Rules::default() }), 20);
    }
}
