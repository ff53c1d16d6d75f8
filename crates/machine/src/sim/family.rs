//! A run and the runs that are its items, with whatever may come between them.

use super::{
    driver::{Given, Sim, listed, run_id},
    ledger, plans,
    rng::Rng,
};
use crate::{Input, ItemStart, ItemState, Ix, Phase, Plan, RunState, sim::plans::name};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use towpath_model::{
    Actor, Aftermath, Below, BlobRef, Digest, Entry, EntryId, Event, ItemKey, Json, Message, Order, Outcome,
    Role, RunId, RunKey, RunStarted, StepId, Timestamp,
};

pub(crate) struct Family {
    rng: Rng,
    pub(crate) sims: BTreeMap<RunId, Sim>,
    inboxes: BTreeMap<RunId, VecDeque<Message>>,
    now: Timestamp,
    entries: i64,
}

/// A family of which everything happened that chance had in it, and that has settled.
pub(crate) fn whole_family(seed: u64) -> Family {
    let mut family = Family::random(seed);
    for _ in 0..family.rng.below(250) {
        family.turn();
    }
    family.settle();
    family
}

impl Family {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let plan = plans::compile(plans::random_with_items(&mut rng, 0));
        let deadline = rng.chance(10).then(|| super::driver::at(20 + rng.below(60) as u64));
        let first = Sim::new(plan, Rng::new(seed ^ 1), deadline);
        Family::of(first, rng)
    }

    pub(crate) fn of(first: Sim, rng: Rng) -> Self {
        let now = first.now;
        let mut family = Family {
            rng,
            sims: BTreeMap::from([(run_id(), first)]),
            inboxes: BTreeMap::new(),
            now,
            entries: 0,
        };
        family.pass_on();
        family
    }

    /// What transitions gave to other runs reaches them.
    pub(crate) fn pass_on(&mut self) {
        loop {
            let from = self.sims.iter().find(|(_, sim)| !sim.given.is_empty()).map(|(run, _)| *run);
            let Some(from) = from else { return };
            for given in std::mem::take(&mut self.sims.get_mut(&from).unwrap().given) {
                match given {
                    Given::Start(start) => self.start(from, &start),
                    Given::Send(to, message) => {
                        assert!(self.sims.contains_key(&to), "{message:?} is for nobody:\n{}", self.story());
                        self.inboxes.entry(to).or_default().push_back(message);
                    }
                }
            }
        }
    }

    fn start(&mut self, parent: RunId, start: &ItemStart) {
        let state = &self.sims[&parent].state;
        let Role::ForEach { each, .. } = &state.plan().step(state.plan().find(&start.step).unwrap()).role
        else {
            panic!("{} is no for_each", start.step)
        };
        let item = ItemKey::new(&format!("k{}", start.index)).unwrap();
        let path = start.step.item(&item);
        let begins = RunStarted {
            plan_hash: Digest::of(b"each"),
            plan: BlobRef { digest: Digest::of(b"each"), bytes: 4 },
            pipeline: each.pipeline.clone(),
            key: RunKey::of_sub_run(start.run),
            values: BTreeMap::from([("yes".into(), Json::parse("true").unwrap())]),
            labels: BTreeMap::new(),
            reason: String::new(),
            parent: Some(Below { run: parent, step: start.step.clone(), item, index: start.index, path }),
            forked_from: None,
            deadline: None,
            fencing: state.fencing(state.plan().find(&start.step).unwrap()),
        };
        let plan = plans::compile((**each).clone());
        let sim =
            Sim::begin(start.run, plan, Rng::new(self.rng.below(1 << 30) as u64), begins.into(), self.now);
        assert!(self.sims.insert(start.run, sim).is_none(), "an item began twice:\n{}", self.story());
    }

    /// One transition of one run.
    pub(crate) fn turn(&mut self) {
        let runs: Vec<RunId> = self.sims.keys().copied().collect();
        let run = self.rng.pick(&runs);
        if self.rng.chance(50) && self.inboxes.get(&run).is_some_and(|inbox| !inbox.is_empty()) {
            self.deliver(run);
        } else {
            let sim = self.sims.get_mut(&run).unwrap();
            sim.now = sim.now.max(self.now);
            sim.turn();
        }
        self.now = self.now.max(self.sims[&run].now);
        self.pass_on();
        self.after();
    }

    /// A run reads what is in its inbox; sometimes its process dies before that is durable.
    pub(crate) fn deliver(&mut self, run: RunId) {
        let inbox = self.inboxes.entry(run).or_default().clone();
        let read = 1 + self.rng.below(inbox.len().max(1));
        let mut entries = Vec::new();
        for message in inbox.iter().take(read) {
            self.entries += 1;
            entries.push(Entry {
                id: EntryId(self.entries),
                dedupe_id: name(&format!("from-run-{}", self.entries)),
                actor: Actor::engine(),
                message: Json::of(message).unwrap(),
                received_at: self.now,
            });
        }
        let read = entries.len();
        let dies = self.rng.chance(10);
        let sim = self.sims.get_mut(&run).unwrap();
        sim.now = sim.now.max(self.now);
        sim.merge(entries);
        if dies {
            // What was read is not consumed, and read again.
            return sim.die();
        }
        sim.decide();
        self.inboxes.get_mut(&run).unwrap().drain(..read);
    }

    /// From now on everything succeeds, until everything has settled.
    pub(crate) fn settle(&mut self) {
        for sim in self.sims.values_mut() {
            sim.held = false;
            sim.state.hold(false);
            sim.decide();
        }
        self.pass_on();
        for _ in 0..40_000 {
            let waiting = self.inboxes.iter().find(|(_, inbox)| !inbox.is_empty()).map(|(run, _)| *run);
            if let Some(run) = waiting {
                self.deliver(run);
            } else {
                let open: Vec<RunId> =
                    self.sims.iter().filter(|(_, s)| is_open(&s.state)).map(|(r, _)| *r).collect();
                if open.is_empty() {
                    return self.is_whole();
                }
                let run = self.rng.pick(&open);
                let sim = self.sims.get_mut(&run).unwrap();
                sim.now = sim.now.max(self.now);
                sim.calm_turn();
                self.now = self.now.max(sim.now);
            }
            self.pass_on();
            self.after();
        }
        panic!("the family does not settle:\n{}", self.story());
    }

    /// Holds at any time.
    fn after(&self) {
        let root = &self.sims[&run_id()].state;
        for (run, sim) in &self.sims {
            // Whoever acts does so under the locks that the root run holds, and knows their numbers.
            for body in sim.bodies.iter().filter(|b| b.acts()) {
                for lock in &sim.state.plan().step(body.ix).locks {
                    let held = root.locks().find(|hold| hold.lock == lock && hold.held);
                    let known = sim.state.fencing(body.ix).get(lock).copied();
                    assert!(
                        held.is_some_and(|hold| hold.fence == known),
                        "{lock} of {run}:\n{}",
                        self.story()
                    );
                }
            }
            let past_draining =
                matches!(sim.state.phase(), Phase::OnFailure | Phase::Finally | Phase::Settled);
            let leaves = sim.state.leaving().is_some();
            for (index, state, child) in self.children(*run) {
                let open = matches!(state, ItemState::Running | ItemState::Unwinding);
                assert!(!(past_draining && open), "item {index} is left behind:\n{}", self.story());
                if past_draining && leaves {
                    assert_eq!(child.state.phase(), Phase::Settled, "item {index}:\n{}", self.story());
                }
            }
        }
    }

    fn children(&self, run: RunId) -> impl Iterator<Item = (u64, ItemState, &Sim)> {
        let state = &self.sims[&run].state;
        (0..state.plan().len() as Ix).flat_map(move |ix| {
            let step: &StepId = &state.plan().step(ix).id;
            let items = state.node(ix).items();
            (0..items.map_or(0, |items| items.count())).filter_map(move |index| {
                let child = items?.run(run, step, index)?;
                Some((index, items?.state(index)?, &self.sims[&child]))
            })
        })
    }

    /// Holds when everything has settled.
    fn is_whole(&self) {
        for (run, sim) in &self.sims {
            assert_eq!(sim.state, sim.fold(sim.journal.len()), "the fold is another:\n{}", self.story());
            ledger::check(sim);
            self.items_ended_as_they_should(*run, &sim.state);
        }
    }

    fn items_ended_as_they_should(&self, run: RunId, state: &RunState) {
        for ix in 0..state.plan().len() as Ix {
            let node = state.node(ix);
            let Some(items) = node.items() else { continue };
            let undone = node.undo_state() == &crate::UndoState::Done && node.undo_attempt().0 > 0;
            let done = matches!(node.state(), crate::StepState::Done { .. });
            if undone {
                for child in self.tries_of(run, &state.plan().step(ix).id, items.count()) {
                    assert!(
                        aftermath(child).left.is_empty(),
                        "an item of a step that is undone left something:\n{}",
                        self.story()
                    );
                }
            }
            for (index, child) in
                (0..items.count()).filter_map(|i| Some((i, items.run(run, &state.plan().step(ix).id, i)?)))
            {
                let child = &self.sims[&child].state;
                let stands = matches!(child.outcome(), Some(Outcome::Succeeded { .. }));
                assert!(
                    !(undone && stands && child.is_undoable()),
                    "item {index} was not undone:\n{}",
                    self.story()
                );
                if done && state.leaving().is_none() && items.is_complete() {
                    assert!(stands, "item {index} of a step that is done:\n{}", self.story());
                }
            }
        }
    }

    /// Every run of every item of a step.
    fn tries_of(&self, run: RunId, step: &StepId, count: u64) -> impl Iterator<Item = &Sim> {
        (0..count).flat_map(move |index| {
            let tries = (1..).map(move |n| RunId::of_item(run, step, index, n));
            tries.map_while(|child| self.sims.get(&child))
        })
    }

    pub(crate) fn story(&self) -> String {
        let tell =
            |(run, sim): (&RunId, &Sim)| format!("run {run}:\n{}\n{}", sim.state.explain(), sim.story());
        self.sims.iter().map(tell).collect()
    }
}

