//! What the host must know of a column's DEFAULT expression.

use super::quoted::{leading_quoted, unquote};

/// The text of a DEFAULT that is a plain literal, e.g. `'a'`; `CAST('a', 'Enum8(...)')` is how
/// ClickHouse prints that of an Enum.
pub fn text_literal(expression: &str) -> Option<String> {
    let expression = expression.trim();
    let inner = match expression.strip_prefix("CAST(") {
        None => expression,
        // The first quoted text of the cast.
        Some(cast) => leading_quoted(cast)?,
    };
    unquote(inner)
}

/// The text of a DEFAULT that is a plain integer, or one in quotes.
pub fn integer_literal(expression: &str) -> Option<String> {
    let text = text_literal(expression).unwrap_or_else(|| expression.trim().to_owned());
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_integer.then_some(text)
}

/// Whether a DEFAULT is the empty array.
pub fn is_empty_array(expression: &str) -> bool {
    let bare: String = expression.chars().filter(|c| !c.is_whitespace()).collect();
    bare == "[]"
        || bare == "array()"
        || bare.starts_with("CAST([],")
        || bare.starts_with("emptyArray")
}

/// Whether a DEFAULT is the empty map.
pub fn is_empty_map(expression: &str) -> bool {
    let bare: String = expression.chars().filter(|c| !c.is_whitespace()).collect();
    bare == "map()" || bare.starts_with("CAST(map(),")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_literal_is_one() {
        assert_eq!(text_literal("'a'").as_deref(), Some("a"));
        assert_eq!(text_literal(r"'it\'s'").as_deref(), Some("it's"));
        assert_eq!(text_literal("CAST('b', 'Enum8(\\'a\\' = 1)')").as_deref(), Some("b"));
        assert_eq!(text_literal("concat('a', 'b')"), None);
        assert_eq!(text_literal("now()"), None);
        assert_eq!(text_literal("CAST(id, 'String')"), None);
    }

    #[test]
    fn an_integer_is_one_with_or_without_quotes() {
        assert_eq!(integer_literal("-7").as_deref(), Some("-7"));
        assert_eq!(integer_literal("'18'").as_deref(), Some("18"));
        for other in ["", "-", "a", "toInt128(5)", "1.5", "'x'"] {
            assert_eq!(integer_literal(other), None, "{other}");
        }
    }

    #[test]
    fn the_empty_array_is_known_in_each_way_it_is_printed() {
        assert!(is_empty_array("[]") && is_empty_array("CAST([], 'Array(String)')"));
        assert!(!is_empty_array("[1]") && !is_empty_array("range(3)"));
    }

    #[test]
    fn the_empty_map_is_known_in_each_way_it_is_printed() {
        assert!(is_empty_map("map()") && is_empty_map("CAST(map(), 'Map(String, Int8)')"));
        assert!(!is_empty_map("map('a', 1)") && !is_empty_map("mapFromArrays([], [])"));
    }
}
