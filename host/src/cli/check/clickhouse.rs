//! The checks of ClickHouse: server, table, columns.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::PLUGINS;
use super::mapping::{Mapping, mappings};
use super::report::Check;
use crate::cli::run::{budget, user_schema};
use crate::clickhouse::{
    Description, EngineVerdict, Server, TableFacts, TableName, advice, describe_table,
    judge_engine, may_insert, needed_settings, server_version, why_no_tokens, why_not_exactly_once,
};
use crate::config::{Config, Delivery};
use crate::flow::hold::Hold;
use crate::plugins::hooks::{Fit, Hooks};
use crate::schema::plan::{Rules, TablePlan, Unfilled};
use crate::schema::source::Metadata;
use crate::schema::table::TableSchema;
use crate::schema::width::{RowBytes, too_wide};

const SERVER: &str = "clickhouse";
const TABLE: &str = "table";
const ENGINE: &str = "engine";
const EXACTLY_ONCE: &str = "exactly once";
const GRANT: &str = "grant";
const COLUMNS: &str = "columns";
const RULES: &str = "column rules";
const JSON_SCHEMA: &str = "json schema";

/// Queries the server, and judges its answers about the table. All together may take `timeout`.
pub async fn look_at_table(
    config: &Config,
    server: &Server,
    hooks: &Hooks,
    timeout: Duration,
) -> (Vec<Check>, Vec<Mapping>) {
    let (database, table) = (&*config.clickhouse.database, &*config.clickhouse.table);
    let ends = Instant::now() + timeout;
    let late = || {
        let text = format!("CLICKHOUSE_HOST {} does not answer in time", server.url());
        Hold::Transient(text)
    };
    let answer = timeout_at(ends, server_version(server)).await.unwrap_or_else(|_| Err(late()));
    let mut checks = vec![match &answer {
        Ok(version) => {
            let user = &config.clickhouse.user;
            let text = format!("version {version} at {}, takes user `{user}`", server.url());
            Check::ok(SERVER, text)
        }
        Err(hold) => Check::problem(SERVER, hold.text()),
    }];
    if answer.is_err() {
        let others = [TABLE, COLUMNS, RULES];
        checks.extend(
            others.map(|name| Check::not_known(name, "not looked at, for what `clickhouse` says")),
        );
        return (checks, Vec::new());
    }
    let described = timeout_at(ends, describe_table(server, database, table)).await;
    let description = match described.unwrap_or_else(|_| Err(late())) {
        Ok(description) => description,
        Err(hold) => {
            checks.push(Check::problem(TABLE, hold.text()));
            let others = [COLUMNS, RULES];
            checks.extend(others.map(|name| Check::not_known(name, "the table is not known")));
            return (checks, Vec::new());
        }
    };
    checks.push(Check::ok(TABLE, about(database, table, &description)));
    let Description { facts, time_zone, columns } = description;
    let place = TableName { database: database.to_owned(), name: table.to_owned() };
    let judged = timeout_at(ends, judge_engine(server, &place, &facts)).await;
    checks.push(match judged.unwrap_or_else(|_| Err(late())) {
        Ok(EngineVerdict::Sound) => {
            Check::ok(ENGINE, format!("{} stores rows before it acknowledges them", facts.engine))
        }
        Ok(EngineVerdict::Risky(text)) => Check::warning(ENGINE, text),
        Ok(EngineVerdict::Unfit(text)) => Check::problem(ENGINE, text),
        Err(hold) => Check::problem(ENGINE, hold.text()),
    });
    if config.delivery == Delivery::ExactlyOnce {
        let fit = timeout_at(ends, exactly_once(config, server, &place, &facts)).await;
        checks.push(fit.unwrap_or_else(|_| Check::problem(EXACTLY_ONCE, late().text())));
    }
    let (schema, mut errors) = TableSchema::survey(database, table, &time_zone, columns);
    let needed = timeout_at(ends, needed_settings(server, &schema, &facts)).await;
    if let Err(hold) = needed.unwrap_or_else(|_| Err(late())) {
        errors.push(hold.text().to_owned());
    }
    let rules = &config.rules;
    let plan = TablePlan::new(&schema, rules).ok().map(Arc::new);
    let row_bytes = plan.as_ref().map_or(0, |plan| RowBytes::of(plan).fixed());
    errors.extend(too_wide(row_bytes, budget(config).most_record_bytes()));
    let names: Vec<&str> = schema.columns.iter().map(|column| &*column.name).collect();
    let granted = timeout_at(ends, may_insert(server, database, table, &names)).await;
    checks.extend(granted.ok().flatten().map(|is_granted| grant(config, is_granted)));
    checks.extend(columns_of(&schema, plan.as_deref(), errors));
    checks.extend(rules_of(&schema, rules));
    let fit = match (&hooks.arrow, &plan) {
        (Some(hooks), Some(plan)) => Some(hooks.fit(plan).await),
        _ => None,
    };
    checks.extend(fit.as_ref().map(plugins_of));
    checks.extend(plan.as_ref().and_then(|plan| json_schema_of(config, hooks, plan)));
    let asks = fit.and_then(Result::ok).map(|fit| Arc::clone(&fit.decode));
    (checks, mappings(&schema, rules, asks.as_deref()))
}

