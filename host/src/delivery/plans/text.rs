//! The plan of a partition as a value: its text in the commit metadata, and where a newly assigned member
//! begins with it. Pure: no clock, no I/O.

use std::fmt::{self, Write as _};

use twox_hash::XxHash3_64;

/// How many ranges a plan may hold. Its text then stays under Kafka's bound for commit metadata
/// (`offset.metadata.max.bytes`, 4,096 unless the broker says otherwise): see [`Plan::to_text`].
pub const MAX_PLANNED: usize = 48;

/// Prefix of all our formats, which tells them from metadata of other tools.
const OURS: &str = "sg";
/// This format.
const FORMAT: &str = "sg2";
/// The format before it: its ranges lack the table they were planned for.
const BEFORE: &str = "sg1";

/// The table that a range was planned for, and its server, each as a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Home {
    /// The server; only it and its replicas know the tokens.
    pub server: u32,
    /// The table and its deduplication window. Another table of the same name knows none of its tokens.
    pub table: u32,
    /// The second in which the server started, modulo 2^16.
    pub started: u16,
}

impl Home {
    /// Whether the server has not restarted between the two; start times are exact to within two seconds.
    pub fn has_run_until(&self, now: &Self) -> bool {
        let passed = now.started.wrapping_sub(self.started);
        self.server == now.server && passed.min(passed.wrapping_neg()) <= 2
    }
}

/// One range of offsets whose rows are one INSERT. It begins where the one before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Planned {
    /// The offset after the last record, exclusive. There was a record at `end - 1`.
    pub end: i64,
    /// Random, made once for this range in this plan: no other INSERT has the same token.
    pub nonce: u64,
    /// Fingerprint of the INSERT: the bytes of its body and the table's definition.
    pub fingerprint: u32,
    /// Position of the deduplication window when the range was planned.
    pub window_position: u64,
    /// The table it was planned for; `None` if a host of the older format planned it.
    pub home: Option<Home>,
    /// Fingerprint of the name of the column that holds the rows' token: see [`column_fingerprint`]. 0 if
    /// there is none or it is not known, as for a range without a home.
    pub column: u16,
}

/// What may have been inserted at and after the low watermark of one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    /// Kafka's id of the topic: a recreated topic of the same name has another.
    pub topic: u128,
    /// The low watermark, committed with the plan; the first range begins here.
    pub low: i64,
    /// The ranges, in order and contiguous.
    pub planned: Vec<Planned>,
}

impl Plan {
    /// The text for the commit metadata:
    /// `sg2;<topic>;<low>;<end>:<nonce>:<fingerprint>:<window position>:<server>:<table>:<started>:<column>,...`,
    /// with the low watermark in decimal and the rest in hexadecimal. The last four are omitted if unknown.
    /// At most 57 bytes, plus 84 for each range, whose nonce has 48 bits.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FORMAT};{:x};{};", self.topic, self.low);
        for (at, planned) in self.planned.iter().enumerate() {
            let Planned { end, nonce, fingerprint, window_position, home, column } = planned;
            let comma = if at == 0 { "" } else { "," };
            // Writing into a String never fails.
            let _ = write!(text, "{comma}{end:x}:{nonce:x}:{fingerprint:x}:{window_position:x}");
            if let Some(Home { server, table, started }) = home {
                let _ = write!(text, ":{server:x}:{table:x}:{started:x}:{column:x}");
            }
        }
        text
    }

    /// Parses a text of [`Plan::to_text`], or of the older format; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(';');
        let parse = match fields.next()? {
            FORMAT => Planned::parse,
            BEFORE => Planned::parse_before,
            _ => return None,
        };
        let topic = u128::from_str_radix(fields.next()?, 16).ok()?;
        let low = fields.next()?.parse().ok()?;
        let ranges = fields.next()?;
        if fields.next().is_some() {
            return None;
        }
        let planned = if ranges.is_empty() {
            Vec::new()
        } else {
            ranges.split(',').map(parse).collect::<Option<Vec<_>>>()?
        };
        let ends = || planned.iter().map(|range| range.end);
        let is_ascending = std::iter::once(low).chain(ends()).zip(ends()).all(|(a, b)| a < b);
        (low >= 0 && is_ascending && planned.len() <= MAX_PLANNED).then_some(Self {
            topic,
            low,
            planned,
        })
    }
}

