//! Writes Variant and Dynamic columns as JSON, which arrow-json leaves to its callers.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, UnionArray};
use arrow_json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use arrow_schema::{ArrowError, DataType, FieldRef};

/// Writes a union's value as that of its member.
#[derive(Debug)]
pub struct Unions;

impl EncoderFactory for Unions {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let DataType::Union(fields, _) = array.data_type() else { return Ok(None) };
        let union = array.as_union();
        let member = |(id, field): (i8, &'a FieldRef)| {
            Ok((id, make_encoder(field, union.child(id), options)?))
        };
        let members = fields.iter().map(member).collect::<Result<Vec<_>, ArrowError>>()?;
        let encoder = Box::new(Union { array: union, members });
        Ok(Some(NullableEncoder::new(encoder, array.logical_nulls())))
    }
}

struct Union<'a> {
    array: &'a UnionArray,
    members: Vec<(i8, NullableEncoder<'a>)>,
}

impl Encoder for Union<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let (id, place) = (self.array.type_id(row), self.array.value_offset(row));
        match self.members.iter_mut().find(|(member, _)| *member == id) {
            Some((_, member)) if !member.is_null(place) => member.encode(place, out),
            _ => out.extend_from_slice(b"null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_json::WriterBuilder;
    use arrow_json::writer::LineDelimited;

    use super::*;
    use crate::decode::decode;
    use crate::schema::plan::{Rules, TablePlan};
    use crate::schema::table::{ColumnRow, TableSchema};

    #[test]
    fn a_value_of_a_union_is_written_as_that_of_its_member() {
        let column = |name: &str, ty: &str| ColumnRow {
            name: name.into(),
            ty: ty.into(),
            default_kind: String::new(),
            default_expression: String::new(),
        };
        let columns = [column("v", "Variant(Int64, String)"), column("d", "Dynamic")];
        let schema = TableSchema::from_rows("d", "t", "UTC", columns).unwrap();
        let plan = TablePlan::new(&schema, &Rules::default()).unwrap();
        let records = [r#"{"v":1,"d":"a"}"#, r#"{"v":"b","d":2}"#, r#"{"d":true}"#];
        let payloads = (0..).zip(records.iter().map(|record| record.as_bytes()));
        let rows = decode(&plan, payloads);
        assert_eq!(rows.rejections, []);
        let builder = WriterBuilder::new().with_encoder_factory(Arc::new(Unions));
        let mut writer = builder.build::<_, LineDelimited>(Vec::new());
        writer.write(&rows.batch).unwrap();
        writer.finish().unwrap();
        let written = String::from_utf8(writer.into_inner()).unwrap();
        assert_eq!(written, format!("{}\n", records.join("\n")));
    }
}
