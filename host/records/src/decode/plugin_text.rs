//! Checks texts that a hook wrote instead of decode: JSON, and values that are sent as text.

use serde_json::value::RawValue;

use super::columns::Column;
use super::fault::{expected, fault};
use super::int256::Wide;
use super::malformed::is_too_deep;
use super::number::Misfit;
use super::parser::Parser;
use super::reader::Reader as _;
use super::{MAX_DEPTH, nested};
use crate::flow::rejection::{Fault, Reason};
use crate::schema::plan::ValueRules;
use crate::schema::types::{Kind, Type};

/// Checks whether decode could also have put this text into a column of the type.
///
/// # Errors
/// Why not; the pointer is relative to the text.
pub fn judge_text(ty: &Type, rules: ValueRules, text: &str) -> Result<(), Box<Fault>> {
    let refuse = |reason| fault(reason, expected(ty), text);
    let is_as_written = |written: String, reason| match written == text {
        true => Ok(()),
        false => Err(refuse(reason)),
    };
    match &ty.kind {
        Kind::Json(_) if is_too_deep(text.as_bytes()) => {
            Err(fault(Reason::TooDeep, format!("at most {MAX_DEPTH} levels"), "more"))
        }
        Kind::Json(_) => {
            let token: &RawValue =
                serde_json::from_str(text).map_err(|_| refuse(Reason::MalformedJson))?;
            nested::put(&mut Column::new(ty, 1), ty, rules, &mut Parser::of(token.get()))
        }
        Kind::Uuid => {
            let uuid = uuid::Uuid::try_parse(text).map_err(|_| refuse(Reason::BadUuid))?;
            is_as_written(uuid.hyphenated().to_string(), Reason::BadUuid)
        }
        Kind::WideInt(kind) => match Wide::integer(text) {
            Ok(value) if value.fits(*kind) => {
                is_as_written(value.to_string(), Reason::TypeMismatch)
            }
            Ok(_) | Err(Misfit::Range) => Err(refuse(Reason::OutOfRange)),
            Err(Misfit::Fraction | Misfit::NotANumber) => Err(refuse(Reason::TypeMismatch)),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::plan::{Rules, TablePlan};

    #[test]
    fn only_what_decode_writes_is_taken() {
        use Reason::*;
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        let table = [
            ("JSON", r#" {"a":[1,"x"]}"#, None),
            ("JSON", r#"{"a":1"#, Some(MalformedJson)),
            ("JSON", "{} {}", Some(MalformedJson)),
            ("JSON", "", Some(MalformedJson)),
            ("JSON", "null", Some(TypeMismatch)),
            ("JSON", "[]", Some(TypeMismatch)),
            ("JSON", r#"{"a":1,"a":2}"#, Some(DuplicateKey)),
            ("JSON", r#"{"a":1e400}"#, Some(OutOfRange)),
            ("JSON", &deep, Some(TooDeep)),
            ("JSON(a UInt8)", r#"{"a":256}"#, Some(OutOfRange)),
            ("LowCardinality(UUID)", "123e4567-e89b-12d3-a456-426614174000", None),
            ("LowCardinality(UUID)", "123E4567-E89B-12D3-A456-426614174000", Some(BadUuid)),
            ("LowCardinality(UUID)", "x", Some(BadUuid)),
            ("LowCardinality(UInt128)", "340282366920938463463374607431768211455", None),
            (
                "LowCardinality(UInt128)",
                "340282366920938463463374607431768211456",
                Some(OutOfRange),
            ),
            ("LowCardinality(Int128)", "1.0", Some(TypeMismatch)),
            ("LowCardinality(Int128)", "1.5", Some(TypeMismatch)),
            ("LowCardinality(Int128)", "-0", Some(TypeMismatch)),
            ("LowCardinality(Int256)", "", Some(TypeMismatch)),
            ("String", "", None),
        ];
        for (ty, text, expected) in table {
            let plan = TablePlan::of_types(&[("c", ty)], &Rules::default());
            let column = &plan.columns[0];
            let found = judge_text(&column.ty, column.values, text).err();
            assert_eq!(found.map(|fault| fault.reason), expected, "{ty}: {text}");
        }
    }
}
