//! The column in which rows carry their INSERT's token, and what its absence proves.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{DataType, Field, Schema};

use super::error_text::TableName;
use super::functions::{SqlTokenKind, tokens};
use crate::delivery::plans::{Planned, column_fingerprint};
use crate::schema::quoted::identifier;

/// Where planned rows carry their token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried<'a> {
    /// In no column.
    Not,
    /// Perhaps in this column: the host that planned them does not say.
    Perhaps(&'a str),
    /// In this column.
    In(&'a str),
    /// In a column that METADATA_COLUMNS no longer names. A body without it differs from the one sent.
    Elsewhere,
}

/// Rows to look for in the table.
#[derive(Debug)]
pub struct Sought {
    /// The rows, without a column that may differ in the table.
    pub rows: RecordBatch,
    /// Their column with the token of their INSERT.
    pub token_column: Option<String>,
}

impl<'a> Carried<'a> {
    /// Where a range's rows carry their token. `named` is the token column in METADATA_COLUMNS.
    pub fn of(planned: &Planned, named: Option<&'a str>) -> Self {
        match (planned.column, named) {
            (0, Some(named)) if planned.home.is_none() => Self::Perhaps(named),
            (0, _) => Self::Not,
            (fingerprint, Some(named)) if fingerprint == column_fingerprint(Some(named)) => {
                Self::In(named)
            }
            _ => Self::Elsewhere,
        }
    }

    /// The column to search for the token.
    pub fn searched(self) -> Option<&'a str> {
        match self {
            Self::In(column) | Self::Perhaps(column) => Some(column),
            Self::Not | Self::Elsewhere => None,
        }
    }

    /// Whether a search that does not find the token proves the rows absent.
    pub fn is_known(self) -> bool {
        matches!(self, Self::In(_))
    }

    /// The rows as sent under the token. If they do not carry it, the column that METADATA_COLUMNS names is
    /// left out, so that the plan stays true.
    ///
    /// # Errors
    /// Arrow cannot write them.
    pub fn put(
        self,
        rows: &RecordBatch,
        named: Option<&str>,
        token: &str,
    ) -> Result<RecordBatch, String> {
        let Some(named) = named else { return Ok(rows.clone()) };
        if self.searched() != Some(named) {
            return without(rows, named);
        }
        let tokens = std::iter::repeat_n(token, rows.num_rows());
        let tokens: ArrayRef = Arc::new(StringArray::from_iter_values(tokens));
        replaced(rows, named, Some(&tokens))
    }

    /// The rows to look for after they were sent this way.
    ///
    /// # Errors
    /// Arrow cannot project them.
    pub fn sought(self, sent: &RecordBatch) -> Result<Sought, String> {
        Ok(match self {
            Self::Perhaps(column) => Sought { rows: without(sent, column)?, token_column: None },
            Self::In(column) => Sought { rows: sent.clone(), token_column: Some(column.into()) },
            Self::Not | Self::Elsewhere => Sought { rows: sent.clone(), token_column: None },
        })
    }
}

/// Why a column loses tokens, by the table's CREATE statement: it has a TTL of its own, or the table has one
/// that merges rows.
pub fn losing_ttl(statement: &str, column: &str) -> Option<String> {
    let tokens = tokens(statement);
    let mut parts = tokens.split(|token| token.depth == 1 && token.is_sign(","));
    let has_ttl = parts.any(|part| {
        let mut within = part.iter().filter(|token| token.depth == 1 && !token.is_sign("("));
        let is_column = within
            .next()
            .is_some_and(|name| name.kind == SqlTokenKind::Name && name.text == column);
        is_column && within.any(|token| token.is("TTL"))
    });
    if has_ttl {
        return Some(format!("its column `{column}` has a TTL, by which tokens go away"));
    }
    let ttl = tokens.iter().position(|token| token.depth == 0 && token.is("TTL"))?;
    let mut behind = tokens.iter().skip(ttl).filter(|token| token.depth == 0);
    let is_grouped = behind.any(|token| token.is("GROUP"));
    is_grouped
        .then(|| "its TTL has a GROUP BY, by which rows and their tokens are merged".to_owned())
}

fn without(rows: &RecordBatch, column: &str) -> Result<RecordBatch, String> {
    replaced(rows, column, None)
}

