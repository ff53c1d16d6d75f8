//! Runs told line by line, for tests of one rule.

use super::{
    driver::{Sim, What, at, failure},
    plans::{id, json, name},
    rng::Rng,
};
use crate::{BodyEnd, Input, Ix, Node, Observation, Plan, StepStateKind, UndoEnd, UndoStateKind};
use std::{collections::BTreeMap, sync::Arc};
use towpath_model::{
    Attempt, Ended, Event, FailureKind, Json, Name, Outcome, Payload, ResolveAs, StepRecord, Timestamp, Verb,
};

/// A run of a plan of these steps, just begun.
pub(crate) fn run_of(steps: impl IntoIterator<Item = StepRecord>) -> Sim {
    run(super::plans::plan(steps))
}

pub(crate) fn run(plan: Arc<Plan>) -> Sim {
    Sim::new(plan, Rng::new(1), None)
}

fn output(text: &str) -> (Payload, BTreeMap<String, Json>) {
    (json(text).into(), BTreeMap::new())
}

pub(crate) fn done(text: &str) -> BodyEnd {
    let (output, facts) = output(text);
    BodyEnd::Done { output, facts, unreadable: None }
}

/// The world says that it took effect.
pub(crate) fn seen_done() -> Observation {
    let (output, facts) = output("{\"ok\":true}");
    Observation::Done { output, facts, unreadable: None }
}

pub(crate) fn unknown() -> Observation {
    Observation::Unknown { failure: failure(FailureKind::Transient), retry_after: None }
}

impl Sim {
    pub(crate) fn ix(&self, step: &str) -> Ix {
        self.state.plan().find(&id(step)).unwrap()
    }

    pub(crate) fn node(&self, step: &str) -> &Node {
        self.state.node(self.ix(step))
    }

    pub(crate) fn kind(&self, step: &str) -> StepStateKind {
        self.node(step).state().kind()
    }

    pub(crate) fn undo_kind(&self, step: &str) -> UndoStateKind {
        self.node(step).undo_state().kind()
    }

    /// The steps of which something is under way in the process, in the order in which it began.
    pub(crate) fn under_way(&self, what: What) -> Vec<&str> {
        let mine = self.bodies.iter().filter(|b| b.what == what && !b.parked);
        mine.map(|b| self.state.plan.step(b.ix).id.as_str()).collect()
    }

    fn remove(&mut self, what: What, step: &str) -> Attempt {
        let ix = self.ix(step);
        let Some(i) = self.bodies.iter().position(|b| b.what == what && b.ix == ix) else {
            panic!("no {what:?} of {step} is under way:\n{}", self.story())
        };
        self.bodies.remove(i).attempt
    }

    fn tell(&mut self, input: Input) -> &mut Self {
        self.take(input).unwrap();
        self.decide();
        self
    }

    /// The step's body ends.
    pub(crate) fn ends(&mut self, step: &str, end: BodyEnd) -> &mut Self {
        let attempt = self.remove(What::Run, step);
        self.tell(Input::Ended { step: id(step), attempt, end })
    }

    pub(crate) fn done(&mut self, step: &str) -> &mut Self {
        self.ends(step, done("{\"ok\":true,\"n\":1}"))
    }

    pub(crate) fn fails(&mut self, step: &str, kind: FailureKind) -> &mut Self {
        self.ends(step, BodyEnd::Failed { failure: failure(kind), retry_after: None })
    }

    pub(crate) fn lost(&mut self, step: &str, ended: Ended) -> &mut Self {
        self.ends(step, BodyEnd::Lost { ended, failure: None })
    }

    /// The step's body comes to a durable wait, and leaves memory there.
    pub(crate) fn waits(
        &mut self,
        step: &str,
        wait: &str,
        until: Option<Timestamp>,
        signal: Option<&str>,
    ) -> &mut Self {
        let asked = self.wait_input(step, wait, until, signal);
        self.take(asked).unwrap();
        self.remove(What::Run, step);
        self.decide();
        self
    }

    pub(crate) fn wait_input(
        &self,
        step: &str,
        wait: &str,
        until: Option<Timestamp>,
        signal: Option<&str>,
    ) -> Input {
        Input::Wait { step: id(step), wait: name(wait), until, signal: signal.map(name), checkpoint: None }
    }

