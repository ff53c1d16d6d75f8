//! Plans made ready to be driven by this engine, shared by all runs of them.

use crate::shared::Shared;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};
use towpath_machine::{Ix, Phase, Plan, Problems, RunState, StepState, UndoState};
use towpath_model::{Digest, PlanRecord, Role, Section, StepRecord, canonical};
use towpath_step::{DecodeError, ErasedStep, Providers, Steps};

/// Plans in memory above which those that nothing runs are let go.
const KEPT: usize = 256;

/// The plans that this engine knows, by the hash of their pipeline.
#[derive(Default)]
pub(crate) struct Plans(Mutex<HashMap<Digest, Arc<Prepared>>>);

/// A plan with its steps decoded.
pub(crate) struct Prepared {
    pub(crate) plan: Arc<Plan>,
    /// The hash of the pipeline, and of the blob that holds its record.
    pub(crate) hash: Digest,
    /// Its record as it is stored: canonical JSON.
    pub(crate) text: String,
    steps: Vec<Known>,
    lacks: bool,
}

/// A step of a plan, as far as this engine knows its kind.
pub(crate) struct Known {
    /// What it is, or what is missing for it.
    pub(crate) is: Result<Is, String>,
    /// How bodies of this step have begun so far.
    pub(crate) habit: Habit,
}

impl Known {
    /// The step with a body, when it is one and known.
    pub(crate) fn body(&self) -> Option<&dyn ErasedStep> {
        match &self.is {
            Ok(Is::Step(step)) => Some(&**step),
            _ => None,
        }
    }
}

/// What a step of a plan is.
pub(crate) enum Is {
    /// A step with a body.
    Step(Arc<dyn ErasedStep>),
    /// A `for_each`, with the plan of its items.
    Items(Arc<Prepared>),
}

/// Whether the first poll of a body is worth making at once instead of in a task of its own.
///
/// A body that ends in its first poll, and quickly, costs less than the task. What it will be is learned from how it
/// was, and a body that once was slow is never again polled by the driver.
#[derive(Default)]
pub(crate) struct Habit(AtomicU8);

impl Habit {
    const QUICK: u8 = 1;
    const SLOW: u8 = 2;

    pub(crate) fn is_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::QUICK
    }

    /// Whether nothing is known yet.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn learn(&self, quick: bool) {
        if quick && self.is_open() {
            self.0.store(Self::QUICK, Ordering::Relaxed);
        } else if !quick {
            self.0.store(Self::SLOW, Ordering::Relaxed);
        }
    }
}