/// The rows with other values in a column, or without it.
fn replaced(
    rows: &RecordBatch,
    column: &str,
    texts: Option<&ArrayRef>,
) -> Result<RecordBatch, String> {
    let (schema, mut fields, mut columns) = (rows.schema(), Vec::new(), Vec::new());
    for (field, values) in schema.fields().iter().zip(rows.columns()) {
        if field.name() != column {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(values));
        } else if let Some(texts) = texts {
            fields.push(Arc::new(Field::new(column, DataType::Utf8, field.is_nullable())));
            columns.push(Arc::clone(texts));
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .map_err(|error| error.to_string())
}

/// Advice for an index, so that a server finds tokens without reading the whole column.
pub fn index_statements(of: &TableName, column: &str) -> String {
    let (database, name) = (identifier(&of.database), identifier(&of.name));
    let (index, column) = (identifier(&format!("{column}_index")), identifier(column));
    format!(
        "Run ALTER TABLE {database}.{name} ADD INDEX {index} {column} TYPE bloom_filter GRANULARITY 1, and \
         then ALTER TABLE {database}.{name} MATERIALIZE INDEX {index}"
    )
}

#[cfg(test)]
mod tests {
    use arrow_array::UInt64Array;

    use super::*;
    use crate::delivery::plans::Home;

    fn planned(column: Option<&str>, is_of_format_before: bool) -> Planned {
        let home = (!is_of_format_before).then_some(Home { server: 1, table: 2, started: 3 });
        Planned {
            end: 9,
            nonce: 1,
            fingerprint: 2,
            window_position: 3,
            home,
            column: column_fingerprint(column),
        }
    }

    fn rows() -> RecordBatch {
        let ids: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2]));
        let empty: ArrayRef = Arc::new(StringArray::from(vec!["", ""]));
        RecordBatch::try_from_iter([("id", ids), ("token", empty)]).unwrap()
    }

    #[test]
    fn a_range_says_where_its_rows_carry_their_token() {
        let of = |column, named| Carried::of(&planned(column, false), named);
        assert_eq!(of(Some("token"), Some("token")), Carried::In("token"));
        assert_eq!(of(None, Some("token")), Carried::Not, "it was named since");
        assert_eq!(of(Some("token"), None), Carried::Elsewhere);
        assert_eq!(of(Some("token"), Some("other")), Carried::Elsewhere);
        let before = planned(None, true);
        assert_eq!(Carried::of(&before, Some("token")), Carried::Perhaps("token"));
        assert_eq!(Carried::of(&before, None), Carried::Not);
        let known = |carried: Carried<'_>| (carried.searched().is_some(), carried.is_known());
        assert_eq!(known(Carried::In("t")), (true, true));
        assert_eq!(known(Carried::Perhaps("t")), (true, false));
        assert_eq!(
            (known(Carried::Not), known(Carried::Elsewhere)),
            ((false, false), (false, false))
        );
    }

    #[test]
    fn rows_carry_the_token_where_the_plan_says_so_and_nowhere_else() {
        let names = |rows: &RecordBatch| -> Vec<String> {
            rows.schema().fields().iter().map(|field| field.name().clone()).collect()
        };
        for carried in [Carried::In("token"), Carried::Perhaps("token")] {
            let sent = carried.put(&rows(), Some("token"), "t1").unwrap();
            let tokens: ArrayRef = Arc::new(StringArray::from(vec!["t1", "t1"]));
            assert_eq!(sent.column_by_name("token"), Some(&tokens), "{carried:?}");
            let sought = carried.sought(&sent).unwrap();
            let is_in = carried.is_known();
            assert_eq!(
                (sought.token_column.is_some(), sought.rows.num_columns() == 2),
                (is_in, is_in)
            );
        }
        for carried in [Carried::Not, Carried::Elsewhere] {
            assert_eq!(names(&carried.put(&rows(), Some("token"), "t1").unwrap()), ["id"]);
            assert_eq!(carried.put(&rows(), None, "t1").unwrap(), rows());
        }
        let tokens_alone = rows().project(&[1]).unwrap();
        let none = Carried::Not.put(&tokens_alone, Some("token"), "t1").unwrap();
        assert_eq!((none.num_rows(), none.num_columns()), (2, 0));
    }

    #[test]
    fn a_ttl_of_the_column_or_one_that_merges_rows_loses_tokens() {
        let of = |column: &str, ttl: &str| {
            let statement = format!(
                "CREATE TABLE d.t (`id` UInt64, `token` LowCardinality(String){column}, `n` String TTL at + \
                 toIntervalDay(1)) ENGINE = MergeTree ORDER BY id{ttl} SETTINGS index_granularity = 8192"
            );
            losing_ttl(&statement, "token").is_some()
        };
        assert!(!of("", ""));
        assert!(!of(" CODEC(ZSTD(1))", " TTL at + toIntervalDay(1)"));
        assert!(of(" TTL at + toIntervalDay(1)", ""));
        assert!(of(" CODEC(ZSTD(1)) TTL at + toIntervalDay(1)", ""));
        assert!(of("", " TTL at + toIntervalDay(1) GROUP BY id SET n = max(n)"));
        let first =
            "CREATE TABLE d.t (`token` String TTL at + toIntervalDay(1), `at` DateTime) ENGINE = M";
        assert!(losing_ttl(first, "token").is_some() && losing_ttl(first, "at").is_none());
    }
}
