//! Sets up the log: to stderr, with RFC 3339 times in UTC. A host's log never waits for its reader.

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, debug_fn};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt};

use super::lines::LogQueue;
use crate::config::LogFormat;
use crate::words::plain::{Escaping, Json, Plain};

/// Most bytes of the log that may wait for its reader.
const MAX_BYTES: usize = 4 << 20;
/// How long the process waits at its end for its last lines to be read.
const LAST_LINES: Duration = Duration::from_secs(2);

/// The queue of a host's log.
static LINES: OnceLock<LogQueue> = OnceLock::new();

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not a valid filter.
    #[error("LOG_LEVEL: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// This process has a log already.
    #[error("the log is set up already: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// The writer thread cannot be started.
    #[error("the log: {0}")]
    Thread(#[from] io::Error),
}

/// Sends the log of this process to stderr, and waits for each line to be written. `level` is a level or
/// directives of `EnvFilter`.
///
/// Text is coloured on a terminal only, unless `NO_COLOR` is set. JSON is one flat object a line.
///
/// # Errors
/// If `level` is not a valid filter, and on a second call.
pub fn init(format: LogFormat, level: &str) -> Result<(), LogError> {
    Registry::default().with(layer(format, level, has_colours(), io::stderr)?).try_init()?;
    Ok(())
}

/// The same for a process that must not wait for the reader of its log: a thread of its own writes the lines,
/// and drops them if they are not read. Panic messages go the same way. [`finish`] ends it.
///
/// # Errors
/// As for [`init`], and if the thread cannot be started.
pub fn init_unread(format: LogFormat, level: &str) -> Result<(), LogError> {
    let tell = |lines: u64| {
        tracing::warn!(lines, "{lines} log lines were dropped, since the log was not read");
    };
    let lines = LogQueue::start(io::stderr(), MAX_BYTES, tell)?;
    let writer = lines.clone();
    let layer = layer(format, level, has_colours(), move || writer.clone())?;
    Registry::default().with(layer).try_init()?;
    let lines = LINES.get_or_init(|| lines);
    std::panic::set_hook(Box::new(move |panic| {
        if IS_QUIET.get() {
            return;
        }
        let thread = std::thread::current();
        let text = format!("thread `{}` {panic}", thread.name().unwrap_or("without a name"));
        let line = match format {
            LogFormat::Text => Plain(text).to_string(),
            LogFormat::Json => serde_json::json!({"level": "ERROR", "message": text}).to_string(),
        };
        lines.push(format!("{line}\n").as_bytes());
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            lines.push(format!("{trace}\n").as_bytes());
        }
    }));
    Ok(())
}

thread_local! {
    /// Whether panics of this thread are caught and reported elsewhere.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs work whose panic is not the host's fault and is reported by the caller. The panic message stays out of
/// the log, which a panic for each record would fill.
///
/// # Errors
/// `work` panicked.
pub fn quietly<T>(work: impl FnOnce() -> T) -> std::thread::Result<T> {
    let before = IS_QUIET.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    IS_QUIET.set(before);
    done
}

/// Prints the last line of the process, after its log.
pub fn last_word(text: &str) {
    match LINES.get() {
        Some(lines) => lines.push(format!("{text}\n").as_bytes()),
        None => eprintln!("{text}"),
    }
}

/// Waits until the log is written before the process ends, unless nobody reads it.
pub fn finish() {
    if let Some(lines) = LINES.get() {
        lines.flush(LAST_LINES);
    }
}

fn has_colours() -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !no_color
}

fn layer<W>(
    format: LogFormat,
    level: &str,
    colours: bool,
    writer: W,
) -> Result<impl Layer<Registry>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours);
    // The message and every field pass here, so that text they quote stays on its line.
    let fields = debug_fn(|writer, field, value| match field.name() {
        "message" => write!(Escaping(writer), "{value:?}"),
        name => write!(Escaping(writer), "{name}={value:?}"),
    });
    let layer = match format {
        LogFormat::Text => lines.fmt_fields(fields.delimited(" ")).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).map_event_format(PlainJson).boxed(),
    };
    Ok(layer.with_filter(filter.and(filter_fn(quotes_no_rows))))
}

