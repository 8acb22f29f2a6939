//! Finds an object within records that has the fields of columns which no top-level field fills: an envelope,
//! such as Debezium's `after` or Kafka Connect's `payload`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decode::{each_field, each_member, kind_of};
use crate::schema::plan::TablePlan;
use crate::schema::source::{ColumnSource, escaped};

/// Most records examined, and most objects at different paths within them.
const RECORDS: usize = 1_000;
const OBJECTS: usize = 1_000;
/// Deepest level of an envelope.
const DEPTH: usize = 2;
/// The current row, if another object has the previous one.
const NOW: &str = "after";
/// The previous row; in a Debezium delete it is the only one. No column is filled from it.
const THEN: &str = "before";

/// An object within records whose fields have the names of columns that no top-level field fills.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Its path, such as `/payload/after`.
    pub pointer: String,
    /// Columns, each with the path of its field, in the table's order.
    pub columns: Vec<(Arc<str>, String)>,
    /// How many columns are filled by the field of their name.
    named: usize,
    /// How many of those no record fills.
    unfilled: usize,
}

/// The path of a column's field, by the column's index.
type Found = BTreeMap<usize, String>;

impl Envelope {
    /// The object with the fields of most such columns; `None` if none has any.
    pub fn of<'a>(plan: &TablePlan, payloads: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let names = Names::of(plan);
        let mut search = Search { names, filled: BTreeSet::new(), objects: BTreeMap::new() };
        for payload in payloads.take(RECORDS) {
            // An invalid record is rejected for that.
            let _sound = each_field(payload, |name, token| search.look_at_field(name, token));
        }
        let Search { names, filled, objects } = search;
        let now = |pointer: &str| pointer.rsplit('/').next() == Some(NOW);
        let missed = objects.into_iter().map(|(pointer, mut found)| {
            found.retain(|at, _| !filled.contains(at));
            (pointer, found)
        });
        let best = missed.filter(|(_, found)| !found.is_empty());
        let (pointer, found) = best
            .max_by_key(|(pointer, found)| (found.len(), now(pointer), Reverse(pointer.len())))?;
        let column =
            |(at, way): (usize, String)| Some((Arc::clone(&plan.columns.get(at)?.name), way));
        let named = names.places.len();
        Some(Self {
            pointer,
            columns: found.into_iter().filter_map(column).collect(),
            named,
            unfilled: named.saturating_sub(filled.len()),
        })
    }

    /// Whether most columns have no top-level field in any record.
    pub fn is_for_most_columns(&self) -> bool {
        self.unfilled * 2 >= self.named
    }

    /// Whether it has the fields of most columns without a top-level field.
    pub fn has_most_missing(&self) -> bool {
        self.columns.len() * 2 >= self.unfilled
    }

    /// The first entries of the COLUMN_FROM that fills the columns from it.
    pub fn column_from(&self, most: usize) -> String {
        let ways = self.columns.iter().take(most).map(|(name, way)| format!("{name}={way}"));
        let more = if self.columns.len() > most { ",..." } else { "" };
        ways.collect::<Vec<_>>().join(",") + more
    }
}

/// The columns that are filled by the field of their name.
pub(super) struct Names {
    places: BTreeMap<String, usize>,
    ignores_case: bool,
}

impl Names {
    /// Those of a plan.
    pub fn of(plan: &TablePlan) -> Self {
        let mut names = Self { places: BTreeMap::new(), ignores_case: plan.ignores_case() };
        for (at, column) in plan.columns.iter().enumerate() {
            if column.source == ColumnSource::Name {
                names.places.insert(names.cased(&column.name), at);
            }
        }
        names
    }

    fn cased(&self, name: &str) -> String {
        if self.ignores_case { name.to_lowercase() } else { name.to_owned() }
    }

    /// The index of the column with this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.places.get(&self.cased(name)).copied()
    }

    /// Whether some column's name starts with this one and a dot.
    pub fn leads_on(&self, name: &str) -> bool {
        let start = format!("{}.", self.cased(name));
        let next = self.places.range(start.clone()..).next();
        next.is_some_and(|(name, _)| name.starts_with(&start))
    }
}

struct Search {
    names: Names,
    /// The indices of columns that top-level fields fill.
    filled: BTreeSet<usize>,
    objects: BTreeMap<String, Found>,
}

