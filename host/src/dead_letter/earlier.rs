//! The headers of an earlier letter on a record that was produced to the source topic again. They may have
//! been sorted on the way, and names may be repeated: the record may have had a header with one of our names,
//! which comes before the letter's.

use super::cut::{Cut, KeptHeader, LetterPart};
use crate::flow::record::Record;

/// The headers of every letter, besides those of its record.
pub(super) const ALWAYS: [&str; 13] = [
    "failure_reason",
    "__connect.errors.topic",
    "__connect.errors.partition",
    "__connect.errors.offset",
    "__connect.errors.connector.name",
    "__connect.errors.stage",
    "__connect.errors.exception.class.name",
    "__connect.errors.exception.message",
    "sluicegate.group",
    "sluicegate.table",
    ATTEMPT,
    "sluicegate.failed-at-ms",
    "sluicegate.version",
];
/// The headers of some letters, without those about cuts.
pub(super) const SOMETIMES: [&str; 3] =
    ["sluicegate.plugin", "sluicegate.column", "sluicegate.timestamp-ms"];
const ATTEMPT: &str = "sluicegate.attempt";
/// How many of the record's headers a letter lacks.
pub(super) const LEFT_OUT: &str = "sluicegate.headers-left-out";
/// Characters of a SHA-256.
const DIGEST_CHARS: usize = 64;

/// A record's own headers, and the facts of an earlier letter.
#[derive(Debug, Default)]
pub(super) struct Earlier<'a> {
    /// All headers but the letter's.
    pub own: Vec<KeptHeader<'a>>,
    /// How often the record failed.
    pub attempts: u32,
    /// What was cut.
    pub cuts: Vec<Cut>,
    /// How many headers were left out.
    pub left_out: u64,
}

impl<'a> Earlier<'a> {
    /// Reads the record's headers. It counts as a letter if it has every header that all letters have;
    /// otherwise all headers are its own, whatever their names.
    pub fn of(record: &Record<'a>) -> Self {
        let all = || record.headers().enumerate();
        let last = |name: &str| all().filter(|(_, (of, _))| *of == name.as_bytes()).last();
        let text = |name: &str| {
            let (at, (_, value)) = last(name)?;
            Some((at, std::str::from_utf8(value?).ok()?))
        };
        let mut earlier = Self::default();
        // Most records have none of our headers; this avoids a search for each.
        let attempts = text(ATTEMPT).and_then(|(_, attempts)| attempts.parse().ok());
        let always = || ALWAYS.iter().map(|name| Some(last(name)?.0)).collect::<Option<Vec<_>>>();
        let Some((attempts, mut of_letter)) = attempts.and_then(|of| Some((of, always()?))) else {
            // Growing step by step would take twice the memory.
            earlier.own.reserve_exact(record.headers().count());
            earlier.own.extend(record.headers());
            return earlier;
        };
        earlier.attempts = attempts;
        // Headers before the letter's own are the record's, unless somebody sorted them.
        let begin = of_letter.first().filter(|_| of_letter.is_sorted()).copied().unwrap_or(0);
        let text = |name: &str| text(name).filter(|(at, _)| *at >= begin);
        of_letter.extend(SOMETIMES.into_iter().filter_map(|name| Some(text(name)?.0)));
        for part in LetterPart::ALL {
            let [from, sha256] = part.headers().map(text);
            let Some(((of_from, from), (of_sha256, sha256))) = from.zip(sha256) else { continue };
            let is_digest =
                sha256.len() == DIGEST_CHARS && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
            // Values that no letter has are the record's own.
            if let Some(from) = from.parse().ok().filter(|_| is_digest) {
                of_letter.extend([of_from, of_sha256]);
                earlier.cuts.push(Cut { part, from, left: None, sha256: sha256.to_owned() });
            }
        }
        if let Some((at, text)) = text(LEFT_OUT)
            && let Ok(left_out) = text.parse()
        {
            of_letter.push(at);
            earlier.left_out = left_out;
        }
        earlier.own.reserve_exact(record.headers().count());
        let own = all().filter(|(at, _)| !of_letter.contains(at));
        earlier.own.extend(own.map(|(_, header)| header));
        earlier
    }
}
