//! The ClickHouse side: the server, the table and the settings of the INSERT.

use super::exposed;
use super::reader::{RefusedEntry, SWITCH, VariableReader};
use super::redact::{KeyValues, Secret};
use super::words::Words;

/// Server, table and credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClickHouse {
    /// `http://host:port` or `https://host:port`, without a trailing slash. Default port 8123, for
    /// https 8443.
    pub url: String,
    /// Database of the table, default `default`.
    pub database: String,
    /// User, default `default`.
    pub user: String,
    /// Password, default empty.
    pub password: Secret,
    /// Table, without the database and unquoted.
    pub table: String,
    /// Further settings of the INSERT, except those that the guarantees depend on.
    pub settings: KeyValues,
    /// PEM file with the root certificates of an https server; `None`: the built-in ones.
    pub ca_location: Option<String>,
    /// Whether asynchronous inserts are used, and waited for; default true.
    pub async_insert: bool,
    /// Compression of the bodies of INSERTs, default none.
    pub compression: Compression,
}

/// Compression of the bodies of INSERTs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Uncompressed.
    None,
    /// LZ4 on each Arrow buffer.
    Lz4,
}

impl Words for Compression {
    const WORDS: &'static [(&'static str, Self)] = &[("none", Self::None), ("lz4", Self::Lz4)];
}

pub(super) fn read_clickhouse(reader: &mut VariableReader<'_>) -> ClickHouse {
    let url = reader.text("CLICKHOUSE_HOST").and_then(|text| match parse_url(&text) {
        Ok(url) => Some(url),
        Err(hint) => {
            let expected = "host, host:port, http://host:port or https://host:port";
            if text.contains('@') {
                let found = "an address with `@` (not shown)";
                reader.refuse_found("CLICKHOUSE_HOST", expected, found, hint);
            } else {
                reader.refuse("CLICKHOUSE_HOST", expected, &text, hint);
            }
            None
        }
    });
    if let Some(url) = &url {
        warn_about_port(reader, url);
    }
    let database = reader.text("CLICKHOUSE_DATABASE").unwrap_or_default();
    let user = reader.text("CLICKHOUSE_USER").unwrap_or_default();
    for (name, value) in [("CLICKHOUSE_DATABASE", &database), ("CLICKHOUSE_USER", &user)] {
        if value.chars().any(char::is_control) {
            let hint = "check how it was written: a line break may have slipped in";
            reader.refuse(name, "a text without control characters", value, hint);
        }
    }
    let password = reader.secret("CLICKHOUSE_PASSWORD").unwrap_or_default();
    if let Some(url) = url.as_deref().filter(|_| !password.is_empty()) {
        exposed::warn_of_http(reader, url);
    }
    let table = read_table(reader);
    let settings =
        reader.pairs("CLICKHOUSE_SETTINGS", |name, _| refusal(name).map(RefusedEntry::name));
    let ca_location = reader.path("CLICKHOUSE_SSL_CA_LOCATION");
    if ca_location.is_some() && url.as_ref().is_some_and(|url| url.starts_with("http://")) {
        let text = "is without effect, since CLICKHOUSE_HOST is not https";
        reader.warn("CLICKHOUSE_SSL_CA_LOCATION", text);
    }
    let async_insert = reader.choice("CLICKHOUSE_ASYNC_INSERT", SWITCH);
    let compression = reader.choice("CLICKHOUSE_COMPRESSION", Compression::WORDS);
    ClickHouse {
        url: url.unwrap_or_default(),
        database,
        user,
        password,
        table: table.unwrap_or_default(),
        settings,
        ca_location,
        async_insert: async_insert.unwrap_or(true),
        compression: compression.unwrap_or(Compression::None),
    }
}

/// The URL with scheme and port, or a hint at its fault.
fn parse_url(text: &str) -> Result<String, &'static str> {
    const CREDENTIALS: &str = "credentials go into CLICKHOUSE_USER and CLICKHOUSE_PASSWORD";
    if text.contains('@') {
        return Err(CREDENTIALS);
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 8123,
        "https" => 8443,
        _ => return Err("the host speaks ClickHouse's HTTP interface: use http or https"),
    };
    let address = rest.strip_suffix('/').unwrap_or(rest);
    if address.contains([',', ';', ' ']) {
        return Err("name one host: a balancer in front of several servers, or one of them");
    }
    if address.contains(['/', '?', '#']) {
        return Err("leave path and query out; settings go into CLICKHOUSE_SETTINGS");
    }
    let (host, port) = if address.starts_with('[') {
        let (inner, after) = address.split_once(']').ok_or("the bracket `[` is never closed")?;
        let is_address =
            inner.strip_prefix('[').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
        if !is_address {
            return Err("only an IPv6 address stands in brackets");
        }
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err("only `:port` may follow the bracket `]`"),
        };
        (format!("{inner}]"), port)
    } else {
        let (host, port) = match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        };
        if port.is_some_and(|port| port.contains(':')) {
            return Err("an IPv6 address stands in brackets: [::1]:8123");
        }
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_legal) {
            return Err("a host is a name or an address, of letters, digits, `.`, `_` and `-`");
        }
        (host.to_owned(), port)
    };
    let port = match port.map(str::parse::<u16>) {
        None => default_port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err("the port is a number from 1 to 65535"),
    };
    Ok(format!("{scheme}://{host}:{port}"))
}

