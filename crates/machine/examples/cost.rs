//! What the machine costs: microseconds per step of `take`, `apply` and `decide` together, for chains and fans, and per item
//! of a `for_each`.
//!
//! ```text
//! cargo run --release -p towpath-machine --example cost
//! ```

#![expect(clippy::print_stdout, reason = "an example talks on standard output")]

use std::{
    collections::{BTreeMap, VecDeque},
    hint::black_box,
    sync::Arc,
    time::Instant,
};
use towpath_machine::{Action, BodyEnd, Input, ItemStart, Phase, Plan, RunState};
use towpath_model::{
    Actor, BlobRef, Digest, Entry, EntryId, Event, InDoubt, ItemKey, Json, Kind, Message, Methods, Name,
    Operand, Outcome, PLAN_FORMAT, Payload, PipelineName, PlanRecord, Read, ReadMode, RetryPolicy, Role,
    RunId, RunKey, RunStarted, Section, Seq, StepId, StepRecord, Timestamp, UndoPolicy,
};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    println!(
        "a node takes {} bytes, a run {} and its nodes",
        size_of::<towpath_machine::Node>(),
        size_of::<RunState>()
    );
    println!("{:<6} {:>6} {:>12} {:>12} {:>12}", "shape", "steps", "drive µs", "list µs", "fold µs");
    for (shape, linear) in [("chain", true), ("fan", false)] {
        for n in [10, 100, 2_000] {
            let plan = Arc::new(Plan::compile(Arc::new(record(n, linear)?))?);
            let runs = 40_000 / n as u32;
            let driven = per_step(runs, n, || drive(&plan, false).map(|_| ()))?;
            let listed = per_step(runs, n, || drive_and_list(&plan))?;
            let (journal, _) = drive(&plan, false)?;
            let folded = per_step(runs, n, || fold(&plan, &journal))?;
            println!("{shape:<6} {n:>6} {driven:>12.2} {:>12.2} {folded:>12.2}", listed - driven);
        }
    }
    for n in [100, 10_000] {
        let plan = Arc::new(Plan::compile(Arc::new(items()?))?);
        let driven = per_step(20_000 / n as u32, n, || drive_items(&plan, n as u64))?;
        println!("{:<6} {n:>6} {driven:>12.2} {:>12} {:>12}", "items", "-", "-");
    }
    Ok(())
}

fn per_step(runs: u32, steps: usize, mut run: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    // The best of some rounds: other programs only ever make it slower.
    let mut best = f64::MAX;
    for _ in 0..7 {
        let began = Instant::now();
        for _ in 0..runs.div_ceil(7) {
            run()?;
        }
        best = best.min(began.elapsed().as_secs_f64() * 1e6 / f64::from(runs.div_ceil(7)) / steps as f64);
    }
    Ok(best)
}

fn record(n: usize, linear: bool) -> Result<PlanRecord, Error> {
    let steps = (0..n).map(|i| {
        let before = if linear { i.checked_sub(1) } else { (i > 0).then_some(0) };
        step(i, before)
    });
    Ok(PlanRecord {
        format: PLAN_FORMAT,
        pipeline: PipelineName::new("cost")?,
        steps: steps.collect::<Result<_, Error>>()?,
        params: BTreeMap::new(),
        output: None,
        parallel: 4,
        deadline_ms: None,
        unwind_one_at_a_time: false,
    })
}

fn step(i: usize, reads: Option<usize>) -> Result<StepRecord, Error> {
    let read = |of: usize| {
        Ok::<_, Error>(Read { step: StepId::new(&format!("step-{of}"))?, mode: ReadMode::Required })
    };
    Ok(StepRecord {
        id: StepId::new(&format!("step-{i}"))?,
        kind: Kind::new("cost.step/v1")?,
        with: Json::parse("{}")?,
        role: Role::Step,
        section: Section::Main,
        reads: reads.map(read).transpose()?.into_iter().collect(),
        after: Vec::new(),
        when: None,
        environment: None,
        locks: Vec::new(),
        in_doubt: InDoubt::Idempotent,
        methods: Methods { compensate: true, ..Methods::default() },
        undo: UndoPolicy::Undo,
        best_effort: false,
        point_of_no_return: false,
        retry: RetryPolicy::default(),
        undo_retry: RetryPolicy::default(),
        observe_retry: RetryPolicy::observing(),
        timeout_ms: None,
        within_ms: None,
    })
}

