use crate::batch::span;
use crate::bindings::host::Found as HostFound;
use crate::bindings::types::Texts;
use crate::host::lookup;

/// Columns of a table that the operator granted to the plugin by `PLUGIN_<NAME>_LOOKUPS`, asked by
/// key.
///
/// One call for a batch is cheap, one for each row is not. Natively the tables are those of
/// [`testing::with_table`](crate::testing::with_table).
///
/// ```
/// use sluicegate_plugin::{Lookup, testing};
///
/// let rows = [r#"{"id":"f1","owner":"Ann"}"#, r#"{"id":"f2","owner":null}"#];
/// testing::with_table("fleets", "id", &rows, || {
///     let fleets = Lookup::open("fleets", ["owner"]).unwrap();
///     let found = fleets.get(["f2", "f1", "f3"]).unwrap();
///     assert!(found.column("owner").unwrap().iter().eq([None, Some("Ann"), None]));
/// });
/// ```
#[derive(Debug, Clone)]
pub struct Lookup {
    table: String,
    columns: Vec<String>,
}

impl Lookup {
    /// Finds out that the table is granted and has the columns. For `new`, so that the operator
    /// hears of it when the host starts.
    ///
    /// # Errors
    ///
    /// The table is not granted, or has no such column, or more than 1,000 are asked for: a text for
    /// the operator.
    pub fn open<C: Into<String>>(
        table: impl Into<String>,
        columns: impl IntoIterator<Item = C>,
    ) -> Result<Self, String> {
        let mut lookup = Self { table: table.into(), columns: Vec::new() };
        for column in columns {
            let column = column.into();
            if !lookup.columns.contains(&column) {
                lookup.columns.push(column);
            }
        }
        lookup.get::<&str>([])?;
        Ok(lookup)
    }

    /// What stands at each of the keys: texts, or options of them, such as the values of Arrow's
    /// `StringArray`. `None` is at no row.
    ///
    /// # Errors
    ///
    /// The table or a column is gone; more than 1,000 columns; keys of more than 4 GiB; an answer
    /// that is larger than `PLUGIN_<NAME>_MEMORY_BYTES`.
    pub fn get<'k, K: Into<Option<&'k str>>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Found<'_>, String> {
        let mut texts = Texts { bytes: Vec::new(), ends: Vec::new() };
        let mut nulls = Vec::new();
        for (key, at) in keys.into_iter().zip(0_u32..) {
            match key.into() {
                Some(key) => texts.bytes.extend_from_slice(key.as_bytes()),
                None => nulls.push(at),
            }
            let end = u32::try_from(texts.bytes.len());
            texts.ends.push(end.map_err(|_| "the keys are larger than 4 GiB".to_owned())?);
        }
        let columns = lookup(&self.table, &self.columns, &texts)?;
        let values = columns.into_iter().map(|found| Values::new(found, &nulls, texts.ends.len()));
        Ok(Found { names: &self.columns, values: values.collect::<Result<_, _>>()? })
    }
}

/// What was found at some keys.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    names: &'a [String],
    values: Vec<Values>,
}

impl Found<'_> {
    /// The values of a column, one for each key, in their order.
    ///
    /// # Errors
    ///
    /// The lookup was opened without this column.
    pub fn column(&self, name: &str) -> Result<&Values, String> {
        let named = self.names.iter().zip(&self.values).find(|(column, _)| *column == name);
        let values = named.map(|(_, values)| values);
        values.ok_or_else(|| format!("column `{name}`: the lookup was opened without it"))
    }
}

/// The values of a column: a text as it is, any other JSON value as its JSON. `None` where the
/// key is null or at no row, or the value is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values {
    text: String,
    ends: Vec<u32>,
    /// Ascending.
    missing: Vec<u32>,
}

