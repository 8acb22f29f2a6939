//! What happens to the members: requests arrive in any order, late or never, answers get lost,
//! members come and go, and the table, the topic and the window do not stand still.

use crate::invariants::none_doubled;
use crate::offsets::Offsets;
use crate::setup::{Setup, Variant, Verdict};
use crate::step::{Answer, Step};
use crate::world::{Batch, Commit, Fate, Insert, Member, World};
use sluicegate::delivery::plans::{self, Beginning, Plan};

impl Setup {
    /// Everything that may happen next without any member's doing.
    pub(crate) fn environment(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        self.assign(world, steps);
        self.end_members(world, steps);
        self.deliver_commits(world, steps);
        self.deliver_inserts(world, steps);
        self.pass_time(world, steps);
        self.recreate_topic(world, steps);
    }

    /// A member more: after a start, a crash or a rebalance. The one before it is not told.
    fn assign(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        if !self.has_successor(world) {
            return;
        }
        let mut next = world.clone();
        next.kafka.generation += 1;
        let generation = next.kafka.generation;
        next.members.push(self.begin(world, generation));
        steps.push((Step::Assigned(generation), next));
    }

    /// Kafka bumps the generation before it tells what is committed, so no commit of an older
    /// generation comes in between.
    fn begin(&self, world: &World, generation: u8) -> Member {
        let topic = world.kafka.topic;
        let committed = world.kafka.committed.as_ref();
        let told = match committed {
            Some(committed) if self.is(Variant::PlanWithoutTopic) => committed.topic,
            _ => topic,
        };
        let text = committed.and_then(|committed| committed.plan.as_ref()).map(Plan::to_text);
        let metadata = text.as_deref().unwrap_or_default();
        let committed = committed.map(|committed| (committed.offset, metadata));
        let beginning = plans::decide_beginning(committed, told.into());
        let (low, planned) = match beginning {
            Beginning::Anew | Beginning::OfAnotherTopic | Beginning::Unreadable => (0, Vec::new()),
            Beginning::Unplanned(offset) => (offset, Vec::new()),
            Beginning::Planned(ref plan) => (plan.low, plan.planned.clone()),
        };
        let of_plan =
            |planned| Batch { is_committed: true, fate: Fate::Unknown, ..Batch::new(planned) };
        Member {
            generation,
            topic,
            low,
            told: low,
            batches: planned.into_iter().map(of_plan).collect(),
            awaits: None,
            nonces: 0,
            unreported: Offsets::default(),
            is_paused: matches!(beginning, Beginning::OfAnotherTopic | Beginning::Unreadable),
        }
    }

    /// A member's memory is gone at any time, as long as another may take its place.
    fn end_members(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        for member in &world.members {
            if member.generation < world.kafka.generation || self.has_successor(world) {
                let mut next = world.clone();
                next.members.retain(|other| other.generation != member.generation);
                steps.push((Step::Ended(member.generation), next));
            }
        }
    }

    fn deliver_commits(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        for commit in &world.kafka.commits {
            let is_current = commit.generation == world.kafka.generation;
            let is_taken = is_current || self.is(Variant::UnfencedCommit);
            let mut arrived = world.clone();
            arrived.kafka.commits.remove(commit);
            let lost = arrived.clone();
            if is_taken {
                arrived.kafka.committed = Some(commit.commits.clone());
            }
            let heard = hear_commit(&arrived, commit, is_taken);
            let arrives =
                |is_heard| Step::CommitArrives { commit: commit.clone(), is_taken, is_heard };
            // Who hears nothing of its commit gives the assignment up, so there must be another.
            if !is_current || self.has_successor(world) {
                steps.push((arrives(false), arrived));
                steps.push((Step::CommitLost(commit.clone()), lost));
            }
            steps.extend(heard.map(|heard| (arrives(true), heard)));
        }
    }

    fn deliver_inserts(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        for insert in &world.clickhouse.inserts {
            let mut lost = world.clone();
            lost.clickhouse.inserts.remove(insert);
            steps.push((Step::InsertLost(*insert), lost.clone()));
            // Until a row is doubled: what comes behind it has no end.
            let any = self.is(Variant::AnyServer) && none_doubled(world);
            for server in (0..self.servers).filter(|server| any || *server == insert.server) {
                self.deliver_insert(&lost, insert, server, steps);
            }
        }
    }

    fn deliver_insert(
        &self,
        world: &World,
        insert: &Insert,
        server: u32,
        steps: &mut Vec<(Step, World)>,
    ) {
        let mut arrived = world.clone();
        let answer = if !self.refused(world, insert.rows).is_empty() {
            Answer::Refused
        } else if world.clickhouse.tokens.contains_key(&(server, insert.token)) {
            Answer::Deduplicated
        } else {
            if world.clickhouse.failures < self.failures {
                let mut failed = world.clone();
                failed.clickhouse.failures += 1;
                failed.clickhouse.tokens.insert((server, insert.token), insert.window_position);
                let answer = Answer::Logged;
                let step = Step::InsertArrives { insert: *insert, answer, is_heard: false };
                steps.push((step, failed));
            }
            arrived.clickhouse.store(insert, server);
            if self.has_token_column {
                arrived.clickhouse.column.insert((server, insert.token));
            }
            Answer::Stored
        };
        let heard = self.hear_insert(&arrived, insert, answer);
        let arrives = |is_heard| Step::InsertArrives { insert: *insert, answer, is_heard };
        steps.push((arrives(false), arrived));
        steps.extend(heard.map(|heard| (arrives(true), heard)));
    }