impl Planned {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let end = i64::from_str_radix(fields.next()?, 16).ok()?;
        let nonce = u64::from_str_radix(fields.next()?, 16).ok()?;
        let fingerprint = u32::from_str_radix(fields.next()?, 16).ok()?;
        let window_position = u64::from_str_radix(fields.next()?, 16).ok()?;
        let (home, column) = match fields.next() {
            Some(server) => {
                let home = Home {
                    server: u32::from_str_radix(server, 16).ok()?,
                    table: u32::from_str_radix(fields.next()?, 16).ok()?,
                    started: u16::from_str_radix(fields.next()?, 16).ok()?,
                };
                (Some(home), u16::from_str_radix(fields.next()?, 16).ok()?)
            }
            None => (None, 0),
        };
        fields.next().is_none().then_some(Self {
            end,
            nonce,
            fingerprint,
            window_position,
            home,
            column,
        })
    }

    /// Parses a range of `sg1`: `<end>:<nonce>:<fingerprint>:<window position>`, with a longer fingerprint,
    /// and the position and the offset in decimal.
    fn parse_before(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let range = Self {
            end: fields.next()?.parse().ok()?,
            nonce: u64::from_str_radix(fields.next()?, 16).ok()?,
            fingerprint: short_fingerprint(u64::from_str_radix(fields.next()?, 16).ok()?),
            window_position: fields.next()?.parse().ok()?,
            home: None,
            column: 0,
        };
        fields.next().is_none().then_some(range)
    }
}

/// Fingerprint of the name of the token column; 0 for none.
pub fn column_fingerprint(name: Option<&str>) -> u16 {
    let fingerprint = |name: &str| {
        let [a, b, ..] = XxHash3_64::oneshot(name.as_bytes()).to_be_bytes();
        u16::from_be_bytes([a, b]).max(1)
    };
    name.map_or(0, fingerprint)
}

/// The half of a fingerprint that a plan stores.
pub fn short_fingerprint(fingerprint: u64) -> u32 {
    let [a, b, c, d, ..] = fingerprint.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// Where a member begins with a newly assigned partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing is committed for this topic: `auto.offset.reset` decides.
    Anew,
    /// The commit is of another topic of this name, or of the topic's original in another cluster. Only an
    /// operator can tell whether its offset is valid here: pause until the offset is set again.
    OfAnotherTopic,
    /// The metadata is ours but unreadable: a later version wrote it. Its ranges may have landed, so nothing
    /// is read until an operator runs that version or sets the offset.
    Unreadable,
    /// Read on from this offset; the metadata is no plan for it: warn unless it is empty.
    Unplanned(i64),
    /// Read the planned ranges again and insert them under the same tokens, then read on.
    Planned(Plan),
}

impl Beginning {
    /// The ends of the ranges to read again, exclusive, in order.
    pub fn ends(&self) -> impl Iterator<Item = i64> {
        let planned = match self {
            Self::Planned(plan) => plan.planned.as_slice(),
            _ => &[],
        };
        planned.iter().map(|range| range.end)
    }
}

