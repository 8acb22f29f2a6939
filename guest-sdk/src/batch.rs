use std::fmt;
use std::ops::Range;

use crate::wire;

/// The rows of one call, in the order in which they were read, partition by partition.
///
/// Its lists were checked when it came in, so every row has a payload and a [`Meta`].
#[derive(Clone)]
pub struct Batch<'a> {
    lists: &'a wire::Batch,
    /// The row at which each run ends.
    run_ends: Vec<usize>,
}

impl<'a> Batch<'a> {
    /// Checks the lists of a batch against each other, once for all of its rows.
    ///
    /// # Errors
    ///
    /// When they break the contract, with the list that does.
    pub(crate) fn new(lists: &'a wire::Batch) -> Result<Self, String> {
        let rows = lists.value_ends.len();
        let mut covered = 0_usize;
        let mut run_ends = Vec::with_capacity(lists.runs.len());
        for run in &lists.runs {
            covered = covered.saturating_add(usize::try_from(run.rows).unwrap_or(usize::MAX));
            run_ends.push(covered);
        }
        let fits = |length: usize| length == 0 || length == rows;
        let checks = [
            ("runs", covered == rows),
            ("value-ends", are_ends(&lists.value_ends, lists.values.len())),
            ("offsets", fits(lists.offsets.len())),
            ("timestamps", fits(lists.timestamps.len())),
            ("key-ends", fits(lists.key_ends.len())),
            ("key-ends", are_ends(&lists.key_ends, lists.keys.len())),
            ("no-keys", lists.no_keys.is_sorted()),
            ("headers", lists.headers.is_sorted_by_key(|header| header.row)),
        ];
        match checks.iter().find(|(_, holds)| !holds) {
            Some((list, _)) => Err(format!("the batch from the host has a wrong list `{list}`")),
            None => Ok(Self { lists, run_ends }),
        }
    }

    /// How many rows there are; at least 1 in a batch from the host.
    pub fn rows(&self) -> usize {
        self.lists.value_ends.len()
    }

    /// The payload of a row, from 0; `None` past the last one.
    pub fn value(&self, row: usize) -> Option<&'a [u8]> {
        piece(&self.lists.values, &self.lists.value_ends, row)
    }

    /// What is known of a row's record, from 0; `None` past the last one.
    pub fn meta(&self, row: usize) -> Option<Meta<'a>> {
        let index = self.run_ends.partition_point(|end| *end <= row);
        let run = self.lists.runs.get(index)?;
        Some(Meta { lists: self.lists, run, row })
    }

    /// Each row's payload and what is known of its record.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Meta<'a>)> + '_ {
        let runs = self.lists.runs.iter().zip(&self.run_ends);
        let mut first = 0;
        runs.flat_map(move |(run, end)| {
            let rows = first..*end;
            first = *end;
            rows.filter_map(move |row| {
                Some((self.value(row)?, Meta { lists: self.lists, run, row }))
            })
        })
    }
}

impl fmt::Debug for Batch<'_> {
    /// Without payloads, since what is printed may be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("rows", &self.rows()).finish_non_exhaustive()
    }
}

/// What is known of a row's record beside its payload.
#[derive(Clone, Copy)]
pub struct Meta<'a> {
    lists: &'a wire::Batch,
    run: &'a wire::Run,
    row: usize,
}

impl<'a> Meta<'a> {
    /// The topic that the record was read from.
    pub fn topic(&self) -> &'a str {
        &self.run.topic
    }

    /// The partition that the record was read from.
    pub fn partition(&self) -> i32 {
        self.run.partition
    }

    /// The record's offset; `None` if [`Wants::OFFSETS`](crate::Wants::OFFSETS) was not asked for.
    pub fn offset(&self) -> Option<i64> {
        self.lists.offsets.get(self.row).copied()
    }

    /// Milliseconds since 1970; `None` where the broker kept none, or if
    /// [`Wants::TIMESTAMPS`](crate::Wants::TIMESTAMPS) was not asked for.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.lists.timestamps.get(self.row).copied().filter(|timestamp| *timestamp != -1)
    }

    /// The key, which may be empty; `None` where there is none, or if
    /// [`Wants::KEYS`](crate::Wants::KEYS) was not asked for.
    pub fn key(&self) -> Option<&'a [u8]> {
        let row = u32::try_from(self.row).ok()?;
        match self.lists.no_keys.binary_search(&row) {
            Ok(_) => None,
            Err(_) => piece(&self.lists.keys, &self.lists.key_ends, self.row),
        }
    }

    /// The headers in their order, names that stand twice included; none if
    /// [`Wants::HEADERS`](crate::Wants::HEADERS) was not asked for.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + use<'a> {
        let row = u32::try_from(self.row).unwrap_or(u32::MAX);
        let first = self.lists.headers.partition_point(|header| header.row < row);
        let headers = self.lists.headers.iter().skip(first);
        headers
            .take_while(move |header| header.row == row)
            .map(|header| Header { name: &header.name, value: header.value.as_deref() })
    }
}

impl fmt::Debug for Meta<'_> {
    /// Without key and headers, since what is printed may be logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta")
            .field("topic", &self.topic())
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

