//! How many bytes of columns a row takes before any value is read.

use super::names::{Field, FieldNames, InnerFields};
use super::plan::{TablePlan, UnknownField};
use super::types::{IntKind, Kind, Type};

/// Fixed bytes of a value, without the elements of an array or a map.
pub fn width(ty: &Type) -> usize {
    /// An offset, which exists twice while the Arrow array is built.
    const OFFSET: usize = 8;
    /// The digits and sign of a 256-bit integer, or a UUID; JSON may write them in fewer bytes.
    const DIGITS: usize = 80;
    /// The validity bit, and its share of the buffer's free space after growth.
    const VALID: usize = 1;
    let value = match &ty.kind {
        _ if ty.is_text => OFFSET + DIGITS,
        Kind::String | Kind::Json(_) | Kind::Array(_) | Kind::Map(..) => OFFSET,
        Kind::Bool | Kind::Int(IntKind::I8 | IntKind::U8) => 1,
        Kind::Int(IntKind::I16 | IntKind::U16) => 2,
        Kind::Int(IntKind::I32 | IntKind::U32)
        | Kind::Float32
        | Kind::BFloat16
        | Kind::Ipv4
        | Kind::Date
        | Kind::Date32
        | Kind::Time
        | Kind::Enum(..) => 4,
        Kind::Int(IntKind::I64 | IntKind::U64)
        | Kind::Float64
        | Kind::DateTime { .. }
        | Kind::DateTime64 { .. }
        | Kind::Time64 { .. } => 8,
        Kind::Uuid | Kind::Ipv6 | Kind::Decimal { precision: 0..=38, .. } => 16,
        Kind::Decimal { .. } => 32,
        Kind::WideInt(kind) => usize::try_from(kind.width()).unwrap_or(usize::MAX),
        Kind::FixedString(width) => usize::try_from(*width).unwrap_or(usize::MAX),
        Kind::Tuple(elements) => widths(elements.iter().map(|element| &element.ty)),
        Kind::Variant(members) | Kind::Dynamic(members) => 1 + widths(&**members),
    };
    value.saturating_add(VALID)
}

/// The sum of the fixed bytes of these types.
pub fn widths<'a>(types: impl IntoIterator<Item = &'a Type>) -> usize {
    types.into_iter().map(width).fold(0, usize::saturating_add)
}

/// Bytes that a row of a table takes.
#[derive(Debug, Clone, Copy)]
pub struct RowBytes {
    /// The fixed widths of all columns.
    fixed: usize,
    /// The same with one element for each array and map: reserved for each row.
    reserved: usize,
    /// Most bytes of an element of an array, or of a key and its value.
    element: usize,
    /// How many columns one byte of a record may be copied to.
    copies: usize,
}

impl RowBytes {
    /// The bytes of a row of this table.
    pub fn of(plan: &TablePlan) -> Self {
        let types = || plan.columns.iter().map(|column| &column.ty);
        let (fixed, reserved) =
            (widths(types()), types().map(deep_width).fold(0, usize::saturating_add));
        let kept = if let UnknownField::Column(_) = plan.unknown { 2 } else { 1 };
        let element = types().map(widest_element).max().unwrap_or(0);
        Self { fixed, reserved, element, copies: copies(&plan.names).max(kept) }
    }

    /// The fixed widths of all columns.
    pub fn fixed(self) -> usize {
        self.fixed
    }

    /// Most bytes of an element of an array, or of a key and its value, in any column and at any depth; 0 if there is
    /// none. Excludes texts in the element, whose bytes are in the record too.
    pub fn element(self) -> usize {
        self.element
    }

    /// Bytes to reserve for each expected row.
    pub fn reserved(self) -> usize {
        self.reserved
    }

    /// Upper bound on the bytes of a payload without arrays, maps and JSON.
    pub fn of_payload(self, payload: &[u8]) -> usize {
        self.fixed.saturating_add(payload.len().saturating_mul(self.copies))
    }
}

/// The error if a row takes more than `most` bytes before any text.
pub fn too_wide(row_bytes: usize, most: usize) -> Option<String> {
    (row_bytes > most).then(|| {
        format!(
            "a row takes {row_bytes} bytes before any text; {most} are the most (a quarter of \
             MEMORY_BUDGET_BYTES)"
        )
    })
}

/// The direct parts of a type.
fn parts(ty: &Type) -> Vec<&Type> {
    match &ty.kind {
        Kind::Array(element) => vec![element],
        Kind::Map(key, value) => vec![key, value],
        Kind::Tuple(elements) => elements.iter().map(|element| &element.ty).collect(),
        Kind::Variant(members) | Kind::Dynamic(members) => members.iter().collect(),
        _ => Vec::new(),
    }
}

/// Most bytes of an element, or of a key and its value, within this type.
fn widest_element(ty: &Type) -> usize {
    let own = match &ty.kind {
        Kind::Array(_) | Kind::Map(..) => widths(parts(ty)),
        _ => 0,
    };
    parts(ty).into_iter().map(widest_element).fold(own, usize::max)
}

/// Bytes of a value with one element in each array and map.
fn deep_width(ty: &Type) -> usize {
    parts(ty).into_iter().map(deep_width).fold(width(ty), usize::saturating_add)
}

/// The most columns that one byte of an object may be copied to: those of its field and of fields within.
fn copies(names: &FieldNames) -> usize {
    let within = |within: &InnerFields| copies(&within.pointed) + copies(&within.dotted);
    let of = |field: &Field| field.columns.len() + field.within.as_deref().map_or(0, within);
    names.fields().map(of).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::plan::Rules;
    use crate::schema::source::UnknownFields;

    #[test]
    fn the_widest_element_is_found_at_any_depth() {
        let element = |ty: &str| {
            RowBytes::of(&TablePlan::of_types(&[("a", "Int8"), ("b", ty)], &Rules::default()))
                .element()
        };
        assert_eq!(element("FixedString(1000)"), 0);
        assert_eq!(element("Array(UInt64)"), 9);
        assert_eq!(element("Map(String, Int8)"), 11);
        assert_eq!(element("Tuple(a Array(Array(FixedString(1000))), b Int8)"), 1_001);
        assert_eq!(element("Array(Variant(Int8, Array(UInt32)))"), 1 + 2 + 9 + 1);
    }

    #[test]
    fn a_field_counts_for_each_column_that_it_fills() {
        let of = |rules: &Rules| {
            let plan = TablePlan::of_types(&[("a", "String"), ("b", "String")], rules);
            let row = RowBytes::of(&plan);
            row.of_payload(&[b' '; 10]) - row.fixed()
        };
        assert_eq!(of(&Rules::default()), 10);
        let unknown_fields = UnknownFields::Column("b".into());
        assert_eq!(of(&Rules { unknown_fields, ..Rules::default() }), 20);
    }
}
