//! Every legal transition is visited, and no other.

use super::{items, locks, skips, unwinding, waits};
use crate::{
    LOCK_MOVES, Move, PHASE_MOVES, STEP_MOVES, UNDO_MOVES,
    sim::{family::whole_family, whole_run},
    transitions::visit::{self, Visited},
};
use std::{collections::BTreeSet, fmt::Debug};
use towpath_model::EventKind;

type Triples<S> = BTreeSet<(S, EventKind, S)>;

fn legal<S: Copy + Ord>(moves: &[Move<S>]) -> Triples<S> {
    let of = |m: &Move<S>| -> Triples<S> {
        let ends = |from: &S| {
            m.event.iter().flat_map(|e| m.to.iter().map(|to| (*from, *e, *to))).collect::<Vec<_>>()
        };
        m.from.iter().flat_map(ends).collect()
    };
    moves.iter().flat_map(of).collect()
}

/// What was visited and is not legal, and what is legal and was not visited.
fn differences<S: Copy + Ord + Debug>(moves: &[Move<S>], visited: &Triples<S>) -> Vec<String> {
    let legal = legal(moves);
    let illegal = visited.difference(&legal).map(|t| format!("illegal: {t:?}"));
    let missed = legal.difference(visited).map(|t| format!("legal, but no test visits it: {t:?}"));
    illegal.chain(missed).collect()
}

fn all_differences(visited: &Visited) -> Vec<String> {
    [
        differences(STEP_MOVES, &visited.steps),
        differences(UNDO_MOVES, &visited.undos),
        differences(PHASE_MOVES, &visited.phases),
        differences(LOCK_MOVES, &visited.locks),
    ]
    .concat()
}

/// What was visited and is not legal.
pub(super) fn illegal(visited: &Visited) -> Vec<String> {
    all_differences(visited).into_iter().filter(|d| d.starts_with("illegal")).collect()
}

#[test]
fn every_legal_transition_is_visited_and_no_other() {
    visit::take();
    for seed in 0..1_500 {
        whole_run(seed);
    }
    for seed in 0..600 {
        whole_family(seed);
    }
    skips::a_plan_without_a_step_on_its_way_goes_to_its_end();
    waits::a_body_that_ends_while_parked_counts_unless_it_was_only_dropped();
    unwinding::a_run_that_nobody_could_fold_was_given_up_where_it_stood();
    items::giving_the_parent_up_ends_an_item_among_its_last_steps();
    items::an_order_to_stop_leaves_what_is_not_being_undone_yet();
    items::a_step_that_rests_begins_only_the_items_again_that_failed();
    locks::a_run_that_was_given_up_by_its_header_holds_nothing();
    unwinding::giving_up_among_the_last_steps();
    unwinding::unwinding_that_is_stopped_lets_the_compensation_in_flight_end_and_leaves_the_rest();
    let visited = visit::take();
    let all = all_differences(&visited);
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}
