//! What a member does, by what it remembers alone. It does not know whether it is a zombie.
//!
//! The order for a batch: take it and commit a plan that names it; dead-letter what is rejected and
//! have the reports; insert under its token; settle; tell the low watermark with the next plan.

use crate::offsets::Offsets;
use crate::setup::{Setup, Variant, Verdict};
use crate::step::{Found, Step, Why};
use crate::world::{Batch, Commit, Committed, Fate, Insert, Member, Token, World};
use sluicegate::delivery::plans::{Home, Plan, Planned};

impl Setup {
    /// Everything that this member may do next.
    pub(crate) fn act(&self, world: &World, member: &Member, steps: &mut Vec<(Step, World)>) {
        if member.is_paused {
            return;
        }
        if member.awaits.is_none() {
            self.take(world, member, steps);
            self.retire(world, member, steps);
        } else if self.is(Variant::CommitAgainAfterSilence) {
            let silent = Member { awaits: None, ..member.clone() };
            steps.push((Step::CommitGivenUp(member.generation), world.with(silent)));
        }
        for (at, token, batch) in member.tokens() {
            let of = Of { world, member, at, token, batch };
            self.dead_letter(&of, steps);
            self.insert(&of, steps);
            self.settle_refused(&of, steps);
            self.prove(&of, steps);
            self.renew(&of, steps);
        }
    }

    /// Takes the next records as a batch and asks for a commit of the plan that names it.
    fn take(&self, world: &World, member: &Member, steps: &mut Vec<(Step, World)>) {
        if member.batches.len() >= self.in_flight {
            return;
        }
        // What is read ends behind a record, not in a gap.
        let unread = self.existing(world).without(Offsets::of(0..member.next()));
        for last in unread.iter().take(self.batch) {
            let mut member = member.clone();
            let planned = self.plan(world, &mut member, last + 1);
            member.batches.push(Batch::new(planned));
            steps.push(self.commit(world, member, Why::Plan));
        }
    }

    /// Tells the low watermark where no further plan does.
    fn retire(&self, world: &World, member: &Member, steps: &mut Vec<(Step, World)>) {
        let is_unplanned = |batch: &Batch| !batch.is_committed;
        if member.low > member.told || member.batches.iter().any(is_unplanned) {
            steps.push(self.commit(world, member.clone(), Why::Retire));
        }
    }

    fn dead_letter(&self, of: &Of<'_>, steps: &mut Vec<(Step, World)>) {
        let rejected = self.rejected(of);
        let letters = match of.batch.fate {
            Fate::Unsent | Fate::Sent | Fate::Unknown if !self.is(Variant::LettersAfterInsert) => {
                rejected
            }
            Fate::Settled => of.batch.owed,
            // Refused alone. That it may have landed before does no harm: it is told twice, not lost.
            Fate::Refused { rows, .. } if rows.len() == 1 => rows,
            _ => Offsets::default(),
        };
        if letters.is_empty() || !self.may_send(of.batch) {
            return;
        }
        let mut member = of.member.with_batch(of.at, |batch| {
            batch.reported = batch.reported.or(letters);
            batch.owed = batch.owed.without(letters);
            if matches!(batch.fate, Fate::Refused { .. }) {
                batch.fate = Fate::Settled;
            }
        });
        let generation = member.generation;
        if self.is(Variant::CommitBeforeReport) {
            member.unreported = member.unreported.or(letters);
            let step = Step::HandsOver { generation, records: letters };
            return steps.push((step, of.world.with(member)));
        }
        let is_of_topic = member.topic == of.world.kafka.topic;
        let mut next = of.world.with(member);
        if is_of_topic {
            next.kafka.dead_letters = next.kafka.dead_letters.or(letters);
        }
        steps.push((Step::DeadLetters { generation, records: letters }, next));
    }

