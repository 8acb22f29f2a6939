//! The configuration in force, as the start log shows it.

use super::{
    Config, KeyValues, Lookup, LookupSource, PluginConfig, REDACTED, Secret, SourceTopic,
    Words as _,
};
use crate::user_schema::UserSchema;

impl Config {
    /// The name and value in force of each variable, in the order of docs/configuration.md. Secrets
    /// read `***`, unset variables are empty. Variables of plugins and lookups are listed for each
    /// configured one.
    pub fn describe(&self) -> Vec<(String, String)> {
        let Self {
            kafka,
            batch,
            clickhouse,
            delivery,
            answers,
            dlq,
            rules,
            plugins,
            admin,
            log,
            records,
        } = self;
        let security = &kafka.security;
        let source: Vec<&str> = kafka.source.iter().map(SourceTopic::as_str).collect();
        let mut described: Vec<(String, String)> = [
            ("KAFKA_BROKER", kafka.brokers.clone()),
            ("KAFKA_CONSUMER_GROUP_ID", kafka.group_id.clone()),
            ("KAFKA_PRODUCER_CLIENT_ID", kafka.producer_client_id.clone()),
            ("KAFKA_SOURCE_TOPIC", source.join(",")),
            ("KAFKA_DLQ_TOPIC", kafka.dlq_topic.clone()),
            ("KAFKA_AUTO_OFFSET_RESET", kafka.auto_offset_reset.as_str().to_owned()),
            ("KAFKA_SECURITY_PROTOCOL", security.protocol.as_str().to_owned()),
            ("KAFKA_SASL_MECHANISM", security.sasl_mechanism.unwrap_or_default().to_owned()),
            ("KAFKA_SASL_USERNAME", security.sasl_username.clone().unwrap_or_default()),
            ("KAFKA_SASL_PASSWORD", hidden(security.sasl_password.as_ref())),
            ("KAFKA_SSL_CA_LOCATION", security.ssl_ca_location.clone().unwrap_or_default()),
            ("KAFKA_PROPERTIES", shown(&kafka.properties)),
            ("NUM_MESSAGES", batch.max_records.to_string()),
            ("BATCH_MAX_BYTES", batch.max_bytes.to_string()),
            ("BATCH_LINGER_MS", batch.linger.as_millis().to_string()),
            ("IN_FLIGHT_BATCHES", batch.in_flight.to_string()),
            ("MEMORY_BUDGET_BYTES", batch.memory_budget_bytes.to_string()),
            ("SHUTDOWN_TIMEOUT_MS", batch.shutdown_timeout.as_millis().to_string()),
            ("CLICKHOUSE_HOST", clickhouse.url.clone()),
            ("CLICKHOUSE_DATABASE", clickhouse.database.clone()),
            ("CLICKHOUSE_USER", clickhouse.user.clone()),
            ("CLICKHOUSE_PASSWORD", hidden(Some(&clickhouse.password))),
            ("CLICKHOUSE_TABLE", clickhouse.table.clone()),
            ("CLICKHOUSE_SETTINGS", shown(&clickhouse.settings)),
            ("CLICKHOUSE_SSL_CA_LOCATION", clickhouse.ca_location.clone().unwrap_or_default()),
            ("CLICKHOUSE_ASYNC_INSERT", u8::from(clickhouse.async_insert).to_string()),
            ("CLICKHOUSE_COMPRESSION", clickhouse.compression.as_str().to_owned()),
            ("DELIVERY", delivery.as_str().to_owned()),
            ("DELIVERY_ANSWERS", answers.as_text()),
            ("DLQ_FORMAT", dlq.format.as_str().to_owned()),
            ("DLQ_ON_TOO_LARGE", dlq.on_too_large.as_str().to_owned()),
            ("DLQ_MAX_SHARE", dlq.max_share.to_string()),
            ("RECORD_SPLIT", records.split.as_str().to_owned()),
            ("TOMBSTONES", records.tombstones.as_str().to_owned()),
            ("JSON_SCHEMA", records.json_schema.as_ref().map_or("", UserSchema::draft).to_owned()),
        ]
        .map(owned)
        .into();
        described.extend(super::columns::described(rules).into_iter().map(owned));
        described
            .push(owned(("PLUGINS", plugins.list.iter().map(entry).collect::<Vec<_>>().join(","))));
        described.extend(plugins.list.iter().flat_map(of_plugin));
        let rest = [
            ("PLUGIN_BREAKER_SHARE", plugins.breaker_share.to_string()),
            ("PLUGIN_ON_BREAKER", plugins.on_breaker.as_str().to_owned()),
            (
                "PLUGIN_CACHE_DIR",
                plugins
                    .cache_dir
                    .as_ref()
                    .map(|path| path.display().to_string())
                    .unwrap_or_default(),
            ),
        ];
        described.extend(rest.map(owned));
        described.extend(plugins.lookups.iter().flat_map(of_lookup));
        let rest = [
            ("ADMIN_ADDR", admin.as_text()),
            ("LOG_FORMAT", log.format.as_str().to_owned()),
            ("LOG_LEVEL", log.level.clone()),
            ("LOG_PAYLOADS", u8::from(log.with_payloads).to_string()),
            ("UNKNOWN_FIELD_NAMES", u8::from(log.with_field_names).to_string()),
        ];
        described.extend(rest.map(owned));
        described
    }
}

fn owned((name, value): (&str, String)) -> (String, String) {
    (name.to_owned(), value)
}

fn entry(plugin: &PluginConfig) -> String {
    format!("{}={}", plugin.name, plugin.path.display())
}

fn of_plugin(plugin: &PluginConfig) -> [(String, String); 5] {
    [
        ("CONFIG", hidden(Some(&plugin.config))),
        ("TIMEOUT_MS", plugin.timeout.as_millis().to_string()),
        ("MEMORY_BYTES", plugin.memory_bytes.to_string()),
        ("SHA256", plugin.sha256.clone().unwrap_or_default()),
        ("LOOKUPS", plugin.lookups.join(",")),
    ]
    .map(|(of, value)| (plugin.variable(of), value))
}

fn of_lookup(lookup: &Lookup) -> [(String, String); 4] {
    let source = match &lookup.source {
        LookupSource::File { path, .. } => format!("file:{}", path.display()),
        LookupSource::Select(sql) => hidden(Some(sql)),
    };
    [
        ("", source),
        ("_KEY", lookup.key.clone()),
        ("_REFRESH_MS", lookup.refresh.as_millis().to_string()),
        ("_MEMORY_BYTES", lookup.memory_bytes.to_string()),
    ]
    .map(|(of, value)| (lookup.variable(of), value))
}

fn hidden(secret: Option<&Secret>) -> String {
    if secret.is_some_and(|secret| !secret.is_empty()) {
        REDACTED.to_owned()
    } else {
        String::new()
    }
}

fn shown(pairs: &KeyValues) -> String {
    pairs.to_string()
}