/// What a run that is over left behind.
fn aftermath(sim: &Sim) -> &Aftermath {
    let settled = sim.journal.iter().rev().find_map(|(_, event)| match event {
        Event::RunSettled(settled) => Some(settled),
        _ => None,
    });
    &settled.expect("the run is over").aftermath
}

fn is_open(state: &RunState) -> bool {
    state.phase() != Phase::Settled
}

/// A run that is an item of another, just begun.
pub(crate) fn item_of(plan: Arc<Plan>) -> Sim {
    let mut begins = plans::run_started(None);
    if let Event::RunStarted(e) = &mut begins {
        let (step, item) = (plans::id("deploy"), ItemKey::new("eu").unwrap());
        let path = step.item(&item);
        e.parent = Some(Below { run: RunId::from_bytes([8; 16]), step, item, index: 3, path });
    }
    Sim::begin(run_id(), plan, Rng::new(1), begins, super::driver::at(0))
}

impl Sim {
    /// The run that this one is an item of has it do something.
    pub(crate) fn ordered(&mut self, order: Order) -> &mut Self {
        let entry = self.entry("engine", &Message::Parent { order, fencing: Default::default() });
        self.merge(vec![entry]);
        self.decide();
        self
    }

    /// The list of a step is read.
    pub(crate) fn lists(&mut self, step: &str, count: u64) -> &mut Self {
        let ix = self.ix(step);
        self.bodies.retain(|b| b.ix != ix);
        self.take(Input::Listed { step: plans::id(step), result: Ok(listed(count)) }).unwrap();
        self.decide();
        self
    }

