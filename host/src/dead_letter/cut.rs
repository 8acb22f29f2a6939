//! Cuts a record whose dead letter is too large: payload first, then headers, then key.

use sha2::{Digest as _, Sha256};

use super::earlier::Earlier;
use crate::flow::record::Record;

/// How many bytes of a record are kept.
#[derive(Debug, Clone, Copy)]
struct KeptBytes {
    payload: usize,
    /// Names and values together, plus [`HEADER_OVERHEAD`] each; of each value at most [`HEADER_BYTES`].
    headers: usize,
    key: usize,
}

const ALL: usize = usize::MAX;

/// The steps, tried in order while the topic refuses the letter; the first keeps all. The last leaves at most
/// 16 kB with the facts, in an envelope too, whatever the record holds.
const STEPS: [KeptBytes; 6] = [
    KeptBytes { payload: ALL, headers: ALL, key: ALL },
    KeptBytes { payload: 64_000, headers: ALL, key: ALL },
    KeptBytes { payload: 64_000, headers: 16_000, key: ALL },
    KeptBytes { payload: 64_000, headers: 16_000, key: 1_000 },
    KeptBytes { payload: 4_000, headers: 4_000, key: 1_000 },
    KeptBytes { payload: 500, headers: 0, key: 100 },
];
/// Most bytes kept of each header name and value once headers are cut.
const HEADER_BYTES: usize = 1_000;
/// Most bytes of a header besides its name and value.
pub(super) const HEADER_OVERHEAD: usize = 10;

/// How far a letter is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CutStep(usize);

impl CutStep {
    /// Nothing is cut.
    pub const WHOLE: Self = Self(0);

    /// The next step that keeps less of this record, if any.
    pub fn next(self, record: &Record<'_>) -> Option<Self> {
        let kept = Kept::whole(record);
        let of = |step: usize| STEPS.get(step).map(|bounds| kept.size(bounds));
        let now = of(self.0)?;
        (self.0 + 1..STEPS.len()).find(|step| of(*step).is_some_and(|size| size < now)).map(Self)
    }

    fn bounds(self) -> &'static KeptBytes {
        STEPS.get(self.0).unwrap_or(&STEPS[0])
    }

    /// The kept payload and key.
    pub fn payload_and_key<'a>(self, record: &Record<'a>) -> [Option<&'a [u8]>; 2] {
        let bounds = self.bounds();
        [(record.payload(), bounds.payload), (record.key(), bounds.key)].map(|(of, most)| {
            of.map(|bytes| if bytes.len() > most { start(bytes, most) } else { bytes })
        })
    }

    /// Upper bound on the sum of `bytes` over the kept headers, if that is at most `per_byte` for each byte
    /// that a header counts here.
    pub fn headers(
        self,
        record: &Record<'_>,
        bytes: impl Fn(KeptHeader<'_>) -> usize,
        per_byte: usize,
    ) -> usize {
        let most = self.bounds().headers;
        if room_of_headers(record.headers()) > most {
            return most.saturating_mul(per_byte);
        }
        record.headers().map(bytes).sum()
    }

    /// What is kept of this record.
    pub fn keep<'a>(self, record: &Record<'a>) -> Kept<'a> {
        let whole = Kept::whole(record);
        match STEPS.get(self.0) {
            Some(bounds) if self != Self::WHOLE => whole.within(bounds),
            _ => whole,
        }
    }
}

/// A part that can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LetterPart {
    /// The record's payload.
    Payload,
    /// The record's own headers.
    Headers,
    /// The record's key.
    Key,
}

impl LetterPart {
    /// Every part, in the order of cutting.
    pub const ALL: [Self; 3] = [Self::Payload, Self::Headers, Self::Key];

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Payload => "payload",
            Self::Headers => "headers",
            Self::Key => "key",
        }
    }

    /// The headers for its original number of bytes and its digest.
    pub fn headers(self) -> [&'static str; 2] {
        match self {
            Self::Payload => ["sluicegate.truncated-from", "sluicegate.sha256"],
            Self::Headers => ["sluicegate.headers-truncated-from", "sluicegate.headers-sha256"],
            Self::Key => ["sluicegate.key-truncated-from", "sluicegate.key-sha256"],
        }
    }
}

/// What was cut off one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The part.
    pub part: LetterPart,
    /// Its original bytes; for headers, those of names and values.
    pub from: u64,
    /// The bytes kept; `None` if an earlier letter cut it.
    pub left: Option<usize>,
    /// The SHA-256 of the original, in hexadecimal; for headers, see [`digest_of_headers`].
    pub sha256: String,
}

/// A name and a value.
pub type KeptHeader<'a> = (&'a [u8], Option<&'a [u8]>);

