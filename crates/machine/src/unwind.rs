//! Undoing: reverse dependency order, for every step whose intent was journaled.

use crate::{
    Action, Ix, Leaving, Phase, Rest, RunState, StepState, UndoState,
    apply::{Fold, illegal},
    settle::has_effect,
    state::Timer,
    transitions::visit,
    work::work,
};
use std::cmp::Reverse;
use towpath_model::{Attempt, Failure, FailureKind, Section, StepId, Then, UndoPolicy, Why};

impl RunState {
    /// Whether unwinding has something to do about a step.
    pub(crate) fn needs_undo(&self, ix: Ix) -> bool {
        let step = self.plan.step(ix);
        step.section == Section::Main
            && self.node(ix).intent.is_some()
            && step.methods.compensate
            && step.undo != UndoPolicy::Keep
    }

    /// Whether a step's effect is kept by its policy, and worth a line in the outcome.
    fn is_kept(&self, ix: Ix) -> bool {
        let step = self.plan.step(ix);
        step.section == Section::Main
            && self.node(ix).intent.is_some()
            && step.undo == UndoPolicy::Keep
            && has_effect(step)
    }

    pub(crate) fn unwind_started(&mut self) -> Fold {
        let (running, items) = (&self.sets.running, &self.sets.items_open);
        if self.phase == Phase::Settled && self.recalled {
            self.recalled = false;
            self.outcome = None;
            self.leaving = Some(Leaving::For { why: Why::WithParent, unwind: true });
        } else if self.phase != Phase::Draining
            || !running.is_empty()
            || !items.is_empty()
            || !self.will_unwind()
        {
            return Err(illegal("the run does not unwind now"));
        }
        self.set_phase(Phase::Unwinding);
        let plan = self.plan.clone();
        work(plan.len());
        for ix in plan.section(Section::Main) {
            let main = |d: &&Ix| plan.step(**d).section == Section::Main;
            let dependents = plan.dependents(ix).iter().filter(main).count() as u32;
            self.nodes[ix as usize].undo_missing = dependents;
            if self.needs_undo(ix) {
                self.something_undone = true;
                self.set_undo(ix, UndoState::Waiting);
            } else if self.is_kept(ix) {
                self.set_undo(ix, UndoState::Kept);
            }
        }
        let leaves: Vec<Ix> =
            plan.section(Section::Main).filter(|ix| self.node(*ix).undo_missing == 0).collect();
        leaves.into_iter().for_each(|ix| self.undo_turn(ix));
        Ok(())
    }

    /// Every step that depends on this one is settled: it has its turn, or hands the turn on.
    fn undo_turn(&mut self, start: Ix) {
        let plan = self.plan.clone();
        let mut free = vec![start];
        while let Some(ix) = free.pop() {
            match self.node(ix).undo {
                UndoState::Waiting => self.undo_begin(ix),
                ref undo if undo.is_settled() => {}
                _ => continue,
            }
            if !self.node(ix).undo.is_settled() {
                continue;
            }
            for p in plan.predecessors(ix) {
                work(1);
                let node = &mut self.nodes[*p as usize];
                node.undo_missing -= 1;
                if node.undo_missing == 0 {
                    free.push(*p);
                }
            }
        }
    }

    fn undo_begin(&mut self, ix: Ix) {
        let node = self.node(ix);
        if matches!(node.state, StepState::InDoubt { answered: false, .. }) {
            self.set_undo(ix, UndoState::Observing);
            self.ask_world(ix);
        } else if let Some(seen) = &node.taken_over {
            let text = Rest::TakenOver(seen.clone()).to_string();
            let failure = Failure::new(FailureKind::NeedsOperator, text);
            self.set_undo(ix, UndoState::Stuck { failure });
        } else {
            self.set_undo(ix, UndoState::Ready);
        }
    }

    /// Moves the undoing of a step and keeps every derived set right. The only place where it changes.
    pub(crate) fn set_undo(&mut self, ix: Ix, undo: UndoState) {
        work(1);
        let (locked, scope) = (self.is_locked_out(ix), self.plan.scope(ix));
        let node = &mut self.nodes[ix as usize];
        visit::undo(&node.undo, &undo);
        self.locks.undoes(scope, !node.undo.is_settled(), !undo.is_settled());
        let intent = Reverse(node.intent.unwrap_or_default());
        node.since = self.time;
        let old = std::mem::replace(&mut node.undo, undo);
        let sets = &mut self.sets;
        let moves = |undo: &UndoState| undo.is_moving() && !(locked && *undo == UndoState::Ready);
        sets.undo_moving -= u32::from(moves(&old));
        sets.undo_open -= u32::from(!old.is_settled());
        match old {
            UndoState::Ready if locked => drop(sets.undo_locked.remove(&(intent, ix))),
            UndoState::Ready => drop(sets.undo_ready.remove(&(intent, ix))),
            UndoState::Running => drop(sets.undo_running.remove(&ix)),
            UndoState::Backoff { at } => {
                self.live.timers.remove(&(at, Timer::Undo, ix));
                self.live.due_undo.remove(&ix);
                self.live.shut_out.remove(&ix);
            }
            UndoState::Stuck { .. } | UndoState::Asked => drop(sets.undo_resting.remove(&ix)),
            _ => {}
        }
        sets.undo_moving += u32::from(moves(&node.undo));
        sets.undo_open += u32::from(!node.undo.is_settled());
        match &node.undo {
            UndoState::Ready if locked => drop(sets.undo_locked.insert((intent, ix))),
            UndoState::Ready => drop(sets.undo_ready.insert((intent, ix))),
            UndoState::Running => drop(sets.undo_running.insert(ix)),
            UndoState::Backoff { at } => drop(self.live.timers.insert((*at, Timer::Undo, ix))),
            UndoState::Stuck { .. } | UndoState::Asked => drop(sets.undo_resting.insert(ix)),
            _ => {}
        }
    }

