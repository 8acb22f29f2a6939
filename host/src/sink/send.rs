//! Sends one body until it is in the table or refused.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::evidence::Evidence;
use super::memory::{Remedy, Want};
use super::refusal::{Refusal, RefusedInsert};
use super::sending::Sending;
use super::views::{Next, Thrown};
use super::{PAUSE, Sink, until_read};
use crate::base::retry::Backoff;
use crate::clickhouse::body::Body;
use crate::clickhouse::client::Sent;
use crate::clickhouse::codes::Leaves;
use crate::clickhouse::error_text::loggable;
use crate::clickhouse::errors::{self, InsertError, JudgedError};
use crate::clickhouse::table::{self, Table};
use crate::config::Compression;
use crate::flow::hold::Hold;
use crate::observe::count::{self, RetryClass};
use crate::observe::status::Waiter;

/// How many tries without a clear answer are normal; later ones get longer pauses and an alarm.
const UNCLEAR_TRIES: u32 = 3;
/// How many tries an error of unknown code gets before an operator is called.
const UNKNOWN_TRIES: u32 = 8;
/// How long an INSERT without rows counts as taken, since a batch may be split into many pieces.
const TOOK_NONE: Duration = Duration::from_secs(10);
/// Longest pause between two tries that may each double the rows.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// A body that is in the table.
#[derive(Debug, Default)]
pub struct Landed {
    /// Whether the answer proves it. It does not if an earlier try may have left the token without its rows,
    /// since the server answers a repeated token with success.
    pub is_proved: bool,
    /// A materialized view that lacks the rows.
    pub without_view: Option<String>,
}

/// What to do after a failed try.
#[derive(Debug)]
enum NextStep {
    /// Try again; the wait is over.
    Again,
    /// Stop: an earlier try left the rows in the table.
    Landed,
    /// The caller must act.
    Refused(Refusal),
}

/// The state of a body across its tries.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub backoff: Backoff,
    /// The table's highest block number before the first try.
    pub before: Option<u64>,
    /// The server that the rows are bound to, if any.
    pub server: Option<u32>,
    /// Whether the server's answer is believed about what was sent before the first try.
    pub is_believed: bool,
    /// Whether an earlier try may have left rows, or the token without rows.
    pub is_unclear: bool,
    /// Whether the rows were found in the table.
    pub has_rows: bool,
    /// How many tries may each have left the rows.
    pub unclear_tries: u32,
    /// The view that threw last.
    pub view: Option<String>,
    memory: Want,
    unproved_tries: u32,
    tokens: u32,
}

impl Sink {
    /// The state before the first try.
    async fn first_attempt(
        &self,
        table: &Table,
        sending: &Sending<'_>,
        waiter: &Waiter,
    ) -> Attempt {
        let memory = Want::since(sending.landed_before);
        match sending.planned {
            // The table's state is read before each try.
            Some(planned) => Attempt {
                before: planned.is_sent.then(|| planned.before()),
                is_unclear: planned.is_sent,
                memory,
                ..Attempt::default()
            },
            None => {
                let before = self.parts_before(table, waiter).await;
                Attempt { before, memory, ..Attempt::default() }
            }
        }
    }

