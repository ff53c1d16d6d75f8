//! Asking a plan what it would change.

mod items;

use crate::{
    Engine, EngineError, body::caught, host::Secrets, plans::Prepared, secrets, shared::Shared, start,
};
use async_trait::async_trait;
use items::{Budget, Listing};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use towpath_machine::{Ix, Plan, holds};
use towpath_model::{
    Attempt, Change, Condition, Failure, FailureKind, InDoubt, Json, KeyPhase, Operand, PlanPreview,
    ReadMode, RunId, Section, StepId, StepPreview, StepRecord, Timestamp,
};
use towpath_step::{
    ErasedStep, Output, SecretValue, StepContext, StepError,
    host::{Entry, Host, WaitAsk, Waited},
};

const PREVIEW: &str = "preview a plan";

impl Engine {
    /// What a run of this plan would change, from where things stand now. Nothing is changed, and nothing is journaled.
    ///
    /// Every step on the way forward is asked by its `preview`, in an order in which they can run. What a step will give is
    /// not known before it runs, unless it can foresee it; a step that cannot tell without is shown as unknown.
    ///
    /// ```
    /// use towpath_engine::Engine;
    /// use towpath_step::{Pipeline, StepContext, StepError, model::Change, step, steps};
    /// # extern crate towpath_step as towpath;
    ///
    /// async fn would_greet(_cx: &StepContext, name: String) -> Result<Vec<Change>, StepError> {
    ///     Ok(vec![Change::create(format!("a greeting of {name}"))])
    /// }
    ///
    /// #[step("demo.greet/v1", idempotent, preview = would_greet)]
    /// async fn greet(_cx: &StepContext, name: String) -> Result<(), StepError> {
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let p = Pipeline::new("greetings");
    /// p.step("greet", greet::of("world"));
    /// let plan = p.build()?.plan()?;
    /// let engine = Engine::open("memory:").steps(steps![greet]).start().await?;
    /// let preview = engine.preview(&plan).await?;
    /// assert!(preview.to_string().starts_with("greet (demo.greet/v1)\n  + a greeting of world\n"));
    /// # engine.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Everything that this engine lacks to drive the plan, at once. A step that cannot tell is no error: the preview says
    /// so.
    pub async fn preview<Out: Output>(
        &self,
        plan: &towpath_step::Plan<Out>,
    ) -> Result<PlanPreview, EngineError> {
        let shared = self.shared();
        let prepared = start::prepare(shared, plan, PREVIEW)?;
        let (run, shown) = (RunId::from_bytes([0; 16]), forward(&prepared.plan));
        Ok(Look { shared, run, values: plan.values(), plan: &prepared, shown, below: None }
            .look(BTreeMap::new())
            .await)
    }
}

/// A look at what a plan would change.
pub(crate) struct Look<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) run: RunId,
    pub(crate) values: &'a Arc<BTreeMap<String, Json>>,
    pub(crate) plan: &'a Prepared,
    /// The steps that are shown; others are only foreseen.
    pub(crate) shown: BTreeSet<StepId>,
    /// The item whose plan it is, when it is one of a `for_each`.
    pub(crate) below: Option<StepId>,
}

/// What is known of a step's output.
enum Known {
    Output(Json),
    /// It will not run.
    Skipped,
}

impl Look<'_> {
    /// Asks every step that is shown. `outputs` are those of steps that are done.
    pub(crate) async fn look(&self, outputs: BTreeMap<StepId, Json>) -> PlanPreview {
        let mut known: BTreeMap<StepId, Known> =
            outputs.into_iter().map(|(id, output)| (id, Known::Output(output))).collect();
        PlanPreview { steps: self.walk(&mut known, &Budget::default()).await }
    }

    /// Asks every step that is shown, and adds to what is known.
    async fn walk(&self, known: &mut BTreeMap<StepId, Known>, budget: &Budget) -> Vec<StepPreview> {
        let mut shown = Vec::new();
        for ix in in_order(&self.plan.plan) {
            let step = self.plan.plan.step(ix);
            if known.contains_key(&step.id) {
                continue;
            }
            if self.is_skipped(step, known) {
                known.insert(step.id.clone(), Known::Skipped);
                continue;
            }
            if let Some(each) = self.plan.each(ix) {
                if self.shown.contains(&step.id) {
                    let Listing { steps, output } = self.items(ix, each, known, budget).await;
                    shown.extend(steps);
                    known.extend(output.map(|output| (step.id.clone(), Known::Output(output))));
                }
                continue;
            }
            let looking = Arc::new(Looking { shared: self.shared.clone(), secrets: Secrets::default() });
            let cx = StepContext::new(self.entry(step, known), looking.clone());
            let body = self.plan.known(ix).body();
            if self.shown.contains(&step.id) {
                let asked = looking.clean(ask(step, body, &cx).await);
                shown.push(StepPreview { step: self.path(&step.id), ..asked });
            }
            if let Some(Ok(Some(output))) = body.map(|body| body.foresee_erased(&cx)) {
                known.insert(step.id.clone(), Known::Output(output));
            }
        }
        shown
    }

    /// A step as it is named from outside: with the item that it belongs to.
    fn path(&self, step: &StepId) -> StepId {
        // A path that is too deep is refused with the plan.
        let path = self.below.as_ref().and_then(|item| step.within(item).ok());
        path.unwrap_or_else(|| step.clone())
    }

    /// What an operand is, when that is known.
    fn value(&self, operand: &Operand, known: &BTreeMap<StepId, Known>) -> Option<Json> {
        match operand {
            Operand::Value(value) => Some(value.clone()),
            Operand::Param { name, path } => {
                self.values.get(name).map(|v| v.at(path).unwrap_or_else(Json::null))
            }
            Operand::From { step, path } => match known.get(step)? {
                Known::Output(output) => Some(output.at(path).unwrap_or_else(Json::null)),
                Known::Skipped => None,
            },
        }
    }

    fn is_skipped(&self, step: &StepRecord, known: &BTreeMap<StepId, Known>) -> bool {
        let skipped = |id: &StepId| matches!(known.get(id), Some(Known::Skipped));
        if step.reads.iter().any(|read| read.mode == ReadMode::Required && skipped(&read.step)) {
            return true;
        }
        let value = |operand: &Operand| self.value(operand, known);
        let conditions = step.when.iter().flat_map(Condition::operands);
        let mut compared = conditions.filter_map(|operand| match operand {
            Operand::From { step, .. } => Some(step),
            _ => None,
        });
        compared.any(skipped) || step.when.as_ref().is_some_and(|when| holds(when, &value) == Some(false))
    }

    fn entry(&self, step: &StepRecord, known: &BTreeMap<StepId, Known>) -> Entry {
        let output = |id: &StepId| match known.get(id)? {
            Known::Output(output) => Some((id.clone(), output.clone())),
            Known::Skipped => None,
        };
        Entry {
            run: self.run,
            step: step.id.clone(),
            attempt: Attempt(1),
            phase: KeyPhase::Run,
            generation: 0,
            outputs: step.reads.iter().filter_map(|read| output(&read.step)).collect(),
            params: self.values.clone(),
            checkpoint: None,
            before: None,
            failure: None,
            providers: self.shared.providers.clone(),
            fencing: Default::default(),
        }
    }
}

