//! Who waits for what, and which waits were logged. Waits for the same thing are reported as one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::concern::Concern;
use crate::flow::hold::Hold;

/// When a lasting wait is logged again; the time doubles after each line, up to the second value.
const REPEAT: Duration = Duration::from_secs(30);
const LONGEST_REPEAT: Duration = Duration::from_mins(10);
/// Most logged waits that are remembered for one name.
const MAX_LINES: usize = 100;

/// Names whose texts contain partitions and offsets: each text is a wait of its own.
const BY_NUMBER: [&str; 2] = ["kafka", "plan"];
/// The text before the code of a ClickHouse error.
const CODE: &str = "Code: ";

/// One waiter.
#[derive(Debug)]
pub struct HeldWait {
    pub hold: Hold,
    /// What is waited for: the same for all that are reported as one.
    key: String,
    pub since: Instant,
    of: Option<Arc<Concern>>,
    /// The order in which the texts were set.
    turn: u64,
}

/// A wait that was logged.
#[derive(Debug)]
struct WaitLine {
    next: Instant,
    repeats: u32,
    is_paused: bool,
    /// When somebody last waited for it: it may alternate with another.
    held: Instant,
}

#[derive(Debug, Default)]
pub struct Waits {
    pub held: BTreeMap<(&'static str, u64), HeldWait>,
    /// Kept while somebody waits for it, and [`REPEAT`] longer if others of that name wait.
    lines: BTreeMap<(&'static str, String), WaitLine>,
    /// Since when anyone of that name waits.
    since: BTreeMap<&'static str, Instant>,
    turn: u64,
}

/// Those who wait for the same thing.
#[derive(Debug, Clone, Copy)]
pub struct WaitGroup<'a> {
    pub who: &'static str,
    key: &'a str,
    /// The one with the newest text.
    newest: &'a HeldWait,
    is_paused: bool,
    /// Since when the first of them waits.
    since: Instant,
    /// The batches that they hold up, and their records.
    batches: u64,
    records: u64,
    first: Option<&'a Concern>,
}

impl Waits {
    /// Records a wait, and logs it if it is new.
    pub fn hold(
        &mut self,
        who: &'static str,
        id: u64,
        key: Option<&str>,
        hold: Hold,
        of: Option<Arc<Concern>>,
        now: Instant,
    ) {
        self.turn += 1;
        let key = key.map_or_else(|| key_of(who, hold.text()), str::to_owned);
        let since = self.held.get(&(who, id)).map_or(now, |before| before.since);
        self.since.entry(who).or_insert(now);
        self.held.insert((who, id), HeldWait { hold, key, since, of, turn: self.turn });
        self.log(now);
    }

    /// Logs new waits, and repeats lasting ones.
    pub fn log(&mut self, now: Instant) {
        let mut told = Vec::new();
        let held: BTreeSet<(&str, &str)> =
            self.held.iter().map(|((who, _), held)| (*who, &*held.key)).collect();
        self.lines.retain(|(who, key), line| {
            if held.contains(&(*who, key)) {
                line.held = now;
            }
            now.saturating_duration_since(line.held) < REPEAT
        });
        for group in self.groups() {
            let line = self.lines.get(&(group.who, group.key.to_owned()));
            let repeats = match line {
                Some(line) if line.is_paused == group.is_paused => {
                    if now < line.next {
                        continue;
                    }
                    line.repeats + 1
                }
                _ => 0,
            };
            write(&group, now);
            let next = now + REPEAT.saturating_mul(1 << repeats.min(16)).min(LONGEST_REPEAT);
            let line = WaitLine { next, repeats, is_paused: group.is_paused, held: now };
            told.push(((group.who, group.key.to_owned()), line));
        }
        for ((who, key), line) in told {
            // A text with a number differs each time.
            if self
                .lines
                .range((who, String::new())..)
                .take_while(|((of, _), _)| *of == who)
                .count()
                >= MAX_LINES
            {
                // Current waits are kept: otherwise each call would log them again.
                let held = &self.held;
                let is_held = |of: &'static str, key: &str| {
                    held.iter().any(|((who, _), held)| *who == of && held.key == key)
                };
                self.lines.retain(|(of, key), _| *of != who || is_held(of, key));
            }
            self.lines.insert((who, key), line);
        }
    }

    /// Ends a wait. When the last one of that name ends, logs that it is over, or given up.
    pub fn release(&mut self, who: &'static str, id: u64, is_over: bool, now: Instant) {
        if self.held.remove(&(who, id)).is_none() || self.held.keys().any(|(of, _)| *of == who) {
            return;
        }
        self.lines.retain(|(of, _), _| *of != who);
        let since = self.since.remove(who).unwrap_or(now);
        let waited_s = now.saturating_duration_since(since).as_secs();
        match is_over {
            true => tracing::info!(who, waited_s, "goes on"),
            false => tracing::info!(who, waited_s, "given up: it is not waited for any more"),
        }
    }