    /// What the member knows that sent this INSERT, if it is there and still wants to know.
    fn hear_insert(&self, world: &World, insert: &Insert, answer: Answer) -> Option<World> {
        let member = world.members.iter().find(|member| member.generation == insert.generation)?;
        let (at, _, batch) = member.tokens().find(|(_, token, _)| *token == insert.token)?;
        let fate = match (batch.fate, answer) {
            (Fate::Sent, Answer::Refused) => Fate::Refused { rows: insert.rows, is_definite: true },
            (Fate::Unknown, Answer::Refused) => {
                Fate::Refused { rows: insert.rows, is_definite: false }
            }
            (Fate::Unknown, _) if !self.is(Variant::TrustedSuccess) => Fate::Unproved,
            (Fate::Sent | Fate::Unknown, _) => Fate::Settled,
            _ => return None,
        };
        Some(world.with(member.with_batch(at, |batch| batch.fate = fate)))
    }

    fn pass_time(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        self.move_window(world, steps);
        if world.clickhouse.altered < self.alterations {
            let mut next = world.clone();
            next.clickhouse.altered += 1;
            steps.push((Step::TableAltered, next));
        }
        // A copy holds what is there; what is under way then is an operator's to wait for.
        let is_quiet = world.clickhouse.inserts.is_empty();
        if world.clickhouse.table < self.replacements && is_quiet {
            let mut next = world.clone();
            next.clickhouse.table += 1;
            next.clickhouse.tokens.clear();
            steps.push((Step::TableReplaced, next));
        }
        if world.kafka.vanished.len() < self.vanishing {
            for offset in self.existing(world).iter() {
                let mut next = world.clone();
                next.kafka.vanished = next.kafka.vanished.with(offset);
                steps.push((Step::Vanishes(offset), next));
            }
        }
        for member in world.members.iter().filter(|member| !member.unreported.is_empty()) {
            let mut member = member.clone();
            let letters = std::mem::take(&mut member.unreported);
            let generation = member.generation;
            let mut next = world.with(member);
            next.kafka.dead_letters = next.kafka.dead_letters.or(letters);
            steps.push((Step::Reported(generation), next));
        }
    }

    /// Members stop relying on a plan well before its tokens are forgotten, so that what they sent in
    /// time also arrives in time.
    fn move_window(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        let clickhouse = &world.clickhouse;
        if clickhouse.window < self.windows {
            let mut next = world.clone();
            next.clickhouse.window += 1;
            steps.push((Step::PlansAge, next));
        }
        let is_old = |window_position: u64| window_position < clickhouse.window;
        let is_under_way = clickhouse.inserts.iter().any(|insert| is_old(insert.window_position));
        let may_forget = clickhouse.tokens.values().any(|window_position| is_old(*window_position));
        if may_forget && (!is_under_way || self.is(Variant::UnboundedInsert)) {
            let mut next = world.clone();
            next.clickhouse.tokens.retain(|_, window_position| !is_old(*window_position));
            steps.push((Step::TokensForgotten, next));
        }
    }

    /// Only while the group has no member, which is told to be a condition. The coordinator forgets
    /// the offsets of a deleted topic, but not at once.
    fn recreate_topic(&self, world: &World, steps: &mut Vec<(Step, World)>) {
        let has_generations = world.kafka.generation + 2 <= self.generations;
        if world.kafka.topic >= self.recreations || world.owner().is_some() || !has_generations {
            return;
        }
        for keeps_offset in [false, true] {
            let mut next = world.clone();
            let kafka = &mut next.kafka;
            kafka.topic += 1;
            kafka.generation += 1;
            (kafka.vanished, kafka.dead_letters) = Default::default();
            if !keeps_offset {
                kafka.committed = None;
            }
            steps.push((Step::TopicRecreated { keeps_offset }, next));
        }
    }

    fn has_successor(&self, world: &World) -> bool {
        world.kafka.generation < self.generations
    }

    /// The records that are in the topic.
    pub(crate) fn existing(&self, world: &World) -> Offsets {
        Offsets::of(0..self.records.len() as i64).without(world.kafka.vanished)
    }

    /// Which of these ClickHouse refuses, with the table as it is.
    pub(crate) fn refused(&self, world: &World, of: Offsets) -> Offsets {
        of.and(self.having(world, Verdict::Refused))
    }

    /// The records with this verdict, with the table as it is.
    pub(crate) fn having(&self, world: &World, verdict: Verdict) -> Offsets {
        let altered = usize::from(world.clickhouse.altered);
        let has = |of: &[Verdict; 2]| of.get(altered) == Some(&verdict);
        (0..)
            .zip(&self.records)
            .filter(|(_, of)| has(of))
            .fold(Offsets::default(), |set, (offset, _)| set.with(offset))
    }
}

/// What the member knows that waits for this answer, if it is there.
fn hear_commit(world: &World, commit: &Commit, is_taken: bool) -> Option<World> {
    let member = world.members.iter().find(|member| member.generation == commit.generation)?;
    if member.awaits.as_ref() != Some(&commit.commits) {
        return None;
    }
    if !is_taken {
        // Its assignment is over, and now it knows.
        let mut next = world.clone();
        next.members.retain(|other| other.generation != commit.generation);
        return Some(next);
    }
    let mut member = member.clone();
    member.awaits = None;
    member.told = commit.commits.offset;
    for batch in &mut member.batches {
        batch.is_committed = true;
    }
    Some(world.with(member))
}
