use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Batch, FromPayload, IntoPayload, Meta, Outcome, Raw, Unreadable, Verdict, Wants};

/// A plugin that sees each record's payload before the host decodes it.
///
/// Override [`record`](Self::record) to answer record by record, or [`batch`](Self::batch) to
/// answer for a whole batch. Records are delivered at least once, in batches cut anyhow, to any of
/// several instances: answer by the record alone.
///
/// A typed record that borrows from the payload, and an answer that borrows from the plugin:
///
/// ```
/// use std::borrow::Cow;
///
/// use serde::{Deserialize, Serialize};
/// use sluicegate_plugin::{Meta, RowsPlugin, Verdict};
///
/// #[derive(Deserialize)]
/// struct Config {
///     region: String,
/// }
///
/// #[derive(Deserialize, Serialize)]
/// struct Event<'a> {
///     id: u64,
///     #[serde(borrow, default)]
///     region: Cow<'a, str>,
/// }
///
/// struct AddRegion(Config);
///
/// impl RowsPlugin for AddRegion {
///     type Config = Config;
///     type Record<'a> = Event<'a>;
///
///     fn new(config: Config) -> Result<Self, String> {
///         Ok(Self(config))
///     }
///
///     fn record<'a>(&'a mut self, mut event: Event<'a>, _: &Meta<'a>) -> Verdict<Event<'a>> {
///         event.region = Cow::Borrowed(&self.0.region);
///         Verdict::Replace(event)
///     }
/// }
///
/// use sluicegate_plugin::testing::{Answer, run};
///
/// let answers = run::<AddRegion>(r#"{"region":"eu"}"#, &[r#"{"id":7}"#])?;
/// assert_eq!(answers, [Answer::Replace(r#"{"id":7,"region":"eu"}"#.to_owned())]);
/// # Ok::<(), String>(())
/// ```
///
/// A typed record is written back from its fields: what the type does not name is lost, unless
/// the answer is [`Verdict::Keep`]. [`Object`](crate::Object) loses nothing.
pub trait RowsPlugin: Sized {
    /// Read from the JSON that the operator configures, `{}` where nothing is; [`NoConfig`] for
    /// none. With `#[serde(deny_unknown_fields)]` a mistyped key keeps the host from starting.
    type Config: DeserializeOwned;

    /// What a payload is read as: a serde type, [`Object`](crate::Object), or [`Raw`].
    type Record<'a>: FromPayload<'a> + IntoPayload
    where
        Self: 'a;

    /// What [`Meta`] holds beside topic and partition.
    const WANTS: Wants = Wants::NONE;

    /// Makes an instance, of which there may be several, each made anew after a failure.
    ///
    /// # Errors
    ///
    /// Keeps the host from starting. The text goes to the operator: name the key that is wrong.
    fn new(config: Self::Config) -> Result<Self, String>;

    /// Answers for one record; keeps it unless overridden.
    ///
    /// The answer may borrow from the record, its `meta` and the plugin.
    fn record<'a>(
        &'a mut self,
        record: Self::Record<'a>,
        meta: &Meta<'a>,
    ) -> Verdict<Self::Record<'a>> {
        let _ = (record, meta);
        Verdict::Keep
    }

    /// Answers for a payload that is no [`Record`](Self::Record); rejects it unless overridden,
    /// so that a plugin that masks lets nothing through that it could not look into.
    fn unreadable<'a>(
        &'a mut self,
        payload: Raw<'a>,
        error: Unreadable,
        meta: &Meta<'a>,
    ) -> Verdict<Raw<'a>> {
        let _ = (payload, meta);
        Verdict::Reject(error.into())
    }

    /// Answers for a batch; by [`each_record`] unless overridden.
    ///
    /// # Errors
    ///
    /// The host takes it for a failure of the plugin: it calls a new instance with half of the
    /// rows until the one that fails alone is found. For a record that is at fault, reject it.
    fn batch(&mut self, batch: &Batch<'_>) -> Result<Outcome, String> {
        each_record(self, batch)
    }
}

/// Answers for each row by [`RowsPlugin::record`]; what [`RowsPlugin::batch`] does by default, for
/// those that do something before or after it.
///
/// # Errors
///
/// When the answers are larger than 4 GiB together.
pub fn each_record<P: RowsPlugin>(plugin: &mut P, batch: &Batch<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::with_capacity(batch.rows());
    for (payload, meta) in batch.iter() {
        match P::Record::from_payload(payload) {
            Ok(record) => outcome.push(plugin.record(record, &meta))?,
            Err(error) => outcome.push(plugin.unreadable(payload.into(), error, &meta))?,
        }
    }
    Ok(outcome)
}

/// The config of a plugin that has none: `{}`, and nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}
