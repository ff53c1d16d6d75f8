//! A driver that does anything that a driver may do, drawn from a seed.

use super::{
    checks,
    plans::{self, id, json, name},
    rng::Rng,
};
use crate::{
    Action, BodyEnd, Explanation, Input, ItemStart, Ix, Mover, Observation, Ordered, Phase, Plan, RunState,
    UndoEnd,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use towpath_model::{
    Actor, Attempt, BlobRef, Digest, Ended, Entry, EntryId, Event, Failure, FailureKind, Json, Message, Name,
    Payload, ResolveAs, RunId, Seq, StepId, Timestamp, Verb,
};

/// A run, its journal, and the process that drives it.
#[derive(Clone)]
pub(crate) struct Sim {
    pub(crate) rng: Rng,
    pub(crate) state: RunState,
    /// What is durable.
    pub(crate) journal: Vec<(Timestamp, Event)>,
    /// What the transition that is being made will write.
    draft: Vec<(Timestamp, Event)>,
    pub(crate) now: Timestamp,
    /// What the process has under way.
    pub(crate) bodies: Vec<Body>,
    received: Timestamp,
    entries: i64,
    pub(crate) held: bool,
    /// What the transition that is being made will give to other runs.
    giving: Vec<Given>,
    /// What was given to other runs.
    pub(crate) given: Vec<Given>,
    pub(crate) store: LockStore,
}

/// What the store knows of the locks that the run asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct LockStore {
    /// Questions without an answer that is durable.
    asked: BTreeMap<Name, Seq>,
    fence: u64,
    /// What the transitions since the last look did to locks, when somebody else answers.
    pub(crate) outside: Option<Vec<LockChange>>,
}

/// What a transition does to a lock.
#[derive(Clone, Debug)]
pub(crate) enum LockChange {
    Ask(Name, Seq),
    Return(Name),
    End,
}

/// What a transition does to other runs.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Start(ItemStart),
    Send(RunId, Message),
}

#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) what: What,
    pub(crate) ix: Ix,
    pub(crate) attempt: Attempt,
    /// It waits in memory at a durable wait.
    pub(crate) parked: bool,
    stopping: bool,
    expired: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Before,
    Run,
    Observe,
    Undo,
    List,
    Gather,
}

