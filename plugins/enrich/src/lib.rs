//! Writes columns from a table that the host holds, by the value of another column.

use std::collections::BTreeMap;

use serde::Deserialize;
use sluicegate_plugin::Lookup;
use sluicegate_plugin::arrow::array::{RecordBatch, StringArray};
use sluicegate_plugin::arrow::{Answer, ArrowPlugin, Plan, Table, column};

/// What is looked up, and where it goes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The table to look in, as PLUGIN_<NAME>_LOOKUPS grants it.
    pub table: String,
    /// The column of rows that holds the key.
    pub key: String,
    /// The columns of rows to write, at least one, each with the column of the table to look in
    /// that it comes from.
    pub columns: BTreeMap<String, String>,
}

/// The plugin.
#[derive(Debug)]
pub struct Enrich {
    config: Config,
    lookup: Lookup,
}

impl ArrowPlugin for Enrich {
    type Config = Config;

    fn new(config: Config) -> Result<Self, String> {
        if config.columns.is_empty() {
            return Err("config, key `columns`: name at least one column".to_owned());
        }
        let lookup = Lookup::open(&config.table, config.columns.values())?;
        Ok(Self { config, lookup })
    }

    fn plan(&mut self, table: &Table) -> Result<Plan, String> {
        let Config { key, columns, .. } = &self.config;
        table.column_of(key, "String").map_err(|text| format!("config, key `key`: {text}"))?;
        let mut plan = Plan::new().read(key);
        for name in columns.keys() {
            let found = table.column_of(name, "String");
            found.map_err(|text| format!("config, key `columns`: {text}"))?;
            plan = plan.write(name);
        }
        Ok(plan)
    }

    fn batch(&mut self, rows: RecordBatch) -> Result<Answer, String> {
        let found = self.lookup.get(column::<StringArray>(&rows, &self.config.key)?)?;
        let mut answer = Answer::of(rows);
        for (name, from) in &self.config.columns {
            let values: StringArray = found.column(from)?.iter().collect();
            answer = answer.set(name, values);
        }
        Ok(answer)
    }
}

sluicegate_plugin::export!(arrow Enrich);

#[cfg(test)]
mod tests;
