//! Operators' verbs against states.

use crate::{Ix, Leaving, Phase, Rest, RunState, StepState};
use towpath_model::{
    CompensationDone, CompensationReset, CompensationSkipped, DoneBy, Entry, Event, Json, ResolveAs, SkipWhy,
    StepDone, StepId, StepReset, StepSkipped, Verb, VerbAnswered,
};

type Refusal = String;

impl RunState {
    /// Answers a verb, and does it when it can be done.
    pub(crate) fn verb(&self, entry: Entry, verb: Verb, reason: String) -> Vec<Event> {
        let done = self.try_verb(&entry, &verb);
        let refused = done.as_ref().err().cloned();
        let answer = VerbAnswered { id: entry.dedupe_id, verb, by: entry.actor, reason, refused };
        std::iter::once(answer.into()).chain(done.unwrap_or_default()).collect()
    }

    fn try_verb(&self, entry: &Entry, verb: &Verb) -> Result<Vec<Event>, Refusal> {
        match verb {
            Verb::Pause if self.is_stuck() => {
                Err(self.instead("the run is stuck: there is nothing to pause"))
            }
            Verb::Pause | Verb::Resume => Ok(Vec::new()),
            Verb::Cancel { unwind } => self.may_cancel(*unwind).map(|()| Vec::new()),
            Verb::Abandon => self.may_abandon().map(|()| Vec::new()),
            Verb::Retry { step, new_key, from_scratch } => {
                let ix = self.the_resting(step.as_ref(), "retry")?;
                Ok(vec![self.reset(ix, *new_key, *from_scratch, false)])
            }
            Verb::Skip { step, output } => {
                let ix = self.the_resting(step.as_ref(), "skip")?;
                self.skip(ix, output.as_ref(), entry)
            }
            Verb::Resolve { step, to } => {
                let ix = self.the_resting(step.as_ref(), "resolve")?;
                self.resolve(ix, to)
            }
            Verb::Handback { step } => {
                let ix = self.the_resting(step.as_ref(), "handback")?;
                if !matches!(self.node(ix).state, StepState::Resting(Rest::TakenOver(_))) {
                    let id = &self.plan.step(ix).id;
                    return Err(self.instead(&format!("nobody took {id} over: it rests for another reason")));
                }
                if self.is_unwinding(ix) {
                    return Err(self.instead("the run unwinds: what is there can only be left, by skip"));
                }
                Ok(vec![self.reset(ix, false, false, true)])
            }
        }
    }

    fn is_unwinding(&self, ix: Ix) -> bool {
        self.sets.undo_resting.contains(&ix)
    }

    fn reset(&self, ix: Ix, new_key: bool, from_scratch: bool, new_before: bool) -> Event {
        let step = self.plan.step(ix).id.clone();
        if self.is_unwinding(ix) {
            CompensationReset { step, new_key }.into()
        } else {
            StepReset { step, new_key, from_scratch, new_before }.into()
        }
    }

    fn skip(&self, ix: Ix, output: Option<&Json>, entry: &Entry) -> Result<Vec<Event>, Refusal> {
        let step = self.plan.step(ix).id.clone();
        if self.is_unwinding(ix) {
            return Ok(vec![CompensationSkipped { step }.into()]);
        }
        Ok(vec![match output {
            Some(output) => done_by_operator(step, output),
            None => StepSkipped { step, why: SkipWhy::Operator { by: entry.actor.clone() } }.into(),
        }])
    }

    fn resolve(&self, ix: Ix, to: &ResolveAs) -> Result<Vec<Event>, Refusal> {
        let step = self.plan.step(ix).id.clone();
        if self.is_unwinding(ix) {
            return Ok(vec![match to {
                ResolveAs::Done(_) => CompensationDone { step, by: DoneBy::Operator }.into(),
                ResolveAs::NotDone => CompensationReset { step, new_key: false }.into(),
            }]);
        }
        if matches!(self.node(ix).state, StepState::Resting(Rest::Failed(_))) {
            return Err(self.instead(&format!("{step} is not in doubt: it failed")));
        }
        Ok(vec![match to {
            ResolveAs::Done(output) => done_by_operator(step, output),
            ResolveAs::NotDone => self.reset(ix, false, false, false),
        }])
    }