impl Search {
    /// Examines a top-level field of a record.
    fn look_at_field(&mut self, name: &str, token: &str) {
        if let Some(at) = self.names.find(name) {
            self.filled.insert(at);
            return;
        }
        if kind_of(token) == "object" && self.names.leads_on(name) {
            let mut found = Found::new();
            members(&self.names, name, "", token, &mut found);
            self.filled.extend(found.keys());
        }
        self.look(&[name], token);
    }

    /// Examines a value, and those within it.
    fn look(&mut self, steps: &[&str], token: &str) {
        if kind_of(token) != "object" || steps.last() == Some(&THEN) {
            return;
        }
        let pointer = pointer(steps);
        if self.objects.len() < OBJECTS || self.objects.contains_key(&pointer) {
            let found = self.objects.entry(pointer.clone()).or_default();
            members(&self.names, "", &pointer, token, found);
        }
        if steps.len() < DEPTH {
            let _sound = each_member(token, |name, token| {
                self.look(&[steps, &[name]].concat(), token);
                Ok(())
            });
        }
    }
}

/// Finds the columns whose names the members of an object have; for dotted names, also within inner objects.
fn members(names: &Names, path: &str, pointer: &str, token: &str, found: &mut Found) {
    let _sound = each_member(token, |name, token| {
        let full = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let way = format!("{pointer}/{}", escaped(name));
        if let Some(at) = names.find(&full) {
            found.entry(at).or_insert(way);
        } else if kind_of(token) == "object" && names.leads_on(&full) {
            members(names, &full, &way, token, found);
        }
        Ok(())
    });
}

fn pointer(steps: &[&str]) -> String {
    steps.iter().flat_map(|step| ["/".into(), escaped(step)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::plan::Rules;

    const COLUMNS: &[(&str, &str)] = &[("id", "Int64"), ("name", "String"), ("geo.lat", "Float64")];

    /// The path of the envelope, and those of its columns.
    fn told(records: &[&str]) -> Option<(String, String)> {
        let plan = TablePlan::of_types(COLUMNS, &Rules::default());
        let envelope = Envelope::of(&plan, records.iter().map(|record| record.as_bytes()))?;
        let columns = envelope.columns.iter().map(|(name, way)| format!("{name}={way}"));
        Some((envelope.pointer, columns.collect::<Vec<_>>().join(",")))
    }

    #[test]
    fn the_object_with_the_fields_of_most_columns_is_found() {
        let expected = |pointer: &str, columns: &str| Some((pointer.into(), columns.into()));
        assert_eq!(
            told(&[
                r#"{"before":null,"after":{"id":1,"name":"a"},"source":{"name":"db"}}"#,
                r#"{"before":{"id":1,"name":"a"},"after":{"id":1,"name":"b"}}"#,
            ]),
            expected("/after", "id=/after/id,name=/after/name")
        );
        assert_eq!(
            told(&[r#"{"schema":{"name":"x"},"payload":{"after":{"id":1,"geo":{"lat":1.5}}}}"#]),
            expected("/payload/after", "id=/payload/after/id,geo.lat=/payload/after/geo/lat")
        );
        assert_eq!(told(&[r#"{"a/b":{"geo.lat":1}}"#]), expected("/a~1b", "geo.lat=/a~1b/geo.lat"));
        assert_eq!(told(&[r#"{"a":{"b":{"c":{"id":1}}}}"#, r#"{"x":1}"#, "no JSON"]), None);
    }

    #[test]
    fn a_column_that_a_field_at_the_top_fills_is_not_looked_for() {
        let of = |record: &str| {
            let plan = TablePlan::of_types(COLUMNS, &Rules::default());
            Envelope::of(&plan, std::iter::once(record.as_bytes()))
        };
        let found = of(r#"{"name":"c","after":{"id":1,"name":"x","geo.lat":1.5}}"#).unwrap();
        assert_eq!(found.column_from(9), "id=/after/id,geo.lat=/after/geo.lat");
        assert_eq!(found.column_from(1), "id=/after/id,...");
        assert!(found.is_for_most_columns() && found.has_most_missing());
        let found = of(r#"{"geo":{"lat":1.5},"id":1,"user":{"name":"x"}}"#).unwrap();
        assert_eq!(found.column_from(9), "name=/user/name");
        assert!(!found.is_for_most_columns() && found.has_most_missing());
        assert_eq!(of(r#"{"id":1,"name":{"id":2},"geo.lat":1}"#), None);
        assert_eq!(of(r#"{"before":{"id":1,"name":"x"},"after":null}"#), None, "a delete");
        assert!(!of(r#"{"a":{"id":2}}"#).unwrap().has_most_missing());
    }
}
