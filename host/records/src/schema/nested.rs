//! Columns of one Nested structure, stored as separate arrays (`flatten_nested`, a server's default). `n.a` and `n.b`
//! must have equal lengths in each row, or ClickHouse refuses the INSERT (190). A column that an INSERT does not name
//! gets as many elements as the others (measured on 26.7).

use std::collections::{BTreeMap, HashSet};

use super::types::Kind;

/// The structure of a column of this name and kind. ClickHouse splits names at the first point.
pub fn structure<'a>(name: &'a str, kind: &Kind) -> Option<&'a str> {
    let (structure, element) = name.split_once('.')?;
    let is_one = matches!(kind, Kind::Array(_)) && !structure.is_empty() && !element.is_empty();
    is_one.then_some(structure)
}

/// The indexes of the columns of each structure that has several.
pub fn structures<'a>(columns: impl Iterator<Item = (&'a str, &'a Kind)>) -> Vec<Vec<usize>> {
    let mut found: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, (name, kind)) in columns.enumerate() {
        if let Some(structure) = structure(name, kind) {
            found.entry(structure).or_default().push(at);
        }
    }
    found.into_values().filter(|columns| columns.len() > 1).collect()
}

/// Which columns of dotted names are also filled from within objects: `a.b` by the field `b` of `a`, unless `a` is a
/// column itself.
pub struct Dotted {
    names: HashSet<String>,
    ignores_case: bool,
}

impl Dotted {
    /// For a table of these columns.
    pub fn new<'a>(columns: impl Iterator<Item = &'a str>, ignores_case: bool) -> Self {
        let mut dotted = Self { names: HashSet::new(), ignores_case };
        dotted.names = columns.map(|name| dotted.cased(name)).collect();
        dotted
    }

    fn cased(&self, name: &str) -> String {
        if self.ignores_case { name.to_lowercase() } else { name.to_owned() }
    }

    /// Whether a column or field of this name is filled so.
    pub fn is_parted(&self, name: &str) -> bool {
        let name = self.cased(name);
        let mut wholes = name.match_indices('.').filter_map(|(at, _)| name.get(..at)).peekable();
        wholes.peek().is_some() && !wholes.any(|whole| self.names.contains(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::types::parse;

    #[test]
    fn columns_are_of_one_structure_by_what_stands_before_the_first_point() {
        let columns = [
            ("n.a", "Array(Int8)"),
            ("m.x", "Array(Int8)"),
            ("n.b.c", "Array(Array(String))"),
            ("n.d", "Int8"),
            ("n", "Array(Int8)"),
            (".a", "Array(Int8)"),
            (".b", "Array(Int8)"),
            ("w.", "Array(Int8)"),
            ("w.w", "Array(Int8)"),
            ("m.y", "Map(String, Int8)"),
            ("a b.c", "Array(Int8)"),
            ("a b.d", "Array(Int8)"),
        ];
        let columns = columns.map(|(name, ty)| (name, parse(ty).unwrap().kind));
        let found = structures(columns.iter().map(|(name, kind)| (*name, kind)));
        assert_eq!(found, [vec![10, 11], vec![0, 2]]);
    }

    #[test]
    fn a_dotted_name_is_of_parts_unless_one_of_them_is_a_column() {
        let columns = ["a.b", "c", "c.d", "e.f", "e.f.g", "Große", "große.x"];
        let parted = |ignores_case: bool| {
            let dotted = Dotted::new(columns.into_iter(), ignores_case);
            columns.into_iter().filter(move |name| dotted.is_parted(name)).collect::<Vec<_>>()
        };
        assert_eq!(parted(false), ["a.b", "e.f", "große.x"]);
        assert_eq!(parted(true), ["a.b", "e.f"]);
    }
}