pub(crate) fn run_id() -> RunId {
    RunId::from_bytes([7; 16])
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` seconds after the beginning of the simulated time.
pub(crate) fn at(n: u64) -> Timestamp {
    Timestamp::from_micros(1_000_000_000_000_000).plus(secs(n))
}

pub(crate) fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, format!("a {kind} failure"))
}

impl Sim {
    /// A run of `plan` that has just begun.
    pub(crate) fn new(plan: Arc<Plan>, rng: Rng, deadline: Option<Timestamp>) -> Self {
        Sim::begin(run_id(), plan, rng, plans::run_started(deadline), at(0))
    }

    /// A run that has just begun.
    pub(crate) fn begin(run: RunId, plan: Arc<Plan>, rng: Rng, begins: Event, now: Timestamp) -> Self {
        let mut sim = Sim {
            rng,
            state: RunState::new(run, plan),
            journal: Vec::new(),
            draft: Vec::new(),
            now,
            bodies: Vec::new(),
            received: now,
            entries: 0,
            held: false,
            giving: Vec::new(),
            given: Vec::new(),
            store: LockStore::default(),
        };
        sim.state.apply(Seq(1), sim.now, &begins).unwrap();
        sim.draft.push((sim.now, begins));
        sim.decide();
        sim
    }

    /// A run of a random plan, from a seed.
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let plan = plans::random(&mut rng);
        let deadline = rng.chance(15).then(|| at(5 + rng.below(60) as u64));
        Sim::new(plan, rng, deadline)
    }

    // ---- what is told to the machine

    /// Tells the machine something. It is journaled by the next [`decide`](Self::decide).
    pub(crate) fn take(&mut self, input: Input) -> Result<(), Failure> {
        let events = self.state.take(input.clone(), self.now)?;
        self.note(events);
        if !matches!(input, Input::Entry(_) | Input::Checkpoint { .. } | Input::Wait { .. }) {
            // No event is applied twice: what was told again makes nothing.
            assert_eq!(self.state.take(input.clone(), self.now), Ok(Vec::new()), "told twice: {input:?}");
        }
        Ok(())
    }

    pub(crate) fn entry(&mut self, actor: &str, message: &Message) -> Entry {
        self.entries += 1;
        Entry {
            id: EntryId(self.entries),
            dedupe_id: name(&format!("entry-{}", self.entries)),
            actor: Actor::new(actor).unwrap(),
            message: Json::of(message).unwrap(),
            received_at: self.received.max(self.now),
        }
    }

    pub(crate) fn merge(&mut self, entries: Vec<Entry>) {
        let events = self.state.merge(entries, self.now);
        self.note(events);
    }

    pub(crate) fn send(&mut self, message: &Message) {
        let entry = self.entry("user:ann", message);
        self.merge(vec![entry]);
    }

    /// Sends a verb; the answer, and why it was refused.
    pub(crate) fn verb(&mut self, verb: Verb) -> Result<(), String> {
        let before = self.draft.len();
        self.send(&Message::Verb { verb, reason: "because".into() });
        if self.state.phase() == Phase::Settled {
            return Err("the run has settled".into());
        }
        let answer = self.draft[before..].iter().find_map(|(_, e)| match e {
            Event::VerbAnswered(e) => Some(e.refused.clone()),
            _ => None,
        });
        answer.expect("every verb is answered").map_or(Ok(()), Err)
    }

    pub(crate) fn signal(&mut self, signal: &str, step: Option<&str>, value: &str) {
        let step = step.map(id);
        self.send(&Message::Signal { name: name(signal), step, value: json(value) });
    }

    // ---- what the machine decides

    /// Has the machine decide, journals everything, and does what follows.
    pub(crate) fn decide(&mut self) {
        let actions = self.decide_only();
        self.commit();
        actions.into_iter().for_each(|action| self.act(action));
        checks::after(self);
    }

    pub(crate) fn decide_only(&mut self) -> Vec<Action> {
        let mut decision = self.state.decide(self.now);
        while decision.more {
            let next = self.state.decide(self.now);
            decision.events.extend(next.events);
            decision.actions.extend(next.actions);
            decision.starts.extend(next.starts);
            decision.orders.extend(next.orders);
            decision.more = next.more;
        }
        self.note(decision.events);
        self.giving.extend(decision.starts.into_iter().map(Given::Start));
        let order = |o: Ordered| Given::Send(o.run, Message::Parent { order: o.order, fencing: o.fencing });
        self.giving.extend(decision.orders.into_iter().map(order));
        decision.actions
    }

    fn note(&mut self, events: Vec<Event>) {
        let settled = events.iter().filter_map(|event| match event {
            Event::RunSettled(settled) => self.state.report(settled),
            _ => None,
        });
        self.giving.extend(settled.map(|(run, message)| Given::Send(run, message)));
        self.draft.extend(events.into_iter().map(|event| (self.now, event)));
    }

    /// What was drafted is durable.
    pub(crate) fn commit(&mut self) {
        for (at, event) in std::mem::take(&mut self.draft) {
            let read = Event::decode(event.kind().code(), &event.encode().unwrap());
            assert_eq!(read.as_ref(), Ok(&event), "an event that is not read as it was written");
            self.store.note(&event, Seq(self.journal.len() as u64 + 1));
            self.journal.push((at, event));
        }
        assert_eq!(self.journal.len() as u64, self.state.seq().0);
        self.given.append(&mut self.giving);
    }

    /// The process dies: the run is folded anew from what is durable.
    pub(crate) fn die(&mut self) {
        self.draft.clear();
        self.giving.clear();
        self.bodies.clear();
        self.held = false;
        self.state = self.fold(self.journal.len());
        self.state.recover();
    }

    /// The first `n` events of the journal, folded.
    pub(crate) fn fold(&self, n: usize) -> RunState {
        let mut state = RunState::new(self.state.run(), self.state.plan().clone());
        for (seq, (at, event)) in (1..).zip(&self.journal[..n]) {
            state.apply(Seq(seq), *at, event).unwrap();
        }
        state
    }

    fn act(&mut self, action: Action) {
        let plan = self.state.plan().clone();
        let place = |step: &StepId| plan.find(step).unwrap();
        match action {
            Action::TakeBefore(step) => self.begin_body(What::Before, place(&step), Attempt(0)),
            Action::List(step) => self.begin_body(What::List, place(&step), Attempt(0)),
            Action::Gather(step) => {
                let attempt = self.state.node(place(&step)).attempt();
                self.begin_body(What::Gather, place(&step), attempt);
            }
            Action::Observe(step) => {
                self.bodies.retain(|b| b.what != What::Observe || b.ix != place(&step));
                self.begin_body(What::Observe, place(&step), Attempt(0));
            }
            Action::Compensate(step, attempt) => self.begin_body(What::Undo, place(&step), attempt),
            Action::Enter(step, attempt) => match self.run_body(place(&step)) {
                Some(body) => {
                    assert!(body.parked && body.attempt == attempt, "{step} is entered though it runs");
                    body.parked = false;
                }
                None => self.begin_body(What::Run, place(&step), attempt),
            },
            Action::Stop(step) => {
                let Some(body) = self.run_body(place(&step)) else {
                    panic!("{step} is stopped and does not run:\n{}", self.story())
                };
                body.stopping = true;
            }
            Action::Expire(step) => {
                let Some(body) = self.run_body(place(&step)) else {
                    panic!("{step} has no time left and does not run:\n{}", self.story())
                };
                body.expired = true;
            }
            Action::Forget(step) => {
                self.bodies.retain(|b| b.what != What::Run || b.ix != place(&step) || !b.parked);
            }
        }
    }

    fn begin_body(&mut self, what: What, ix: Ix, attempt: Attempt) {
        assert!(!self.bodies.iter().any(|b| b.what == what && b.ix == ix), "{what:?} of {ix} began twice");
        self.bodies.push(Body { what, ix, attempt, parked: false, stopping: false, expired: false });
    }

    pub(crate) fn run_body(&mut self, ix: Ix) -> Option<&mut Body> {
        self.bodies.iter_mut().find(|b| b.what == What::Run && b.ix == ix)
    }

    // ---- chance

    /// One transition of whatever may happen.
    pub(crate) fn turn(&mut self) {
        self.now = self.now.plus(Duration::from_millis(self.rng.below(1_500) as u64));
        for _ in 0..1 + self.rng.below(3) {
            self.happen();
        }
        if self.rng.chance(4) {
            if self.rng.chance(50) {
                self.decide_only();
                self.commit();
            }
            return self.die();
        }
        self.decide();
    }

    fn happen(&mut self) {
        match self.rng.below(100) {
            0..=61 if !self.bodies.is_empty() => self.some_body(),
            62..=74 => self.some_signal(),
            75..=79 => {
                let verb = self.some_verb();
                // Whether it is refused is judged elsewhere.
                let _ = self.verb(verb);
            }
            _ if self.rng.chance(15) && self.grant() => {}
            80 => {
                self.held = !self.held;
                self.state.hold(self.held);
            }
            _ => {
                if let Some(wake) = self.state.wake() {
                    let late = if self.rng.chance(30) { secs(self.rng.below(60) as u64) } else { secs(0) };
                    self.now = self.now.max(wake).plus(late);
                }
            }
        }
    }

    fn some_body(&mut self) {
        let i = self.rng.below(self.bodies.len());
        let body = self.bodies[i].clone();
        let step = self.state.plan().step(body.ix).id.clone();
        match body.what {
            What::Before => {
                self.bodies.swap_remove(i);
                let image = Ok(Payload::from(json("{\"was\":1}")));
                let result = if self.rng.chance(75) { image } else { Err((self.some_failure(), None)) };
                self.take(Input::Before { step, result }).unwrap();
            }
            What::Observe => {
                self.bodies.swap_remove(i);
                let answer = self.some_answer(body.ix);
                self.take(Input::Observed { step, answer }).unwrap();
            }
            What::Undo => self.some_undo(i, step),
            What::List => {
                self.bodies.swap_remove(i);
                let count = self.rng.below(5) as u64;
                let result = if self.rng.chance(85) { Ok(listed(count)) } else { Err(self.some_failure()) };
                self.take(Input::Listed { step, result }).unwrap();
            }
            What::Gather => self.succeed(i),
            What::Run if body.parked => {
                self.bodies.swap_remove(i);
                // It leaves memory, and sometimes it had gone on instead of waiting.
                if self.rng.chance(25) {
                    let end = self.some_end(body.ix);
                    self.take(Input::Ended { step, attempt: body.attempt, end }).unwrap();
                }
            }
            What::Run => self.some_run(i, step),
        }
    }

    fn some_run(&mut self, i: usize, step: StepId) {
        let body = self.bodies[i].clone();
        let dropped = if body.expired {
            Some(Ended::TimedOut)
        } else {
            (body.stopping && self.rng.chance(50)).then_some(Ended::Dropped)
        };
        if dropped.is_none() && self.rng.chance(12) {
            let value = json("{\"saved\":true}").into();
            return self.take(Input::Checkpoint { step, undoing: false, value }).unwrap();
        }
        if dropped.is_none() && self.rng.chance(30) {
            return self.some_wait(i, step);
        }
        self.bodies.swap_remove(i);
        let end = match dropped {
            Some(ended) => BodyEnd::Lost { ended, failure: None },
            None => self.some_end(body.ix),
        };
        self.take(Input::Ended { step, attempt: body.attempt, end }).unwrap();
    }

    fn some_wait(&mut self, i: usize, step: StepId) {
        let wait = self.rng.pick(&["w1", "w2", "w3"]);
        let signal = self.rng.chance(60).then(|| name(self.rng.pick(&["go", "approval"])));
        let until =
            (signal.is_none() || self.rng.chance(50)).then(|| self.now.plus(secs(self.rng.below(30) as u64)));
        let checkpoint = self.rng.chance(30).then(|| json("{\"at\":\"wait\"}").into());
        let asked = Input::Wait { step, wait: name(wait), until, signal, checkpoint };
        if self.take(asked).is_err() {
            return;
        }
        if self.rng.chance(50) {
            self.bodies[i].parked = true;
        } else {
            self.bodies.swap_remove(i);
        }
    }

    fn some_end(&mut self, ix: Ix) -> BodyEnd {
        match self.rng.below(100) {
            0..=49 => {
                let (output, facts, unreadable) = self.some_output(ix);
                BodyEnd::Done { output, facts, unreadable }
            }
            50..=79 => {
                let retry_after = self.rng.chance(20).then(|| secs(3));
                BodyEnd::Failed { failure: self.some_failure(), retry_after }
            }
            80..=82 => BodyEnd::TakenOver(json("{\"by\":\"bob\"}")),
            _ => {
                let ended = self.rng.pick(&[Ended::TimedOut, Ended::Panicked, Ended::Dropped]);
                let failure = self.rng.chance(50).then(|| failure(FailureKind::Unknown));
                BodyEnd::Lost { ended, failure }
            }
        }
    }

    fn some_undo(&mut self, i: usize, step: StepId) {
        let attempt = self.bodies[i].attempt;
        if self.rng.chance(10) {
            let value = json("{\"undoing\":1}").into();
            return self.take(Input::Checkpoint { step, undoing: true, value }).unwrap();
        }
        self.bodies.swap_remove(i);
        let end = match self.rng.below(10) {
            0..=5 => UndoEnd::Done,
            6..=7 => UndoEnd::Failed { failure: self.some_failure(), retry_after: None },
            _ => UndoEnd::Lost(Ended::Panicked, None),
        };
        self.take(Input::Undone { step, attempt, end }).unwrap();
    }

    fn some_answer(&mut self, ix: Ix) -> Observation {
        match self.rng.below(10) {
            0..=3 => {
                let (output, facts, unreadable) = self.some_output(ix);
                Observation::Done { output, facts, unreadable }
            }
            4..=6 => Observation::NotDone,
            7 => Observation::TakenOver(json("{\"by\":\"eve\"}")),
            _ => {
                let retry_after = self.rng.chance(20).then(|| secs(3));
                Observation::Unknown { failure: failure(FailureKind::Transient), retry_after }
            }
        }
    }

    fn some_failure(&mut self) -> Failure {
        use FailureKind::{NeedsOperator, Permanent, Rejected, Transient, Unknown};
        failure(self.rng.pick(&[Transient, Transient, Rejected, Permanent, Unknown, NeedsOperator]))
    }

    fn some_output(&mut self, ix: Ix) -> (Payload, BTreeMap<String, Json>, Option<Failure>) {
        let output = json(&format!("{{\"ok\":{},\"n\":{}}}", self.rng.chance(60), self.rng.below(9)));
        if self.rng.chance(4) {
            return (json("null").into(), BTreeMap::new(), Some(failure(FailureKind::Permanent)));
        }
        if self.rng.chance(80) {
            return (output.into(), BTreeMap::new(), None);
        }
        let plan = self.state.plan().clone();
        let facts = plan.facts(ix).iter().filter_map(|at| Some((at.clone(), output.at(at)?))).collect();
        (Payload::Blob(BlobRef { digest: Digest::of(b"blob"), bytes: 100_000 }), facts, None)
    }

    fn some_step(&mut self) -> StepId {
        let ix = self.rng.below(self.state.plan().len()) as Ix;
        self.state.plan().step(ix).id.clone()
    }

    fn some_signal(&mut self) {
        let step = self.some_step();
        let message = if self.rng.chance(40) {
            Message::Approval { step, approve: true, comment: String::new() }
        } else {
            Message::Signal { name: name("go"), step: self.rng.chance(40).then_some(step), value: json("1") }
        };
        let mut entry = self.entry("user:ann", &message);
        // It may have come some time ago.
        let lag = secs(self.rng.below(20) as u64).as_micros() as i64;
        self.received = self.received.max(Timestamp::from_micros(self.now.as_micros() - lag));
        entry.received_at = self.received;
        self.merge(vec![entry]);
    }

    fn some_verb(&mut self) -> Verb {
        let step = self.some_step();
        let step = if self.rng.chance(70) {
            let resting: Vec<Ix> = self.state.resting().collect();
            resting.first().map(|ix| self.state.plan().step(*ix).id.clone())
        } else {
            self.rng.chance(50).then_some(step)
        };
        match self.rng.below(17) {
            16 => Verb::ReleaseLock { lock: name(self.rng.pick(&["lock-a", "lock-b", "lock-c"])) },
            0 => Verb::Pause,
            1..=4 => Verb::Resume,
            5 => Verb::Cancel { unwind: self.rng.chance(60) },
            6 if self.rng.chance(50) => Verb::Abandon,
            word => {
                let word = ["retry", "skip", "resolve", "handback"][word % 4];
                self.verb_about(word, step)
            }
        }
    }

    /// A verb that the machine names, about a step.
    pub(crate) fn verb_about(&mut self, word: &str, step: Option<StepId>) -> Verb {
        match word {
            "retry" => Verb::Retry { step, new_key: self.rng.chance(30), from_scratch: self.rng.chance(30) },
            "skip" => Verb::Skip { step, output: self.rng.chance(50).then(|| json("{\"ok\":true}")) },
            "resolve" => {
                let done = self.rng.chance(50);
                let to = if done { ResolveAs::Done(json("{\"ok\":true}")) } else { ResolveAs::NotDone };
                Verb::Resolve { step, to }
            }
            "handback" => Verb::Handback { step },
            "pause" => Verb::Pause,
            "resume" => Verb::Resume,
            "cancel" => Verb::Cancel { unwind: true },
            "cancel --no-unwind" => Verb::Cancel { unwind: false },
            "abandon" => Verb::Abandon,
            other => panic!("the machine names a verb that there is not: {other}"),
        }
    }

    // ---- calm

    /// From now on everything succeeds and an operator answers what rests: drives the run until it settles, in at most
    /// `most` turns.
    pub(crate) fn settle(&mut self, most: usize) {
        self.held = false;
        self.state.hold(false);
        self.decide();
        for _ in 0..most {
            if self.state.phase() == Phase::Settled {
                return;
            }
            self.calm_turn();
        }
        panic!("the run has not settled after {most} turns:\n{}\n{}", self.state.explain(), self.story());
    }

    pub(crate) fn calm_turn(&mut self) {
        self.now = self.now.plus(Duration::from_millis(1));
        if let Some(i) = self.bodies.iter().position(|b| !b.parked) {
            self.succeed(i);
        } else if self.state.wake().is_some_and(|_| self.rng.chance(60)) {
            self.now = self.now.max(self.state.wake().unwrap());
        } else {
            self.operate();
        }
        self.decide();
    }

    pub(crate) fn succeed(&mut self, i: usize) {
        let body = self.bodies.swap_remove(i);
        let step = self.state.plan().step(body.ix).id.clone();
        let (output, facts, unreadable) = (json("{\"ok\":true,\"n\":1}").into(), BTreeMap::new(), None);
        let input = match body.what {
            What::Before => Input::Before { step, result: Ok(json("{\"was\":1}").into()) },
            What::Run | What::Gather => {
                let end = BodyEnd::Done { output, facts, unreadable };
                Input::Ended { step, attempt: body.attempt, end }
            }
            What::Observe => {
                Input::Observed { step, answer: Observation::Done { output, facts, unreadable } }
            }
            What::Undo => Input::Undone { step, attempt: body.attempt, end: UndoEnd::Done },
            What::List => Input::Listed { step, result: Ok(listed(2)) },
        };
        self.take(input).unwrap();
    }

    /// Somebody does what the explanation says.
    fn operate(&mut self) {
        let Explanation { waits, .. } = self.state.explain();
        let movers: Vec<_> = waits
            .into_iter()
            .filter(|w| matches!(w.mover, Mover::Operator(_) | Mover::Signal { .. }))
            .collect();
        if self.grant() {
            return;
        }
        if movers.is_empty() {
            assert!(
                self.store.outside.is_some() || self.state.wake().is_some() || self.state.awaits_items(),
                "nobody can move the run: {:?}\n{:?}\n{}\n{}",
                self.bodies,
                self.state.live,
                self.state.explain(),
                self.story()
            );
            return;
        }
        let wait = self.rng.pick(&movers);
        match wait.mover {
            Mover::Operator(verbs) => {
                let word = self.rng.pick(&verbs);
                let verb = self.verb_about(word, wait.step);
                assert_eq!(self.verb(verb), Ok(()), "{word} was named and is refused");
            }
            Mover::Signal { command, .. } => self.obey(&command),
            Mover::Worker | Mover::Time(_) | Mover::Items(_) | Mover::Locks(_) => {
                unreachable!("filtered out above")
            }
        }
    }

    /// One of the locks that the run queues for is there: whether there is one.
    pub(crate) fn grant(&mut self) -> bool {
        if self.store.outside.is_some() || self.store.asked.is_empty() {
            return false;
        }
        let asked: Vec<(Name, Seq)> =
            self.store.asked.iter().map(|(lock, seq)| (lock.clone(), *seq)).collect();
        let (lock, asked) = self.rng.pick(&asked);
        self.store.fence += 1;
        let granted = Message::LockGranted { lock, fence: self.store.fence, asked };
        let entry = self.entry("engine", &granted);
        self.merge(vec![entry]);
        true
    }

    /// Does what a command of the explanation does.
    fn obey(&mut self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let run = self.state.run().to_string();
        match words[..] {
            ["approve", of, step] if of == run => {
                let (step, comment) = (id(step), "looks good".into());
                self.send(&Message::Approval { step, approve: true, comment });
            }
            ["signal", of, signal, "--step", step] if of == run => self.signal(signal, Some(step), "2"),
            _ => panic!("not a command: {command}"),
        }
    }

    /// The journal, an event a line, for failing tests.
    pub(crate) fn story(&self) -> String {
        let mut text = String::new();
        for (seq, (at, event)) in (1..).zip(&self.journal) {
            let body = String::from_utf8(event.encode().unwrap()).unwrap();
            let offset = at.since(crate::sim::driver::at(0)).as_millis();
            text.push_str(&format!("{seq:>4} {offset:>7} ms {:<22} {body}\n", event.kind().word()));
        }
        text
    }

    /// Names of the kinds of all events.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        self.journal.iter().map(|(_, e)| e.kind().word()).collect()
    }
}

/// A list of so many items, as it is journaled.
pub(crate) fn listed(count: u64) -> (Payload, Payload, u64) {
    let items: Vec<(String, u64)> = (0..count).map(|i| (format!("k{i}"), i)).collect();
    (Json::of(&items).unwrap().into(), json("{\"yes\":true}").into(), count)
}

impl Body {
    /// Whether it may change something outside.
    pub(crate) fn acts(&self) -> bool {
        matches!(self.what, What::Run | What::Undo) && !self.parked
    }

    /// Whether it was asked to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }
}

impl LockStore {
    /// Notes what a durable event does to locks.
    fn note(&mut self, event: &Event, seq: Seq) {
        match event {
            Event::LocksAsked(e) => {
                self.asked.extend(e.locks.iter().map(|lock| (lock.clone(), seq)));
                let asks = e.locks.iter().map(|lock| LockChange::Ask(lock.clone(), seq));
                self.outside.iter_mut().for_each(|changes| changes.extend(asks.clone()));
            }
            // A grant that was read is not durable before this is.
            Event::LocksTaken(e) => {
                self.asked.retain(|lock, _| e.locks.iter().all(|(taken, _)| taken != lock))
            }
            Event::LocksReturned(e) => {
                self.asked.retain(|lock, _| !e.locks.contains(lock));
                let returns = e.locks.iter().map(|lock| LockChange::Return(lock.clone()));
                self.outside.iter_mut().for_each(|changes| changes.extend(returns.clone()));
            }
            Event::RunSettled(_) => {
                self.asked.clear();
                self.outside.iter_mut().for_each(|changes| changes.push(LockChange::End));
            }
            _ => {}
        }
    }
}
