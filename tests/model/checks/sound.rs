//! The protocol itself: nothing is doubled, nothing is lost, the goal stays in reach, and an operator
//! is called only where nobody can tell what landed.

use sluicegate_model::invariants::NOTHING_PAUSES;
use sluicegate_model::setup::{Setup, Verdict::*};

use crate::report::broken;

#[test]
fn crashes_and_rebalances_break_nothing() {
    let setup = Setup { generations: 2, ..Setup::new([Lands, Rejected, Lands]) };
    assert!(broken(&setup, 25_000).is_empty());
}

#[test]
fn two_zombies_beside_the_owner_break_nothing() {
    let setup = Setup { generations: 3, batch: 1, ..Setup::new([Lands, Rejected]) };
    assert!(broken(&setup, 40_000).is_empty());
}

#[test]
fn a_refused_record_is_found_by_splitting_and_dead_lettered_alone() {
    let setup =
        Setup { generations: 2, in_flight: 1, batch: 3, ..Setup::new([Lands, Refused, Lands]) };
    assert!(broken(&setup, 90_000).is_empty());
}

#[test]
fn a_plan_older_than_the_window_pauses_where_the_table_cannot_be_asked() {
    let mut setup = Setup { windows: 2, ..Setup::new([Lands]) };
    setup.has_token_column = false;
    assert_eq!(broken(&setup, 20_000), [NOTHING_PAUSES]);
    let mut setup = Setup { generations: 2, windows: 1, ..Setup::new([Lands, Lands]) };
    setup.has_token_column = false;
    assert_eq!(broken(&setup, 20_000), [NOTHING_PAUSES]);
}

#[test]
fn a_plan_older_than_the_window_is_settled_where_rows_carry_their_token() {
    let setup = Setup { windows: 2, has_token_column: true, ..Setup::new([Lands]) };
    assert!(broken(&setup, 25_000).is_empty());
    let setup =
        Setup { generations: 2, windows: 1, has_token_column: true, ..Setup::new([Lands, Lands]) };
    assert!(broken(&setup, 30_000).is_empty());
}

#[test]
fn a_table_that_is_altered_in_the_middle_of_a_split_breaks_nothing() {
    let mut setup = Setup { generations: 2, alterations: 1, ..Setup::new([]) };
    setup.has_token_column = false;
    setup.records = vec![[Lands, Lands], [Refused, Lands]];
    assert_eq!(broken(&setup, 25_000), [NOTHING_PAUSES]);
    setup.records = vec![[Lands, Lands], [Lands, Refused]];
    assert_eq!(broken(&setup, 25_000), [NOTHING_PAUSES]);
    setup.has_token_column = true;
    assert!(broken(&setup, 30_000).is_empty());
}

#[test]
fn a_topic_that_is_created_again_is_read_from_its_beginning() {
    let setup = Setup { recreations: 1, ..Setup::new([Lands, Rejected]) };
    // Paused where the committed offset of the deleted topic was left behind.
    assert_eq!(broken(&setup, 30_000), [NOTHING_PAUSES]);
}

#[test]
fn retention_and_compaction_between_a_crash_and_the_next_member_break_nothing() {
    let setup = Setup {
        generations: 2,
        vanishing: 2,
        in_flight: 1,
        ..Setup::new([Lands, Rejected, Lands])
    };
    assert!(broken(&setup, 40_000).is_empty());
}

#[test]
fn an_altered_table_and_an_aged_plan_together_break_nothing() {
    let setup = Setup {
        records: vec![[Lands, Refused], [Lands, Rejected]],
        generations: 2,
        alterations: 1,
        windows: 1,
        in_flight: 1,
        has_token_column: true,
        ..Setup::new([])
    };
    assert!(broken(&setup, 40_000).is_empty());
}

/// A copy knows no token. What it holds can be asked.
#[test]
fn a_table_whose_place_a_copy_takes_is_asked_and_otherwise_pauses() {
    let mut setup = Setup { generations: 2, replacements: 1, ..Setup::new([Lands, Rejected]) };
    assert!(broken(&setup, 10_000).is_empty());
    setup.has_token_column = false;
    assert_eq!(broken(&setup, 5_000), [NOTHING_PAUSES]);
}

#[test]
fn a_server_that_fails_between_a_token_and_its_rows_breaks_nothing() {
    let mut setup = Setup { generations: 2, failures: 1, ..Setup::new([Lands, Lands]) };
    assert!(broken(&setup, 10_000).is_empty());
    setup.has_token_column = false;
    assert_eq!(broken(&setup, 5_000), [NOTHING_PAUSES]);
}

#[test]
fn two_servers_behind_one_address_break_nothing_where_each_range_is_bound_to_one() {
    let setup = Setup { generations: 2, servers: 2, windows: 1, ..Setup::new([Lands, Rejected]) };
    assert!(broken(&setup, 10_000).is_empty());
    let setup = Setup { servers: 2, failures: 1, replacements: 1, ..Setup::new([Lands]) };
    assert!(broken(&setup, 10_000).is_empty());
}