impl Plans {
    fn map(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Prepared>>> {
        // A map cannot be left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A plan that is known already.
    pub(crate) fn get(&self, hash: Digest) -> Option<Arc<Prepared>> {
        self.map().get(&hash).cloned()
    }

    /// Makes a plan ready.
    pub(crate) fn prepare(
        &self,
        shared: &Shared,
        hash: Digest,
        record: &Arc<PlanRecord>,
        text: String,
    ) -> Result<Arc<Prepared>, Problems> {
        if let Some(known) = self.get(hash) {
            return Ok(known);
        }
        let plan = Arc::new(Plan::compile(record.clone())?);
        let know = |step: &StepRecord| -> Result<Known, Problems> {
            let is = match &step.role {
                Role::Step | Role::SubRun { .. } => {
                    know(&shared.steps, &shared.providers, step).map(Is::Step)
                }
                Role::ForEach { each, .. } => Ok(Is::Items(self.prepare_items(shared, each)?)),
            };
            Ok(Known { is, habit: Habit::default() })
        };
        let steps = record.steps.iter().map(know).collect::<Result<Vec<Known>, Problems>>()?;
        let lacks = steps.iter().any(|k| k.is.is_err());
        let prepared = Arc::new(Prepared { plan, hash, text, steps, lacks });
        let mut map = self.map();
        if map.len() >= KEPT {
            map.retain(|_, p| Arc::strong_count(p) > 1);
        }
        Ok(map.entry(hash).or_insert(prepared).clone())
    }

    /// Makes the plan of a `for_each`'s items ready.
    fn prepare_items(&self, shared: &Shared, each: &PlanRecord) -> Result<Arc<Prepared>, Problems> {
        let text = canonical::of(each).map_err(|e| {
            let what = format!("the plan of items cannot be hashed: {e}");
            Problems(vec![towpath_machine::Problem { step: None, what }])
        })?;
        let record = Arc::new(each.clone());
        self.prepare(shared, Digest::of(text.as_bytes()), &record, text)
    }
}

/// Everything that is missing to drive any run of a plan, with the step's id.
pub(crate) fn lacking(steps: &Steps, providers: &Providers, record: &PlanRecord) -> Vec<String> {
    let missing =
        |step: &StepRecord| know(steps, providers, step).err().map(|why| format!("step {}: {why}", step.id));
    record.steps.iter().filter_map(missing).collect()
}

/// A step ready to be entered, or everything that is missing for it.
fn know(steps: &Steps, providers: &Providers, step: &StepRecord) -> Result<Arc<dyn ErasedStep>, String> {
    let decoded = steps.decode(step.kind.as_str(), &step.with).map_err(|e| match &e {
        DecodeError::With { error, .. } => format!("{e}: {error}"),
        _ => e.to_string(),
    })?;
    let needs = decoded.needs_erased();
    let unmet: Vec<String> =
        needs.iter().filter(|need| !providers.meet(need)).map(|n| n.to_string()).collect();
    if !unmet.is_empty() {
        return Err(format!(
            "it needs {}: give it to the engine with `.bind(…)`; it has {providers}",
            unmet.join(" and ")
        ));
    }
    Ok(Arc::from(decoded))
}

impl Prepared {
    pub(crate) fn known(&self, ix: Ix) -> &Known {
        &self.steps[ix as usize]
    }

    /// The plan of a step's items, when it is a `for_each`.
    pub(crate) fn each(&self, ix: Ix) -> Option<&Arc<Prepared>> {
        match &self.known(ix).is {
            Ok(Is::Items(each)) => Some(each),
            _ => None,
        }
    }

    /// Everything that this engine lacks to drive any run of the plan and of its items, with the step's id.
    pub(crate) fn lacking(&self) -> Vec<String> {
        let mut lacking = self.lacking_of(|_| true);
        for ix in 0..self.steps.len() as Ix {
            let of = |what: String| format!("the items of {}: {what}", self.plan.step(ix).id);
            lacking.extend(self.each(ix).into_iter().flat_map(|each| each.lacking()).map(of));
        }
        lacking
    }

    /// What this engine lacks to drive this run on from where it stands.
    pub(crate) fn lacking_for(&self, state: &RunState) -> Vec<String> {
        self.lacking_of(|ix| is_needed(state, ix))
    }

    fn lacking_of(&self, is_needed: impl Fn(Ix) -> bool) -> Vec<String> {
        if !self.lacks {
            return Vec::new();
        }
        let missing = |(known, ix): (&Known, Ix)| match &known.is {
            Err(why) if is_needed(ix) => Some(format!("step {}: {why}", self.plan.step(ix).id)),
            _ => None,
        };
        self.steps.iter().zip(0..).filter_map(missing).collect()
    }
}

/// Whether a run may still enter a body of this step: to do it, to look at it, or to undo it.
fn is_needed(state: &RunState, ix: Ix) -> bool {
    let (node, step, phase) = (state.node(ix), state.plan().step(ix), state.phase());
    if phase == Phase::Settled && !state.is_recalled() {
        return false;
    }
    let is_main = step.section == Section::Main;
    let on_the_way_out = matches!(phase, Phase::Draining | Phase::Unwinding) || state.is_recalled();
    let is_open = match node.state() {
        StepState::Running | StepState::InDoubt { .. } | StepState::Items => true,
        open if open.is_at_rest() => false,
        _ if is_main => phase == Phase::Forward,
        _ => phase != Phase::Finally || step.section == Section::Finally,
    };
    let may_be_undone = is_main
        && step.methods.compensate
        && node.intent().is_some()
        && (phase == Phase::Forward || on_the_way_out);
    is_open
        || may_be_undone && !matches!(node.undo_state(), UndoState::Done | UndoState::Kept | UndoState::Left)
}