fn warn_about_port(reader: &mut VariableReader<'_>, url: &str) {
    let port = url.rsplit_once(':').map_or("", |(_, port)| port);
    let text = match port {
        "9000" | "9440" => {
            "is the port of ClickHouse's native protocol by custom; the host speaks HTTP, by custom on 8123 or 8443"
        }
        "443" | "8443" if url.starts_with("http://") => {
            "is a port of https by custom, but the address says http; write https:// before it"
        }
        _ => return,
    };
    reader.warn("CLICKHOUSE_HOST", format!("{port} {text}"));
}

pub(super) fn read_table(reader: &mut VariableReader<'_>) -> Option<String> {
    let table = reader.text("CLICKHOUSE_TABLE")?;
    let expected = "the name of a table, without database and quotes";
    // If CLICKHOUSE_DATABASE is set, a dot is part of the table's name.
    if table.contains('.') && !reader.is_set("CLICKHOUSE_DATABASE") {
        let hint = "set CLICKHOUSE_DATABASE to the database, even to `default`; a dot in \
                    CLICKHOUSE_TABLE is then part of the table's name";
        reader.refuse("CLICKHOUSE_TABLE", expected, &table, hint);
        return None;
    }
    if table.contains(['`', '"', '\'']) || table.chars().any(char::is_control) {
        reader.refuse(
            "CLICKHOUSE_TABLE",
            expected,
            &table,
            "write the name alone; the host quotes it",
        );
        return None;
    }
    Some(table)
}

/// Why the host does not let the user set a setting; `None` if it does.
pub fn refusal(name: &str) -> Option<String> {
    let reason = match name {
        "async_insert" | "wait_for_async_insert" => {
            return Some("use CLICKHOUSE_ASYNC_INSERT instead".to_owned());
        }
        "database" => return Some("use CLICKHOUSE_DATABASE instead".to_owned()),
        "user" => return Some("use CLICKHOUSE_USER instead".to_owned()),
        "password" => return Some("use CLICKHOUSE_PASSWORD instead".to_owned()),
        "readonly" => "with it the server takes no INSERT",
        "materialized_views_ignore_errors"
        | "ignore_materialized_views_with_dropped_target_table" => {
            "rows would go missing from views without a word"
        }
        "limit" | "offset" | "additional_table_filters" | "additional_result_filter" => {
            "the views of the table would take a part of the rows alone"
        }
        "distributed_foreground_insert" | "insert_distributed_sync" => {
            "an INSERT has to be answered once its rows are stored"
        }
        "query"
        | "query_id"
        | "session_id"
        | "session_check"
        | "session_timeout"
        | "close_session"
        | "default_format"
        | "compress"
        | "decompress"
        | "wait_end_of_query"
        | "send_progress_in_http_headers" => "it is a part of the request, not a setting",
        _ if name.contains("overflow_mode") => {
            "an INSERT that stops at a limit has to fail, not to succeed with a part of the rows"
        }
        _ if name.starts_with("input_format_allow_errors_") => {
            "rows that cannot be read would go missing without a word"
        }
        "allow_simdjson"
        | "input_format_try_infer_variants"
        | "input_format_json_infer_array_of_dynamic_from_array_of_different_types"
        | "json_type_escape_dots_in_keys" => {
            "values of JSON columns would be stored as others than the records have"
        }
        "session_timezone" => {
            "times without an offset are in the zone of their column, or of the server"
        }
        _ if name.contains("dedup") => "retries rest on the host's deduplication",
        _ if name.starts_with("input_format_arrow_")
            || name.ends_with("null_as_default")
            || matches!(
                name,
                "input_format_defaults_for_omitted_fields"
                    | "input_format_column_name_matching_mode"
            ) =>
        {
            "the host's checks rest on how the server reads Arrow"
        }
        _ if name.contains("insert_block_size")
            || name == "max_block_size"
            || matches!(
                name,
                "use_strict_insert_block_limits" | "input_format_max_block_size_bytes"
            ) =>
        {
            "a batch has to stay one block, so that it lands whole or not at all"
        }
        _ => return None,
    };
    Some(format!("leave it out: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, errors};
    use super::parse_url;

    #[test]
    fn a_dot_is_part_of_the_table_s_name_where_the_database_is_told() {
        let dotted = ("CLICKHOUSE_TABLE", "shop.orders.v1");
        let told = config(&[("CLICKHOUSE_DATABASE", "default"), dotted]).clickhouse;
        assert_eq!((&*told.database, &*told.table), ("default", dotted.1));
        assert!(errors(&[dotted]).contains("set CLICKHOUSE_DATABASE"));
    }

    #[test]
    fn a_host_gets_scheme_and_port() {
        for (text, url) in [
            ("localhost", "http://localhost:8123"),
            ("db.internal:8124", "http://db.internal:8124"),
            ("http://db", "http://db:8123"),
            ("http://db:80/", "http://db:80"),
            ("HTTPS://db", "https://db:8443"),
            ("https://db:443", "https://db:443"),
            ("10.0.0.1:8123", "http://10.0.0.1:8123"),
            ("[::1]", "http://[::1]:8123"),
            ("https://[fe80::1]:9", "https://[fe80::1]:9"),
        ] {
            assert_eq!(parse_url(text).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "user:pass@db",
            "http://user@db",
            "tcp://db:9000",
            "db:0",
            "db:x",
            "db:65536",
            "::1",
            "[::1",
            "[::1]x",
            "[db]",
            "db/path",
            "http://db:8123/?a=1",
            "http://",
            "d b",
            "db:",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }
}