    fn may_cancel(&self, unwind: bool) -> Result<(), Refusal> {
        match self.phase {
            Phase::Forward if unwind => match self.no_return {
                Some(ix) => Err(self.instead(&format!(
                    "the run is past {}, its point of no return, and cannot be undone: cancel without unwinding, or go on",
                    self.plan.step(ix).id
                ))),
                None => Ok(()),
            },
            Phase::Forward | Phase::Draining | Phase::Unwinding => Ok(()),
            Phase::OnFailure | Phase::Finally => Err(self.instead("the run is at its end: only its last steps run")),
            Phase::Settled => Err("the run has settled".into()),
        }
    }

    fn may_abandon(&self) -> Result<(), Refusal> {
        if matches!(self.leaving, Some(Leaving::Abandoned { .. })) {
            return Ok(());
        }
        let runs = !self.sets.running.is_empty();
        if self.phase == Phase::Unwinding || !runs {
            return Ok(());
        }
        Err(self.instead("something of the run is under way: cancel it first"))
    }

    /// The step that a verb is about: the one that is named, or the only one that rests.
    fn the_resting(&self, step: Option<&StepId>, verb: &str) -> Result<Ix, Refusal> {
        let resting: Vec<Ix> = self.resting().collect();
        if let Some(step) = step {
            let ix = self.plan.find(step).ok_or_else(|| format!("the plan has no step {step}"))?;
            if !resting.contains(&ix) {
                return Err(self.instead(&format!("{step} does not wait for an operator")));
            }
            return Ok(ix);
        }
        match resting[..] {
            [ix] => Ok(ix),
            [] => Err(self.instead(&format!("no step waits for an operator: there is nothing to {verb}"))),
            _ => {
                let ids: Vec<_> = resting.iter().map(|ix| self.plan.step(*ix).id.as_str()).collect();
                Err(format!("{} steps wait for an operator: name one of {}", ids.len(), ids.join(", ")))
            }
        }
    }

    /// A refusal that ends with the verbs that apply.
    fn instead(&self, why: &str) -> Refusal {
        let verbs = self.verbs();
        if verbs.is_empty() { why.to_owned() } else { format!("{why}; what applies: {}", verbs.join(", ")) }
    }

    /// The verbs that apply now, in one word each.
    pub fn verbs(&self) -> Vec<&'static str> {
        if self.phase == Phase::Settled {
            return Vec::new();
        }
        let mut verbs = Vec::new();
        let resting: Vec<Ix> = self.resting().collect();
        if !resting.is_empty() {
            verbs.extend(["retry", "skip"]);
        }
        let in_doubt = |ix: &Ix| {
            self.is_unwinding(*ix)
                || matches!(&self.node(*ix).state, StepState::Resting(r) if !matches!(r, Rest::Failed(_)))
        };
        if resting.iter().any(in_doubt) {
            verbs.push("resolve");
        }
        let taken = |ix: &Ix| {
            !self.is_unwinding(*ix) && matches!(self.node(*ix).state, StepState::Resting(Rest::TakenOver(_)))
        };
        if resting.iter().any(taken) {
            verbs.push("handback");
        }
        if self.paused {
            verbs.push("resume");
        } else if !self.is_stuck() {
            verbs.push("pause");
        }
        if self.may_cancel_quietly() {
            verbs.push("cancel");
        }
        if self.phase == Phase::Unwinding || self.sets.running.is_empty() {
            verbs.push("abandon");
        }
        verbs
    }

    fn may_cancel_quietly(&self) -> bool {
        matches!(self.phase, Phase::Forward | Phase::Draining | Phase::Unwinding)
    }
}

fn done_by_operator(step: StepId, output: &Json) -> Event {
    StepDone {
        step,
        output: output.clone().into(),
        by: DoneBy::Operator,
        facts: Default::default(),
        output_error: None,
    }
    .into()
}
