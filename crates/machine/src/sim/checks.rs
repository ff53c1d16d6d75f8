//! What holds after every transition, whatever happened.

use super::driver::{Sim, What};
use crate::{Decision, ItemState, Ix, Mover, Phase, RunState, StepState, UndoState};
use std::{cmp::Reverse, collections::BTreeSet};
use towpath_model::Status;

pub(crate) fn after(sim: &Sim) {
    time_is_minded(sim);
    if std::panic::catch_unwind(|| sets_are_those_of_the_states(&sim.state)).is_err() {
        panic!("the sets are wrong:\n{}", sim.story());
    }
    places_are_kept(sim);
    if !sim.held {
        somebody_moves_it(sim);
    }
}

/// `wake` names only times at which `decide` does something, and deciding again at once does nothing.
fn time_is_minded(sim: &Sim) {
    let mut state = sim.state.clone();
    if let Some(wake) = state.wake() {
        assert!(wake > sim.now, "decide did not act upon {wake}:\n{}", sim.story());
    }
    let again = state.decide(sim.now);
    let nothing = again == Decision::default();
    assert!(nothing, "decided twice: {again:?}\n{}", sim.story());
    if let Some(wake) = state.wake() {
        let (seq, due) = (state.seq(), state.live.clone());
        let decision = state.decide(wake);
        let is_noted = state.live.due_tries != due.due_tries
            || state.live.due_waits != due.due_waits
            || state.live.due_undo != due.due_undo
            || state.live.shut_out != due.shut_out
            || state.live.observing != due.observing;
        let acted = state.seq() > seq || !decision.actions.is_empty() || is_noted;
        let covered = sim.bodies.iter().any(|b| b.what == What::Observe);
        assert!(acted || covered, "woken for nothing at {wake}:\n{}", sim.story());
        assert!(state.wake().is_none_or(|next| next > wake), "spins at {wake}:\n{}", sim.story());
    }
}

/// The derived sets, computed from nothing but the states, are those that were kept on the way.
pub(crate) fn sets_are_those_of_the_states(state: &RunState) {
    let all = || 0..state.plan.len() as Ix;
    let active = |ix: &Ix| state.is_active(*ix);
    let of = |f: &dyn Fn(&StepState) -> bool| -> BTreeSet<Ix> {
        all().filter(active).filter(|ix| f(&state.node(*ix).state)).collect()
    };
    let sets = &state.sets;
    let is_ready = of(&|s| *s == StepState::Ready);
    let (locked, ready): (BTreeSet<Ix>, _) = is_ready.into_iter().partition(|ix| state.is_locked_out(*ix));
    assert_eq!((&sets.ready, &sets.locked), (&ready, &locked));
    assert_eq!(sets.parked, of(&|s| matches!(s, StepState::Parked { .. })));
    assert_eq!(sets.resting, of(&|s| matches!(s, StepState::Resting(_))));
    assert_eq!(sets.moving as usize, of(&StepState::is_moving).len() - locked.len());
    let running: BTreeSet<Ix> = all().filter(|ix| state.node(*ix).state == StepState::Running).collect();
    assert_eq!(sets.running, running);
    for section in [0, 1, 2] {
        let open = all().filter(|ix| state.plan.step(*ix).section as usize == section);
        let open = open.filter(|ix| !state.node(*ix).state.is_at_rest()).count();
        assert_eq!(sets.open[section] as usize, open);
    }
    let with_open =
        all().filter(|ix| state.node(*ix).items().is_some_and(|items| items.open().next().is_some()));
    assert_eq!(sets.items_open, with_open.collect());
    all().filter_map(|ix| state.node(ix).items()).for_each(items_are_counted);
    let undo = |f: &dyn Fn(&UndoState) -> bool| -> BTreeSet<Ix> {
        all().filter(|ix| f(&state.node(*ix).undo)).collect()
    };
    assert_eq!(sets.undo_open as usize, undo(&|u| !u.is_settled()).len());
    let (undo_locked, undo_ready): (BTreeSet<Ix>, BTreeSet<Ix>) =
        undo(&|u| *u == UndoState::Ready).into_iter().partition(|ix| state.is_locked_out(*ix));
    assert_eq!(sets.undo_moving as usize, undo(&UndoState::is_moving).len() - undo_locked.len());
    assert_eq!(sets.undo_running, undo(&|u| *u == UndoState::Running));
    assert_eq!(sets.undo_resting, undo(&UndoState::is_resting));
    let keyed =
        |all: BTreeSet<Ix>| all.into_iter().map(|ix| (Reverse(state.node(ix).intent.unwrap()), ix)).collect();
    assert_eq!((&sets.undo_ready, &sets.undo_locked), (&keyed(undo_ready), &keyed(undo_locked)));
    who_acts_holds_its_locks(state);
}