    /// Sends one body until it lands, or is refused for its data or schema. From the second try on the table
    /// is checked first: rows made for another table are not sent.
    ///
    /// # Cancel safety
    /// If dropped, the rows may have landed or may still land.
    pub(super) async fn send(
        &self,
        table: &Table,
        body: &Body,
        sending: &Sending<'_>,
    ) -> Result<Landed, RefusedInsert> {
        let waiter = self.status.waiter("insert");
        let mut attempt = self.first_attempt(table, sending, &waiter).await;
        let mut token = Cow::Borrowed(sending.token);
        let mut is_first = true;
        let outcome = loop {
            let mut session = None;
            if let Some(planned) = &sending.planned {
                match self.open(table, planned, &waiter).await {
                    Ok((stand, name)) => {
                        attempt.server = Some(stand.home.server);
                        attempt.is_believed = planned.is_believed(&stand);
                        attempt.before.get_or_insert(stand.block);
                        session = Some(name);
                    }
                    Err(refusal) => break Err(refusal),
                }
            }
            if !std::mem::take(&mut is_first) && !self.look.is_as_read(table).await {
                let text = format!("`{}` was altered while an INSERT was held", table.place());
                break Err(Refusal::Schema(text));
            }
            let views = self.views_behind(table, &waiter).await;
            let started = Instant::now();
            let session = session.as_deref();
            let sending = Sending { token: &token, ..*sending };
            let sent = self.server.insert(body, &table.settings, sending.in_session(session));
            let Err(failed) = sent.await else {
                if self.lacked_views(table, body.rows, &views, &waiter).await {
                    continue;
                }
                count::landed(body.rows, started.elapsed());
                self.landed.fetch_add(1, Ordering::Relaxed);
                let is_proved = self.is_proved(table, body, &attempt, &waiter).await;
                if is_proved || sending.planned.is_some() {
                    break Ok(Landed { is_proved, without_view: None });
                }
                tracing::warn!(
                    table = %table.place(),
                    rows = body.rows,
                    "an INSERT without an answer may have left its token without its rows: they are sent \
                     under another, and may be doubled"
                );
                token = Cow::Owned(uuid::Uuid::new_v4().to_string());
                // The first new token goes at once: mostly a single answer was lost.
                if attempt.tokens > 0 {
                    sleep(doubled(attempt.tokens)).await;
                }
                let Attempt { before, unclear_tries, tokens, .. } = attempt;
                let tokens = tokens + 1;
                attempt = Attempt { before, unclear_tries, tokens, ..Attempt::default() };
                continue;
            };
            count::insert_failed(started.elapsed());
            let JudgedError { error, leaves } =
                errors::judge_failure(&failed, self.server.url(), &table.place());
            let error = self.confirm(error, table, &waiter).await;
            let error = match error {
                InsertError::View { views, said, cause } => {
                    let thrown = Thrown { views, said, cause: *cause };
                    match self.after_view(table, body, &mut attempt, thrown, &waiter).await {
                        Next::Again => continue,
                        Next::WithoutView(view) => {
                            break Ok(Landed { is_proved: true, without_view: Some(view) });
                        }
                        Next::Cause(cause) => {
                            // Other views may have the rows.
                            attempt.unclear_tries += 1;
                            cause
                        }
                    }
                }
                error => {
                    // If rows may be split for it, a lack of memory leaves none.
                    let is_memory = matches!(error, InsertError::Memory(_));
                    let leaves_none =
                        is_memory && sending.planned.is_some() && sending.may_split_for_memory;
                    let is_unclear = leaves == Leaves::Unclear && !leaves_none;
                    attempt.is_unclear |= is_unclear;
                    attempt.unclear_tries += u32::from(is_unclear);
                    error
                }
            };
            match self.act(error, table, body, &sending, &mut attempt, &waiter).await {
                NextStep::Again => {}
                NextStep::Landed => break Ok(Landed { is_proved: true, without_view: None }),
                NextStep::Refused(refusal) => break Err(refusal),
            }
        };
        self.status.clickhouse_answered();
        waiter.release();
        let (may_have_landed, view) = (attempt.is_unclear || attempt.has_rows, attempt.view);
        outcome.map_err(|refusal| RefusedInsert { refusal, may_have_landed, view })
    }

    /// Whether a view of a table that keeps no rows was missing at some time since `before` was read. That
    /// view lacks the rows and nothing else keeps them, so they must be sent again.
    async fn lacked_views(
        &self,
        table: &Table,
        rows: usize,
        before: &BTreeSet<String>,
        waiter: &Waiter,
    ) -> bool {
        if before.is_empty() || before.is_subset(&self.views_behind(table, waiter).await) {
            return false;
        }
        count::retried(count::RetryStep::Insert, RetryClass::View);
        tracing::warn!(
            table = %table.place(),
            rows,
            "a view of a table that keeps no rows was dropped or made again while an INSERT was under way: its \
             rows are sent again, and may be doubled"
        );
        true
    }

    /// Whether a success proves that the rows are in the table.
    async fn is_proved(
        &self,
        table: &Table,
        body: &Body,
        attempt: &Attempt,
        waiter: &Waiter,
    ) -> bool {
        let facts = &table.facts;
        if !attempt.is_unclear
            || attempt.has_rows
            || (attempt.is_believed && attempt.unclear_tries == 0)
            || !facts.is_deduplicating
            || facts.is_replicated()
        {
            return true;
        }
        self.look_for(table, &body.sought, attempt.before, attempt.server, waiter).await
            == Evidence::Rows
    }