/// A plan of one `for_each`, with items of one step.
fn items() -> Result<PlanRecord, Error> {
    let (mut each, mut outer) = (record(1, true)?, record(1, true)?);
    each.params.insert("item".into(), Json::parse("{}")?);
    outer.steps[0].role = Role::ForEach {
        list: Operand::Value(Json::parse("[]")?),
        key: String::new(),
        each: Box::new(each),
        parallel: 16,
    };
    (outer.steps[0].in_doubt, outer.steps[0].with) = (InDoubt::NoEffect, Json::parse("{\"given\":{}}")?);
    Ok(outer)
}

/// Drives a run of `n` items, each of which is reported as its driver finds it in the inbox: one at a time.
fn drive_items(plan: &Arc<Plan>, n: u64) -> Result<(), Error> {
    let (now, step) = (Timestamp::from_micros(1), StepId::new("step-0")?);
    let mut state = RunState::new(RunId::from_bytes([1; 16]), plan.clone());
    state.apply(Seq(1), now, &started()?)?;
    let list = Payload::Inline(Json::parse("[]")?);
    let listed = Input::Listed { step: step.clone(), result: Ok((list.clone(), list.clone(), n)) };
    state.decide(now);
    state.take(listed, now).map_err(|failure| failure.to_string())?;
    let mut open = VecDeque::from(state.decide(now).starts);
    for id in 1..=n {
        let ItemStart { step, index, run } = open.pop_front().ok_or("no item is under way")?;
        let (item, outcome) = (ItemKey::new(&format!("item-{index}"))?, Outcome::Succeeded { output: None });
        let message = Message::SubRunSettled { step, index, item, run, outcome, undoable: true, left: false };
        let entry = Entry {
            id: EntryId(i64::try_from(id)?),
            dedupe_id: Name::new(&format!("item-{index}"))?,
            actor: Actor::engine(),
            message: Json::of(&message)?,
            received_at: now,
        };
        state.merge(vec![entry], now);
        open.extend(state.decide(now).starts);
        black_box((state.wake(), state.listing(), state.is_idle()));
    }
    if state.find(&step).and_then(|node| node.items()).map(|items| items.done()) != Some(n) {
        return Err("not every item is done".into());
    }
    Ok(())
}

fn started() -> Result<Event, Error> {
    let digest = Digest::of(b"cost");
    Ok(RunStarted {
        plan_hash: digest,
        plan: BlobRef { digest, bytes: 4 },
        pipeline: PipelineName::new("cost")?,
        key: RunKey::new("cost")?,
        values: BTreeMap::new(),
        labels: BTreeMap::new(),
        reason: String::new(),
        parent: None,
        forked_from: None,
        deadline: None,
        fencing: BTreeMap::new(),
    }
    .into())
}

/// Drives a run from its first event to its last. With `list`, asks what a driver asks after each transition.
fn drive(plan: &Arc<Plan>, list: bool) -> Result<(Vec<Event>, RunState), Error> {
    let now = Timestamp::from_micros(1);
    let (mut state, output) =
        (RunState::new(RunId::from_bytes([1; 16]), plan.clone()), Json::parse("{\"ok\":true}")?);
    let mut journal = vec![started()?];
    state.apply(Seq(1), now, &journal[0])?;
    let begun = state.decide(now);
    journal.extend(begun.events);
    let mut actions = begun.actions;
    while state.phase() != Phase::Settled {
        let Some(Action::Enter(step, attempt)) = actions.pop() else {
            return Err("nothing is under way".into());
        };
        let end = BodyEnd::Done {
            output: Payload::Inline(output.clone()),
            facts: BTreeMap::new(),
            unreadable: None,
        };
        let taken = state.take(Input::Ended { step, attempt, end }, now);
        journal.extend(taken.map_err(|failure| failure.to_string())?);
        let decision = state.decide(now);
        journal.extend(decision.events);
        actions.extend(decision.actions);
        if list {
            black_box((state.wake(), state.listing(), state.is_idle()));
        }
    }
    Ok((journal, state))
}

fn drive_and_list(plan: &Arc<Plan>) -> Result<(), Error> {
    drive(plan, true).map(|_| ())
}

fn fold(plan: &Arc<Plan>, journal: &[Event]) -> Result<(), Error> {
    let mut state = RunState::new(RunId::from_bytes([1; 16]), plan.clone());
    for (seq, event) in (1..).zip(journal) {
        state.apply(Seq(seq), Timestamp::from_micros(1), event)?;
    }
    state.recover();
    black_box(state);
    Ok(())
}
