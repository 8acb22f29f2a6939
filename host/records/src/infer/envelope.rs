//! Where in records the fields of a table's columns stand, of which no record has one at its top: within an
//! envelope, as Debezium's `after` or the `payload` of Kafka Connect.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decode::{each_field, each_member, kind_of};
use crate::schema::plan::TablePlan;
use crate::schema::source::{Source, escaped};

/// Most records that are looked at, and most objects of different ways within them.
const RECORDS: usize = 1_000;
const OBJECTS: usize = 1_000;
/// How deep an envelope may stand.
const DEPTH: usize = 2;
/// The row as it is now, where another object has the row as it was.
const NOW: &str = "after";

/// An object within records whose fields have the names of columns.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The way to it, such as `/payload/after`.
    pub pointer: String,
    /// Columns, each with the way to its field, in the table's order.
    pub columns: Vec<(Arc<str>, String)>,
}

/// By the place of a column, the way to its field.
type Found = BTreeMap<usize, String>;

impl Envelope {
    /// The object with the fields of most columns; `None` if none has any.
    pub fn of<'a>(plan: &TablePlan, payloads: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut search = Search { names: Names::of(plan), objects: BTreeMap::new() };
        for payload in payloads.take(RECORDS) {
            // One that is no record is rejected for that.
            let _sound = each_field(payload, |name, token| search.look(&[name], token));
        }
        let now = |pointer: &str| pointer.rsplit('/').next() == Some(NOW);
        let best = search.objects.into_iter().filter(|(_, found)| !found.is_empty());
        let (pointer, found) = best
            .max_by_key(|(pointer, found)| (found.len(), now(pointer), Reverse(pointer.len())))?;
        let column =
            |(at, way): (usize, String)| Some((Arc::clone(&plan.columns.get(at)?.name), way));
        Some(Self { pointer, columns: found.into_iter().filter_map(column).collect() })
    }
}

/// The columns that are filled from the field of their name.
pub(super) struct Names {
    places: BTreeMap<String, usize>,
    ignores_case: bool,
}

impl Names {
    /// Those of a plan.
    pub fn of(plan: &TablePlan) -> Self {
        let mut names = Self { places: BTreeMap::new(), ignores_case: plan.ignores_case() };
        for (at, column) in plan.columns.iter().enumerate() {
            if column.source == Source::Name {
                names.places.insert(names.cased(&column.name), at);
            }
        }
        names
    }

    fn cased(&self, name: &str) -> String {
        if self.ignores_case { name.to_lowercase() } else { name.to_owned() }
    }

    /// The place of the column of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.places.get(&self.cased(name)).copied()
    }

    /// Whether some column's name goes on behind this one and a point.
    pub fn leads_on(&self, name: &str) -> bool {
        let start = format!("{}.", self.cased(name));
        let next = self.places.range(start.clone()..).next();
        next.is_some_and(|(name, _)| name.starts_with(&start))
    }
}

struct Search {
    names: Names,
    objects: BTreeMap<String, Found>,
}

impl Search {
    /// Looks at a value, and at those within it.
    fn look(&mut self, steps: &[&str], token: &str) {
        if kind_of(token) != "object" {
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

/// Finds the columns that the members of an object have the names of, dotted ones by the objects within it too.
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

    /// The way to the envelope, and those to its columns.
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
}
