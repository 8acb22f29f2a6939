//! How many bytes the values of a column take.

use std::mem::size_of_val;

use super::{Column, Data};

impl Column {
    /// Bytes of its values, those of its parts included.
    pub fn bytes(&self) -> usize {
        let own = match &self.data {
            Data::I8(values) => size_of_val(&**values),
            Data::I16(values) => size_of_val(&**values),
            Data::I32(values) | Data::Days(values) | Data::Label(values, _) => {
                size_of_val(&**values)
            }
            Data::I64(values) | Data::Ticks(values, _) => size_of_val(&**values),
            Data::U8(values) => size_of_val(&**values),
            Data::U16(values) => size_of_val(&**values),
            Data::U32(values) => size_of_val(&**values),
            Data::U64(values) => size_of_val(&**values),
            Data::F32(values) | Data::BF16(values) => size_of_val(&**values),
            Data::F64(values) => size_of_val(&**values),
            Data::Bool(values) => values.len(),
            Data::Decimal(values, ..) => size_of_val(&**values),
            Data::WideDecimal(values, ..) => size_of_val(&**values),
            Data::Text { ends, text } => size_of_val(&**ends) + text.len(),
            Data::Bytes { ends, bytes } => size_of_val(&**ends) + bytes.len(),
            Data::Fixed { bytes, .. } => bytes.len(),
            Data::Runs { ends, parts, .. } => size_of_val(&**ends) + of_all(parts),
            Data::Tuples { parts, .. } => of_all(parts),
            Data::Members { ids, parts, .. } => ids.len() + of_all(parts),
        };
        own + self.len.div_ceil(8)
    }
}

fn of_all(columns: &[Column]) -> usize {
    columns.iter().map(Column::bytes).sum()
}
