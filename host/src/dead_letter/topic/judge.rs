//! What the settings of the dead letter topic mean for letters.

use super::{TopicFacts, TopicSettings, settings_number};
use crate::config::{DlqFormat, OnTooLarge, Words as _};

/// Kafka's default. With less, letters may be gone before anybody looks.
const RETENTION_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Tolerated difference between the clocks of host and broker.
const CLOCKS_MS: i64 = 60_000;
/// Most bytes of a letter's facts, besides its record.
const FACTS_BYTES: u64 = 16 * 1024;
/// How much larger a record may become as JSON text, unless it is hostile.
const ENVELOPE: u64 = 2;

/// A result of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Fine(String),
    /// It could not be checked.
    NotKnown(String),
    /// It works, but letters may be lost or have to wait.
    Warning(String),
    /// Some letters will be refused or lost.
    Problem(String),
    /// No letter can be written.
    Refused(String),
}

impl Finding {
    /// The text: what was found, and what to do.
    #[cfg(test)]
    fn text(&self) -> &str {
        match self {
            Self::Fine(text)
            | Self::NotKnown(text)
            | Self::Warning(text)
            | Self::Problem(text)
            | Self::Refused(text) => text,
        }
    }
}

/// All findings about the topic `name`.
pub(super) fn judge_topic(
    name: &str,
    facts: &TopicFacts,
    format: DlqFormat,
    on_too_large: OnTooLarge,
) -> Vec<Finding> {
    let mut found = vec![rights(name, &facts.may_write)];
    match &facts.settings {
        Ok(settings) => {
            found.extend(cleanup(name, settings));
            found.extend(replicas(name, settings, facts.replicas));
            found.extend(clocks(name, settings));
            found.extend(size(name, settings, facts.largest_source.as_ref(), format, on_too_large));
        }
        Err(error) => {
            let text = format!("the settings of `{name}` could not be looked at: {error}");
            found.push(Finding::NotKnown(text));
        }
    }
    found
}

fn rights(name: &str, may_write: &Result<Option<bool>, String>) -> Finding {
    match may_write {
        Ok(Some(true)) => Finding::Fine(format!("`{name}` may be written")),
        Ok(Some(false)) => Finding::Refused(format!(
            "topic `{name}` (KAFKA_DLQ_TOPIC) may not be written: grant WRITE on it to the user of \
             KAFKA_SASL_USERNAME"
        )),
        Ok(None) => {
            let text = format!("whether `{name}` may be written shows with the first dead letter");
            Finding::NotKnown(text)
        }
        Err(error) => Finding::NotKnown(format!(
            "whether `{name}` may be written shows with the first dead letter ({error})"
        )),
    }
}

/// Which letters the topic deletes, and when.
fn cleanup(name: &str, settings: &TopicSettings) -> Vec<Finding> {
    let policy = settings.get("cleanup.policy").map_or("delete", String::as_str);
    let mut found = Vec::new();
    if policy.contains("compact") {
        found.push(Finding::Problem(format!(
            "`{name}` has cleanup.policy={policy}: it refuses letters without a key, and keeps the last \
             alone of those with equal keys; set cleanup.policy=delete on it"
        )));
    }
    if !policy.contains("delete") {
        return found;
    }
    let number = |name| settings_number(settings, name).filter(|number| *number >= 0);
    match number("retention.ms") {
        Some(ms) if ms < RETENTION_MS => found.push(Finding::Warning(format!(
            "`{name}` keeps letters for {} (retention.ms={ms}), after which nothing holds their records; \
             7 days or more give time to look at them",
            time(ms)
        ))),
        Some(ms) => found.push(Finding::Fine(format!("`{name}` keeps letters for {}", time(ms)))),
        None => found.push(Finding::Fine(format!("`{name}` keeps letters whatever their age"))),
    }
    if let Some(bytes) = number("retention.bytes") {
        found.push(Finding::Warning(format!(
            "`{name}` deletes the oldest letters of a partition that holds more than {bytes} bytes \
             (retention.bytes), after which nothing holds their records"
        )));
    }
    found
}