    pub(crate) fn before_taken(&mut self, step: &str, text: &str) -> &mut Self {
        self.remove(What::Before, step);
        self.tell(Input::Before { step: id(step), result: Ok(json(text).into()) })
    }

    pub(crate) fn before_fails(&mut self, step: &str, kind: FailureKind) -> &mut Self {
        self.remove(What::Before, step);
        self.tell(Input::Before { step: id(step), result: Err((failure(kind), None)) })
    }

    pub(crate) fn observed(&mut self, step: &str, answer: Observation) -> &mut Self {
        self.remove(What::Observe, step);
        self.tell(Input::Observed { step: id(step), answer })
    }

    pub(crate) fn undone(&mut self, step: &str) -> &mut Self {
        let attempt = self.remove(What::Undo, step);
        self.tell(Input::Undone { step: id(step), attempt, end: UndoEnd::Done })
    }

    pub(crate) fn undo_fails(&mut self, step: &str, kind: FailureKind) -> &mut Self {
        let attempt = self.remove(What::Undo, step);
        let end = UndoEnd::Failed { failure: failure(kind), retry_after: None };
        self.tell(Input::Undone { step: id(step), attempt, end })
    }

    /// A verb that is accepted.
    pub(crate) fn does(&mut self, verb: Verb) -> &mut Self {
        let answer = self.verb(verb.clone());
        assert_eq!(answer, Ok(()), "{verb:?}:\n{}", self.story());
        self.decide();
        self
    }

    /// A verb that is refused, and why.
    pub(crate) fn refused(&mut self, verb: Verb) -> String {
        let answer = self.verb(verb);
        self.decide();
        answer.expect_err("the verb is refused")
    }

    pub(crate) fn gets(&mut self, signal: &str, step: Option<&str>, value: &str) -> &mut Self {
        self.signal(signal, step, value);
        self.decide();
        self
    }

    /// It is `n` seconds after the beginning.
    pub(crate) fn time(&mut self, n: u64) -> &mut Self {
        self.now = at(n);
        self.decide();
        self
    }

    /// It is the time at which the machine wants to be asked.
    pub(crate) fn wakes(&mut self) -> &mut Self {
        self.now = self.state.wake().expect("a time is minded");
        self.decide();
        self
    }

    /// The process dies, and another one takes the run over.
    pub(crate) fn restarts(&mut self) -> &mut Self {
        self.die();
        self.decide();
        self
    }

    pub(crate) fn outcome(&self) -> &Outcome {
        match self.state.outcome() {
            Some(outcome) => outcome,
            None => panic!("the run has not settled:\n{}\n{}", self.state.explain(), self.story()),
        }
    }

    pub(crate) fn aftermath(&self) -> String {
        let Some((_, Event::RunSettled(settled))) = self.journal.last() else { panic!("not settled") };
        let after = &settled.aftermath;
        let failed: Vec<_> = after.failures.iter().map(|(step, _)| step.to_string()).collect();
        format!("kept {:?} left {:?} in doubt {:?} failed {failed:?}", after.kept, after.left, after.in_doubt)
    }
}

pub(crate) fn some(step: &str) -> Option<towpath_model::StepId> {
    Some(id(step))
}

pub(crate) fn retry(step: &str) -> Verb {
    Verb::Retry { step: some(step), new_key: false, from_scratch: false }
}

pub(crate) fn skip(step: &str) -> Verb {
    Verb::Skip { step: some(step), output: None }
}

pub(crate) fn resolve_done(step: &str) -> Verb {
    Verb::Resolve { step: some(step), to: ResolveAs::Done(json("{\"ok\":true}")) }
}

pub(crate) fn resolve_not_done(step: &str) -> Verb {
    Verb::Resolve { step: some(step), to: ResolveAs::NotDone }
}

pub(crate) fn handback(step: &str) -> Verb {
    Verb::Handback { step: some(step) }
}

pub(crate) fn cancel() -> Verb {
    Verb::Cancel { unwind: true }
}

pub(crate) fn cancel_no_unwind() -> Verb {
    Verb::Cancel { unwind: false }
}

/// A name as an option of a wait.
pub(crate) fn named(text: &str) -> Option<Name> {
    Some(name(text))
}
