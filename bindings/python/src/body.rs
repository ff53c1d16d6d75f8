//! The bodies of steps that are written in Python.

use crate::{
    bridge::Inner,
    entry::{Entered, Said},
    queue::Item,
};
use serde_json::{Value, json};
use std::sync::{Arc, Weak};
use towpath::{
    LateBody, Observed, StepContext, StepError, Undo, UndoEnded,
    engine::async_trait,
    model::{Change, Json},
};

/// The code of one kind.
pub(crate) struct Body {
    /// The engine holds its kinds, so that this must not hold the engine.
    inner: Weak<Inner>,
    number: u64,
}

impl Body {
    pub(crate) fn new(inner: &Arc<Inner>, number: u64) -> Self {
        Body { inner: Arc::downgrade(inner), number }
    }

    /// Has Python enter the body, and waits for what it says. When this is dropped, Python is told to leave it.
    async fn enter(
        &self,
        cx: &StepContext,
        what: &'static str,
        with: &Json,
        undo: Option<Value>,
    ) -> Result<String, StepError> {
        let Some(inner) = self.inner.upgrade() else {
            return Err(StepError::transient("the interpreter that has the code of this step is gone"));
        };
        let failure = cx
            .failure()
            .map(|failure| json!({"why": failure.why.to_string(), "aftermath": failure.aftermath}));
        let facts = json!({
            "run": cx.run_id().to_string(),
            "step": cx.step_id(),
            "attempt": cx.attempt().0,
            "with": with,
            "checkpoint": cx.last_checkpoint::<Json>()?,
            "before": cx.before::<Json>().ok(),
            "undo": undo,
            "failure": failure,
        });
        let (entered, said) = Entered::begin(&inner, cx.share());
        let entry = entered.number();
        inner.queue.push(Item::Enter { entry, body: self.number, what, facts: facts.to_string() });
        match said.await {
            Ok(Said::Done(json)) => Ok(json),
            Ok(Said::Failed(told)) => Err(StepError::from(*told)),
            Err(_) => Err(StepError::unknown("the interpreter that ran this step is gone")),
        }
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        cx: &StepContext,
        what: &'static str,
        with: &Json,
    ) -> Result<T, StepError> {
        let said = self.enter(cx, what, with, None).await?;
        let misread =
            |e| StepError::permanent(format!("what the step's `{what}` gave cannot be read")).because(e);
        serde_json::from_str::<T>(&said).map_err(misread)
    }
}

/// What `observe` says, as the package tells it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Look {
    Done(Json),
    NotDone,
    TakenOver(Json),
    Unknown(String),
}

#[async_trait]
impl LateBody for Body {
    async fn run(&self, cx: &StepContext, with: Json) -> Result<Json, StepError> {
        self.read(cx, "run", &with).await
    }

    async fn observe(&self, cx: &StepContext, with: Json) -> Result<Observed<Json>, StepError> {
        Ok(match self.read(cx, "observe", &with).await? {
            Look::Done(output) => Observed::Done(output),
            Look::NotDone => Observed::NotDone,
            Look::TakenOver(seen) => Observed::TakenOver(seen),
            Look::Unknown(why) => Observed::Unknown(why),
        })
    }

    async fn before(&self, cx: &StepContext, with: Json) -> Result<Json, StepError> {
        self.read(cx, "before", &with).await
    }

    async fn compensate(&self, cx: &StepContext, with: Json, undo: Undo<Json>) -> Result<(), StepError> {
        let ended = match &undo.ended {
            UndoEnded::Done => "done",
            UndoEnded::Failed => "failed",
            UndoEnded::InDoubt(_) => "in-doubt",
            UndoEnded::Parked => "parked",
        };
        let undo = json!({
            "before": undo.before,
            "has_output": undo.output.is_some(),
            "output": undo.output,
            "checkpoint": undo.checkpoint,
            "ended": ended,
        });
        self.enter(cx, "compensate", &with, Some(undo)).await.map(drop)
    }

    async fn preview(&self, cx: &StepContext, with: Json) -> Result<Vec<Change>, StepError> {
        self.read(cx, "preview", &with).await
    }
}