impl Values {
    fn new(found: HostFound, nulls: &[u32], keys: usize) -> Result<Self, String> {
        let HostFound { values: Texts { bytes, ends }, mut missing } = found;
        let text = String::from_utf8(bytes).map_err(|_| "the host found no UTF-8".to_owned())?;
        if ends.len() != keys {
            return Err(format!("the host found {} values for {keys} keys", ends.len()));
        }
        missing.extend_from_slice(nulls);
        missing.sort_unstable();
        missing.dedup();
        Ok(Self { text, ends, missing })
    }

    /// How many there are: one for each key.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no key was asked for.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value at a key, counted from 0 as they were asked for; `None` also past the last one.
    pub fn get(&self, key: usize) -> Option<&str> {
        let at = u32::try_from(key).ok()?;
        self.missing.binary_search(&at).err().and_then(|_| self.text.get(span(&self.ends, key)?))
    }

    /// The value at each key.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> + '_ {
        let mut missing = self.missing.iter().peekable();
        (0..self.len()).zip(0_u32..).map(move |(key, at)| match missing.next_if_eq(&&at) {
            Some(_) => None,
            None => self.text.get(span(&self.ends, key)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::with_table;

    const FLEETS: [&str; 3] = [
        r#"{"id":"f1","owner":"Ann","cars":3,"where":{"lat":1.5}}"#,
        r#"{"id":"f2","owner":null}"#,
        r#"{"id":"","owner":"nobody's"}"#,
    ];

    fn found(columns: &[&str], keys: &[Option<&str>]) -> Vec<Vec<Option<String>>> {
        with_table("fleets", "id", &FLEETS, || {
            let lookup = Lookup::open("fleets", columns.iter().copied()).unwrap();
            let found = lookup.get(keys.iter().copied()).unwrap();
            let texts = |column: &&str| {
                let values = found.column(column).unwrap();
                let by_key: Vec<_> = (0..values.len()).map(|key| values.get(key)).collect();
                assert!(values.iter().eq(by_key));
                assert_eq!((values.len(), values.get(keys.len())), (keys.len(), None));
                values.iter().map(|value| value.map(str::to_owned)).collect()
            };
            columns.iter().map(texts).collect()
        })
    }

    fn texts(values: &[Option<&str>]) -> Vec<Option<String>> {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn each_key_finds_its_value_and_no_null_finds_the_empty_key() {
        let keys = [Some("f1"), None, Some("f9"), Some(""), Some("f2"), Some("f1")];
        let expected = texts(&[Some("Ann"), None, None, Some("nobody's"), None, Some("Ann")]);
        assert_eq!(found(&["owner"], &keys), [expected]);
        assert_eq!(found(&["owner"], &[]), [texts(&[])]);
    }

    #[test]
    fn a_text_comes_as_it_is_and_any_other_value_as_json() {
        let expected = [[Some("Ann")], [Some("3")], [Some(r#"{"lat":1.5}"#)], [Some("f1")]];
        let columns = ["owner", "cars", "where", "id"];
        assert_eq!(found(&columns, &[Some("f1")]), expected.map(|values| texts(&values)));
    }

    #[test]
    fn what_cannot_be_looked_up_is_found_out_when_it_is_opened() {
        let error = |table, columns: &[&str]| {
            with_table("fleets", "id", &FLEETS, || {
                Lookup::open(table, columns.iter().copied()).unwrap_err()
            })
        };
        assert_eq!(error("fleets", &["owner", "colour"]), "table `fleets`: no column `colour`");
        assert!(error("cars", &["owner"]).starts_with("table `cars`: not granted by PLUGIN_"));
        assert!(Lookup::open("fleets", ["owner"]).is_err(), "granted no longer");
    }

    #[test]
    fn a_column_that_was_not_opened_is_an_error() {
        with_table("fleets", "id", &FLEETS, || {
            let lookup = Lookup::open("fleets", ["owner", "owner"]).unwrap();
            let found = lookup.get(["f1"]).unwrap();
            assert_eq!(found.column("owner").unwrap().get(0), Some("Ann"));
            let error = found.column("cars").unwrap_err();
            assert_eq!(error, "column `cars`: the lookup was opened without it");
        });
    }
}
