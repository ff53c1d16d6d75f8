//! Operators' verbs against states.

use crate::{Ix, Leaving, Phase, Rest, RunState, StepState};
use towpath_model::{
    CompensationDone, CompensationReset, CompensationSkipped, DoneBy, Entry, Event, Json, ResolveAs, SkipWhy,
    StepDone, StepId, StepReset, StepSkipped, Verb, VerbAnswered, Why,
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
            Verb::Cancel { unwind } => self.may_cancel(*unwind).map(|()| Vec::new()),
            Verb::Abandon => self.may_abandon().map(|()| Vec::new()),
            Verb::Resume => Ok(Vec::new()),
            Verb::ReleaseLock { lock } => self.release_lock(lock).map(|event| vec![event]),
            _ if self.is_overfull() => {
                Err(self.instead("the journal is full: the run can only come to its end"))
            }
            Verb::Pause if self.is_paused() => Ok(Vec::new()),
            Verb::Pause if self.is_stuck() => {
                Err(self.instead("the run is stuck: there is nothing to pause"))
            }
            Verb::Pause => Ok(Vec::new()),
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
        match (self.phase, self.no_return) {
            (Phase::Forward, Some(ix)) if unwind => Err(self.instead(&format!(
                "the run is past {}, its point of no return, and cannot be undone",
                self.plan.step(ix).id
            ))),
            (Phase::Forward | Phase::Draining | Phase::Unwinding, _) => Ok(()),
            _ if matches!(self.leaving, Some(Leaving::For { why: Why::Cancelled { .. }, .. })) => Ok(()),
            _ => Err(self.instead("the run is at its end: only its last steps run")),
        }
    }

    fn may_abandon(&self) -> Result<(), Refusal> {
        let given_up = matches!(self.leaving, Some(Leaving::Abandoned { .. }));
        match self.phase {
            _ if given_up || self.is_quiet() => Ok(()),
            Phase::Draining | Phase::Unwinding => Ok(()),
            Phase::Forward => Err(self.instead("something of the run is under way: cancel it first")),
            _ => Err(self.instead("its last steps are under way: wait until they end")),
        }
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

    /// The verbs that change something now, as the command line spells them.
    pub fn verbs(&self) -> Vec<&'static str> {
        let mut verbs = Vec::new();
        if self.phase == Phase::Settled {
            return verbs;
        }
        if !self.is_overfull() {
            let of_all = |name| self.resting().any(|ix| self.verbs_of(ix).contains(&name));
            verbs.extend(["retry", "skip", "resolve", "handback"].into_iter().filter(|name| of_all(*name)));
        }
        if self.is_paused() {
            verbs.push("resume");
        } else if !self.is_stuck() && !self.is_overfull() {
            verbs.push("pause");
        }
        verbs.extend(self.cancel_word());
        if self.may_abandon_now() {
            verbs.push("abandon");
        }
        verbs
    }

    /// The verbs that apply to a step for which an operator has to decide.
    pub(crate) fn verbs_of(&self, ix: Ix) -> &'static [&'static str] {
        match &self.node(ix).state {
            _ if self.is_unwinding(ix) => &["retry", "skip", "resolve"],
            StepState::Resting(Rest::Failed(_)) => &["retry", "skip"],
            StepState::Resting(Rest::TakenOver(_)) => &["retry", "skip", "resolve", "handback"],
            _ => &["retry", "skip", "resolve"],
        }
    }

    fn cancel_word(&self) -> Option<&'static str> {
        match (self.phase, &self.leaving) {
            (Phase::Forward, _) if self.no_return.is_none() => Some("cancel"),
            (Phase::Forward, _) => Some("cancel --no-unwind"),
            (Phase::Draining | Phase::Unwinding, Some(Leaving::For { unwind: true, .. })) => {
                Some("cancel --no-unwind")
            }
            _ => None,
        }
    }

    /// The verbs that end a run whatever else it does.
    pub(crate) fn verbs_to_end(&self) -> Vec<&'static str> {
        let abandon = self.may_abandon_now().then_some("abandon");
        self.cancel_word().into_iter().chain(abandon).collect()
    }

    /// Whether neither a body nor an item is under way.
    fn is_quiet(&self) -> bool {
        self.sets.running.is_empty() && self.sets.items_open.is_empty()
    }

    /// Whether the run can be given up and is not.
    fn may_abandon_now(&self) -> bool {
        let given_up = matches!(self.leaving, Some(Leaving::Abandoned { .. }));
        match self.phase {
            Phase::Forward => self.is_quiet(),
            Phase::Draining | Phase::Unwinding => !given_up,
            Phase::OnFailure => self.sets.running.is_empty(),
            // Giving a run up lets its last steps run; doing so again ends them.
            Phase::Finally => !self.cut_short && self.sets.running.is_empty(),
            Phase::Settled => false,
        }
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
