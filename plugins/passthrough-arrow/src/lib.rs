//! Reads every column, and keeps every row as it came: the baseline of the benchmarks.

use serde::Deserialize;
use sluicegate_plugin::arrow::array::RecordBatch;
use sluicegate_plugin::arrow::{Answer, ArrowPlugin, Column, Plan, Table};

/// What goes back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether every column is written too, each with what was read of it.
    #[serde(default)]
    pub write: bool,
}

/// The plugin.
#[derive(Debug)]
pub struct PassthroughArrow(Config);

impl ArrowPlugin for PassthroughArrow {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        Ok(Self(config))
    }

    fn plan(&mut self, table: &Table) -> Result<Plan, String> {
        let names = table.columns().iter().map(Column::name);
        let reads = names.clone().fold(Plan::new(), Plan::read);
        Ok(if self.0.write { names.fold(reads, Plan::write) } else { reads })
    }

    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
        Ok(Answer::of(rows))
    }
}

sluicegate_plugin::export!(arrow PassthroughArrow);

#[cfg(test)]
mod tests {
    use sluicegate_plugin::testing::{Answer, run_arrow, table};

    use super::*;

    #[test]
    fn every_column_comes_back_as_it_was() {
        let columns = [
            ("id", "UInt64"),
            ("text", "Nullable(String)"),
            ("at", "DateTime64(3)"),
            ("state", "Enum8('on' = 1, 'off' = 2)"),
            ("codes", "Array(UInt8)"),
        ];
        let rows = [
            r#"{"id":1,"text":"a","at":1700000000123,"state":"on","codes":[1,2]}"#,
            r#"{"id":null,"text":null,"at":null,"state":null,"codes":null}"#,
            r#"{"id":3,"text":"","at":0,"state":"off","codes":[]}"#,
        ];
        let answers =
            run_arrow::<PassthroughArrow>(r#"{"write":true}"#, &table(&columns).unwrap(), &rows);
        assert_eq!(answers, Ok(rows.map(|row| Answer::Replace(row.to_owned())).to_vec()));
    }
}
