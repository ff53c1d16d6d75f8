//! Nothing that can be decoded makes the machine panic.

use super::coverage::illegal;
use crate::{
    Input, RunState,
    sim::{
        checks,
        driver::{Sim, at, failure, run_id},
        for_seeds,
        plans::{self, compile, id, json, name},
        rng::Rng,
        whole_run,
    },
    transitions::visit,
};
use towpath_model::*;

fn step(rng: &mut Rng) -> StepId {
    id(&format!("s{}", rng.below(5)))
}

fn time(rng: &mut Rng) -> Timestamp {
    // A stored time is any integer.
    let wild = [i64::MIN, -1, 0, 1, i64::MAX].map(|n| serde_json::from_str(&n.to_string()).unwrap());
    if rng.chance(20) { rng.pick(&wild) } else { at(rng.below(40) as u64) }
}

fn then(rng: &mut Rng) -> Then {
    let at = time(rng);
    rng.pick(&[Then::Retry { at }, Then::Fail, Then::Rest])
}

fn verb(rng: &mut Rng) -> Verb {
    let step = rng.chance(70).then(|| step(rng));
    let unwind = rng.chance(50);
    rng.pick(&[
        Verb::Pause,
        Verb::Resume,
        Verb::Cancel { unwind },
        Verb::Abandon,
        Verb::ReleaseLock { lock: name("lock-a") },
        Verb::Handback { step: step.clone() },
        Verb::Skip { step: step.clone(), output: None },
        Verb::Retry { step: step.clone(), new_key: true, from_scratch: true },
        Verb::Resolve { step, to: ResolveAs::NotDone },
    ])
}

fn order(rng: &mut Rng) -> Order {
    let by = Actor::engine();
    rng.pick(&[Order::Unwind, Order::Cancel, Order::Abandon { by, reason: String::new() }])
}

fn locks(rng: &mut Rng) -> Event {
    let all = ["lock-a", "lock-b", "lock-c"];
    let (first, last) = (rng.below(3), rng.below(4));
    let locks: Vec<_> = all.iter().take(last).skip(first).map(|lock| name(lock)).collect();
    let taken = locks.iter().map(|lock| (lock.clone(), 1)).collect();
    rng.pick(&[
        Event::from(LocksAsked { locks: locks.clone() }),
        LocksTaken { locks: taken }.into(),
        LocksReturned { locks }.into(),
    ])
}

/// A plan, perhaps with items, and where the run stands.
fn begun(rng: &mut Rng) -> RunState {
    let plan = if rng.chance(50) { plans::random(rng) } else { compile(plans::random_with_items(rng, 1)) };
    let mut state = RunState::new(run_id(), plan);
    let mut begins = plans::run_started(rng.chance(20).then(|| at(9)));
    if let (Event::RunStarted(e), true) = (&mut begins, rng.chance(50)) {
        let (step, item) = (id("deploy"), ItemKey::new("eu").unwrap());
        let path = step.item(&item);
        e.parent = Some(Below { run: run_id(), step, item, index: 0, path });
    }
    state.apply(Seq(1), at(0), &begins).unwrap();
    state
}

fn why(rng: &mut Rng) -> Why {
    let by = Actor::engine();
    let failed = Why::StepFailed { step: step(rng), failure: failure(FailureKind::Permanent) };
    rng.pick(&[Why::Deadline, failed, Why::Cancelled { by, reason: String::new() }])
}

/// Any event, lawful or not.
fn event(rng: &mut Rng) -> Event {
    let (step, attempt, failure) = (step(rng), Attempt(rng.below(3) as u32), failure(FailureKind::Transient));
    let (by, at, reason) = (Actor::engine(), time(rng), String::new());
    match rng.below(28) {
        0..=4 => StepStarted { step, attempt, before: rng.chance(30).then(|| json("1").into()) }.into(),
        5..=6 => StepDone {
            step,
            output: json("{\"ok\":true}").into(),
            by: DoneBy::Body,
            facts: Default::default(),
            output_error: rng.chance(10).then_some(failure),
        }
        .into(),
        7 => StepFailed { step, attempt, failure, then: then(rng) }.into(),
        8 => {
            let then = rng.pick(&[Doubt::Observe, Doubt::Retry { at }, Doubt::Fail, Doubt::Rest]);
            StepInDoubt { step, attempt, ended: Ended::Died, failure: None, then }.into()
        }
        9 => {
            let again = rng.chance(50).then_some(at);
            let answer = rng.pick(&[
                Answer::NotDone,
                Answer::TakenOver { seen: json("1") },
                Answer::Unknown { failure, again },
            ]);
            StepObserved { step, answer }.into()
        }
        10 => Checkpointed { step, undoing: rng.chance(50), value: json("1").into() }.into(),
        11 => {
            let (until, signal) = (rng.chance(70).then_some(at), rng.chance(50).then(|| name("go")));
            WaitStarted { step, wait: name("w"), until, signal, checkpoint: None }.into()
        }
        12 => {
            let kept = rng.chance(30).then(|| Seq(rng.below(20) as u64));
            WaitOver { step, wait: name("w"), value: None, from: None, kept }.into()
        }
        13 => StepSkipped { step, why: SkipWhy::Operator { by } }.into(),
        14 => {
            StepReset { step, new_key: true, from_scratch: rng.chance(50), new_before: rng.chance(50) }.into()
        }
        15 => {
            SignalKept { signal: name("go"), step: None, value: json("1"), from: by, received_at: at }.into()
        }
        16 => {
            let refused = rng.chance(20).then(String::new);
            VerbAnswered { id: name("e"), verb: verb(rng), by, reason, refused }.into()
        }
        17 => {
            let why = why(rng);
            rng.pick(&[DeadlinePassed {}.into(), UnwindStarted { why }.into(), Unwound {}.into()])
        }
        18..=19 => CompensationStarted { step, attempt }.into(),
        20 => CompensationDone { step, by: DoneBy::Body }.into(),
        21 => CompensationFailed { step, attempt, failure, then: then(rng) }.into(),
        22 => rng.pick(&[
            Event::from(CompensationAsked { step: step.clone() }),
            CompensationReset { step: step.clone(), new_key: true }.into(),
            CompensationSkipped { step }.into(),
        ]),
        23 => ItemsListed {
            step,
            items: json("[]").into(),
            given: json("{}").into(),
            count: rng.pick(&[0, 1, 3, u64::MAX]),
        }
        .into(),
        24 => {
            let (first, count) = (rng.below(4) as u64, rng.pick(&[0, 1, 2, u64::MAX]));
            SubRunsStarted { step, first, count }.into()
        }
        25 => {
            let why = why(rng);
            let outcome = rng.pick(&[Outcome::Succeeded { output: None }, Outcome::Compensated { why }]);
            let (index, item) = (rng.below(4) as u64, ItemKey::new("k").unwrap());
            SubRunSettled {
                step,
                index,
                item,
                run: run_id(),
                outcome,
                undoable: rng.chance(60),
                left: rng.chance(20),
            }
            .into()
        }
        26 if rng.chance(40) => locks(rng),
        26 if rng.chance(50) => SubRunsUnwinding { step, items: vec![rng.below(4) as u64] }.into(),
        26 => ParentOrdered { order: order(rng), fencing: Default::default() }.into(),
        _ => rng.pick(&[
            Event::from(Redacted { at: Seq(1), by: by.clone(), reason: reason.clone() }),
            EntryRefused { id: name("e"), from: by.clone(), why: reason.clone() }.into(),
            Overridden { what: name("w"), by, reason }.into(),
            RunSettled { outcome: Outcome::Succeeded { output: None }, aftermath: Aftermath::default() }
                .into(),
            plans::run_started(None),
        ]),
    }
}