    /// Sends the rows. A batch whose answer is not heard is sent again under the same token.
    fn insert(&self, of: &Of<'_>, steps: &mut Vec<(Step, World)>) {
        let fate = match of.batch.fate {
            Fate::Unsent => Fate::Sent,
            Fate::Sent | Fate::Unknown => Fate::Unknown,
            _ => return,
        };
        let rejected = self.rejected(of);
        let is_late = self.is(Variant::LettersAfterInsert);
        if !self.may_send(of.batch)
            || !(rejected.is_empty() || is_late)
            || !self.is_known(of.world, of.batch)
        {
            return;
        }
        let all_rejected = self.having(of.world, Verdict::Rejected);
        let rows = self.existing(of.world).and(of.token.offsets()).without(all_rejected);
        let Member { generation, topic, .. } = *of.member;
        let owed = if is_late { rejected } else { Offsets::default() };
        if rows.is_empty() {
            let member = of.member.with_batch(of.at, |batch| {
                (batch.fate, batch.owed) = (Fate::Settled, owed);
            });
            let step = Step::NothingToInsert { generation, token: of.token };
            return steps.push((step, of.world.with(member)));
        }
        let (window_position, server) = (of.batch.planned.window_position, of.batch.server());
        let insert = Insert { generation, token: of.token, rows, topic, window_position, server };
        let member = of.member.with_batch(of.at, |batch| {
            (batch.fate, batch.owed) = (fate, owed);
        });
        let mut next = of.world.with(member);
        // What is still under way need not be sent twice: the first to arrive decides for both.
        if next.clickhouse.inserts.insert(insert) {
            steps.push((Step::Inserts(insert), next));
        }
    }

    /// Splits what ClickHouse refused, once it is certain that nothing landed under its token.
    fn settle_refused(&self, of: &Of<'_>, steps: &mut Vec<(Step, World)>) {
        let Fate::Refused { rows, is_definite } = of.batch.fate else { return };
        if rows.len() < 2 {
            return;
        }
        if !is_definite && !self.is(Variant::SplitOfUnknown) {
            return self.judge_refusal(of, rows, steps);
        }
        let Some(middle) = rows.iter().nth(rows.len() / 2) else { return };
        let mut member = of.member.clone();
        let (first, second) = if self.is(Variant::SuffixTokens) {
            (Planned { end: middle, ..of.batch.planned }, of.batch.planned)
        } else if of.member.awaits.is_none() {
            (
                self.plan(of.world, &mut member, middle),
                self.plan(of.world, &mut member, of.batch.planned.end),
            )
        } else {
            return;
        };
        let half = |planned| Batch { reported: of.batch.reported, ..Batch::new(planned) };
        member.batches.splice(of.at..=of.at, [half(first), half(second)]);
        if self.is(Variant::SuffixTokens) {
            for batch in &mut member.batches {
                batch.is_committed = true;
            }
            let (generation, token) = (member.generation, of.token);
            steps.push((Step::SplitsBySuffix { generation, token }, of.world.with(member)));
        } else {
            steps.push(self.commit(of.world, member, Why::Split));
        }
    }

    /// The batch may have landed by an INSERT whose answer was not heard, before whatever it is
    /// refused for was there.
    fn judge_refusal(&self, of: &Of<'_>, rows: Offsets, steps: &mut Vec<(Step, World)>) {
        if !is_over(of) {
            return;
        }
        let found = self.look(of);
        let fate = match found {
            Found::Landed => Fate::Settled,
            Found::NotLanded => Fate::Refused { rows, is_definite: true },
            Found::Nothing => Fate::Paused,
        };
        let member = of.member.with_batch(of.at, |batch| batch.fate = fate);
        let step = Step::Finds { generation: member.generation, token: of.token, found };
        steps.push((step, of.world.with(member)));
    }

    /// A server may have logged a token and lost its rows, and then takes the token for theirs. So what was
    /// taken is settled only if it is found.
    fn prove(&self, of: &Of<'_>, steps: &mut Vec<(Step, World)>) {
        if of.batch.fate != Fate::Unproved {
            return;
        }
        let found = self.look(of);
        if found == Found::Landed || found == Found::Nothing || is_over(of) {
            self.follow(of, found, steps);
        }
    }

    /// Nothing is sent under a token that the window may have forgotten, or that another table was to know.
    /// What never landed is planned anew; where that cannot be told, an operator is.
    fn renew(&self, of: &Of<'_>, steps: &mut Vec<(Step, World)>) {
        if self.is_known(of.world, of.batch) || !self.may_send(of.batch) {
            return;
        }
        let found = match of.batch.fate {
            Fate::Unsent => Found::NotLanded,
            Fate::Sent | Fate::Unknown if is_over(of) => self.look(of),
            _ => return,
        };
        self.follow(of, found, steps);
    }

    /// Settles what landed, and plans anew what did not.
    fn follow(&self, of: &Of<'_>, found: Found, steps: &mut Vec<(Step, World)>) {
        let fate = match found {
            Found::NotLanded if of.member.awaits.is_some() => return,
            Found::NotLanded => {
                let mut member = of.member.clone();
                let planned = self.plan(of.world, &mut member, of.token.end);
                let renewed = Batch { reported: of.batch.reported, ..Batch::new(planned) };
                member.batches.splice(of.at..=of.at, [renewed]);
                return steps.push(self.commit(of.world, member, Why::Renew));
            }
            Found::Landed => Fate::Settled,
            Found::Nothing => Fate::Paused,
        };
        let member = of.member.with_batch(of.at, |batch| batch.fate = fate);
        let step = Step::Finds { generation: member.generation, token: of.token, found };
        steps.push((step, of.world.with(member)));
    }

