//! Runs a plugin natively, through the same code as in the component, and checks its answer
//! against the contract as the host does.

#[cfg(feature = "arrow")]
mod arrow;
mod input;
#[cfg(not(target_family = "wasm"))]
mod tables;

#[cfg(feature = "arrow")]
pub use arrow::{Answered, run_arrow, run_batch, table};
pub use input::Input;
pub(crate) use input::batch;
#[cfg(not(target_family = "wasm"))]
pub(crate) use tables::lookup;
#[cfg(not(target_family = "wasm"))]
pub use tables::with_table;

use crate::batch::piece;
use crate::wire::{self, Action};
use crate::{Instance, RowsPlugin};

/// What a plugin answered for one record: of an arrow plugin, the columns that it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It goes on as it is.
    Keep,
    /// This goes on in its place; bytes that are not UTF-8 are replaced.
    Replace(String),
    /// These go on in its place.
    Many(Vec<String>),
    /// It ends here.
    Drop,
    /// It goes to the dead letter topic.
    Reject {
        /// What is wrong.
        message: String,
        /// The column or field at fault.
        column: Option<String>,
    },
}

/// Makes a plugin from its config, and gives it the payloads as one batch.
///
/// # Errors
///
/// That of `new`, of the config, or of the batch; an answer that breaks the contract.
pub fn run<P: RowsPlugin>(
    config: &str,
    payloads: &[impl AsRef<[u8]>],
) -> Result<Vec<Answer>, String> {
    let inputs: Vec<_> = payloads.iter().map(Input::new).collect();
    run_inputs::<P>(config, &inputs)
}

/// As [`run`], for a plugin that reads more of a record than its payload.
///
/// # Errors
///
/// Those of [`run`].
///
/// ```
/// use sluicegate_plugin::testing::{Answer, Input, run_inputs};
/// use sluicegate_plugin::{Meta, NoConfig, Raw, RowsPlugin, Verdict, Wants};
///
/// struct KeyAsPayload;
///
/// impl RowsPlugin for KeyAsPayload {
///     type Config = NoConfig;
///     type Record<'a> = Raw<'a>;
///     const WANTS: Wants = Wants::KEYS;
///
///     fn new(_: NoConfig) -> Result<Self, String> {
///         Ok(Self)
///     }
///
///     fn record<'a>(&'a mut self, _: Raw<'a>, meta: &Meta<'a>) -> Verdict<Raw<'a>> {
///         meta.key().map_or(Verdict::Keep, |key| Verdict::Replace(key.into()))
///     }
/// }
///
/// let inputs = [Input::new("a").key("k"), Input::new("b")];
/// let answers = run_inputs::<KeyAsPayload>("{}", &inputs)?;
/// assert_eq!(answers, [Answer::Replace("k".to_owned()), Answer::Keep]);
/// # Ok::<(), String>(())
/// ```
pub fn run_inputs<P: RowsPlugin>(config: &str, inputs: &[Input]) -> Result<Vec<Answer>, String> {
    let instance = Instance::<P>::new();
    instance.init(config)?;
    let outcome = instance.transform(&batch(P::WANTS, inputs)?)?;
    answers(outcome, inputs.len())
}

/// Reads an answer, and refuses one whose lists do not fit each other.
fn answers(outcome: wire::Outcome, rows: usize) -> Result<Vec<Answer>, String> {
    if outcome.actions.len() != rows {
        return Err(format!("{} actions for {rows} rows", outcome.actions.len()));
    }
    let mut payloads = payloads(&outcome)?.into_iter();
    let mut next = || payloads.next().ok_or("fewer values than the actions take");
    let mut counts = outcome.counts.iter();
    let mut rejections = outcome.rejections.into_iter();
    let mut answers = Vec::with_capacity(rows);
    for action in outcome.actions {
        answers.push(match action {
            Action::Keep => Answer::Keep,
            Action::Drop => Answer::Drop,
            Action::Replace => Answer::Replace(next()?),
            Action::Many => {
                let count = counts.next().ok_or("fewer counts than actions `many`")?;
                Answer::Many((0..*count).map(|_| next()).collect::<Result<_, _>>()?)
            }
            Action::Reject => {
                let rejection =
                    rejections.next().ok_or("fewer rejections than actions `reject`")?;
                Answer::Reject { message: rejection.message, column: rejection.column }
            }
        });
    }
    if payloads.next().is_some() || counts.next().is_some() || rejections.next().is_some() {
        return Err("more values, counts or rejections than the actions take".to_owned());
    }
    Ok(answers)
}

fn payloads(outcome: &wire::Outcome) -> Result<Vec<String>, String> {
    let ends = &outcome.value_ends;
    let rest = outcome.values.len() as u64 != u64::from(ends.last().copied().unwrap_or(0));
    let text = |index| {
        let bytes = piece(&outcome.values, ends, index);
        bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let texts: Option<Vec<_>> = (0..ends.len()).map(text).collect();
    texts.filter(|_| !rest).ok_or_else(|| "value-ends do not fit values".to_owned())
}