    /// The last run of an item.
    pub(crate) fn item_run(&self, step: &str, index: u64) -> RunId {
        let items = self.node(step).items().expect("the items are listed");
        items.run(run_id(), &plans::id(step), index).expect("the item has begun")
    }

    /// An item of a step settles.
    pub(crate) fn item_settles(&mut self, step: &str, index: u64, outcome: Outcome) -> &mut Self {
        let undoable = matches!(outcome, Outcome::Succeeded { .. });
        self.item_reports(step, index, outcome, undoable, false)
    }

    /// An item of a step settles and says so.
    pub(crate) fn item_reports(
        &mut self,
        step: &str,
        index: u64,
        outcome: Outcome,
        undoable: bool,
        left: bool,
    ) -> &mut Self {
        let (run, item) = (self.item_run(step, index), ItemKey::new(&format!("k{index}")).unwrap());
        let step = plans::id(step);
        let message = Message::SubRunSettled { step, index, item, run, outcome, undoable, left };
        let entry = self.entry("engine", &message);
        self.merge(vec![entry]);
        self.decide();
        self
    }

    /// The words of the orders that were given since the last call, and how many items began.
    pub(crate) fn gave(&mut self) -> (Vec<&'static str>, usize) {
        let (mut orders, mut starts) = (Vec::new(), 0);
        for given in std::mem::take(&mut self.given) {
            match given {
                Given::Start(_) => starts += 1,
                Given::Send(_, Message::Parent { order, .. }) => orders.push(order.word()),
                Given::Send(..) => {}
            }
        }
        (orders, starts)
    }
}