/// Looks at a state in every way there is, and drives it on.
fn handle(mut state: RunState, rng: &mut Rng) {
    checks::sets_are_those_of_the_states(&state);
    let _ = (state.explain().to_string(), state.listing(), state.verbs(), state.wake(), state.is_idle());
    if rng.chance(80) {
        state.recover();
    }
    for _ in 0..3 {
        state.decide(time(rng));
        let message = Message::Verb { verb: verb(rng), reason: String::new() };
        let entry = Entry {
            id: EntryId(1),
            dedupe_id: name("e"),
            actor: Actor::engine(),
            message: Json::of(&message).unwrap(),
            received_at: time(rng),
        };
        state.merge(vec![entry], time(rng));
        let ended = Ended::Panicked;
        let attempt = Attempt(rng.below(2) as u32);
        let end = crate::BodyEnd::Lost { ended, failure: None };
        state.take(Input::Ended { step: step(rng), attempt, end }, time(rng)).unwrap();
    }
    checks::sets_are_those_of_the_states(&state);
}

#[test]
fn any_sequence_of_events_is_folded_or_refused_and_never_panics() {
    visit::take();
    for_seeds(5_000, |seed| {
        let mut rng = Rng::new(seed);
        let mut state = begun(&mut rng);
        for _ in 0..60 {
            let event = event(&mut rng);
            let mut next = state.clone();
            // A state that refused an event is not used any more.
            if next.apply(next.seq().next(), time(&mut rng), &event).is_ok() {
                state = next;
            }
        }
        handle(state, &mut rng);
    });
    assert_eq!(illegal(&visit::take()), [""; 0], "what is folded is legal, whoever wrote it");
}

#[test]
fn a_journal_with_an_event_out_of_place_is_folded_or_refused() {
    for_seeds(300, |seed| {
        let Sim { mut rng, mut journal, state, .. } = whole_run(seed);
        let (a, b) = (rng.below(journal.len()), rng.below(journal.len()));
        match rng.below(3) {
            0 => journal.swap(a, b),
            1 => drop(journal.remove(a)),
            _ => journal.insert(a, journal[b].clone()),
        }
        let mut folded = RunState::new(run_id(), state.plan().clone());
        for (seq, (at, event)) in (1..).zip(&journal) {
            if folded.apply(Seq(seq), *at, event).is_err() {
                return;
            }
        }
        handle(folded, &mut rng);
    });
}

#[test]
fn what_is_refused_says_where_and_why() {
    let mut state = RunState::new(run_id(), plans::plan([plans::step("a")]));
    let mut refuse = |seq, event: Event| state.apply(Seq(seq), at(0), &event).unwrap_err().to_string();
    let started =
        |step: &str| -> Event { StepStarted { step: id(step), attempt: Attempt(2), before: None }.into() };
    assert_eq!(refuse(2, started("a")), "event 2 (step-started): event 1 was expected");
    assert_eq!(
        refuse(1, started("a")),
        "event 1 (step-started): a journal begins with run-started, and only there"
    );
    let mut state = RunState::new(run_id(), plans::plan([plans::step("a")]));
    state.apply(Seq(1), at(0), &plans::run_started(None)).unwrap();
    let refuse = |event: Event| state.clone().apply(Seq(2), at(0), &event).unwrap_err().to_string();
    assert_eq!(refuse(started("b")), "event 2 (step-started): the plan has no step b");
    assert_eq!(refuse(started("a")), "event 2 (step-started): the attempt is not the next one");
    assert_eq!(
        refuse(LocksAsked { locks: vec![] }.into()),
        "event 2 (locks-asked): the plan has no scope of these locks"
    );
}
