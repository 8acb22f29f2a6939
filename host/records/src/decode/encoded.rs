//! Strings that encode bytes (COLUMN_ENCODING).

use arrow_buffer::i256;
use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::columns::Column;
use super::fault::{expected, fault};
use crate::flow::rejection::{Fault, Reason};
use crate::schema::source::Encoding;
use crate::schema::types::{Kind, Type};

/// Puts the bytes that a string encodes. Those of a Decimal are its digits without the point, as a big-endian integer
/// in two's complement.
///
/// # Errors
/// The string is not in the encoding, or the column does not hold its bytes.
pub fn put(
    column: &mut Column,
    ty: &Type,
    encoding: Encoding,
    text: &str,
) -> Result<(), Box<Fault>> {
    let refuse = |reason| {
        let hint = if is_broken(encoding, text) { ", without line breaks and spaces" } else { "" };
        let expected = format!("{}, as bytes in {}{hint}", expected(ty), encoding.as_str());
        fault(reason, expected, text)
    };
    let bytes = decoded(encoding, text).ok_or_else(|| refuse(Reason::TypeMismatch))?;
    let (put, reason) = match ty.kind {
        Kind::String => (column.put_bytes(&bytes), Reason::TooLarge),
        Kind::FixedString(_) => (column.put_fixed(&bytes), Reason::TooLarge),
        // Empty bytes are not a number.
        Kind::Decimal { .. } if bytes.is_empty() => (None, Reason::TypeMismatch),
        Kind::Decimal { precision, .. } => {
            (put_unscaled(column, precision, &bytes), Reason::OutOfRange)
        }
        _ => (None, Reason::TypeMismatch),
    };
    put.ok_or_else(|| refuse(reason))
}

/// Whether a string is in the encoding except for line breaks and spaces, as in a mail.
#[cold]
fn is_broken(encoding: Encoding, text: &str) -> bool {
    let without = || text.split_ascii_whitespace().collect::<String>();
    text.contains(|c: char| c.is_ascii_whitespace()) && decoded(encoding, &without()).is_some()
}

fn decoded(encoding: Encoding, text: &str) -> Option<Vec<u8>> {
    const fn engine(alphabet: &Alphabet) -> GeneralPurpose {
        let padding = DecodePaddingMode::Indifferent;
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
        GeneralPurpose::new(alphabet, config)
    }
    const STANDARD_ENGINE: GeneralPurpose = engine(&STANDARD);
    const URL_SAFE_ENGINE: GeneralPurpose = engine(&URL_SAFE);
    match encoding {
        Encoding::Base64 if text.contains(['-', '_']) => URL_SAFE_ENGINE.decode(text).ok(),
        Encoding::Base64 => STANDARD_ENGINE.decode(text).ok(),
        Encoding::Hex => {
            let prefixes = ["0x", "0X", "\\x"];
            let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
            hex::decode(digits.unwrap_or(text)).ok()
        }
    }
}