fn replicas(name: &str, settings: &TopicSettings, replicas: usize) -> Option<Finding> {
    let least = usize::try_from(settings_number(settings, "min.insync.replicas")?).ok()?;
    let noun = if replicas == 1 { "replica" } else { "replicas" };
    let what = if least > replicas {
        // Kafka 4.4 asks for no more replicas than there are.
        "not every version of Kafka writes letters then; lower it, or add replicas"
    } else if least == replicas && replicas > 1 {
        "with one broker away, letters wait and their records with them"
    } else {
        return None;
    };
    Some(Finding::Warning(format!(
        "`{name}` has partitions with {replicas} {noun} and min.insync.replicas={least}: {what}"
    )))
}

/// Whether the topic takes timestamps of this host's clock.
fn clocks(name: &str, settings: &TopicSettings) -> Vec<Finding> {
    if settings.get("message.timestamp.type").is_some_and(|of| of == "LogAppendTime") {
        return Vec::new();
    }
    let bounds = [
        "message.timestamp.before.max.ms",
        "message.timestamp.after.max.ms",
        "message.timestamp.difference.max.ms",
    ];
    let tight = bounds.into_iter().filter_map(|bound| {
        let ms = settings_number(settings, bound).filter(|ms| *ms < CLOCKS_MS)?;
        Some(Finding::Warning(format!(
            "`{name}` refuses letters of a host whose clock is {} from the broker's ({bound}={ms}): \
             raise it to an hour",
            time(ms)
        )))
    });
    tight.collect()
}

/// Whether the letter of the largest record fits.
fn size(
    name: &str,
    settings: &TopicSettings,
    largest: Option<&(String, u64)>,
    format: DlqFormat,
    on_too_large: OnTooLarge,
) -> Option<Finding> {
    const SETTING: &str = "max.message.bytes";
    let limit = u64::try_from(settings_number(settings, SETTING)?).ok()?;
    let Some((source, of_source)) = largest else {
        return Some(Finding::Fine(format!("`{name}` takes letters of {limit} bytes ({SETTING})")));
    };
    let record = match format {
        DlqFormat::Headers => *of_source,
        DlqFormat::Envelope => of_source.saturating_mul(ENVELOPE),
    };
    let needed = record.saturating_add(FACTS_BYTES);
    if limit >= needed {
        let text = format!("`{name}` takes the letter of any record ({SETTING}={limit})");
        return Some(Finding::Fine(text));
    }
    let fate = match on_too_large {
        OnTooLarge::Pause => "would hold up each partition that has records in its batch",
        OnTooLarge::Cut => "would be cut",
    };
    Some(Finding::Warning(format!(
        "`{name}` takes letters of {limit} bytes ({SETTING}), `{source}` records of {of_source}: the letter of \
         its largest needs {needed}, and {fate} (DLQ_ON_TOO_LARGE={}); raise {SETTING} of `{name}` to {needed}",
        on_too_large.as_str()
    )))
}