/// What a letter keeps of its record.
#[derive(Debug)]
pub struct Kept<'a> {
    /// The payload; `None` for a tombstone.
    pub payload: Option<&'a [u8]>,
    /// The record's headers, without those of an earlier letter.
    pub headers: Vec<KeptHeader<'a>>,
    /// How many headers are missing.
    pub left_out: u64,
    /// How often the record failed before.
    pub attempts: u32,
    /// The key, if any.
    pub key: Option<&'a [u8]>,
    /// What was cut, at most once for each part.
    pub cuts: Vec<Cut>,
}

impl<'a> Kept<'a> {
    /// The uncut record, with the cuts of an earlier letter.
    fn whole(record: &Record<'a>) -> Self {
        let Earlier { own, attempts, cuts, left_out } = Earlier::of(record);
        let (payload, key) = (record.payload(), record.key());
        Self { payload, headers: own, key, cuts, left_out, attempts }
    }

    /// Upper bound on the bytes kept within these bounds.
    fn size(&self, bounds: &KeptBytes) -> usize {
        size(self.payload, self.headers.iter().copied(), self.key, bounds)
    }

    fn within(mut self, bounds: &KeptBytes) -> Self {
        if let Some(payload) = self.payload.filter(|payload| payload.len() > bounds.payload) {
            let left = start(payload, bounds.payload);
            self.note(LetterPart::Payload, payload.len(), left.len(), || digest(payload));
            self.payload = Some(left);
        }
        if room_of_headers(self.headers.iter().copied()) > bounds.headers {
            let whole = std::mem::take(&mut self.headers);
            let mut room = bounds.headers;
            for (name, value) in &whole {
                let header = (*name, value.map(|value| start(value, HEADER_BYTES)));
                let needed = room_of(header);
                if name.len() > HEADER_BYTES || needed > room {
                    self.left_out = self.left_out.saturating_add(1);
                    continue;
                }
                room -= needed;
                self.headers.push(header);
            }
            let [from, left] = [&whole, &self.headers].map(|of| bytes_of_headers(of));
            self.note(LetterPart::Headers, from, left, || digest_of_headers(&whole));
        }
        if let Some(key) = self.key.filter(|key| key.len() > bounds.key) {
            let left = start(key, bounds.key);
            self.note(LetterPart::Key, key.len(), left.len(), || digest(key));
            self.key = Some(left);
        }
        self
    }

    /// Notes a cut. An earlier one of the part keeps its size and digest: they are of the original.
    fn note(
        &mut self,
        part: LetterPart,
        from: usize,
        left: usize,
        digest: impl FnOnce() -> String,
    ) {
        match self.cuts.iter_mut().find(|cut| cut.part == part) {
            Some(earlier) => earlier.left = Some(left),
            None => {
                let (from, sha256) = (from as u64, digest());
                self.cuts.push(Cut { part, from, left: Some(left), sha256 });
            }
        }
    }
}

/// Upper bound on the bytes of a record kept within these bounds.
fn size<'a>(
    payload: Option<&[u8]>,
    headers: impl Iterator<Item = KeptHeader<'a>>,
    key: Option<&[u8]>,
    bounds: &KeptBytes,
) -> usize {
    let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
    length(payload).min(bounds.payload)
        + room_of_headers(headers).min(bounds.headers)
        + length(key).min(bounds.key)
}

fn room_of_headers<'a>(headers: impl Iterator<Item = KeptHeader<'a>>) -> usize {
    headers.map(room_of).sum()
}

fn room_of((name, value): KeptHeader<'_>) -> usize {
    name.len() + value.map_or(0, <[u8]>::len) + HEADER_OVERHEAD
}

