//! What a journal says about undoing, read without the machine.

use super::driver::Sim;
use std::collections::{BTreeMap, BTreeSet};
use towpath_model::{Answer, Event, InDoubt, Outcome, Role, Section, StepId, StepRecord, Then, UndoPolicy};

/// What happened to a step, by the numbers of its events.
#[derive(Default)]
struct Line {
    intent: Option<usize>,
    /// The first event that begins, or asks about, undoing it.
    begun: Option<usize>,
    attempts: usize,
    asked: bool,
    /// The event that ended undoing it.
    over: Option<usize>,
    reset: bool,
    taken_over: bool,
}

struct Ledger<'a> {
    sim: &'a Sim,
    lines: BTreeMap<&'a StepId, Line>,
    unwinds: bool,
    /// Whether somebody stopped the unwinding, or gave the run up.
    stopped: bool,
    aftermath: BTreeMap<&'a StepId, &'static str>,
}

/// Holds the journal of a settled run to the rules of unwinding.
pub(crate) fn check(sim: &Sim) {
    let ledger = Ledger::read(sim);
    for step in &sim.state.plan.record().steps {
        ledger.touched_exactly_when_it_must(step);
        ledger.in_reverse_order(step);
    }
    ledger.latest_first();
}

/// Whether a step, or one of its items, may have changed something.
fn has_effect(step: &StepRecord) -> bool {
    let is_for_each = matches!(step.role, Role::ForEach { .. });
    if is_for_each { step.methods.compensate } else { step.in_doubt != InDoubt::NoEffect }
}

impl<'a> Ledger<'a> {
    fn read(sim: &'a Sim) -> Self {
        let steps = &sim.state.plan.record().steps;
        let lines = steps.iter().map(|s| (&s.id, Line::default())).collect();
        let mut ledger = Ledger { sim, lines, unwinds: false, stopped: false, aftermath: BTreeMap::new() };
        for (n, (_, event)) in sim.journal.iter().enumerate() {
            ledger.event(n, event);
        }
        ledger
    }

    fn event(&mut self, n: usize, event: &'a Event) {
        let story = || self.sim.story();
        match event {
            Event::StepStarted(e) => {
                let line = self.lines.get_mut(&e.step).unwrap();
                line.intent.get_or_insert(n);
                line.taken_over = false;
            }
            Event::ItemsListed(e) => {
                self.lines.get_mut(&e.step).unwrap().intent.get_or_insert(n);
            }
            Event::StepObserved(e) => {
                self.lines.get_mut(&e.step).unwrap().taken_over =
                    matches!(e.answer, Answer::TakenOver { .. });
            }
            Event::StepDone(e) => self.lines.get_mut(&e.step).unwrap().taken_over = false,
            Event::UnwindStarted(_) => self.unwinds = true,
            Event::CompensationStarted(e) => {
                let line = self.lines.get_mut(&e.step).unwrap();
                assert!(line.over.is_none(), "{} is undone twice:\n{}", e.step, story());
                assert!(!line.taken_over || line.reset, "{} is put back:\n{}", e.step, story());
                line.begun.get_or_insert(n);
                line.attempts += 1;
            }
            Event::CompensationAsked(e) => {
                let line = self.lines.get_mut(&e.step).unwrap();
                line.begun.get_or_insert(n);
                line.asked = true;
            }
            Event::CompensationReset(e) => self.lines.get_mut(&e.step).unwrap().reset = true,
            Event::CompensationDone(e) => self.over(&e.step, n),
            Event::CompensationSkipped(e) => self.over(&e.step, n),
            Event::CompensationFailed(e) if e.then == Then::Fail => self.over(&e.step, n),
            Event::RunSettled(e) => {
                self.stopped = matches!(e.outcome, Outcome::Abandoned { .. })
                    || matches!(self.sim.state.leaving(), Some(crate::Leaving::For { unwind: false, .. }));
                self.aftermath.extend(e.aftermath.left.iter().map(|s| (s, "left")));
                self.aftermath.extend(e.aftermath.kept.iter().map(|s| (s, "kept")));
            }
            _ => {}
        }
    }