/// A time in the largest unit that divides it.
fn time(ms: i64) -> String {
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second")];
    let whole = units.into_iter().find(|(unit, _)| ms >= *unit && ms % unit == 0);
    let (count, unit) = whole.map_or((ms, "millisecond"), |(unit, name)| (ms / unit, name));
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &[(&str, &str)] = &[
        ("cleanup.policy", "delete"),
        ("retention.ms", "604800000"),
        ("retention.bytes", "-1"),
        ("max.message.bytes", "2000000"),
        ("message.timestamp.type", "CreateTime"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.after.max.ms", "3600000"),
        ("min.insync.replicas", "1"),
    ];

    fn facts(changes: &[(&str, &str)]) -> TopicFacts {
        let settings = DEFAULTS.iter().chain(changes);
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TopicFacts {
            replicas: 1,
            settings: Ok(settings.collect()),
            largest_source: Some(("orders".to_owned(), 1_048_588)),
            may_write: Ok(Some(true)),
        }
    }

    fn found(facts: &TopicFacts) -> Vec<Finding> {
        judge_topic("dead", facts, DlqFormat::Headers, OnTooLarge::Pause)
    }

    /// The findings other than fine.
    fn wrong(facts: &TopicFacts) -> Vec<Finding> {
        let mut found = found(facts);
        found.retain(|finding| !matches!(finding, Finding::Fine(_)));
        found
    }

    #[track_caller]
    fn assert_one(found: &[Finding], is: fn(String) -> Finding, parts: &[&str]) {
        let [one] = found else { panic!("{found:?}") };
        assert_eq!(*one, is(one.text().to_owned()));
        assert!(parts.iter().all(|part| one.text().contains(part)), "{}", one.text());
    }

    #[test]
    fn a_topic_that_takes_and_keeps_every_letter_is_fine() {
        let facts = facts(&[]);
        assert_eq!(wrong(&facts), []);
        let texts: Vec<String> = found(&facts).iter().map(|of| of.text().to_owned()).collect();
        assert_eq!(
            texts,
            [
                "`dead` may be written",
                "`dead` keeps letters for 7 days",
                "`dead` takes the letter of any record (max.message.bytes=2000000)",
            ]
        );
    }

    #[test]
    fn each_setting_that_endangers_letters_is_named_with_its_figure() {
        let of = |name, value| wrong(&facts(&[(name, value)]));
        let compact = of("cleanup.policy", "compact");
        assert_one(&compact, Finding::Problem, &["cleanup.policy=compact", "without a key"]);
        let short = of("retention.ms", "3600000");
        assert_one(&short, Finding::Warning, &["1 hour", "retention.ms=3600000"]);
        let few = of("retention.bytes", "1000");
        assert_one(&few, Finding::Warning, &["1000 bytes", "retention.bytes"]);
        let small = of("max.message.bytes", "1048588");
        let parts = ["1048588", "`orders`", "1064972", "pause", "DLQ_ON_TOO_LARGE=pause"];
        assert_one(&small, Finding::Warning, &parts);
        let replicas = of("min.insync.replicas", "2");
        assert_one(&replicas, Finding::Warning, &["min.insync.replicas=2", "1 replica "]);
        for bound in ["before", "after", "difference"] {
            let clocks = wrong(&facts(&[(&format!("message.timestamp.{bound}.max.ms"), "5000")]));
            assert_one(&clocks, Finding::Warning, &[bound, "5 seconds"]);
        }
    }

    #[test]
    fn retention_counts_only_where_it_deletes_and_clocks_only_where_the_broker_does_not_date() {
        let compact = [("cleanup.policy", "compact"), ("retention.ms", "1")];
        assert_eq!(wrong(&facts(&compact)).len(), 1);
        let both = [("cleanup.policy", "compact,delete"), ("retention.ms", "1")];
        assert_eq!(wrong(&facts(&both)).len(), 2);
        let dated =
            [("message.timestamp.type", "LogAppendTime"), ("message.timestamp.after.max.ms", "1")];
        assert_eq!(wrong(&facts(&dated)), []);
        assert_eq!(wrong(&facts(&[("retention.ms", "-1")])), []);
    }

    #[test]
    fn what_may_not_be_looked_at_is_no_fault() {
        let mut facts = facts(&[]);
        facts.settings = Err("not authorized".to_owned());
        facts.may_write = Ok(None);
        let found = wrong(&facts);
        let is_unknown = |finding: &Finding| matches!(finding, Finding::NotKnown(_));
        assert!(found.len() == 2 && found.iter().all(is_unknown), "{found:?}");
        facts.may_write = Ok(Some(false));
        let denied = wrong(&facts);
        assert!(matches!(&denied[0], Finding::Refused(text) if text.contains("grant WRITE")));
    }

    #[test]
    fn replicas_that_all_must_be_there_are_warned_of() {
        let mut facts = facts(&[("min.insync.replicas", "3")]);
        facts.replicas = 3;
        assert_one(&wrong(&facts), Finding::Warning, &["one broker away"]);
        facts.replicas = 4;
        assert_eq!(wrong(&facts), []);
    }
}