/// JSON lines whose strings are escaped for terminals; their meaning is unchanged.
struct PlainJson<F>(F);

impl<S, N, F> FormatEvent<S, N> for PlainJson<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        write!(writer, "{}", Json(line))
    }
}

/// Below WARN, the ClickHouse client logs the server's answers in full, and an error may quote the values of a
/// row. This filter keeps them out at every level.
fn quotes_no_rows(metadata: &Metadata<'_>) -> bool {
    let is_client = metadata.target().split("::").next() == Some("clickhouse");
    !is_client || *metadata.level() <= Level::WARN
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn logged(format: LogFormat, level: &str) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let writer = move || Line(Arc::clone(&sink));
        let subscriber = Registry::default().with(layer(format, level, false, writer).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("not shown at info");
            tracing::debug!(target: "clickhouse::error", "a row's value");
            tracing::info!(partition = 3, topic = "trips", "offsets committed");
        });
        let lines = lines.lock().unwrap();
        String::from_utf8(lines.clone()).unwrap()
    }

    struct Line(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that an event with a hostile message and fields makes.
    fn hostile(format: LogFormat, text: &str) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let writer = move || Line(Arc::clone(&sink));
        let subscriber = Registry::default().with(layer(format, "info", false, writer).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            let error = io::Error::other(text.to_owned());
            let text_of: &dyn std::error::Error = &error;
            tracing::info!(string = text, display = %text, debug = ?text, cause = text_of, "{text}");
        });
        let lines = lines.lock().unwrap();
        String::from_utf8(lines.clone()).unwrap()
    }

    #[test]
    fn no_text_makes_a_line_of_its_own_or_reaches_the_terminal() {
        for text in [
            "x\n2026-11-29T00:00:00Z  INFO sluicegate::life: offsets committed",
            "x\r\n2026",
            "\u{1b}[2J\u{1b}]0;title\u{7}",
            "\u{9b}31m\u{85}\u{7f}\0\u{8}",
            "a\u{202e}b\u{2066}c\u{2069}\u{2028}d\u{2029}\u{200b}",
        ] {
            let line = hostile(LogFormat::Text, text);
            let line = line.strip_suffix('\n').unwrap();
            assert!(!line.contains(crate::words::plain::is_hidden), "{line:?}");
            let line = hostile(LogFormat::Json, text);
            let line = line.strip_suffix('\n').unwrap();
            assert!(!line.contains(crate::words::plain::is_hidden), "{line:?}");
            let fields: serde_json::Value = serde_json::from_str(line).unwrap();
            for name in ["message", "string", "display", "cause"] {
                assert_eq!(fields[name], text, "{name}");
            }
        }
    }

    #[test]
    fn json_lines_are_flat_and_their_time_is_utc() {
        let line: serde_json::Value =
            serde_json::from_str(&logged(LogFormat::Json, "info")).unwrap();
        assert_eq!(line["message"], "offsets committed");
        assert_eq!(line["partition"], 3);
        assert_eq!(line["level"], "INFO");
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.get(10..11) == Some("T"), "{time}");
    }

    #[test]
    fn text_lines_carry_fields_and_no_colours() {
        let line = logged(LogFormat::Text, "info");
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("offsets committed partition=3 topic=\"trips\""), "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }

    #[test]
    fn no_level_shows_what_the_client_of_clickhouse_quotes() {
        for level in ["debug", "trace,clickhouse::error=trace"] {
            let lines = logged(LogFormat::Text, level);
            assert!(lines.contains("not shown at info") && !lines.contains("value"), "{lines}");
        }
    }

    #[test]
    fn a_level_that_is_no_filter_is_an_error() {
        assert!(layer(LogFormat::Text, "sluicegate=loud", false, io::sink).is_err());
    }
}
