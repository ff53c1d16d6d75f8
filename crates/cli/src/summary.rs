//! An event in one line.

use crate::when;
use towpath::model::{
    Answer, DoneBy, Doubt, Event, Payload, ResolveAs, SkipWhy, StepId, Then, Verb, WaitOver, WaitStarted,
};

/// Most characters of a value in a line.
const VALUE: usize = 72;

/// The step that an event is about.
pub(crate) fn step(event: &Event) -> Option<&StepId> {
    Some(match event {
        Event::StepStarted(e) => &e.step,
        Event::StepDone(e) => &e.step,
        Event::StepFailed(e) => &e.step,
        Event::StepInDoubt(e) => &e.step,
        Event::StepObserved(e) => &e.step,
        Event::Checkpointed(e) => &e.step,
        Event::WaitStarted(e) => &e.step,
        Event::WaitOver(e) => &e.step,
        Event::StepSkipped(e) => &e.step,
        Event::StepReset(e) => &e.step,
        Event::SignalKept(e) => return e.step.as_ref(),
        Event::VerbAnswered(e) => return verb_step(&e.verb),
        Event::CompensationStarted(e) => &e.step,
        Event::CompensationDone(e) => &e.step,
        Event::CompensationFailed(e) => &e.step,
        Event::CompensationAsked(e) => &e.step,
        Event::CompensationReset(e) => &e.step,
        Event::CompensationSkipped(e) => &e.step,
        Event::Imported(e) => &e.step,
        Event::ItemsListed(e) => &e.step,
        Event::SubRunsStarted(e) => &e.step,
        Event::SubRunSettled(e) => &e.step,
        Event::SubRunsUnwinding(e) => &e.step,
        Event::RunStarted(_)
        | Event::EntryRefused(_)
        | Event::DeadlinePassed(_)
        | Event::UnwindStarted(_)
        | Event::Unwound(_)
        | Event::RunSettled(_)
        | Event::ParentOrdered(_)
        | Event::PlanReplaced(_)
        | Event::Redacted(_)
        | Event::LocksAsked(_)
        | Event::LocksTaken(_)
        | Event::LocksReturned(_)
        | Event::Overridden(_) => return None,
    })
}

fn verb_step(verb: &Verb) -> Option<&StepId> {
    match verb {
        Verb::Retry { step, .. }
        | Verb::Skip { step, .. }
        | Verb::Resolve { step, .. }
        | Verb::Handback { step } => step.as_ref(),
        Verb::Pause | Verb::Resume | Verb::Cancel { .. } | Verb::Abandon | Verb::ReleaseLock { .. } => None,
    }
}

/// What an event says, in one line; the kind and the step stand before it.
pub(crate) fn summary(event: &Event) -> String {
    one_line(&match event {
        Event::StepStarted(_)
        | Event::StepDone(_)
        | Event::StepFailed(_)
        | Event::StepInDoubt(_)
        | Event::StepObserved(_)
        | Event::Checkpointed(_)
        | Event::StepSkipped(_)
        | Event::StepReset(_) => of_step(event),
        Event::WaitStarted(e) => wait_started(e),
        Event::WaitOver(e) => wait_over(e),
        Event::SignalKept(e) => format!("{} from {}: {}", e.signal, e.from, cut(e.value.as_str())),
        Event::CompensationStarted(_)
        | Event::CompensationDone(_)
        | Event::CompensationFailed(_)
        | Event::CompensationAsked(_)
        | Event::CompensationReset(_)
        | Event::CompensationSkipped(_) => of_undoing(event),
        Event::ItemsListed(_)
        | Event::SubRunsStarted(_)
        | Event::SubRunSettled(_)
        | Event::SubRunsUnwinding(_) => of_sub_run(event),
        _ => of_run(event),
    })
}