    /// A step in doubt was asked about before it is undone, and there is an answer.
    pub(crate) fn observed_for_undo(&mut self, ix: Ix) {
        if self.node(ix).undo == UndoState::Observing
            && !matches!(self.node(ix).state, StepState::InDoubt { answered: false, .. })
        {
            self.undo_begin(ix);
        }
    }

    pub(crate) fn compensation_started(&mut self, step: &StepId, attempt: Attempt) -> Fold {
        let ix = self.ix(step)?;
        let node = self.node(ix);
        if !matches!(node.undo, UndoState::Ready | UndoState::Backoff { .. }) {
            return Err(illegal("the step cannot be undone now"));
        }
        if !self.may_act(ix) {
            return Err(illegal("the run does not hold the step's locks"));
        }
        if attempt != node.undo_attempt.next() {
            return Err(illegal("the attempt is not the next one"));
        }
        let node = &mut self.nodes[ix as usize];
        node.undo_attempt = attempt;
        node.undo_tries += 1;
        self.set_undo(ix, UndoState::Running);
        if !self.is_undone_by_items(ix) {
            self.live.actions.push(Action::Compensate(step.clone(), attempt));
        }
        Ok(())
    }

    pub(crate) fn compensation_done(&mut self, step: &StepId) -> Fold {
        let ix = self.ix(step)?;
        match self.node(ix).undo {
            UndoState::Running | UndoState::Stuck { .. } | UndoState::Asked => {}
            _ => return Err(illegal("the step is not being undone")),
        }
        self.set_undo(ix, UndoState::Done);
        self.undo_turn(ix);
        Ok(())
    }

    pub(crate) fn compensation_failed(&mut self, step: &StepId, failure: &Failure, then: &Then) -> Fold {
        let ix = self.ix(step)?;
        if self.node(ix).undo != UndoState::Running || (self.has_open_items(ix) && *then != Then::Rest) {
            return Err(illegal("the step is not being undone"));
        }
        match then {
            Then::Retry { at } => self.set_undo(ix, UndoState::Backoff { at: *at }),
            Then::Rest => self.set_undo(ix, UndoState::Stuck { failure: failure.clone() }),
            Then::Fail => {
                self.set_undo(ix, UndoState::Left);
                self.undo_turn(ix);
            }
        }
        Ok(())
    }

    pub(crate) fn compensation_asked(&mut self, step: &StepId) -> Fold {
        let ix = self.ix(step)?;
        if self.node(ix).undo != UndoState::Ready {
            return Err(illegal("the step cannot be undone now"));
        }
        self.set_undo(ix, UndoState::Asked);
        Ok(())
    }

    pub(crate) fn compensation_reset(&mut self, step: &StepId, new_key: bool) -> Fold {
        let ix = self.ix(step)?;
        if !self.node(ix).undo.is_resting() {
            return Err(illegal("undoing the step does not rest"));
        }
        let node = &mut self.nodes[ix as usize];
        node.undo_tries = 0;
        node.undo_confirmed = true;
        node.generation += u32::from(new_key);
        self.set_undo(ix, UndoState::Ready);
        Ok(())
    }

    pub(crate) fn compensation_skipped(&mut self, step: &StepId) -> Fold {
        let ix = self.ix(step)?;
        if !self.node(ix).undo.is_resting() {
            return Err(illegal("undoing the step does not rest"));
        }
        self.set_undo(ix, UndoState::Left);
        self.undo_turn(ix);
        Ok(())
    }

    /// What is not being undone yet is left in place. Costs O(steps), once.
    pub(crate) fn stop_unwinding(&mut self) {
        work(self.nodes.len());
        for ix in 0..self.plan.len() as Ix {
            let undo = &self.node(ix).undo;
            if *undo == UndoState::Running {
                self.leave_items(ix);
            } else if !undo.is_settled() {
                self.live.observing.remove(&ix);
                self.set_undo(ix, UndoState::Left);
            }
        }
    }

    pub(crate) fn unwound(&mut self) -> Fold {
        let over = match self.phase {
            Phase::Draining => self.sets.running.is_empty() && self.sets.items_open.is_empty(),
            Phase::Unwinding => self.sets.undo_open == 0,
            _ => false,
        };
        if !over {
            return Err(illegal("undoing is not over"));
        }
        self.live.observing.clear();
        if self.has_failed() {
            self.enter_section(Phase::OnFailure, Section::OnFailure);
        } else {
            self.enter_section(Phase::Finally, Section::Finally);
        }
        Ok(())
    }
}