    fn over(&mut self, step: &StepId, n: usize) {
        let line = self.lines.get_mut(step).unwrap();
        assert!(line.over.is_none(), "{step} is undone twice:\n{}", self.sim.story());
        line.over = Some(n);
    }

    fn must_undo(&self, step: &StepRecord) -> bool {
        step.section == Section::Main
            && self.lines[&step.id].intent.is_some()
            && step.methods.compensate
            && step.undo != UndoPolicy::Keep
    }

    fn touched_exactly_when_it_must(&self, step: &StepRecord) {
        let (line, id, story) = (&self.lines[&step.id], &step.id, || self.sim.story());
        let must = self.must_undo(step);
        if !must || !self.unwinds {
            assert!(line.begun.is_none() && line.over.is_none(), "{id} is undone:\n{}", story());
        } else if !self.stopped {
            assert!(line.over.is_some(), "{id} is not undone:\n{}", story());
            let begun = line.attempts > 0 || line.taken_over || line.asked;
            assert!(begun, "{id} was not touched:\n{}", story());
            let asks = step.undo == UndoPolicy::Ask && !line.taken_over;
            assert!(line.asked || !asks, "{id} was not asked about:\n{}", story());
            assert!(!line.asked || step.undo == UndoPolicy::Ask, "{id} was asked about:\n{}", story());
        }
        if step.undo == UndoPolicy::Keep && line.begun.is_none() && self.unwinds && line.intent.is_some() {
            let kept = step.section == Section::Main && has_effect(step);
            assert_eq!(self.aftermath.get(id) == Some(&"kept"), kept, "{id} is not listed:\n{}", story());
        }
        if must && self.stopped && line.over.is_none() && has_effect(step) {
            assert_eq!(self.aftermath.get(id), Some(&"left"), "{id} is left and not listed:\n{}", story());
        }
    }

    /// Everything that depends on a step, through whatever, was over before undoing the step began.
    fn in_reverse_order(&self, step: &StepRecord) {
        let plan = &self.sim.state.plan;
        let Some(begun) = self.lines[&step.id].begun else { return };
        let (mut open, mut seen) = (vec![plan.find(&step.id).unwrap()], BTreeSet::new());
        while let Some(ix) = open.pop() {
            for d in plan.dependents(ix).iter().copied().filter(|d| seen.insert(*d)) {
                open.push(d);
                let later = plan.step(d);
                if self.must_undo(later) {
                    let over = self.lines[&later.id].over;
                    assert!(
                        over.is_some_and(|over| over < begun),
                        "{} was undone before {}:\n{}",
                        step.id,
                        later.id,
                        self.sim.story()
                    );
                }
            }
        }
    }

    /// Of two steps that were free from the beginning, the one with the later intent had its turn first.
    fn latest_first(&self) {
        let plan = &self.sim.state.plan;
        let free = |s: &&StepRecord| {
            let ix = plan.find(&s.id).unwrap();
            let line = &self.lines[&s.id];
            self.must_undo(s)
                && line.begun.is_some()
                && plan.dependents(ix).iter().all(|d| plan.step(*d).section != Section::Main)
        };
        let steps: Vec<_> = plan.record().steps.iter().filter(free).collect();
        for (a, b) in steps.iter().flat_map(|a| steps.iter().map(move |b| (a, b))) {
            let (a, b) = (&self.lines[&a.id], &self.lines[&b.id]);
            // One that was looked at first, or taken over, was not ready when the other began.
            let waited = self.waited();
            if a.intent < b.intent && !waited {
                assert!(a.begun > b.begun, "an earlier intent was undone first:\n{}", self.sim.story());
            }
        }
    }

    /// Whether some step had to be looked at before it could be undone, or was tried again.
    fn waited(&self) -> bool {
        let start = self.sim.journal.iter().position(|(_, e)| matches!(e, Event::UnwindStarted(_)));
        let after = self.sim.journal.iter().skip(start.unwrap_or(usize::MAX));
        after.into_iter().any(|(_, e)| matches!(e, Event::StepObserved(_) | Event::StepDone(_)))
            || self.lines.values().any(|l| l.taken_over)
    }
}