    /// Waits as the error requires, or returns what the caller must act on.
    async fn act(
        &self,
        error: InsertError,
        table: &Table,
        body: &Body,
        sending: &Sending<'_>,
        attempt: &mut Attempt,
        waiter: &Waiter,
    ) -> NextStep {
        let may_double = !table.facts.is_deduplicating && attempt.unclear_tries >= UNCLEAR_TRIES;
        let error = match error {
            // The cause of a view's error is not itself a view's error.
            InsertError::View { said, .. } => InsertError::Unproved(said.to_string()),
            InsertError::Hold(Hold::Transient(text)) | InsertError::Unknown(text) if may_double => {
                let tries = attempt.unclear_tries;
                InsertError::Unproved(format!(
                    "{tries} tries of an INSERT without a clear answer, each of which may have left its rows: \
                     {text}"
                ))
            }
            error => error,
        };
        let is_of_rows = matches!(error, InsertError::Violation(_) | InsertError::Data(_));
        if is_of_rows && !self.look.is_as_read(table).await {
            let text = format!("`{}` was altered as rows for it were refused", table.place());
            return NextStep::Refused(Refusal::Schema(text));
        }
        match error {
            InsertError::View { .. } => {}
            InsertError::Violation(said) => return NextStep::Refused(Refusal::Data(said)),
            InsertError::Data(said) => match self.takes_none(table, body).await {
                Ok(()) => return NextStep::Refused(Refusal::Data(said)),
                Err(text) => {
                    let text =
                        format!("`{}` refuses an INSERT without rows too: {text}", table.place());
                    count::retried(count::RetryStep::Insert, RetryClass::Paused);
                    waiter.hold(Hold::Paused(text));
                    waiter.pause(PAUSE).await;
                }
            },
            InsertError::TooManyPartitions(text) => {
                return NextStep::Refused(Refusal::TooManyPartitions(text));
            }
            InsertError::TooLarge(text) => return NextStep::Refused(Refusal::TooLarge(text)),
            InsertError::Schema(text) => return NextStep::Refused(Refusal::Schema(text)),
            InsertError::Memory(said) => {
                let landed = self.landed.load(Ordering::Relaxed);
                let remedy = attempt.memory.note(sending, said.whole(), landed);
                if remedy != Remedy::Again {
                    let is_there = attempt.is_unclear
                        && self
                            .look_for(table, &body.sought, attempt.before, attempt.server, waiter)
                            .await
                            == Evidence::Rows;
                    match (is_there, table.facts.has_views) {
                        (false, _) if remedy == Remedy::Reject => {
                            return NextStep::Refused(Refusal::Data(said));
                        }
                        (false, _) => {
                            return NextStep::Refused(Refusal::Memory(loggable(said.whole())));
                        }
                        (true, false) => return NextStep::Landed,
                        // Views may lack rows that the table has: only the same token brings them.
                        (true, true) => attempt.has_rows = true,
                    }
                }
                count::retried(count::RetryStep::Insert, RetryClass::Transient);
                waiter.hold(attempt.memory.hold(loggable(said.whole())));
                attempt.backoff.wait().await;
            }
            InsertError::Hold(hold) => {
                let pause = match hold {
                    Hold::Paused(_) => PAUSE,
                    Hold::Transient(_) => attempt.backoff.next_delay(),
                };
                count::retried(count::RetryStep::Insert, RetryClass::from(&hold));
                waiter.hold(hold);
                waiter.pause(pause).await;
            }
            InsertError::Unproved(text) => {
                count::retried(count::RetryStep::Insert, RetryClass::Unknown);
                waiter.hold(Hold::Paused(text));
                let pause = doubled(attempt.unproved_tries);
                attempt.unproved_tries += 1;
                waiter.pause(pause).await;
            }
            InsertError::Unknown(text) => {
                let is_new = attempt.backoff.attempts() < UNKNOWN_TRIES;
                let hold = if is_new { Hold::Transient } else { Hold::Paused };
                count::retried(count::RetryStep::Insert, RetryClass::Unknown);
                waiter.hold(hold(text));
                waiter.pause(attempt.backoff.next_delay()).await;
            }
        }
        NextStep::Again
    }

    /// Whether the table takes an INSERT without rows. Then a refusal is a row's fault, not that of an
    /// expression, a dictionary or a setting that no row can satisfy.
    async fn takes_none(&self, table: &Table, body: &Body) -> Result<(), String> {
        let took_none = || self.took_none.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = took_none().as_ref().is_some_and(|(definition, at)| {
            *definition == table.facts.definition && at.elapsed() < TOOK_NONE
        });
        if is_known {
            return Ok(());
        }
        let none = Body::of(table, &body.sought.rows.slice(0, 0), Compression::None)?;
        let token = uuid::Uuid::new_v4().to_string();
        let sent = Sent { token: &token, session: None, may_be_async: false, is_planned: false };
        let sent = self.server.insert(&none, &table.settings, sent).await;
        if sent.is_ok() {
            *took_none() = Some((table.facts.definition.clone(), Instant::now()));
        }
        sent.map_err(|failed| {
            let judged = errors::judge_failure(&failed, self.server.url(), &table.place());
            errors::hold_of_query(judged.error, ToString::to_string).text().to_owned()
        })
    }

    /// Believes a view only if the server now knows it as reading from this table, so that a view created
    /// after the table was read counts too. The other views on the way need no check: they are only reached
    /// through the last one. If there is no such view (dropped meanwhile, one of a shard's table, or made up
    /// by a row's value), nobody can tell whether the rows are in the table.
    async fn confirm(&self, error: InsertError, table: &Table, waiter: &Waiter) -> InsertError {
        let InsertError::View { views, said, .. } = &error else { return error };
        let (into, Some(view)) = (table.place(), views.last()) else { return error };
        if until_read(waiter, || table::feeds(&self.server, &into, view)).await {
            return error;
        }
        let text = format!(
            "`{view}` is no view of `{into}` (any more); the rows are sent again, and may be doubled: {said}"
        );
        InsertError::Unproved(text)
    }
}

/// The pause before another try that may double the rows, after `tries` of them.
fn doubled(tries: u32) -> Duration {
    PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE)
}
