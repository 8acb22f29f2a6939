//! Every environment variable that the host reads: the one list.
//!
//! The source of defaults, the table of docs/configuration.md, the start log, near misses and the hiding
//! of secrets, so that they cannot drift apart.

/// One environment variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// The name in the environment. `NAME_FILE` reads the value from a file.
    pub name: &'static str,
    /// The default as written in the environment; empty means "none". `None`: the variable is required.
    pub default: Option<&'static str>,
    /// One sentence for docs/configuration.md and for the error about a required variable.
    pub meaning: &'static str,
    /// Whether the value is never shown.
    pub is_secret: bool,
}

const fn required(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: None, meaning, is_secret: false }
}

const fn optional(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: Some(default), meaning, is_secret: false }
}

const fn secret(name: &'static str, meaning: &'static str) -> Variable {
    Variable { name, default: Some(""), meaning, is_secret: true }
}

/// The variables in the order of docs/configuration.md, of the start log and of reported problems.
pub static VARIABLES: &[Variable] = &[
    required("KAFKA_BROKER", "bootstrap servers, `host:port` each, as a list"),
    required("KAFKA_CONSUMER_GROUP_ID", "consumer group"),
    optional(
        "KAFKA_PRODUCER_CLIENT_ID",
        "sluicegate-dead-letters",
        "client id of the dead letter producer",
    ),
    required(
        "KAFKA_SOURCE_TOPIC",
        "topics to consume, as a list; an entry that begins with `^` is a POSIX extended regular \
         expression",
    ),
    required("KAFKA_DLQ_TOPIC", "dead letter topic"),
    optional(
        "KAFKA_AUTO_OFFSET_RESET",
        "earliest",
        "where a partition begins that the group has committed nothing for: `earliest`, `latest` or \
         `error`; `latest` is for a fresh start alone: docs/guarantees.md",
    ),
    optional(
        "KAFKA_SECURITY_PROTOCOL",
        "plaintext",
        "`plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`",
    ),
    optional("KAFKA_SASL_MECHANISM", "", "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`"),
    optional("KAFKA_SASL_USERNAME", "", "SASL user"),
    secret("KAFKA_SASL_PASSWORD", "SASL password"),
    optional(
        "KAFKA_SSL_CA_LOCATION",
        "",
        "PEM file or folder with the root certificates of the brokers; without it the system's",
    ),
    optional(
        "KAFKA_PROPERTIES",
        "",
        "further librdkafka properties, a list of `name=value`; with the prefix `consumer.` or `producer.` \
         (of dead letters) for that client alone; those that the host owns are refused",
    ),
    optional(
        "NUM_MESSAGES",
        "25000",
        "most records in a batch, 1 to 1000000; unset, batches grow to 250000 while there is a backlog",
    ),
    optional(
        "BATCH_MAX_BYTES",
        "20971520",
        "most bytes that the records of a batch take: payloads, keys, headers, and some 40 beside each record and header; 1024 to 268435456, at most half of `MEMORY_BUDGET_BYTES`; no payload may be larger",
    ),
    optional(
        "BATCH_LINGER_MS",
        "1000",
        "longest wait for a batch to fill, 1 to 60000 milliseconds, below `SHUTDOWN_TIMEOUT_MS`",
    ),
    optional("IN_FLIGHT_BATCHES", "4", "most batches between source and commit, 1 to 64"),
    optional(
        "MEMORY_BUDGET_BYTES",
        "134217728",
        "most bytes of working memory: queue, batches, plugins and INSERTs, 1048576 to 68719476736; reading stops at it, batches are cut for it, and no record may take more than a quarter: docs/guarantees.md",
    ),
    optional(
        "SHUTDOWN_TIMEOUT_MS",
        "25000",
        "longest drain after SIGTERM, 100 to 600000 milliseconds; it waits for no batch whose rows are held until an \
         operator acts; partitions that are revoked drain for at most 10 seconds",
    ),
    required("CLICKHOUSE_HOST", "`host`, `host:port` or `http(s)://host:port`; the HTTP port"),
    optional("CLICKHOUSE_DATABASE", "default", "database of the table"),
    optional("CLICKHOUSE_USER", "default", "ClickHouse user"),
    secret("CLICKHOUSE_PASSWORD", "ClickHouse password"),
    required(
        "CLICKHOUSE_TABLE",
        "table that the rows land in, without the database; a name with a dot needs CLICKHOUSE_DATABASE",
    ),
    optional(
        "CLICKHOUSE_SETTINGS",
        "",
        "further settings of the INSERT, a list of `name=value`; those that the guarantees rest on are refused",
    ),
    optional(
        "CLICKHOUSE_SSL_CA_LOCATION",
        "",
        "PEM file with the root certificates of an https server; without it the built-in ones",
    ),
    optional(
        "CLICKHOUSE_ASYNC_INSERT",
        "1",
        "`1`: asynchronous inserts, waited for, unless the table deduplicates; `0`: synchronous",
    ),
    optional(
        "CLICKHOUSE_COMPRESSION",
        "none",
        "`none`; `lz4`: the bodies of INSERTs are compressed, for a network that is slower than the host: docs/performance.md",
    ),
    optional(
        "DELIVERY",
        "at_least_once",
        "`at_least_once` or `exactly_once`, which needs a table that deduplicates: docs/exactly-once.md",
    ),
    optional(
        "DELIVERY_ANSWERS",
        "",
        "what an operator found where `exactly_once` paused for want of proof, as a list of `token=landed` or `token=not_landed`",
    ),
    optional(
        "DLQ_FORMAT",
        "headers",
        "`headers`: the payload unchanged, facts in headers; `envelope`: one JSON object",
    ),
    optional(
        "DLQ_ON_TOO_LARGE",
        "pause",
        "a dead letter that is larger than its topic takes: `pause` the commit of its batch, or `cut` payload, headers and key: docs/dead-letters.md",
    ),
    optional(
        "DLQ_MAX_SHARE",
        "0.5",
        "the brake: where a larger share (0 to 1) of the last 1000 records is rejected, and at least 50 are, no more is dead-lettered and the host pauses; docs/guarantees.md has the exceptions",
    ),
    optional(
        "RECORD_SPLIT",
        "none",
        "how a payload holds records: `none`: it is one; `lines`: each line is one (NDJSON); `array`: each element of a JSON array is one: docs/fields.md",
    ),
    optional("TOMBSTONES", "skip", "records with a null payload: `skip` or `dead_letter`"),
    optional(
        "JSON_SCHEMA",
        "",
        "JSON Schema that records must satisfy as well; mostly a file, named by `JSON_SCHEMA_FILE`",
    ),
    optional("REQUIRED_COLUMNS", "", "columns, as a list; missing or null in a record rejects it"),
    optional(
        "DATETIME_COLUMNS",
        "",
        "columns, as a list, in which an empty string or null means 1970-01-01 00:00:00, and more layouts are read",
    ),
    optional(
        "STRING_ENUM_COLUMNS",
        "",
        "columns, as a list, in which a missing or null value means `DEFAULT` where the column can hold it, else the column's default",
    ),
    optional(
        "TIMESTAMP_UNIT",
        "",
        "unit of numbers in `DateTime` and `DateTime64` columns: `s`, `ms`, `us` or `ns`; without it they are rejected. `column=us` says it of one column, also of a `Date` (`day=d` for days) or a `Time`; both go in one list: `ms,created=us,day=d`",
    ),
    optional(
        "FIELD_CASE",
        "exact",
        "`exact`: a field fills the column of its very name; `insensitive`: of its name in upper or lower case",
    ),
    optional(
        "COLUMN_FROM",
        "",
        "columns that are filled from a place in the record instead of the field of their name, as a list of `column=/json/pointer`",
    ),
    optional(
        "UNKNOWN_FIELDS",
        "ignore",
        "fields that fill no column: `ignore` and count them, `reject` the record, or `column:NAME` puts them into a String or JSON column as one object",
    ),
    optional(
        "UNFILLED_RECORDS",
        "reject",
        "records of which no field fills a column, such as `{}` or an envelope around the row: `reject`, or `accept` as rows of defaults, which are counted: docs/fields.md",
    ),
    optional(
        "METADATA_COLUMNS",
        "",
        "columns that are filled with what Kafka says of the record, as a list of `column=topic`, `partition`, `offset`, `timestamp`, `key` or `headers`; with `DELIVERY=exactly_once` also `token`, by which the host finds rows again",
    ),
    optional(
        "COERCION",
        "strict",
        "`lenient` takes what ClickHouse's JSONEachRow takes: numbers in quotes, any value as text for a String, numbers for times and Enums, more layouts of times. What it refuses still is in docs/types.md",
    ),
    optional(
        "COLUMN_ENCODING",
        "",
        "columns whose strings write bytes, as a list of `column=base64` or `hex`: String, FixedString, and Decimal as unscaled big-endian two's complement",
    ),
    optional(
        "COLUMN_ON_INVALID",
        "",
        "what becomes of a value that a column does not take, as a list of `column=reject`, `null` or `default`; each value replaced is counted",
    ),
    optional(
        "PLUGINS",
        "",
        "plugins in the order in which records go through them, as a list of `name=path.wasm`",
    ),
    secret(
        "PLUGIN_<NAME>_CONFIG",
        "configuration of one plugin, as JSON or as `@` and the path of a file; the name in upper case, with `-` as `_`",
    ),
    optional(
        "PLUGIN_<NAME>_TIMEOUT_MS",
        "1000",
        "longest call of a plugin with up to 1000 rows, 20 to 60000 milliseconds",
    ),
    optional(
        "PLUGIN_<NAME>_MEMORY_BYTES",
        "67108864",
        "most memory of one instance of a plugin, 1048576 to 4294967296; there are at most IN_FLIGHT_BATCHES of them",
    ),
    optional("PLUGIN_<NAME>_SHA256", "", "the digest of the only file that may be loaded"),
    optional("PLUGIN_<NAME>_LOOKUPS", "", "lookups that a plugin may read, as a list of names"),
    optional(
        "PLUGIN_BREAKER_SHARE",
        "0.05",
        "a plugin that fails on a larger share (0 to 1) of at least 1000 rows counts as broken",
    ),
    optional(
        "PLUGIN_ON_BREAKER",
        "pause",
        "what a broken plugin does: `pause` the host, or `dead_letter` every record it fails on",
    ),
    optional(
        "PLUGIN_CACHE_DIR",
        "",
        "folder for compiled plugins, made with mode 0700; without it they are compiled at each start",
    ),
    secret(
        "LOOKUP_<NAME>",
        "where a lookup comes from: `file:` and the path of a `.csv` or `.ndjson` file, or a SELECT; the name in upper case, with `-` as `_`",
    ),
    optional(
        "LOOKUP_<NAME>_KEY",
        "",
        "the column of a lookup that plugins look up by; required where the lookup is granted",
    ),
    optional(
        "LOOKUP_<NAME>_REFRESH_MS",
        "60000",
        "how often a lookup is read again, 1000 to 86400000 milliseconds",
    ),
    optional(
        "LOOKUP_<NAME>_MEMORY_BYTES",
        "67108864",
        "most memory of a lookup, 1048576 to 4294967296; while it is read again there are two of it",
    ),
    optional(
        "ADMIN_ADDR",
        "127.0.0.1:9464",
        "serves `/livez`, `/readyz` and `/metrics` at this address and port; `off`: nowhere; in a container `0.0.0.0:9464`",
    ),
    optional("LOG_FORMAT", "text", "`text` or `json`"),
    optional(
        "LOG_LEVEL",
        "info",
        "`error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,sluicegate=debug`",
    ),
    optional(
        "LOG_PAYLOADS",
        "0",
        "`1`: log lines about rejected records hold the pointer to the fault and the first 1000 bytes of the payload",
    ),
    optional(
        "UNKNOWN_FIELD_NAMES",
        "0",
        "`1`: fields that fill no column are logged and counted by name, the first 100 names; a name may be a value, such as a mail address",
    ),
];