/// A header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name; bytes that are not UTF-8 came replaced.
    pub name: &'a str,
    /// Its value, if it has one.
    pub value: Option<&'a [u8]>,
}

/// Whether the ends cut `length` bytes into pieces, in order and without a rest.
fn are_ends(ends: &[u32], length: usize) -> bool {
    let last = ends.last().map_or(Some(0), |end| usize::try_from(*end).ok());
    ends.is_sorted() && last == Some(length)
}

/// The piece between an end and the one before it.
pub(crate) fn piece<'a>(bytes: &'a [u8], ends: &[u32], index: usize) -> Option<&'a [u8]> {
    bytes.get(span(ends, index)?)
}

/// Where the piece between an end and the one before it lies.
pub(crate) fn span(ends: &[u32], index: usize) -> Option<Range<usize>> {
    let start = match index.checked_sub(1) {
        Some(before) => usize::try_from(*ends.get(before)?).ok()?,
        None => 0,
    };
    Some(start..usize::try_from(*ends.get(index)?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wants;
    use crate::testing::{Input, batch};

    fn two_topics(wants: Wants) -> wire::Batch {
        let inputs = [
            Input::new("first").key("").header("a", Some("1")).header("a", None).offset(7),
            Input::new("").timestamp_ms(1_700_000_000_000),
            Input::new("third").topic("other").partition(3).key("k").header("b", Some("2")),
        ];
        batch(wants, &inputs).unwrap()
    }

    #[test]
    fn every_row_has_its_payload_and_none_beyond() {
        let lists = two_topics(Wants::NONE);
        let batch = Batch::new(&lists).unwrap();
        assert_eq!(batch.rows(), 3);
        assert_eq!(batch.value(0), Some(&b"first"[..]));
        assert_eq!(batch.value(1), Some(&b""[..]));
        assert_eq!(batch.value(2), Some(&b"third"[..]));
        assert_eq!(batch.value(3), None);
        assert_eq!(batch.value(usize::MAX), None);
        assert!(batch.meta(2).is_some() && batch.meta(3).is_none());
        assert_eq!(batch.iter().count(), 3);
    }

    #[test]
    fn meta_tells_no_key_from_an_empty_one_and_finds_its_run_and_headers() {
        let all = Wants::OFFSETS.and(Wants::TIMESTAMPS).and(Wants::KEYS).and(Wants::HEADERS);
        let lists = two_topics(all);
        let batch = Batch::new(&lists).unwrap();
        let metas: Vec<_> = batch.iter().map(|(_, meta)| meta).collect();
        let keys: Vec<_> = metas.iter().map(Meta::key).collect();
        assert_eq!(keys, [Some(&b""[..]), None, Some(&b"k"[..])]);
        let topics: Vec<_> = metas.iter().map(|meta| (meta.topic(), meta.partition())).collect();
        assert_eq!(topics, [("test", 0), ("test", 0), ("other", 3)]);
        assert_eq!(metas[0].offset(), Some(7));
        assert_eq!(
            (metas[0].timestamp_ms(), metas[1].timestamp_ms()),
            (None, Some(1_700_000_000_000))
        );
        let headers: Vec<_> =
            metas[0].headers().map(|header| (header.name, header.value)).collect();
        assert_eq!(headers, [("a", Some(&b"1"[..])), ("a", None)]);
        assert_eq!((metas[1].headers().count(), metas[2].headers().count()), (0, 1));
        assert_eq!(batch.meta(2).map(|meta| meta.topic()), Some("other"));
    }

    #[test]
    fn what_was_not_wanted_is_none() {
        let lists = two_topics(Wants::NONE);
        let batch = Batch::new(&lists).unwrap();
        let meta = batch.meta(0).unwrap();
        assert_eq!((meta.offset(), meta.timestamp_ms(), meta.key()), (None, None, None));
        assert_eq!(meta.headers().count(), 0);
    }

    #[test]
    fn lists_that_do_not_fit_each_other_are_refused_by_name() {
        type Break = (&'static str, fn(&mut wire::Batch));
        let breaks: [Break; 7] = [
            ("runs", |lists| lists.runs[0].rows += 1),
            ("value-ends", |lists| lists.value_ends.swap(0, 2)),
            ("value-ends", |lists| lists.values.push(0)),
            ("offsets", |lists| lists.offsets.push(0)),
            ("key-ends", |lists| lists.keys.push(0)),
            ("no-keys", |lists| lists.no_keys = vec![2, 1]),
            ("headers", |lists| lists.headers.swap(0, 2)),
        ];
        for (list, make) in breaks {
            let mut lists = two_topics(Wants::KEYS.and(Wants::HEADERS));
            make(&mut lists);
            let error = Batch::new(&lists).unwrap_err();
            assert_eq!(error, format!("the batch from the host has a wrong list `{list}`"));
        }
    }

    #[test]
    fn debug_shows_no_payload_and_no_key() {
        let lists = two_topics(Wants::KEYS);
        let batch = Batch::new(&lists).unwrap();
        let text = format!("{batch:?} {:?}", batch.meta(0));
        assert!(!text.contains("first") && !text.contains("key"), "{text}");
    }
}
