//! What goes wrong and when: a pure function of the seed.
//!
//! A run is a sequence of rounds. In each a server is away, the engine gives wrong answers and
//! hosts come and go, side by side; then all is mended, and the round is over when the hosts have
//! caught up. So every round tells how long that takes, and none hides behind the next.

use std::time::Duration;

use fastrand::Rng;

use crate::kind::{Kind, Place};

/// Faults of each place in a round.
const SERVERS: usize = 1;
const ANSWERS: usize = 4;
const HOSTS: usize = 2;
const RECORDS: usize = 1;

/// After so many rounds each of these kinds came up.
pub fn rounds_for_all(kinds: &[Kind]) -> usize {
    let of = |place, each: usize| {
        kinds.iter().filter(|kind| kind.place() == place).count().div_ceil(each)
    };
    let places = [
        of(Place::Servers, SERVERS),
        of(Place::Answers, ANSWERS),
        of(Place::Hosts, HOSTS),
        of(Place::Records, RECORDS),
    ];
    places.into_iter().max().unwrap_or(0)
}

/// A fault, from its beginning to its mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// What goes wrong.
    pub kind: Kind,
    /// Since the round began.
    pub begins: Duration,
    /// Until the mend begins.
    pub lasts: Duration,
    /// Chance for what the kind leaves open: which host, which code.
    pub dice: u64,
}

impl Outage {
    fn ends(&self) -> Duration {
        self.begins + self.lasts
    }

    /// One of several, by this outage's own chance.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }

    /// An index below `length`; 0 where there is none.
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.dice % (length.max(1) as u64)).unwrap_or(0)
    }
}

/// One thing to do. They are done one after the other, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something goes wrong.
    Begin(Outage),
    /// It is mended.
    Mend(Outage),
}

impl Step {
    /// Since the round began.
    pub fn at(&self) -> Duration {
        match self {
            Self::Begin(outage) => outage.begins,
            Self::Mend(outage) => outage.ends(),
        }
    }
}

/// Outages that are all mended before the next round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Ordered by place, then by time.
    pub outages: Vec<Outage>,
}

impl Round {
    /// The beginnings and mends in the order of time; a mend comes before a beginning of the same
    /// moment.
    pub fn steps(&self) -> Vec<Step> {
        let begin = self.outages.iter().copied().map(Step::Begin);
        let mend = self.outages.iter().copied().map(Step::Mend);
        // Stable, so that the mend of what lasts no time stays behind its beginning.
        let mut steps: Vec<Step> = begin.chain(mend).collect();
        let is_begin = |step: &Step| matches!(step, Step::Begin(o) if !o.lasts.is_zero());
        steps.sort_by_key(|step| (step.at(), is_begin(step)));
        steps
    }
}

/// The rounds of a seed, without end.
pub struct Schedule {
    chance: Rng,
    servers: Bag,
    answers: Bag,
    hosts: Bag,
    records: Bag,
}

impl Schedule {
    /// The same seed and kinds give the same rounds.
    pub fn new(seed: u64, kinds: &[Kind]) -> Self {
        Self {
            chance: Rng::with_seed(seed),
            servers: Bag::of(Place::Servers, kinds),
            answers: Bag::of(Place::Answers, kinds),
            hosts: Bag::of(Place::Hosts, kinds),
            records: Bag::of(Place::Records, kinds),
        }
    }

    fn round(&mut self) -> Round {
        let mut outages = Vec::new();
        self.place(&mut outages, SERVERS, Duration::ZERO, |schedule| &mut schedule.servers);
        // The engine must be there to answer wrongly.
        let away = outages.iter().find(|outage| outage.kind.takes_the_engine());
        let from = away.map_or(Duration::ZERO, Outage::ends);
        self.place(&mut outages, ANSWERS, from, |schedule| &mut schedule.answers);
        self.place(&mut outages, HOSTS, Duration::ZERO, |schedule| &mut schedule.hosts);
        self.place(&mut outages, RECORDS, Duration::ZERO, |schedule| &mut schedule.records);
        Round { outages }
    }