fn of_step(event: &Event) -> String {
    match event {
        Event::StepStarted(e) => {
            let before = e.before.as_ref().map(|b| format!(", before: {}", payload(b))).unwrap_or_default();
            format!("attempt {}{before}", e.attempt)
        }
        Event::StepDone(e) => match &e.output_error {
            Some(error) => format!("{}nobody can read its output: {error}", by(e.by)),
            None => format!("{}{}", by(e.by), payload(&e.output)),
        },
        Event::StepFailed(e) => format!("attempt {}: {}; {}", e.attempt, e.failure, then(&e.then)),
        Event::StepInDoubt(e) => {
            let said = e.failure.as_ref().map(|f| format!(": {f}")).unwrap_or_default();
            format!("attempt {}: {}{said}; {}", e.attempt, e.ended, doubt(&e.then))
        }
        Event::StepObserved(e) => match &e.answer {
            Answer::NotDone => "it did not take effect".into(),
            Answer::TakenOver { seen } => format!("somebody took over; seen: {}", cut(seen.as_str())),
            Answer::Unknown { failure, again: Some(at) } => {
                format!("it cannot be told: {failure}; asked again at {}", when::precisely(*at))
            }
            Answer::Unknown { failure, again: None } => {
                format!("it cannot be told: {failure}; not asked again")
            }
        },
        Event::Checkpointed(e) => {
            format!("{}{}", if e.undoing { "undoing: " } else { "" }, payload(&e.value))
        }
        Event::StepSkipped(e) => skip(&e.why),
        Event::StepReset(e) => flags(&[
            (e.new_key, "new key"),
            (e.from_scratch, "from scratch"),
            (e.new_before, "new before-image"),
        ]),
        _ => String::new(),
    }
}

fn of_undoing(event: &Event) -> String {
    match event {
        Event::CompensationStarted(e) => format!("attempt {}", e.attempt),
        Event::CompensationDone(e) => by(e.by).trim_end_matches(": ").to_owned(),
        Event::CompensationFailed(e) => format!("attempt {}: {}; {}", e.attempt, e.failure, then(&e.then)),
        Event::CompensationAsked(_) => "an operator decides whether to undo it".into(),
        Event::CompensationReset(e) => flags(&[(e.new_key, "new key")]),
        Event::CompensationSkipped(_) => "its effect stays".into(),
        _ => String::new(),
    }
}

fn of_sub_run(event: &Event) -> String {
    match event {
        Event::ItemsListed(e) => format!("{} items", e.count),
        Event::SubRunsStarted(e) => format!("{} from item {} of the list", e.count, e.first),
        Event::SubRunSettled(e) => format!("[{}] run {} {}", e.item, e.run, e.outcome),
        Event::SubRunsUnwinding(e) => format!("{} items", e.items.len()),
        _ => String::new(),
    }
}

fn of_run(event: &Event) -> String {
    match event {
        Event::RunStarted(e) => {
            let reason = if e.reason.is_empty() { String::new() } else { format!(": {}", e.reason) };
            format!("{} {} plan {}{reason}", e.pipeline, e.key, e.plan_hash.short())
        }
        Event::ParentOrdered(e) => format!("the run above has it {}", e.order),
        Event::VerbAnswered(e) => {
            let reason = if e.reason.is_empty() { String::new() } else { format!(" ({})", e.reason) };
            match &e.refused {
                Some(why) => format!("{} by {}{reason} refused: {why}", verb(&e.verb), e.by),
                None => format!("{} by {}{reason} accepted", verb(&e.verb), e.by),
            }
        }
        Event::EntryRefused(e) => format!("from {}: {}", e.from, e.why),
        Event::UnwindStarted(e) => e.why.to_string(),
        Event::RunSettled(e) => e.outcome.to_string(),
        Event::PlanReplaced(e) => {
            format!("{} by {}: {} steps differ: {}", e.to.short(), e.by, e.changed.len(), e.reason)
        }
        Event::Redacted(e) => format!("event {} by {}: {}", e.at, e.by, e.reason),
        Event::LocksAsked(e) => names(e.locks.iter()),
        Event::LocksTaken(e) => {
            let taken = e.locks.iter().map(|(name, fence)| format!("{name} (fencing number {fence})"));
            taken.collect::<Vec<_>>().join(", ")
        }
        Event::LocksReturned(e) => names(e.locks.iter()),
        Event::Overridden(e) => format!("{} by {}: {}", e.what, e.by, e.reason),
        Event::Imported(e) => format!("from event {} of its parent: {}", e.at, payload(&e.output)),
        _ => String::new(),
    }
}

