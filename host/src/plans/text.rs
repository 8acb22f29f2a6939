//! What is planned for a partition, as a value: its text in the commit metadata, and what a member
//! that is assigned the partition makes of it. Pure: no clock, no I/O.

use std::fmt::{self, Write as _};

/// How many ranges a plan may hold. Its text then stays under Kafka's bound for commit metadata
/// (`offset.metadata.max.bytes`, 4,096 unless the broker says otherwise): see [`Plan::to_text`].
pub const MAX_PLANNED: usize = 48;

/// What every format of ours begins with, so that metadata of other tools is told apart.
const OURS: &str = "sg";
/// This format.
const FORMAT: &str = "sg1";

/// One range of offsets whose rows are one INSERT. It begins where the one before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Planned {
    /// The offset after the last record, exclusive. There was a record at `end - 1`.
    pub end: i64,
    /// Random, made once for this range in this plan: no other INSERT has the same token.
    pub nonce: u64,
    /// A fingerprint of what is inserted: the bytes of the body and the table's definition.
    pub print: u64,
    /// Where the deduplication window stood when the range was planned.
    pub mark: u64,
}

/// What may have been inserted at and after the low watermark of one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    /// Kafka's id of the topic: a topic of the same name that is created again has another.
    pub topic: u128,
    /// The low watermark, which is committed beside it; the first range begins here.
    pub low: i64,
    /// The ranges, without a gap between them.
    pub planned: Vec<Planned>,
}

impl Plan {
    /// The text for the commit metadata: `sg1;<topic>;<low>;<end>:<nonce>:<print>:<mark>,...`, the
    /// offsets and the mark in decimal, the rest in hexadecimal. At most 57 bytes and 75 for each
    /// range.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FORMAT};{:x};{};", self.topic, self.low);
        for (at, Planned { end, nonce, print, mark }) in self.planned.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            // Writing into a String never fails.
            let _ = write!(text, "{comma}{end}:{nonce:x}:{print:x}:{mark}");
        }
        text
    }

    /// Reads what [`Plan::to_text`] wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(';');
        if fields.next()? != FORMAT {
            return None;
        }
        let topic = u128::from_str_radix(fields.next()?, 16).ok()?;
        let low = fields.next()?.parse().ok()?;
        let ranges = fields.next()?;
        if fields.next().is_some() {
            return None;
        }
        let planned = if ranges.is_empty() {
            Vec::new()
        } else {
            ranges.split(',').map(Planned::parse).collect::<Option<Vec<_>>>()?
        };
        let ends = || planned.iter().map(|range| range.end);
        let is_ascending = std::iter::once(low).chain(ends()).zip(ends()).all(|(a, b)| a < b);
        (is_ascending && planned.len() <= MAX_PLANNED).then_some(Self { topic, low, planned })
    }
}

impl Planned {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(':');
        let range = Self {
            end: fields.next()?.parse().ok()?,
            nonce: u64::from_str_radix(fields.next()?, 16).ok()?,
            print: u64::from_str_radix(fields.next()?, 16).ok()?,
            mark: fields.next()?.parse().ok()?,
        };
        fields.next().is_none().then_some(range)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// Where a member begins that is assigned a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing is committed for this topic: read from where `auto.offset.reset` says.
    Anew,
    /// The commit was made for another topic of this name, or for its original elsewhere. Whether its
    /// offset means anything here only an operator can tell: pause until the offset is set anew.
    OfAnotherTopic,
    /// The metadata is ours and cannot be read: a later version wrote it. What it plans may have
    /// landed, so nothing may be read before an operator has run that version or set the offset.
    Unreadable,
    /// Read on from this offset; the metadata is no plan of ours for it, so warn unless it is empty.
    Unplanned(i64),
    /// Read the planned ranges again and insert them under the same tokens, then read on.
    Planned(Plan),
}

impl Beginning {
    /// Where the ranges end that are to be read again, exclusive, in order.
    pub fn ends(&self) -> impl Iterator<Item = i64> {
        let planned = match self {
            Self::Planned(plan) => plan.planned.as_slice(),
            _ => &[],
        };
        planned.iter().map(|range| range.end)
    }
}

/// Decides where to begin from what is committed, an offset and its metadata, and from the id of
/// the topic that is there now.
pub fn begin(committed: Option<(i64, &str)>, topic: u128) -> Beginning {
    let Some((offset, metadata)) = committed else { return Beginning::Anew };
    match Plan::parse(metadata) {
        // Tools that copy metadata translate the offset beside it and not the one in it.
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
        Planned { end, nonce: 0xfeed, print: 7, mark: 12 }
    }

    fn plan(low: i64, ends: &[i64]) -> Plan {
        Plan { topic: 0xab, low, planned: ends.iter().map(|end| range(*end)).collect() }
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let text = plan(5, &[8, 20]).to_text();
        assert_eq!(text, "sg1;ab;5;8:feed:7:12,20:feed:7:12");
        assert_eq!(Plan::parse(&text), Some(plan(5, &[8, 20])));
        assert_eq!(Plan::parse(&plan(5, &[]).to_text()), Some(plan(5, &[])));
    }

    #[test]
    fn what_is_no_plan_is_not_read_as_one() {
        for text in [
            "",
            "sg2;ab;5;",
            "sg1;ab;5",
            "sg1;ab;5;;",
            "sg1;ab;five;",
            "sg1;ab;5;8:feed:7",
            "sg1;ab;5;8:feed:7:12:1",
            "sg1;ab;5;8:feed:7:12,",
            "sg1;ab;5;5:feed:7:12",
            "sg1;ab;5;8:feed:7:12,8:feed:7:12",
        ] {
            assert_eq!(Plan::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_longest_plan_fits_into_commit_metadata() {
        let last = Planned { end: i64::MAX, nonce: u64::MAX, print: u64::MAX, mark: u64::MAX };
        let ends = (0..MAX_PLANNED as i64).map(|at| i64::MAX - 47 + at);
        let planned: Vec<_> = ends.map(|end| Planned { end, ..last }).collect();
        let longest = Plan { topic: u128::MAX, low: i64::MAX - 48, planned };
        let text = longest.to_text();
        assert_eq!(Plan::parse(&text), Some(longest.clone()));
        assert!(text.len() <= 57 + 75 * MAX_PLANNED && text.len() < 4096, "{}", text.len());
        let mut longer = longest;
        longer.low -= 1;
        longer.planned.insert(0, Planned { end: i64::MAX - 48, ..last });
        assert_eq!(Plan::parse(&longer.to_text()), None);
    }

    #[test]
    fn a_member_begins_with_a_plan_only_if_it_is_of_this_offset_and_topic() {
        let text = plan(5, &[8]).to_text();
        assert_eq!(begin(None, 0xab), Beginning::Anew);
        assert_eq!(begin(Some((5, &text)), 0xab), Beginning::Planned(plan(5, &[8])));
        assert_eq!(begin(Some((6, &text)), 0xab), Beginning::Unplanned(6));
        assert_eq!(begin(Some((5, &text)), 0xac), Beginning::OfAnotherTopic);
        assert_eq!(begin(Some((5, "")), 0xab), Beginning::Unplanned(5));
        assert_eq!(begin(Some((5, "of another tool")), 0xab), Beginning::Unplanned(5));
        assert_eq!(begin(Some((5, "sg2;something new")), 0xab), Beginning::Unreadable);
    }
}