async fn ask(step: &StepRecord, body: Option<&dyn ErasedStep>, cx: &StepContext) -> StepPreview {
    let (id, kind) = (step.id.clone(), step.kind.clone());
    let mut preview = StepPreview { step: id, kind, changes: Vec::new(), failure: None };
    match body {
        Some(body) if step.methods.preview => match caught(body.preview_erased(cx)).await {
            Ok(Ok(changes)) => preview.changes = changes,
            Ok(Err(error)) => preview.failure = Some(error.to_failure()),
            Err(panic) => {
                let text = format!("its preview panicked: {panic}");
                preview.failure = Some(Failure::new(FailureKind::Permanent, text));
            }
        },
        _ if step.in_doubt == InDoubt::NoEffect => {}
        _ => {
            let why = format!("the kind {} tells nothing before it runs", step.kind);
            preview.changes.push(Change::unknown(format!("what {} does", step.id), why));
        }
    }
    preview
}

/// The steps of the way forward.
fn forward(plan: &Plan) -> BTreeSet<StepId> {
    plan.section(Section::Main).map(|ix| plan.step(ix).id.clone()).collect()
}

/// The steps of the way forward, each after those that it waits for; where that says nothing, as they were placed.
fn in_order(plan: &Plan) -> Vec<Ix> {
    let (mut order, mut done) = (Vec::new(), vec![false; plan.len()]);
    let mut open: Vec<(Ix, bool)> = plan.section(Section::Main).map(|ix| (ix, false)).collect();
    open.reverse();
    while let Some((ix, is_ready)) = open.pop() {
        if is_ready && !std::mem::replace(&mut done[ix as usize], true) {
            order.push(ix);
        } else if !done[ix as usize] {
            open.push((ix, true));
            open.extend(plan.predecessors(ix).iter().rev().map(|ix| (*ix, false)));
        }
    }
    order
}

/// Everything that these steps wait for, near or far, with themselves.
pub(crate) fn needed(plan: &Plan, shown: &BTreeSet<StepId>) -> BTreeSet<StepId> {
    let mut needed = BTreeSet::new();
    let mut open: Vec<Ix> = shown.iter().filter_map(|id| plan.find(id)).collect();
    while let Some(ix) = open.pop() {
        if needed.insert(plan.step(ix).id.clone()) {
            open.extend(plan.predecessors(ix));
        }
    }
    needed
}

/// The engine, as a preview sees it: it can look, and leaves nothing behind.
struct Looking {
    shared: Arc<Shared>,
    secrets: Secrets,
}

impl Looking {
    /// The preview without the values of secrets.
    fn clean(&self, preview: StepPreview) -> StepPreview {
        let clean = Json::of(&preview).ok().and_then(|json| self.secrets.scrub(json.as_str()));
        let read = |text: String| serde_json::from_str(&text).ok();
        match clean {
            None => preview,
            // A value in the place of a name may leave what is no preview: then nothing of it is shown.
            Some(text) => read(text).unwrap_or(StepPreview { changes: Vec::new(), failure: None, ..preview }),
        }
    }
}

fn refused<T>(what: &str) -> Result<T, StepError> {
    Err(StepError::permanent(format!("a preview changes nothing: it cannot {what}")))
}

#[async_trait]
impl Host for Looking {
    async fn checkpoint(&self, _: Json) -> Result<(), StepError> {
        refused("save a checkpoint")
    }

    async fn wait(&self, _: WaitAsk) -> Result<Waited, StepError> {
        refused("wait durably")
    }

    async fn secret(&self, name: &str) -> Result<SecretValue, StepError> {
        let value = secrets::resolve(&*self.shared.secrets, name).await?;
        self.secrets.add(&value);
        Ok(value)
    }

    fn log(&self, text: &str) {
        tracing::debug!(text = %self.secrets.scrub(text).as_deref().unwrap_or(text), "a preview wrote to its log");
    }

    fn progress(&self, _: u8, _: &str) {}

    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}