/// Whether the table supports exactly-once inserts, and queries for what landed.
async fn exactly_once(
    config: &Config,
    server: &Server,
    place: &TableName,
    facts: &TableFacts,
) -> Check {
    let column = config.rules.metadata.iter().find(|(_, of)| *of == Metadata::Token);
    let column = column.map(|(name, _)| &**name);
    if let Some(text) = why_no_tokens(place, facts, column) {
        return Check::problem(EXACTLY_ONCE, text);
    }
    match why_not_exactly_once(server, place, facts).await {
        Ok(None) => match advice(server, place, facts, column).await {
            None => {
                Check::ok(EXACTLY_ONCE, format!("`{place}` remembers tokens, and has them indexed"))
            }
            Some(text) => Check::warning(EXACTLY_ONCE, text),
        },
        Ok(Some(text)) => Check::problem(EXACTLY_ONCE, text),
        Err(hold) => Check::problem(EXACTLY_ONCE, hold.text()),
    }
}

/// Whether the plugins on decoded rows accept the table.
fn plugins_of(fit: &Result<Arc<Fit>, Hold>) -> Check {
    match fit {
        Ok(_) => Check::ok(PLUGINS, "those on decoded rows take this table"),
        Err(hold) => Check::problem(PLUGINS, hold.text()),
    }
}

fn about(database: &str, table: &str, description: &Description) -> String {
    let Description { facts, time_zone, .. } = description;
    let TableFacts { engine, is_deduplicating, window, .. } = facts;
    let repeated = match (is_deduplicating, window) {
        (true, Some(window)) => {
            let from = facts.window_from();
            format!("a repeated INSERT is recognised: it remembers {window} tokens by {from}")
        }
        (true, None) => "a repeated INSERT is recognised".to_owned(),
        (false, _) => "a repeated INSERT is not recognised and may double its rows".to_owned(),
    };
    format!("`{database}`.`{table}`: engine {engine}, time zone {time_zone}; {repeated}")
}

fn grant(config: &Config, is_granted: bool) -> Check {
    let (user, table) = (&config.clickhouse.user, &config.clickhouse.table);
    if is_granted {
        Check::ok(GRANT, format!("user `{user}` may insert into `{table}`"))
    } else {
        let text = format!(
            "user `{user}` may not insert into `{table}`: grant INSERT on it to CLICKHOUSE_USER"
        );
        Check::problem(GRANT, text)
    }
}

fn columns_of(schema: &TableSchema, plan: Option<&TablePlan>, errors: Vec<String>) -> Vec<Check> {
    if errors.is_empty() {
        let (filled, left_out) = (schema.columns.len(), schema.left_out.len());
        let unfilled = match plan.map(|plan| plan.unfilled) {
            Some(Unfilled::Reject) => "; a record that fills none is rejected (UNFILLED_RECORDS)",
            Some(Unfilled::Accept) => "; one that fills none lands (UNFILLED_RECORDS)",
            Some(Unfilled::Usual) | None => "",
        };
        let text = format!("{filled} filled by records, {left_out} left out{unfilled}");
        return vec![Check::ok(COLUMNS, text)];
    }
    errors.into_iter().map(|error| Check::problem(COLUMNS, error)).collect()
}

/// Whether the user's schema must be run, once there is a plan.
fn json_schema_of(config: &Config, hooks: &Hooks, plan: &TablePlan) -> Option<Check> {
    let user_schema = user_schema(config, hooks)?;
    let draft = user_schema.draft();
    let text = match user_schema.is_covered_by(plan) {
        Ok(()) => format!("{draft}; it asks for no more than the table does, and is not run"),
        Err(not_covered) => format!("{draft}; it is run on every record: {not_covered}"),
    };
    Some(Check::ok(JSON_SCHEMA, text))
}

fn rules_of(schema: &TableSchema, rules: &Rules) -> Vec<Check> {
    let errors = rules.errors(schema);
    if errors.is_empty() {
        let named = rules.required.len() + rules.datetime.len() + rules.string_enum.len();
        let text = match named {
            0 => "REQUIRED_COLUMNS, DATETIME_COLUMNS and STRING_ENUM_COLUMNS name no column".into(),
            1 => "1 name, which fits".into(),
            _ => format!("{named} names, all of which fit"),
        };
        return vec![Check::ok(RULES, text)];
    }
    errors.iter().map(|error| Check::problem(RULES, error.to_string())).collect()
}