/// The placeholder for the name of a plugin or lookup.
const PLACE: &str = "<NAME>";

/// The kinds of object that have their own variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableOwner {
    /// `PLUGIN_<NAME>_...`
    Plugin,
    /// `LOOKUP_<NAME>` and `LOOKUP_<NAME>_...`
    Lookup,
}

impl Variable {
    /// The kind of object that has its own variable of this kind; `None` for a global variable.
    pub fn owner(&self) -> Option<VariableOwner> {
        match self.name.split_once(PLACE)?.0 {
            "PLUGIN_" => Some(VariableOwner::Plugin),
            "LOOKUP_" => Some(VariableOwner::Lookup),
            _ => None,
        }
    }

    /// Whether its value is always a secret; the configuration of a plugin only may hold one.
    pub fn is_credential(&self) -> bool {
        self.is_secret && self.owner().is_none()
    }

    /// Whether `name` is this variable, with the name of a plugin or lookup filled in.
    fn is_called(&self, name: &str) -> bool {
        match self.name.split_once(PLACE) {
            None => self.name == name,
            Some((before, after)) => name
                .strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|filled_in| !filled_in.is_empty()),
        }
    }
}

/// Finds a variable by its name, with the name of a plugin or lookup filled in. The most specific match
/// wins: `LOOKUP_A_KEY` is the key of `a`, not a lookup `a-key`.
pub fn find_variable(name: &str) -> Option<&'static Variable> {
    let exact = VARIABLES.iter().find(|variable| variable.name == name);
    let called = || VARIABLES.iter().filter(|variable| variable.is_called(name));
    exact.or_else(|| called().max_by_key(|variable| variable.name.len()))
}