/// Nothing is under way of a step whose locks the run does not hold.
fn who_acts_holds_its_locks(state: &RunState) {
    for ix in 0..state.plan.len() as Ix {
        let node = state.node(ix);
        let acts =
            node.state == StepState::Running || node.undo == UndoState::Running || state.has_open_items(ix);
        if acts && state.phase != Phase::Settled {
            assert!(state.may_act(ix), "{} acts without its locks", state.plan.step(ix).id);
        }
    }
}

fn items_are_counted(items: &crate::Items) {
    let of = |f: &dyn Fn(ItemState) -> bool| -> BTreeSet<u64> {
        (0..items.count()).filter(|i| f(items.state(*i).unwrap())).collect()
    };
    assert_eq!(items.open, of(&|s| matches!(s, ItemState::Running | ItemState::Unwinding)));
    assert_eq!(items.failed, of(&|s| s == ItemState::Failed));
    let waiting: BTreeSet<u64> = (items.next..items.count()).chain(items.again.iter().copied()).collect();
    assert_eq!(waiting, of(&|s| s == ItemState::Waiting));
    assert!(items.undoable.is_subset(&of(&|s| s == ItemState::Done)));
}

/// Never more at once than the plan allows.
fn places_are_kept(sim: &Sim) {
    let record = sim.state.plan.record();
    // A before-image that nobody waits for any more changes nothing and is not counted.
    let run = sim.bodies.iter().filter(|b| match b.what {
        What::Before | What::List => sim.state.live.asked.contains(&b.ix),
        What::Run => !b.parked,
        What::Observe | What::Undo | What::Gather => false,
    });
    let run = run.count();
    assert!(run <= record.parallel as usize, "{run} bodies at once:\n{}", sim.story());
    let undo = sim.bodies.iter().filter(|b| b.what == What::Undo).count();
    let most = if record.unwind_one_at_a_time { 1 } else { record.parallel as usize };
    assert!(undo <= most, "{undo} compensations at once:\n{}", sim.story());
}

/// Nothing rests in silence: something is under way, a time is minded, or the explanation names who can move it; and
/// what it names is true.
pub(crate) fn somebody_moves_it(sim: &Sim) {
    let state = &sim.state;
    if state.phase == Phase::Settled {
        assert_eq!((state.wake(), state.status()), (None, Status::Settled));
        return;
    }
    let under_way = sim.bodies.iter().any(|b| !b.parked);
    let explanation = state.explain();
    let named = explanation.waits.iter().any(|w| match &w.mover {
        Mover::Signal { .. } | Mover::Operator(_) => true,
        Mover::Items(runs) => !runs.is_empty(),
        Mover::Locks(locks) => !locks.is_empty(),
        Mover::Worker | Mover::Time(_) => false,
    });
    assert!(
        under_way || state.wake().is_some() || named,
        "rests in silence:\n{explanation}\n{}",
        sim.story()
    );
    for wait in &explanation.waits {
        let Some(step) = &wait.step else { continue };
        let ix = state.plan.find(step).unwrap();
        let mine = sim.bodies.iter().any(|b| b.ix == ix && !b.parked);
        let blocked = state.starts_nothing() || under_way;
        match wait.mover {
            Mover::Worker => {
                assert!(mine || blocked, "no worker has {step}:\n{explanation}\n{}", sim.story())
            }
            Mover::Time(at) => {
                let minded = state.wake().is_some_and(|wake| wake <= at);
                assert!(minded || mine || blocked, "time is not minded: {explanation}\n{}", sim.story());
            }
            Mover::Signal { .. } | Mover::Operator(_) | Mover::Locks(_) => {}
            Mover::Items(ref runs) => assert!(!runs.is_empty(), "{explanation}\n{}", sim.story()),
        }
    }
}

/// Every verb that is named is accepted, and changes something.
pub(crate) fn named_verbs_are_real(sim: &Sim) {
    for word in sim.state.verbs() {
        let mut with = sim.clone();
        let about = sim.state.resting().find(|ix| sim.state.verbs_of(*ix).contains(&word));
        let step = about.map(|ix| sim.state.plan.step(ix).id.clone());
        let verb = with.verb_about(word, step);
        let answer = with.verb(verb.clone());
        assert_eq!(answer, Ok(()), "{word} is named and refused:\n{}", sim.story());
        let (a, b) = (&sim.state, &with.state);
        let changed = a.phase != b.phase
            || a.paused != b.paused
            || a.leaving != b.leaving
            || a.cut_short != b.cut_short
            || a.nodes != b.nodes;
        assert!(changed, "{verb:?} changed nothing:\n{}", sim.story());
    }
}