/// The bytes of names and values.
fn bytes_of_headers(headers: &[KeptHeader<'_>]) -> usize {
    headers.iter().map(|header| room_of(*header) - HEADER_OVERHEAD).sum()
}

/// At most `most` bytes from the start; of UTF-8 text, whole characters.
fn start(bytes: &[u8], most: usize) -> &[u8] {
    let end = match std::str::from_utf8(bytes) {
        Ok(text) => text.floor_char_boundary(most),
        Err(_) => most,
    };
    bytes.get(..end).unwrap_or(bytes)
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The digest over each name and value in order, each prefixed by its length as four bytes, big-endian; the
/// length of a null value is 4294967295.
fn digest_of_headers(headers: &[KeptHeader<'_>]) -> String {
    let mut hash = Sha256::new();
    let mut add = |bytes: Option<&[u8]>| {
        let length = bytes.map_or(u32::MAX, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        hash.update(length.to_be_bytes());
        hash.update(bytes.unwrap_or_default());
    };
    for (name, value) in headers {
        add(Some(name));
        add(*value);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::super::earlier::{ALWAYS, LEFT_OUT};
    use super::*;
    use crate::flow::record::{Batch, RawRecord, TopicPartition};

    fn batch(key: &[u8], payload: &[u8], headers: &[(&str, &[u8])]) -> Batch {
        let mut batch = Batch::default();
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let raw = RawRecord { key: Some(key), payload: Some(payload), ..RawRecord::default() };
        batch.push(&partition, 1, &raw);
        for (name, value) in headers {
            batch.push_header(name.as_bytes(), Some(value));
        }
        batch
    }

    /// The steps of cutting a record, as (payload, headers, key) kept.
    fn steps(batch: &Batch) -> Vec<(usize, usize, usize)> {
        let record = batch.record(0).unwrap();
        let mut step = CutStep::WHOLE;
        std::iter::from_fn(|| {
            step = step.next(&record)?;
            let kept = step.keep(&record);
            let headers = bytes_of_headers(&kept.headers);
            Some((kept.payload.unwrap().len(), headers, kept.key.unwrap().len()))
        })
        .collect()
    }

    #[test]
    fn payload_goes_first_then_headers_then_key_each_where_it_is_large() {
        let large = vec![b'x'; 2_000_000];
        assert_eq!(steps(&batch(b"k", b"p", &[])), []);
        assert_eq!(steps(&batch(b"k", b"p", &[("h", b"v")])), [(1, 0, 1)]);
        let of_payload = [(64_000, 0, 1), (4_000, 0, 1), (500, 0, 1)];
        assert_eq!(steps(&batch(b"k", &large, &[])), of_payload);
        let of_headers = [(1, 1_001, 1), (1, 1_001, 1), (1, 0, 1)];
        assert_eq!(steps(&batch(b"k", b"p", &[("h", &large)])), of_headers);
        assert_eq!(steps(&batch(&large, b"p", &[])), [(1, 0, 1_000), (1, 0, 100)]);
        let all = steps(&batch(&large, &large, &[("h", &large), ("small", b"v")]));
        let (of_all, key) = (2_000_007, 2_000_000);
        let expected = [
            (64_000, of_all, key),
            (64_000, 1_007, key),
            (64_000, 1_007, 1_000),
            (4_000, 1_007, 1_000),
            (500, 0, 100),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn headers_count_though_they_are_empty_and_those_left_out_are_told() {
        let batch = batch(b"k", b"p", &vec![("", b"".as_slice()); 100_000]);
        let record = batch.record(0).unwrap();
        let step = CutStep::WHOLE.next(&record).unwrap();
        let kept = step.keep(&record);
        assert_eq!((kept.headers.len(), kept.left_out), (1_600, 98_400));
        let last = std::iter::successors(Some(step), |step| step.next(&record)).last().unwrap();
        assert_eq!(last.keep(&record).left_out, 100_000);
    }

    #[test]
    fn a_cut_tells_the_size_and_the_digest_of_what_was_there() {
        let payload = vec![b'x'; 70_000];
        let batch = batch(&[7; 5_000], &payload, &[("a", &vec![1; 20_000])]);
        let record = batch.record(0).unwrap();
        let kept = CutStep(3).keep(&record);
        let told = |cut: &Cut| (cut.part, cut.from, cut.left);
        let expected = [
            (LetterPart::Payload, 70_000, Some(64_000)),
            (LetterPart::Headers, 20_001, Some(1_001)),
            (LetterPart::Key, 5_000, Some(1_000)),
        ];
        assert_eq!(kept.cuts.iter().map(told).collect::<Vec<_>>(), expected);
        assert_eq!(kept.cuts[0].sha256, digest(&payload));
        assert_eq!(kept.cuts[2].sha256, digest(&[7; 5_000]));
        let bytes = [&[0, 0, 0, 1, b'a', 0, 0, 0x4e, 0x20][..], &vec![1; 20_000]].concat();
        assert_eq!(kept.cuts[1].sha256, digest(&bytes));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let text = "ä".repeat(40_000);
        let batch = batch(b"", format!("x{text}").as_bytes(), &[]);
        let kept = CutStep(1).keep(&batch.record(0).unwrap());
        assert_eq!(kept.payload.unwrap().len(), 63_999);
        assert!(std::str::from_utf8(kept.payload.unwrap()).is_ok());
    }

    #[test]
    fn a_letter_of_a_record_that_was_cut_before_goes_on_saying_so() {
        let sha256 = "0f".repeat(32);
        let mut headers: Vec<(&str, &[u8])> = ALWAYS.map(|name| (name, b"1".as_slice())).to_vec();
        headers.push(("sluicegate.truncated-from", b"900000"));
        headers.push(("sluicegate.sha256", sha256.as_bytes()));
        headers.push((LEFT_OUT, b"7"));
        headers.push(("own", b"x"));
        let batch = batch(b"k", &vec![b'x'; 64_000], &headers);
        let record = batch.record(0).unwrap();
        for (step, left, left_out) in [(CutStep::WHOLE, None, 7), (CutStep(5), Some(500), 8)] {
            let kept = step.keep(&record);
            let cut =
                Cut { part: LetterPart::Payload, from: 900_000, left, sha256: sha256.clone() };
            assert_eq!(kept.cuts[0], cut);
            assert_eq!(kept.left_out, left_out);
        }
    }
}
