//! The waits of a batch outside of its stages: one reason at a time, and one wait for as long as the
//! reason lasts, however often the batch is tried.

use std::sync::Arc;

use crate::flow::hold::Hold;
use crate::limits::brake::JudgedBatch;
use crate::observe::status::{Sign, Status, Waiter, shown};

/// Why a batch is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeldAt {
    /// A plugin on decoded rows cannot go on.
    Plugins,
    /// The brake holds it before the INSERT.
    Decode,
    /// The brake holds it for rows that ClickHouse rejects.
    Refused,
    /// The rows wait until somebody acts, which this sign shows.
    Insert(Sign),
}

/// The waits of one batch.
pub(super) struct BatchWaits {
    plugins: Waiter,
    brake: Waiter,
    insert: Waiter,
    /// Why the batch is held, if it is.
    at: Option<HeldAt>,
}

impl BatchWaits {
    pub fn new(status: &Arc<Status>) -> Self {
        let waiter = |who| status.waiter(who);
        let (plugins, brake, insert) = (waiter("plugins"), waiter("brake"), waiter("insert"));
        Self { plugins, brake, insert, at: None }
    }

    /// Holds the batch for this reason, and for no other.
    pub fn hold(&mut self, at: HeldAt, hold: Hold, judged: &JudgedBatch) {
        let is_brake = |at: HeldAt| matches!(at, HeldAt::Decode | HeldAt::Refused);
        let is_insert = |at: HeldAt| matches!(at, HeldAt::Insert(_));
        if let Some(before) = self.at.filter(|before| *before != at)
            && !(is_brake(before) && is_brake(at))
            && !(is_insert(before) && is_insert(at))
        {
            self.let_through(before, judged);
        }
        self.at = Some(at);
        match at {
            HeldAt::Plugins => self.plugins.hold(hold),
            // The number of its records differs between batches.
            HeldAt::Decode | HeldAt::Refused => self.brake.hold_as("brake", hold),
            HeldAt::Insert(_) => self.insert.hold(hold),
        }
    }

    /// Ends the hold for this reason.
    pub fn let_through(&mut self, at: HeldAt, judged: &JudgedBatch) {
        if self.at != Some(at) {
            return;
        }
        self.at = None;
        match at {
            HeldAt::Plugins => self.plugins.release(),
            HeldAt::Decode | HeldAt::Refused => {
                self.brake.release();
                judged.release();
            }
            HeldAt::Insert(_) => self.insert.release(),
        }
    }

    /// Ends the hold at the INSERT.
    pub fn inserted(&mut self) {
        if matches!(self.at, Some(HeldAt::Insert(_))) {
            self.at = None;
            self.insert.release();
        }
    }

    /// Runs an INSERT, which may take minutes. Ends the report of the previous hold as soon as its sign
    /// shows that it is over.
    ///
    /// # Cancel safety
    /// As `insert`.
    pub async fn during<T>(&mut self, insert: impl Future<Output = T>) -> T {
        let Some(HeldAt::Insert(sign)) = self.at else { return insert.await };
        let is_over = shown(sign);
        tokio::pin!(insert, is_over);
        tokio::select! {
            biased;
            inserted = &mut insert => inserted,
            () = &mut is_over => {
                self.inserted();
                insert.await
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::flow::record::Batch;
    use crate::limits::brake::Brake;
    use crate::observe::count::{self, RetryClass, RetryStep};
    use crate::observe::status::of_batch;

    const AT_INSERT: HeldAt = HeldAt::Insert(Sign::Landed);

    #[test]
    fn a_batch_is_told_to_wait_for_one_thing_at_a_time() {
        let status = Arc::new(Status::default());
        let mut waits = BatchWaits::new(&status);
        let judged = Arc::new(Brake::new(0.5, str::to_owned)).batch();
        let told = || status.texts().into_iter().collect::<Vec<_>>();
        let hold = |text: &str| Hold::Paused(text.to_owned());
        for (at, expected) in [
            (AT_INSERT, "insert: held"),
            (HeldAt::Plugins, "plugins: held"),
            (AT_INSERT, "insert: held"),
            (HeldAt::Decode, "brake: held"),
            (HeldAt::Refused, "brake: held"),
            (AT_INSERT, "insert: held"),
            (HeldAt::Refused, "brake: held"),
            (HeldAt::Plugins, "plugins: held"),
        ] {
            waits.hold(at, hold("held"), &judged);
            assert_eq!(told(), [expected]);
        }
        waits.inserted();
        assert_eq!(told(), ["plugins: held"]);
        waits.let_through(HeldAt::Plugins, &judged);
        assert_eq!(told(), [""; 0]);
    }

    /// What is reported of a held INSERT while the next one runs, after `happens`.
    async fn told_after(sign: Sign, happens: fn()) -> (Vec<String>, Vec<String>) {
        let status = Arc::new(Status::default());
        let judged = Arc::new(Brake::new(0.5, str::to_owned)).batch();
        let told = || status.texts().into_iter().collect::<Vec<_>>();
        let work = async {
            let mut waits = BatchWaits::new(&status);
            // Signs from before do not count.
            happens();
            waits.hold(HeldAt::Insert(sign), Hold::Paused("held".into()), &judged);
            let insert = async {
                tokio::task::yield_now().await;
                let before = told();
                happens();
                tokio::task::yield_now().await;
                (before, told())
            };
            waits.during(insert).await
        };
        let (before, after) = of_batch(&Arc::new(Batch::default()), work).await;
        let text = |text: &String| text.split(" (").next().unwrap_or_default().to_owned();
        (before.iter().map(text).collect(), after.iter().map(text).collect())
    }

    #[tokio::test]
    async fn what_held_the_last_insert_is_not_told_once_the_next_gets_past_it() {
        let landed = || count::landed(1, std::time::Duration::ZERO);
        let refused = || count::retried(RetryStep::Insert, RetryClass::Data);
        let held = vec!["insert: held".to_owned()];
        for (sign, happens, is_over) in [
            (Sign::Landed, landed as fn(), true),
            (Sign::Landed, refused as fn(), false),
            (Sign::Landed, (|| ()) as fn(), false),
            (Sign::LandedOrRefused, landed as fn(), true),
            (Sign::LandedOrRefused, refused as fn(), true),
            (Sign::LandedOrRefused, (|| ()) as fn(), false),
        ] {
            let (before, after) = told_after(sign, happens).await;
            assert_eq!(before, held, "{sign:?}: nothing has changed yet");
            assert_eq!(after.is_empty(), is_over, "{sign:?}: {after:?}");
        }
    }
}