/// A verb as the command line spells it, with what was asked for.
pub(crate) fn verb(verb: &Verb) -> String {
    let asked = match verb {
        Verb::Cancel { unwind: false } => " --no-unwind".into(),
        Verb::ReleaseLock { lock } => format!(" {lock}"),
        Verb::Retry { new_key, from_scratch, .. } => {
            let flag = |on: bool, text: &'static str| if on { text } else { "" };
            format!("{}{}", flag(*new_key, " --new-key"), flag(*from_scratch, " --from-scratch"))
        }
        Verb::Skip { output: Some(output), .. } => format!(" --output {}", cut(output.as_str())),
        Verb::Resolve { to: ResolveAs::Done(output), .. } => format!(" --done {}", cut(output.as_str())),
        Verb::Resolve { to: ResolveAs::NotDone, .. } => " --not-done".into(),
        _ => String::new(),
    };
    format!("{}{asked}", verb.word())
}

fn wait_started(e: &WaitStarted) -> String {
    let signal = e.signal.as_ref().map(|s| format!(" for the signal {s}")).unwrap_or_default();
    let until = e.until.map(|t| format!(" until {}", when::precisely(t))).unwrap_or_default();
    let saved = e.checkpoint.as_ref().map(|c| format!(", saving {}", payload(c))).unwrap_or_default();
    format!("{}{signal}{until}{saved}", e.wait)
}

fn wait_over(e: &WaitOver) -> String {
    match (&e.value, &e.from) {
        (Some(value), Some(from)) => format!("{} by {from}: {}", e.wait, cut(value.as_str())),
        (Some(value), None) => format!("{}: {}", e.wait, cut(value.as_str())),
        (None, _) => format!("{}: its time is over", e.wait),
    }
}

/// Why a step will not run.
pub(crate) fn skip(why: &SkipWhy) -> String {
    match why {
        SkipWhy::Condition => "its condition does not hold".into(),
        SkipWhy::Reads { step } => format!("it reads {step}, which has no output"),
        SkipWhy::Operator { by } => format!("by {by}"),
    }
}

fn then(then: &Then) -> String {
    match then {
        Then::Retry { at } => format!("again at {}", when::precisely(*at)),
        Then::Fail => "not again".into(),
        Then::Rest => "an operator decides".into(),
    }
}

fn doubt(then: &Doubt) -> String {
    match then {
        Doubt::Observe => "the world is asked".into(),
        Doubt::Retry { at } => format!("again at {}", when::precisely(*at)),
        Doubt::Fail => "nothing more is asked".into(),
        Doubt::Rest => "an operator decides".into(),
    }
}

fn by(by: DoneBy) -> &'static str {
    match by {
        DoneBy::Body => "",
        DoneBy::Observed => "seen in the world: ",
        DoneBy::Operator => "by an operator's word: ",
    }
}

fn flags(flags: &[(bool, &str)]) -> String {
    flags.iter().filter(|(on, _)| *on).map(|(_, text)| *text).collect::<Vec<_>>().join(", ")
}

fn names<'a>(names: impl Iterator<Item = &'a towpath::model::Name>) -> String {
    names.map(|n| n.as_str()).collect::<Vec<_>>().join(", ")
}

/// A value in one line, cut.
pub(crate) fn payload(value: &Payload) -> String {
    match value {
        Payload::Inline(json) => cut(json.as_str()),
        Payload::Blob(blob) => format!("{} bytes at {}", blob.bytes, blob.digest.short()),
    }
}

/// A text, cut to what a line takes.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text without line breaks, and without what a terminal would take for a command.
pub(crate) fn one_line(text: &str) -> String {
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
