//! Rules that hold whatever happens, tried on random runs.

use crate::{
    RunState,
    sim::{
        checks,
        driver::{Sim, run_id},
        for_seeds, ledger, whole_run,
    },
};
use towpath_model::{Event, Seq};

/// Calls `look` after each of many turns of random runs.
fn at_every_turn(seeds: u64, look: impl Fn(&Sim) + std::panic::RefUnwindSafe) {
    for_seeds(seeds, |seed| {
        let mut sim = Sim::random(seed);
        for _ in 0..40 {
            sim.turn();
            sim.decide();
            look(&sim);
        }
    });
}

#[test]
fn a_run_that_is_driven_settles() {
    for_seeds(500, |seed| drop(whole_run(seed)));
}

/// Every turn of every other test looks for a source as well; here each verb that is named is also sent.
#[test]
fn wake_up_source_for_every_resting_state() {
    at_every_turn(150, |sim| {
        if !sim.held {
            checks::somebody_moves_it(sim);
            checks::named_verbs_are_real(sim);
        }
    });
}

#[test]
fn fold_of_prefix_and_rest_is_the_whole_fold() {
    for_seeds(60, |seed| {
        let sim = whole_run(seed);
        let whole = sim.fold(sim.journal.len());
        assert!(whole == sim.state, "the fold is not the state that was driven:\n{}", sim.story());
        let mut prefix = RunState::new(run_id(), sim.state.plan().clone());
        for n in 0..=sim.journal.len() {
            // A process may take over at any event: what it recovers is no other fold.
            let mut rest = prefix.clone();
            rest.recover();
            assert!(rest == prefix);
            rest = prefix.clone();
            for (seq, (at, event)) in (1..).zip(&sim.journal).skip(n) {
                let read = Event::decode(event.kind().code(), &event.encode().unwrap()).unwrap();
                rest.apply(Seq(seq), *at, &read).unwrap();
            }
            assert!(rest == whole, "the fold of {n} events and the rest differs:\n{}", sim.story());
            if let Some((at, event)) = sim.journal.get(n) {
                prefix.apply(Seq(n as u64 + 1), *at, event).unwrap();
            }
        }
    });
}

#[test]
fn no_event_is_applied_twice() {
    for_seeds(150, |seed| {
        let sim = whole_run(seed);
        let mut state = RunState::new(run_id(), sim.state.plan().clone());
        for (seq, (at, event)) in (1..).zip(&sim.journal) {
            state.apply(Seq(seq), *at, event).unwrap();
            assert!(state.clone().apply(Seq(seq), *at, event).is_err(), "{seq} was applied twice");
            // What says that something begins or ends says so once, also under the next number.
            let once = !matches!(
                event,
                Event::SignalKept(_)
                    | Event::VerbAnswered(_)
                    | Event::Checkpointed(_)
                    | Event::StepObserved(_)
                    | Event::StepFailed(_)
            );
            if once {
                let again = state.clone().apply(Seq(seq + 1), *at, event);
                assert!(again.is_err(), "{event:?} happened twice:\n{}", sim.story());
            }
        }
    });
}

#[test]
fn unwinding_touches_exactly_the_steps_with_an_intent() {
    for_seeds(1_000, |seed| ledger::check(&whole_run(seed)));
}

#[test]
fn dying_again_at_once_changes_nothing() {
    at_every_turn(100, |sim| {
        let mut first = sim.clone();
        first.die();
        let mut second = first.clone();
        second.die();
        let (a, b) = (first.state.decide(sim.now), second.state.decide(sim.now));
        assert_eq!(a, b, "{}", sim.story());
        assert!(first.state == second.state && first.state.wake() == second.state.wake());
    });
}

#[test]
fn time_in_a_journal_never_goes_back() {
    for_seeds(100, |seed| {
        let mut sim = Sim::random(seed);
        for _ in 0..30 {
            sim.turn();
            // A clock that was set back.
            let earlier = crate::sim::driver::at(0);
            let decision = sim.state.clone().decide(earlier);
            let time = sim.state.time();
            let mut after = sim.state.clone();
            for event in &decision.events {
                after.apply(after.seq().next(), earlier, event).unwrap();
            }
            assert!(after.time() >= time);
        }
    });
}
