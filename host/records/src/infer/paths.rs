//! Paths within objects, as ClickHouse's JSON type sees them: it treats `{"a.b":1}` as
//! `{"a":{"b":1}}`, and refuses an object with two values for one path.

use crate::decode::{each_element, each_member, kind_of};

/// Whether an object in the value may have two values for one path: only if one of its names starts
/// with another name and a dot.
pub fn may_repeat(token: &str) -> bool {
    let mut may = false;
    let _sound = match kind_of(token) {
        _ if !token.contains('.') => Ok(()),
        "array" => each_element(token, |_, token| {
            may |= may_repeat(token);
            Ok(())
        }),
        "object" => {
            let mut names = Vec::new();
            let read = each_member(token, |name, token| {
                names.push(name.to_owned());
                may |= may_repeat(token);
                Ok(())
            });
            may |= has_prefix(names);
            read
        }
        _ => Ok(()),
    };
    may
}

/// Whether one of the names starts with another and a dot.
fn has_prefix(mut names: Vec<String>) -> bool {
    // Sorted by parts, so that a name directly precedes the names that start with it.
    names.sort_by(|a, b| a.split('.').cmp(b.split('.')));
    names.windows(2).any(|pair| match pair {
        [short, long] => long.strip_prefix(&**short).is_some_and(|rest| rest.starts_with('.')),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::may_repeat;

    #[test]
    fn only_a_name_that_leads_into_another_repeats_a_path() {
        for (token, expected) in [
            (r#"{"a.b":1,"a":{"b":2}}"#, true),
            (r#"{"a":{"b":1},"a.c":2}"#, true),
            (r#"{"a.b":{"c":1},"a.b.c":2}"#, true),
            (r#"{"a":{"b.c":1},"a.b":{"c":1}}"#, true),
            (r#"[{"x":{"y":1,"y.z":2}}]"#, true),
            (r#"{"a.b":1,"a.c":2,"ab":3}"#, false),
            (r#"{"a.b":1,"a-b":2,"a":3}"#, true),
            (r#"{"a":1,"a-":2,"a..":3,"b":4}"#, true),
            (r#"{"a":{"b":1.5},"c":"a.b"}"#, false),
            ("1.5", false),
        ] {
            assert_eq!(may_repeat(token), expected, "{token}");
        }
    }
}
