//! What must hold in every state, and when nothing is left to do.

use crate::explore::{Invariant, Model};
use crate::setup::Setup;
use crate::step::Step;
use crate::world::{Batch, Fate, Member, World};

/// No record has its row in the table twice.
pub const NONE_DOUBLED: &str = "no row is doubled";
/// Every offset below the committed one is landed or dead-lettered.
pub const NONE_LOST: &str = "no record is lost";
/// No operator is called. Broken by the protocol itself where nobody can tell what landed: each check
/// says whether that may be.
pub const NOTHING_PAUSES: &str = "nothing pauses";

impl Model for Setup {
    type State = World;
    type Step = Step;

    fn beginning(&self) -> World {
        World::default()
    }

    fn next(&self, world: &World) -> Vec<(Step, World)> {
        let mut steps = Vec::new();
        for member in &world.members {
            self.act(world, member, &mut steps);
        }
        self.environment(world, &mut steps);
        steps
    }

    fn invariants(&self) -> Vec<Invariant<Self>> {
        vec![
            Invariant { name: NONE_DOUBLED, holds: |_, world| none_doubled(world) },
            Invariant { name: NONE_LOST, holds: none_lost },
            Invariant { name: NOTHING_PAUSES, holds: |_, world| nothing_pauses(world) },
        ]
    }

    /// Every record is settled and its offset committed, or the owner waits for an operator.
    fn is_goal(&self, world: &World) -> bool {
        let is_committed = world.kafka.committed.as_ref().is_some_and(|committed| {
            let is_open = |offset| offset >= committed.offset;
            committed.topic == world.kafka.topic && !self.existing(world).iter().any(is_open)
        });
        is_committed || world.owner().is_some_and(pauses)
    }
}

pub(crate) fn none_doubled(world: &World) -> bool {
    world.clickhouse.rows.iter().all(|rows| rows.doubled.is_empty())
}

fn none_lost(setup: &Setup, world: &World) -> bool {
    let Some(committed) = &world.kafka.committed else { return true };
    if committed.topic != world.kafka.topic {
        return true;
    }
    let kept = world.clickhouse.rows_of(world.kafka.topic).landed.or(world.kafka.dead_letters);
    setup.existing(world).without(kept).iter().all(|offset| offset >= committed.offset)
}

fn nothing_pauses(world: &World) -> bool {
    !world.members.iter().any(pauses)
}

fn pauses(member: &Member) -> bool {
    let is_paused = |batch: &Batch| batch.fate == Fate::Paused;
    member.is_paused || member.batches.iter().any(is_paused)
}