    /// Asks the table whether it holds the batch.
    fn look(&self, of: &Of<'_>) -> Found {
        let clickhouse = &of.world.clickhouse;
        let is_there = if self.is(Variant::VerifiedByPosition) {
            let rows = clickhouse.rows.iter().fold(Offsets::default(), |all, of| all.or(of.landed));
            !rows.and(of.token.offsets()).is_empty()
        } else if self.has_token_column {
            clickhouse.column.contains(&(of.batch.server(), of.token))
        } else {
            return Found::Nothing;
        };
        if is_there { Found::Landed } else { Found::NotLanded }
    }

    /// A range with a fresh nonce, as the table and the window are now.
    fn plan(&self, world: &World, member: &mut Member, end: i64) -> Planned {
        // Stands for a random number: no other is the same.
        let nonce = u64::from(member.generation) * 16 + member.nonces;
        member.nonces += 1;
        // Whichever server answers.
        let servers = u64::from(self.servers.max(1));
        let server = u32::try_from(member.nonces % servers).unwrap_or_default();
        let home = Home { server, table: world.clickhouse.table, started: 0 };
        Planned {
            end,
            nonce: if self.is(Variant::NoNonce) { 0 } else { nonce },
            fingerprint: world.clickhouse.altered.into(),
            window_position: world.clickhouse.window,
            home: Some(home),
            column: 0,
        }
    }

    /// Asks for a commit of the low watermark and of everything that may have landed behind it. One
    /// at a time.
    fn commit(&self, world: &World, mut member: Member, why: Why) -> (Step, World) {
        let planned: Vec<_> = member.batches.iter().map(|batch| batch.planned).collect();
        let plan = Plan { topic: member.topic.into(), low: member.low, planned };
        let plan = (!self.is(Variant::AtLeastOnce)).then_some(plan);
        let commits = Committed { offset: member.low, plan, topic: member.topic };
        let generation = member.generation;
        let commit = Commit { generation, commits: commits.clone() };
        member.awaits = Some(commits);
        let mut next = world.with(member);
        next.kafka.commits.insert(commit.clone());
        (Step::Commits(why, commit), next)
    }

    /// The records of the batch that are rejected before the INSERT and not dead-lettered yet.
    fn rejected(&self, of: &Of<'_>) -> Offsets {
        self.existing(of.world)
            .and(of.token.offsets())
            .and(self.having(of.world, Verdict::Rejected))
            .without(of.batch.reported)
    }

    fn may_send(&self, batch: &Batch) -> bool {
        let is_free = self.is(Variant::InsertBeforePlan) || self.is(Variant::AtLeastOnce);
        batch.is_committed || is_free
    }

    /// Whether the table knows the token if it was ever sent.
    fn is_known(&self, world: &World, batch: &Batch) -> bool {
        let is_there = batch.planned.home.is_none_or(|home| home.table == world.clickhouse.table);
        let is_there =
            is_there || self.is(Variant::PlanWithoutTable) || self.is(Variant::AtLeastOnce);
        is_there && self.is_in_window(world, batch)
    }

    /// Whether the window cannot have forgotten the token, however early it was used.
    fn is_in_window(&self, world: &World, batch: &Batch) -> bool {
        let is_trusting = self.is(Variant::TrustedWindow)
            || self.is(Variant::AtLeastOnce)
            || self.is(Variant::UnusedTokenKept) && batch.fate == Fate::Unsent;
        batch.planned.window_position == world.clickhouse.window || is_trusting
    }
}

/// A batch of a member.
struct Of<'a> {
    world: &'a World,
    member: &'a Member,
    at: usize,
    token: Token,
    batch: &'a Batch,
}

/// Whether nothing can arrive under the token any more: no INSERT is under way, and no member is left
/// that would send one. A member knows it by waiting for as long as both can last.
fn is_over(of: &Of<'_>) -> bool {
    let is_of_others = |member: &Member| {
        member.generation != of.member.generation
            && member.tokens().any(|(_, token, _)| token == of.token)
    };
    of.world.clickhouse.inserts.iter().all(|insert| insert.token != of.token)
        && !of.world.members.iter().any(is_of_others)
}