/// Decides where to begin, from the committed offset and its metadata, and from the id of the current topic.
pub fn decide_beginning(committed: Option<(i64, &str)>, topic: u128) -> Beginning {
    let Some((offset, metadata)) = committed else { return Beginning::Anew };
    match Plan::parse(metadata) {
        // Tools that copy metadata translate the committed offset but not the one in the metadata.
        Some(plan) if plan.low != offset => Beginning::Unplanned(offset),
        Some(plan) if plan.topic != topic => Beginning::OfAnotherTopic,
        Some(plan) => Beginning::Planned(plan),
        None if metadata.starts_with(OURS) => Beginning::Unreadable,
        None => Beginning::Unplanned(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(end: i64) -> Planned {
        let home = Some(Home { server: 0xa, table: 0xb, started: 0xc });
        Planned { end, nonce: 0xfeed, fingerprint: 7, window_position: 12, home, column: 0xd }
    }

    fn plan(low: i64, ends: &[i64]) -> Plan {
        Plan { topic: 0xab, low, planned: ends.iter().map(|end| range(*end)).collect() }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let text = plan(5, &[8, 20]).to_text();
        assert_eq!(text, "sg2;ab;5;8:feed:7:c:a:b:c:d,14:feed:7:c:a:b:c:d");
        assert_eq!(Plan::parse(&text), Some(plan(5, &[8, 20])));
        assert_eq!(Plan::parse(&plan(5, &[]).to_text()), Some(plan(5, &[])));
    }

    #[test]
    fn a_plan_of_the_format_before_is_read_and_its_ranges_have_no_home() {
        let text = "sg1;ab;5;8:feed:fedcba9876543210:12,20:feed:7:12";
        let mut read = plan(5, &[8, 20]);
        for (range, fingerprint) in read.planned.iter_mut().zip([0xfedc_ba98, 0]) {
            (range.fingerprint, range.home, range.column) = (fingerprint, None, 0);
        }
        assert_eq!(Plan::parse(text), Some(read.clone()));
        // Written again, they still have none.
        assert_eq!(read.to_text(), "sg2;ab;5;8:feed:fedcba98:c,14:feed:0:c");
        assert_eq!(Plan::parse(&read.to_text()), Some(read));
        assert_eq!(Plan::parse("sg1;ab;5;").map(|plan| plan.planned), Some(Vec::new()));
        assert_eq!(Plan::parse("sg1;ab;5;8:feed:7:12:a:b"), None);
    }

    #[test]
    fn a_column_for_tokens_is_told_from_none_and_from_another() {
        let of = |name: &str| column_fingerprint(Some(name));
        assert_eq!(column_fingerprint(None), 0);
        assert_ne!(of("token"), of("tokens"));
        assert!((0..100_000).all(|at| of(&at.to_string()) != 0));
    }

    #[test]
    fn a_server_that_was_started_again_has_not_run_since() {
        let at = |started| Home { server: 1, table: 2, started };
        assert!(at(7).has_run_until(&at(7)) && at(7).has_run_until(&at(9)));
        assert!(at(0).has_run_until(&at(u16::MAX)));
        assert!(!at(7).has_run_until(&at(10)));
        assert!(!at(7).has_run_until(&Home { server: 3, ..at(7) }));
    }

    #[test]
    fn what_is_no_plan_is_not_read_as_one() {
        for text in [
            "",
            "sg3;ab;5;",
            "sg2;ab;5",
            "sg2;ab;5;;",
            "sg2;ab;five;",
            "sg2;ab;-1;",
            "sg2;ab;-9;-5:feed:7:12",
            "sg2;ab;5;8:feed:7",
            "sg2;ab;5;8:feed:7:12:1",
            "sg2;ab;5;8:feed:7:12:1:2",
            "sg2;ab;5;8:feed:7:12:1:2:3",
            "sg2;ab;5;8:feed:7:12:1:2:3:12345",
            "sg2;ab;5;8:feed:7:12:1:2:3:4:5",
            "sg2;ab;5;8:feed:7:12,",
            "sg2;ab;5;5:feed:7:12",
            "sg2;ab;5;8:feed:7:12,8:feed:7:12",
        ] {
            assert_eq!(Plan::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_plan_fits_into_commit_metadata() {
        let home = Some(Home { server: u32::MAX, table: u32::MAX, started: u16::MAX });
        let (nonce, fingerprint, window_position) = (u64::MAX >> 16, u32::MAX, u64::MAX);
        let last =
            Planned { end: i64::MAX, nonce, fingerprint, window_position, home, column: u16::MAX };
        let ends = (0..MAX_PLANNED as i64).map(|at| i64::MAX - 47 + at);
        let planned: Vec<_> = ends.map(|end| Planned { end, ..last }).collect();
        let longest = Plan { topic: u128::MAX, low: i64::MAX - 48, planned };
        let text = longest.to_text();
        assert_eq!(Plan::parse(&text), Some(longest.clone()));
        assert!(text.len() <= 57 + 84 * MAX_PLANNED && text.len() < 4096, "{}", text.len());
        let mut longer = longest;
        longer.low -= 1;
        longer.planned.insert(0, Planned { end: i64::MAX - 48, ..last });
        assert_eq!(Plan::parse(&longer.to_text()), None);
    }

    #[test]
    fn a_member_begins_with_a_plan_only_if_it_is_of_this_offset_and_topic() {
        let text = plan(5, &[8]).to_text();
        assert_eq!(decide_beginning(None, 0xab), Beginning::Anew);
        assert_eq!(decide_beginning(Some((5, &text)), 0xab), Beginning::Planned(plan(5, &[8])));
        assert_eq!(decide_beginning(Some((6, &text)), 0xab), Beginning::Unplanned(6));
        assert_eq!(decide_beginning(Some((5, &text)), 0xac), Beginning::OfAnotherTopic);
        assert_eq!(decide_beginning(Some((5, "")), 0xab), Beginning::Unplanned(5));
        assert_eq!(decide_beginning(Some((5, "of another tool")), 0xab), Beginning::Unplanned(5));
        assert_eq!(decide_beginning(Some((5, "sg3;something new")), 0xab), Beginning::Unreadable);
    }
}