/// Puts a big-endian integer in two's complement as the digits of a decimal; `None` if there are too many.
fn put_unscaled(column: &mut Column, precision: u8, bytes: &[u8]) -> Option<()> {
    const WIDTH: usize = 32;
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
    let (beyond, kept) = bytes.split_at(bytes.len().saturating_sub(WIDTH));
    // Bytes beyond 256 bits repeat the sign, or no column holds the number.
    let is_same_sign = kept.first()? & 0x80 == sign & 0x80;
    if !is_same_sign || beyond.iter().any(|byte| *byte != sign) {
        return None;
    }
    let mut lowest_first = [sign; WIDTH];
    for (to, byte) in lowest_first.iter_mut().zip(kept.iter().rev()) {
        *to = *byte;
    }
    let value = i256::from_le_bytes(lowest_first);
    let bound = i256::from_i128(10).wrapping_pow(precision.into());
    if value <= bound.wrapping_neg() || value >= bound {
        return None;
    }
    match precision {
        0..=38 => column.put_integer(value.to_i128()?),
        _ => column.put_wide_decimal(value),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::{Decimal128Type, Decimal256Type};

    use crate::decode::decode;
    use crate::flow::rejection::Reason;
    use crate::flow::rows::Rows;
    use crate::schema::plan::{Rules, TablePlan};
    use crate::schema::source::Encoding;

    fn read(ty: &str, encoding: Encoding, value: &str) -> Rows {
        // COERCION=lenient accepts nothing else.
        let encodings = vec![("c".to_owned(), encoding)];
        let rules = Rules { encodings, is_lenient: true, ..Rules::default() };
        let plan = TablePlan::of_types(&[("c", ty)], &rules);
        decode(&plan, std::iter::once((0, format!("{{\"c\":{value}}}").as_bytes())))
    }

    #[test]
    fn bytes_are_stored_as_they_are_decoded() {
        use Encoding::*;
        let table: &[(Encoding, &str, &[u8])] = &[
            (Base64, r#""aGVsbG8=""#, b"hello"),
            (Base64, r#""aGVsbG8""#, b"hello"),
            (Base64, r#""\/\/79""#, b"\xff\xfe\xfd"),
            (Base64, r#""__79""#, b"\xff\xfe\xfd"),
            (Base64, r#""""#, b""),
            (Hex, r#""00FFfe""#, b"\0\xff\xfe"),
            (Hex, r#""0xff""#, b"\xff"),
            (Hex, r#""\\x6869""#, b"hi"),
            (Hex, r#""\\x""#, b""),
        ];
        for (encoding, value, bytes) in table {
            for ty in ["String", "LowCardinality(Nullable(String))"] {
                let rows = read(ty, *encoding, value);
                assert_eq!(rows.rejections, [], "{value}");
                assert_eq!(rows.batch.column(0).as_binary::<i32>().value(0), *bytes, "{value}");
            }
        }
        let rows = read("FixedString(3)", Base64, r#""__4=""#);
        assert_eq!(rows.batch.column(0).as_fixed_size_binary().value(0), b"\xff\xfe\0");
    }

    #[test]
    fn a_decimal_is_its_unscaled_bytes() {
        use Encoding::*;
        for (encoding, value, unscaled) in [
            (Base64, r#""Dzw=""#, 3_900),
            (Base64, r#""/w==""#, -1),
            (Hex, r#""0x7f""#, 127),
            (Hex, r#""8000""#, -32_768),
            (Hex, r#""0000000000000000000000000000000000000000000000000000000000000000000007""#, 7),
            (Base64, "1.5", 150),
        ] {
            let rows = read("Decimal(10, 2)", encoding, value);
            assert_eq!(rows.rejections, [], "{value}");
            let found = rows.batch.column(0).as_primitive::<Decimal128Type>().value(0);
            assert_eq!(found, unscaled, "{value}");
            let rows = read("Decimal(50, 2)", encoding, value);
            let found = rows.batch.column(0).as_primitive::<Decimal256Type>().value(0);
            assert_eq!(found.to_i128(), Some(unscaled), "{value}");
        }
    }

    #[test]
    fn what_is_no_such_string_or_too_long_is_refused() {
        use Encoding::*;
        use Reason::*;
        for (ty, encoding, value, reason) in [
            ("String", Base64, r#""a""#, TypeMismatch),
            ("String", Base64, r#""a b=""#, TypeMismatch),
            ("String", Base64, r#""-+79""#, TypeMismatch),
            ("String", Base64, "5", TypeMismatch),
            ("String", Hex, r#""abc""#, TypeMismatch),
            ("String", Hex, r#""xyz0""#, TypeMismatch),
            ("FixedString(2)", Hex, r#""010203""#, TooLarge),
            ("Decimal(4, 2)", Base64, r#""""#, TypeMismatch),
            ("Decimal(4, 2)", Base64, r#""12.5""#, TypeMismatch),
            ("Decimal(4, 2)", Hex, r#""2710""#, OutOfRange),
            ("Decimal(4, 2)", Hex, r#""ff00000000000000000000000000000000""#, OutOfRange),
        ] {
            let rows = read(ty, encoding, value);
            let fault = &rows.rejections[0].fault;
            assert_eq!(fault.reason, reason, "{ty}: {value}: {fault}");
        }
        let text = read("String", Hex, r#""abc""#).rejections[0].fault.to_string();
        assert!(text.contains("bytes in hex,"), "{text}");
        let text = read("String", Base64, r#""aGVs\r\nbG8=""#).rejections[0].fault.to_string();
        assert!(text.contains("bytes in base64, without line breaks and spaces"), "{text}");
    }
}