/// The table of docs/configuration.md, in Markdown, ending with a line break.
pub fn markdown_table() -> String {
    let rows = VARIABLES.iter().map(|variable| {
        let default = match variable.default {
            None => "required".to_owned(),
            Some("") => "none".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        let secret = if variable.is_secret { " (secret)" } else { "" };
        format!("| `{}` | {default} | {}{secret} |\n", variable.name, linked(variable.meaning))
    });
    "| variable | default | meaning |\n|---|---|---|\n".to_owned() + &rows.collect::<String>()
}

/// Replaces each `docs/<name>.md` of a text by a link from another page of that folder.
fn linked(text: &str) -> String {
    let mut parts = text.split("docs/");
    let before = parts.next().unwrap_or_default().to_owned();
    let link = |part: &str| match part.split_once(".md") {
        Some((name, rest)) => format!("[{name}.md]({name}.md){rest}"),
        None => format!("docs/{part}"),
    };
    before + &parts.map(link).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_page_is_this_registry() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        let expected = markdown_table();
        assert!(
            page.contains(&expected),
            "the table of configuration.md should read:\n\n{expected}"
        );
    }

    #[test]
    fn no_name_is_listed_twice_and_none_looks_like_the_file_form() {
        for (at, variable) in VARIABLES.iter().enumerate() {
            assert!(!variable.name.ends_with("_FILE"), "{}", variable.name);
            assert!(!VARIABLES[at + 1..].iter().any(|other| other.name == variable.name));
            assert_eq!(variable.owner().is_some(), variable.name.contains(PLACE));
        }
    }

    #[test]
    fn a_name_that_is_filled_in_finds_the_variable_that_says_most_of_it() {
        for (name, found) in [
            ("PLUGIN_A_CONFIG", "PLUGIN_<NAME>_CONFIG"),
            ("PLUGIN_CACHE_DIR", "PLUGIN_CACHE_DIR"),
            ("LOOKUP_A", "LOOKUP_<NAME>"),
            ("LOOKUP_A_KEY", "LOOKUP_<NAME>_KEY"),
            ("LOOKUP_A_B_REFRESH_MS", "LOOKUP_<NAME>_REFRESH_MS"),
        ] {
            assert_eq!(find_variable(name).map(|variable| variable.name), Some(found));
        }
        assert_eq!(find_variable("LOOKUP_"), None);
    }
}
