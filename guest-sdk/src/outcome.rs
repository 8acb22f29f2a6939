use crate::wire::{self, Action};
use crate::{IntoPayload, Rejection, Verdict};

/// The answer to a batch: one verdict for each row, in the order of the rows.
///
/// What is pushed keeps its lists consistent; only the number of rows is the caller's to get
/// right. The host refuses an answer that lacks a row.
#[derive(Debug)]
pub struct Outcome {
    lists: wire::Outcome,
}

impl Outcome {
    /// An answer without rows; what [`keep`](Self::keep) adds for this many of them allocates
    /// nothing.
    pub fn with_capacity(rows: usize) -> Self {
        Self::of(Vec::with_capacity(rows))
    }

    /// The answer that keeps all of the rows.
    pub fn keep_all(rows: usize) -> Self {
        Self::of(vec![Action::Keep; rows])
    }

    /// Answers the next row.
    ///
    /// # Errors
    ///
    /// When the answers are larger than 4 GiB together. The row then has no answer.
    pub fn push<T: IntoPayload>(&mut self, verdict: Verdict<T>) -> Result<(), String> {
        match verdict {
            Verdict::Keep => self.keep(),
            Verdict::Drop => self.drop_row(),
            Verdict::Reject(rejection) => self.reject(rejection),
            Verdict::Replace(payload) => self.replace(payload)?,
            Verdict::Many(payloads) => self.many(payloads)?,
        }
        Ok(())
    }

    /// The next row goes on as it is.
    pub fn keep(&mut self) {
        self.lists.actions.push(Action::Keep);
    }

    /// The next row ends here, and counts as settled.
    pub fn drop_row(&mut self) {
        self.lists.actions.push(Action::Drop);
    }

    /// The next row's record goes to the dead letter topic.
    pub fn reject(&mut self, rejection: Rejection) {
        let (message, column) = rejection.into_parts();
        self.lists.actions.push(Action::Reject);
        self.lists.rejections.push(wire::Rejection { message, column });
    }

    /// This goes on in the place of the next row; one that cannot be written rejects the row.
    ///
    /// # Errors
    ///
    /// When the answers are larger than 4 GiB together. The row then has no answer.
    pub fn replace(&mut self, payload: impl IntoPayload) -> Result<(), String> {
        if self.write([payload])?.is_some() {
            self.lists.actions.push(Action::Replace);
        }
        Ok(())
    }

    /// These go on in the place of the next row; one that cannot be written rejects the row.
    ///
    /// # Errors
    ///
    /// When the answers are larger than 4 GiB together. The row then has no answer.
    pub fn many<T: IntoPayload>(
        &mut self,
        payloads: impl IntoIterator<Item = T>,
    ) -> Result<(), String> {
        if let Some(count) = self.write(payloads)? {
            self.lists.actions.push(Action::Many);
            self.lists.counts.push(count);
        }
        Ok(())
    }

    /// Writes the payloads of one row, and says how many; all or none. `None` where one could not
    /// be written, and the row is rejected for it.
    fn write<T: IntoPayload>(
        &mut self,
        payloads: impl IntoIterator<Item = T>,
    ) -> Result<Option<u32>, String> {
        let (bytes, ends) = (self.lists.values.len(), self.lists.value_ends.len());
        match self.append(payloads) {
            Ok(()) => size(self.lists.value_ends.len() - ends).map(Some),
            Err(unwritten) => {
                self.lists.values.truncate(bytes);
                self.lists.value_ends.truncate(ends);
                match unwritten {
                    Unwritten::Payload(text) => self.reject(Rejection::new(text)),
                    Unwritten::Answer(text) => return Err(text),
                }
                Ok(None)
            }
        }
    }

    fn append<T: IntoPayload>(
        &mut self,
        payloads: impl IntoIterator<Item = T>,
    ) -> Result<(), Unwritten> {
        for payload in payloads {
            payload.into_payload(&mut self.lists.values).map_err(Unwritten::Payload)?;
            let end = size(self.lists.values.len()).map_err(Unwritten::Answer)?;
            self.lists.value_ends.push(end);
        }
        Ok(())
    }

