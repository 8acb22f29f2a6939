//! The protocol without one of its rules, and which property that breaks. Under the same bounds the
//! protocol itself holds.

use sluicegate_model::explore::GOAL_IN_REACH;
use sluicegate_model::invariants::{NONE_DOUBLED, NONE_LOST, NOTHING_PAUSES};
use sluicegate_model::setup::{Setup, Variant, Verdict::*};

use crate::report::broken;

/// What the variant breaks that the protocol does not.
fn broken_by(variant: Variant, setup: &Setup) -> Vec<&'static str> {
    let mut found = broken(&setup.with_variant(variant), 1);
    for property in broken(setup, 1) {
        assert_eq!(property, NOTHING_PAUSES, "the protocol itself breaks it");
        found.retain(|of_variant| *of_variant != property);
    }
    found
}

fn two_members() -> Setup {
    Setup { generations: 2, ..Setup::new([Lands, Lands]) }
}

#[test]
fn at_least_once_doubles_and_never_loses() {
    let setup = Setup { records: vec![[Lands; 2], [Rejected; 2]], ..two_members() };
    assert_eq!(broken_by(Variant::AtLeastOnce, &setup), [NONE_DOUBLED]);
}

#[test]
fn without_a_nonce_the_records_of_a_topic_created_again_are_lost() {
    let setup = Setup { recreations: 1, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::NoNonce, &setup), [NONE_LOST]);
}

#[test]
fn a_plan_that_does_not_name_its_topic_loses_records_too() {
    let setup = Setup { recreations: 1, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::PlanWithoutTopic, &setup), [GOAL_IN_REACH, NONE_LOST]);
}

#[test]
fn tokens_derived_for_the_halves_of_a_batch_double() {
    let mut setup = Setup { alterations: 1, ..two_members() };
    setup.records = vec![[Lands, Lands], [Refused, Lands]];
    assert_eq!(broken_by(Variant::SuffixTokens, &setup), [NONE_DOUBLED]);
}

#[test]
fn a_split_of_what_may_have_landed_doubles() {
    let mut setup = Setup { alterations: 1, in_flight: 1, ..two_members() };
    // Landed, then refused when it was sent again.
    setup.records = vec![[Lands, Lands], [Lands, Refused]];
    assert_eq!(broken_by(Variant::SplitOfUnknown, &setup), [NONE_DOUBLED]);
    // Refused, while the INSERT of a zombie was still under way that no longer was.
    setup.records = vec![[Lands, Lands], [Refused, Lands]];
    assert_eq!(broken_by(Variant::SplitOfUnknown, &setup), [NONE_DOUBLED]);
}

#[test]
fn a_commit_before_the_dead_letter_is_reported_loses() {
    let setup = Setup { records: vec![[Rejected; 2], [Lands; 2]], ..two_members() };
    assert_eq!(broken_by(Variant::CommitBeforeReport, &setup), [NONE_LOST]);
}

#[test]
fn dead_letters_after_the_insert_lose_when_the_verdict_changes() {
    let mut setup = Setup { alterations: 1, in_flight: 1, ..two_members() };
    setup.records = vec![[Lands, Lands], [Rejected, Lands]];
    assert_eq!(broken_by(Variant::LettersAfterInsert, &setup), [NONE_LOST]);
}

#[test]
fn an_insert_before_its_plan_is_committed_doubles() {
    assert_eq!(broken_by(Variant::InsertBeforePlan, &two_members()), [NONE_DOUBLED]);
}

#[test]
fn a_zombie_whose_commits_are_taken_doubles() {
    assert_eq!(broken_by(Variant::UnfencedCommit, &two_members()), [NONE_DOUBLED, GOAL_IN_REACH]);
}

#[test]
fn a_commit_after_one_that_was_not_answered_doubles() {
    let setup = Setup { batch: 1, ..two_members() };
    assert_eq!(broken_by(Variant::CommitAgainAfterSilence, &setup), [NONE_DOUBLED]);
}

#[test]
fn a_token_that_the_window_forgot_doubles() {
    let setup = Setup { generations: 2, windows: 1, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::TrustedWindow, &setup), [NONE_DOUBLED]);
}

#[test]
fn an_insert_that_outlasts_the_window_doubles() {
    let setup = Setup { generations: 2, windows: 1, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::UnboundedInsert, &setup), [NONE_DOUBLED]);
}

#[test]
fn a_zombie_that_first_sends_under_an_old_plan_doubles() {
    let setup = Setup { generations: 2, windows: 2, has_token_column: true, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::UnusedTokenKept, &setup), [NONE_DOUBLED]);
}

#[test]
fn a_table_asked_for_positions_instead_of_tokens_loses() {
    let setup = Setup {
        generations: 4,
        windows: 1,
        recreations: 1,
        in_flight: 1,
        has_token_column: true,
        ..Setup::new([Lands])
    };
    assert_eq!(broken_by(Variant::VerifiedByPosition, &setup), [NONE_LOST]);
}

#[test]
fn a_plan_that_does_not_name_its_table_doubles() {
    let setup = Setup { generations: 2, replacements: 1, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::PlanWithoutTable, &setup), [NONE_DOUBLED]);
}

#[test]
fn tries_that_reach_whichever_server_double() {
    let setup = Setup { generations: 2, servers: 2, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::AnyServer, &setup), [NONE_DOUBLED]);
}

#[test]
fn a_success_that_proves_nothing_loses() {
    let setup = Setup { generations: 2, failures: 1, ..Setup::new([Lands]) };
    assert_eq!(broken_by(Variant::TrustedSuccess, &setup), [NONE_LOST]);
}
