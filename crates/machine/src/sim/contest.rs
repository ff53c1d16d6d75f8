//! Several runs that want the same locks, and a store that grants them.

use super::{
    driver::{LockChange, Sim},
    plans::{self, name},
    rng::Rng,
};
use crate::{LockStateKind, Phase, Plan};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use towpath_model::{Actor, Entry, EntryId, Json, Message, Name, RunId, Seq};

pub(crate) struct Contest {
    rng: Rng,
    pub(crate) sims: Vec<Sim>,
    locks: BTreeMap<Name, Lock>,
    inboxes: Vec<VecDeque<Message>>,
    entries: i64,
}

/// A lock, as a store keeps it.
#[derive(Default)]
struct Lock {
    holder: Option<usize>,
    queue: VecDeque<(usize, Seq)>,
    fence: u64,
}

/// Runs of these plans, of which everything happened that chance had in it, and that have all settled.
pub(crate) fn contest_of(seed: u64, plans: Vec<Arc<Plan>>) -> Contest {
    let mut contest = Contest::of(plans, Rng::new(seed));
    for _ in 0..contest.rng.below(60) {
        contest.turn();
    }
    contest.settle();
    contest
}

/// Runs of which everything happened that chance had in it, and that have all settled.
pub(crate) fn whole_contest(seed: u64) -> Contest {
    let mut contest = Contest::random(seed);
    for _ in 0..contest.rng.below(300) {
        contest.turn();
    }
    contest.settle();
    contest
}

impl Contest {
    fn random(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let one = plans::random_contender(&mut rng);
        // Runs of one pipeline meet themselves; those of another may take things the other way round.
        let plans = (0..2 + rng.below(3))
            .map(|_| if rng.chance(60) { one.clone() } else { plans::random_contender(&mut rng) })
            .collect();
        Contest::of(plans, rng)
    }

    /// Runs of these plans, just begun.
    fn of(plans: Vec<Arc<Plan>>, mut rng: Rng) -> Self {
        let sims = plans.into_iter().enumerate().map(|(n, plan)| {
            let run = RunId::from_bytes([n as u8 + 1; 16]);
            let mut sim = Sim::begin(
                run,
                plan,
                Rng::new(rng.below(1 << 30) as u64),
                plans::run_started(None),
                super::driver::at(0),
            );
            sim.store.outside = Some(Vec::new());
            sim
        });
        let sims: Vec<Sim> = sims.collect();
        let inboxes = vec![VecDeque::new(); sims.len()];
        let mut contest = Contest { rng, sims, locks: BTreeMap::new(), inboxes, entries: 0 };
        // What their first transitions asked for was not noted from outside.
        for no in 0..contest.sims.len() {
            let asked: Vec<(Name, Seq)> = contest.sims[no].asked();
            for (lock, seq) in asked {
                contest.change(no, LockChange::Ask(lock, seq));
            }
        }
        contest
    }

    fn turn(&mut self) {
        let no = self.rng.below(self.sims.len());
        if self.rng.chance(40) && !self.inboxes[no].is_empty() {
            self.deliver(no);
        } else {
            self.sims[no].turn();
        }
        self.pass_on(no);
    }

    /// A run reads what is in its inbox; sometimes its process dies before that is durable.
    fn deliver(&mut self, no: usize) {
        let read = 1 + self.rng.below(self.inboxes[no].len());
        let mut entries = Vec::new();
        for message in self.inboxes[no].iter().take(read) {
            self.entries += 1;
            entries.push(Entry {
                id: EntryId(self.entries),
                dedupe_id: name(&format!("grant-{}", self.entries)),
                actor: Actor::engine(),
                message: Json::of(message).unwrap(),
                received_at: self.sims[no].now,
            });
        }
        let sim = &mut self.sims[no];
        sim.merge(entries);
        if self.rng.chance(15) {
            return sim.die();
        }
        sim.decide();
        self.inboxes[no].drain(..read);
    }

    /// What a run's transitions did to locks is done, in their order.
    fn pass_on(&mut self, no: usize) {
        let changes = self.sims[no].store.outside.replace(Vec::new()).unwrap_or_default();
        for change in changes {
            self.change(no, change);
        }
        self.after();
    }

