//! The DEFAULT expression of a column, as far as the host must know it.

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