    /// The current waits, by name.
    pub fn groups(&self) -> impl Iterator<Item = WaitGroup<'_>> {
        let mut groups: BTreeMap<(&'static str, &str), WaitGroup<'_>> = BTreeMap::new();
        let mut seen: Vec<(&str, *const Concern)> = Vec::new();
        for ((who, _), held) in &self.held {
            let of = held.of.as_deref();
            let group = groups.entry((*who, &held.key)).or_insert(WaitGroup {
                who,
                key: &held.key,
                newest: held,
                is_paused: false,
                since: held.since,
                batches: 0,
                records: 0,
                first: of,
            });
            group.first = group.first.or(of);
            group.since = group.since.min(held.since);
            group.is_paused |= matches!(held.hold, Hold::Paused(_));
            if held.turn > group.newest.turn {
                group.newest = held;
            }
            // A batch may wait in several places at once.
            if let Some(of) = of
                && !seen.contains(&(group.key, std::ptr::from_ref(of)))
            {
                seen.push((group.key, std::ptr::from_ref(of)));
                group.batches += 1;
                group.records += of.records();
            }
        }
        groups.into_values()
    }
}

fn write(group: &WaitGroup<'_>, now: Instant) {
    let WaitGroup { who, newest, since, batches, records, first, .. } = *group;
    let waited_s = now.saturating_duration_since(since).as_secs();
    let (batches, records) =
        (Some(batches).filter(|of| *of > 0), Some(records).filter(|of| *of > 0));
    let (at, text) = (first.map(Concern::place), newest.hold.text());
    match group.is_paused {
        false => tracing::warn!(who, waited_s, batches, records, at, "waiting: {text}"),
        true => tracing::error!(who, waited_s, batches, records, at, "paused: {text}"),
    }
}

/// The key of a text: ClickHouse's texts contain amounts of memory or numbers of parts, which would make
/// each try a new wait. Error codes are kept.
fn key_of(who: &str, text: &str) -> String {
    if BY_NUMBER.contains(&who) {
        return text.to_owned();
    }
    let mut key = String::with_capacity(text.len());
    for (at, part) in text.split(CODE).enumerate() {
        let code = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (code, rest) =
            part.split_at_checked(if at == 0 { 0 } else { code }).unwrap_or_default();
        key.push_str(code);
        // A digit within a name is not a number.
        let mut is_in_word = false;
        key.extend(rest.chars().filter(|c| {
            let stays = is_in_word || !c.is_ascii_digit();
            is_in_word = stays && (c.is_alphanumeric() || *c == '_');
            stays
        }));
    }
    key
}

impl WaitGroup<'_> {
    /// The text for `/readyz`.
    pub fn text(&self) -> String {
        let mut text = format!("{}: {}", self.who, self.newest.hold.text());
        if let Some(first) = self.first {
            let _written = write!(
                text,
                " (batches held up: {}, records: {}, {}: {})",
                self.batches,
                self.records,
                if self.batches == 1 { "at" } else { "the first at" },
                first.place()
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_clickhouse_make_no_other_wait_but_codes_and_offsets_do() {
        let memory = |bytes| format!("Code: 241. DB::Exception: would use {bytes} MiB");
        assert_eq!(key_of("insert", &memory(7)), key_of("insert", &memory(1_024)));
        assert_ne!(
            key_of("insert", &memory(7)),
            key_of("insert", "Code: 242. DB::Exception: would use  MiB")
        );
        assert_ne!(key_of("insert", "view `v1` throws"), key_of("insert", "view `v2` throws"));
        let partition = |number| format!("topic `t`, partition {number}");
        assert_ne!(key_of("kafka", &partition(3)), key_of("kafka", &partition(4)));
    }

    #[test]
    fn what_many_wait_for_is_logged_once_each() {
        let (mut waits, now) = (Waits::default(), Instant::now());
        for partition in 0..150 {
            let hold = Hold::Transient(format!("`t`[{partition}] cannot be read"));
            waits.hold("kafka", partition, None, hold, None, now);
        }
        assert_eq!(waits.lines.len(), 150, "none of them is logged anew");
        for partition in 1..150 {
            waits.release("kafka", partition, true, now);
        }
        for offset in 0..150 {
            let hold = Hold::Transient(format!("`t`[0] at {offset} cannot be read"));
            waits.hold("kafka", 0, None, hold, None, now);
        }
        assert!(waits.lines.len() <= MAX_LINES, "{}", waits.lines.len());
    }
    #[test]
    fn what_is_over_is_new_when_it_comes_again_though_others_wait() {
        let (mut waits, start) = (Waits::default(), Instant::now());
        let hold = |text: &str| Hold::Paused(text.to_owned());
        let line =
            |waits: &Waits| waits.lines.get(&("insert", "b".to_owned())).map(|of| of.repeats);
        waits.hold("insert", 1, None, hold("a"), None, start);
        waits.hold("insert", 2, None, hold("b"), None, start);
        let mut now = start;
        for _ in 0..20 {
            now += REPEAT;
            waits.log(now);
        }
        assert!(line(&waits) > Some(2));
        waits.release("insert", 2, true, now);
        waits.log(now + REPEAT / 2);
        assert!(line(&waits) > Some(2), "it may take turns with another");
        now += REPEAT;
        waits.log(now);
        assert_eq!(line(&waits), None);
        waits.hold("insert", 2, None, hold("b"), None, now);
        assert_eq!(line(&waits), Some(0));
        let group = waits.groups().find(|group| group.key == "b").unwrap();
        assert_eq!(group.since, now, "the other one's wait is not its own");
    }
}
