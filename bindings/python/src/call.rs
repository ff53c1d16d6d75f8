//! What Python asks of an engine, and of a run.

use crate::{
    answer::Answer,
    bridge::{Inner, found},
    fault::Wrong,
    show,
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use towpath::{
    Run, Until,
    engine::{Cursor, Filter, Page},
    model::{Json, Message, PipelineName, RunId, RunNo, Status, Verb},
    store::Level,
};

/// What is asked of an engine.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Call {
    Attach(RunId),
    Find {
        pipeline: String,
        key: String,
    },
    Runs {
        #[serde(default)]
        status: Vec<Status>,
        #[serde(default)]
        pipeline: Option<PipelineName>,
        #[serde(default)]
        labels: Vec<(String, String)>,
        #[serde(default)]
        after: Option<i64>,
        limit: usize,
    },
    Drive {
        settled: bool,
        #[serde(default)]
        limit_ms: Option<u64>,
    },
    Next(u64),
    Health,
    Shutdown,
}

/// What is asked of a run.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum OfRun {
    Settled,
    Row,
    Explain,
    Send(Message),
    Verb {
        verb: Verb,
        #[serde(default)]
        reason: String,
    },
    Follow,
}

impl Call {
    pub(crate) fn read(text: &str) -> Result<Self, Wrong> {
        serde_json::from_str(text).map_err(|e| Wrong::given("a call", &e))
    }

    pub(crate) async fn perform(self, inner: &Arc<Inner>) -> Result<Answer, Wrong> {
        let engine = inner.engine()?;
        match self {
            Call::Attach(run) => Ok(Answer::Run(engine.attach::<Json>(run).await?)),
            Call::Find { pipeline, key } => {
                let row = engine.find(&pipeline, key).await?;
                found(engine, row).await
            }
            Call::Runs { status, pipeline, labels, after, limit } => {
                let filter = Filter { status, pipeline, labels, level: Level::Top, ..Filter::default() };
                let page = Page { after: after.map(|no| Cursor(RunNo(no))), limit };
                let rows = engine.runs(&filter, page).await?;
                Ok(Answer::of(&rows.iter().map(show::row).collect::<Vec<_>>()))
            }
            Call::Drive { settled, limit_ms } => {
                let until = if settled { Until::Settled } else { Until::Parked };
                let report = engine.drive(until, limit_ms.map(Duration::from_millis)).await?;
                Ok(Answer::of(&show::driven(&report)))
            }
            Call::Next(updates) => {
                let Some(updates) = inner.updates.get(updates) else { return Ok(Answer::of(&())) };
                let update = updates.lock().await.next().await;
                Ok(match update {
                    Some(update) => Answer::of(&show::update(&update?)),
                    None => Answer::of(&()),
                })
            }
            Call::Health => Ok(Answer::of(&show::health(&engine.health().await))),
            Call::Shutdown => Ok(Answer::of(&engine.shutdown().await?)),
        }
    }
}

impl OfRun {
    pub(crate) fn read(text: &str) -> Result<Self, Wrong> {
        serde_json::from_str(text).map_err(|e| Wrong::given("a call of a run", &e))
    }

    pub(crate) async fn perform(self, inner: &Arc<Inner>, run: Run<Json>) -> Result<Answer, Wrong> {
        let engine = inner.engine()?;
        Ok(match self {
            OfRun::Settled => Answer::of(&show::settled(&run.settled().await?)),
            OfRun::Row => Answer::of(&show::row(&run.row().await?)),
            OfRun::Explain => Answer::of(&show::explanation(&run.explain().await?)),
            OfRun::Send(message) => Answer::of(&engine.send(run.id(), &message, None).await?),
            OfRun::Verb { verb, reason } => Answer::of(&run.verb(verb, reason).await?),
            OfRun::Follow => Answer::of(&inner.updates.put(tokio::sync::Mutex::new(run.events()))),
        })
    }
}