    /// Puts outages of one place behind each other.
    fn place(
        &mut self,
        outages: &mut Vec<Outage>,
        count: usize,
        mut from: Duration,
        bag: fn(&mut Self) -> &mut Bag,
    ) {
        if bag(self).all.is_empty() {
            return;
        }
        for _ in 0..count {
            let mut chance = self.chance.fork();
            let Some(kind) = bag(self).draw(&mut chance) else { return };
            let begins = from + millis(&mut chance, 200..1_200);
            let lasts = kind.lasts_at_least() + millis(&mut chance, 0..2_000);
            let lasts = if kind.lasts_at_least().is_zero() { Duration::ZERO } else { lasts };
            let outage = Outage { kind, begins, lasts, dice: chance.u64(..) };
            from = outage.ends();
            outages.push(outage);
        }
    }
}

impl Iterator for Schedule {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        Some(self.round())
    }
}

fn millis(chance: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(chance.u64(range))
}

/// The kinds of a place, drawn by chance, none again before all were drawn.
struct Bag {
    all: Vec<Kind>,
    left: Vec<Kind>,
}

impl Bag {
    fn of(place: Place, kinds: &[Kind]) -> Self {
        let all = kinds.iter().filter(|kind| kind.place() == place).copied().collect();
        Self { all, left: Vec::new() }
    }

    fn draw(&mut self, chance: &mut Rng) -> Option<Kind> {
        if self.left.is_empty() {
            self.left = self.all.clone();
            chance.shuffle(&mut self.left);
        }
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::kind::Pace;

    fn rounds(seed: u64, count: usize) -> Vec<Round> {
        Schedule::new(seed, Kind::ALL).take(count).collect()
    }

    #[test]
    fn a_seed_gives_the_same_rounds_and_another_seed_others() {
        assert_eq!(rounds(7, 50), rounds(7, 50));
        assert_ne!(rounds(7, 50), rounds(8, 50));
    }

    #[test]
    fn each_kind_comes_up_within_the_promised_rounds() {
        for seed in 0..100 {
            let rounds = rounds(seed, rounds_for_all(Kind::ALL));
            let kinds = rounds.iter().flat_map(|round| &round.outages).map(|outage| outage.kind);
            let kinds: HashSet<Kind> = kinds.collect();
            assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}");
        }
    }

    #[test]
    fn the_short_run_has_time_for_its_kinds() {
        let quick: Vec<Kind> =
            Kind::ALL.iter().copied().filter(|kind| kind.pace() == Pace::Quick).collect();
        assert_eq!(rounds_for_all(&quick), 5);
        assert!(quick.iter().all(|kind| kind.lasts_at_least() < Duration::from_secs(5)));
    }

    #[test]
    fn every_outage_is_mended_in_its_round_after_it_began_and_lasted() {
        for round in (0..50).flat_map(|seed| rounds(seed, 20)) {
            let mut open = Vec::new();
            let mut before = Duration::ZERO;
            for step in round.steps() {
                assert!(step.at() >= before);
                before = step.at();
                match step {
                    Step::Begin(outage) => {
                        assert!(outage.lasts >= outage.kind.lasts_at_least());
                        open.push(outage);
                    }
                    Step::Mend(outage) => {
                        let at = open.iter().position(|open| *open == outage);
                        open.remove(at.expect("it began"));
                    }
                }
            }
            assert!(open.is_empty(), "{open:?}");
            assert!(before < Duration::from_mins(1), "{before:?}");
        }
    }

    #[test]
    fn there_is_one_outage_at_a_time_at_each_place_and_none_at_an_engine_that_is_away() {
        for round in (0..100).flat_map(|seed| rounds(seed, 20)) {
            let mut open: Vec<Outage> = Vec::new();
            for step in round.steps() {
                match step {
                    Step::Begin(outage) => {
                        let place = outage.kind.place();
                        assert!(open.iter().all(|other| other.kind.place() != place));
                        open.push(outage);
                        let is_away = open.iter().any(|open| open.kind.takes_the_engine());
                        let is_at = |place| open.iter().any(|open| open.kind.place() == place);
                        assert!(!(is_away && is_at(Place::Answers)), "{open:?}");
                    }
                    Step::Mend(outage) => open.retain(|open| *open != outage),
                }
            }
        }
    }
}