    fn change(&mut self, no: usize, change: LockChange) {
        match change {
            LockChange::Ask(name, seq) => {
                let lock = self.locks.entry(name.clone()).or_default();
                assert!(
                    lock.holder != Some(no),
                    "{name} is asked for by its holder:\n{}",
                    self.sims[no].story()
                );
                lock.queue.push_back((no, seq));
                self.grant(&name);
            }
            LockChange::Return(name) => self.give_back(no, &name),
            LockChange::End => {
                let names: Vec<Name> = self.locks.keys().cloned().collect();
                names.iter().for_each(|name| self.give_back(no, name));
            }
        }
    }

    fn give_back(&mut self, no: usize, name: &Name) {
        let Some(lock) = self.locks.get_mut(name) else { return };
        lock.queue.retain(|(run, _)| *run != no);
        if lock.holder == Some(no) {
            lock.holder = None;
            self.grant(name);
        }
    }

    fn grant(&mut self, name: &Name) {
        let Some(lock) = self.locks.get_mut(name).filter(|lock| lock.holder.is_none()) else { return };
        let Some((next, asked)) = lock.queue.pop_front() else { return };
        lock.holder = Some(next);
        lock.fence += 1;
        self.inboxes[next].push_back(Message::LockGranted { lock: name.clone(), fence: lock.fence, asked });
    }

    /// From now on everything succeeds, until every run has settled: who waits gets what it waits for.
    fn settle(&mut self) {
        for no in 0..self.sims.len() {
            self.sims[no].held = false;
            self.sims[no].state.hold(false);
            self.sims[no].decide();
            self.pass_on(no);
        }
        for _ in 0..20_000 {
            let open: Vec<usize> =
                (0..self.sims.len()).filter(|no| self.sims[*no].state.phase() != Phase::Settled).collect();
            if open.is_empty() {
                return;
            }
            let no = self.rng.pick(&open);
            if self.inboxes[no].is_empty() {
                self.sims[no].calm_turn();
            } else {
                self.deliver(no);
            }
            self.pass_on(no);
        }
        panic!("the runs do not settle:\n{}", self.story());
    }

    /// Holds at any time.
    fn after(&self) {
        for (name, lock) in &self.locks {
            for (no, sim) in self.sims.iter().enumerate() {
                let acts = sim
                    .bodies
                    .iter()
                    .any(|body| body.acts() && sim.state.plan().step(body.ix).locks.contains(name));
                assert!(!acts || lock.holder == Some(no), "{no} acts without {name}:\n{}", self.story());
                let held = sim.state.locks().find(|hold| hold.lock == name && hold.fence.is_some());
                if let Some(hold) = held {
                    assert_eq!(
                        (lock.holder, hold.fence),
                        (Some(no), Some(lock.fence)),
                        "{name}:\n{}",
                        self.story()
                    );
                }
            }
            // A grant is not lost: who was given a lock has it, or finds it in its inbox.
            if let Some(no) = lock.holder {
                let has = self.sims[no].state.locks().any(|hold| hold.lock == name && hold.fence.is_some());
                let finds = self.inboxes[no].iter().any(|message| {
                    matches!(message, Message::LockGranted { lock: of, fence, .. } if of == name && *fence == lock.fence)
                });
                assert!(has || finds, "{name} is lost with {no}:\n{}", self.story());
            } else {
                assert!(lock.queue.is_empty(), "{name} is free and waited for:\n{}", self.story());
            }
        }
    }

    pub(crate) fn story(&self) -> String {
        let tell = |(no, sim): (usize, &Sim)| {
            format!("run {no}, {}:\n{}\n{}", sim.state.status(), sim.state.explain(), sim.story())
        };
        self.sims.iter().enumerate().map(tell).collect()
    }
}

impl Sim {
    /// What the run waits for, and since which event.
    fn asked(&self) -> Vec<(Name, Seq)> {
        let waits = self.state.locks.held.iter().zip(self.state.plan().scopes());
        waits
            .filter_map(|(held, scope)| match held {
                crate::locks::Held::Asked { seq, .. } => {
                    Some(scope.locks.iter().map(|lock| (lock.clone(), *seq)))
                }
                _ => None,
            })
            .flatten()
            .collect()
    }

    /// Where the locks of the first scope stand.
    pub(crate) fn lock_kind(&self) -> LockStateKind {
        self.state.locks.held[0].kind()
    }
}
