//! Reads the environment into a checked `Config`; every broken rule is reported at once.
//!
//! `variables` lists what may be set, and `env` reads the values. `kafka`, `batch`, `clickhouse`, `delivery`,
//! `rules`, `plugins`, `lookups` and `admin` hold the types and rules of each group. Outside of this module no value
//! has a unit in its name, and none needs another check.

mod admin;
mod batch;
mod clickhouse;
mod columns;
mod delivery;
mod describe;
mod env;
mod exposed;
mod kafka;
mod lookups;
mod names;
mod plugins;
mod problem;
mod reader;
mod redact;
mod rules;
mod select;
pub mod variables;
mod words;

#[cfg(test)]
mod tests;

pub use admin::Admin;
pub use batch::BatchConfig;
pub use clickhouse::{ClickHouse, Compression, refusal as refusal_of_setting};
pub use delivery::{Answers, Delivery};
pub use env::Environment;
pub use kafka::{
    AutoOffsetReset, Kafka, Role, Security, SecurityProtocol, SourceTopic, names_of_property,
    split_property,
};
pub use lookups::{Lookup, LookupFormat, LookupSource};
pub use names::as_part;
pub use plugins::{OnBreaker, PluginConfig, Plugins};
pub use problem::{ConfigErrors, Problem, Warning};
pub use redact::{KeyValues, REDACTED, Secret, is_secret_key, redact};
pub use rules::{Dlq, DlqFormat, Log, LogFormat, OnTooLarge, Records, Tombstones};
pub use words::Words;

use crate::flow::parts::Split;
use crate::schema::plan::Rules;

/// The checked configuration; `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Source topics, consumer group, and dead letter topic.
    pub kafka: Kafka,
    /// The delivery guarantee.
    pub delivery: Delivery,
    /// An operator's answers about ranges whose fate the host could not determine.
    pub answers: Answers,
    /// The limits of batches and memory.
    pub batch: BatchConfig,
    /// Server, table and settings.
    pub clickhouse: ClickHouse,
    /// The form of dead letters and the brake.
    pub dlq: Dlq,
    /// How payloads become records.
    pub records: Records,
    /// Which fields fill which columns, and how values are read.
    pub rules: Rules,
    /// The plugins.
    pub plugins: Plugins,
    /// The probes and the metrics.
    pub admin: Admin,
    /// The form and level of the log.
    pub log: Log,
}

impl Config {
    /// Checks an environment. Reads the files of `NAME_FILE` variables, and nothing else of the process.
    ///
    /// # Errors
    /// Every broken rule, in the order of docs/configuration.md; exit code 64.
    pub fn from_env(env: &Environment) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let mut reader = reader::VariableReader::new(env);
        let kafka = kafka::read_kafka(&mut reader);
        let batch = batch::read_batch(&mut reader);
        let mut clickhouse = clickhouse::read_clickhouse(&mut reader);
        let rules = columns::read_rules(&mut reader);
        let delivery = delivery::read_delivery(&mut reader, &mut clickhouse, &rules);
        if delivery == Delivery::ExactlyOnce {
            kafka::check_exactly_once(&mut reader, &kafka);
        }
        let config = Self {
            kafka,
            batch,
            clickhouse,
            delivery,
            answers: delivery::read_answers(&mut reader),
            dlq: rules::read_dlq(&mut reader),
            records: rules::read_records(&mut reader),
            rules,
            plugins: plugins::read_plugins(&mut reader),
            admin: admin::read_admin(&mut reader),
            log: rules::read_log(&mut reader),
        };
        reader.finish().map(|warnings| (config, warnings))
    }
}

/// The configuration of one table: its location, and the rules on its columns.
#[derive(Debug, Clone, PartialEq)]
pub struct TableConfig {
    /// Server, table and settings.
    pub clickhouse: ClickHouse,
    /// How payloads become records.
    pub records: Records,
    /// Which fields fill which columns, and how values are read.
    pub rules: Rules,
}

impl TableConfig {
    /// Reads only the variables of the table, as [`Config::from_env`] does.
    ///
    /// # Errors
    /// Every broken rule of these variables.
    pub fn from_env(env: &Environment) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let mut reader = reader::VariableReader::new(env);
        let config = Self {
            clickhouse: clickhouse::read_clickhouse(&mut reader),
            records: rules::read_records(&mut reader),
            rules: columns::read_rules(&mut reader),
        };
        reader.finish().map(|warnings| (config, warnings))
    }
}

/// Reads only RECORD_SPLIT: how a payload holds records.
///
/// # Errors
/// RECORD_SPLIT has an unknown value.
pub fn split_from_env(env: &Environment) -> Result<Split, ConfigErrors> {
    let mut reader = reader::VariableReader::new(env);
    let split = rules::read_split(&mut reader);
    reader.finish().map(|_| split)
}

impl Kafka {
    /// Reads only the variables of the connection; without a group its name is empty.
    ///
    /// # Errors
    /// Every broken rule of these variables.
    pub fn cluster_from_env(env: &Environment) -> Result<(Self, Vec<Warning>), ConfigErrors> {
        let mut reader = reader::VariableReader::new(env);
        let kafka = kafka::read_cluster(&mut reader);
        reader.finish().map(|warnings| (kafka, warnings))
    }
}

/// The table that the variables name; it need not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetName {
    /// CLICKHOUSE_DATABASE, if it is set.
    pub database: Option<String>,
    /// CLICKHOUSE_TABLE, if it is set.
    pub table: Option<String>,
}

impl TargetName {
    /// Reads the two variables.
    ///
    /// # Errors
    /// CLICKHOUSE_TABLE has an invalid name.
    pub fn from_env(env: &Environment) -> Result<Self, ConfigErrors> {
        let mut reader = reader::VariableReader::new(env);
        let database = reader.optional("CLICKHOUSE_DATABASE");
        let is_set = reader.is_set("CLICKHOUSE_TABLE");
        let table = if is_set { clickhouse::read_table(&mut reader) } else { None };
        reader.finish().map(|_| Self { database, table })
    }
}