    pub(crate) fn into_wire(self) -> wire::Outcome {
        self.lists
    }

    fn of(actions: Vec<Action>) -> Self {
        let (values, value_ends) = (Vec::new(), Vec::new());
        let (counts, rejections) = (Vec::new(), Vec::new());
        Self { lists: wire::Outcome { actions, values, value_ends, counts, rejections } }
    }
}

/// Takes the lists as they are, for code that makes them itself. Nothing is checked here: the
/// host refuses lists that break the contract, and takes it for a failure of the plugin.
impl From<wire::Outcome> for Outcome {
    fn from(lists: wire::Outcome) -> Self {
        Self { lists }
    }
}

/// Whose fault it is that a payload was not written.
enum Unwritten {
    Payload(String),
    Answer(String),
}

/// A size or an end as the contract counts it.
fn size(length: usize) -> Result<u32, String> {
    u32::try_from(length)
        .map_err(|_| "the answer to a batch is larger than 4 GiB: answer with less".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Raw;

    /// Writes half of itself, then fails.
    struct Half;

    impl IntoPayload for Half {
        fn into_payload(self, out: &mut Vec<u8>) -> Result<(), String> {
            out.extend_from_slice(b"half");
            Err("cannot be written".to_owned())
        }
    }

    #[test]
    fn every_verdict_keeps_the_lists_in_step() {
        let mut outcome = Outcome::with_capacity(6);
        let verdicts = [
            Verdict::Keep,
            Verdict::Replace(Raw::from("a")),
            Verdict::Many(vec![Raw::from("bb"), Raw::from("")]),
            Verdict::Many(Vec::new()),
            Verdict::Drop,
            Verdict::Reject(Rejection::new("why").at("n")),
        ];
        for verdict in verdicts {
            outcome.push(verdict).unwrap();
        }
        let lists = outcome.into_wire();
        let actions = [
            Action::Keep,
            Action::Replace,
            Action::Many,
            Action::Many,
            Action::Drop,
            Action::Reject,
        ];
        assert_eq!(lists.actions, actions);
        assert_eq!(lists.values, b"abb");
        assert_eq!(lists.value_ends, [1, 3, 3]);
        assert_eq!(lists.counts, [2, 0]);
        assert_eq!(lists.rejections.len(), 1);
        assert_eq!(lists.rejections[0].column.as_deref(), Some("n"));
    }

    #[test]
    fn a_payload_that_cannot_be_written_rejects_its_row_and_leaves_no_trace() {
        let mut outcome = Outcome::with_capacity(3);
        outcome.replace(Raw::from("before")).unwrap();
        outcome.replace(Half).unwrap();
        outcome.many([Half, Half]).unwrap();
        outcome.replace(Raw::from("after")).unwrap();
        let lists = outcome.into_wire();
        let actions = [Action::Replace, Action::Reject, Action::Reject, Action::Replace];
        assert_eq!(lists.actions, actions);
        assert_eq!(lists.values, b"beforeafter");
        assert_eq!(lists.value_ends, [6, 11]);
        assert!(lists.counts.is_empty());
        assert_eq!(lists.rejections[0].message, "cannot be written");
    }

    #[test]
    fn keeping_within_the_capacity_allocates_nothing() {
        let mut outcome = Outcome::with_capacity(1000);
        let before = outcome.lists.actions.as_ptr();
        (0..1000).for_each(|_| outcome.keep());
        assert_eq!(outcome.lists.actions.as_ptr(), before);
        assert_eq!(outcome.lists.values.capacity() + outcome.lists.value_ends.capacity(), 0);
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn an_end_past_four_gib_is_an_error() {
        assert_eq!(size(0xffff_ffff), Ok(u32::MAX));
        assert!(size(0x1_0000_0000).unwrap_err().contains("4 GiB"));
    }
}
